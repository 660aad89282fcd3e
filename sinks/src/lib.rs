//! The places that data can go to: one folder each, and the list of them.

use std::path::Path;
use std::sync::Arc;

use ::pipeline::{Result, Sink};
use schemars::JsonSchema;
use serde::Deserialize;

pub mod parquet;

pub use self::parquet::{Changes, Finding, FindingKind, Moved, Registry, VerifyProgress, VerifyReport};

/// The sink of a run file: the key below `[sink]` picks the place.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkConfig {
    /// A tree of Parquet files that DuckDB, Polars, PyArrow and Spark read as it is.
    Parquet(parquet::Config),
}

impl SinkConfig {
    /// Checks the settings against each other; touches nothing.
    ///
    /// # Errors
    /// Where the place is of a kind that cannot be written.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Parquet(config) => config.root().map(|_| ()),
        }
    }

    /// Opens the place; nothing is read or written before the first call to it.
    ///
    /// # Errors
    /// Where the settings do not fit.
    pub fn open(&self) -> Result<Arc<dyn Sink>> {
        match self {
            Self::Parquet(config) => Ok(Arc::new(parquet::ParquetSink::open(config)?)),
        }
    }

    /// Reads everything that was committed again and compares it with its records, on several threads.
    ///
    /// # Errors
    /// Where the place cannot be read at all; whatever is wrong inside it is a finding of the report.
    pub fn verify(&self, threads: usize, progress: &(dyn Fn(VerifyProgress) + Sync)) -> Result<VerifyReport> {
        match self {
            Self::Parquet(config) => parquet::verify(&config.root()?, threads, progress),
        }
    }

    /// Returns the tenants as the last run found them; an empty list where there was no run.
    ///
    /// # Errors
    /// Where the list is there and cannot be read.
    pub fn tenants(&self) -> Result<Registry> {
        match self {
            Self::Parquet(config) => Registry::read(&config.root()?),
        }
    }

    /// Returns whether something other than a lake of this program stands in the place.
    ///
    /// # Errors
    /// Where the settings do not fit.
    pub fn is_foreign(&self) -> Result<bool> {
        match self {
            Self::Parquet(config) => Ok(parquet::is_foreign(&config.root()?)),
        }
    }
}

/// Returns whether a local folder holds something other than a lake of this program.
#[must_use]
pub fn is_foreign(folder: &Path) -> bool {
    parquet::is_foreign(folder)
}

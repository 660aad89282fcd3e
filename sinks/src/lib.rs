//! The places that data can go to: one folder each, and the list of them.

use std::path::Path;
use std::sync::Arc;

use ::pipeline::{Receipt, Result, Sink, Window};
use schemars::JsonSchema;
use serde::Deserialize;

pub mod parquet;

pub use self::parquet::{
    Changes, CommitEvidence, Evidence, Finding, FindingKind, Garbage, KnownTenant, Moved, PublicKey,
    Registry, RunEvidence, SealedRoot, VerifyOptions, VerifyProgress, VerifyReport,
};

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

    /// Returns where the data goes, as the run file says it.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Parquet(config) => config.url.clone(),
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
    pub fn verify(
        &self,
        options: &VerifyOptions,
        progress: &(dyn Fn(VerifyProgress) + Sync),
    ) -> Result<VerifyReport> {
        match self {
            Self::Parquet(config) => parquet::verify(&config.root()?, options, progress),
        }
    }

    /// Reads what the place can show of a span of time.
    ///
    /// # Errors
    /// Where it cannot be listed.
    pub fn evidence(&self, span: Window) -> Result<Evidence> {
        match self {
            Self::Parquet(config) => parquet::evidence(&config.root()?, span),
        }
    }

    /// Hands over every receipt that was ever committed, each tenant's pull by itself and the oldest first.
    ///
    /// # Errors
    /// Where the place cannot be listed, or a record in it is not what was written.
    pub fn each_receipt(&self, take: impl FnMut(Receipt)) -> Result<()> {
        match self {
            Self::Parquet(config) => parquet::each_receipt(&config.root()?, take),
        }
    }

    /// Lists what no commit names; changes nothing.
    ///
    /// # Errors
    /// Where the place cannot be listed.
    pub fn find_garbage(&self) -> Result<Garbage> {
        match self {
            Self::Parquet(config) => parquet::find_garbage(&config.root()?),
        }
    }

    /// Removes what no commit names, and returns what that was.
    ///
    /// # Errors
    /// Where the records are not whole, so that nothing was removed; or where the place refuses.
    pub fn remove_garbage(&self) -> Result<Garbage> {
        match self {
            Self::Parquet(config) => parquet::remove_garbage(&config.root()?),
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

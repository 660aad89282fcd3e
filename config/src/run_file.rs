//! The run file: its shape, and reading it. Nothing here asks the network or the environment.

use std::num::NonZeroU32;
use std::path::Path;

use connectors::ConnectorConfig;
use pipeline::{Error, ErrorKind, Result, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use sinks::SinkConfig;

use crate::error::Source;
use crate::rules;
use crate::since::{Days, Since, Span};
use crate::tenant::{TenantEntry, TenantRules};

/// A run file: where the data comes from, whose and which it is, and where it goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// The platform and the key.
    pub connector: ConnectorConfig,
    /// Which of the listed tenants are pulled; all of them without it.
    #[serde(default)]
    pub tenants: TenantRules,
    /// Tenants written down, for a key that may not list them; where there are any, no list is asked for.
    #[serde(default)]
    pub tenant: Vec<TenantEntry>,
    /// What is pulled of each tenant; at least one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub dataset: Vec<DatasetEntry>,
    /// Where the data goes.
    pub sink: SinkConfig,
    /// How the run goes about it.
    #[serde(default)]
    pub run: RunSection,
}

/// `[[dataset]]`: one dataset that is pulled of every chosen tenant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetEntry {
    /// The dataset, as `tenantry datasets` names it.
    pub name: String,
    /// Where it begins when nothing was read before, such as `90d` (the default) or `2026-01-31`; only for a
    /// dataset that is read by time.
    pub since: Option<Since>,
    /// How much before the last run's end is read again, for what came late or changed, such as `3d`; `1d` by
    /// default. What did not change is not written again.
    pub overlap: Option<Span>,
    /// How many days lie between two snapshots, such as `7d`; `1d` by default. Only for a dataset that is read whole.
    pub every: Option<Days>,
    /// How many days lie between two full snapshots; between them only what changed is read. Without it every
    /// snapshot is full. Only for a dataset whose changes can be read.
    pub full_every: Option<Days>,
    /// Whether a snapshot that equals the last one is not written again. Only for a dataset that is read whole.
    #[serde(default)]
    pub only_changes: bool,
    /// How old its data may become before `tenantry status` calls it late, such as `36h`; two hours more than
    /// the time between two readings by default.
    pub fresh_within: Option<Span>,
}

/// `[run]`: how the run goes about its work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// How many tenants' datasets are read at once at most; fewer are while the cores have enough to do. Each holds a
    /// page and an open file in memory.
    #[serde(default = "concurrency")]
    pub concurrency: NonZeroU32,
}

impl Default for RunSection {
    fn default() -> Self {
        Self { concurrency: concurrency() }
    }
}

/// Enough to keep the budget of several regions busy while some tenants answer slowly.
fn concurrency() -> NonZeroU32 {
    const { NonZeroU32::new(32).expect("not zero") }
}

impl RunFile {
    /// Reads a run file at `now` and checks everything that can be checked without asking anybody.
    ///
    /// # Errors
    /// Where the file cannot be read, does not parse, or contradicts itself; the error names the line.
    pub fn read(path: &Path, now: Timestamp) -> Result<Self> {
        let text = fs_err::read_to_string(path).map_err(|error| unreadable(path, error))?;
        Self::parse(&text, path, now)
    }

    /// Parses and checks the text of a run file that stands at `path`.
    ///
    /// # Errors
    /// Where it does not parse or contradicts itself; the error names the line.
    pub fn parse(text: &str, path: &Path, now: Timestamp) -> Result<Self> {
        let source = Source::new(path, text.to_owned());
        let file: Self = toml::from_str(text).map_err(|error| source.parse_error(&error))?;
        rules::check(&file, &source, now)?;
        Ok(file)
    }

    /// Returns the JSON Schema of a run file, for editors and for machines that write one.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".to_owned(), "tenantry run file".into());
        schema.to_value()
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let told = Error::new(ErrorKind::Config, "read the run file").with_source(error);
    if missing {
        told.with_hint(format!("`tenantry init --into {}` writes one to start from", path.display()))
    } else {
        told
    }
}

#[cfg(test)]
mod tests;

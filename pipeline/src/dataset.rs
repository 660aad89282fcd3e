//! A dataset: a named collection of records with one schema, the same for every tenant.

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

/// The name of the column that keeps what the schema does not know.
pub const EXTRA: &str = "extra";

/// The name under which set-aside records of every dataset are kept.
pub const REJECTS: &str = "_rejects";

/// How a dataset is read over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// The whole collection, every so many days.
    Snapshot,
    /// What the cursor field places between two instants; the next run begins where this one ended.
    Window,
}

/// Whose data a dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every tenant has its own.
    #[default]
    Tenant,
    /// The account that manages the tenants has it, once.
    Account,
}

/// What can be pulled of each tenant under one name.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name in run files and paths, in snake_case.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// Whose data it is.
    pub scope: Scope,
    /// Datasets with the same pull are filled by one reading and committed together.
    pub pull: &'static str,
    /// Method and path of the endpoint, for people.
    pub endpoint: &'static str,
    /// The part of the platform whose budget it spends.
    pub family: &'static str,
    /// The dataset's own columns, [`EXTRA`] last; without the provenance columns.
    pub schema: SchemaRef,
    /// The columns whose values together name one record of a tenant.
    pub key: &'static [&'static str],
    /// The column that orders records in time, where there is one.
    pub cursor: Option<&'static str>,
    /// The column of text that the listing is asked to be ordered by; whether it is, the rows tell.
    pub ordered_by: Option<&'static str>,
    /// Whether what changed in a span of time can be read alone, although the dataset is read as a whole.
    pub by_change: bool,
    /// How it is read over time.
    pub mode: ReadMode,
    /// The largest page the endpoint grants, in records: the cost of a dataset in requests.
    pub page_size: u32,
}

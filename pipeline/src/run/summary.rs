//! What a run came to.

use serde::{Deserialize, Serialize};

use crate::{Error, Receipt, Timestamp, Verdict};

/// How a run ended as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every tenant's dataset is whole.
    Complete,
    /// Some are not; the receipts say which and why.
    Incomplete,
    /// The operator interrupted it.
    Cancelled,
    /// An error ended it that every tenant would have met.
    Failed,
}

/// What a run came to, as it is printed and kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// The version of this record's shape.
    pub schema_version: u32,
    /// The run.
    pub run_id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it replayed set-aside records and read nothing: then the commits alone have receipts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// Tenants that were listed and chosen.
    pub tenants: u64,
    /// The error that ended the run early, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same error as a value, for whoever started the run.
    #[serde(skip)]
    pub ended_by: Option<Error>,
    /// One for each tenant and dataset of the plan.
    pub receipts: Vec<Receipt>,
}

impl RunSummary {
    /// The version written into new records.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Returns how many datasets of tenants ended with a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.receipts.iter().filter(|receipt| receipt.verdict == verdict).count()
    }

    /// Returns whether anything was committed in this run that fits its dataset.
    #[must_use]
    pub fn committed_anything(&self) -> bool {
        self.receipts.iter().any(|receipt| receipt.committed && receipt.verdict != Verdict::Failed)
    }

    /// Returns the receipts that somebody has to look at.
    pub fn not_good(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter().filter(|receipt| !receipt.verdict.is_good())
    }
}

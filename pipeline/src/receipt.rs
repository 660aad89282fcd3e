//! A receipt: the proof of what was asked of one tenant for one dataset, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::batch::Counts;
use crate::{Drift, Error, ErrorKind, Region, Tenant, TenantId, Timestamp, Window};

/// How one tenant's dataset ended in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything the platform said there is was read and committed.
    Complete,
    /// The platform said there is nothing, and nothing was there.
    Empty,
    /// It was read before and is still good; nothing was asked.
    UpToDate,
    /// The reading was cut short; of a backlog the windows before it are committed, of anything else nothing.
    Partial,
    /// The tenant refused a key that is otherwise good.
    Unauthorized,
    /// The key lacks the right for it.
    Forbidden,
    /// The platform could not be reached, or refused for want of budget.
    Unavailable,
    /// The listing shifted while it was read, and reading again did not settle it.
    Drifted,
    /// The listing holds far less than the last one; the last one stays until somebody confirms the new.
    Shrunk,
    /// What the lake holds of it is gone or changed; it is not read before somebody puts that right.
    Damaged,
    /// Anything else went wrong.
    Failed,
}

impl Verdict {
    /// Returns whether the data is whole, so that nobody has to look.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Complete | Self::Empty | Self::UpToDate)
    }

    /// Returns the verdict that an error means for the dataset it happened to.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Overtaken => Self::Unavailable,
            ErrorKind::Cancelled | ErrorKind::Auth => Self::Partial,
            ErrorKind::Drifted => Self::Drifted,
            ErrorKind::Shrunk => Self::Shrunk,
            ErrorKind::Damaged => Self::Damaged,
            ErrorKind::Usage
            | ErrorKind::Config
            | ErrorKind::Contract
            | ErrorKind::Isolation
            | ErrorKind::Sink
            | ErrorKind::Bug => Self::Failed,
        }
    }

    /// Returns the word for it, as it stands in receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Empty => "empty",
            Self::UpToDate => "up_to_date",
            Self::Partial => "partial",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
            Self::Drifted => "drifted",
            Self::Shrunk => "shrunk",
            Self::Damaged => "damaged",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Receipt {
    /// Returns the receipt of a dataset that nothing was asked of at an instant: failed, until somebody says otherwise.
    #[must_use]
    pub fn of_nothing(tenant: &Tenant, region: Region, dataset: &str, at: Timestamp) -> Self {
        Self {
            organization_id: tenant.id.clone(),
            organization_name: tenant.name.clone(),
            region,
            dataset: dataset.to_owned(),
            verdict: Verdict::Failed,
            committed: false,
            window: None,
            claimed_first: None,
            claimed_last: None,
            pages: 0,
            bytes: 0,
            requests: 0,
            passes: 0,
            counts: Counts::default(),
            rows_written: 0,
            content: None,
            drift: Drift::default(),
            started_at: at,
            pulled_at: None,
            finished_at: at,
            key_fingerprint: String::new(),
            version: String::new(),
            error: None,
            hint: None,
        }
    }

    /// Adds the receipt of the partition that followed: together they are that of both windows.
    pub(crate) fn add(&mut self, later: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| a.and_then(|a| Some(a + b?));
        // What is wrong with one window is not made good by the next.
        if !later.verdict.is_good() || self.verdict == Verdict::Empty {
            self.verdict = later.verdict;
            (self.error, self.hint) = (later.error.clone(), later.hint.clone());
        }
        self.window = match (self.window, later.window) {
            (Some(first), Some(last)) => Some(Window { since: first.since, until: last.until }),
            _ => later.window,
        };
        self.claimed_first = sum(self.claimed_first, later.claimed_first);
        self.claimed_last = sum(self.claimed_last, later.claimed_last);
        self.pages += later.pages;
        self.bytes += later.bytes;
        self.requests += later.requests;
        self.passes = self.passes.max(later.passes);
        self.counts.add(&later.counts);
        self.rows_written += later.rows_written;
        self.drift.add(&later.drift);
        self.finished_at = later.finished_at;
        self.pulled_at = self.pulled_at.max(later.pulled_at);
    }
}

/// What was claimed, read, kept and written of one tenant's dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The tenant.
    pub organization_id: TenantId,
    /// Its name at the time.
    pub organization_name: String,
    /// The region it was asked in.
    pub region: Region,
    /// The dataset.
    pub dataset: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether this run committed it.
    pub committed: bool,
    /// The span of time that was asked for, where the dataset has one.
    pub window: Option<Window>,
    /// What the platform said there is, on the first page, of the listing that was read.
    pub claimed_first: Option<u64>,
    /// What it said on the last page.
    pub claimed_last: Option<u64>,
    /// Pages read; shared by the datasets of one pull.
    pub pages: u64,
    /// Bytes of JSON in them.
    pub bytes: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Times the listing was walked.
    pub passes: u64,
    /// What the pages held.
    #[serde(flatten)]
    pub counts: Counts,
    /// Records in the footers of the files that were written.
    pub rows_written: u64,
    /// A digest of all records of a snapshot, whatever their order, where the next one is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// How the records differed from the schema.
    #[serde(default, skip_serializing_if = "Drift::is_empty")]
    pub drift: Drift,
    /// When the reading began.
    pub started_at: Timestamp,
    /// The time that its rows carry, where a clock that fell back makes that another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Which key asked; never the key.
    pub key_fingerprint: String,
    /// The version of the program.
    pub version: String,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the operator can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

//! What a run says it came to, as a program outside reads it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// What `tenantry run --json` prints.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// How the run ended as a whole.
    pub outcome: String,
    /// Tenants that were listed and chosen.
    pub tenants: u64,
    /// What ended it early.
    pub error: Option<String>,
    /// One for each tenant and dataset.
    pub receipts: Vec<Receipt>,
}

/// How one tenant's dataset ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Receipt {
    /// The tenant's id.
    pub organization_id: String,
    /// Its name.
    pub organization_name: String,
    /// Its region.
    pub region: String,
    /// The dataset.
    pub dataset: String,
    /// How it ended.
    pub verdict: String,
    /// Whether this run committed it.
    pub committed: bool,
    /// The span of time that was asked for.
    pub window: Option<Window>,
    /// What the platform said there is.
    pub claimed_last: Option<u64>,
    /// Requests that were sent.
    pub requests: u64,
    /// How often the listing was walked.
    pub passes: u64,
    /// Records in the pages.
    pub read: u64,
    /// Records that were there before.
    pub duplicates: u64,
    /// Records set aside.
    pub rejects: u64,
    /// Records that were committed just so before.
    pub unchanged: u64,
    /// Records left for the next window.
    pub later: u64,
    /// Records in the files.
    pub rows_written: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A span of time, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Window {
    /// The first instant.
    pub since: DateTime<Utc>,
    /// The instant after the last.
    pub until: DateTime<Utc>,
}

impl Summary {
    /// Reads what was printed.
    ///
    /// # Panics
    /// Where it is no summary.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("no summary: {error}: {text:?}"))
    }

    /// Returns the receipt of a tenant and dataset.
    ///
    /// # Panics
    /// Where there is none, or more than one.
    #[must_use]
    pub fn receipt(&self, tenant: &str, dataset: &str) -> &Receipt {
        let mut found =
            self.receipts.iter().filter(|it| it.organization_id == tenant && it.dataset == dataset);
        let first = found.next().unwrap_or_else(|| panic!("no receipt of {tenant} {dataset}"));
        assert!(found.next().is_none(), "two receipts of {tenant} {dataset}");
        first
    }

    /// Returns the receipts of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Vec<&Receipt> {
        self.receipts.iter().filter(|it| it.organization_id == tenant).collect()
    }

    /// Returns the ids of the tenants that have a receipt that is not good.
    #[must_use]
    pub fn not_good(&self) -> BTreeSet<&str> {
        let bad = self.receipts.iter().filter(|receipt| !receipt.is_good());
        bad.map(|receipt| receipt.organization_id.as_str()).collect()
    }

    /// Checks that whoever has nothing to show says why, and that who is fine had nothing to hide.
    ///
    /// # Panics
    /// Where a receipt claims what it should not.
    pub fn check_honest(&self) {
        for receipt in &self.receipts {
            let shown = format!("{receipt:?}");
            match receipt.verdict.as_str() {
                "complete" => assert!(receipt.committed && receipt.read > 0, "{shown}"),
                "empty" => {
                    assert!(receipt.committed && receipt.read == 0, "{shown}");
                    assert!(receipt.claimed_last.is_none_or(|claimed| claimed == 0), "{shown}");
                }
                "up_to_date" => assert!(!receipt.committed && receipt.error.is_none(), "{shown}"),
                "drifted" => {}
                // Of a backlog the windows before the one that failed are committed.
                _ if receipt.window.is_some() => assert!(receipt.error.is_some(), "{shown}"),
                _ => assert!(!receipt.committed && receipt.error.is_some(), "{shown}"),
            }
            if !receipt.committed {
                assert_eq!(receipt.rows_written, 0, "{shown}");
            }
        }
    }

    /// Returns how many receipts have each verdict.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<&str, usize> {
        let mut verdicts = BTreeMap::new();
        for receipt in &self.receipts {
            *verdicts.entry(receipt.verdict.as_str()).or_default() += 1;
        }
        verdicts
    }
}

impl Receipt {
    /// Returns whether nobody has to look.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.verdict.as_str(), "complete" | "empty" | "up_to_date")
    }
}

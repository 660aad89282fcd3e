//! A partition: the bounded piece of one tenant's data that is read, retried and committed as one.

use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{Dataset, Region, Tenant, Timestamp};

/// What one tenant is asked for: the datasets that one pull fills.
#[derive(Debug, Clone)]
pub struct Job {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// The tenant's own region; the only one it is asked in.
    pub region: Region,
    /// The chosen datasets of one pull, at least one.
    pub datasets: Vec<Arc<Dataset>>,
    /// Where a windowed dataset begins when nothing was read before.
    pub since: Timestamp,
}

impl Job {
    /// Returns the pull that fills the datasets.
    #[must_use]
    pub fn pull(&self) -> &'static str {
        self.datasets[0].pull
    }
}

/// A half-open span of time: `since` belongs to it, `until` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first instant.
    pub since: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// One unit of work, retry and commit.
#[derive(Debug, Clone)]
pub struct Partition {
    /// The tenant it belongs to.
    pub tenant: Arc<Tenant>,
    /// The region it is read in and written under.
    pub region: Region,
    /// The datasets it fills, at least one.
    pub datasets: Vec<Arc<Dataset>>,
    /// The span of the cursor field, where the datasets are windowed.
    pub window: Option<Window>,
    /// The day the data is filed under.
    pub date: NaiveDate,
}

impl Partition {
    /// Returns the pull that fills the datasets.
    #[must_use]
    pub fn pull(&self) -> &'static str {
        self.datasets[0].pull
    }
}

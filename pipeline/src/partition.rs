//! A partition: the bounded piece of one tenant's data that is read, retried and committed as one.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
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
    /// How it is read over time.
    pub reading: Reading,
}

/// How a pull is read over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Where a windowed dataset begins when nothing was read before.
    pub since: Timestamp,
    /// How much before the checkpoint is read again, for records that came late or changed.
    pub overlap: TimeDelta,
    /// Days from one snapshot to the next.
    pub every: Days,
    /// Days from one full snapshot to the next, where only what changed is read between them.
    pub full_every: Option<Days>,
    /// Whether a snapshot that equals the last one is not written again.
    pub only_changes: bool,
    /// What is asked for.
    pub ask: Ask,
}

/// What a run asks of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// What is due.
    #[default]
    Due,
    /// A span of time, whatever was read of it before.
    Span(Window),
    /// Everything, as if nothing had been read before.
    Everything,
}

/// A number of days.
pub type Days = u32;

impl Reading {
    /// Returns the reading of a pull from an instant on: without overlap, daily, each snapshot full and written.
    #[must_use]
    pub fn from(since: Timestamp) -> Self {
        let overlap = TimeDelta::zero();
        Self { since, overlap, every: 1, full_every: None, only_changes: false, ask: Ask::Due }
    }
}

impl Job {
    /// Returns the pull that fills the datasets.
    #[must_use]
    pub fn pull(&self) -> &'static str {
        self.datasets[0].pull
    }
}

/// A span of time, closed at both ends: neighbours share a border, and what stands on it is read by both and kept once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first instant.
    pub since: Timestamp,
    /// The last instant.
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

    /// Returns whether a dataset is among those that are wanted of the pull.
    #[must_use]
    pub fn has(&self, dataset: &str) -> bool {
        self.datasets.iter().any(|it| it.name == dataset)
    }
}

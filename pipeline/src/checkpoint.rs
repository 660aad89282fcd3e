//! A checkpoint: how far one tenant's pull is durable.

use serde::{Deserialize, Serialize};

use crate::{Job, Receipt, Timestamp};

/// The durable position of one tenant's pull; moved only by a commit that holds the records up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// How many commits led here; zero where there was none yet.
    pub sequence: u64,
    /// Everything before this instant is durable: the end of the last window, or the moment of the last snapshot.
    pub through: Option<Timestamp>,
    /// The last full snapshot, where the pull is read as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<FullSnapshot>,
}

impl Checkpoint {
    /// Returns the checkpoint of the next commit, at an instant.
    #[must_use]
    pub fn next(&self, through: Option<Timestamp>) -> Self {
        Self { sequence: self.sequence + 1, through, ..*self }
    }
}

/// A reading of everything there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullSnapshot {
    /// When it began.
    pub at: Timestamp,
    /// Records of the listing that it kept: what the next one is compared with.
    pub records: u64,
}

/// What a place holds of one tenant's pull.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// How far it is durable.
    pub checkpoint: Checkpoint,
    /// The last committed receipt of each of its datasets.
    pub receipts: Vec<Receipt>,
    /// The datasets that the pull's last reading was not for: the checkpoint is not theirs.
    pub behind: Vec<String>,
}

impl Standing {
    /// Returns the checkpoint as far as it is that of all of a job's datasets: where one of them was not read with
    /// the others, or never, everything is read.
    #[must_use]
    pub fn checkpoint_of(&self, job: &Job) -> Checkpoint {
        let was_read = |name: &str| self.receipts.iter().any(|receipt| receipt.dataset == name);
        let is_behind = |name: &str| self.behind.iter().any(|behind| behind == name) || !was_read(name);
        let lags = !self.receipts.is_empty() && job.datasets.iter().any(|dataset| is_behind(dataset.name));
        if lags { Checkpoint { through: None, full: None, ..self.checkpoint } } else { self.checkpoint }
    }
}

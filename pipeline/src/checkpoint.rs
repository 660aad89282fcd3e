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
    /// Records that the listing held, whether they fitted or not: what the next one is compared with.
    pub records: u64,
    /// Records that stood inside those, such as the findings of assets; nothing where they were never asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<u64>,
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
    /// Returns how far a dataset is durable: as far as the pull, or where its last readings were for others, as far as
    /// its own last one.
    #[must_use]
    pub fn through(&self, dataset: &str) -> Option<Timestamp> {
        let through = self.checkpoint.through;
        if self.receipts.is_empty() {
            return through;
        }
        let receipt = self.receipts.iter().find(|receipt| receipt.dataset == dataset)?;
        match self.behind.iter().any(|behind| behind == dataset) {
            false => through,
            true if receipt.verdict.is_good() => through.min(Some(receipt.started_at)),
            true => None,
        }
    }

    /// Returns the checkpoint as far as it is that of all of a job's datasets.
    #[must_use]
    pub fn checkpoint_of(&self, job: &Job) -> Checkpoint {
        let through = job.datasets.iter().map(|dataset| self.through(dataset.name)).min().flatten();
        // A full snapshot that was taken since was not for all of them.
        let full = self.checkpoint.full.filter(|full| Some(full.at) <= through);
        Checkpoint { through, full, ..self.checkpoint }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::testing::{dataset, job, receipt};
    use crate::{Partition, Verdict};

    fn day(number: i64) -> Timestamp {
        DateTime::from_timestamp(number * 86_400, 0).expect("an instant")
    }

    #[test]
    fn a_dataset_is_as_far_as_its_own_last_reading() {
        let Job { tenant, region, datasets, .. } = job("a", &dataset("assets", "vm"));
        let partition = Partition { tenant, region, datasets, window: None, date: day(1).date_naive() };
        let read = |name: &str, on, verdict| Receipt { verdict, ..receipt(&partition, name, 5, day(on)) };
        let full = Some(FullSnapshot { at: day(2), records: 5, inside: None });
        let checkpoint = Checkpoint { sequence: 4, through: Some(day(3)), full };
        let standing = |verdict| Standing {
            checkpoint,
            receipts: vec![read("assets", 3, Verdict::Complete), read("findings", 1, verdict)],
            behind: vec!["findings".to_owned()],
        };
        let check = |standing: &Standing, names: &[&'static str], through: Option<i64>, is_full: bool| {
            let mut job = job("a", &dataset("assets", "vm"));
            job.datasets = names.iter().map(|name| dataset(name, "vm")).collect();
            let own = standing.checkpoint_of(&job);
            assert_eq!(
                (own.sequence, own.through, own.full.is_some()),
                (4, through.map(day), is_full),
                "{names:?}"
            );
        };
        check(&standing(Verdict::Complete), &["assets"], Some(3), true);
        check(&standing(Verdict::Complete), &["findings"], Some(1), false);
        check(&standing(Verdict::Complete), &["assets", "findings"], Some(1), false);
        check(&standing(Verdict::Drifted), &["assets", "findings"], None, false);
        check(&standing(Verdict::Complete), &["assets", "scans"], None, false);
        check(&Standing { checkpoint, ..Standing::default() }, &["assets"], Some(3), true);
    }
}

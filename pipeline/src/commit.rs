//! A commit: the files of a partition and the move of its checkpoint, visible together or not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Checkpoint, Partition, Receipt};

/// A file that a writer closed; invisible to readers until a commit names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// The dataset whose records it holds.
    pub dataset: String,
    /// Where it is, relative to the sink's root, with `/` between segments.
    pub path: String,
    /// Records in its footer.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What makes a partition's files and its checkpoint visible.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The run that made it.
    pub run_id: String,
    /// The partition that was read.
    pub partition: Partition,
    /// The files that its writer closed; possibly none.
    pub files: Vec<DataFile>,
    /// The checkpoint that the reading began from; a sink refuses one that is stale.
    pub from: Checkpoint,
    /// Where the checkpoint stands afterwards.
    pub to: Checkpoint,
    /// The proof, one for each dataset of the partition.
    pub receipts: Vec<Receipt>,
    /// What it takes up again, where it is a replay and no reading.
    pub replays: Option<Replays>,
}

/// The set-aside records that a commit takes up again: from then on they wait no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replays {
    /// The sequence of the commit whose reading brought them.
    pub reading: u64,
    /// The files that held them.
    pub files: Vec<String>,
    /// How many they were, by dataset.
    pub records: BTreeMap<String, u64>,
}

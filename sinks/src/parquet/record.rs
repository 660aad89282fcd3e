//! The record of a commit, as it stands in the lake.
//!
//! A record ends with the hash of its own text and holds that of the record before it: one that was edited
//! or exchanged afterwards is noticed.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{NaiveDate, NaiveTime};
use pipeline::{Checkpoint, Commit, DataFile, Receipt, Region, Replays, TenantId, Timestamp, Window};
use serde::{Deserialize, Serialize};

use super::seal::{seal, seal_of};

/// The version written into new records.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What one commit made visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) schema_version: u32,
    pub(super) commit: String,
    pub(super) run_id: String,
    pub(super) organization_id: TenantId,
    pub(super) region: Region,
    pub(super) pull: String,
    pub(super) date: NaiveDate,
    pub(super) window: Option<Window>,
    pub(super) from: Checkpoint,
    pub(super) to: Checkpoint,
    /// The furthest instant that this commit or one before it read up to; a checkpoint that is put back leaves it.
    pub(super) reach: Option<Timestamp>,
    pub(super) files: Vec<DataFile>,
    pub(super) receipts: Vec<Receipt>,
    /// Datasets of the pull that this commit did not read, and the sequence of the commit that last did.
    pub(super) earlier: BTreeMap<String, u64>,
    /// The set-aside records that it took up again, where it is a replay and no reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replays: Option<Replays>,
    /// When the reading ended, as the receipts say.
    pub(super) committed_at: Timestamp,
    /// The version of the program.
    pub(super) version: String,
    /// The hash of the record before this one.
    pub(super) previous: Option<String>,
}

/// A record and the hash of its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sealed {
    pub(super) record: Record,
    pub(super) sha256: String,
}

/// Why a text is not a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Flaw {
    /// It is no JSON of a record's shape.
    Unreadable(String),
    /// Its hash is not that of its text.
    Edited,
    /// A version of the program wrote it that this one does not know.
    Version(u64),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => f.write_str(why),
            Self::Edited => f.write_str("it was changed after it was written"),
            Self::Version(version) => {
                write!(f, "a newer version of the program wrote it (schema version {version})")
            }
        }
    }
}

impl Record {
    /// Returns the record of a commit that follows another.
    pub(super) fn new(commit: &Commit, id: &str, previous: Option<&Sealed>) -> Self {
        let partition = &commit.partition;
        let finished = commit.receipts.iter().map(|receipt| receipt.finished_at).max();
        Self {
            schema_version: SCHEMA_VERSION,
            commit: id.to_owned(),
            run_id: commit.run_id.clone(),
            organization_id: partition.tenant.id.clone(),
            region: partition.region.clone(),
            pull: partition.pull().to_owned(),
            date: partition.date,
            window: partition.window,
            from: commit.from,
            to: commit.to,
            reach: previous.and_then(|sealed| sealed.record.reach).max(read_up_to(commit)),
            files: commit.files.clone(),
            receipts: commit.receipts.clone(),
            earlier: earlier(commit, previous),
            replays: commit.replays.clone(),
            committed_at: finished.unwrap_or_else(|| partition.date.and_time(NaiveTime::MIN).and_utc()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            previous: previous.map(|sealed| sealed.sha256.clone()),
        }
    }

    /// Returns whether the record is what this commit would write.
    pub(super) fn is_of(&self, commit: &Commit) -> bool {
        self.run_id == commit.run_id
            && self.files == commit.files
            && self.from == commit.from
            && self.to == commit.to
            && self.receipts == commit.receipts
            && self.replays == commit.replays
    }

    /// Returns the sequence of the commit whose reading brought the records: its own, unless it is a replay.
    pub(super) fn reading(&self) -> u64 {
        self.replays.as_ref().map_or(self.to.sequence, |replays| replays.reading)
    }

    /// Returns whether it commits what was read: a moved checkpoint and a replay are no readings.
    pub(super) fn is_reading(&self) -> bool {
        !self.of_reading().is_empty()
    }

    /// Returns what it says of each dataset's last reading: nothing where it is a replay.
    pub(super) fn of_reading(&self) -> &[Receipt] {
        if self.replays.is_some() { &[] } else { &self.receipts }
    }

    /// Returns the text of the record, sealed with its hash.
    pub(super) fn seal(&self) -> Vec<u8> {
        seal(serde_json::to_vec(self).expect("a record has no map with keys other than strings"))
    }
}

impl Sealed {
    /// Reads a sealed record.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Flaw> {
        let sha256 = check_sealed(text, SCHEMA_VERSION)?;
        let record = serde_json::from_slice(text).map_err(|error| Flaw::Unreadable(error.to_string()))?;
        Ok(Self { record, sha256 })
    }
}

fn read_up_to(commit: &Commit) -> Option<Timestamp> {
    let day = commit.partition.date.and_time(chrono::NaiveTime::MIN).and_utc();
    commit.partition.window.map(|window| window.until).or(commit.to.through.max(Some(day)))
}

/// Returns the hash that a text is sealed with, if it is of a version that this program knows.
pub(super) fn check_sealed(text: &[u8], version: u32) -> Result<String, Flaw> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u64,
    }
    let found: Version = serde_json::from_slice(text).map_err(|error| Flaw::Unreadable(error.to_string()))?;
    if found.schema_version != u64::from(version) {
        return Err(Flaw::Version(found.schema_version));
    }
    seal_of(text).ok_or(Flaw::Edited)
}

fn earlier(commit: &Commit, previous: Option<&Sealed>) -> BTreeMap<String, u64> {
    let Some(Sealed { record, .. }) = previous else { return BTreeMap::new() };
    let of_previous = record.of_reading().iter().map(|receipt| (receipt.dataset.clone(), record.to.sequence));
    let mut earlier = record.earlier.clone();
    earlier.extend(of_previous);
    earlier.retain(|dataset, _| {
        commit.replays.is_some() || !commit.receipts.iter().any(|receipt| receipt.dataset == *dataset)
    });
    earlier
}

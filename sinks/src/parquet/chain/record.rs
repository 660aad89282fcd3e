//! The record of a run: what it came to and the commits it covers, under one root.

use pipeline::run::{Outcome, RunSummary};
use pipeline::{Error, ErrorKind, Result, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::merkle;
use super::super::record::{Flaw, Sealed, check_sealed};
use super::super::rolling::hex;
use super::super::seal::seal;
use super::super::signing::{Signature, SigningKey};

/// The version written into new records.
const SCHEMA_VERSION: u32 = 1;

/// What one run sealed.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct RunRecord {
    schema_version: u32,
    /// The header, whose exact text is the first leaf.
    run: Box<RawValue>,
    /// What the run came to, with the receipts of what was not committed: the second leaf.
    pub(in super::super) summary: Box<RawValue>,
    /// The commits, one leaf each: the digits of the commit record's hash.
    pub(in super::super) commits: Vec<Covered>,
    /// The root over the leaves.
    pub(in super::super) root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) signature: Option<Signature>,
}

/// Which run it was, and what stood before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Header {
    pub(in super::super) sequence: u64,
    pub(in super::super) run_id: String,
    pub(in super::super) started_at: Timestamp,
    pub(in super::super) finished_at: Timestamp,
    pub(in super::super) outcome: Outcome,
    /// Whether it replayed set-aside records and read nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in super::super) replay: bool,
    /// The hash of the registry of tenants when the run ended, where there was one.
    pub(in super::super) registry: Option<String>,
    /// The hash of the run record before this one.
    pub(in super::super) previous: Option<String>,
    /// The version of the program.
    pub(in super::super) version: String,
}

/// A commit that a run record covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Covered {
    pub(in super::super) organization_id: TenantId,
    pub(in super::super) pull: String,
    pub(in super::super) sequence: u64,
    /// The hash of the commit record.
    pub(in super::super) sha256: String,
    /// The run that committed it, where that is another: one that was killed, or has not ended yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) adopted_from: Option<String>,
}

impl Covered {
    /// Returns the entry of a commit in the record of a run.
    pub(super) fn new(sealed: &Sealed, run_id: &str) -> Self {
        let record = &sealed.record;
        Self {
            organization_id: record.organization_id.clone(),
            pull: record.pull.clone(),
            sequence: record.to.sequence,
            sha256: sealed.sha256.clone(),
            adopted_from: (record.run_id != run_id).then(|| record.run_id.clone()),
        }
    }
}

impl RunRecord {
    /// Returns the record of a run, signed where there is a key.
    pub(super) fn new(
        header: &Header,
        summary: Box<RawValue>,
        commits: Vec<Covered>,
        key: Option<&SigningKey>,
    ) -> Result<Self> {
        let mut record = Self {
            schema_version: SCHEMA_VERSION,
            run: laid_out(header)?,
            summary,
            commits,
            root: String::new(),
            signature: None,
        };
        record.root = record.root_of_leaves();
        record.signature = key.map(|key| key.sign(&record.root));
        Ok(record)
    }

    /// Returns the root over the leaves that the record has.
    pub(in super::super) fn root_of_leaves(&self) -> String {
        let fixed = [self.run.get(), self.summary.get()].map(|text| merkle::leaf(text.as_bytes()));
        let commits = self.commits.iter().map(|commit| merkle::leaf(commit.sha256.as_bytes()));
        hex(&merkle::root(&fixed.into_iter().chain(commits).collect::<Vec<_>>()))
    }

    /// Returns the text of the record, sealed with its hash.
    pub(in super::super) fn seal(&self) -> Vec<u8> {
        seal(serde_json::to_vec(self).expect("a run record is plain data"))
    }
}

/// Returns the text of a value that becomes a part of a record.
pub(super) fn laid_out(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "lay out the record of a run").with_source(error))
}

/// A run record, its header and the hash of its text.
#[derive(Debug)]
pub(in super::super) struct SealedRun {
    pub(in super::super) record: RunRecord,
    pub(in super::super) header: Header,
    pub(in super::super) sha256: String,
}

impl SealedRun {
    /// Reads a sealed run record.
    pub(in super::super) fn parse(text: &[u8]) -> Result<Self, Flaw> {
        let sha256 = check_sealed(text, SCHEMA_VERSION)?;
        let unreadable = |error: serde_json::Error| Flaw::Unreadable(error.to_string());
        let record: RunRecord = serde_json::from_slice(text).map_err(unreadable)?;
        let header = serde_json::from_str(record.run.get()).map_err(unreadable)?;
        Ok(Self { record, header, sha256 })
    }

    /// Returns what the run came to.
    pub(in super::super) fn summary(&self) -> Result<RunSummary, Flaw> {
        serde_json::from_str(self.record.summary.get()).map_err(|error| Flaw::Unreadable(error.to_string()))
    }
}

//! The head: how far the run records go, and which commits they cover.
//!
//! It follows from the records, and is kept for three reasons: the next run need not read all of them, a newest
//! record that was removed is missed, and what was refused weeks ago is still known.

use std::collections::BTreeMap;

use pipeline::{Receipt, Result, TenantId};
use serde::{Deserialize, Serialize};

use super::super::layout::Layout;
use super::super::record::{Flaw, check_sealed};
use super::super::seal::seal;
use super::super::store::read_if_there;
use super::Covered;

/// The version written into new heads.
const SCHEMA_VERSION: u32 = 1;

/// How far the run records go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Head {
    schema_version: u32,
    /// The number of the newest record; zero before the first.
    pub(in super::super) sequence: u64,
    /// Its hash, unless it could not be read.
    pub(in super::super) record: Option<String>,
    pub(in super::super) covered: Coverage,
    /// The last receipt of everything that did not end well when it was last asked for.
    pub(in super::super) unsettled: Vec<Receipt>,
}

/// The highest sequence of each tenant's pull that a run record covers; those before it are covered too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Coverage(BTreeMap<TenantId, BTreeMap<String, u64>>);

impl Default for Head {
    fn default() -> Self {
        Self::new(0, None, Coverage::default(), Vec::new())
    }
}

impl Head {
    pub(super) fn new(
        sequence: u64,
        record: Option<String>,
        covered: Coverage,
        unsettled: Vec<Receipt>,
    ) -> Self {
        Self { schema_version: SCHEMA_VERSION, sequence, record, covered, unsettled }
    }

    /// Reads the head, if there is one.
    pub(in super::super) fn read(layout: &Layout) -> Result<Option<Result<Self, Flaw>>> {
        let text = read_if_there("read the head of the run records", &layout.head())?;
        Ok(text.map(|text| Self::parse(&text)))
    }

    pub(in super::super) fn parse(text: &[u8]) -> Result<Self, Flaw> {
        check_sealed(text, SCHEMA_VERSION)?;
        serde_json::from_slice(text).map_err(|error| Flaw::Unreadable(error.to_string()))
    }

    pub(in super::super) fn seal(&self) -> Vec<u8> {
        seal(serde_json::to_vec(self).expect("a head is plain data"))
    }
}

impl Coverage {
    /// Returns the highest sequence that is covered; zero where none is.
    pub(in super::super) fn of(&self, tenant: &TenantId, pull: &str) -> u64 {
        self.0.get(tenant).and_then(|pulls| pulls.get(pull)).copied().unwrap_or_default()
    }

    /// Returns every tenant's pull that is covered.
    pub(in super::super) fn pulls(&self) -> impl Iterator<Item = (&TenantId, &str)> {
        self.0.iter().flat_map(|(tenant, pulls)| pulls.keys().map(move |pull| (tenant, pull.as_str())))
    }

    /// Adds a commit that a record covers.
    pub(in super::super) fn cover(&mut self, commit: &Covered) {
        let pulls = self.0.entry(commit.organization_id.clone()).or_default();
        let newest = pulls.entry(commit.pull.clone()).or_default();
        *newest = commit.sequence.max(*newest);
    }
}

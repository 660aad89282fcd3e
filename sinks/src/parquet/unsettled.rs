//! What did not end well when it was last asked for: a later run that asks for less does not settle it.

use std::collections::BTreeMap;
use std::io;

use pipeline::run::RunSummary;
use pipeline::{Error, ErrorKind, Receipt, Result};
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::registry::Registry;
use super::store::failed;

/// The version written into new lists.
const SCHEMA_VERSION: u32 = 1;

/// The last receipt of every tenant and dataset whose verdict is not good.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unsettled {
    schema_version: u32,
    pub(super) receipts: Vec<Receipt>,
}

impl Unsettled {
    /// Reads the list of a lake; an empty one where there is none yet.
    pub(super) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.unsettled();
        let text = match fs_err::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { schema_version: SCHEMA_VERSION, receipts: Vec::new() });
            }
            text => text.map_err(|error| failed("read what is not settled", &path, error))?,
        };
        serde_json::from_slice(&text).map_err(|error| {
            Error::new(ErrorKind::Sink, "read what is not settled")
                .with_source(error)
                .with_context("path", path.display().to_string())
                .with_hint("move the file away: the next run writes it anew")
        })
    }

    /// Takes over what a run came to; tenants that left are nobody's concern any more.
    pub(super) fn take_over(&mut self, summary: &RunSummary, registry: &Registry) {
        let key = |receipt: &Receipt| (receipt.organization_id.clone(), receipt.dataset.clone());
        let mut open: BTreeMap<_, Receipt> = self.receipts.drain(..).map(|it| (key(&it), it)).collect();
        for receipt in &summary.receipts {
            if receipt.verdict.is_good() {
                open.remove(&key(receipt));
            } else {
                open.insert(key(receipt), receipt.clone());
            }
        }
        let has_left = |receipt: &Receipt| {
            registry.tenants.iter().any(|known| known.id == receipt.organization_id && !known.listed)
        };
        self.receipts = open.into_values().filter(|receipt| !has_left(receipt)).collect();
    }
}

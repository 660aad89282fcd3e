//! A segment: the exact texts of the oldest records of a pull, one a line, closed by a line about all of them.
//!
//! The texts stay what they were, so that their hashes and their chain can be checked as before.

use std::io;
use std::path::{Path, PathBuf};

use pipeline::{Error, Result, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layout::Layout;
use super::pulls::{Names, Span};
use super::record::{Flaw, Sealed, check_sealed};
use super::rolling::hex;
use super::seal::seal;
use super::store::{damaged, failed};

/// The version written into new segments.
const SCHEMA_VERSION: u32 = 1;

/// The last line of a segment.
#[derive(Serialize, Deserialize)]
struct Closing {
    schema_version: u32,
    first: u64,
    last: u64,
    /// The hash of all lines before this one.
    records: String,
}

/// Returns the text of a segment of records, which are whole lines.
pub(super) fn text(span: Span, records: &[Vec<u8>]) -> Vec<u8> {
    let mut text = records.concat();
    let closing = Closing {
        schema_version: SCHEMA_VERSION,
        first: span.first,
        last: span.last,
        records: hex(&Sha256::digest(&text)),
    };
    text.extend(seal(serde_json::to_vec(&closing).expect("a closing line is plain data")));
    text
}

/// Splits the text of a segment into its records, in order.
pub(super) fn split(span: Span, text: &[u8]) -> Result<Vec<&[u8]>, Flaw> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let last = lines.pop().unwrap_or_default();
    check_sealed(last, SCHEMA_VERSION)?;
    let closing: Closing =
        serde_json::from_slice(last).map_err(|error| Flaw::Unreadable(error.to_string()))?;
    let records = hex(&Sha256::digest(&text[..text.len() - last.len()]));
    let fits = closing.records == records
        && (closing.first, closing.last) == (span.first, span.last)
        && span.last.checked_sub(span.first).map(|more| more + 1) == Some(lines.len() as u64);
    if fits { Ok(lines) } else { Err(Flaw::Edited) }
}

/// A segment that was read.
pub(super) struct Segment {
    path: PathBuf,
    span: Span,
    lines: Vec<Vec<u8>>,
}

impl Segment {
    /// Reads the segment that holds a sequence, if there is one.
    pub(super) fn open(
        layout: &Layout,
        tenant: &TenantId,
        pull: &str,
        sequence: u64,
    ) -> Result<Option<Self>> {
        let folder = layout.commits(tenant, pull)?;
        let Some(span) = Names::list(&folder)?.segments.into_iter().find(|span| span.holds(sequence)) else {
            return Ok(None);
        };
        let path = layout.segment(tenant, pull, span)?;
        let text = fs_err::read(&path).map_err(|error| unread(&path, error))?;
        let lines = split(span, &text).map_err(|flaw| flawed(&path, &flaw))?;
        let lines = lines.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Some(Self { path, span, lines }))
    }

    /// Returns one of its records; nothing where the sequence is not among them.
    pub(super) fn record(&self, sequence: u64) -> Result<Option<Sealed>> {
        let at = sequence.checked_sub(self.span.first).and_then(|at| usize::try_from(at).ok());
        let Some(line) = at.and_then(|at| self.lines.get(at)) else { return Ok(None) };
        Sealed::parse(line).map(Some).map_err(|flaw| flawed(&self.path, &flaw))
    }
}

fn unread(path: &Path, error: io::Error) -> Error {
    failed("read a segment of commit records", path, error)
}

fn flawed(path: &Path, flaw: &Flaw) -> Error {
    damaged("read a segment of commit records", path, flaw.to_string())
}

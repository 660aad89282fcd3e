//! Rolls the oldest records of a pull into a segment, so that the folder of a pull stays small however many
//! runs there were.
//!
//! Only who has the lake's turn does it, only while no other run lives, and only to records that a run record
//! covers: no commit is under way that could find the place of a removed record free. A segment is durable
//! before the records that it holds are removed; where both are there, both say the same.

use pipeline::Result;
use tracing::{info, warn};
use uuid::Uuid;

use super::chain::Coverage;
use super::layout::Layout;
use super::pulls::{self, Names, Pull, Span};
use super::record::Sealed;
use super::store::{Store, failed, read_if_there};
use super::{recover, segment};

/// How much is rolled up, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// The newest records that keep files of their own: what a run reads is among them.
    pub(super) kept: usize,
    /// The records of a segment.
    pub(super) rolled: usize,
    /// Segments that one run writes at most.
    pub(super) segments: usize,
}

impl Sizes {
    /// A folder of some hundred names is listed in a moment; and a run removes no more than 16,384 files, which is
    /// more than the pulls of a thousand tenants add in one.
    pub(super) const USUAL: Self = Self { kept: 64, rolled: 256, segments: 64 };
}

/// Rolls what became old, of as many pulls as a run may spend time on.
pub(super) fn compact(
    layout: &Layout,
    store: &Store,
    run_id: &str,
    covered: &Coverage,
    sizes: Sizes,
) -> Result<()> {
    if recover::others_live(layout, run_id)? {
        return Ok(());
    }
    let mut left = sizes.segments;
    for pull in pulls::all(layout)? {
        let until = covered.of(&pull.tenant, &pull.pull);
        let mut work = Rolling { layout, store, run_id, sizes, until, pull };
        work.remove_doubles()?;
        while left > 0 && work.roll()? {
            left -= 1;
        }
    }
    Ok(())
}

/// The rolling of one pull.
struct Rolling<'a> {
    layout: &'a Layout,
    store: &'a Store,
    run_id: &'a str,
    sizes: Sizes,
    /// The last record that a run record covers.
    until: u64,
    pull: Pull,
}

impl Rolling<'_> {
    /// Removes the single records that a segment holds already: those of a run that died in between.
    fn remove_doubles(&mut self) -> Result<()> {
        for span in &self.pull.names.segments {
            let doubles: Vec<u64> =
                self.pull.names.single.iter().copied().filter(|sequence| span.holds(*sequence)).collect();
            if doubles.is_empty() {
                continue;
            }
            let path = self.layout.segment(&self.pull.tenant, &self.pull.pull, *span)?;
            let text = fs_err::read(&path).map_err(|error| failed("read a segment", &path, error))?;
            let Ok(lines) = segment::split(*span, &text) else {
                // The single records may be all that is left: `verify` tells what is wrong.
                warn!(path = %path.display(), "left a damaged segment as it is");
                continue;
            };
            self.remove(*span, &lines, &doubles)?;
        }
        let Names { single, segments, .. } = &mut self.pull.names;
        single.retain(|sequence| !segments.iter().any(|span| span.holds(*sequence)));
        Ok(())
    }

    /// Rolls the oldest records, if there are enough; returns whether there were.
    fn roll(&mut self) -> Result<bool> {
        let (single, Sizes { kept, rolled, .. }) = (&self.pull.names.single, self.sizes);
        if single.len() < kept + rolled {
            return Ok(false);
        }
        let oldest = single[..rolled].to_vec();
        let span = Span { first: oldest[0], last: oldest[rolled - 1] };
        // A gap among them is damage, which is left for `verify` to tell.
        let has_gap = span.last - span.first + 1 != rolled as u64;
        if has_gap || span.last > self.until {
            return Ok(false);
        }
        let Some(texts) = self.texts(&oldest)? else { return Ok(false) };
        self.put(span, &texts)?;
        let lines: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        self.remove(span, &lines, &oldest)?;
        self.pull.names.single.drain(..rolled);
        let Pull { tenant, pull, .. } = &self.pull;
        info!(%tenant, pull, first = span.first, last = span.last, "compacted");
        Ok(true)
    }

    /// Returns the texts of records, if each is whole.
    fn texts(&self, sequences: &[u64]) -> Result<Option<Vec<Vec<u8>>>> {
        let mut texts = Vec::new();
        for sequence in sequences {
            let path = self.layout.record(&self.pull.tenant, &self.pull.pull, *sequence)?;
            let text = fs_err::read(&path).map_err(|error| failed("read a commit record", &path, error))?;
            let is_line = text.iter().position(|byte| *byte == b'\n') == text.len().checked_sub(1);
            if !is_line || Sealed::parse(&text).is_err() {
                warn!(path = %path.display(), "left a damaged record as it is");
                return Ok(None);
            }
            texts.push(text);
        }
        Ok(Some(texts))
    }

    fn put(&self, span: Span, texts: &[Vec<u8>]) -> Result<()> {
        let path = self.layout.segment(&self.pull.tenant, &self.pull.pull, span)?;
        let folder = self.layout.commits(&self.pull.tenant, &self.pull.pull)?;
        let temporary =
            self.layout.temporary(self.run_id).join(format!("segment-{}.jsonl", Uuid::new_v4().simple()));
        let put = self.store.put_if_absent(&temporary, &path, &segment::text(span, texts));
        put.and_then(|_| self.store.files().sync_dir(&folder))
            .map_err(|error| failed("write a segment of commit records", &path, error))
    }

    /// Removes single records that say what their lines in the segment say.
    fn remove(&self, span: Span, lines: &[&[u8]], sequences: &[u64]) -> Result<()> {
        for sequence in sequences {
            let path = self.layout.record(&self.pull.tenant, &self.pull.pull, *sequence)?;
            let line = usize::try_from(sequence - span.first).ok().and_then(|at| lines.get(at));
            let Some(text) = read_if_there("read a commit record", &path)? else { continue };
            if line.is_some_and(|line| *line == text) {
                let removed = self.store.remove_file(&path);
                removed.map_err(|error| failed("remove a record that a segment holds", &path, error))?;
            }
        }
        Ok(())
    }
}

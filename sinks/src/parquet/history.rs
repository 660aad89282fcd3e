//! Reads what was committed: the newest record of a pull is its checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use chrono::TimeDelta;
use pipeline::dataset::REJECTS;
use pipeline::rejects::{Backlog, Unreadable, Waiting};
use pipeline::run::RunSummary;
use pipeline::{
    Checkpoint, Error, ErrorKind, Partition, Receipt, Result, Standing, Standings, TenantId, Timestamp,
};

use super::chain::Coverage;
use super::layout::Layout;
use super::pulls::{self, Names, Pull};
use super::record::{Flaw, Record, Sealed};
use super::segment::Segment;
use super::store::{check_is_there, damaged, failed, names_in, newer, read_if_there};

/// Returns a commit record, if there is one.
pub(super) fn read(layout: &Layout, tenant: &TenantId, pull: &str, sequence: u64) -> Result<Option<Sealed>> {
    Walk { layout, tenant, pull, segment: None }.read(sequence)
}

/// What stands on the border of two windows may be read with both, and connectors ask from a moment before.
const A_MOMENT: TimeDelta = TimeDelta::milliseconds(2);

/// A walk over the records of one pull, which reads a segment once for all of its records.
struct Walk<'a> {
    layout: &'a Layout,
    tenant: &'a TenantId,
    pull: &'a str,
    segment: Option<Segment>,
}

impl Walk<'_> {
    fn read(&mut self, sequence: u64) -> Result<Option<Sealed>> {
        if let Some(sealed) = self.in_segment(sequence)? {
            return Ok(Some(sealed));
        }
        // The order matters: a segment is there before the single records that it holds are removed.
        if let Some(sealed) = read_file(&self.layout.record(self.tenant, self.pull, sequence)?)? {
            return Ok(Some(sealed));
        }
        self.segment = Segment::open(self.layout, self.tenant, self.pull, sequence)?;
        self.in_segment(sequence)
    }

    fn in_segment(&self, sequence: u64) -> Result<Option<Sealed>> {
        self.segment.as_ref().map_or(Ok(None), |segment| segment.record(sequence))
    }
}

/// Returns how far a tenant's pull is durable, and the last committed receipt of each of its datasets; what a run
/// record covers has to be there.
pub(super) fn standing(
    layout: &Layout,
    covered: &Coverage,
    tenant: &TenantId,
    pull: &str,
) -> Result<Standing> {
    let (newest, covered) = (pulls::newest(layout, tenant, pull)?, covered.of(tenant, pull));
    if newest.unwrap_or_default() < covered {
        return Err(pulls::missing(layout, tenant, pull, covered));
    }
    let Some(sequence) = newest else { return Ok(Standing::default()) };
    let sealed = read(layout, tenant, pull, sequence)?;
    let sealed = sealed.ok_or_else(|| pulls::missing(layout, tenant, pull, sequence))?;
    let mut receipts = Vec::new();
    let of_reading = sealed.record.of_reading();
    let last_read =
        if of_reading.is_empty() { sealed.record.earlier.values().copied().max() } else { Some(sequence) };
    let is_behind = |(_, sequence): &(&String, &u64)| Some(**sequence) < last_read;
    let behind = sealed.record.earlier.iter().filter(is_behind).map(|(dataset, _)| dataset.clone()).collect();
    for (dataset, sequence) in &sealed.record.earlier {
        let earlier = read(layout, tenant, pull, *sequence)?;
        let of_dataset = |receipt: &Receipt| receipt.dataset == *dataset;
        receipts.extend(earlier.into_iter().flat_map(|sealed| sealed.record.receipts).filter(of_dataset));
    }
    receipts.extend_from_slice(of_reading);
    Ok(Standing { checkpoint: sealed.record.to, receipts, behind })
}

/// Returns the records of the commits that a partition may bring again, the oldest first.
///
/// For a window these are the commits that read a part of it or touch it; for a snapshot those of the same day. A
/// replay comes right after the reading whose records it took up, however much later it was made.
pub(super) fn overlapping(layout: &Layout, partition: &Partition) -> Result<Vec<Record>> {
    let (tenant, pull) = (&partition.tenant.id, partition.pull());
    let newest = pulls::newest(layout, tenant, pull)?.unwrap_or_default();
    let mut walk = Walk { layout, tenant, pull, segment: None };
    let mut found = Vec::new();
    for sequence in (1..=newest).rev() {
        let Some(Sealed { record, .. }) = walk.read(sequence)? else {
            return Err(pulls::missing(layout, tenant, pull, sequence));
        };
        let (is_over, overlaps) = match (partition.window, record.window) {
            (None, _) => {
                // A clock that was ahead may have dated one before them.
                let is_before = |reach: Timestamp| reach.date_naive() < partition.date;
                let is_over = record.date < partition.date && record.reach.is_none_or(is_before);
                (is_over, record.date == partition.date)
            }
            (Some(asked), Some(read)) => {
                let touches = read.since - A_MOMENT <= asked.until && read.until + A_MOMENT >= asked.since;
                (record.reach < Some(asked.since - A_MOMENT), touches)
            }
            (Some(asked), None) => (record.reach < Some(asked.since), record.to.through >= Some(asked.since)),
        };
        // A replay is filed under the day of its reading, a moved checkpoint under this machine's: neither says
        // anything of what comes before it.
        if is_over && record.is_reading() {
            break;
        }
        if overlaps {
            found.push(record);
        }
    }
    found.sort_by_key(|record| (record.reading(), record.to.sequence));
    Ok(found)
}

/// Returns the set-aside records that no replay took up; a pull that cannot be read keeps no other back.
pub(super) fn backlog(layout: &Layout) -> Result<Backlog> {
    check_is_there("look for rejects in", layout.root())?;
    let mut backlog = Backlog::default();
    for pull in pulls::all(layout)? {
        match waiting_of(layout, &pull) {
            Ok(mut waiting) => backlog.waiting.append(&mut waiting),
            Err(error) => {
                backlog.unreadable.push(unreadable(pull.tenant, pull.pull, error));
            }
        }
    }
    Ok(backlog)
}

fn waiting_of(layout: &Layout, Pull { tenant, pull, names }: &Pull) -> Result<Vec<Waiting>> {
    let newest = names.newest().unwrap_or_default();
    let mut walk = Walk { layout, tenant, pull, segment: None };
    let (mut waiting, mut used, mut from) = (Vec::new(), HashSet::new(), None);
    // The newest first: who took files up comes after them.
    for sequence in (1..=newest).rev() {
        // One that is missing may be a replay, and what it took up would be replayed once more.
        let Some(Sealed { record, .. }) = walk.read(sequence)? else {
            return Err(pulls::missing(layout, tenant, pull, sequence));
        };
        let from = *from.get_or_insert(record.to);
        used.extend(record.replays.iter().flat_map(|replays| replays.files.iter().cloned()));
        if record.files.iter().any(|file| file.dataset == REJECTS && !used.contains(&file.path)) {
            waiting.extend(waiting_in(record, from));
        }
    }
    waiting.reverse();
    Ok(waiting)
}

/// Returns what waits in a commit whose set-aside records were not taken up; a replay takes up all of a commit's.
fn waiting_in(record: Record, from: Checkpoint) -> Option<Waiting> {
    let reading = record.reading();
    let name = record.receipts.first()?.organization_name.clone();
    let datasets = record.receipts.iter().map(|receipt| receipt.dataset.clone()).collect();
    let rejects = record.receipts.iter().filter(|receipt| receipt.counts.rejects > 0);
    let records: BTreeMap<_, _> =
        rejects.map(|receipt| (receipt.dataset.clone(), receipt.counts.rejects)).collect();
    let files = record.files.into_iter().filter(|file| file.dataset == REJECTS).collect();
    Some(Waiting {
        tenant: record.organization_id,
        name,
        region: record.region,
        pull: record.pull,
        datasets,
        date: record.date,
        window: record.window,
        sequence: record.to.sequence,
        reading,
        from,
        files,
        records,
    })
}

/// Returns the records of the commit whose reading set records aside, and of the replays of it; the oldest first.
pub(super) fn beside(layout: &Layout, waiting: &Waiting) -> Result<Vec<Record>> {
    let (tenant, pull) = (&waiting.tenant, waiting.pull.as_str());
    let mut walk = Walk { layout, tenant, pull, segment: None };
    let mut found = Vec::new();
    for sequence in waiting.reading..=waiting.from.sequence {
        let record = walk.read(sequence)?.map(|sealed| sealed.record);
        found.extend(record.filter(|record| record.reading() == waiting.reading));
    }
    Ok(found)
}

fn unreadable(tenant: TenantId, pull: String, error: Error) -> Unreadable {
    let error = error.with_context("tenant", tenant.as_str());
    Unreadable { tenant, pull, error }
}

/// Returns how far every tenant's every pull is durable, where that can be told; reads no more than the records that say so.
pub(super) fn standings(layout: &Layout, covered: &Coverage) -> Result<Standings> {
    let mut all: BTreeSet<_> =
        covered.pulls().map(|(tenant, pull)| (tenant.clone(), pull.to_owned())).collect();
    for tenant in names(&layout.all_commits())? {
        let Ok(tenant) = tenant.parse::<TenantId>() else { continue };
        let pulls = names(&layout.all_commits().join(tenant.as_str()))?;
        all.extend(pulls.into_iter().map(|pull| (tenant.clone(), pull)));
    }
    let mut standings = Standings::default();
    for (tenant, pull) in all.into_iter().filter(|(tenant, pull)| layout.commits(tenant, pull).is_ok()) {
        match standing(layout, covered, &tenant, &pull) {
            Ok(standing) => _ = standings.known.insert((tenant, pull), standing),
            Err(error) => standings.unreadable.push(unreadable(tenant, pull, error)),
        }
    }
    Ok(standings)
}

/// Hands over every committed receipt of a reading, pull by pull and the oldest first; holds no more than a segment of records.
///
/// # Errors
/// Where the records cannot be listed, or one of them is not what was written.
pub fn each_receipt(root: &Path, mut take: impl FnMut(Receipt)) -> Result<()> {
    let layout = &Layout::new(root.to_owned());
    for Pull { tenant, pull, names: Names { single, segments, .. } } in pulls::all(layout)? {
        let rolled = segments.iter().flat_map(|span| span.first..=span.last);
        let single = single.iter().filter(|sequence| !segments.iter().any(|span| span.holds(**sequence)));
        let mut walk = Walk { layout, tenant: &tenant, pull: &pull, segment: None };
        for sequence in rolled.chain(single.copied()) {
            let sealed = walk.read(sequence)?;
            sealed.into_iter().flat_map(|sealed| sealed.record.of_reading().to_vec()).for_each(&mut take);
        }
    }
    Ok(())
}

/// Returns what the run that was recorded last came to.
pub(super) fn last_run(layout: &Layout) -> Result<Option<RunSummary>> {
    let path = layout.last_run();
    let Some(text) = read_if_there("read what the last run came to", &path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(ErrorKind::Sink, "read what the last run came to")
            .with_source(error)
            .with_context("path", path.display().to_string())
            .with_hint("move the file away: the next run writes it anew")
    })
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = names_in(folder).map_err(|error| failed("list the commits", folder, error))?;
    names.sort_unstable();
    Ok(names)
}

fn read_file(path: &Path) -> Result<Option<Sealed>> {
    let Some(text) = read_if_there("read a commit record", path)? else { return Ok(None) };
    Sealed::parse(&text).map(Some).map_err(|flaw| match flaw {
        Flaw::Version(version) => newer("read a commit record", path, version),
        flaw => damaged("read a commit record", path, flaw.to_string()),
    })
}

//! The chain of runs: at its end, each run seals what it came to and every commit that no earlier run record
//! covers, under one root.
//!
//! A run record is put under the next number if that is free; who comes second looks again at what is left to
//! cover and takes the number after it. So each commit is covered once, by the first record put after it, and the
//! commits of a run that was killed are adopted by the next one that ends.

use pipeline::run::{Outcome, RunSummary};
use pipeline::{Error, ErrorKind, Receipt, Result, Timestamp};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tracing::warn;

mod head;
mod record;
mod unsettled;

pub(super) use self::head::{Coverage, Head};
use self::record::laid_out;
pub(super) use self::record::{Covered, Header, RunRecord, SealedRun};
use super::compact::Sizes;
use super::layout::{self, Layout, parse_record_name};
use super::registry::Registry;
use super::rolling::hex;
use super::run::OpenRun;
use super::store::{Store, failed, names_in, read_if_there};
use super::{compact, history, pulls, recover, run};

/// Other runs that may take a number in between: more than ever end in the same moment.
const TRIES: usize = 100;

/// Seals a run that has ended, moves the head, and compacts what became old.
pub(super) fn seal_run(
    layout: &Layout,
    store: &Store,
    run: &OpenRun,
    ended: &Ended,
    sizes: Sizes,
) -> Result<()> {
    put(layout, store, run, ended)?;
    let _turn = run::take_turn(layout)?;
    let covered = advance(layout, store, &run.id)?;
    compact::compact(layout, store, &run.id, &covered, sizes)
}

/// A run that has ended.
pub(super) struct Ended {
    run_id: String,
    started_at: Timestamp,
    finished_at: Timestamp,
    outcome: Outcome,
    replay: bool,
    summary: Box<RawValue>,
}

impl Ended {
    /// Lays out what a run came to.
    pub(super) fn new(summary: &RunSummary) -> Result<Self> {
        Ok(Self {
            run_id: layout::run_id(&summary.run_id)?.to_owned(),
            started_at: summary.started_at,
            finished_at: summary.finished_at,
            outcome: summary.outcome,
            replay: summary.replay,
            summary: laid_out(summary)?,
        })
    }
}

/// How far the chain goes, as far as the next record needs it.
struct End {
    sequence: u64,
    /// The seal of the newest record.
    seal: Option<String>,
    /// What the last run that was no replay came to, where its record is newer than the head.
    summary: Option<String>,
    /// Whether the newest record is newer than the head, and whole.
    moved: bool,
    covered: Coverage,
    unsettled: Vec<Receipt>,
    /// Whether the head is whole. One that is not is never written anew: only a copy of it can still miss a record.
    has_head: bool,
}

fn put(layout: &Layout, store: &Store, run: &OpenRun, ended: &Ended) -> Result<()> {
    let folder = layout.runs();
    let unkept = |path, error| failed("seal what the run came to", path, error);
    store.create_dirs(&folder).map_err(|error| unkept(folder.clone(), error))?;
    let temporaries = layout.temporary(&run.id);
    for tried in 0..TRIES {
        let end = end(layout)?;
        if end.sequence == 0 {
            // From now on a lake without a head has lost it.
            let temporary = temporaries.join("first-head.json");
            let put = store.put_if_absent(&temporary, &layout.head(), &Head::default().seal());
            put.map_err(|error| unkept(layout.head(), error))?;
        }
        let header = Header {
            sequence: end.sequence.saturating_add(1),
            run_id: ended.run_id.clone(),
            started_at: ended.started_at,
            finished_at: ended.finished_at,
            outcome: ended.outcome,
            replay: ended.replay,
            registry: registry(layout)?,
            previous: end.seal,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let commits = uncovered(layout, store, &end.covered, &ended.run_id)?;
        let record = RunRecord::new(&header, ended.summary.clone(), commits, run.signing_key.as_ref())?;
        let path = layout.run_record(header.sequence);
        // The prefix keeps it apart from what commits put there.
        let temporary = temporaries.join(format!("run-record-{tried}.json"));
        let put =
            store.put_if_absent(&temporary, &path, &record.seal()).map_err(|error| unkept(path, error))?;
        store.files().sync_dir(&folder).map_err(|error| unkept(folder.clone(), error))?;
        if put {
            return Ok(());
        }
    }
    Err(Error::new(ErrorKind::Sink, "seal what the run came to: other runs took every number that was tried")
        .with_hint("nothing is lost: the next run seals what this one committed"))
}

/// Moves the head, and the copy of what the last run came to, to the newest record; the caller has the turn.
fn advance(layout: &Layout, store: &Store, run_id: &str) -> Result<Coverage> {
    let mut end = end(layout)?;
    let temporaries = layout.temporary(run_id);
    if let Some(summary) = &end.summary {
        let path = layout.last_run();
        let kept = store.replace(&temporaries.join("last-run.json"), &path, summary.as_bytes());
        kept.map_err(|error| failed("keep what the last run came to", path, error))?;
    }
    if end.moved && end.has_head {
        unsettled::forget_who_left(&mut end.unsettled, &Registry::read(layout.root())?);
        let head = Head::new(end.sequence, end.seal, end.covered.clone(), end.unsettled);
        let moved = store.replace(&temporaries.join("head.json"), &layout.head(), &head.seal());
        moved.map_err(|error| failed("move the head of the run records", layout.head(), error))?;
    }
    Ok(end.covered)
}

/// Reads the head and the records after it: as many as ended since it was moved.
fn end(layout: &Layout) -> Result<End> {
    let numbers = numbers(layout)?;
    let (head, has_head) = match Head::read(layout)? {
        Some(Ok(head)) => (head, true),
        None if numbers.is_empty() => (Head::default(), true),
        None | Some(Err(_)) => {
            warn!("read every run record, because the head of the run records is gone or damaged");
            (Head::default(), false)
        }
    };
    let Head { sequence, record: seal, covered, unsettled, .. } = head;
    let mut end = End { sequence, seal, summary: None, moved: false, covered, unsettled, has_head };
    for sequence in numbers.into_iter().filter(|number| *number > sequence) {
        // What is missing or damaged is for `verify` to tell; its number stays taken.
        let Some(sealed) = read(layout, sequence)? else {
            warn!(sequence, "passed over a run record that cannot be read");
            end = End { sequence, seal: None, summary: None, moved: false, ..end };
            continue;
        };
        for commit in &sealed.record.commits {
            end.covered.cover(commit);
        }
        // A summary of a shape that is not known says nothing here; its record counts all the same.
        if let Ok(summary) = serde_json::from_str::<RunSummary>(sealed.record.summary.get()) {
            unsettled::take_over(&mut end.unsettled, summary.receipts);
        }
        let summary =
            if sealed.header.replay { end.summary } else { Some(sealed.record.summary.get().to_owned()) };
        end = End { sequence, seal: Some(sealed.sha256), summary, moved: true, ..end };
    }
    Ok(end)
}

/// Returns the numbers of the run records that are there, in order.
pub(super) fn numbers(layout: &Layout) -> Result<Vec<u64>> {
    let folder = layout.runs();
    let names = names_in(&folder).map_err(|error| failed("list the run records", &folder, error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| parse_record_name(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns a run record, if it is there and whole.
pub(super) fn read(layout: &Layout, sequence: u64) -> Result<Option<SealedRun>> {
    let path = layout.run_record(sequence);
    Ok(read_if_there("read a run record", &path)?.and_then(|text| SealedRun::parse(&text).ok()))
}

/// Returns every commit that no run record covers, in the order of tenant, pull and sequence; each is durable.
fn uncovered(layout: &Layout, store: &Store, covered: &Coverage, run_id: &str) -> Result<Vec<Covered>> {
    let mut commits = Vec::new();
    for pull in pulls::all(layout)? {
        let from = covered.of(&pull.tenant, &pull.pull).saturating_add(1);
        let mut of_another = None;
        for sequence in from..=pull.names.newest().unwrap_or_default() {
            match history::read(layout, &pull.tenant, &pull.pull, sequence) {
                Ok(Some(sealed)) => {
                    of_another = (sealed.record.run_id != run_id).then_some(sequence).or(of_another);
                    commits.push(Covered::new(&sealed, run_id));
                }
                // What is damaged is not vouched for, nor what comes after it.
                Ok(None) | Err(_) => {
                    warn!(tenant = %pull.tenant, pull = pull.pull, sequence, "left a damaged record unsealed");
                    break;
                }
            }
        }
        // Another run's may have got its name only now.
        if let Some(sequence) = of_another {
            recover::make_durable(layout, store, &pull.tenant, &pull.pull, sequence)?;
        }
    }
    Ok(commits)
}

fn registry(layout: &Layout) -> Result<Option<String>> {
    let path = layout.registry();
    Ok(read_if_there("read the registry of tenants", &path)?.map(|text| hex(&Sha256::digest(text))))
}

/// Returns what the run records cover, as far as the head says; nothing where there is none that is whole.
pub(super) fn coverage(layout: &Layout) -> Result<Coverage> {
    let head = Head::read(layout)?.and_then(Result::ok);
    Ok(head.map(|head| head.covered).unwrap_or_default())
}

/// Returns the last receipt of everything that did not end well when it was last asked for.
pub(super) fn unsettled(layout: &Layout) -> Result<Vec<Receipt>> {
    let head = Head::read(layout)?.and_then(Result::ok);
    Ok(head.map(|head| head.unsettled).unwrap_or_default())
}

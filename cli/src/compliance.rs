//! The compliance report of a month: what was covered of each tenant and dataset, what was not and why, and the
//! hashes to check it by.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, Months, NaiveDate, NaiveTime, TimeDelta};
use pipeline::{Region, Replays, TenantId, Timestamp, Verdict, Window};
use serde::Serialize;
use sinks::{CommitEvidence, Evidence, Finding, Registry, RunEvidence};

mod coverage;
pub(crate) mod html;

use self::coverage::{Gap, gaps, merged};

/// The version written into new reports.
const SCHEMA_VERSION: u32 = 1;

/// A calendar month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month(NaiveDate);

impl Month {
    /// Returns its span of time.
    pub(crate) fn span(self) -> Window {
        let start = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let next = self.0.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        Window { since: start(self.0), until: start(next) }
    }
}

impl std::str::FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no month: write it as in 2026-10");
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        NaiveDate::from_ymd_opt(year, month, 1).map(Self).ok_or_else(wrong)
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

/// The report of a month.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    month: String,
    /// The part of the month that had passed when the report was made.
    span: Window,
    made_at: Timestamp,
    version: &'static str,
    lake: String,
    /// Whether the month was over.
    is_over: bool,
    /// What is wrong with the records; the data is read by `verify` alone.
    findings: Vec<Finding>,
    /// Commits that no run record covers yet.
    unsealed: u64,
    runs: Vec<RunEvidence>,
    tenants: Vec<TenantReport>,
}

/// What the report says of a tenant.
#[derive(Debug, Serialize)]
struct TenantReport {
    organization_id: TenantId,
    organization_name: String,
    regions: BTreeSet<Region>,
    datasets: Vec<DatasetReport>,
}

/// How a dataset is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reading {
    /// By time: each commit covers a window.
    Windows,
    /// Whole: each commit is a dated snapshot.
    Snapshots,
    /// Nothing was committed, so that nothing says how.
    Unknown,
}

/// What the report says of a tenant's dataset.
#[derive(Debug, Serialize)]
struct DatasetReport {
    dataset: String,
    reading: Reading,
    /// Spans of the month that committed windows cover, or the days that snapshots are good for.
    covered: Vec<Window>,
    /// Days of the month with a committed snapshot.
    snapshots: BTreeSet<NaiveDate>,
    gaps: Vec<Gap>,
    /// Up to when it is known, as far as the month goes.
    fresh_through: Option<Timestamp>,
    rows: u64,
    /// Records that are set aside and were not taken up again.
    rejects: u64,
    duplicates: u64,
    /// Records that stood in the lake already, just so, and were not written again.
    unchanged: u64,
    /// Records that changed after the end of their window, and are in the next one.
    later: u64,
    /// Commits whose records are true and may not be all, by verdict.
    doubtful: BTreeMap<Verdict, u64>,
    commits: Vec<CommitReport>,
}

/// A commit to check the report by.
#[derive(Debug, Serialize)]
struct CommitReport {
    pull: String,
    sequence: u64,
    sha256: String,
    path: String,
    run_id: String,
    run_record: Option<u64>,
    committed_at: Timestamp,
    rows: u64,
}

/// Everything that a report is made of.
pub(crate) struct Sources {
    pub(crate) month: Month,
    pub(crate) now: Timestamp,
    pub(crate) lake: String,
    pub(crate) evidence: Evidence,
    pub(crate) registry: Registry,
    /// How each dataset is read, as the run file says now.
    pub(crate) paces: BTreeMap<String, Pace>,
    /// Which of them every tenant has that is read at all.
    pub(crate) of_tenants: BTreeSet<String>,
}

/// How often a dataset is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How many days a snapshot is good for.
    pub(crate) every: u64,
    /// How old the data may become: what is missing for less than that is not due yet.
    pub(crate) fresh_within: TimeDelta,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: 1, fresh_within: TimeDelta::hours(26) }
    }
}

/// One receipt of a dataset, and the run that it is of.
struct Attempt<'a> {
    run: &'a RunEvidence,
    receipt: &'a pipeline::Receipt,
}

/// The part of the evidence that is about one tenant's dataset.
#[derive(Default)]
struct Part<'a> {
    /// What was read.
    commits: Vec<(&'a CommitEvidence, &'a pipeline::Receipt)>,
    /// What was set aside and taken up again; it covers nothing that its reading does not.
    replays: Vec<(&'a CommitEvidence, &'a pipeline::Receipt)>,
    attempts: Vec<Attempt<'a>>,
}

impl Report {
    /// Makes the report of a month.
    pub(crate) fn new(sources: Sources) -> Self {
        let Sources { month, now, lake, evidence, registry, paces, of_tenants } = sources;
        let Window { since, until } = month.span();
        let span = Window { since, until: until.min(now).max(since) };
        let parts = parts(&evidence, &registry, &of_tenants, span);
        let tenants = tenants(parts, &paces, span, now);
        let Evidence { runs, findings, unsealed, .. } = evidence;
        Self {
            schema_version: SCHEMA_VERSION,
            month: month.to_string(),
            span,
            made_at: now,
            version: crate::VERSION,
            lake,
            is_over: now >= until,
            findings,
            unsealed,
            runs,
            tenants,
        }
    }

    /// Returns how many datasets of tenants are covered without a gap, and how many there are.
    pub(crate) fn whole(&self) -> (u64, u64) {
        let all = self.tenants.iter().flat_map(|tenant| &tenant.datasets);
        let whole = all.clone().filter(|dataset| dataset.is_whole());
        (whole.count() as u64, all.count() as u64)
    }

    /// Returns whether nothing is known of the month.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.whole().1 == 0
    }

    /// Returns whether the records are as they were written.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

impl DatasetReport {
    fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.doubtful.is_empty()
    }
}

/// What is known of a tenant: its name, its regions, and the evidence of each dataset.
#[derive(Default)]
struct Known<'a> {
    name: String,
    regions: BTreeSet<Region>,
    parts: BTreeMap<&'a str, Part<'a>>,
}

fn parts<'a>(
    evidence: &'a Evidence,
    registry: &Registry,
    of_tenants: &'a BTreeSet<String>,
    span: Window,
) -> BTreeMap<TenantId, Known<'a>> {
    let mut tenants: BTreeMap<TenantId, Known<'_>> = BTreeMap::new();
    let was_there =
        |at: Option<Timestamp>, or: bool, is: fn(Timestamp, Window) -> bool| at.map_or(or, |at| is(at, span));
    for known in &registry.tenants {
        let joined = was_there(known.first_seen.at, true, |at, span| at < span.until);
        let stayed = known.listed || was_there(known.last_seen.at, false, |at, span| at >= span.since);
        if joined && stayed {
            let (name, regions) = (known.name.clone(), known.region.iter().cloned().collect());
            tenants.insert(known.id.clone(), Known { name, regions, ..Known::default() });
        }
    }
    let mut part_of = |receipt: &'a pipeline::Receipt, add: &dyn Fn(&mut Part<'a>)| {
        let known = tenants.entry(receipt.organization_id.clone()).or_default();
        known.name.clone_from(&receipt.organization_name);
        known.regions.insert(receipt.region.clone());
        add(known.parts.entry(&receipt.dataset).or_default());
    };
    for commit in &evidence.commits {
        for receipt in &commit.receipts {
            part_of(receipt, &|part| {
                let place = if commit.replays.is_some() { &mut part.replays } else { &mut part.commits };
                place.push((commit, receipt));
            });
        }
    }
    for run in &evidence.runs {
        for receipt in &run.receipts {
            part_of(receipt, &|part| part.attempts.push(Attempt { run, receipt }));
        }
    }
    // A dataset of which nothing is known is a gap as well.
    for known in tenants.values_mut() {
        if known.parts.keys().any(|name| of_tenants.contains(*name)) {
            for name in of_tenants {
                known.parts.entry(name).or_default();
            }
        }
    }
    tenants
}

fn tenants(
    known: BTreeMap<TenantId, Known<'_>>,
    paces: &BTreeMap<String, Pace>,
    span: Window,
    now: Timestamp,
) -> Vec<TenantReport> {
    known
        .into_iter()
        .map(|(id, Known { name: organization_name, regions, parts })| {
            let datasets = parts
                .into_iter()
                .map(|(name, part)| {
                    dataset(name, &part, paces.get(name).copied().unwrap_or_default(), span, now)
                })
                .collect();
            TenantReport { organization_id: id, organization_name, regions, datasets }
        })
        .collect()
}

impl<'a> Part<'a> {
    fn snapshots(&self) -> impl Iterator<Item = &'a CommitEvidence> {
        self.commits.iter().map(|(commit, _)| *commit).filter(|commit| commit.window.is_none())
    }

    /// Returns the spans that are covered where changes are read by time: a snapshot in between holds whatever
    /// changed since the commit before it.
    fn windows(&self) -> impl Iterator<Item = Window> {
        self.commits.iter().filter_map(|(commit, _)| {
            let begin = commit.from.unwrap_or_else(|| commit.date.and_time(NaiveTime::MIN).and_utc());
            let whole = || Some(Window { since: begin, until: commit.through? });
            commit.window.or_else(whole)
        })
    }
}

/// Returns the days that a snapshot is good for.
fn days(first: NaiveDate, every: u64) -> Window {
    let start = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let next = first.checked_add_days(Days::new(every.max(1))).unwrap_or(NaiveDate::MAX);
    Window { since: start(first), until: start(next) }
}

fn doubtful(part: &Part<'_>) -> BTreeMap<Verdict, u64> {
    let mut doubtful = BTreeMap::new();
    for (_, receipt) in part.commits.iter().filter(|(_, receipt)| !receipt.verdict.is_good()) {
        *doubtful.entry(receipt.verdict).or_default() += 1;
    }
    doubtful
}

fn dataset(name: &str, part: &Part<'_>, pace: Pace, span: Window, now: Timestamp) -> DatasetReport {
    let snapshots: BTreeSet<NaiveDate> = part.snapshots().map(|commit| commit.date).collect();
    let has_windows = part.commits.iter().any(|(commit, _)| commit.window.is_some());
    let reading = match (has_windows, snapshots.is_empty()) {
        (true, _) => Reading::Windows,
        (false, false) => Reading::Snapshots,
        (false, true) => Reading::Unknown,
    };
    let covered = match reading {
        Reading::Windows => merged(part.windows(), span),
        Reading::Snapshots | Reading::Unknown => {
            merged(snapshots.iter().map(|day| days(*day, pace.every)), span)
        }
    };
    let mut gaps = gaps(&covered, &part.attempts, span);
    // What came last is asked for by the next run.
    gaps.retain(|gap| gap.until < span.until || now - gap.since >= pace.fresh_within);
    let of_window = covered.last().map(|window| window.until);
    let of_snapshot = part.commits.iter().map(|(commit, _)| commit.committed_at).max();
    let all = || part.commits.iter().chain(&part.replays);
    let sum = |count: fn(&pipeline::Receipt) -> u64| all().map(|(_, it)| count(it)).sum::<u64>();
    let taken_up = |replays: &Replays| replays.records.get(name).copied().unwrap_or_default();
    let taken_up: u64 = part.replays.iter().filter_map(|(it, _)| it.replays.as_ref().map(taken_up)).sum();
    DatasetReport {
        dataset: name.to_owned(),
        gaps,
        fresh_through: if reading == Reading::Windows { of_window } else { of_snapshot },
        rows: sum(|it| it.rows_written),
        rejects: sum(|it| it.counts.rejects).saturating_sub(taken_up),
        duplicates: sum(|it| it.counts.duplicates),
        unchanged: sum(|it| it.counts.unchanged),
        later: sum(|it| it.counts.later),
        doubtful: doubtful(part),
        commits: all().map(|(commit, receipt)| CommitReport::of(commit, receipt)).collect(),
        reading,
        covered,
        snapshots,
    }
}

impl CommitReport {
    fn of(commit: &CommitEvidence, receipt: &pipeline::Receipt) -> Self {
        Self {
            pull: commit.pull.clone(),
            sequence: commit.sequence,
            sha256: commit.sha256.clone(),
            path: commit.path.clone(),
            run_id: commit.run_id.clone(),
            run_record: commit.sealed_by,
            committed_at: commit.committed_at,
            rows: receipt.rows_written,
        }
    }
}

#[cfg(test)]
mod tests;

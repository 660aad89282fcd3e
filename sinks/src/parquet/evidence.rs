//! What a lake can show of a span of time: the runs in it, the commits that cover it, and their hashes, as plain
//! data for a report.

use std::collections::HashMap;
use std::path::Path;

use chrono::NaiveDate;
use pipeline::run::Outcome;
use pipeline::{Receipt, Region, Replays, Result, TenantId, Timestamp, Window};
use serde::Serialize;

use super::Finding;
use super::chain;
use super::layout::Layout;
use super::record::Record;
use super::store::check_is_there;
use super::verify::{self, Committed, VerifyOptions};

/// What a lake can show of a span of time.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The runs that began in it, in the order of their records.
    pub runs: Vec<RunEvidence>,
    /// The commits that cover a part of it, in the order of tenant, pull and sequence.
    pub commits: Vec<CommitEvidence>,
    /// What is wrong with the records of the whole lake.
    pub findings: Vec<Finding>,
    /// How many commits of the whole lake no run record covers yet.
    pub unsealed: u64,
}

/// A run, as its record says.
#[derive(Debug, Clone, Serialize)]
pub struct RunEvidence {
    /// The number of its record.
    pub sequence: u64,
    /// The run.
    pub run_id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it replayed set-aside records and read nothing.
    pub replay: bool,
    /// What ended it early, where something did.
    pub error: Option<String>,
    /// The root over everything that it sealed.
    pub root: String,
    /// The fingerprint of the key that signed it.
    pub signed_by: Option<String>,
    /// Commits that its record covers.
    pub commits: u64,
    /// How many of them another run had made.
    pub adopted: u64,
    /// What came of each tenant and dataset.
    #[serde(skip)]
    pub receipts: Vec<Receipt>,
}

/// A commit, as its record says.
#[derive(Debug, Clone)]
pub struct CommitEvidence {
    /// Whose it is.
    pub organization_id: TenantId,
    /// Where it was read.
    pub region: Region,
    /// The pull.
    pub pull: String,
    /// Its place in the order of the pull.
    pub sequence: u64,
    /// The hash of its record.
    pub sha256: String,
    /// The file that holds its record, below the root.
    pub path: String,
    /// The run that made it.
    pub run_id: String,
    /// The number of the run record that covers it.
    pub sealed_by: Option<u64>,
    /// The day it is filed under.
    pub date: NaiveDate,
    /// The span of time that it covers, where its datasets have one.
    pub window: Option<Window>,
    /// Up to when the pull was durable before it.
    pub from: Option<Timestamp>,
    /// Up to when it is durable with it.
    pub through: Option<Timestamp>,
    /// When it was made.
    pub committed_at: Timestamp,
    /// What it holds, one for each dataset.
    pub receipts: Vec<Receipt>,
    /// The set-aside records that it took up again, where it is a replay and no reading.
    pub replays: Option<Replays>,
}

/// Reads what a lake can show of a span of time; every record is read, and no data.
///
/// # Errors
/// Where the lake cannot be listed.
pub fn evidence(root: &Path, span: Window) -> Result<Evidence> {
    check_is_there("report on", root)?;
    let layout = Layout::new(root.to_owned());
    let mut commits = Vec::new();
    let mut see = |committed: &Committed| {
        if covers(&committed.record, span) {
            commits.push(CommitEvidence::of(committed));
        }
    };
    let verify::Evidence { report, .. } = verify::read(&layout, &VerifyOptions::default(), &mut see)?;
    let mut evidence = Evidence {
        findings: report.findings,
        unsealed: report.unsealed.len() as u64,
        commits,
        runs: Vec::new(),
    };
    let mut sealed_by = HashMap::new();
    for sequence in chain::numbers(&layout)? {
        let Some(run) = chain::read(&layout, sequence)? else { continue };
        for commit in &run.record.commits {
            sealed_by
                .insert((commit.organization_id.clone(), commit.pull.clone(), commit.sequence), sequence);
        }
        // A summary that cannot be read is damage, and told as such.
        if (span.since..span.until).contains(&run.header.started_at)
            && let Ok(summary) = run.summary()
        {
            evidence.runs.push(RunEvidence {
                sequence,
                run_id: run.header.run_id,
                started_at: run.header.started_at,
                finished_at: run.header.finished_at,
                outcome: run.header.outcome,
                replay: run.header.replay,
                error: summary.error,
                root: run.record.root,
                signed_by: run.record.signature.map(|signature| signature.key),
                commits: run.record.commits.len() as u64,
                adopted: run.record.commits.iter().filter(|it| it.adopted_from.is_some()).count() as u64,
                receipts: summary.receipts,
            });
        }
    }
    for commit in &mut evidence.commits {
        let place = (commit.organization_id.clone(), commit.pull.clone(), commit.sequence);
        commit.sealed_by = sealed_by.get(&place).copied();
    }
    Ok(evidence)
}

/// Returns whether a commit says something about a span of time.
fn covers(record: &Record, span: Window) -> bool {
    match record.window {
        Some(window) => window.since < span.until && span.since < window.until,
        None => (span.since.date_naive()..span.until.date_naive()).contains(&record.date),
    }
}

impl CommitEvidence {
    fn of(committed: &Committed) -> Self {
        let record = &committed.record;
        Self {
            organization_id: record.organization_id.clone(),
            region: record.region.clone(),
            pull: record.pull.clone(),
            sequence: record.to.sequence,
            sha256: committed.sha256.clone(),
            path: committed.path.clone(),
            run_id: record.run_id.clone(),
            sealed_by: None,
            date: record.date,
            window: record.window,
            from: record.from.through,
            through: record.to.through,
            committed_at: record.committed_at,
            receipts: record.receipts.clone(),
            replays: record.replays.clone(),
        }
    }
}

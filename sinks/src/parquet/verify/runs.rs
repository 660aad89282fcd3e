//! Checks the run records: that the chain has no gap, that each root is that of its leaves, that each covered
//! commit is there as it was covered, and that signatures are the auditor's key's.

use std::collections::BTreeMap;

use pipeline::{Result, TenantId};
use serde_json::value::RawValue;

use super::super::chain::{Coverage, Covered, Head, Header, RunRecord, SealedRun};
use super::super::layout::{Layout, parse_record_name, record_path};
use super::super::merkle::{self, Hash};
use super::super::record::{Flaw, Record};
use super::super::seal::seal_of;
use super::super::signing::{PublicKey, Signature};
use super::super::store::{failed, names_in, read_if_there};
use super::records::{Committed, flawed};
use super::{Finding, FindingKind, SealedRoot, VerifyOptions, VerifyReport};

/// A run record without what may be large: its summary, and the commits it covers.
struct Run {
    /// The number in the name of its file; the header's own, if all is well.
    number: u64,
    header: Header,
    root: String,
    signature: Option<Signature>,
    sha256: String,
    summary: Hash,
}

impl Run {
    fn of(number: u64, sealed: SealedRun) -> Self {
        let SealedRun { record, header, sha256 } = sealed;
        let summary = merkle::leaf(record.summary.get().as_bytes());
        let RunRecord { root, signature, .. } = record;
        Self { number, header, root, signature, sha256, summary }
    }
}

/// The run records of a lake, as far as they could be read.
#[derive(Default)]
pub(super) struct Runs {
    sealed: Vec<Run>,
    /// Whether a record is missing or damaged, so that what it covered is not known.
    holes: bool,
    coverage: Coverage,
    /// What run records cover and was not seen yet, of each tenant's pull.
    due: BTreeMap<TenantId, BTreeMap<String, DueOfPull>>,
}

/// By sequence, and the place of the run record among those that were read.
type DueOfPull = BTreeMap<(u64, usize), Due>;

/// What a run record says of a commit.
struct Due {
    sha256: String,
    adopted_from: Option<String>,
}

/// Reads the head, the copy of the last summary, and every run record.
///
/// In the opposite order to that in which a run writes them, so that a run that ends meanwhile is no finding.
pub(super) fn read(layout: &Layout, findings: &mut Vec<Finding>) -> Result<Runs> {
    let head = Head::read(layout)?;
    let last_run = read_if_there("read what the last run came to", &layout.last_run())?;
    let head_sequence = head.as_ref().and_then(|head| head.as_ref().ok()).map_or(0, |head| head.sequence);
    let covered_at_head = (head_sequence == 0).then(Coverage::default);
    let mut reading = Reading { layout, runs: Runs::default(), findings, head_sequence, covered_at_head };
    reading.records()?;
    reading.head(head);
    reading.last_run(last_run.as_deref());
    Ok(reading.runs)
}

struct Reading<'a> {
    layout: &'a Layout,
    runs: Runs,
    findings: &'a mut Vec<Finding>,
    /// How far the head says that the records go; zero where it says nothing.
    head_sequence: u64,
    /// What was covered after that record.
    covered_at_head: Option<Coverage>,
}

impl Reading<'_> {
    fn find(&mut self, kind: FindingKind, path: impl Into<String>, sentence: impl Into<String>) {
        self.findings.push(Finding::new(kind, path.into(), sentence));
    }

    fn path(&self, sequence: u64) -> String {
        self.layout.below(&self.layout.run_record(sequence))
    }

    fn records(&mut self) -> Result<()> {
        let folder = self.layout.runs();
        let mut names = names_in(&folder).map_err(|error| failed("list the run records", &folder, error))?;
        names.sort_unstable();
        let mut next = 1;
        for name in names {
            let path = format!("{}/{name}", self.layout.below(&folder));
            let Some(sequence) = parse_record_name(&name) else {
                self.find(FindingKind::UnreadableRecord, path, "the file is no run record");
                continue;
            };
            self.gap(next, sequence, "a later run record is there and this one is not");
            let is_gap = next != sequence;
            next = sequence.saturating_add(1);
            let text = fs_err::read(folder.join(&name));
            let text = text.map_err(|error| failed("read a run record", folder.join(&name), error))?;
            match SealedRun::parse(&text) {
                Ok(sealed) => self.take(sequence, &path, sealed, is_gap),
                Err(flaw) => {
                    self.runs.holes = true;
                    self.findings.push(flawed(&flaw, path, "run record"));
                }
            }
            if sequence == self.head_sequence {
                self.covered_at_head = Some(self.runs.coverage.clone());
            }
        }
        Ok(())
    }

    fn gap(&mut self, from: u64, until: u64, sentence: &str) {
        if from >= until {
            return;
        }
        self.runs.holes = true;
        let shown = if until - from > 100 { from..from + 1 } else { from..until };
        for missing in shown {
            let path = self.path(missing);
            self.find(FindingKind::MissingRecord, path, sentence);
        }
    }

    fn take(&mut self, sequence: u64, path: &str, mut sealed: SealedRun, is_gap: bool) {
        if sealed.header.sequence != sequence {
            self.find(FindingKind::BrokenChain, path, "the run record is of another place in the order");
        }
        let before = self.runs.sealed.last().filter(|before| before.number.checked_add(1) == Some(sequence));
        let follows = match before {
            Some(before) => sealed.header.previous.as_ref() == Some(&before.sha256),
            None => sequence > 1 || sealed.header.previous.is_none(),
        };
        if !follows && !is_gap {
            self.find(
                FindingKind::BrokenChain,
                path,
                "the run record does not follow from the one before it",
            );
        }
        if sealed.record.root != sealed.record.root_of_leaves() {
            self.find(FindingKind::BrokenChain, path, "the root is not that of what the run record holds");
        }
        for commit in std::mem::take(&mut sealed.record.commits) {
            let expected = self.runs.coverage.of(&commit.organization_id, &commit.pull).saturating_add(1);
            if commit.sequence != expected && !self.runs.holes {
                let sentence = format!(
                    "the run record covers commit {} of the tenant's {}, and commit {expected} is due",
                    commit.sequence, commit.pull
                );
                let found = Finding::new(FindingKind::BrokenChain, path.to_owned(), sentence);
                self.findings.push(found.of(&commit.organization_id));
            }
            self.runs.coverage.cover(&commit);
            self.runs.await_commit(commit);
        }
        self.runs.sealed.push(Run::of(sequence, sealed));
    }

    fn head(&mut self, head: Option<Result<Head, Flaw>>) {
        let path = self.layout.below(&self.layout.head());
        let head = match head {
            Some(Ok(head)) => head,
            Some(Err(flaw)) => return self.findings.push(flawed(&flaw, path, "head of the run records")),
            None => {
                if !self.runs.sealed.is_empty() || self.runs.holes {
                    let sentence = "the head of the run records is gone, and nothing says whether the newest are \
                        there: put it back from a copy, an older one will do";
                    self.find(FindingKind::MissingRecord, path, sentence);
                }
                return;
            }
        };
        let newest = self.runs.sealed.last().map_or(0, |run| run.number);
        self.gap(
            newest.saturating_add(1),
            head.sequence.saturating_add(1),
            "the head says that this run record was there",
        );
        let named = self.runs.sealed.iter().find(|run| run.number == head.sequence);
        if named.is_some_and(|sealed| head.record.as_ref() != Some(&sealed.sha256)) {
            self.find(
                FindingKind::BrokenChain,
                path.clone(),
                "the head names another run record than is there",
            );
        }
        let differs = self.covered_at_head.as_ref().is_some_and(|covered| *covered != head.covered);
        if !self.runs.holes && differs {
            self.find(
                FindingKind::BrokenChain,
                path,
                "the head says that other commits are covered than are",
            );
        }
    }

    fn last_run(&mut self, text: Option<&[u8]>) {
        let path = self.layout.below(&self.layout.last_run());
        // A replay leaves the summary of the run before it.
        let readings = || self.runs.sealed.iter().filter(|run| !run.header.replay);
        let newest = readings().map(|run| run.number).filter(|number| *number <= self.head_sequence).max();
        let Some(text) = text else {
            if newest.is_some() || self.runs.holes {
                self.find(FindingKind::MissingFile, path, "the summary of the last run is gone");
            }
            return;
        };
        let summary = merkle::leaf(text);
        let mut later = readings().filter(|run| Some(run.number) >= newest);
        // Where a record is missing, it may be the one whose summary this is.
        if !self.runs.holes && !later.any(|run| run.summary == summary) {
            self.find(FindingKind::EditedRecord, path, "the summary is not that of the last run record");
        }
    }
}

impl Runs {
    /// Remembers a commit that the run record covers which is read next.
    fn await_commit(&mut self, covered: Covered) {
        let Covered { organization_id, pull, sequence, sha256, adopted_from } = covered;
        let of_pull = self.due.entry(organization_id).or_default().entry(pull).or_default();
        of_pull.insert((sequence, self.sealed.len()), Due { sha256, adopted_from });
    }

    /// Returns what run records say of a commit, each once.
    fn take_due(&mut self, record: &Record) -> Vec<(usize, Due)> {
        let of_tenant = self.due.get_mut(&record.organization_id);
        let Some(of_pull) = of_tenant.and_then(|pulls| pulls.get_mut(&record.pull)) else {
            return Vec::new();
        };
        let sequence = record.to.sequence;
        let places: Vec<_> =
            of_pull.range((sequence, 0)..=(sequence, usize::MAX)).map(|(it, _)| *it).collect();
        places.into_iter().filter_map(|place| Some((place.1, of_pull.remove(&place)?))).collect()
    }

    /// Compares a commit record with what the run records say of it, and adds what is wrong to the report.
    pub(super) fn compare(&mut self, committed: &Committed, report: &mut VerifyReport) {
        let Committed { record, sha256, path } = committed;
        let sequence = record.to.sequence;
        if !self.holes && sequence > self.coverage.of(&record.organization_id, &record.pull) {
            report.unsealed.push(path.clone());
        }
        for (at, due) in self.take_due(record) {
            let run = &self.sealed[at];
            let made_by = due.adopted_from.as_ref().unwrap_or(&run.header.run_id);
            let wrong = if *sha256 != due.sha256 {
                format!(
                    "the record of commit {sequence} is not the one that run record {} covers",
                    run.number
                )
            } else if *made_by != record.run_id {
                format!(
                    "run record {} says that another run made commit {sequence} than its record",
                    run.number
                )
            } else {
                continue;
            };
            report.findings.push(Finding::new(FindingKind::BrokenChain, path.clone(), wrong));
        }
    }

    /// Adds what run records cover and no commit record was there for, and says how far the run records go.
    pub(super) fn miss(&self, report: &mut VerifyReport) {
        for (tenant, pulls) in &self.due {
            for (pull, commits) in pulls {
                for (sequence, at) in commits.keys() {
                    let number = self.sealed[*at].number;
                    let sentence = format!(
                        "run record {number} covers this commit, and its record cannot be read or is gone"
                    );
                    let path = record_path(tenant, pull, *sequence);
                    report.findings.push(Finding::new(FindingKind::MissingRecord, path, sentence));
                }
            }
        }
        report.runs = self.sealed.len() as u64;
        report.newest_run = self.sealed.last().map(SealedRoot::of);
    }

    /// Checks the registry of tenants: its own hash, and that it is there.
    pub(super) fn check_registry(&self, layout: &Layout, findings: &mut Vec<Finding>) -> Result<()> {
        let path = &layout.registry();
        let Some(text) = read_if_there("read the registry of tenants", path)? else {
            if self.sealed.iter().any(|sealed| sealed.header.registry.is_some()) {
                let sentence = "the registry of tenants was there when the last run ended, and is gone";
                findings.push(Finding::new(FindingKind::MissingFile, layout.below(path), sentence));
            }
            return Ok(());
        };
        let is_json = serde_json::from_slice::<&RawValue>(&text).is_ok();
        if !is_json || seal_of(&text).is_none() {
            let sentence = "the registry of tenants was changed after it was written";
            findings.push(Finding::new(FindingKind::EditedRecord, layout.below(path), sentence));
        }
        Ok(())
    }

    /// Checks what the auditor brings along: a root that was kept, and public keys.
    pub(super) fn check_against(&self, layout: &Layout, options: &VerifyOptions, report: &mut VerifyReport) {
        if let Some(root) = &options.root
            && !self.sealed.iter().any(|sealed| sealed.root == *root)
        {
            let sentence = format!(
                "no run record has the root {root}: run records were removed or exchanged, or it is another lake's"
            );
            let path = layout.below(&layout.runs());
            report.findings.push(Finding::new(FindingKind::UnknownRoot, path, sentence));
        }
        if options.public_keys.is_empty() {
            return;
        }
        let mut was_signed = false;
        for sealed in &self.sealed {
            let path = layout.below(&layout.run_record(sealed.number));
            let Some(signature) = &sealed.signature else {
                if was_signed {
                    let sentence = "the run record is not signed, and one before it is";
                    report.findings.push(Finding::new(FindingKind::Unsigned, path, sentence));
                } else {
                    report.unsigned.push(path);
                }
                continue;
            };
            was_signed = true;
            let root = &sealed.root;
            if !options.public_keys.iter().any(|key| key.signed(root, signature)) {
                let keys: Vec<String> = options.public_keys.iter().map(PublicKey::fingerprint).collect();
                let sentence = format!(
                    "the signature (of a key {}) is not that of {}",
                    signature.key,
                    keys.join(" or ")
                );
                report.findings.push(Finding::new(FindingKind::WrongSignature, path, sentence));
            }
        }
        if !was_signed {
            let sentence = "no run record is signed, and a public key was given to check them with";
            let path = layout.below(&layout.runs());
            report.findings.push(Finding::new(FindingKind::Unsigned, path, sentence));
        }
    }
}

impl SealedRoot {
    fn of(run: &Run) -> Self {
        Self {
            sequence: run.number,
            run_id: run.header.run_id.clone(),
            finished_at: run.header.finished_at,
            root: run.root.clone(),
            signed_by: run.signature.as_ref().map(|signature| signature.key.clone()),
        }
    }
}

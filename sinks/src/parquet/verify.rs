//! Reads a lake again, offline, and compares every byte and every count with its records.
//!
//! The order makes it safe beside a run: first the files are listed, then the intents, then the run records, then
//! the commit records. A file that was moved before it was listed is named by its intent or, if that is gone
//! already, by its record; a commit that a run record covers was there before it.

use std::collections::HashSet;
use std::path::Path;

use pipeline::{Result, TenantId, Timestamp};
use serde::Serialize;

mod files;
mod own;
mod records;
mod runs;

use self::files::CheckedFile;
pub(super) use self::records::Committed;
use self::records::Kept;
use super::layout::{self, Layout};
use super::record::Record;
use super::recover::{self, Intent};
use super::signing::PublicKey;
use super::store::{check_is_there, failed, names_in};

/// What an auditor asks for.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Threads that read data files; at least one is used.
    pub threads: usize,
    /// The root of a run that was kept elsewhere, in lower-case hexadecimal digits.
    pub root: Option<String>,
    /// Keys, one of which must have signed each run since signing began.
    pub public_keys: Vec<PublicKey>,
}

/// What a verification found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Run records that were read.
    pub runs: u64,
    /// The newest of them; its root stands for everything before it.
    pub newest_run: Option<SealedRoot>,
    /// Commit records that were read.
    pub commits: u64,
    /// Data files that were read.
    pub files: u64,
    /// Rows in their footers.
    pub rows: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Files of runs that have not committed them, by path below the root: a live run's work, or what the
    /// next run clears away.
    pub leftovers: Vec<String>,
    /// Commits that no run record covers yet, by the path of their records: of a live run, or of a killed one
    /// until the next run adopts them.
    pub unsealed: Vec<String>,
    /// Run records of the time before signing began, where a public key was given.
    pub unsigned: Vec<String>,
    /// Everything that is not as the records say, in the order of the paths.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Returns whether the lake is as its records say.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// The root of a run, which an auditor keeps elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedRoot {
    /// The number of the run record.
    pub sequence: u64,
    /// The run.
    pub run_id: String,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The root over what it came to, the commits it covers, and the run record before it.
    pub root: String,
    /// The fingerprint of the key that signed it.
    pub signed_by: Option<String>,
}

/// One thing that is not as the records say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Where, below the root.
    pub path: String,
    /// Whose it is, where that can be told.
    pub tenant: Option<TenantId>,
    /// What is wrong, as a sentence.
    pub sentence: String,
}

impl Finding {
    fn new(kind: FindingKind, path: impl Into<String>, sentence: impl Into<String>) -> Self {
        let path = path.into();
        Self { kind, tenant: layout::tenant_of(&path), path, sentence: sentence.into() }
    }

    fn of(mut self, tenant: &TenantId) -> Self {
        self.tenant = Some(tenant.clone());
        self
    }
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A committed file is gone or cannot be read.
    MissingFile,
    /// A committed file has another size.
    WrongSize,
    /// A committed file has other bytes.
    WrongHash,
    /// A committed file's footer says another number of rows, or cannot be read.
    WrongRows,
    /// A committed file lies, or says it belongs, elsewhere than its record's tenant, region and day.
    WrongPlace,
    /// A receipt says another number of rows than the files hold.
    WrongReceipt,
    /// A file that no commit names.
    UnnamedFile,
    /// A record is missing between others.
    MissingRecord,
    /// A record cannot be read.
    UnreadableRecord,
    /// A record was changed after it was written.
    EditedRecord,
    /// A record does not follow from the one before it.
    BrokenChain,
    /// A record is of a version that this program does not know.
    UnknownVersion,
    /// A file among our own that no version of the program writes there.
    UnknownFile,
    /// A root that was kept elsewhere is not in the chain of runs.
    UnknownRoot,
    /// A run record is signed by none of the keys.
    WrongSignature,
    /// A run record is not signed although it should be.
    Unsigned,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Files read so far.
    pub files: u64,
    /// Files to read.
    pub files_total: u64,
    /// Bytes read so far.
    pub bytes: u64,
    /// Bytes to read, as the records say.
    pub bytes_total: u64,
}

/// Reads a lake on several threads and reports everything that is not as its records say.
///
/// # Errors
/// Where the lake cannot be listed at all.
pub fn verify(
    root: &Path,
    options: &VerifyOptions,
    progress: &(dyn Fn(VerifyProgress) + Sync),
) -> Result<VerifyReport> {
    let layout = Layout::new(root.to_owned());
    check_is_there("verify", root)?;
    let Evidence { records, strays, mut report } = read(&layout, options, &mut |_| {})?;
    for path in strays {
        report.findings.push(Finding::new(FindingKind::UnnamedFile, path, "no commit names this file"));
    }
    let checked = files::check_all(&layout, &records, options.threads, progress);
    let mut rest = checked.as_slice();
    for kept in &records {
        let (own, others) = rest.split_at(kept.files.len());
        rest = others;
        records::compare_receipts(kept, own, &mut report.findings);
    }
    for file in checked {
        report.files += 1;
        report.rows += file.rows.unwrap_or_default();
        report.bytes += file.bytes;
        report.findings.extend(file.findings);
    }
    report.put_in_order();
    Ok(report)
}

/// The records of a lake, compared with each other and not with the data.
pub(super) struct Evidence {
    records: Vec<Kept>,
    /// Data files that neither a record nor an intent names.
    pub(super) strays: Vec<String>,
    pub(super) report: VerifyReport,
}

/// Reads everything but the data, and shows each commit record to whoever asks, one at a time.
pub(super) fn read(
    layout: &Layout,
    options: &VerifyOptions,
    see: &mut dyn FnMut(&Committed),
) -> Result<Evidence> {
    let mut report = VerifyReport::default();
    let mut found = list_data(layout)?;
    own::check(layout, &mut report.findings)?;
    let (pending, leftovers) = uncommitted(layout, &mut report.findings)?;
    report.leftovers = leftovers;
    let mut runs = runs::read(layout, &mut report.findings)?;
    runs.check_registry(layout, &mut report.findings)?;
    let (mut records, mut findings) = (Vec::new(), Vec::new());
    records::read_all(layout, &mut findings, &mut |committed| {
        runs.compare(&committed, &mut report);
        for file in &committed.record.files {
            found.remove(&file.path);
        }
        see(&committed);
        records.push(Kept::of(committed));
    })?;
    report.findings.append(&mut findings);
    report.commits = records.len() as u64;
    runs.miss(&mut report);
    runs.check_against(layout, options, &mut report);
    let mut strays = Vec::new();
    for path in found {
        if pending.contains(&path) { report.leftovers.push(path) } else { strays.push(path) }
    }
    report.put_in_order();
    Ok(Evidence { records, strays, report })
}

impl VerifyReport {
    fn put_in_order(&mut self) {
        self.findings.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        // What is missing may be missed from two sides.
        self.findings
            .dedup_by(|a, b| a.path == b.path && a.kind == b.kind && a.kind == FindingKind::MissingRecord);
        self.leftovers.sort_unstable();
    }
}

/// So many folders are above a data file: a link further down may lead in circles.
const DEEPEST: usize = 4;

/// Returns every file outside the folder of our own, by path below the root.
fn list_data(layout: &Layout) -> Result<HashSet<String>> {
    let mut files = HashSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = layout.file(&folder);
        let unlisted = |error| failed("list the lake", &path, error);
        let depth = folder.split('/').filter(|name| !name.is_empty()).count();
        for entry in fs_err::read_dir(&path).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(unlisted)?;
            // A folder may have been moved to another disk; a file that a link leads to is nobody's.
            let is_elsewhere = || depth < DEEPEST && layout.file(&below).is_dir();
            if kind.is_dir() || kind.is_symlink() && is_elsewhere() {
                if layout.file(&below) != layout.own() {
                    folders.push(below);
                }
            } else {
                files.insert(below);
            }
        }
    }
    Ok(files)
}

/// Returns the data files that intents name, and the files that are still being written.
fn uncommitted(layout: &Layout, findings: &mut Vec<Finding>) -> Result<(HashSet<String>, Vec<String>)> {
    let mut named = HashSet::new();
    let mut writing = Vec::new();
    let runs = |folder: &Path| {
        let names = names_in(folder).map_err(|error| failed("list the open runs", folder, error))?;
        Ok(names.into_iter().filter(|run_id| layout::run_id(run_id).is_ok()).collect::<Vec<_>>())
    };
    for run_id in runs(&layout.all_pending())? {
        let folder = layout.pending(&run_id);
        let intents = recover::intents(layout, &run_id);
        for (path, intent) in intents.map_err(|error| failed("read the intents", &folder, error))? {
            match &intent {
                Intent::Declared(record) => named.extend(recover::own_files(record).map(str::to_owned)),
                Intent::CutShort => {}
                // Nobody knows which files it names.
                Intent::Unknown(flaw) => findings.push(records::flawed(flaw, layout.below(&path), "intent")),
            }
        }
    }
    for run_id in runs(&layout.all_pending())? {
        let folder = layout.pending(&run_id);
        let names = names_in(&folder).map_err(|error| failed("list the open runs", &folder, error))?;
        let strange = names.into_iter().filter(|name| name != "lock" && !name.ends_with(".json"));
        writing.extend(strange.map(|name| format!("{}/{name}", layout.below(&folder))));
    }
    for run_id in runs(&layout.all_temporary())? {
        let folder = layout.temporary(&run_id);
        let names = names_in(&folder).map_err(|error| failed("list the open runs", &folder, error))?;
        let below = layout.below(&folder);
        writing.extend(names.into_iter().map(|name| format!("{below}/{name}")));
    }
    Ok((named, writing))
}

/// Returns whether a file's path is one that the record's own commit may hold.
fn is_in_place(record: &Record, dataset: &str, path: &str) -> bool {
    let folder = layout::data_folder(dataset, &record.region, &record.organization_id, record.date);
    let named = layout::parse_data_name(path).is_some_and(|(commit, _)| commit == record.commit);
    named && folder.is_ok_and(|folder| path.rsplit_once('/').is_some_and(|(actual, _)| actual == folder))
}

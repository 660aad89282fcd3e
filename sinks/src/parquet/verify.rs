//! Reads a lake again, offline, and compares every byte and every count with its commit records.
//!
//! The order makes it safe beside a run: first the files are listed, then the intents, then the records. A
//! file that was moved before it was listed is named by its intent or, if that is gone already, by its record.

use std::collections::HashSet;
use std::path::Path;

use pipeline::Result;
use serde::Serialize;

mod files;
mod records;

use self::files::CheckedFile;
use super::layout::Layout;
use super::record::Record;
use super::store::{failed, names_in};
use super::{layout, recover};

/// What a verification found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
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

/// One thing that is not as the records say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Where, below the root.
    pub path: String,
    /// What is wrong, as a sentence.
    pub sentence: String,
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
    threads: usize,
    progress: &(dyn Fn(VerifyProgress) + Sync),
) -> Result<VerifyReport> {
    let layout = Layout::new(root.to_owned());
    let found = list_data(&layout)?;
    let (pending, mut leftovers) = uncommitted(&layout)?;
    let mut findings = Vec::new();
    let records = records::read_all(&layout, &mut findings)?;
    let named: HashSet<&str> =
        records.iter().flat_map(|record| &record.files).map(|file| file.path.as_str()).collect();
    for path in found.into_iter().filter(|path| !named.contains(path.as_str())) {
        if pending.contains(&path) {
            leftovers.push(path);
        } else {
            let sentence = "no commit names this file".to_owned();
            findings.push(Finding { kind: FindingKind::UnnamedFile, path, sentence });
        }
    }
    let checked = files::check_all(&layout, &records, threads, progress);
    let mut report = VerifyReport { commits: records.len() as u64, leftovers, ..VerifyReport::default() };
    let mut rest = checked.as_slice();
    for record in &records {
        let (own, others) = rest.split_at(record.files.len());
        rest = others;
        records::compare_receipts(record, own, &mut findings);
    }
    for file in checked {
        report.files += 1;
        report.rows += file.rows.unwrap_or_default();
        report.bytes += file.bytes;
        findings.extend(file.findings);
    }
    findings.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    report.leftovers.sort_unstable();
    report.findings = findings;
    Ok(report)
}

/// Returns every file outside the folder of our own, by path below the root.
fn list_data(layout: &Layout) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = layout.file(&folder);
        let unlisted = |error| failed("list the lake", &path, error);
        for entry in fs_err::read_dir(&path).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().map_err(unlisted)?.is_dir() {
                if layout.file(&below) != layout.own() {
                    folders.push(below);
                }
            } else {
                files.push(below);
            }
        }
    }
    Ok(files)
}

/// Returns the data files that intents name, and the files that are still being written.
fn uncommitted(layout: &Layout) -> Result<(HashSet<String>, Vec<String>)> {
    let mut named = HashSet::new();
    let mut writing = Vec::new();
    let runs = |folder: &Path| {
        let names = names_in(folder).map_err(|error| failed("list the open runs", folder, error))?;
        Ok(names.into_iter().filter(|run_id| layout::run_id(run_id).is_ok()).collect::<Vec<_>>())
    };
    for run_id in runs(&layout.all_pending())? {
        let folder = layout.pending(&run_id);
        let intents = recover::intents(layout, &run_id);
        for (_, intent) in intents.map_err(|error| failed("read the intents", &folder, error))? {
            named.extend(intent.iter().flat_map(recover::Intent::own_files).map(str::to_owned));
        }
    }
    for run_id in runs(&layout.all_temporary())? {
        let folder = layout.temporary(&run_id);
        let names = names_in(&folder).map_err(|error| failed("list the open runs", &folder, error))?;
        let below = folder.strip_prefix(layout.root()).unwrap_or(&folder).display().to_string();
        writing.extend(names.into_iter().map(|name| format!("{below}/{name}")));
    }
    Ok((named, writing))
}

/// Returns the finding about a committed file.
fn about_file(kind: FindingKind, path: &str, sentence: String) -> Finding {
    Finding { kind, path: path.to_owned(), sentence }
}

/// Returns whether a file's path is one that the record's own commit may hold.
fn is_in_place(record: &Record, dataset: &str, path: &str) -> bool {
    let folder = layout::data_folder(dataset, &record.region, &record.organization_id, record.date);
    let named = layout::parse_data_name(path).is_some_and(|(commit, _)| commit == record.commit);
    named && folder.is_ok_and(|folder| path.rsplit_once('/').is_some_and(|(actual, _)| actual == folder))
}

//! Finds what no commit names, and removes it: what runs left that died, and were never followed by another.
//!
//! Nothing is removed while the records are not whole: a file may seem to be nobody's because the record that
//! names it is gone. Nothing of a live run is touched, and nothing that has not the form of a data file of ours,
//! unless it lies in a folder of uncommitted work.

use std::path::Path;
use std::sync::Arc;

use pipeline::{Error, ErrorKind, Result};
use serde::Serialize;

use super::layout::{self, Layout, is_data_path};
use super::recover::{self, Keep};
use super::store::{Disk, Files, Store, check_is_there, failed, names_in};
use super::verify::{self, VerifyOptions};
use super::{Finding, run};

/// What no commit names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Data files of ours that no commit and no live run names, by path below the root.
    pub files: Vec<String>,
    /// Runs that died and left a folder of uncommitted work.
    pub dead_runs: Vec<String>,
    /// The size of all that, in bytes.
    pub bytes: u64,
    /// Files that are not of this program's making, which are never removed.
    pub foreign: Vec<String>,
    /// What is wrong with the records; while there is anything, nothing is removed.
    pub findings: Vec<Finding>,
}

impl Garbage {
    /// Returns whether there is nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dead_runs.is_empty()
    }
}

/// Lists what no commit names; changes nothing.
///
/// # Errors
/// Where the lake cannot be listed.
pub fn find_garbage(root: &Path) -> Result<Garbage> {
    check_is_there("look for what no commit names in", root)?;
    find(&Layout::new(root.to_owned()))
}

/// Removes what no commit names, as it is found now, and returns what that was.
///
/// # Errors
/// Where the records are not whole, so that nothing was removed; or where the file system refuses.
pub fn remove_garbage(root: &Path) -> Result<Garbage> {
    check_is_there("remove what no commit names from", root)?;
    remove(&Layout::new(root.to_owned()), Arc::new(Disk))
}

pub(super) fn remove(layout: &Layout, files: Arc<dyn Files>) -> Result<Garbage> {
    let store = Store::new(files);
    // With the turn, no run begins: each that lives has its lock, and its intents before its files.
    let _turn = run::take_turn(layout)?;
    store.take_for_durable(layout.root());
    let garbage = find(layout)?;
    if let Some(finding) = garbage.findings.first() {
        return Err(Error::new(
            ErrorKind::Sink,
            format!("remove what no commit names: the records are not whole ({}: {})", finding.path, finding.sentence),
        )
        .with_hint("nothing was removed; run `tenantry verify`, and put back what is missing before anything is removed"));
    }
    for run_id in &garbage.dead_runs {
        recover::clear(layout, &store, run_id, Keep::Nothing)?;
    }
    recover::remove_files(layout, &store, garbage.files.iter().map(String::as_str))?;
    Ok(garbage)
}

fn find(layout: &Layout) -> Result<Garbage> {
    let evidence = verify::read(layout, &VerifyOptions::default(), &mut |_| {})?;
    let mut garbage = Garbage::default();
    for path in evidence.strays {
        if is_data_path(&path) { garbage.files.push(path) } else { garbage.foreign.push(path) }
    }
    let is_foreign = |finding: &Finding| finding.kind == verify::FindingKind::UnknownFile;
    let (foreign, findings) = evidence.report.findings.into_iter().partition(is_foreign);
    garbage.findings = findings;
    garbage.foreign.extend(Vec::into_iter(foreign).map(|finding: Finding| finding.path));
    for folder in [layout.all_pending(), layout.all_temporary()] {
        let names = names_in(&folder).map_err(|error| failed("list the open runs", &folder, error))?;
        for run_id in names.into_iter().filter(|name| layout::run_id(name).is_ok()) {
            let is_folder = folder.join(&run_id).is_dir();
            if is_folder && !garbage.dead_runs.contains(&run_id) && !recover::lives(layout, &run_id)? {
                garbage.dead_runs.push(run_id);
            }
        }
    }
    garbage.bytes = garbage.files.iter().map(|path| size(&layout.file(path))).sum();
    for run_id in &garbage.dead_runs {
        garbage.bytes += work_of(layout, run_id)?;
    }
    garbage.files.sort_unstable();
    garbage.foreign.sort_unstable();
    Ok(garbage)
}

/// Returns the size of what a dead run was writing, and of what it had moved without committing it.
fn work_of(layout: &Layout, run_id: &str) -> Result<u64> {
    let folder = layout.temporary(run_id);
    let names = names_in(&folder).map_err(|error| failed("list the open runs", &folder, error))?;
    let mut bytes: u64 = names.iter().map(|name| size(&folder.join(name))).sum();
    let pending = layout.pending(run_id);
    let intents = recover::intents(layout, run_id);
    for (_, intent) in intents.map_err(|error| failed("read the intents", &pending, error))? {
        let Some(record) = intent.record() else { continue };
        if !recover::was_carried_out(layout, record)? {
            bytes += recover::own_files(record).map(|path| size(&layout.file(path))).sum::<u64>();
        }
    }
    Ok(bytes)
}

/// Returns a file's size; nothing where it is gone.
fn size(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |about| about.len())
}

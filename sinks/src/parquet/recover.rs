//! Clears away what a dead run left: the files that its intents name, and its folders.

use std::fs::TryLockError;
use std::io;
use std::path::PathBuf;

use pipeline::{Result, TenantId};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::history;
use super::layout::{self, Layout, parse_data_name};
use super::run::lock_file;
use super::store::{Store, failed, folder_of, names_in};

/// The version written into new intents.
const SCHEMA_VERSION: u32 = 1;

/// What a commit is about to do: written before any of its files is moved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    schema_version: u32,
    pub(super) commit: String,
    pub(super) organization_id: TenantId,
    pub(super) pull: String,
    pub(super) sequence: u64,
    /// The paths below the root that the files will have.
    pub(super) files: Vec<String>,
}

/// Whether the folder of a run stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Folder,
    Nothing,
}

impl Intent {
    pub(super) fn new(
        commit: &str,
        organization_id: TenantId,
        pull: &str,
        sequence: u64,
        files: Vec<String>,
    ) -> Self {
        let (commit, pull) = (commit.to_owned(), pull.to_owned());
        Self { schema_version: SCHEMA_VERSION, commit, organization_id, pull, sequence, files }
    }

    /// Returns the paths it names that have the form of this commit's data files; no other is ever touched.
    pub(super) fn own_files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str).filter(|path| {
            let inside = !path.starts_with('/') && !path.split('/').any(|segment| segment == "..");
            inside && parse_data_name(path).is_some_and(|(commit, _)| commit == self.commit)
        })
    }
}

/// Returns whether a run lives: whether its lock is held.
pub(super) fn lives(layout: &Layout, run_id: &str) -> Result<bool> {
    let path = layout.run_lock(run_id);
    let file = match fs_err::OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(|error| failed("look whether a run lives", &path, error))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(failed("look whether a run lives", &path, error)),
    }
}

/// Returns whether a run but this one lives; with the lake's turn, none begins meanwhile.
pub(super) fn others_live(layout: &Layout, own: &str) -> Result<bool> {
    let all = layout.all_pending();
    for run_id in names_in(&all).map_err(|error| failed("list the open runs", &all, error))? {
        if run_id != own && layout::run_id(&run_id).is_ok() && lives(layout, &run_id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Clears every run but one, unless it lives.
pub(super) fn clear_dead_runs(layout: &Layout, store: &Store, own: &str) -> Result<()> {
    let all = layout.all_pending();
    for run_id in names_in(&all).map_err(|error| failed("list the open runs", &all, error))? {
        if run_id == own || layout::run_id(&run_id).is_err() || !layout.pending(&run_id).is_dir() {
            continue;
        }
        let path = layout.run_lock(&run_id);
        let file = match lock_file(&path) {
            // It ended between the two looks, and took its folder with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(|error| failed("look whether a run lives", &path, error))?,
        };
        match file.try_lock() {
            Ok(()) => clear(layout, store, &run_id, Keep::Nothing)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed("look whether a run lives", &path, error)),
        }
    }
    Ok(())
}

/// Clears what a run left whose lock the caller holds.
pub(super) fn clear(layout: &Layout, store: &Store, run_id: &str, keep: Keep) -> Result<()> {
    let pending = layout.pending(run_id);
    let mut undecided = false;
    for (path, intent) in
        intents(layout, run_id).map_err(|error| failed("read the intents", &pending, error))?
    {
        undecided |= !settle(layout, store, intent)?;
        if !undecided {
            store.remove_file(&path).map_err(|error| failed("remove an intent", &path, error))?;
        }
    }
    let temporary = layout.temporary(run_id);
    store.remove_dir_all(&temporary).map_err(|error| failed("clear a dead run", &temporary, error))?;
    if keep == Keep::Nothing && !undecided {
        store.remove_dir_all(&pending).map_err(|error| failed("clear a dead run", &pending, error))?;
        info!(run_id, "cleared what a dead run left");
    }
    Ok(())
}

/// Returns the intents of a run; `None` for one whose writing was cut short, before anything was moved.
pub(super) fn intents(layout: &Layout, run_id: &str) -> io::Result<Vec<(PathBuf, Option<Intent>)>> {
    let pending = layout.pending(run_id);
    let mut intents = Vec::new();
    for name in names_in(&pending)?.into_iter().filter(|name| name.ends_with(".json")) {
        let path = pending.join(name);
        match fs_err::read(&path) {
            Ok(text) => intents.push((path, serde_json::from_slice(&text).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(intents)
}

/// Deletes the files of an intent whose commit never happened; returns whether that could be decided.
fn settle(layout: &Layout, store: &Store, intent: Option<Intent>) -> Result<bool> {
    let Some(intent) = intent else { return Ok(true) };
    match was_carried_out(layout, &intent) {
        Ok(true) => {}
        Ok(false) => remove_files(layout, store, intent.own_files())?,
        Err(error) => {
            warn!(error = %error.chain(), commit = intent.commit, "left a dead run's files where they are");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether the commit that an intent declares was carried out.
pub(super) fn was_carried_out(layout: &Layout, intent: &Intent) -> Result<bool> {
    let record = history::read(layout, &intent.organization_id, &intent.pull, intent.sequence)?;
    Ok(record.is_some_and(|sealed| sealed.record.commit == intent.commit))
}

/// Takes back data files that no record names, durably.
pub(super) fn remove_files<'a>(
    layout: &Layout,
    store: &Store,
    files: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let mut folders = Vec::new();
    for path in files.map(|path| layout.file(path)) {
        store.remove_file(&path).map_err(|error| failed("take back an uncommitted file", &path, error))?;
        folders.push(folder_of(&path).to_owned());
    }
    folders.dedup();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        store
            .files()
            .sync_dir(folder)
            .map_err(|error| failed("take back uncommitted files", folder, error))?;
    }
    Ok(())
}

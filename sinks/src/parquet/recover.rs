//! Clears away what a dead run left: the files that its intents name, and its folders.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

use pipeline::{Result, TenantId};
use serde::de::IgnoredAny;
use tracing::{info, warn};

use super::history;
use super::layout::{self, Layout, parse_data_name};
use super::record::{Flaw, Record, Sealed};
use super::run::lock_file;
use super::store::{Store, failed, folder_of, names_in};

/// What a commit is about to do: its record, written before any of its files is moved.
pub(super) enum Intent {
    /// As it will stand among the commits.
    Declared(Box<Record>),
    /// Its writing was cut short, before anything was moved.
    CutShort,
    /// It is whole, but not as this program would have written it.
    Unknown(Flaw),
}

/// Whether the folder of a run stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Folder,
    Nothing,
}

impl Intent {
    fn parse(text: &[u8]) -> Self {
        match Sealed::parse(text) {
            Ok(sealed) => Self::Declared(Box::new(sealed.record)),
            // A record's last byte closes its object.
            Err(_) if serde_json::from_slice::<IgnoredAny>(text).is_err() => Self::CutShort,
            Err(flaw) => Self::Unknown(flaw),
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Declared(record) => Some(record),
            Self::CutShort | Self::Unknown(_) => None,
        }
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
        undecided |= !settle(layout, store, &path, &intent)?;
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

/// Returns the intents of a run.
pub(super) fn intents(layout: &Layout, run_id: &str) -> io::Result<Vec<(PathBuf, Intent)>> {
    let pending = layout.pending(run_id);
    let mut intents = Vec::new();
    for name in names_in(&pending)?.into_iter().filter(|name| name.ends_with(".json")) {
        let path = pending.join(name);
        match fs_err::read(&path) {
            Ok(text) => intents.push((path, Intent::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(intents)
}

/// Returns the commits that runs are about to make, or were when they died.
pub(super) fn intended(layout: &Layout) -> Result<HashSet<String>> {
    let all = layout.all_pending();
    let mut commits = HashSet::new();
    for run_id in names_in(&all).map_err(|error| failed("list the open runs", &all, error))? {
        let Ok(run_id) = layout::run_id(&run_id) else { continue };
        let intents = intents(layout, run_id).map_err(|error| failed("read the intents", &all, error))?;
        commits.extend(intents.iter().filter_map(|(_, intent)| Some(intent.record()?.commit.clone())));
    }
    Ok(commits)
}

/// Deletes the files of an intent whose commit never happened; returns whether that could be decided.
fn settle(layout: &Layout, store: &Store, path: &Path, intent: &Intent) -> Result<bool> {
    let undecided = |why: &dyn Display| {
        warn!(error = %why, intent = %path.display(), "left a dead run's files where they are");
        Ok(false)
    };
    let record = match intent {
        Intent::Declared(record) => record,
        Intent::CutShort => return Ok(true),
        Intent::Unknown(flaw) => return undecided(flaw),
    };
    match was_carried_out(layout, record) {
        // Who linked it may have died before it was durable, and nothing but the intent tells of its files then.
        Ok(true) => {
            make_durable(layout, store, &record.organization_id, &record.pull, record.from.sequence + 1)?;
        }
        Ok(false) => remove_files(layout, store, own_files(record))?,
        Err(error) => return undecided(&error.chain()),
    }
    Ok(true)
}

/// Returns the paths a record names that have the form of its commit's data files; no other is ever touched.
pub(super) fn own_files(record: &Record) -> impl Iterator<Item = &str> {
    record.files.iter().map(|file| file.path.as_str()).filter(|path| {
        let inside = !path.starts_with('/') && !path.split('/').any(|segment| segment == "..");
        inside && parse_data_name(path).is_some_and(|(commit, _)| commit == record.commit)
    })
}

/// Returns whether the commit of a declared record was carried out.
pub(super) fn was_carried_out(layout: &Layout, declared: &Record) -> Result<bool> {
    let sequence = declared.from.sequence + 1;
    let record = history::read(layout, &declared.organization_id, &declared.pull, sequence)?;
    Ok(record.is_some_and(|sealed| sealed.record.commit == declared.commit))
}

/// Makes the name of a record durable that is in its place.
pub(super) fn make_durable(
    layout: &Layout,
    store: &Store,
    tenant: &TenantId,
    pull: &str,
    sequence: u64,
) -> Result<()> {
    let path = layout.record(tenant, pull, sequence)?;
    let folder = folder_of(&path);
    let synced = store.create_dirs(folder).and_then(|()| store.files().sync_dir(folder));
    synced.map_err(|error| failed("make a commit record durable", folder, error))
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

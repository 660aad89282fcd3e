//! A run that may write: its lock says that it lives, its folders hold what is not committed.

use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::time::Duration;

use pipeline::{Error, ErrorKind, Result};
use tracing::warn;

use super::chain::Head;
use super::layout::{self, Layout};
use super::record::Flaw;
use super::recover;
use super::signing::SigningKey;
use super::store::{Store, failed, names_in, newer};

/// How often it is looked whether a lock is free that belongs to nobody else, and how long apart.
const LOOKS: u32 = 50;
const A_LOOK: Duration = Duration::from_millis(20);

/// An open run of this process; its lock is released by dropping it, or by the process's death.
pub(super) struct OpenRun {
    pub(super) id: String,
    /// Signs what the run comes to.
    pub(super) signing_key: Option<SigningKey>,
    layout: Layout,
    store: Store,
    _lock: fs_err::File,
}

impl OpenRun {
    /// Proves that the lake can be written, registers the run, and clears what dead runs left.
    pub(super) fn begin(
        layout: &Layout,
        store: &Store,
        run_id: &str,
        signing_key: Option<SigningKey>,
    ) -> Result<Self> {
        store.create_root(layout.root()).map_err(|error| refused(layout.root(), error))?;
        for folder in [layout.own(), layout.all_pending(), layout.all_temporary()] {
            store.create_dirs(&folder).map_err(|error| refused(&folder, error))?;
        }
        if let Some(Err(Flaw::Version(version))) = Head::read(layout)? {
            return Err(newer("prepare the lake", layout.head(), version));
        }
        // One at a time: nobody may take a run for dead that has its folder and not yet its lock.
        let _turn = take_turn(layout)?;
        let lock = register(layout, store, run_id)?;
        let (layout, store) = (layout.clone(), store.clone());
        let run = Self { id: run_id.to_owned(), signing_key, layout, store, _lock: lock };
        let (layout, store) = (&run.layout, &run.store);
        recover::clear_dead_runs(layout, store, run_id)?;
        if recover::others_live(layout, run_id)? {
            warn!("another run is at work in this lake: each of them asks as much as the key may");
        }
        let temporary = layout.temporary(run_id);
        store.create_dirs(&temporary).map_err(|error| refused(&temporary, error))?;
        probe(store, &temporary).map_err(|error| refused(&temporary, error))?;
        probe_data_folders(layout)?;
        Ok(run)
    }
}

/// Returns the kind of an error that no other disk or hour mends: the run file names a place that cannot be written.
fn misplaced(error: &io::Error) -> Option<ErrorKind> {
    use io::ErrorKind::{AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    let setting = [AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem];
    setting.contains(&error.kind()).then_some(ErrorKind::Config)
}

impl Drop for OpenRun {
    /// Leaves nothing behind, unless a commit stopped half-way: then the next run needs its intent.
    fn drop(&mut self) {
        let pending = self.layout.pending(&self.id);
        self.store.remove_dir_all(&self.layout.temporary(&self.id)).ok();
        if recover::intents(&self.layout, &self.id).is_ok_and(|intents| intents.is_empty()) {
            self.store.remove_dir_all(&pending).ok();
        }
    }
}

/// Waits for the lake's turn, which one process has at a time; dropping the file gives it up.
pub(super) fn take_turn(layout: &Layout) -> Result<fs_err::File> {
    let path = layout.prepare_lock();
    let file = lock_file(&path).and_then(|file| file.lock().map(|()| file));
    file.map_err(|error| refused(&path, error))
}

/// Returns the error for a lake that cannot be written.
fn refused(path: &Path, error: io::Error) -> Error {
    let kind = misplaced(&error).unwrap_or(ErrorKind::Sink);
    failed("prepare the lake", path, error).of_kind(kind)
}

fn register(layout: &Layout, store: &Store, run_id: &str) -> Result<fs_err::File> {
    let path = layout.run_lock(run_id);
    let pending = layout.pending(run_id);
    store.create_dirs(&pending).map_err(|error| refused(&pending, error))?;
    let file = lock_file(&path).map_err(|error| refused(&path, error))?;
    let mut looks = 0;
    loop {
        match file.try_lock() {
            Ok(()) => {
                recover::clear(layout, store, run_id, recover::Keep::Folder)?;
                return Ok(file);
            }
            // Who looks whether the run lives holds its lock for a moment.
            Err(TryLockError::WouldBlock) if looks < LOOKS => {
                looks += 1;
                std::thread::sleep(A_LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Sink,
                    format!("register the run {run_id}: it is already running"),
                )
                .with_hint("wait until it has ended, or start another run"));
            }
            Err(TryLockError::Error(error)) => return Err(failed("register the run", &path, error)),
        }
    }
}

pub(super) fn lock_file(path: &Path) -> io::Result<fs_err::File> {
    fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// Tries the folders that commits will change first: one that was made by another user would be noticed only then.
fn probe_data_folders(layout: &Layout) -> Result<()> {
    let root = layout.root();
    let names = names_in(root).map_err(|error| refused(root, error))?;
    let below = names.iter().map(|name| root.join(name)).filter(|path| layout::holds_regions(path));
    for folder in below.chain([root.to_owned()]) {
        // A file without a name, where the file system has such: no reader sees it.
        tempfile::tempfile_in(&folder).map_err(|error| refused(&folder, error))?;
    }
    Ok(())
}

/// Tries the three operations that a commit is made of.
fn probe(store: &Store, folder: &Path) -> io::Result<()> {
    let (first, second) = (folder.join("probe"), folder.join("probe-link"));
    let free = store.put_if_absent(&first, &second, b"probe")?;
    debug_assert!(free, "the folder is new");
    store.remove_file(&second)
}

//! The few operations on files that a commit is made of, and what a failure of one says to the operator.
//!
//! Everything that changes the lake goes through [`Files`], so that a test can make any single step fail or
//! be the last one before a crash.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pipeline::{Error, ErrorKind};

use super::layout;

/// The changes that are made to a file system.
pub(super) trait Files: Send + Sync {
    /// Creates a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;
    /// Creates one folder in a folder that is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Moves a file, over one that may be there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; fails if that name is taken.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
}

/// A file being written.
pub(super) trait NewFile: Write + Send {
    /// Makes its bytes durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The machine's own file system.
pub(super) struct Disk;

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(fs_err::File::create_new(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs_err::create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs_err::File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs_err::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs_err::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs_err::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs_err::remove_dir_all(path)
    }
}

impl NewFile for fs_err::File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// So many folders are known to be durable; the others are synced each time, which is quick where nothing is new.
const MOST_KNOWN: usize = 4096;

/// What commits, writers and the registry do with files.
#[derive(Clone)]
pub(super) struct Store {
    files: Arc<dyn Files>,
    /// Folders whose names, and those above them in the lake, are durable. That a folder is there does not say so: who
    /// made it may be about to sync, or have died before.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Names that are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// The folders to sync.
    folders: Vec<PathBuf>,
    /// The folders whose names are durable then.
    names: Vec<PathBuf>,
}

impl Unsynced {
    /// Adds a folder that holds a new name.
    pub(super) fn add(&mut self, folder: &Path) {
        if !self.folders.iter().any(|known| known == folder) {
            self.folders.push(folder.to_owned());
        }
    }
}

impl Store {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { files, durable: Arc::default() }
    }

    pub(super) fn files(&self) -> &dyn Files {
        self.files.as_ref()
    }

    /// Writes a whole file whose bytes are durable; its name is, once its folder is synced.
    ///
    /// What could not be written whole is removed again.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.files.create(path)?;
        file.write_all(bytes).and_then(|()| file.sync()).inspect_err(|_| {
            self.files.remove_file(path).ok();
        })
    }

    /// Puts a file in its place, durably, unless the name is taken; returns whether it was free.
    ///
    /// `temporary` is in the same file system and not there yet; it is removed again.
    pub(super) fn put_if_absent(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        self.write(temporary, bytes)?;
        let put = self.link_if_absent(temporary, path);
        // What stays behind is cleared with the run's folder.
        self.files.remove_file(temporary).ok();
        put
    }

    /// Gives a durable file a second name, unless that is taken; returns whether it was free.
    pub(super) fn link_if_absent(&self, file: &Path, name: &Path) -> io::Result<bool> {
        match self.files.hard_link(file, name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file, durably: a reader sees the old or the new one.
    pub(super) fn replace(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write(temporary, bytes)?;
        self.files.rename(temporary, path)?;
        self.files.sync_dir(folder_of(path))
    }

    /// Creates the lake's own folder and those above it where they are missing, durably.
    pub(super) fn create_root(&self, root: &Path) -> io::Result<()> {
        if root.is_dir() {
            // Its own name is the operator's, who may let nobody read the folder above; or a dead run's.
            self.files.sync_dir(folder_of(root)).ok();
            self.take_for_durable(root);
            return Ok(());
        }
        if let Some(above) = root.ancestors().skip(1).find(|above| above.is_dir()) {
            self.take_for_durable(above);
        }
        self.create_dirs(root)
    }

    /// Takes a folder for durable that was there before.
    pub(super) fn take_for_durable(&self, folder: &Path) {
        self.durable.lock().expect("no holder panics").insert(folder.to_owned());
    }

    /// Creates a folder and those above it where they are missing, durably.
    pub(super) fn create_dirs(&self, path: &Path) -> io::Result<()> {
        let mut unsynced = Unsynced::default();
        self.create_missing_dirs(path, &mut unsynced)?;
        self.sync(unsynced).map_err(|(_, error)| error)
    }

    /// Creates a folder and those above it where they are missing; what is not known to be durable is still to be synced.
    ///
    /// A journal writes all that waits with the first of them, so it is best to sync late, and all at once.
    pub(super) fn create_missing_dirs(&self, path: &Path, unsynced: &mut Unsynced) -> io::Result<()> {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let is_there = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists && path.is_dir();
        match (self.files.create_dir(path), above) {
            (Err(error), _) if is_there(&error) => {
                if self.is_durable(path) {
                    return Ok(());
                }
                self.climb(above, unsynced)?;
            }
            (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
                self.create_missing_dirs(above, unsynced)?;
                self.files
                    .create_dir(path)
                    .or_else(|error| if is_there(&error) { Ok(()) } else { Err(error) })?;
            }
            (created, _) => {
                created?;
                self.climb(above, unsynced)?;
            }
        }
        unsynced.add(folder_of(path));
        unsynced.names.push(path.to_owned());
        Ok(())
    }

    fn climb(&self, above: Option<&Path>, unsynced: &mut Unsynced) -> io::Result<()> {
        match above.filter(|above| !self.is_durable(above)) {
            Some(above) => self.create_missing_dirs(above, unsynced),
            None => Ok(()),
        }
    }

    fn is_durable(&self, folder: &Path) -> bool {
        self.durable.lock().expect("no holder panics").contains(folder)
    }

    /// Makes names durable; an error comes with the folder.
    pub(super) fn sync(&self, unsynced: Unsynced) -> Result<(), (PathBuf, io::Error)> {
        for folder in unsynced.folders {
            self.files.sync_dir(&folder).map_err(|error| (folder, error))?;
        }
        let mut durable = self.durable.lock().expect("no holder panics");
        let room = MOST_KNOWN.saturating_sub(durable.len());
        durable.extend(unsynced.names.into_iter().take(room));
        Ok(())
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        gone(self.files.remove_file(path))
    }

    /// Removes a folder that may be gone already.
    pub(super) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        gone(self.files.remove_dir_all(path))
    }
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Returns what a file holds, and nothing where there is none.
pub(super) fn read_if_there(action: &str, path: &Path) -> pipeline::Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(action, path, error)),
    }
}

/// Returns the error for a file of the lake that is not what was committed.
pub(super) fn damaged(
    action: impl Into<String>,
    path: impl AsRef<Path>,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(ErrorKind::Damaged, action)
        .with_source(cause)
        .with_context("path", path.as_ref().display().to_string())
        .with_hint("`tenantry verify` lists everything that is wrong; put the file back from a copy")
}

/// Returns the error for a file of the lake that a newer version of the program wrote.
pub(super) fn newer(action: impl Into<String>, path: impl AsRef<Path>, version: u64) -> Error {
    Error::new(ErrorKind::Config, action)
        .with_source(format!("a newer version of the program wrote the lake (schema version {version})"))
        .with_context("path", path.as_ref().display().to_string())
        .with_hint("use that version, or one that is newer still, for this lake")
}

/// Refuses to read a lake that is not there.
pub(super) fn check_is_there(action: &str, root: &Path) -> pipeline::Result<()> {
    if !layout::is_vacant(root) {
        return Ok(());
    }
    let what = format!("{action} the lake {}: it is not there", root.display());
    Err(Error::new(ErrorKind::Config, what).with_hint(
        "`tenantry run` makes it; a lake that was there and is gone has to be put back from a copy",
    ))
}

/// Returns the folder that a path lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns the names in a folder; none where it is missing or no folder.
pub(super) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Returns the error for a file operation that failed: what was being done, where, and what helps.
pub(super) fn failed(action: impl Into<String>, path: impl Into<PathBuf>, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run again; what was committed before is kept"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit on the size of files (`ulimit -f`) and run again; what was committed before is kept"
        }
        io::ErrorKind::PermissionDenied => {
            "let the user who runs this read and write the folder and all in it, then run again"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system writable, or choose another folder",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed: move it away, or choose another folder"
        }
        io::ErrorKind::Unsupported => {
            "the lake needs a file system with locks and hard links, such as ext4 or xfs"
        }
        _ => "look at the disk and its file system, then run again; what was committed before is kept",
    };
    Error::new(ErrorKind::Sink, action)
        .with_source(error)
        .with_context("path", path.into().display().to_string())
        .with_hint(hint)
}

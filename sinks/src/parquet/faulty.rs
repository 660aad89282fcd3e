//! A file system on which any single step fails, or is the last one before a crash, for tests.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::store::{Disk, Files, NewFile};

/// What happens at the step that was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// That step fails, and the next ones work again.
    Once(io::ErrorKind),
    /// Nothing works from that step on: the process is dead, or the disk.
    Crash,
    /// Whoever comes to that step or beyond it ends the process with this, and does nothing more.
    End(fn()),
}

/// The names that a machine without power would forget, and the files whose bytes it would.
#[derive(Clone, Default)]
pub(super) struct Forgetful(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Forgetful {
    fn add(&self, path: &Path) {
        self.0.lock().expect("no holder panics").insert(path.to_owned());
    }

    fn remove(&self, is_it: impl Fn(&Path) -> bool) {
        self.0.lock().expect("no holder panics").retain(|path| !is_it(path));
    }

    /// Takes away the power: what was not synced is gone.
    pub(super) fn forget(&self) {
        for path in std::mem::take(&mut *self.0.lock().expect("no holder panics")) {
            if path.is_dir() {
                fs_err::remove_dir_all(path).expect("the folder is there");
            } else {
                fs_err::remove_file(path).ok();
            }
        }
    }
}

/// Counts the changes and lets one of them fail.
pub(super) struct FaultyFiles {
    steps: Arc<Steps>,
    unsynced: Forgetful,
}

struct Steps {
    taken: AtomicUsize,
    chosen: usize,
    fault: Fault,
}

impl FaultyFiles {
    pub(super) fn new(chosen: usize, fault: Fault) -> Self {
        Self::forgetting(chosen, fault, &Forgetful::default())
    }

    /// Tells what would be forgotten as well.
    pub(super) fn forgetting(chosen: usize, fault: Fault, unsynced: &Forgetful) -> Self {
        let steps = Arc::new(Steps { taken: AtomicUsize::new(0), chosen, fault });
        Self { steps, unsynced: unsynced.clone() }
    }

    /// Returns whether the chosen step was reached.
    pub(super) fn struck(&self) -> bool {
        self.steps.taken.load(SeqCst) > self.steps.chosen
    }
}

impl Steps {
    fn step(&self) -> io::Result<()> {
        self.step_leaving(|| Ok(()))
    }

    /// Takes a step; one that goes wrong leaves something behind.
    fn step_leaving(&self, leave: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let step = self.taken.fetch_add(1, SeqCst);
        let error = match self.fault {
            Fault::Once(kind) if step == self.chosen => kind.into(),
            Fault::Crash | Fault::End(_) if step >= self.chosen => io::Error::other("the process is dead"),
            _ => return Ok(()),
        };
        leave()?;
        if let Fault::End(end) = self.fault {
            end();
        }
        Err(error)
    }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        self.steps.step()?;
        let file = Disk.create(path)?;
        self.unsynced.add(path);
        Ok(Box::new(FaultyFile { file, steps: self.steps.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.create_dir(path)?;
        self.unsynced.add(path);
        Ok(())
    }

    /// Nothing is synced but in name: a test is to be quick.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        fs_err::metadata(path)?;
        self.unsynced.remove(|name| name.parent() == Some(path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.rename(from, to)?;
        self.unsynced.remove(|name| name == from);
        self.unsynced.add(to);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.hard_link(from, to)?;
        self.unsynced.add(to);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.remove_dir_all(path)
    }
}

struct FaultyFile {
    file: Box<dyn NewFile>,
    steps: Arc<Steps>,
}

impl Write for FaultyFile {
    /// Leaves half of the bytes behind where it fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { file, steps } = self;
        steps.step_leaving(|| file.write_all(&bytes[..bytes.len() / 2]))?;
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.steps.step()
    }
}

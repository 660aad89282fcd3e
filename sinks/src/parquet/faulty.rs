//! A file system on which any single step fails, or is the last one before a crash, for tests.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

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

/// Counts the changes and lets one of them fail.
pub(super) struct FaultyFiles {
    steps: Arc<Steps>,
}

struct Steps {
    taken: AtomicUsize,
    chosen: usize,
    fault: Fault,
}

impl FaultyFiles {
    pub(super) fn new(chosen: usize, fault: Fault) -> Self {
        Self { steps: Arc::new(Steps { taken: AtomicUsize::new(0), chosen, fault }) }
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
        Ok(Box::new(FaultyFile { file: Disk.create(path)?, steps: self.steps.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.create_dir(path)
    }

    /// Nothing is synced: the machine does not crash, and a test is to be quick.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.steps.step()?;
        fs_err::metadata(path).map(|_| ())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.step()?;
        Disk.hard_link(from, to)
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

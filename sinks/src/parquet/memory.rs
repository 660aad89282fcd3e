//! The one bound on what all open files hold in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what all open files hold.
///
/// While the total is above half of the bound, a file that holds more than its fair share of that half writes
/// its rows out. A file below its share keeps them, so that small files are not cut into smaller row groups:
/// together these hold no more than the other half.
pub(super) struct Memory {
    half: usize,
    held: AtomicUsize,
    files: AtomicUsize,
}

impl Memory {
    pub(super) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { half: bound / 2, held: AtomicUsize::new(0), files: AtomicUsize::new(0) })
    }

    /// Counts one more open file.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        self.files.fetch_add(1, Relaxed);
        Share { memory: self.clone(), held: 0 }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

/// What one open file holds; given back when it is dropped.
pub(super) struct Share {
    memory: Arc<Memory>,
    held: usize,
}

impl Share {
    /// Says what the file holds now.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.memory.held.fetch_add(bytes, Relaxed);
        self.memory.held.fetch_sub(self.held, Relaxed);
        self.held = bytes;
    }

    /// Returns whether the file has to write out what it holds.
    pub(super) fn is_too_large(&self) -> bool {
        let memory = &self.memory;
        memory.held.load(Relaxed) > memory.half && self.held > memory.half / memory.files.load(Relaxed).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
        self.memory.files.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_above_its_share_gives_way() {
        let memory = Memory::new(200);
        let (mut large, mut small) = (memory.share(), memory.share());
        large.hold(90);
        assert!(!large.is_too_large());
        small.hold(20);
        assert!(large.is_too_large() && !small.is_too_large());
        large.hold(0);
        assert!(!large.is_too_large());
        drop((large, small));
        assert_eq!((memory.held(), memory.files.load(Relaxed)), (0, 0));
    }
}

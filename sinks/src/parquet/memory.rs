//! The one bound on what all records that wait for their row group hold in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts what waits in memory for each open file.
///
/// As few as possible have to be set aside. While the total is above half of the bound, the largest is; what is small
/// goes on. Above three quarters the largest may be one that waits for its next page: then all are that hold more
/// than their fair share of the last quarter.
pub(super) struct Memory {
    bound: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: usize,
    held: HashMap<u64, usize>,
    next: u64,
}

impl Memory {
    pub(super) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { bound, state: Mutex::default() })
    }

    /// Counts for one more open file.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.held.insert(id, 0);
        Share { memory: self.clone(), id }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

/// What waits for one open file; given back when it is dropped.
pub(super) struct Share {
    memory: Arc<Memory>,
    id: u64,
}

impl Share {
    /// Says what it is now.
    pub(super) fn hold(&self, bytes: usize) {
        let mut state = self.memory.lock();
        let before = state.held.insert(self.id, bytes).unwrap_or_default();
        state.total = state.total + bytes - before;
    }

    /// Returns whether it has to be set aside.
    pub(super) fn is_too_large(&self) -> bool {
        let (bound, state) = (self.memory.bound, self.memory.lock());
        let own = state.held[&self.id];
        let is_largest = || state.held.values().all(|other| *other <= own);
        let fair = bound / 4 / state.held.len();
        state.total > bound / 4 * 3 && own > fair || state.total > bound / 2 && is_largest()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        let held = state.held.remove(&self.id).unwrap_or_default();
        state.total -= held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_the_largest_file_gives_way_and_small_ones_only_near_the_bound() {
        let memory = Memory::new(400);
        let shares = [memory.share(), memory.share(), memory.share()];
        let check = |held: [usize; 3], too_large: [bool; 3]| {
            shares.iter().zip(held).for_each(|(share, held)| share.hold(held));
            assert_eq!([0, 1, 2].map(|at: usize| shares[at].is_too_large()), too_large, "{held:?}");
        };
        check([100, 60, 40], [false, false, false]);
        check([100, 61, 40], [true, false, false]);
        check([0, 61, 40], [false, false, false]);
        check([180, 80, 40], [true, false, false]);
        // The largest waits for its next page, and the others do not wait for it.
        check([180, 90, 33], [true, true, false]);
        drop(shares);
        assert_eq!((memory.held(), memory.lock().held.len()), (0, 0));
    }
}

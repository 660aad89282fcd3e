//! The right page size is found, not fixed: halved when a page is too slow or too large, raised again
//! slowly when pages are fine.

use std::sync::Mutex;
use std::time::Duration;

/// No page is asked for with fewer records.
const FEWEST_RECORDS: u32 = 1;
/// Pages of more bytes become smaller, so that memory does not grow with the records' size.
const MOST_BYTES: u64 = 2 << 20;
/// A page of more bytes is not even read where a smaller one can be asked for: many may be on their way at once before
/// the first of them tells what a record takes.
const TOO_MANY_BYTES: usize = 3 << 20;
/// A larger page is not tried where it would take longer than this.
const MOST_ELAPSED: Duration = Duration::from_secs(15);
/// Pages that must be fine before a larger one is tried; doubled each time that it was not.
const PATIENCE: u32 = 8;
/// Where the doubling ends: some hundred pages cost less than one timeout.
const MOST_PATIENCE: u32 = 512;

/// The page size of one dataset in one region, shared by its tenants.
///
/// Each size divides all larger ones, so that a page by index that was too slow is the same records as
/// a whole number of smaller pages.
#[derive(Debug)]
pub struct PageSize {
    ladder: Vec<u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rung: usize,
    fine: u32,
    patience: u32,
}

impl PageSize {
    /// Starts at the largest size the endpoint grants.
    #[must_use]
    pub fn new(largest: u32) -> Self {
        let state = State { patience: PATIENCE, ..State::default() };
        Self { ladder: ladder(largest.max(1), FEWEST_RECORDS), state: Mutex::new(state) }
    }

    /// Returns the size to ask for now.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.ladder[self.state.lock().expect("no holder panics").rung]
    }

    /// Returns the next smaller size, which divides this one; `None` at the floor.
    #[must_use]
    pub fn smaller(&self, size: u32) -> Option<u32> {
        self.ladder.iter().copied().find(|rung| *rung < size)
    }

    /// Returns how many bytes of a page of this size are read before a smaller one that divides it is asked for; `None`
    /// where there is none.
    #[must_use]
    pub fn most_bytes(&self, size: u32) -> Option<usize> {
        self.smaller(size).filter(|smaller| size.is_multiple_of(*smaller)).map(|_| TOO_MANY_BYTES)
    }

    /// Hears that a page of a size took too long or was too large.
    pub fn too_slow(&self, size: u32) {
        let mut state = self.state.lock().expect("no holder panics");
        // Several pages of the same size fail together: that is one reason to go down, not several.
        if size <= self.ladder[state.rung] && state.rung + 1 < self.ladder.len() {
            state.rung += 1;
            state.patience = (state.patience * 2).min(MOST_PATIENCE);
        }
        state.fine = 0;
    }

    /// Hears what a page of a size took.
    pub fn fine(&self, size: u32, elapsed: Duration, bytes: u64) {
        let mut state = self.state.lock().expect("no holder panics");
        if size != self.ladder[state.rung] {
            return;
        }
        if bytes > MOST_BYTES {
            state.rung = (state.rung + 1).min(self.ladder.len() - 1);
            state.fine = 0;
            return;
        }
        if !self.larger_would_fit(state.rung, elapsed, bytes) {
            state.fine = 0;
            return;
        }
        state.fine += 1;
        if state.fine >= state.patience {
            state.rung -= 1;
            state.fine = 0;
        }
    }

    fn larger_would_fit(&self, rung: usize, elapsed: Duration, bytes: u64) -> bool {
        let Some(larger) = rung.checked_sub(1).map(|rung| self.ladder[rung]) else { return false };
        let times = larger / self.ladder[rung];
        elapsed * times <= MOST_ELAPSED && bytes.saturating_mul(u64::from(times)) <= MOST_BYTES
    }
}

/// Returns the sizes from the largest down to the floor: halves while they are whole, then smaller parts.
fn ladder(largest: u32, floor: u32) -> Vec<u32> {
    let mut sizes = vec![largest];
    let mut size = largest;
    while let Some(part) = (2..=size).find(|part| size.is_multiple_of(*part)) {
        size /= part;
        if size < floor {
            break;
        }
        sizes.push(size);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUICK: Duration = Duration::from_millis(50);

    #[test]
    fn sizes_are_halves_and_then_whole_parts() {
        for (largest, floor, expected) in [
            (500, 25, vec![500, 250, 125, 25]),
            (100, 25, vec![100, 50, 25]),
            (1000, 1, vec![1000, 500, 250, 125, 25, 5, 1]),
            (30, 40, vec![30]),
            (7, 2, vec![7]),
        ] {
            assert_eq!(ladder(largest, floor), expected, "{largest}");
        }
    }

    proptest! {
        #[test]
        fn every_size_divides_the_larger_ones(largest in 1_u32..20_000, floor in 1_u32..100) {
            for pair in ladder(largest, floor).windows(2) {
                prop_assert!(pair[0] > pair[1] && pair[0] % pair[1] == 0 && pair[1] >= floor);
            }
        }
    }

    #[test]
    fn a_slow_page_halves_once_for_all_that_fail_together() {
        let size = PageSize::new(500);
        for _ in 0..3 {
            size.too_slow(500);
        }
        assert_eq!((size.current(), size.smaller(500), size.smaller(1)), (250, Some(250), None));
        for slow in [250, 125, 25, 5, 1, 1] {
            size.too_slow(slow);
        }
        assert_eq!(size.current(), 1, "the floor holds");
    }

    #[test]
    fn it_rises_again_slowly_and_each_time_later() {
        let size = PageSize::new(100);
        let pages_until_raised = || {
            size.too_slow(100);
            (1..).find(|_| {
                size.fine(50, QUICK, 1000);
                size.current() == 100
            })
        };
        assert_eq!([pages_until_raised(), pages_until_raised()], [Some(2 * PATIENCE), Some(4 * PATIENCE)]);
    }

    #[test]
    fn it_does_not_rise_into_what_would_be_too_slow_or_too_large() {
        for (elapsed, bytes) in [(Duration::from_secs(10), 1000), (QUICK, 3 << 19)] {
            let size = PageSize::new(100);
            size.too_slow(100);
            for _ in 0..1000 {
                size.fine(50, elapsed, bytes);
            }
            assert_eq!(size.current(), 50);
        }
    }

    #[test]
    fn only_a_page_that_has_parts_is_given_up_for_its_bytes() {
        let size = PageSize::new(500);
        for (asked, expected) in [
            (500, Some(TOO_MANY_BYTES)),
            (125, Some(TOO_MANY_BYTES)),
            (5, Some(TOO_MANY_BYTES)),
            (63, None),
            (1, None),
        ] {
            assert_eq!(size.most_bytes(asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_page_of_too_many_bytes_makes_the_next_smaller() {
        let size = PageSize::new(100);
        size.fine(100, QUICK, 9 << 20);
        assert_eq!(size.current(), 50);
        size.fine(100, QUICK, 9 << 20);
        assert_eq!(size.current(), 50, "what is said of another size says nothing of this one");
    }
}

//! The right page size is found, not fixed: halved when a page is too slow, raised again slowly when pages are quick, and
//! never more than an average record leaves room for.

use std::sync::Mutex;
use std::time::Duration;

/// No page is asked for with fewer records.
const FEWEST_RECORDS: u32 = 5;
/// What a page of average records may take, so that memory does not grow with the records' size.
const MOST_BYTES: u64 = 4 << 20;
/// What the first page may take, which nobody knows anything of.
const FIRST_BYTES: u64 = 16 << 20;
/// The average is of about so many of the largest pages: one huge record is soon forgotten.
const PAGES_OF_AVERAGE: f64 = 4.0;
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
    /// The place on the ladder that is quick enough.
    rung: usize,
    fine: u32,
    patience: u32,
    /// The records and bytes that the average is of.
    records: f64,
    bytes: f64,
}

impl PageSize {
    /// Starts at the largest size the endpoint grants.
    #[must_use]
    pub fn new(largest: u32) -> Self {
        let ladder = ladder(largest.max(1), FEWEST_RECORDS);
        Self { ladder, state: Mutex::new(State { patience: PATIENCE, ..State::default() }) }
    }

    /// Returns the size to ask for now.
    #[must_use]
    pub fn current(&self) -> u32 {
        let state = self.state.lock().expect("no holder panics");
        // A few records tell little: until there are as many as in a full page, the others are taken for small ones.
        let known = state.records.max(f64::from(self.ladder[0]));
        let has_room = |size: &u32| state.bytes / known * f64::from(*size) <= MOST_BYTES as f64;
        let floor = self.ladder[self.ladder.len() - 1];
        self.ladder[state.rung..].iter().copied().find(has_room).unwrap_or(floor)
    }

    /// Returns the next smaller size, which divides this one; `None` at the floor.
    #[must_use]
    pub fn smaller(&self, size: u32) -> Option<u32> {
        self.ladder.iter().copied().find(|rung| *rung < size)
    }

    /// Returns how many bytes a full page of a size would take.
    #[must_use]
    pub fn expected_bytes(&self, size: u32) -> u64 {
        self.state.lock().expect("no holder panics").expected(size).unwrap_or(FIRST_BYTES)
    }

    /// Hears that a page of a size took too long, and that a smaller one did not or was not tried: who gets none in any
    /// size has other troubles, and they are no reason to ask the others for less.
    pub fn too_slow(&self, size: u32) {
        let mut state = self.state.lock().expect("no holder panics");
        // Several pages of the same size fail together: that is one reason to go down, not several.
        let below = self.ladder.iter().position(|rung| *rung < size).filter(|below| *below > state.rung);
        if let Some(below) = below {
            let rungs = u32::try_from(below - state.rung).unwrap_or(u32::MAX).min(16);
            state.patience = (state.patience << rungs).min(MOST_PATIENCE);
            state.rung = below;
        }
        state.fine = 0;
    }

    /// Hears what a page of a size took, and how many records it holds.
    pub fn fine(&self, size: u32, records: u64, elapsed: Duration, bytes: u64) {
        let mut state = self.state.lock().expect("no holder panics");
        // One that holds more ignores what it is asked for, and one that is empty tells nothing.
        if (1..=u64::from(size)).contains(&records) {
            self.weigh(&mut state, records, bytes);
        }
        // A page that is not full says nothing of how long a full one takes.
        if size != self.ladder[state.rung] || records != u64::from(size) {
            return;
        }
        let larger = state.rung.checked_sub(1).map(|rung| self.ladder[rung]);
        if larger.is_none_or(|larger| elapsed * (larger / size) > MOST_ELAPSED) {
            state.fine = 0;
            return;
        }
        state.fine += 1;
        if state.fine >= state.patience {
            state.rung -= 1;
            state.fine = 0;
        }
    }

    /// Hears that a page of a size was given up after so many bytes.
    pub fn too_large(&self, size: u32, bytes: u64) {
        self.weigh(&mut self.state.lock().expect("no holder panics"), u64::from(size), bytes);
    }

    fn weigh(&self, state: &mut State, records: u64, bytes: u64) {
        state.records += records as f64;
        state.bytes += bytes as f64;
        let forget = (state.records / (f64::from(self.ladder[0]) * PAGES_OF_AVERAGE)).max(1.0);
        (state.records, state.bytes) = (state.records / forget, state.bytes / forget);
    }
}

impl State {
    /// Returns how many bytes so many records take, once there were any.
    fn expected(&self, records: u32) -> Option<u64> {
        (self.records > 0.0).then(|| (self.bytes / self.records * f64::from(records)) as u64)
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
        assert_eq!((size.current(), size.smaller(500), size.smaller(5)), (250, Some(250), None));
        for slow in [250, 125, 25, 5, 5] {
            size.too_slow(slow);
        }
        assert_eq!(size.current(), 5, "the floor holds");
    }

    #[test]
    fn it_rises_again_slowly_and_each_time_later() {
        let size = PageSize::new(100);
        let pages_until_raised = || {
            size.too_slow(100);
            (1..).find(|_| {
                size.fine(50, 50, QUICK, 1000);
                size.current() == 100
            })
        };
        assert_eq!([pages_until_raised(), pages_until_raised()], [Some(2 * PATIENCE), Some(4 * PATIENCE)]);
    }

    #[test]
    fn it_does_not_rise_into_what_would_be_too_slow_or_too_large() {
        for (elapsed, bytes) in [(Duration::from_secs(10), 1000), (QUICK, 3 << 20)] {
            let size = PageSize::new(100);
            size.too_slow(100);
            for _ in 0..1000 {
                size.fine(50, 50, elapsed, bytes);
            }
            assert_eq!(size.current(), 50);
        }
    }

    #[test]
    fn bounded_no_page_is_larger_than_average_records_leave_room_for() {
        let size = PageSize::new(400);
        let hear = |records: u64, bytes_each: u64| {
            size.fine(400, records, QUICK, records * bytes_each);
            size.current()
        };
        // A page that is not full tells what records take as well.
        assert_eq!(hear(300, 50 << 10), 100);
        assert_eq!(size.expected_bytes(50), 50 * (50 << 10));
        assert_eq!(hear(300, 50 << 10), 50);
        assert_eq!(hear(40, 900 << 10), 25);
        assert!((0..100).any(|_| hear(5, 9 << 20) == 5), "the floor holds");
        assert!((0..100).any(|_| hear(400, 1 << 10) == 400), "it is large again at once");
        (0..20).for_each(|_| assert_eq!(hear(400, 1 << 10), 400));
        // One huge record is no reason to read all others in small pages for long.
        size.fine(400, 1, QUICK, 9 << 20);
        assert_eq!(size.current(), 400);
        // One that ignores what it is asked for says nothing, nor does one without records.
        size.fine(5, 400, QUICK, 900 << 20);
        size.fine(400, 0, QUICK, 900 << 20);
        assert_eq!(size.current(), 400);
        let size = PageSize::new(400);
        size.fine(400, 1, QUICK, 1 << 20);
        assert_eq!(size.current(), 400, "one record tells little");
        size.too_large(400, 9 << 20);
        assert_eq!(size.current(), 100);
        (0..2).for_each(|_| size.fine(100, 100, QUICK, 100 << 10));
        assert_eq!(size.current(), 200, "it was large, and not slow");
    }

    #[test]
    fn a_page_that_is_small_for_its_bytes_may_still_be_too_slow() {
        let size = PageSize::new(400);
        size.fine(400, 400, QUICK, 20 << 20);
        assert_eq!(size.current(), 50);
        size.too_slow(50);
        assert_eq!(size.current(), 25);
    }
}

//! Counts what happened, in all and over the last while.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How finely the last while is remembered, and how many whiles are.
const GRAINS: u32 = 16;
const WHILES: usize = 4;

/// A count that remembers how it grew.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    all: u64,
    grain: Duration,
    /// What had been counted before an instant.
    marks: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Begins to count; spans of about the given length, and up to four times that, can be asked for.
    pub(super) fn new(now: Instant, span: Duration) -> Self {
        Self { since: now, all: 0, grain: span / GRAINS, marks: VecDeque::from([(now, 0)]) }
    }

    /// Counts one.
    pub(super) fn add(&mut self, now: Instant) {
        if self.marks.back().is_none_or(|(last, _)| now - *last >= self.grain) {
            self.marks.push_back((now, self.all));
            if self.marks.len() > GRAINS as usize * WHILES {
                self.marks.pop_front();
            }
        }
        self.all += 1;
    }

    /// Returns when counting began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Returns the whole count.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    /// Returns the count over the last span, and the length of what is counted: no more than is remembered.
    pub(super) fn total(&self, now: Instant, span: Duration) -> (f64, Duration) {
        let mut later = (now, self.all);
        for &(at, before) in self.marks.iter().rev() {
            let age = now - at;
            if age >= span {
                // Between two marks the count is taken to have grown evenly.
                let inside = (span - (now - later.0)).as_secs_f64();
                let between = (later.0 - at).as_secs_f64().max(f64::EPSILON);
                let part = (later.1 - before) as f64 * (inside / between).min(1.0);
                return ((self.all - later.1) as f64 + part, span);
            }
            later = (at, before);
        }
        ((self.all - later.1) as f64, now - later.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_over_any_span_it_remembers() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut meter = Meter::new(start, Duration::from_secs(8));
        for second in 0..100 {
            meter.add(at(f64::from(second)));
        }
        for (span, count) in [(1, 1.0), (8, 8.0), (30, 30.0)] {
            let (counted, over) = meter.total(at(100.0), Duration::from_secs(span));
            assert!((counted - count).abs() < 1.0, "{span}: {counted}");
            assert_eq!(over, Duration::from_secs(span));
        }
        let (counted, over) = meter.total(at(100.0), Duration::from_secs(1000));
        assert!((counted / over.as_secs_f64() - 1.0).abs() < 0.05, "{counted} over {over:?}");
        assert_eq!((meter.all(), meter.since()), (100, start));
    }

    #[test]
    fn silence_counts_as_nothing() {
        let start = Instant::now();
        let mut meter = Meter::new(start, Duration::from_secs(8));
        meter.add(start);
        let (counted, over) = meter.total(start + Duration::from_secs(60), Duration::from_secs(8));
        assert!(counted < 0.2, "{counted}");
        assert_eq!(over, Duration::from_secs(8));
    }
}

//! A limit that the operator told: kept in any window of its length, wherever the window begins.
//!
//! Two things hold a request back. governor lets half of the limit go at once, which is all that a small job
//! asks, and spaces the others evenly. A ledger holds the promise: each request occupies one of N places from
//! before it is sent until a whole window after its answer came. What arrives at the server within one window occupies places at the
//! same time, so no window sees more than N, however long the way there takes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};
use tokio::time::Instant;

use super::Limit;

/// When to look again where every place waits for an answer: nothing else tells when one comes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Grants no more than a limit.
#[derive(Debug)]
pub(super) struct Quota {
    places: usize,
    window: Duration,
    pace: RateLimiter<NotKeyed, InMemoryState, ToldTime, NoOpMiddleware<Duration>>,
    time: ToldTime,
    start: Instant,
    unanswered: usize,
    answered: BinaryHeap<Reverse<Instant>>,
}

/// governor's clock, set to what the caller says: budgets read no clock of their own.
#[derive(Debug, Clone, Default)]
struct ToldTime(Arc<AtomicU64>);

impl Clock for ToldTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Quota {
    pub(super) fn new(limit: &Limit, now: Instant) -> Self {
        let requests = limit.requests.get();
        let spacing = (limit.per / requests).max(Duration::from_nanos(1));
        let cells = Cells::with_period(spacing).expect("a spacing is longer than nothing");
        let cells = cells.allow_burst(limit.at_once());
        let time = ToldTime::default();
        Self {
            places: requests as usize,
            window: limit.per,
            pace: RateLimiter::direct_with_clock(cells, time.clone()),
            time,
            start: now,
            unanswered: 0,
            answered: BinaryHeap::new(),
        }
    }

    /// Takes a place for one request, or says when to ask again.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        while self.answered.peek().is_some_and(|Reverse(free)| *free <= now) {
            self.answered.pop();
        }
        if self.unanswered + self.answered.len() >= self.places {
            return Err(self.answered.peek().map_or(now + LOOK_AGAIN, |Reverse(free)| *free));
        }
        let since_start = now.saturating_duration_since(self.start);
        self.time.0.store(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.pace.check().map_err(|early| now + early.wait_time_from(since_start))?;
        self.unanswered += 1;
        Ok(())
    }

    /// Hears that a request was answered, or that no answer will come: by now it has arrived or never will.
    pub(super) fn settled(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.answered.push(Reverse(now + self.window));
    }

    /// Returns the requests a second that it grants in the long run.
    pub(super) fn rate(&self) -> f64 {
        self.places as f64 / self.window.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Requests that are sent late, travel for a while and are answered later still: no window of any
        /// position sees more than the limit, and nearly all of it is used.
        #[test]
        fn budget_no_window_sees_more_than_the_limit(
            requests in 1_u32..120,
            millis in prop::sample::select(vec![1000_u64, 2500, 10_000, 60_000]),
            ways in prop::collection::vec((0_u64..3000, 0_u64..8000, 0_u64..8000), 64),
        ) {
            let window = Duration::from_millis(millis);
            let limit = Limit { requests: NonZeroU32::new(requests).expect("at least one"), per: window };
            let start = Instant::now();
            let (mut quota, mut now) = (Quota::new(&limit, start), start);
            let mut arrivals = Vec::new();
            let mut answers: BinaryHeap<Reverse<Instant>> = BinaryHeap::new();
            while arrivals.len() < requests as usize * 4 {
                while answers.peek().is_some_and(|Reverse(at)| *at <= now) {
                    let Reverse(at) = answers.pop().expect("peeked");
                    quota.settled(at);
                }
                match quota.take(now) {
                    Ok(()) => {
                        let (late, there, back) = ways[arrivals.len() % ways.len()];
                        let arrival = now + Duration::from_micros(there);
                        arrivals.push(arrival);
                        answers.push(Reverse(arrival + Duration::from_micros(back)));
                        now += Duration::from_micros(late).min(window / requests / 4);
                    }
                    Err(ready) => {
                        let next = answers.peek().map_or(ready, |Reverse(at)| ready.min(*at));
                        now = next.max(now + Duration::from_micros(1));
                    }
                }
            }
            arrivals.sort();
            let n = requests as usize;
            for first in 0..arrivals.len() - n {
                prop_assert!(arrivals[first + n] - arrivals[first] >= window);
            }
            let whole = (arrivals.len() - n) as f64;
            let used = whole / (arrivals[arrivals.len() - 1] - arrivals[n - 1]).as_secs_f64();
            prop_assert!(used >= 0.95 * quota.rate(), "{used} of {}", quota.rate());
        }
    }

    #[test]
    fn a_request_whose_answer_never_comes_keeps_its_place_for_a_window_more() {
        let limit = Limit { requests: NonZeroU32::MIN, per: Duration::from_secs(1) };
        let start = Instant::now();
        let mut quota = Quota::new(&limit, start);
        assert_eq!(quota.take(start), Ok(()));
        assert!(quota.take(start + Duration::from_secs(5)).is_err());
        quota.settled(start + Duration::from_secs(5));
        assert!(quota.take(start + Duration::from_millis(5900)).is_err());
        assert_eq!(quota.take(start + Duration::from_secs(6)), Ok(()));
    }
}

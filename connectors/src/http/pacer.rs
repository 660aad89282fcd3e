//! Even spacing of requests: the generic cell rate algorithm with a rate that may change at any time.
//!
//! The tolerance is a span of time, not a number of requests, because it has to stay a small part of the
//! window at every rate: a timer that wakes late is made up for, and no window gets more than its share.

use std::time::Duration;

use tokio::time::Instant;

use super::Limit;

/// The most a request may be early: a timer's grain and a busy machine's lateness are made up for.
const TOLERANCE: Duration = Duration::from_millis(20);

/// How far apart requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// From one request to the next, on average.
    pub(super) spacing: Duration,
    /// How much earlier one may be sent after others were late.
    pub(super) tolerance: Duration,
}

impl Pace {
    /// Returns the pace at which no window of a limit, wherever it begins, sees one request too many.
    ///
    /// A window of length W holds at most N requests if N spacings exceed W by the tolerance and by what
    /// the way to the server may compress them. Both together are 100 ms, but in short windows no more
    /// than 4.5 % of them, so that at least 95 % of the limit stays usable, and in long ones 3 %.
    pub(super) fn within(limit: &Limit) -> Self {
        let window = limit.per;
        let slack = Duration::from_millis(100).clamp(window.mul_f64(0.03), window.mul_f64(0.045));
        Self { spacing: (window + slack) / limit.requests.get(), tolerance: TOLERANCE.min(slack / 4) }
    }

    /// Returns the pace of a number of requests a second; `None` where it is none worth keeping.
    pub(super) fn of_rate(rate: f64) -> Option<Self> {
        let spacing = Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::MAX / 4);
        (spacing > Duration::from_micros(10)).then_some(Self { spacing, tolerance: TOLERANCE })
    }

    /// Returns the requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.spacing.as_secs_f64().recip()
    }
}

/// Spaces requests.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// When the last request was due; it may have been sent earlier by the tolerance.
    due: Option<Instant>,
}

impl Pacer {
    /// Returns from when on the next request may be sent; `None` for any time.
    pub(super) fn ready_at(&self, pace: Pace) -> Option<Instant> {
        self.due.map(|due| due + pace.spacing.saturating_sub(pace.tolerance))
    }

    /// Notes that a request is sent now.
    pub(super) fn sent(&mut self, now: Instant, pace: Option<Pace>) {
        let spacing = pace.map_or(Duration::ZERO, |pace| pace.spacing);
        self.due = Some(self.due.map_or(now, |due| (due + spacing).max(now)));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A sender that wakes late by up to a timer's grain, and a way that delays each request by up to
        /// half of the slack: no window of any position sees more than the limit, and 95 % of it is used.
        #[test]
        fn no_window_sees_more_than_the_limit(
            requests in 1_u32..300,
            millis in prop::sample::select(vec![1000_u64, 2500, 10_000, 60_000]),
            lateness in prop::collection::vec((0_u64..1500, 0.0_f64..1.0), 64),
        ) {
            let limit = Limit {
                requests: NonZeroU32::new(requests).expect("at least one"),
                per: Duration::from_millis(millis),
            };
            let (pace, start) = (Pace::within(&limit), Instant::now());
            let way = (pace.spacing * requests - limit.per) / 2;
            let (mut pacer, mut now, mut arrivals) = (Pacer::default(), start, Vec::new());
            for round in 0..requests as usize * 3 {
                let (late, share) = lateness[round % lateness.len()];
                now = pacer.ready_at(pace).map_or(now, |ready| ready.max(now)) ;
                now += Duration::from_micros(late).min(pace.spacing / 4);
                pacer.sent(now, Some(pace));
                arrivals.push(now + way.mul_f64(share));
            }
            arrivals.sort();
            let n = requests as usize;
            for first in 0..arrivals.len() - n {
                prop_assert!(arrivals[first + n] - arrivals[first] >= limit.per);
            }
            let used = (arrivals.len() - 1) as f64 / (now - start).as_secs_f64();
            prop_assert!(used >= 0.95 * f64::from(requests) / limit.per.as_secs_f64(), "{used}");
        }
    }
}

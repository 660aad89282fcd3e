//! Even spacing of requests: the generic cell rate algorithm with a rate that may change at any time.
//!
//! The tolerance is a span of time, not a number of requests, because it has to stay a small part of the
//! window at every rate: a timer that wakes late is made up for, and no window gets more than its share.

use std::time::Duration;

use tokio::time::Instant;

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
    /// Returns the pace of a number of requests a second; `None` where it is none worth keeping.
    pub(super) fn of_rate(rate: f64) -> Option<Self> {
        let spacing = Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::MAX / 4);
        (spacing > Duration::from_micros(10)).then_some(Self { spacing, tolerance: TOLERANCE })
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

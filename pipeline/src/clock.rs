//! Time as a parameter: what the run calls "now" can be set by a test.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// An instant in UTC, to the microsecond that the data's own columns have.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the present instant, cut to microseconds.
    fn now(&self) -> Timestamp;

    /// Returns an instant that has passed, whichever of the clocks that are known is wrong.
    fn passed(&self) -> Timestamp {
        self.now()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that another one sets right.
pub struct CorrectedClock {
    inner: Arc<dyn Clock>,
    by: TimeDelta,
}

impl CorrectedClock {
    /// Creates a clock that shows so much more than another.
    pub fn new(inner: Arc<dyn Clock>, by: TimeDelta) -> Self {
        Self { inner, by }
    }
}

impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        self.inner.now() + self.by
    }

    fn passed(&self) -> Timestamp {
        self.now().min(self.inner.passed())
    }
}

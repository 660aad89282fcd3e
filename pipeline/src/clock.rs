//! Time as a parameter: what the run calls "now" can be set by a test.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};

/// An instant in UTC, to the microsecond that the data's own columns have.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the present instant, cut to microseconds.
    fn now(&self) -> Timestamp;

    /// Returns the present day in UTC.
    fn today(&self) -> NaiveDate {
        self.now().date_naive()
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

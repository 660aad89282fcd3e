//! Time as a parameter: what the run calls "now" can be set by a test.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// An instant in UTC, to the microsecond that the data's own columns have.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the present instant, cut to microseconds.
    fn now(&self) -> Timestamp;

    /// Returns the present by the clock that is furthest behind of those that are known: it has passed, whichever of
    /// them is wrong.
    fn earliest(&self) -> Timestamp {
        self.now()
    }

    /// Returns the present by the clock that is furthest ahead.
    fn latest(&self) -> Timestamp {
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
        (self.inner.now() + self.by).trunc_subsecs(6)
    }

    fn earliest(&self) -> Timestamp {
        self.now().min(self.inner.earliest())
    }

    fn latest(&self) -> Timestamp {
        self.now().max(self.inner.latest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Timestamp);

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn of_two_clocks_the_earlier_and_the_later_are_known() {
        let machine = DateTime::from_timestamp(1_790_000_000, 0).expect("an instant");
        for minutes in [90, -90, 0] {
            let platform = machine + TimeDelta::minutes(minutes);
            let clock = CorrectedClock::new(Arc::new(Fixed(machine)), TimeDelta::minutes(minutes));
            let told = (clock.now(), clock.earliest(), clock.latest());
            assert_eq!(told, (platform, machine.min(platform), machine.max(platform)), "{minutes}");
        }
    }
}

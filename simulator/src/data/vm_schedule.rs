//! When an asset is scanned after the start: its scans alone change what is known of it.

use super::life;
use super::world::{DAY_MS, Row};

/// A moment that does not come, and from which one can go on as far again without leaving the numbers.
const NEVER: i64 = i64::MAX / 4;

/// The scans of one asset, at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    first_ms: i64,
    every_ms: i64,
}

impl Schedule {
    /// Returns the scans of an asset; one that appears is scanned at that moment.
    pub(crate) fn of(asset: &Row) -> Self {
        let usual = i64::from(asset.world.evolution.scan_days) * DAY_MS;
        let mut dice = asset.dice(30);
        let every_ms = if usual == 0 { NEVER } else { usual / 2 + dice.below(usual as u64) as i64 };
        let first_ms = match asset.grown() {
            Some(_) => life::born_ms(asset),
            None if usual == 0 => NEVER,
            None => asset.world.origin_ms + 1 + dice.below(every_ms as u64) as i64,
        };
        Self { first_ms, every_ms }
    }

    /// Returns how many scans had ended by a time, and when the last of them did.
    pub(crate) fn last(self, time_ms: i64) -> Option<(u64, i64)> {
        let elapsed = time_ms - self.first_ms;
        (elapsed >= 0).then(|| {
            let number = elapsed / self.every_ms;
            (number as u64 + 1, self.first_ms + number * self.every_ms)
        })
    }

    /// Returns the end of the first scan that can have noticed what happened at a time.
    pub(crate) fn next(self, time_ms: i64) -> i64 {
        let elapsed = (time_ms - self.first_ms).max(0);
        // The division rounds up, and neither side is negative.
        self.first_ms + (elapsed + self.every_ms - 1) / self.every_ms * self.every_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_follow_each_other() {
        let schedule = Schedule { first_ms: 100, every_ms: 10 };
        assert_eq!([schedule.last(99), schedule.last(100)], [None, Some((1, 100))]);
        assert_eq!([schedule.last(109), schedule.last(110)], [Some((1, 100)), Some((2, 110))]);
        assert_eq!([0, 100, 101, 110, 111].map(|time| schedule.next(time)), [100, 100, 110, 110, 120]);
    }
}

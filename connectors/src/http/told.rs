//! What an answer says about its budget: three spellings of the same headers, and two of the same wait.

use std::time::Duration;

use pipeline::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// A reset further away than this is an instant since 1970 or a mistake, but no duration; a wait is not believed
/// beyond it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the headers of one answer say; all of it is optional.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Requests granted in a window.
    pub(super) limit: Option<u64>,
    /// Requests left in the present window.
    pub(super) remaining: Option<u64>,
    /// How long the present window lasts on.
    pub(super) reset: Option<Duration>,
    /// How long to wait before asking again.
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    /// Reads the headers; `now` serves where a date stands without the server's own.
    pub(super) fn read(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Self {
        let one = |name: &str| {
            let number: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
            (0.0..u32::MAX.into()).contains(&number).then_some(number.ceil() as u64)
        };
        let number = |long: &str, short: &str| one(long).or_else(|| one(short));
        let reset = |name: &str| one(name).map(Duration::from_secs).filter(|reset| *reset <= LONGEST);
        Self {
            // An answered request shows that there is one.
            limit: number("x-ratelimit-limit", "ratelimit-limit").filter(|limit| *limit > 0),
            remaining: number("x-ratelimit-remaining", "ratelimit-remaining"),
            reset: reset("x-ratelimit-reset").or_else(|| reset("ratelimit-reset")),
            retry_after: retry_after(headers, now).map(|wait| wait.min(LONGEST)),
        }
    }

    /// Returns how long to wait before asking again, from whichever header says it.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.reset).filter(|wait| !wait.is_zero())
    }
}

/// Returns the wait of `Retry-After`, given as seconds or as a date.
fn retry_after(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = date(text)?;
    // The server's own clock, where it tells it, so that a wrong one here does no harm.
    let from = server_time(headers).unwrap_or_else(now);
    Some((until - from).to_std().unwrap_or(Duration::ZERO))
}

/// Returns what time it is where the answer comes from.
pub(super) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn date(text: &str) -> Option<Timestamp> {
    Some(chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], expected: Told) {
        let map = headers
            .iter()
            .map(|(name, value)| ((*name).try_into().expect("a name"), value.parse().expect("a value")))
            .collect();
        let now = || "2026-11-23T08:00:00Z".parse().expect("an instant");
        assert_eq!(Told::read(&map, now), expected, "{headers:?}");
    }

    #[test]
    fn the_three_spellings_mean_the_same() {
        let expected = Told {
            limit: Some(50),
            remaining: Some(7),
            reset: Some(Duration::from_secs(59)),
            retry_after: None,
        };
        check(
            &[("ratelimit-limit", "50"), ("RateLimit-Remaining", "7"), ("ratelimit-reset", " 59")],
            expected,
        );
        check(
            &[("X-RateLimit-Limit", "50"), ("x-ratelimit-remaining", "7"), ("X-RateLimit-Reset", "59")],
            expected,
        );
        check(
            &[
                ("x-ratelimit-reset", "59"),
                ("ratelimit-reset", "3"),
                ("ratelimit-limit", "50"),
                ("ratelimit-remaining", "7"),
            ],
            expected,
        );
    }

    #[test]
    fn what_cannot_be_meant_is_not_believed() {
        check(&[], Told::default());
        check(&[("ratelimit-limit", "many"), ("ratelimit-remaining", "-1")], Told::default());
        check(&[("x-ratelimit-reset", "1764000000")], Told::default());
        let reset = Some(Duration::from_secs(6));
        check(
            &[("x-ratelimit-reset", "1764000000"), ("ratelimit-reset", "5.5")],
            Told { reset, ..Told::default() },
        );
        check(&[("ratelimit-limit", "0")], Told::default());
        check(&[("retry-after", "soon")], Told::default());
        check(&[("retry-after", "-5")], Told::default());
        let longest = Told { retry_after: Some(LONGEST), ..Told::default() };
        check(&[("retry-after", "9999999999999999999")], longest);
        check(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], longest);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |seconds| Told { retry_after: Some(Duration::from_secs(seconds)), ..Told::default() };
        check(&[("retry-after", "7")], wait(7));
        check(&[("retry-after", "Mon, 23 Nov 2026 08:00:30 GMT")], wait(30));
        check(&[("retry-after", "Mon, 23 Nov 2026 07:00:00 GMT")], wait(0));
        let far_clock =
            [("date", "Mon, 23 Nov 2026 09:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 09:00:05 GMT")];
        check(&far_clock, wait(5));
    }

    #[test]
    fn retry_after_goes_before_reset_and_nothing_is_no_wait() {
        let told = |retry_after, reset| Told {
            retry_after: Some(Duration::from_secs(retry_after)),
            reset: Some(Duration::from_secs(reset)),
            ..Told::default()
        };
        assert_eq!(told(3, 9).wait(), Some(Duration::from_secs(3)));
        assert_eq!(told(0, 9).wait(), None);
        assert_eq!(Told { retry_after: None, ..told(0, 9) }.wait(), Some(Duration::from_secs(9)));
    }
}

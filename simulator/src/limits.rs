//! How many requests a key may make: fixed windows per API family and region, as the gateway counts them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::clock;

/// A limit for the requests of some families in some regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// The API family (`account`, `idr`, `alerts`, `vm`), or `*` for each of them.
    #[serde(default = "any")]
    pub family: String,
    /// The region, or `*` for each of them.
    #[serde(default = "any")]
    pub region: String,
    /// How many requests fit in one window.
    pub requests: u64,
    /// How long a window is.
    pub window_ms: u64,
    /// What is counted together.
    #[serde(default)]
    pub scope: LimitScope,
    /// How answers spell what is left.
    #[serde(default)]
    pub headers: LimitHeaders,
    /// Whether and how a refusal says when to come back.
    #[serde(default)]
    pub retry_after: RetryAfter,
}

fn any() -> String {
    "*".to_owned()
}

impl LimitRule {
    /// Returns a limit for every family and region, without any header.
    #[must_use]
    pub fn new(requests: u64, window_ms: u64) -> Self {
        Self {
            family: any(),
            region: any(),
            requests,
            window_ms,
            scope: LimitScope::default(),
            headers: LimitHeaders::default(),
            retry_after: RetryAfter::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.requests == 0 || self.window_ms == 0 {
            return Err("a limit needs at least one request and one millisecond".to_owned());
        }
        Ok(())
    }

    fn matches(&self, region: &str, family: &str) -> bool {
        (self.family == "*" || self.family == family) && (self.region == "*" || self.region == region)
    }
}

/// What a limit counts together; families are always counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// All requests of a key in a region.
    #[default]
    Key,
    /// All requests of a key, in all regions.
    KeyInAllRegions,
    /// The requests of a key for one organization in a region.
    KeyAndOrganization,
}

/// The spellings in which answers tell about a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitHeaders {
    /// Nothing is told.
    #[default]
    None,
    /// `ratelimit-limit` and so on; `RateLimit-Limit` is the same on the wire of any client that ignores case.
    RateLimit,
    /// `X-RateLimit-Limit` and so on.
    XRateLimit,
    /// Both.
    Both,
}

/// How a refusal says when to come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Not at all.
    #[default]
    None,
    /// In seconds.
    Seconds,
    /// As an HTTP date.
    Date,
}

impl RetryAfter {
    /// Returns the value of the header; a date is told by the platform's own time where it has one.
    pub(crate) fn spell(self, seconds: u64, own_time: Option<DateTime<Utc>>) -> Option<String> {
        match self {
            Self::None => None,
            Self::Seconds => Some(seconds.to_string()),
            Self::Date => {
                let now = own_time.unwrap_or_else(clock::now);
                let then = now + TimeDelta::seconds(i64::try_from(seconds).unwrap_or(3600));
                // Dates have whole seconds, so the one that is never too early is the next.
                let then = then + TimeDelta::milliseconds(999);
                Some(clock::http_date(then))
            }
        }
    }
}

/// What a limit says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) refused: bool,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) reset_seconds: u64,
    pub(crate) window_ms: u64,
    pub(crate) headers: LimitHeaders,
    pub(crate) retry_after: RetryAfter,
}

#[derive(Debug, Default)]
struct Window {
    length_ms: u64,
    number: u64,
    count: u64,
}

/// The limits in force and what has been used of them.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    rules: Vec<LimitRule>,
    windows: HashMap<String, Window>,
}

impl Limits {
    pub(crate) fn new(rules: Vec<LimitRule>) -> Self {
        Self { rules, windows: HashMap::new() }
    }

    /// Puts a rule before the others, in place of the one for the same family and region.
    pub(crate) fn set(&mut self, rule: LimitRule) {
        self.rules.retain(|other| (&other.family, &other.region) != (&rule.family, &rule.region));
        self.rules.insert(0, rule);
    }

    /// Forgets all limits.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Returns the rules in force.
    pub(crate) fn rules(&self) -> &[LimitRule] {
        &self.rules
    }

    /// Counts a request made at a moment since the start; `None` when nothing limits it.
    pub(crate) fn count(
        &mut self,
        now_us: u64,
        region: &str,
        family: &str,
        key: &str,
        organization: &str,
    ) -> Option<Verdict> {
        let rule = self.rules.iter().find(|rule| rule.matches(region, family))?;
        let (region, organization) = match rule.scope {
            LimitScope::Key => (region, ""),
            LimitScope::KeyInAllRegions => ("*", ""),
            LimitScope::KeyAndOrganization => (region, organization),
        };
        let now_ms = now_us / 1000;
        let number = now_ms / rule.window_ms;
        let window = self.windows.entry(format!("{region}/{family}/{key}/{organization}")).or_default();
        if (window.length_ms, window.number) != (rule.window_ms, number) {
            *window = Window { length_ms: rule.window_ms, number, count: 0 };
        }
        window.count += 1;
        Some(Verdict {
            refused: window.count > rule.requests,
            limit: rule.requests,
            remaining: rule.requests.saturating_sub(window.count),
            reset_seconds: ((number + 1) * rule.window_ms - now_ms).div_ceil(1000).max(1),
            window_ms: rule.window_ms,
            headers: rule.headers,
            retry_after: rule.retry_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_fixed_and_counted_apart() {
        let mut limits = Limits::new(vec![LimitRule::new(2, 1000)]);
        let mut refused = |ms: u64, region: &str, key: &str| {
            limits.count(ms * 1000, region, "idr", key, "x").is_some_and(|verdict| verdict.refused)
        };
        assert_eq!(
            [refused(900, "us", "a"), refused(950, "us", "a"), refused(999, "us", "a")],
            [false, false, true]
        );
        assert!(!refused(999, "eu", "a"), "another region");
        assert!(!refused(999, "us", "b"), "another key");
        assert!(!refused(1000, "us", "a"), "another window");
    }

    #[test]
    fn the_last_rule_set_wins() {
        let mut limits = Limits::new(vec![LimitRule::new(5, 60_000)]);
        let first = limits.count(1_001_000_000, "us", "vm", "a", "").expect("limited");
        assert_eq!((first.limit, first.remaining, first.reset_seconds), (5, 4, 19));
        limits.set(LimitRule { family: "vm".into(), ..LimitRule::new(1, 60_000) });
        let second = limits.count(1_001_000_000, "us", "vm", "a", "").expect("limited");
        assert!(second.refused, "what was used before counts against the new limit");
        limits.clear();
        assert_eq!(limits.count(1_001_000_000, "us", "vm", "a", ""), None);
    }
}

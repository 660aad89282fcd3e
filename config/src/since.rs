//! Where a dataset begins: so long ago, or on a day.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use pipeline::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A beginning in time, written as `90d` or as `2026-01-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before the run.
    Ago(Duration),
    /// At the first instant of a day in UTC.
    Day(NaiveDate),
    /// At an instant.
    At(Timestamp),
}

impl Since {
    /// Where a dataset begins that says nothing: far enough for a quarter's report, and no years of history
    /// on the first night.
    pub const DEFAULT: Self = Self::Ago(Duration::from_secs(90 * 24 * 60 * 60));

    /// Returns the instant that is meant when it is `now`.
    ///
    /// # Errors
    /// Where it lies in the future, or before any time that can be told.
    pub fn before(self, now: Timestamp) -> Result<Timestamp, String> {
        let instant = match self {
            Self::Ago(span) => {
                chrono::Duration::from_std(span).ok().and_then(|span| now.checked_sub_signed(span))
            }
            Self::Day(day) => Some(day.and_time(chrono::NaiveTime::MIN).and_utc()),
            Self::At(instant) => Some(instant),
        };
        match instant {
            Some(instant) if instant < now => Ok(instant),
            Some(_) => Err(format!("`{self}` lies in the future")),
            None => Err("so long ago is before any time that can be told".to_owned()),
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ago(span) => write!(f, "{}", humantime::format_duration(*span)),
            Self::Day(day) => write!(f, "{day}"),
            Self::At(instant) => write!(f, "{}", instant.to_rfc3339()),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if looks_like_a_day(text) {
            if let (true, Ok(instant)) = (text.contains('T'), text.parse()) {
                return Ok(Self::At(instant));
            }
            return match text.parse() {
                Ok(day) => Ok(Self::Day(day)),
                Err(_) if text.contains('T') => {
                    Err(format!("`{text}` is no instant: write it with its zone, as `2026-01-31T06:00:00Z`"))
                }
                Err(_) => Err(format!("`{text}` is no day of the calendar: write it as `2026-01-31`")),
            };
        }
        match humantime::parse_duration(text) {
            Ok(span) if span.is_zero() => {
                Err("a span of zero reads nothing: write one such as `90d`".to_owned())
            }
            Ok(span) => Ok(Self::Ago(span)),
            Err(_) => Err(format!(
                "`{text}` is neither a span such as `90d` or `12h` nor a day such as `2026-01-31`"
            )),
        }
    }
}

/// A span of time, written as `36h` or `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub TimeDelta);

impl Span {
    /// What is read again where a run file says nothing: a day catches what the platform takes in late.
    pub const OVERLAP: Self = Self(TimeDelta::days(1));
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is no span of time such as `36h` or `3d`"))?;
        // Beyond that, sums of instants and spans leave the calendar.
        match TimeDelta::from_std(span) {
            Ok(span) if span <= TimeDelta::days(36_500) => Ok(Self(span)),
            _ => Err(format!("`{text}` is more than a century")),
        }
    }
}

/// A whole number of days, written as `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(pub u32);

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no whole number of days such as `7d`");
        let days = text.parse::<Span>().map_err(|_| expected())?.0;
        match u32::try_from(days.num_days()) {
            Ok(whole) if whole > 0 && TimeDelta::days(whole.into()) == days => Ok(Self(whole)),
            _ => Err(expected()),
        }
    }
}

macro_rules! written_as_text {
    ($name:ident, $description:literal, $example:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description, "examples": [$example] })
            }
        }
    };
}
written_as_text!(Span, "A span of time.", "3d");
written_as_text!(Days, "A whole number of days.", "7d");

fn looks_like_a_day(text: &str) -> bool {
    text.contains('-') && text.starts_with(|first: char| first.is_ascii_digit())
}

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SinceVisitor)
    }
}

struct SinceVisitor;

impl<'de> Visitor<'de> for SinceVisitor {
    type Value = Since;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span such as \"90d\" or a day such as \"2026-01-31\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Since, E> {
        text.parse().map_err(E::custom)
    }

    /// A day without quotes is TOML's own date, which arrives as a map.
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Since, A::Error> {
        let date = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
        date.to_string().parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Since {
    fn schema_name() -> Cow<'static, str> {
        "Since".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span before now such as `90d` or `12h`, or a day such as `2026-01-31`.",
            "examples": ["90d", "2026-01-31"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let now = "2026-11-24T12:00:00Z".parse::<Timestamp>().expect("a fixed instant");
        let instant = text.parse::<Since>().and_then(|since| since.before(now)).map(|at| at.to_rfc3339());
        match (&instant, expected) {
            (Ok(at), Ok(expected)) => assert_eq!(at, expected, "{text}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
            _ => panic!("{text}: {instant:?}, but {expected:?} was expected"),
        }
    }

    #[test]
    fn a_beginning_is_a_span_or_a_day() {
        check("90d", Ok("2026-08-26T12:00:00+00:00"));
        check("1h 30m", Ok("2026-11-24T10:30:00+00:00"));
        check("2026-01-31", Ok("2026-01-31T00:00:00+00:00"));
        check("2024-02-29", Ok("2024-02-29T00:00:00+00:00"));
        check("2026-11-24T11:30:00Z", Ok("2026-11-24T11:30:00+00:00"));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        check("2026-02-29", Err("no day of the calendar"));
        check("2026-13-01", Err("no day of the calendar"));
        check("2026-11-25", Err("future"));
        check("0s", Err("zero"));
        check("-90d", Err("neither"));
        check("ninety days", Err("neither"));
        check("", Err("neither"));
        check("9999999999d", Err("before any time"));
        check("2026-11-24T25:00:00Z", Err("no instant"));
        check("2026-11-24T11:30:00", Err("with its zone"));
    }

    #[test]
    fn spans_and_days_are_what_people_write() {
        for (text, hours) in
            [("36h", Some(36)), ("3d", Some(72)), ("0s", Some(0)), ("200y", None), ("x", None)]
        {
            assert_eq!(text.parse::<Span>().ok(), hours.map(|hours| Span(TimeDelta::hours(hours))), "{text}");
        }
        for (text, days) in [("1d", Some(1)), ("2weeks", Some(14)), ("0d", None), ("36h", None), ("", None)] {
            assert_eq!(text.parse::<Days>().ok(), days.map(Days), "{text}");
        }
    }
}

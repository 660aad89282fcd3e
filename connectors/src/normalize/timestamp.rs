//! Instants out of every spelling the platform uses, by bytes.

use super::record::whole;

/// The first and the last microsecond of the years 1 to 9999: other readers know no others.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

/// What a text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    /// Microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
    /// It stands for none, such as the day 00, the year 0, or one beyond the years that readers know.
    NoSuch,
    /// It is something else.
    NotTime,
}

/// Reads `2025-03-01T10:00:00[.fraction][zone]`: a space may stand for the `T`, no zone means UTC, and a zone's
/// name in brackets may follow. A number in quotes is read as [`since_1970`] reads it.
pub(super) fn parse(text: &[u8]) -> Instant {
    read(text).unwrap_or_else(|| number_in_quotes(text.trim_ascii()))
}

/// With fewer digits a text is rather a day or a year.
const FEWEST_DIGITS: usize = 9;

#[cold]
fn number_in_quotes(text: &[u8]) -> Instant {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = whole >= FEWEST_DIGITS
        && digits[whole..]
            .strip_prefix(b".")
            .is_none_or(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
        && (digits.len() == whole || digits[whole] == b'.');
    if !is_number {
        return Instant::NotTime;
    }
    since_1970(text).map_or(Instant::NoSuch, Instant::Micros)
}

/// Reads a number as the time since 1970, in the largest of seconds, milliseconds, microseconds and nanoseconds that
/// names no year beyond 5000; what is finer than a microsecond is cut.
pub(super) fn since_1970(text: &[u8]) -> Option<i64> {
    let point = memchr::memchr(b'.', text).filter(|_| memchr::memchr2(b'e', b'E', text).is_none());
    let (before, after) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    let number = whole(before)?;
    let (factor, places) = match number.unsigned_abs() {
        0..100_000_000_000 => (1_000_000, 6),
        100_000_000_000..100_000_000_000_000 => (1000, 3),
        100_000_000_000_000..100_000_000_000_000_000 => (1, 0),
        _ => return in_range(number.div_euclid(1000)),
    };
    let fraction = (0..places)
        .fold(0, |sum, place| sum * 10 + after.get(place).map_or(0, |digit| i64::from(digit - b'0')));
    let fraction = if text.starts_with(b"-") { -fraction } else { fraction };
    in_range(number.checked_mul(factor)?.checked_add(fraction)?)
}

fn in_range(micros: i64) -> Option<i64> {
    (FIRST..=LAST).contains(&micros).then_some(micros)
}

fn read(text: &[u8]) -> Option<Instant> {
    let (year, rest) = number(text.trim_ascii(), 4)?;
    let (month, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    if rest.is_empty() {
        return Some(instant(&[year, month, day, 0, 0, 0], 0, 0));
    }
    let rest = rest.strip_prefix(b"T").or(rest.strip_prefix(b" ")).or(rest.strip_prefix(b"t"))?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => number(rest, 2)?,
        None => (0, rest),
    };
    let (micros, rest) = fraction(rest)?;
    let offset = zone(rest)?;
    Some(instant(&[year, month, day, hour, minute, second], micros, offset))
}

#[inline]
fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some((value, rest))
}

/// Reads the digits after the point; what is finer than a microsecond is cut.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".").or(text.strip_prefix(b",")) else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = digits[..count].get(place).map_or(0, |digit| digit - b'0');
        micros = micros * 10 + i64::from(digit);
    }
    Some((micros, &digits[count..]))
}

/// Reads the zone and returns its offset from UTC in seconds.
fn zone(text: &[u8]) -> Option<i64> {
    let (text, name) = match (text.last(), memchr::memchr(b'[', text)) {
        (Some(b']'), Some(at)) => text.split_at(at),
        _ => (text, &[][..]),
    };
    // Some put a space before the zone.
    let text = text.trim_ascii();
    // A place without an offset beside it would have to be looked up.
    if text.is_empty() && !matches!(name, b"" | b"[UTC]" | b"[GMT]" | b"[Z]" | b"[Etc/UTC]") {
        return None;
    }
    match text {
        [] | [b'Z' | b'z'] | b"UTC" | b"GMT" => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = number(rest, 2)?;
            let rest = rest.strip_prefix(b":").unwrap_or(rest);
            let (minutes, rest) = if rest.is_empty() { (0, rest) } else { number(rest, 2)? };
            if !rest.is_empty() || hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn instant(fields: &[i64; 6], micros: i64, offset: i64) -> Instant {
    let [year, month, day, hour, minute, second] = *fields;
    // The end of a day may be spelled as its 24th hour.
    let is_midnight = [hour, minute, second, micros] == [24, 0, 0, 0];
    let is_real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && ((0..24).contains(&hour) || is_midnight)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_real {
        return if [year, month, day].contains(&0) { Instant::NoSuch } else { Instant::NotTime };
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    in_range(seconds * 1_000_000 + micros).map_or(Instant::NoSuch, Instant::Micros)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts days in the proleptic Gregorian calendar, with years that begin in March so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeZone, Utc};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_is_the_same_instant() {
        let expected = Instant::Micros(1_740_823_200_000_000);
        for text in [
            "2025-03-01T10:00:00Z",
            "2025-03-01T10:00:00.000Z",
            "2025-03-01T10:00:00",
            "2025-03-01 10:00:00",
            "2025-03-01T10:00Z",
            "2025-03-01T12:00:00+02:00",
            "2025-03-01T12:00:00+0200",
            "2025-03-01T05:30:00.0-04:30",
            "2025-03-01T19:00:00+09:00[Asia/Tokyo]",
            "2025-03-01T10:00:00Z[UTC]",
            "2025-03-01T10:00:00[Etc/UTC]",
            "2025-03-01T10:00:00 UTC",
            "2025-03-01 10:00:00 GMT",
            "2025-03-01 12:00:00 +0200",
            "2025-03-01T12:00:00+02",
            " 2025-03-01T10:00:00Z ",
            "2025-03-01T10:00:00.000000000000Z",
            "1740823200",
            "1740823200000",
            "1740823200000000",
            "1740823200000000000",
            "1740823200.0",
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_microsecond() {
        for (text, micros) in [
            (".5", 500_000),
            (".0419", 41_900),
            (".080728", 80_728),
            (".123456789", 123_456),
            (".1234567890123", 123_456),
        ] {
            let text = format!("1970-01-01T00:00:00{text}Z");
            assert_eq!(parse(text.as_bytes()), Instant::Micros(micros), "{text}");
        }
    }

    #[test]
    fn a_day_ends_with_its_24th_hour() {
        assert_eq!(parse(b"2025-02-28T24:00:00Z"), parse(b"2025-03-01T00:00:00Z"));
    }

    #[test]
    fn numbers_are_told_by_their_size() {
        for (text, micros) in [
            ("1740823200", Some(1_740_823_200_000_000)),
            ("1740823200.5", Some(1_740_823_200_500_000)),
            ("1.7408232e9", Some(1_740_823_200_000_000)),
            ("1740823200123", Some(1_740_823_200_123_000)),
            ("1740823200123.75", Some(1_740_823_200_123_750)),
            ("1740823200123456", Some(1_740_823_200_123_456)),
            ("1740823200123456.9", Some(1_740_823_200_123_456)),
            ("1740823200123456789", Some(1_740_823_200_123_456)),
            ("0", Some(0)),
            ("-1", Some(-1_000_000)),
            ("-0.25", Some(-250_000)),
            ("-1.5", Some(-1_500_000)),
            ("-62135596800", Some(FIRST)),
            ("-62135596801", None),
            ("9223372036854775807", Some(9_223_372_036_854_775)),
            ("9223372036854775808", None),
            ("1e400", None),
        ] {
            assert_eq!(since_1970(text.as_bytes()), micros, "{text}");
        }
    }

    #[test]
    fn no_such_instant_is_told_from_no_instant() {
        for text in [
            "2000-01-00T00:00:00.000Z",
            "2000-00-01T00:00:00.000Z",
            "0000-00-00 00:00:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-00:01",
            "9999999999999999999999",
        ] {
            assert_eq!(parse(text.as_bytes()), Instant::NoSuch, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-01T25:00:00Z",
            "2025-01-01T24:00:01Z",
            "2025-3-1T10:00:00Z",
            "2025-03-01T10:00:00.Z",
            "2025-03-01T10:00:00Zulu",
            "20250301",
            "1740823200.",
            "1740823200e0",
            "1740823200 s",
            "--1740823200",
            "2025-03-01T10:00:00[Asia/Tokyo]",
        ] {
            assert_eq!(parse(text.as_bytes()), Instant::NotTime, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let instant: DateTime<Utc> = Utc.timestamp_micros(micros).single().expect("in range");
            let text = instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(parse(text.as_bytes()), Instant::Micros(micros));
        }
    }
}

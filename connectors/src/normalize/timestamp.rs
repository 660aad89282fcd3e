//! Instants out of every spelling the platform uses, by bytes.

/// What a text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    /// Microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
    /// It has the form of an instant, and names none, such as the day 00.
    NoSuch,
    /// It is something else.
    NotTime,
}

/// Reads `2025-03-01T10:00:00[.fraction][zone]`: a space may stand for the `T`, no zone means UTC, and a zone's
/// name in brackets may follow.
pub(super) fn parse(text: &[u8]) -> Instant {
    read(text).unwrap_or(Instant::NotTime)
}

fn read(text: &[u8]) -> Option<Instant> {
    let (year, rest) = number(text, 4)?;
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

/// Reads up to nine digits after the point; what is finer than a microsecond is cut.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".").or(text.strip_prefix(b",")) else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
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
    // A place without an offset beside it would have to be looked up.
    if text.is_empty() && !matches!(name, b"" | b"[UTC]" | b"[GMT]" | b"[Z]" | b"[Etc/UTC]") {
        return None;
    }
    match text {
        [] | [b'Z' | b'z'] => Some(0),
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
    let is_real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_real {
        return Instant::NoSuch;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Instant::Micros(seconds * 1_000_000 + micros)
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
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_microsecond() {
        for (text, micros) in
            [(".5", 500_000), (".0419", 41_900), (".080728", 80_728), (".123456789", 123_456)]
        {
            let text = format!("1970-01-01T00:00:00{text}Z");
            assert_eq!(parse(text.as_bytes()), Instant::Micros(micros), "{text}");
        }
    }

    #[test]
    fn no_such_instant_is_told_from_no_instant() {
        for text in [
            "2000-01-00T00:00:00.000Z",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-01T25:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), Instant::NoSuch, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2025-3-1T10:00:00Z",
            "2025-03-01T10:00:00.Z",
            "2025-03-01T10:00:00Zulu",
            "20250301",
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

//! Writes JSON text straight into bytes: the pages are made of these few strokes.

/// Appends text as it is.
pub(crate) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends a whole number.
pub(crate) fn put_int(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a whole number in at least `width` digits.
pub(crate) fn put_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value);
    for _ in digits.len()..width {
        out.push(b'0');
    }
    out.extend_from_slice(digits.as_bytes());
}

/// Appends a quoted, escaped string.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                put_hex(out, u64::from(byte), 2);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends the lowest `digits` hexadecimal digits.
pub(crate) fn put_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let start = out.len();
    out.resize(start + digits as usize, b'0');
    let mut rest = value;
    for slot in out[start..].iter_mut().rev() {
        *slot = HEX[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// Appends a UUID of the random kind; the first 48 bits are kept as given.
pub(crate) fn put_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    put_hex(out, high >> 32, 8);
    out.push(b'-');
    put_hex(out, high >> 16, 4);
    out.extend_from_slice(b"-4");
    put_hex(out, high, 3);
    out.extend_from_slice(b"-a");
    put_hex(out, low >> 48, 3);
    out.push(b'-');
    put_hex(out, low, 12);
}

/// Returns a UUID as text.
pub(crate) fn uuid(high: u64, low: u64) -> String {
    let mut out = Vec::with_capacity(36);
    put_uuid(&mut out, high, low);
    String::from_utf8(out).expect("a UUID is ASCII")
}

/// Appends twelve capital letters and digits, the way entity ids are spelled.
pub(crate) fn put_code(out: &mut Vec<u8>, hash: u64) {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut rest = hash;
    for _ in 0..12 {
        out.push(LETTERS[(rest & 31) as usize]);
        rest >>= 5;
    }
}

/// How many digits of a second are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// None at all.
    None,
    /// Always three.
    Millis,
    /// Up to six, without trailing zeros.
    Trimmed,
}

/// Appends a quoted UTC time given in microseconds since 1970.
pub(crate) fn put_time(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    out.push(b'"');
    put_bare_time(out, micros, fraction);
    out.push(b'"');
}

fn put_bare_time(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    let seconds = micros.div_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u32;
    let mut text = *b"0000-00-00T00:00:00";
    two(&mut text, 0, year / 100);
    two(&mut text, 2, year % 100);
    two(&mut text, 5, month);
    two(&mut text, 8, day);
    two(&mut text, 11, second / 3600);
    two(&mut text, 14, second / 60 % 60);
    two(&mut text, 17, second % 60);
    out.extend_from_slice(&text);
    put_fraction(out, micros.rem_euclid(1_000_000) as u64, fraction);
    out.push(b'Z');
}

fn two(text: &mut [u8], at: usize, value: u32) {
    text[at] = b'0' + (value / 10 % 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

fn put_fraction(out: &mut Vec<u8>, micros: u64, fraction: Fraction) {
    match fraction {
        Fraction::None => {}
        Fraction::Millis => {
            out.push(b'.');
            put_padded(out, micros / 1000, 3);
        }
        Fraction::Trimmed if micros == 0 => {}
        Fraction::Trimmed => {
            out.push(b'.');
            put_padded(out, micros, 6);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }
}

/// Turns days since 1970 into year, month and day; eras of 400 years make it free of loops.
fn civil(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_like_chrono_spells_them() {
        fn check(micros: i64, fraction: Fraction, expected: &str) {
            let mut out = Vec::new();
            put_bare_time(&mut out, micros, fraction);
            assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
        }
        check(0, Fraction::None, "1970-01-01T00:00:00Z");
        check(951_782_400_000_000, Fraction::Millis, "2000-02-29T00:00:00.000Z");
        check(1_709_210_096_290_590, Fraction::Trimmed, "2024-02-29T12:34:56.29059Z");
        check(1_735_689_599_000_000, Fraction::Trimmed, "2024-12-31T23:59:59Z");
        for day in 0..40_000_i64 {
            let time = chrono::DateTime::from_timestamp(day * 86_400 + day % 86_400, 0).expect("in range");
            check(time.timestamp_micros(), Fraction::None, &time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
    }

    #[test]
    fn strings_are_escaped() {
        let text = "a \"quoted\" \\ line\nwith \u{1} and \u{1F980}";
        let mut out = Vec::new();
        put_str(&mut out, text);
        let read: String = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(read, text);
    }
}

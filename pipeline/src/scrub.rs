//! Takes the key out of what came from outside before anybody reads it.
//!
//! Whoever is asked has the key and may send it back: in an error's text, as the host of a redirect, as the name
//! of an organization, in what a command complains about. [`Secret::scrub`] is where every such text goes through on
//! its way into an error or a log.

use std::ops::Range;

use crate::{Error, Secret};

/// A part of the key of this length is taken for the key: shorter ones stand in ids as well.
const TELLING: usize = 12;

/// A key of fewer letters and digits is looked for just as it is: in pieces it would be in every text.
const FEWEST: usize = 6;

/// No character's number has more digits.
const LONGEST: usize = 9;

/// What stands in its place.
const MASK: &str = "****";

impl Secret {
    /// Returns a text without the key and without any telling part of it: in whatever case, with other characters in
    /// between or without its own, and with characters spelled as a URL, HTML or JSON may spell them.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let key: Vec<char> = letters(self.expose(), spelled).into_iter().map(|(_, letter)| letter).collect();
        if key.len() < FEWEST {
            let is_none = self.expose().is_empty();
            return if is_none { text.to_owned() } else { text.replace(self.expose(), MASK) };
        }
        let mut found = parts(text, &key, spelled);
        found.extend(parts(text, &key, escaped));
        found.sort_unstable_by_key(|part| part.start);
        let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
        for part in found {
            if part.start >= from {
                clean.push_str(&text[from..part.start]);
                clean.push_str(MASK);
            }
            from = from.max(part.end);
        }
        clean.push_str(&text[from..]);
        clean
    }

    /// Returns an error without the key in any of its texts.
    #[must_use]
    pub fn scrub_error(&self, error: Error) -> Error {
        let chain = error.chain();
        let clean = self.scrub(&chain);
        let hint = error.hint().map(|hint| self.scrub(hint));
        let is_clean = clean == chain && hint.as_deref() == error.hint();
        if is_clean && error.context().iter().all(|(_, value)| self.scrub(value) == *value) {
            return error;
        }
        let mut told = Error::new(error.kind(), clean);
        for (name, value) in error.context() {
            told = told.with_context(name, self.scrub(value));
        }
        match hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    }
}

/// Reads the character that a text, which is not empty, begins with, and how long its spelling is.
type Read = fn(&str) -> (char, usize);

/// Returns where telling parts of the key stand in a text, as its letters are read.
fn parts(text: &str, key: &[char], read: Read) -> Vec<Range<usize>> {
    let shown = letters(text, read);
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < shown.len() {
        let length = (0..key.len()).map(|start| common(&shown[at..], &key[start..])).max().unwrap_or(0);
        if length < TELLING.min(key.len()) {
            at += 1;
            continue;
        }
        parts.push(shown[at].0.start..shown[at + length - 1].0.end);
        at += length;
    }
    parts
}

/// Returns the letters and digits of a text, in lower case, each with its place.
fn letters(text: &str, read: Read) -> Vec<(Range<usize>, char)> {
    let mut letters = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (letter, length) = read(&text[at..]);
        if letter.is_alphanumeric() {
            letters.push((at..at + length, letter.to_ascii_lowercase()));
        }
        at += length;
    }
    letters
}

fn spelled(text: &str) -> (char, usize) {
    let first = text.chars().next().unwrap_or_default();
    (first, first.len_utf8())
}

/// Reads a character that may be spelled by its number.
fn escaped(text: &str) -> (char, usize) {
    by_number(text).unwrap_or_else(|| spelled(text))
}

fn by_number(text: &str) -> Option<(char, usize)> {
    let closed = |start: usize| {
        let length = text[start..].bytes().take(LONGEST).position(|byte| byte == b';')?;
        Some((text.get(start..start + length)?, start + length + 1))
    };
    let ((digits, length), radix) = if text.starts_with('%') {
        ((text.get(1..3)?, 3), 16)
    } else if text.starts_with("\\u") {
        ((text.get(2..6)?, 6), 16)
    } else if text.starts_with("&#x") || text.starts_with("&#X") {
        (closed(3)?, 16)
    } else if text.starts_with("&#") {
        (closed(2)?, 10)
    } else {
        return None;
    };
    Some((char::from_u32(u32::from_str_radix(digits, radix).ok()?)?, length))
}

/// Returns how many characters two texts have in common from their beginnings on.
fn common(text: &[(Range<usize>, char)], key: &[char]) -> usize {
    text.iter().zip(key).take_while(|((_, found), wanted)| found == *wanted).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const KEY: &str = "K3y-5ecret-0123456789abcdef";

    fn check(text: &str, expected: &str) {
        assert_eq!(Secret::new(KEY).scrub(text), expected, "{text}");
    }

    #[test]
    fn secrecy_the_key_is_found_in_any_case_in_parts_and_across_lines() {
        check("", "");
        check("no key in here", "no key in here");
        check(&format!("key {KEY} is unknown"), "key **** is unknown");
        check(&format!("{KEY}{KEY}"), "********");
        check(&format!("{}.evil.example", KEY.to_lowercase()), "****.evil.example");
        check("é K3y-5ecr\n et-0123456789abcdef é", "é **** é");
        check("cut: 5ecret-01234567", "cut: ****");
        check("5ecret-0123", "5ecret-0123");
        check("K3y5ecret0123456789abcdef", "****");
        assert_eq!(Secret::new("3f2b5ecret0123456789").scrub("%3f2b5ecret0123456789"), "%****");
        check("K3y%2D5ecret%2d0123456789abcdef%", "****%");
        check("a K3y&#45;5ecret&#x2D;&#48;123456789abcdef; &#", "a ****; &#");
        check(r"K3y\u002d5ecret\u002D0123456789abcdef\u00", r"****\u00");
        check("100% &#; &#99999999; %é \\u", "100% &#; &#99999999; %é \\u");
        assert_eq!(Secret::new("hunter2").scrub("a hunter2 b"), "a **** b");
        assert_eq!(Secret::new("").scrub("a b"), "a b");
        assert_eq!(Secret::new("a-b").scrub("a a-b ab"), "a **** ab");
        assert_eq!(Secret::new("-- --").scrub("a -- -- b"), "a **** b");
        assert_eq!(Secret::new("schlüssel").scrub("äschlüsselä schlüss"), "ä****ä schlüss");
    }

    #[test]
    fn secrecy_an_error_is_told_without_the_key() {
        let error = Error::new(ErrorKind::Isolation, format!("records of {KEY}"))
            .with_source(std::io::Error::other(format!("host {KEY}")))
            .with_context("tenant", "a")
            .with_context("request", format!("GET /{KEY}"))
            .with_hint(format!("look at {KEY}"));
        let told = Secret::new(KEY).scrub_error(error);
        assert!(!format!("{told:?}").contains(KEY), "{told:?}");
        assert_eq!(told.to_string(), "records of ****: host ****");
        assert_eq!((told.kind(), told.hint()), (ErrorKind::Isolation, Some("look at ****")));
        assert_eq!(told.context().len(), 2);
    }
}

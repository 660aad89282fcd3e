//! Takes the key out of what came from outside before anybody reads it.
//!
//! Whoever is asked has the key and may send it back: in an error's text, as the host of a redirect, as the name
//! of an organization, in what a command complains about. [`Secret::scrub`] is where every such text goes through on
//! its way into an error or a log.

use std::ops::Range;

use crate::{Error, Secret};

/// A part of the key of this length is taken for the key: shorter ones stand in ids as well.
const TELLING: usize = 12;

/// What stands in its place.
const MASK: &str = "****";

impl Secret {
    /// Returns a text without the key and without any telling part of it: in whatever case, with other characters in
    /// between or without its own, and with characters spelled as a URL, HTML or JSON may spell them.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let key: Vec<char> = letters(self.expose()).into_iter().map(|(_, letter)| letter).collect();
        if key.is_empty() {
            let is_none = self.expose().is_empty();
            return if is_none { text.to_owned() } else { text.replace(self.expose(), MASK) };
        }
        let shown = letters(text);
        let telling = TELLING.min(key.len());
        let (mut clean, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
        while at < shown.len() {
            let length = (0..key.len()).map(|start| common(&shown[at..], &key[start..])).max().unwrap_or(0);
            if length < telling {
                at += 1;
                continue;
            }
            clean.push_str(&text[from..shown[at].0.start]);
            clean.push_str(MASK);
            at += length;
            from = shown[at - 1].0.end;
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

/// Returns the letters and digits of a text, in lower case, each with its place.
fn letters(text: &str) -> Vec<(Range<usize>, char)> {
    let mut letters = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let (letter, length) = escaped(&text[at..]).unwrap_or((first, first.len_utf8()));
        if letter.is_alphanumeric() {
            letters.push((at..at + length, letter.to_ascii_lowercase()));
        }
        at += length;
    }
    letters
}

/// Returns the character that a text begins with and how long its spelling is, where it is spelled by its number.
fn escaped(text: &str) -> Option<(char, usize)> {
    let (prefix, digits, radix) = if text.starts_with('%') {
        (1, text.get(1..3)?, 16)
    } else if text.starts_with("\\u") {
        (2, text.get(2..6)?, 16)
    } else if let Some(number) = text.strip_prefix("&#x").or_else(|| text.strip_prefix("&#X")) {
        (3, number.split_once(';')?.0, 16)
    } else {
        (2, text.strip_prefix("&#")?.split_once(';')?.0, 10)
    };
    let letter = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    Some((letter, prefix + digits.len() + usize::from(text.starts_with('&'))))
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
        check("K3y%2D5ecret%2d0123456789abcdef%", "****%");
        check("a K3y&#45;5ecret&#x2D;&#48;123456789abcdef; &#", "a ****; &#");
        check(r"K3y\u002d5ecret\u002D0123456789abcdef\u00", r"****\u00");
        check("100% &#; &#99999999; %é \\u", "100% &#; &#99999999; %é \\u");
        assert_eq!(Secret::new("hunter2").scrub("a hunter2 b"), "a **** b");
        assert_eq!(Secret::new("").scrub("a b"), "a b");
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

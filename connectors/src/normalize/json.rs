//! A cursor over JSON bytes: finds where values begin and end, and builds nothing.

use std::borrow::Cow;

/// Deeper nesting than any record has a use for, and than some readers of JSON go.
pub(super) const MOST_NESTED: usize = 64;

/// The bytes are no JSON from this place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Where, counted from the first byte.
    pub(super) offset: usize,
}

/// What kind of value begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A string's text as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    /// The text, with its escapes.
    pub(super) raw: &'a [u8],
    /// Whether there are escapes.
    pub(super) escaped: bool,
}

/// Reads JSON from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What is wrong with a value that was skipped.
    flaw: Option<Flaw>,
}

/// What makes a value useless to most readers of JSON, although its grammar is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A text in it holds half a character.
    Half,
    /// It is nested too deeply.
    Deep,
}

/// Why an escape is no character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// JSON knows no such escape.
    Unknown,
    /// It is one half of a surrogate pair: JSON by its grammar, and no text.
    Half,
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, flaw: None }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// Goes back, and forgets what was met from there on.
    pub(super) fn go_back(&mut self, offset: usize) {
        self.at = offset;
        self.flaw = None;
    }

    pub(super) fn error<T>(&self) -> Result<T, Syntax> {
        Err(Syntax { offset: self.at })
    }

    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte > b' ' {
                return Some(byte);
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Consumes one punctuation mark.
    #[inline]
    pub(super) fn expect(&mut self, mark: u8) -> Result<(), Syntax> {
        if self.peek() == Some(mark) {
            self.at += 1;
            Ok(())
        } else {
            self.error()
        }
    }

    /// Returns what begins here, without consuming it.
    #[inline]
    pub(super) fn begins(&mut self) -> Result<Begins, Syntax> {
        Ok(match self.peek() {
            Some(b'"') => Begins::String,
            Some(b'{') => Begins::Object,
            Some(b'[') => Begins::Array,
            Some(b'-' | b'0'..=b'9') => Begins::Number,
            Some(b't') => Begins::True,
            Some(b'f') => Begins::False,
            Some(b'n') => Begins::Null,
            _ => return self.error(),
        })
    }

    /// Returns whether the next byte in the object or array opened just now closes it.
    #[inline]
    pub(super) fn another(&mut self, first: &mut bool, close: u8) -> Result<bool, Syntax> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !*first => {
                self.at += 1;
                // A comma promises another value.
                if self.peek() == Some(close) { self.error() } else { Ok(true) }
            }
            Some(_) if *first => {
                *first = false;
                Ok(true)
            }
            _ => self.error(),
        }
    }

    /// Consumes a member's name and its colon.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Text<'a>, Syntax> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Consumes a member's name and its colon where they are spelled exactly so; nothing otherwise.
    #[inline]
    pub(super) fn is_named(&mut self, name: &str) -> bool {
        let rest = self.bytes[self.at..].strip_prefix(b"\"");
        let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
        match rest.and_then(|rest| rest.strip_prefix(b"\":")) {
            Some(rest) => {
                self.at = self.bytes.len() - rest.len();
                true
            }
            None => false,
        }
    }

    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Syntax> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') if self.at + 1 < self.bytes.len() => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return self.error(),
            }
        }
    }

    /// Consumes a number and returns its text; the number's own grammar is checked by whoever parses it.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a [u8], Syntax> {
        self.peek();
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if is_number(&self.bytes[start..self.at]) { Ok(&self.bytes[start..self.at]) } else { self.error() }
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Syntax> {
        self.peek();
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.error()
        }
    }

    /// Returns what is wrong with a value skipped since the last time.
    pub(super) fn skipped_flaw(&mut self) -> Option<Flaw> {
        self.flaw.take()
    }

    /// Consumes any value and returns its text.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Syntax> {
        self.peek();
        let start = self.at;
        self.skip_value()?;
        Ok(self.since(start))
    }

    /// Steps over a value, however deeply it is nested: what is open is held in a list and not on the stack.
    fn skip_value(&mut self) -> Result<(), Syntax> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            let mut first = false;
            match self.begins()? {
                Begins::String => {
                    let text = self.string()?;
                    self.check_escapes(text)?;
                }
                Begins::Number => drop(self.number()?),
                Begins::True => self.word(b"true")?,
                Begins::False => self.word(b"false")?,
                Begins::Null => self.word(b"null")?,
                begins => {
                    self.at += 1;
                    first = true;
                    open.push(if begins == Begins::Object { b'}' } else { b']' });
                    if open.len() > MOST_NESTED {
                        self.flaw = Some(Flaw::Deep);
                    }
                }
            }
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                if self.another(&mut first, close)? {
                    if close == b'}' {
                        let name = self.name()?;
                        self.check_escapes(name)?;
                    }
                    break;
                }
                open.pop();
                first = false;
            }
        }
    }

    /// Returns an error where a text that was just consumed has an escape that JSON doesn't know.
    #[inline]
    pub(super) fn check_escapes(&mut self, text: Text<'_>) -> Result<(), Syntax> {
        if !text.escaped {
            return Ok(());
        }
        match unescape(text.raw, |_| {}) {
            Ok(()) => Ok(()),
            Err(Escape::Unknown) => self.error(),
            Err(Escape::Half) => {
                self.flaw = Some(Flaw::Half);
                Ok(())
            }
        }
    }

    /// Returns an error unless nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        if self.peek().is_none() { Ok(()) } else { self.error() }
    }
}

impl<'a> Text<'a> {
    /// Returns whether this is what the text says.
    #[inline]
    pub(super) fn is(&self, text: &str) -> bool {
        if self.escaped {
            self.decoded().is_ok_and(|own| *own == *text.as_bytes())
        } else {
            self.raw == text.as_bytes()
        }
    }

    /// Returns the text without its escapes.
    #[inline]
    pub(super) fn decoded(&self) -> Result<Cow<'a, [u8]>, Escape> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut text = Vec::with_capacity(self.raw.len());
        self.decode_into(&mut text)?;
        Ok(Cow::Owned(text))
    }

    /// Returns the text with no more escapes than it needs: one text, one spelling.
    pub(super) fn spelled(&self) -> Result<Cow<'a, [u8]>, Escape> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let text = String::from_utf8_lossy(&self.decoded()?).into_owned();
        let quoted = serde_json::to_string(&text).expect("every text is JSON");
        Ok(Cow::Owned(quoted.as_bytes()[1..quoted.len() - 1].to_vec()))
    }

    /// Appends the text without its escapes; on an error a part of it was appended.
    #[inline]
    pub(super) fn decode_into(&self, into: &mut Vec<u8>) -> Result<(), Escape> {
        if self.escaped {
            unescape(self.raw, |part| into.extend_from_slice(part))
        } else {
            into.extend_from_slice(self.raw);
            Ok(())
        }
    }
}

/// Counts the bytes before the first one that ends or breaks a text: a quote, a backslash, a control character.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Sets the high bit of every byte that ends or breaks a text; above the lowest one set, others may be set as well.
#[inline]
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let backslashes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (quotes | backslashes | controls) & (ONES << 7)
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

/// Resolves a string's escapes, and hands over the text part by part.
///
/// A half of a surrogate pair is told only where every escape is one that JSON knows.
fn unescape(raw: &[u8], mut part: impl FnMut(&[u8])) -> Result<(), Escape> {
    let mut rest = raw;
    let mut whole = Ok(());
    while let Some(at) = memchr::memchr(b'\\', rest) {
        part(&rest[..at]);
        let (escape, after) = rest[at + 1..].split_first().ok_or(Escape::Unknown)?;
        rest = after;
        match escape {
            b'"' | b'\\' | b'/' => part(&[*escape]),
            b'b' => part(&[8]),
            b'f' => part(&[12]),
            b'n' => part(b"\n"),
            b'r' => part(b"\r"),
            b't' => part(b"\t"),
            b'u' => {
                let (character, after) = unicode(rest).ok_or(Escape::Unknown)?;
                rest = after;
                match character {
                    Some(character) => part(character.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => whole = Err(Escape::Half),
                }
            }
            _ => return Err(Escape::Unknown),
        }
    }
    part(rest);
    whole
}

/// Reads what follows `\u`: no character where it is half of one, nothing at all where it is no number.
fn unicode(rest: &[u8]) -> Option<(Option<char>, &[u8])> {
    let (high, rest) = hex4(rest)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Some((char::from_u32(high), rest));
    }
    match rest.strip_prefix(b"\\u").and_then(hex4) {
        Some((low, rest)) if (0xDC00..0xE000).contains(&low) => {
            Some((char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)), rest))
        }
        // What follows is an escape of its own, and looked at as such.
        _ => Some((None, rest)),
    }
}

fn hex4(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let mut value = 0;
    for digit in digits {
        value = value * 16 + char::from(*digit).to_digit(16)?;
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_exactly_one_value() {
        for (text, rest) in [
            (r#"{"a":[1,2.5e3,{"b":null}],"c":"\"}"} x"#, " x"),
            (r#""a\\" ,"#, " ,"),
            ("-0.5]", "]"),
            ("[] ", " "),
            ("true,", ","),
        ] {
            let mut json = Json::new(text.as_bytes());
            json.skip().expect("a value");
            assert_eq!(&text[json.offset()..], rest);
        }
    }

    #[test]
    fn refuses_what_is_no_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "-",
            "nul",
            "\"a",
            "\"\\x\"",
            "{a:1}",
            "[1 2]",
            "\"\\u12g4\"",
            "{\"\\x\":1}",
            "\"a\nb\"",
            "1e",
            "[,1]",
        ] {
            let mut json = Json::new(text.as_bytes());
            assert!(json.skip().and_then(|_| json.end()).is_err(), "{text}");
        }
        for text in ["[[1,]]", "[[1}]", "{\"a\":[}]", "[{\"a\":1]}", "[[]", "[1]]", "{\"a\":{\"b\"}}"] {
            let mut json = Json::new(text.as_bytes());
            assert!(json.skip().and_then(|_| json.end()).is_err(), "{text}");
        }
    }

    #[test]
    fn bounded_any_depth_is_skipped_and_told() {
        for (depth, flaw) in [(64, None), (65, Some(Flaw::Deep)), (1_000_000, Some(Flaw::Deep))] {
            let text = r#"{"a":["#.repeat(depth / 2) + &"[".repeat(depth % 2);
            let text = text + &"]".repeat(depth % 2) + &"]}".repeat(depth / 2);
            let mut json = Json::new(text.as_bytes());
            json.skip().expect("JSON");
            assert_eq!((json.offset(), json.skipped_flaw()), (text.len(), flaw), "{depth}");
        }
    }

    #[test]
    fn half_a_character_is_json_and_told() {
        for text in [r#""\ud83d""#, r#"["\ude00"]"#, r#"{"\ud83dx":1}"#, r#"{"a":"\ud83d\u0041"}"#] {
            let mut json = Json::new(text.as_bytes());
            json.skip().expect("JSON by its grammar");
            assert_eq!((json.skipped_flaw(), json.skipped_flaw()), (Some(Flaw::Half), None), "{text}");
        }
        let mut json = Json::new(br#""\ud83d\ude00""#);
        json.skip().expect("a value");
        assert_eq!(json.skipped_flaw(), None);
    }

    #[test]
    fn a_text_ends_at_its_first_mark_wherever_that_stands() {
        for mark in [b'"', b'\\', 0, 9, 0x1F] {
            for at in 0..40 {
                for behind in 0..20 {
                    // The neighbours are those that a sloppy comparison takes for a mark.
                    let mut bytes =
                        [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x80, 0xA2, 0xDC, 0xFF].repeat(5)[..at].to_vec();
                    bytes.push(mark);
                    bytes.extend(std::iter::repeat_n(b'"', behind));
                    assert_eq!(plain_length(&bytes), at, "{bytes:?}");
                }
            }
        }
        assert_eq!(plain_length(&[b'x'; 37]), 37);
    }

    #[test]
    fn resolves_escapes() {
        let resolved = |raw: &'static str| Text { raw: raw.as_bytes(), escaped: true }.decoded();
        for (raw, text) in
            [(r"a\nb", "a\nb"), (r"\u00e4\/", "ä/"), (r"\ud83d\ude00!", "😀!"), (r"\\u", "\\u")]
        {
            assert_eq!(resolved(raw).as_deref(), Ok(text.as_bytes()), "{raw}");
        }
        for raw in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\ud83d\ude00"] {
            assert_eq!(resolved(raw), Err(Escape::Half), "{raw}");
        }
        for raw in [r"\u12", r"\x", r"\ud83d\u12", r"\ud83d\x"] {
            assert_eq!(resolved(raw), Err(Escape::Unknown), "{raw}");
        }
    }
}

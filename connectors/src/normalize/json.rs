//! A cursor over JSON bytes: finds where values begin and end, and builds nothing.

use std::borrow::Cow;

use memchr::memchr2;

/// Deeper nesting than any answer has; a guard against answers made to exhaust the stack.
const MOST_NESTED: usize = 64;

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
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(super) fn go_back(&mut self, offset: usize) {
        self.at = offset;
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

    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Syntax> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(found) = memchr2(b'"', b'\\', &self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                return self.error();
            };
            self.at += found;
            if self.bytes[self.at] == b'"' {
                let raw = &self.bytes[start..self.at];
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            escaped = true;
            self.at += 2;
            if self.at > self.bytes.len() {
                self.at = self.bytes.len();
                return self.error();
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

    /// Consumes any value and returns its text.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Syntax> {
        self.peek();
        let start = self.at;
        self.skip_nested(0)?;
        Ok(self.since(start))
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Syntax> {
        if depth > MOST_NESTED {
            return self.error();
        }
        match self.begins()? {
            Begins::String => {
                let text = self.string()?;
                if text.escaped && unescape(text.raw).is_none() { self.error() } else { Ok(()) }
            }
            Begins::Number => self.number().map(drop),
            Begins::True => self.word(b"true"),
            Begins::False => self.word(b"false"),
            Begins::Null => self.word(b"null"),
            Begins::Object => {
                self.at += 1;
                let mut first = true;
                while self.another(&mut first, b'}')? {
                    self.name()?;
                    self.skip_nested(depth + 1)?;
                }
                Ok(())
            }
            Begins::Array => {
                self.at += 1;
                let mut first = true;
                while self.another(&mut first, b']')? {
                    self.skip_nested(depth + 1)?;
                }
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
    /// Returns the text without its escapes; `None` where an escape is no escape or half a character.
    #[inline]
    pub(super) fn decoded(&self) -> Option<Cow<'a, [u8]>> {
        if self.escaped { unescape(self.raw).map(Cow::Owned) } else { Some(Cow::Borrowed(self.raw)) }
    }
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

/// Resolves a string's escapes; `None` where one is unknown, or is one half of a surrogate pair.
fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (escape, after) = rest[at + 1..].split_first()?;
        rest = after;
        match escape {
            b'"' | b'\\' | b'/' => text.push(*escape),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let (character, after) = unicode(rest)?;
                rest = after;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    text.extend_from_slice(rest);
    Some(text)
}

fn unicode(rest: &[u8]) -> Option<(char, &[u8])> {
    let (high, rest) = hex4(rest)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Some((char::from_u32(high)?, rest));
    }
    let (low, rest) = hex4(rest.strip_prefix(b"\\u")?)?;
    if !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, rest))
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
            "\"\\ud800\"",
            "1e",
            "[,1]",
        ] {
            let mut json = Json::new(text.as_bytes());
            assert!(json.skip().and_then(|_| json.end()).is_err(), "{text}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(Json::new(deep.as_bytes()).skip().is_err());
    }

    #[test]
    fn resolves_escapes() {
        for (raw, text) in
            [(r"a\nb", "a\nb"), (r"\u00e4\/", "ä/"), (r"\ud83d\ude00!", "😀!"), (r"\\u", "\\u")]
        {
            assert_eq!(unescape(raw.as_bytes()).as_deref(), Some(text.as_bytes()), "{raw}");
        }
        for raw in [r"\ud83d", r"\ude00", r"\u12", r"\x", r"\ud83dx"] {
            assert_eq!(unescape(raw.as_bytes()), None, "{raw}");
        }
    }
}

//! What is wrong with a run file, said with the line it stands on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use pipeline::{Error, ErrorKind};

use crate::suggest;

/// A run file's text and where it came from; it turns a place in the text into an error.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns an error about the file as a whole.
    pub(crate) fn error(&self, message: &str) -> Error {
        Error::new(ErrorKind::Config, format!("read {}: {message}", self.path.display()))
    }

    /// Returns an error about a place in the file, with its line and column and the line underlined.
    ///
    /// A line that may hold a secret is not shown; of one about the connector, which may hold it under any name, nothing that
    /// stands behind a name.
    pub(crate) fn error_at(&self, span: Option<Range<usize>>, message: &str) -> Error {
        let error = self.error(message);
        let Some(span) = span else { return error };
        let place = Place::of(&self.text, span);
        let error = error.with_context("at", format!("line {}, column {}", place.line, place.column));
        match place.shown() {
            Some(place) => error.with_context("source", place.underlined()),
            None => error,
        }
    }

    /// Returns the error that the parser met, in the operator's words.
    pub(crate) fn parse_error(&self, error: &toml::de::Error) -> Error {
        let secret = error.span().is_some_and(|span| Place::of(&self.text, span).may_hold_a_secret());
        let Wording { message, hint } =
            if secret { Wording::of_secret() } else { Wording::of(error.message()) };
        let told = self.error_at(error.span(), &message);
        match hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    }
}

/// A line of the text and the part of it that is meant; line and column count from one.
struct Place<'a> {
    line: usize,
    column: usize,
    content: &'a str,
    header: &'a str,
    width: usize,
}

/// What the name of a value that must not be shown has in it.
const SECRET_NAMES: [&str; 5] = ["key", "secret", "token", "password", "credential"];

impl<'a> Place<'a> {
    fn of(text: &'a str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(span.start));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let content = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + content.len();
        let meant = &text[start.min(line_end)..end.clamp(start.min(line_end), line_end)];
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            content,
            header: text[..line_start]
                .lines()
                .rev()
                .find(|line| line.trim_start().starts_with('['))
                .unwrap_or_default(),
            width: meant.chars().count().max(1),
        }
    }

    /// Returns whether the line, or the table it is in, has the name of a secret: a key that was written where
    /// only its whereabouts belong must not reach a terminal or a log.
    fn may_hold_a_secret(&self) -> bool {
        let table = self.tables().last().unwrap_or_default();
        // A table on one line has several names.
        let (names, _) = self.content.rsplit_once('=').unwrap_or((self.content, ""));
        let mut words = names.split('=').map(|part| part.rsplit([',', '{']).next().unwrap_or_default());
        let is_secret = |word: &str| SECRET_NAMES.iter().any(|secret| word.to_lowercase().contains(secret));
        is_secret(table) || words.any(is_secret) || self.content.contains("://") && self.content.contains('@')
    }

    /// Returns the names of the table that the line is in.
    fn tables(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.header.trim().trim_matches(['[', ']']).split('.').map(str::trim)
    }

    /// Returns what may be shown of the line; nothing where that is nothing.
    fn shown(self) -> Option<Self> {
        if self.may_hold_a_secret() {
            return None;
        }
        let is_about_the_connector = self.tables().any(|table| table == "connector");
        if !is_about_the_connector || self.content.trim_start().starts_with('[') {
            return Some(self);
        }
        let (name, _) = self.content.split_once('=')?;
        let width = name.chars().count().saturating_sub(self.column - 1).min(self.width);
        (width > 0).then_some(Self { content: name.trim_end(), width, ..self })
    }

    fn underlined(&self) -> String {
        let gutter = self.line.to_string();
        let margin = " ".repeat(gutter.len());
        // A tab is as wide as the terminal says; kept in the margin, it keeps the marks below what they mark.
        let indent: String =
            self.content.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks = "^".repeat(self.width);
        format!("{margin} |\n{gutter} | {}\n{margin} | {indent}{marks}", self.content)
    }
}

/// Returns the nearest place at or before `index` where a character begins.
fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// The parser's message, told in the words of the run file.
struct Wording {
    message: String,
    hint: Option<String>,
}

impl Wording {
    fn of(message: &str) -> Self {
        let message = message.lines().next().unwrap_or_default();
        let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let ([found, known @ ..], true) = (words.as_slice(), is_unknown(message)) {
            let what = if message.starts_with("unknown field") { "key" } else { "name" };
            let hint = suggest::hint(found, known, &format!("{what}s here"));
            return Self { message: format!("unknown {what} `{found}`"), hint: Some(hint) };
        }
        if let ([name], true) = (words.as_slice(), message.starts_with("missing field")) {
            return Self { message: format!("`{name}` is missing"), hint: None };
        }
        Self { message: in_plain_words(message), hint: None }
    }

    /// What is told of a line that may hold a secret: nothing that stands on it.
    fn of_secret() -> Self {
        Self {
            message: "this does not say where the key is found".to_owned(),
            hint: Some(
                "name exactly one: `key = { env = \"NAME\" }`, `{ file = \"PATH\" }` or `{ command = [\"PROGRAM\"] }`; \
                 the key itself never stands in the run file"
                    .to_owned(),
            ),
        }
    }
}

/// Returns the parser's message without the words of the language it is written in.
fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        (
            "wanted exactly 1 element, more than 1 element",
            "exactly one table is expected here, and there are more",
        ),
        ("invalid type", "wrong type"),
        ("invalid value", "wrong value"),
        ("a nonzero u32", "a whole number from 1 to 4294967295"),
        ("expected u32", "expected a whole number"),
        ("a sequence", "a list in brackets"),
        ("expected a map", "expected a table"),
        ("string values must be quoted, expected literal string", "a text stands in quotes"),
    ];
    WORDS.iter().fold(message.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn is_unknown(message: &str) -> bool {
    message.starts_with("unknown field") || message.starts_with("unknown variant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, span: Range<usize>, line: usize, column: usize, marks: &str) {
        let place = Place::of(text, span.clone());
        assert_eq!((place.line, place.column), (line, column), "{text:?} {span:?}");
        let underlined = place.underlined();
        assert!(underlined.ends_with(&format!("| {marks}")), "{underlined}");
    }

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        check("a = 1\nbc = 2\n", 6..8, 2, 1, "^^");
        check("name = \"Zürich\" x", 17..18, 1, 17, &format!("{}^", " ".repeat(16)));
        check("\tx = 1", 1..2, 1, 2, "\t^");
        check("a = 1\r\nb = 2", 7..8, 2, 1, "^");
    }

    #[test]
    fn a_place_outside_the_text_is_drawn_inside_it() {
        check("", 0..0, 1, 1, "^");
        check("a = 1", 5..9, 1, 6, "     ^");
        check("a = [\n1,\n2]\n", 4..12, 1, 5, "    ^");
    }
}

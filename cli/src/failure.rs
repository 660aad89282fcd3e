//! How an error is told: what happened, to whom, and what to do.

use chrono::SecondsFormat;
use clap::builder::styling::AnsiColor;
use pipeline::{Clock, Error, SystemClock};

use crate::args::LogFormat;
use crate::console::Console;
use crate::exit_code;

/// Tells an error on standard error.
pub(crate) fn tell(error: &Error, console: &Console) {
    match console.log_format {
        LogFormat::Text => console.words(&in_words(error, console)),
        LogFormat::Json => console.words(&in_json(error)),
    }
}

/// Tells errors that cost their own tenants alone, and returns the exit code that the first of them means.
pub(crate) fn tell_each<'a>(errors: impl IntoIterator<Item = &'a Error>, console: &Console) -> u8 {
    let mut code = exit_code::OK;
    for error in errors {
        tell(error, console);
        if code == exit_code::OK {
            code = exit_code::of_error(error.kind());
        }
    }
    code
}

/// Tells where an error happened and what to do, below a line that said what happened.
pub(crate) fn tell_rest(error: &Error, console: &Console) {
    match console.log_format {
        LogFormat::Text => {
            let rest = rest(error, console);
            if !rest.is_empty() {
                console.words(&rest[1..]);
            }
        }
        LogFormat::Json => console.words(&in_json(error)),
    }
}

fn in_words(error: &Error, console: &Console) -> String {
    format!("{} {}{}", console.paint("error:", AnsiColor::Red), error.chain(), rest(error, console))
}

/// Returns the facts, the blocks and the hint, each on lines of their own.
fn rest(error: &Error, console: &Console) -> String {
    let mut text = String::new();
    let (blocks, facts): (Vec<_>, Vec<_>) =
        error.context().iter().partition(|(_, value)| value.contains('\n'));
    if !facts.is_empty() {
        let facts: Vec<String> = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        text.push_str(&format!("\n  {}", facts.join("  ")));
    }
    for line in blocks.iter().flat_map(|(_, block)| block.lines()) {
        text.push_str(&format!("\n  {line}"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n{} {hint}", console.paint("hint:", AnsiColor::Cyan)));
    }
    text
}

fn in_json(error: &Error) -> String {
    let context: serde_json::Map<_, _> =
        error.context().iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let timestamp = SystemClock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    serde_json::json!({
        "timestamp": timestamp,
        "level": "ERROR",
        "kind": format!("{:?}", error.kind()),
        "message": error.chain(),
        "context": context,
        "hint": error.hint(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pipeline::ErrorKind;

    use super::*;
    use crate::args::Cli;

    fn console(flags: &[&str]) -> Console {
        let args = ["tenantry", "schema"].iter().chain(flags);
        Console::new(&Cli::parse_from(args).global, true)
    }

    fn error() -> Error {
        let cause = std::io::Error::other("the platform refused the key (401)");
        Error::new(ErrorKind::Auth, "read vm_assets")
            .with_source(cause)
            .with_context("tenant", "Globex (5d0c6a1e)")
            .with_context("region", "eu")
            .with_context("source", "  |\n3 | x = 1\n  | ^")
            .with_hint("put the new key where `key.file` points and run again")
    }

    #[test]
    fn an_error_says_what_happened_to_whom_and_what_to_do() {
        insta::assert_snapshot!(in_words(&error(), &console(&[])), @r"
        error: read vm_assets: the platform refused the key (401)
          tenant: Globex (5d0c6a1e)  region: eu
            |
          3 | x = 1
            | ^
        hint: put the new key where `key.file` points and run again
        ");
    }

    #[test]
    fn an_error_without_facts_is_one_line() {
        let text = in_words(&Error::new(ErrorKind::Bug, "add up"), &console(&[]));
        assert_eq!(text, "error: add up");
    }

    #[test]
    fn colour_is_added_only_where_it_is_wanted() {
        let painted = in_words(&Error::new(ErrorKind::Bug, "add up"), &console(&["--color", "always"]));
        assert!(painted.contains("\u{1b}[") && painted.contains("add up"), "{painted:?}");
    }

    #[test]
    fn an_error_as_json_is_one_object_on_one_line() {
        let text = in_json(&error());
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["kind"], "Auth");
        assert_eq!(value["context"]["region"], "eu");
        assert_eq!(value["message"], "read vm_assets: the platform refused the key (401)");
    }
}

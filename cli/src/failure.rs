//! How an error is told: what happened, to whom, and what to do.

use clap::builder::styling::AnsiColor;
use pipeline::Error;

use crate::args::LogFormat;
use crate::console::Console;
use crate::exit_code;

/// Tells an error on standard error.
pub(crate) fn tell(error: &Error, console: &Console) {
    match console.log_format {
        LogFormat::Text => console.words(&in_words(error, console)),
        LogFormat::Json => console.record("ERROR", &error.chain(), &members(error)),
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
        LogFormat::Json => console.record("ERROR", &error.chain(), &members(error)),
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

/// Returns what a log in JSON tells of an error beside its message.
fn members(error: &Error) -> serde_json::Value {
    let context: serde_json::Map<_, _> =
        error.context().iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    serde_json::json!({ "kind": error.kind(), "context": context, "hint": error.hint() })
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
    fn a_log_in_json_tells_the_kind_the_facts_and_the_hint() {
        let told = members(&error());
        assert_eq!(told["kind"], "auth");
        assert_eq!(told["context"]["region"], "eu");
        assert!(told["hint"].as_str().is_some_and(|hint| hint.starts_with("put the new key")), "{told}");
    }
}

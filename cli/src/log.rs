//! Log lines: to standard error, at the level that is wanted, never across a progress bar.

use std::io::{self, Write};

use config::{Environment, env};
use pipeline::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::args::{Global, LogFormat};
use crate::console::Console;

/// Starts logging for the rest of the process.
///
/// # Errors
/// Where the wanted level is none.
pub(crate) fn start(global: &Global, environment: &Environment, console: &Console) -> Result<()> {
    let directives = directives(global, environment)?;
    let unclear = || {
        Error::new(ErrorKind::Usage, format!("understand the log level `{directives}`")).with_hint(
            "write off, error, warn, info, debug or trace, or directives such as `warn,connectors=debug`",
        )
    };
    // The parser takes a word that is no level for a part of the program, all of which is logged then.
    let is_level =
        |directive: &str| directive.contains(['=', '[']) || directive.trim().parse::<LevelFilter>().is_ok();
    if !directives.split(',').all(is_level) {
        return Err(unclear());
    }
    let filter = EnvFilter::builder().parse(&directives).map_err(|error| unclear().with_source(error))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines(console.clone()));
    match global.log_format {
        LogFormat::Text => lines.with_ansi(console.colour()).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

fn directives(global: &Global, environment: &Environment) -> Result<String> {
    if let Some(level) = &global.log_level {
        return Ok(level.clone());
    }
    let level = match global.verbose {
        0 => return Ok(environment.get(env::LOG)?.unwrap_or_else(|| quietest(global).to_owned())),
        1 => "info",
        2 => "debug,hyper=info,h2=info,reqwest=info,rustls=info",
        _ => "trace,hyper=info,h2=info,reqwest=info,rustls=info",
    };
    Ok(level.to_owned())
}

/// What is logged when nobody said: people read the summary, where a warning of each tenant stands once more; of a
/// key that was not taken up and of another run at work, nothing else tells them.
fn quietest(global: &Global) -> &'static str {
    match global.log_format {
        LogFormat::Text => "error,connectors::http::key_ring=warn,sinks::parquet::run=warn",
        LogFormat::Json => "info",
    }
}

/// Writes each log line at once and above the bars.
#[derive(Debug, Clone)]
struct Lines(Console);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { console: self.0.clone(), bytes: Vec::new() }
    }
}

/// One log line in the making, written when it is whole.
struct Line {
    console: Console,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        if !text.is_empty() {
            self.console.words(text.trim_end_matches('\n'));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn check(flags: &[&str], variable: &'static str, expected: &str) {
        let global = Cli::parse_from(["tenantry", "schema"].iter().chain(flags)).global;
        let environment = Environment::of([(env::LOG, variable)]);
        assert_eq!(directives(&global, &environment).expect("directives"), expected, "{flags:?} {variable}");
    }

    #[test]
    fn the_flag_goes_before_the_environment() {
        check(&[], "", "error,connectors::http::key_ring=warn,sinks::parquet::run=warn");
        check(&["--log-format", "json"], "", "info");
        check(&[], "debug", "debug");
        check(&["-v"], "debug", "info");
        check(&["--log-level", "trace"], "debug", "trace");
    }
}

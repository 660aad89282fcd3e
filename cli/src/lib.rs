//! The command line program: puts the parts together, prints, and decides the exit code.
//!
//! The only crate that prints or exits. What it prints for programs goes to standard output, what it says to
//! people goes to standard error.

pub mod exit_code;

mod args;
mod commands;
mod compliance;
mod console;
mod failure;
mod file;
mod interrupt;
mod jobs;
mod log;
mod platform;
mod progress;
mod report;
mod simulated;
mod table;
mod unplaced;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use config::{Environment, env};
use pipeline::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::args::Cli;
use crate::commands::Context;
use crate::console::Console;

/// The version that stands in receipts.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Gives memory back that many threads took and gave, which the system's own keeps for each of them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Runs the program with the arguments, the environment and the clock of this process.
#[must_use]
pub fn main() -> ExitCode {
    main_at(Arc::new(SystemClock))
}

/// Runs the program with another clock, as a rehearsal of other days needs it.
#[must_use]
pub fn main_at(clock: Arc<dyn Clock>) -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are told the same way as a wrong flag; clap knows which stream each goes to.
            let _ = told.print();
            return ExitCode::from(if told.use_stderr() { exit_code::USAGE } else { exit_code::OK });
        }
    };
    let environment = Environment::process();
    let dumb = matches!(environment.get(env::TERM), Ok(Some(term)) if term == "dumb");
    let no_colour = dumb || matches!(environment.get(env::NO_COLOR), Ok(Some(_)) | Err(_));
    let console = Console::new(&cli.global, no_colour);
    let code = start(cli, environment, &console, clock).unwrap_or_else(|error| {
        failure::tell(&error, &console);
        exit_code::of_error(error.kind())
    });
    ExitCode::from(code)
}

/// Reads the command line; `--color` is looked for before, because clap colours help and errors while it reads.
fn parsed() -> std::result::Result<Cli, clap::Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let said = words.iter().enumerate().find_map(|(at, word)| match word.to_str()? {
        "--color" => words.get(at + 1)?.to_str(),
        word => word.strip_prefix("--color="),
    });
    let choice = said.and_then(|said| said.parse().ok()).unwrap_or(clap::ColorChoice::Auto);
    let matches = Cli::command().color(choice).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

fn start(cli: Cli, environment: Environment, console: &Console, clock: Arc<dyn Clock>) -> Result<u8> {
    log::start(&cli.global, &environment, console)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Bug, "start the threads").with_source(error))?;
    let context = Context { global: cli.global, console: console.clone(), environment, clock };
    let ended = runtime.block_on(commands::execute(cli.command, &context));
    if ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled) {
        // Interrupted before it began: it waits for nothing more, such as a lock that another run holds.
        runtime.shutdown_background();
    }
    ended
}

//! The program, built beside its tests so that they can run it at any time of their choice, end it at any step, and give
//! columns other types, as an earlier or a later version of it has them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use connectors::normalize::Kind;
use connectors::rapid7::datasets::testing::{Altered, alter};
use pipeline::{Clock, SystemClock, Timestamp};
use rustix::process::{Signal, getpid, kill_process};
use tests::{END_AT, KINDS, NOW};

/// Begins at an instant and goes on from there.
struct SetClock {
    began_at: Timestamp,
    began: Instant,
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.began_at + self.began.elapsed()
    }
}

/// Returns a variable that a test sets for its program.
#[expect(clippy::disallowed_methods, reason = "tests have no other way into their program")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn end() {
    kill_process(getpid(), Signal::KILL).expect("a process may end itself");
}

/// Reads columns and their types, such as `users.name=json vm_findings.key=int`.
fn altered(text: &str) -> Vec<Altered> {
    let one = |column: &str| {
        let (path, kind) = column.split_once('=')?;
        let (dataset, name) = path.split_once('.')?;
        let kind = match kind {
            "json" => Kind::Json,
            "int" => Kind::Int64,
            _ => return None,
        };
        Some((dataset.to_owned(), name.to_owned(), kind))
    };
    let one = |column| one(column).unwrap_or_else(|| panic!("{column} is no column with a type"));
    text.split_whitespace().map(one).collect()
}

fn main() -> ExitCode {
    if let Some(text) = told(KINDS) {
        alter(altered(&text));
    }
    let clock: Arc<dyn Clock> = match told(NOW) {
        Some(text) => {
            let began_at = text.parse().expect("an instant such as 2026-11-24T03:00:00Z");
            Arc::new(SetClock { began_at, began: Instant::now() })
        }
        None => Arc::new(SystemClock),
    };
    if let Some(step) = told(END_AT) {
        sinks::parquet::testing::end_at(step.parse().expect("a number"), end);
    }
    cli::main_at(clock)
}

//! The program, built beside its tests so that they can run it at any time of their choice, and end it at any step.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use pipeline::{Clock, SystemClock, Timestamp};
use rustix::process::{Signal, getpid, kill_process};
use tests::{END_AT, NOW};

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

fn main() -> ExitCode {
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

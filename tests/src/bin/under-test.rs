//! The program, built beside its tests so that they can run it, at any time of their choice.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use pipeline::{Clock, SystemClock, Timestamp};
use tests::NOW;

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

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a test sets the clock of its program with it")]
    let clock: Arc<dyn Clock> = match std::env::var(NOW) {
        Ok(text) => {
            let began_at = text.parse().expect("an instant such as 2026-11-24T03:00:00Z");
            Arc::new(SetClock { began_at, began: Instant::now() })
        }
        Err(_) => Arc::new(SystemClock),
    };
    cli::main_at(clock)
}

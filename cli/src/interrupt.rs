//! Interrupts: the first winds the work down, the second stops it.

use pipeline::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::console::Console;

/// The number of `SIGXFSZ` on every system that this runs on.
const TOO_LARGE: std::ffi::c_int = 25;

/// Listens to Ctrl-C and the signal to terminate.
pub(crate) struct Interrupts {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// A file that grows beyond what the system allows is an error of its write, and not the end of the process.
    _too_large: tokio::signal::unix::Signal,
}

impl Interrupts {
    /// Begins to listen; from here on a signal no longer ends the process by itself.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Error::new(ErrorKind::Bug, "listen to signals").with_source(error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            _too_large: signal(SignalKind::from_raw(TOO_LARGE)).map_err(failed)?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What a run listens to while it works.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brakes {
    /// Finishes and commits what is in flight.
    pub(crate) wind_down: CancellationToken,
    /// Drops what is in flight.
    pub(crate) stop: CancellationToken,
}

impl Brakes {
    /// Pulls the next brake, and says so.
    pub(crate) fn pull(&self, console: &Console) {
        if self.wind_down.is_cancelled() {
            console.warn("stopping at once; what is committed stays");
            self.stop.cancel();
        } else {
            console.warn(
                "finishing what is in flight, each tenant's dataset to its end, which takes as long as the budget lets it; interrupt again to stop at once",
            );
            self.wind_down.cancel();
        }
    }
}

//! An exchange that stands still at a step, until the faults that hold it are replaced.

use std::sync::Arc;

use tokio::sync::watch;

use crate::faults::Step;
use crate::platform::Platform;

/// Holds one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) at: Step,
    until: watch::Receiver<()>,
}

impl Hold {
    /// Returns a hold that lasts as long as the sender.
    pub(crate) fn new(at: Step, until: watch::Receiver<()>) -> Self {
        Self { at, until }
    }

    /// Waits to be let go; until then the journal shows it.
    pub(crate) async fn wait(mut self, platform: Arc<Platform>) {
        // Whoever polls this sends first what was given to it before: held is what the client has.
        tokio::task::yield_now().await;
        let _held = Held::new(platform);
        while self.until.changed().await.is_ok() {}
    }
}

/// Shown in the journal as long as it lives.
struct Held(Arc<Platform>);

impl Held {
    fn new(platform: Arc<Platform>) -> Self {
        platform.journal().hold();
        Self(platform)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.journal().let_go();
    }
}

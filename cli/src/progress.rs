//! How a run is watched: bars on a terminal, a plain line now and then elsewhere, nothing where nobody wants it.

mod bars;
mod state;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pipeline::run::{Events, RunEvent};
use pipeline::{BudgetUse, Verdict};

use self::bars::Bars;
use self::state::State;
pub(crate) use self::watch::Watch;
use crate::console::Console;

/// How often bars are drawn: often enough to look alive.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// How often a plain line is written: a log of a night stays readable.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Follows a run and shows how far it is.
pub(crate) struct Progress {
    state: Arc<Mutex<State>>,
    console: Console,
    bars: Option<Bars>,
    told_at: Instant,
}

impl Progress {
    /// Creates the progress of a run that begins now.
    pub(crate) fn new(console: &Console) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(Instant::now()))),
            bars: console.interactive.then(|| Bars::new(console.bars().clone())),
            console: console.clone(),
            told_at: Instant::now(),
        }
    }

    /// Returns where the run tells its events.
    pub(crate) fn events(&self) -> Events {
        let state = self.state.clone();
        let console = self.console.clone();
        Arc::new(move |event| {
            if let RunEvent::Finished(receipt) = &event
                && receipt.verdict == Verdict::Failed
                && !console.quiet
            {
                let (name, region, dataset) = (&receipt.organization_name, &receipt.region, &receipt.dataset);
                console.warn(&format!(
                    "{dataset} of {name} ({region}): {}",
                    receipt.error.as_deref().unwrap_or("failed")
                ));
            }
            lock(&state).take(event, Instant::now());
        })
    }

    /// Returns how often [`Progress::show`] wants to be called.
    pub(crate) fn every(&self) -> Duration {
        if self.bars.is_some() { DRAWN_EVERY } else { Duration::from_secs(1) }
    }

    /// Shows how far the run is.
    pub(crate) fn show(&mut self, budgets: &[BudgetUse]) {
        let now = Instant::now();
        if let Some(bars) = &mut self.bars {
            bars.draw(&lock(&self.state), budgets, now);
        } else if now - self.told_at >= TOLD_EVERY {
            self.told_at = now;
            let line = lock(&self.state).line(budgets, now);
            self.console.say(&line);
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(self) {
        if let Some(bars) = self.bars {
            bars.clear();
        }
    }
}

/// Returns the state; one that a panic left behind is still the best there is to show.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

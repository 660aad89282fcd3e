//! Finds out how many requests a second a server grants that does not say so.
//!
//! It doubles its rate until the first refusal. Every refusal closes the budget; when a probe is taken
//! again, what was truly accepted since the budget opened before, divided by the time since then *with*
//! the pause, is what the server grants, whether its windows last a second or a minute. From there the
//! rate rises in small steps to just below where it was refused, and only after a long quiet time beyond.

use std::time::Duration;

use tokio::time::Instant;

use super::meter::Meter;

/// Requests a second to begin with: a server of this kind takes that many at least for a moment.
const START: f64 = 200.0;
/// How often the rate doubles while it is used and nothing is refused: from 200 to 100,000 a second in half a second.
const DOUBLE_EVERY: Duration = Duration::from_millis(50);
/// A rate that no single process reaches: beyond it nothing is held back.
const UNBOUNDED: f64 = 100_000.0;
/// The part of a refused rate that is returned to without a long wait.
const BELOW: f64 = 0.97;
/// The first step beyond what is known; each that holds doubles the next.
const STEP: f64 = 0.05;
const LARGEST_STEP: f64 = 0.5;
/// A first measure of fewer requests says more about who came before than about the limit: such are added up.
const FEW: u64 = 8;
/// The shortest span over which the accepted are counted: probes come late, and over many windows that evens out.
const SPAN: Duration = Duration::from_secs(10);
/// Less than this part of a refused rate was never reached by a step too far.
const CHANGED: f64 = 0.7;
/// The quiet times before a step into the unknown.
const QUIET: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(120));
/// A step that fails costs a few refusals: they stay below a percent if that many requests lie between.
const REQUESTS_BETWEEN: f64 = 400.0;
/// Where that would take too long to notice a limit that was raised.
const LONGEST_QUIET: Duration = Duration::from_secs(300);

/// How the budget was closed and opened again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closure {
    /// When it was closed.
    pub(super) since: Instant,
    /// When the last probe was refused, or the closing request was.
    pub(super) last_refused: Instant,
    /// Whether the server said how long to wait, so that the opening was not found by trying.
    pub(super) announced: bool,
}

/// The rate that was found so far.
#[derive(Debug)]
pub(super) struct Learner {
    rate: f64,
    accepted: Meter,
    /// Since when the rate stands as it is, and what was accepted since.
    since: Instant,
    used: u64,
    known: Option<Known>,
    /// What cycles that say little alone gave together, as long as nothing is known.
    few: (u64, Duration),
}

/// What refusals taught.
#[derive(Debug)]
struct Known {
    /// The rate that is not returned to lightly.
    ceiling: f64,
    /// The length of the server's window, as far as pauses showed it.
    window: Duration,
    /// The next step beyond the ceiling, and how long to be quiet before it.
    step: f64,
    quiet: Duration,
    /// The rate before the last step beyond, until that has held.
    tried_from: Option<f64>,
}

impl Learner {
    /// Begins to learn.
    pub(super) fn new(now: Instant) -> Self {
        let accepted = Meter::new(now, SPAN);
        Self { rate: START, accepted, since: now, used: 0, known: None, few: (0, Duration::ZERO) }
    }

    /// Returns the rate, or `None` where nothing holds it back.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.rate < UNBOUNDED).then_some(self.rate)
    }

    /// Lets go of every bound, where something better than learning tells the rate.
    pub(super) fn unbound(&mut self) {
        self.rate = UNBOUNDED;
        self.known = None;
    }

    /// Hears that a request was accepted.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.accepted.add(now);
        self.used += 1;
        match &self.known {
            None => self.double(now),
            Some(_) => self.climb(now),
        }
    }

    fn set(&mut self, rate: f64, now: Instant) {
        (self.rate, self.since, self.used) = (rate, now, 0);
    }

    /// Returns whether the rate was truly asked for since it was set: idleness proves nothing.
    fn was_used(&self, elapsed: Duration, part: f64) -> bool {
        self.used as f64 >= part * self.rate * elapsed.as_secs_f64()
    }

    fn double(&mut self, now: Instant) {
        let elapsed = now - self.since;
        if self.rate >= UNBOUNDED || elapsed < DOUBLE_EVERY {
            return;
        }
        let rate = if self.was_used(elapsed, 0.5) { self.rate * 2.0 } else { self.rate };
        self.set(rate, now);
    }

    fn climb(&mut self, now: Instant) {
        let (elapsed, rate) = (now - self.since, self.rate);
        let used = self.was_used(elapsed, 0.8);
        let Some(known) = &mut self.known else { return };
        let below = rate < known.ceiling * BELOW * 0.999;
        // A step that held is followed by the next as soon as the server's window has been seen whole.
        let quiet = if below || known.tried_from.is_some() { known.holding() } else { known.quiet };
        if elapsed < quiet {
            return;
        }
        let next = match (used, below) {
            (false, _) => rate,
            (true, true) => (rate * (1.0 + STEP)).min(known.ceiling * BELOW),
            (true, false) => known.step_beyond(rate),
        };
        self.set(next, now);
    }

    /// Hears that the budget is open again, and that its limit is not why it was closed.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.set(self.rate, now);
    }

    /// Hears that a probe was accepted after the budget had been closed.
    pub(super) fn opened(&mut self, now: Instant, closure: Closure) {
        let cycle = Cycle { length: now - self.accepted.since(), paused: now - closure.since };
        let late = closure.late(now);
        let rate = match self.known.take() {
            None => self.first(cycle, late),
            Some(known) => match self.measure(&known, now, late, cycle) {
                Some(measured) => self.correct(known, measured, cycle, now),
                None => START.min(self.rate),
            },
        };
        let span = self.known.as_ref().map_or(SPAN, |known| known.window.max(SPAN));
        self.accepted = Meter::new(now, span);
        self.set(rate, now);
    }

    /// Takes a first measure, of this cycle or, where so little is granted, of several together.
    fn first(&mut self, cycle: Cycle, late: Duration) -> f64 {
        let mut seen = (self.accepted.all(), cycle.length.saturating_sub(late));
        if seen.0 < FEW {
            self.few = (self.few.0 + seen.0, self.few.1 + seen.1);
            seen = self.few;
        }
        let (count, over) = seen;
        if count < FEW || over.is_zero() {
            // Whatever it grants is far less than this; where it is not, the doubling soon makes up for it.
            return START.min(self.rate) / 2.0;
        }
        self.few = (0, Duration::ZERO);
        self.begin(count as f64 / over.as_secs_f64(), cycle)
    }

    /// Returns how many requests a second were truly accepted up to now, the pause included.
    fn measure(&self, known: &Known, now: Instant, late: Duration, cycle: Cycle) -> Option<f64> {
        let (count, over) = if cycle.shows_window() {
            (self.accepted.all() as f64, cycle.length)
        } else {
            // What was accepted long ago says little of a limit that may just have changed.
            self.accepted.total(now, known.window.max(SPAN).max(cycle.paused * 2))
        };
        let over = over.saturating_sub(late).as_secs_f64();
        (over > 0.0 && count >= 1.0).then(|| count / over)
    }

    fn begin(&mut self, measured: f64, cycle: Cycle) -> f64 {
        self.known = Some(Known {
            ceiling: measured,
            window: cycle.length,
            step: STEP,
            quiet: first_quiet(cycle.length),
            tried_from: None,
        });
        measured * BELOW
    }

    fn correct(&mut self, mut known: Known, measured: f64, cycle: Cycle, now: Instant) -> f64 {
        let refused = self.rate;
        let stood = (now - self.since).saturating_sub(cycle.paused);
        if cycle.shows_window() {
            known.window = cycle.length;
        }
        let good = match known.tried_from.take() {
            // The step itself was refused: what held before it still holds, unless far less is accepted by now.
            Some(good) if stood <= known.holding() * 2 && measured >= good * CHANGED => good.max(measured),
            _ => measured,
        };
        known.quiet = if good < refused * CHANGED {
            // Nothing here went so far beyond: the limit has changed, and is to be learned anew.
            first_quiet(known.window)
        } else {
            let between = Duration::from_secs_f64((REQUESTS_BETWEEN / good).min(LONGEST_QUIET.as_secs_f64()));
            (known.quiet * 4).clamp(QUIET.0, QUIET.1).max(between)
        };
        let good = good.min(refused);
        known.ceiling = refused.min(good * 1.05);
        known.step = STEP;
        let rate = (good * 0.98).min(known.ceiling * BELOW);
        self.known = Some(known);
        rate
    }
}

/// From one opening of a budget to the next.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    length: Duration,
    paused: Duration,
}

impl Cycle {
    /// Returns whether the pause made so much of it that it began and ended with the server's window.
    fn shows_window(self) -> bool {
        self.paused * 4 >= self.length
    }
}

impl Closure {
    /// Returns how late the opening was found, on average: half of the time since the last probe, or half
    /// of the second that a wait in whole seconds is rounded up by.
    fn late(&self, now: Instant) -> Duration {
        let tried = (now - self.last_refused) / 2;
        if self.announced { tried.min(Duration::from_millis(500)) } else { tried }
    }
}

fn first_quiet(window: Duration) -> Duration {
    (window * 2).clamp(QUIET.0, QUIET.1)
}

impl Known {
    /// Returns how long a rate must hold to be called good: one window of the server, wherever it began.
    fn holding(&self) -> Duration {
        self.window.mul_f64(1.25).clamp(QUIET.0, QUIET.1)
    }

    /// Returns a rate beyond the ceiling, and raises the ceiling with it.
    fn step_beyond(&mut self, rate: f64) -> f64 {
        self.tried_from = Some(rate);
        let next = rate * (1.0 + self.step);
        self.step = (self.step * 2.0).min(LARGEST_STEP);
        self.ceiling = next / BELOW;
        next
    }
}

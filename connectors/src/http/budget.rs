//! What the key may ask of one part of the platform, in one region or in all of them: told by the operator, told by
//! the answers' headers, or learned from refusals; the narrowest of them holds.
//!
//! A refusal closes the budget, and nothing else, for as long as the server says or for a short time that
//! doubles; then one probe, not a herd, finds out whether it is open again. The budget does no waiting of
//! its own and reads no clock: `turns` asks it when the next request may go.

use std::time::Duration;

use pipeline::{BudgetUse, Region};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::Limit;
use super::learner::{Closure, Learner};
use super::meter::Meter;
use super::pacer::{Pace, Pacer};
use super::quota::Quota;
use super::told::Told;

/// The first pause after a refusal without a hint; each refused probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Where the doubling ends.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// A long closure is probed at this part of its length, so that its end is found to a few percent.
const PAUSE_PART: f64 = 0.06;
/// A refusal is quick: a probe unanswered for so long was most likely taken, and another may go.
const PROBE_LEASE: Duration = Duration::from_secs(1);
/// The part of a limit in the headers that is used: the rest is for clocks that disagree, and for others with the key.
const PART_OF_TOLD: f64 = 0.97;
/// From this limit on a request is held in reserve, however little a part of it that is.
const RESERVED_FROM: u64 = 20;
/// Windows shorter than this are spent evenly: their resets, in whole seconds, are too coarse to count them down.
const COUNTED_DOWN: Duration = Duration::from_secs(5);
/// Ends of windows that lie closer together are one: resets are told in whole seconds.
const SAME_END: Duration = Duration::from_secs(2);
/// So many times the budget is closed, counted from the end of the first, before the refusals since are judged.
const CLOSURES: u32 = 3;
/// The part of the requests that may be refused where the headers tell all.
const PART_REFUSED: f64 = 0.01;
/// Fewer refusals than these happen to right headers as well.
const FEWEST_REFUSED: u64 = 8;
/// So many told windows in a row, spent without a refusal, show that the headers do tell all; each time that proves
/// wrong it takes twice as many.
const SPENT: u32 = 3;
/// The part of a window's limit that is sent where nobody else spends of it.
const PART_SPENT: f64 = 0.9;
/// Each refusal is one by chance if so many of the requests that were sent after the first of them were accepted.
const ACCEPTED_AFTER: u64 = 3;
/// The part of the requests that may be refused by chance, over about so many of them: a bucket that is asked for a
/// little more than it grants refuses few, and more than these.
const PART_BY_CHANCE: f64 = 0.01;
const CHANCE_OVER: f64 = 500.0;
/// Over how long the requests sent are counted for people.
const USED_OVER: Duration = Duration::from_secs(5);

/// Leave to send one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    granted_at: Instant,
    probe: bool,
}

/// What became of a request, as far as the budget goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered with anything but 429.
    Accepted,
    /// It was answered with 429.
    Refused,
}

/// One budget.
#[derive(Debug)]
pub(super) struct Budget {
    quota: Option<Quota>,
    window: Option<Window>,
    learner: Learner,
    pacer: Pacer,
    closed: Option<Closed>,
    opened_at: Option<Instant>,
    /// Whether what the headers tell is all that bounds the key.
    trust: Trust,
    longest_pause: Duration,
    unanswered: u64,
    sent: u64,
    refused: u64,
    /// The part of the last requests that was refused; probes do not count.
    part_refused: f64,
    used: Meter,
    random: SmallRng,
}

/// What refusals say of the headers: where they keep coming, another limit holds beside the one that is told.
#[derive(Debug, Default)]
struct Trust {
    lost: bool,
    times_lost: u32,
    closures: u32,
    /// The requests sent when the first of those closures ended, and refused since: probes are expected to be.
    sent: u64,
    refused: u64,
    /// The told windows in a row that were spent since the last refusal.
    spent: u32,
}

/// The server's window as its headers tell it.
#[derive(Debug)]
struct Window {
    limit: Option<u64>,
    /// The longest time to its end that was told, and that of the window before it, which came to its end.
    length: Duration,
    before: Option<Duration>,
    /// The least that an answer told to be left. Whatever the server counted since is unanswered, and so is what it
    /// did not count yet.
    told: u64,
    until: Instant,
    /// The requests sent before it.
    sent: u64,
}

/// A budget closed by a refusal.
#[derive(Debug)]
struct Closed {
    closure: Closure,
    /// When leave was given for the request whose refusal closed it, and what became of those after it.
    granted_at: Instant,
    accepted_after: u64,
    refused_after: u64,
    /// Whether the refusal said that nothing is left.
    is_spent: bool,
    until: Instant,
    tries: u32,
    probe_until: Option<Instant>,
}

impl Budget {
    /// Opens a budget; `seed` feeds the jitter.
    pub(super) fn new(configured: Option<&Limit>, longest_pause: Duration, seed: u64, now: Instant) -> Self {
        let mut learner = Learner::new(now);
        if configured.is_some() {
            learner.unbound();
        }
        Self {
            quota: configured.map(|limit| Quota::new(limit, now)),
            window: None,
            learner,
            pacer: Pacer::default(),
            closed: None,
            opened_at: None,
            trust: Trust::default(),
            longest_pause,
            unanswered: 0,
            sent: 0,
            refused: 0,
            part_refused: 0.0,
            used: Meter::new(now, USED_OVER),
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Takes leave for one request, or says when to ask again.
    pub(super) fn take(&mut self, now: Instant) -> Result<Ticket, Instant> {
        let probe = match &mut self.closed {
            Some(closed) => {
                closed.probe(now)?;
                true
            }
            None => false,
        };
        let pace = self.pace(now);
        if !probe {
            self.ready(now, pace)?;
        }
        if let Some(quota) = &mut self.quota {
            quota.take(now).inspect_err(|_| {
                if let (true, Some(closed)) = (probe, &mut self.closed) {
                    closed.probe_until = None;
                }
            })?;
        }
        self.pacer.sent(now, pace);
        self.unanswered += 1;
        self.sent += 1;
        self.used.add(now);
        Ok(Ticket { granted_at: now, probe })
    }

    fn ready(&self, now: Instant, pace: Option<Pace>) -> Result<(), Instant> {
        let paced = pace.and_then(|pace| self.pacer.ready_at(pace));
        match paced.max(self.spent_until()) {
            Some(ready) if now < ready => Err(ready),
            _ => Ok(()),
        }
    }

    /// Returns when the window ends that has nothing left.
    fn spent_until(&self) -> Option<Instant> {
        // Of the first window only the end may be seen: it may be a long one.
        let may_be_long = |window: &Window| window.before.is_none() || window.whole() >= COUNTED_DOWN;
        let is_spent =
            |window: &&Window| window.left(self.unanswered) <= window.reserve() && may_be_long(window);
        self.window.as_ref().filter(is_spent).map(|window| window.until)
    }

    /// Returns the slowest of the paces that are known.
    fn pace(&self, now: Instant) -> Option<Pace> {
        let told =
            self.window.as_ref().and_then(|window| window.rate(now, self.longest_pause, self.unanswered));
        let learned = self.learner.rate();
        [told.and_then(Pace::of_rate), learned.and_then(Pace::of_rate)]
            .into_iter()
            .flatten()
            .max_by_key(|pace| pace.spacing)
    }

    /// Hears what became of a request, and what its answer says.
    pub(super) fn answered(&mut self, ticket: Ticket, outcome: Outcome, told: &Told, now: Instant) {
        self.settled(now);
        self.hear(ticket, outcome, told, now);
        if !ticket.probe {
            let refused = f64::from(u8::from(outcome == Outcome::Refused));
            self.part_refused += (refused - self.part_refused) / CHANCE_OVER;
        }
        match outcome {
            Outcome::Accepted => {
                self.learner.accepted(now);
                if let Some(closed) =
                    self.closed.as_mut().filter(|closed| ticket.granted_at > closed.granted_at)
                {
                    closed.accepted_after += u64::from(!ticket.probe);
                }
                // Who was refused waits for as long as it was told; the others need not.
                let is_open = |closed: &Closed| {
                    ticket.probe && ticket.granted_at >= closed.granted_at || self.was_by_chance(closed)
                };
                if self.closed.as_ref().is_some_and(is_open) {
                    self.open(now);
                }
            }
            Outcome::Refused => {
                self.refused += 1;
                self.trust.refused += u64::from(!ticket.probe);
                self.close(ticket, told, now);
            }
        }
    }

    /// Hears that a request ended without an answer: nothing is known of it, and it may have been counted.
    pub(super) fn lost(&mut self, ticket: Ticket, now: Instant) {
        self.settled(now);
        if let Some(window) = &mut self.window {
            window.told = window.told.saturating_sub(1);
        }
        if let (true, Some(closed)) = (ticket.probe, &mut self.closed) {
            closed.probe_until = None;
        }
    }

    fn settled(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if let Some(quota) = &mut self.quota {
            quota.settled(now);
        }
    }

    /// Returns when this budget opens, if that is too late to wait for.
    pub(super) fn too_long(&self, now: Instant) -> Option<Duration> {
        let Some(closed) = &self.closed else {
            // A window may be spent and last for hours: nobody was refused, and nobody would wait less. An answer that
            // is on its way may know better.
            if self.unanswered > 0 {
                return None;
            }
            let wait = self.spent_until()?.saturating_duration_since(now);
            return Some(wait).filter(|wait| *wait > self.longest_pause);
        };
        let wait = closed.until.saturating_duration_since(now);
        let endless = now - closed.closure.since > self.longest_pause;
        (wait > self.longest_pause || endless).then_some(wait)
    }

    /// Begins the time anew that a closed budget is waited for, once those who waited were told.
    pub(super) fn told_to_come_later(&mut self, now: Instant) {
        if let Some(closed) = &mut self.closed {
            closed.closure.since = now;
        }
    }

    fn hear(&mut self, ticket: Ticket, outcome: Outcome, told: &Told, now: Instant) {
        let (Some(remaining), Some(reset)) = (told.remaining, told.reset) else { return };
        let mut length = reset.max(Duration::from_secs(1));
        let until = ticket.granted_at + length;
        if until <= now {
            // The way was longer than the window: it is over, and all that is known is how long such windows are.
            match &self.window {
                Some(window) if now < window.until => return,
                window => length = length.max(window.as_ref().map_or(length, Window::whole)),
            }
        }
        match &mut self.window {
            // A reset in whole seconds is rounded up: the earliest end that one window's answers name is the best.
            Some(window) if now < window.until && window.ends_at(until) => {
                window.limit = told.limit.or(window.limit);
                window.length = window.length.max(length);
                window.until = window.until.min(until);
                window.told = window.told.min(remaining);
            }
            // A refusal tells how long to wait; how a window grants is told by what it grants.
            _ if outcome == Outcome::Refused => {}
            window => {
                let was_spent =
                    window.as_ref().is_some_and(|last| now >= last.until && last.was_spent(self.sent));
                let is_first = window.is_none() && !self.trust.lost && told.limit.is_some();
                if is_first || self.trust.window(was_spent) {
                    self.learner.unbound();
                }
                let limit = told.limit.or_else(|| window.as_ref()?.limit);
                let before = window.as_ref().and_then(|last| last.over_by(now));
                *window = Some(Window { limit, length, before, told: remaining, until, sent: self.sent });
            }
        }
    }

    fn close(&mut self, ticket: Ticket, told: &Told, now: Instant) {
        let is_promised = match (told.remaining, &self.window) {
            (Some(remaining), _) => remaining > 0,
            (None, Some(window)) => now < window.until && window.left(self.unanswered) > window.reserve(),
            (None, None) => false,
        };
        // A window with room does not say when something else that refuses will grant more.
        let wait = if is_promised { told.retry_after.filter(|wait| !wait.is_zero()) } else { told.wait() };
        if self.opened_at.is_some_and(|opened| ticket.granted_at < opened) {
            return;
        }
        if let Some(closed) = &mut self.closed
            && !ticket.probe
        {
            closed.until = closed.until.max(now + wait.unwrap_or_default());
            closed.refused_after += 1;
            return;
        }
        self.trust.spent = 0;
        let (since, tries) =
            self.closed.as_ref().map_or((now, 0), |closed| (closed.closure.since, closed.tries + 1));
        // A wait that proved too short is not believed to the letter a second time.
        let pause = match wait {
            Some(wait) if tries == 0 => wait,
            wait => self.pause(now, since, tries).max(wait.unwrap_or_default()),
        };
        let closure = Closure { since, last_refused: now, announced: wait.is_some() };
        self.closed = Some(Closed {
            closure,
            granted_at: ticket.granted_at,
            accepted_after: 0,
            refused_after: 0,
            is_spent: told.remaining == Some(0),
            until: now + pause,
            tries,
            probe_until: None,
        });
    }

    /// Returns a pause that doubles, then grows with the closure, with jitter; it begins with the time in
    /// which one more request would have been due.
    fn pause(&mut self, now: Instant, since: Instant, tries: u32) -> Duration {
        let spacing = self.pace(now).map_or(Duration::ZERO, |pace| pace.spacing.mul_f64(1.5));
        let doubled =
            FIRST_PAUSE.max(spacing).saturating_mul(1 << tries.min(10)).min(LONG_PAUSE.max(spacing));
        doubled.max((now - since).mul_f64(PAUSE_PART)).mul_f64(self.random.random_range(0.85..1.15))
    }

    fn open(&mut self, now: Instant) {
        let Some(closed) = self.closed.take() else { return };
        self.opened_at = Some(now);
        if self.was_by_chance(&closed) {
            self.learner.resumed(now);
        } else {
            self.learner.opened(now, closed.closure);
        }
        if self.window.is_some() && !self.trust.closure(self.sent) {
            // The headers tell more than a few refusals do.
            self.learner.unbound();
        }
    }

    /// Returns whether so many were accepted after those that were refused that no limit was reached, which refuses what
    /// comes next as well.
    fn was_by_chance(&self, closed: &Closed) -> bool {
        let is_first = closed.tries == 0 && !closed.is_spent;
        is_first
            && closed.accepted_after >= ACCEPTED_AFTER * (closed.refused_after + 1)
            && self.part_refused < PART_BY_CHANCE
    }

    /// Returns what it grants and what of it is used.
    pub(super) fn usage(&self, region: Option<&Region>, family: &str, now: Instant) -> BudgetUse {
        let (count, over) = self.used.total(now, USED_OVER);
        let told = self.window.as_ref().and_then(Window::even);
        let paced = told.into_iter().chain(self.learner.rate()).min_by(f64::total_cmp);
        let quota = self.quota.as_ref().map(Quota::rate);
        let closed = self.closed.as_ref().map(|closed| closed.until).or_else(|| self.spent_until());
        BudgetUse {
            region: region.cloned(),
            family: family.to_owned(),
            granted_per_second: [paced, quota].into_iter().flatten().min_by(f64::total_cmp),
            closed_for: closed.and_then(|until| until.checked_duration_since(now)),
            used_per_second: count / over.as_secs_f64().max(1.0),
            in_flight: 0,
            waiting: 0,
            sent: self.sent,
            refused: self.refused,
        }
    }
}

impl Closed {
    /// Lets one probe through when the time has come.
    fn probe(&mut self, now: Instant) -> Result<(), Instant> {
        let from = self.probe_until.map_or(self.until, |until| until.max(self.until));
        if now < from {
            return Err(from);
        }
        self.probe_until = Some(now + PROBE_LEASE);
        Ok(())
    }
}

impl Trust {
    /// Hears that a closure ended, and how many requests were sent so far; returns whether trust is lost.
    fn closure(&mut self, sent: u64) -> bool {
        self.closures += 1;
        if self.closures >= CLOSURES && self.refused >= FEWEST_REFUSED {
            if !self.lost && self.refused as f64 > (sent - self.sent) as f64 * PART_REFUSED {
                (self.lost, self.times_lost) = (true, self.times_lost + 1);
            }
            self.closures = 1;
        }
        if self.closures == 1 {
            (self.sent, self.refused) = (sent, 0);
        }
        self.lost
    }

    /// Hears that a told window came to its end, spent or not; returns whether that wins lost trust back.
    fn window(&mut self, was_spent: bool) -> bool {
        self.spent = if was_spent { self.spent + 1 } else { 0 };
        let is_back = self.lost && self.spent >= SPENT << self.times_lost.min(10);
        self.lost &= !is_back;
        is_back
    }
}

impl Window {
    /// Returns the requests a second that the window bears, if it is to be spent evenly: where it is too short to be
    /// counted down, where it is not known what a new one grants, and where nobody would wait for the next one; of that
    /// half goes at once.
    fn rate(&self, now: Instant, longest_pause: Duration, unanswered: u64) -> Option<f64> {
        if now >= self.until || self.whole() < COUNTED_DOWN {
            return self.even();
        }
        let left = self.left(unanswered);
        let has_half = self.limit.is_some_and(|limit| left > limit / 2);
        if self.whole() <= longest_pause || has_half {
            return None;
        }
        Some(left.max(1) as f64 / (self.until - now).as_secs_f64())
    }

    /// Returns the requests a second that it grants in the long run.
    fn even(&self) -> Option<f64> {
        self.limit.map(|limit| PART_OF_TOLD * limit as f64 / self.whole().as_secs_f64())
    }

    /// Returns how long such windows are, as far as it is known.
    fn whole(&self) -> Duration {
        self.before.map_or(self.length, |before| before.max(self.length))
    }

    /// Returns how long the one before the next was: this one, if it came to its end.
    fn over_by(&self, now: Instant) -> Option<Duration> {
        if now >= self.until { Some(self.length) } else { self.before }
    }

    fn ends_at(&self, until: Instant) -> bool {
        let (early, late) = (self.until.min(until), self.until.max(until));
        late - early < SAME_END
    }

    /// Returns how many requests are surely left, whatever became of those on their way.
    fn left(&self, unanswered: u64) -> u64 {
        self.told.saturating_sub(unanswered)
    }

    /// Returns whether it granted its limit, and that to these requests: in no other way does one window show whole.
    fn was_spent(&self, sent: u64) -> bool {
        self.told <= self.reserve()
            && self.limit.is_some_and(|limit| (sent - self.sent) as f64 >= PART_SPENT * limit as f64)
    }

    /// Returns how many requests of it are not sent: one at least where that is no large part of it.
    fn reserve(&self) -> u64 {
        let part =
            |limit| (((1.0 - PART_OF_TOLD) * limit as f64) as u64).max(u64::from(limit >= RESERVED_FROM));
        self.limit.map_or(0, part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_lost_where_refusals_keep_coming_and_comes_back_more_slowly_each_time() {
        let mut trust = Trust::default();
        let mut sent = 0;
        let mut lose = |trust: &mut Trust, refused| {
            (0..CLOSURES).any(|_| {
                sent += 500;
                (trust.refused, trust.spent) = (trust.refused + refused, 0);
                trust.closure(sent)
            })
        };
        assert!(!lose(&mut trust, 4), "less than a percent");
        let back = |trust: &mut Trust| (1..100).find(|_| trust.window(true));
        assert!(lose(&mut trust, 6));
        let first = back(&mut trust).expect("it comes back");
        assert!(!trust.window(true), "it is there already");
        assert!(lose(&mut trust, 6));
        assert!(!trust.window(false));
        assert_eq!(back(&mut trust), Some(first * 2));
    }
}

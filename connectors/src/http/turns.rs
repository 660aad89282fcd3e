//! Whose turn it is: in each budget tenant by tenant, so that a giant does not starve the small ones.
//!
//! There is no dispatcher. Whoever enters, is answered or leaves lets as many waiting requests go as the
//! bounds grant at that moment; if only time is missing, one of those who wait keeps the clock for all. A
//! request is chosen when it can be sent and not before, so no leave grows old behind another bound.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use pipeline::{BudgetUse, Region, TenantId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::BudgetScope;
use super::budget::{Budget, Outcome, Ticket};
use super::told::Told;

/// The budget is closed for longer than anybody should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComeLater(pub(super) Duration);

/// Requests in flight at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) per_region: u32,
    pub(super) per_tenant: u32,
}

/// Who asks.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) tenant: TenantId,
    pub(super) region: Region,
}

/// The turns in all budgets of a key.
#[derive(Debug)]
pub(super) struct Turns {
    bounds: InFlight,
    scope: BudgetScope,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    regions: HashMap<Region, u32>,
    tenants: HashMap<Arc<Asker>, u32>,
    lanes: Vec<Lane>,
    /// The lane that is served first when room appears; it moves on each time.
    first: usize,
}

/// Those who wait for one budget.
#[derive(Debug)]
struct Lane {
    /// Where it is spent; `None` for everywhere.
    region: Option<Region>,
    family: String,
    budget: Budget,
    in_flight: u32,
    waiting: u32,
    /// Those who were refused and told how long to wait.
    asleep: u32,
    /// The tenants that wait, in the order of their turns, and their requests.
    ring: VecDeque<Arc<Asker>>,
    lines: HashMap<Arc<Asker>, VecDeque<Arc<Waiter>>>,
    /// Who keeps the clock, and until when; `None` where time alone would change nothing.
    keeper: Option<Arc<Waiter>>,
    wake_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Waiter {
    outcome: OnceLock<Result<Ticket, ComeLater>>,
    notify: Notify,
}

impl Turns {
    pub(super) fn new(bounds: InFlight, scope: BudgetScope) -> Self {
        Self { bounds, scope, state: Mutex::default() }
    }

    /// Waits for a tenant's turn in the budget of a family; `open` makes the budget at its first use.
    pub(super) async fn take(
        self: &Arc<Self>,
        family: &str,
        tenant: &Arc<Asker>,
        open: impl FnOnce() -> Budget,
    ) -> Result<Permit, ComeLater> {
        let (lane, waiter) = match self.enter(family, tenant, open)? {
            Entered::Granted(permit) => return Ok(permit),
            Entered::Waits(lane, waiter) => (lane, waiter),
        };
        let mut waiting = Waiting { turns: self, lane, tenant, waiter: &waiter, taken: false };
        loop {
            if let Some(outcome) = waiter.outcome.get() {
                waiting.taken = true;
                return outcome.map(|ticket| self.permit(lane, tenant, ticket));
            }
            match self.wake_at(lane, &waiter) {
                Some(at) => {
                    tokio::select! {
                        () = waiter.notify.notified() => {}
                        () = tokio::time::sleep_until(at) => self.pump(lane),
                    }
                }
                None => waiter.notify.notified().await,
            }
        }
    }

    /// Sleeps as long as a refusal said; who does waits for the budget as those in line do.
    pub(super) async fn sleep(&self, family: &str, tenant: &Asker, wait: Duration) {
        let region = (self.scope == BudgetScope::Region).then_some(&tenant.region);
        let lane = self.lock().find(region, family);
        let _asleep = lane.map(|lane| Asleep::new(self, lane));
        tokio::time::sleep(wait).await;
    }

    fn enter(
        self: &Arc<Self>,
        family: &str,
        tenant: &Arc<Asker>,
        open: impl FnOnce() -> Budget,
    ) -> Result<Entered, ComeLater> {
        let now = Instant::now();
        let mut state = self.lock();
        let region = (self.scope == BudgetScope::Region).then_some(&tenant.region);
        let index = state.lane(region, family, open);
        if let Some(wait) = state.lanes[index].budget.too_long(now)
            && !wait.is_zero()
        {
            return Err(ComeLater(wait));
        }
        if state.lanes[index].ring.is_empty()
            && state.has_room(self.bounds, tenant)
            && let Ok(ticket) = state.lanes[index].budget.take(now)
        {
            state.start(index, tenant);
            return Ok(Entered::Granted(self.permit(index, tenant, ticket)));
        }
        let waiter = Arc::new(Waiter::default());
        state.lanes[index].join(tenant, &waiter);
        state.pump(index, self.bounds, now);
        Ok(Entered::Waits(index, waiter))
    }

    /// Returns until when this waiter has to keep the clock, if it is the one who does.
    fn wake_at(&self, lane: usize, waiter: &Arc<Waiter>) -> Option<Instant> {
        let state = self.lock();
        let lane = &state.lanes[lane];
        lane.keeper
            .as_ref()
            .is_some_and(|keeper| Arc::ptr_eq(keeper, waiter))
            .then_some(lane.wake_at)
            .flatten()
    }

    fn pump(&self, lane: usize) {
        self.lock().pump(lane, self.bounds, Instant::now());
    }

    fn permit(self: &Arc<Self>, lane: usize, tenant: &Arc<Asker>, ticket: Ticket) -> Permit {
        Permit { turns: self.clone(), lane, tenant: tenant.clone(), ticket, answered: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Returns how much of each budget is in use.
    pub(super) fn usage(&self) -> Vec<BudgetUse> {
        let now = Instant::now();
        let state = self.lock();
        let usage = |lane: &Lane| BudgetUse {
            in_flight: lane.in_flight,
            waiting: lane.waiting + lane.asleep,
            ..lane.budget.usage(lane.region.as_ref(), &lane.family, now)
        };
        state.lanes.iter().map(usage).collect()
    }
}

enum Entered {
    Granted(Permit),
    Waits(usize, Arc<Waiter>),
}

impl State {
    fn find(&self, region: Option<&Region>, family: &str) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.region.as_ref() == region && lane.family == family)
    }

    fn lane(&mut self, region: Option<&Region>, family: &str, open: impl FnOnce() -> Budget) -> usize {
        if let Some(index) = self.find(region, family) {
            return index;
        }
        self.lanes.push(Lane::new(region.cloned(), family, open()));
        self.lanes.len() - 1
    }

    fn has_room(&self, bounds: InFlight, tenant: &Arc<Asker>) -> bool {
        self.in_region(&tenant.region) < bounds.per_region
            && self.tenants.get(tenant).copied().unwrap_or(0) < bounds.per_tenant
    }

    fn in_region(&self, region: &Region) -> u32 {
        self.regions.get(region).copied().unwrap_or(0)
    }

    fn start(&mut self, lane: usize, tenant: &Arc<Asker>) {
        *self.regions.entry(tenant.region.clone()).or_default() += 1;
        self.lanes[lane].in_flight += 1;
        *self.tenants.entry(tenant.clone()).or_default() += 1;
    }

    fn finish(&mut self, lane: usize, tenant: &Arc<Asker>) {
        *self.regions.get_mut(&tenant.region).expect("it was started there") -= 1;
        self.lanes[lane].in_flight -= 1;
        if let Some(count) = self.tenants.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.tenants.remove(tenant);
            }
        }
    }

    /// Lets those go whose turn it is, in every lane: room in a region is room for all families.
    fn pump_all(&mut self, bounds: InFlight, now: Instant) {
        let lanes = self.lanes.len();
        self.first = (self.first + 1) % lanes.max(1);
        for offset in 0..lanes {
            self.pump((self.first + offset) % lanes, bounds, now);
        }
    }

    fn pump(&mut self, index: usize, bounds: InFlight, now: Instant) {
        let before = self.lanes[index].wake_at.take();
        if let Some(wait) = self.lanes[index].budget.too_long(now) {
            self.lanes[index].send_away(wait, now);
        }
        while let Some(place) = self.next(index, bounds) {
            match self.lanes[index].budget.take(now) {
                Ok(ticket) => {
                    let tenant = self.lanes[index].serve(place, ticket);
                    self.start(index, &tenant);
                }
                Err(at) => return self.lanes[index].wait_until(at, before),
            }
        }
    }

    /// Returns the place in the ring of the first tenant that may send, dropping those who left.
    fn next(&mut self, index: usize, bounds: InFlight) -> Option<usize> {
        let is_full = |region: &Region| self.in_region(region) >= bounds.per_region;
        if self.lanes[index].region.as_ref().is_some_and(is_full) {
            return None;
        }
        let mut place = 0;
        loop {
            let lane = &self.lanes[index];
            let tenant = lane.ring.get(place)?;
            if lane.lines.get(tenant).is_none_or(VecDeque::is_empty) {
                let lane = &mut self.lanes[index];
                let tenant = lane.ring.remove(place)?;
                lane.lines.remove(&tenant);
            } else if self.has_room(bounds, tenant) {
                return Some(place);
            } else {
                place += 1;
            }
        }
    }
}

impl Lane {
    fn new(region: Option<Region>, family: &str, budget: Budget) -> Self {
        Self {
            region,
            family: family.to_owned(),
            budget,
            in_flight: 0,
            waiting: 0,
            asleep: 0,
            ring: VecDeque::new(),
            lines: HashMap::new(),
            keeper: None,
            wake_at: None,
        }
    }

    fn join(&mut self, tenant: &Arc<Asker>, waiter: &Arc<Waiter>) {
        self.waiting += 1;
        if !self.lines.contains_key(tenant) {
            self.ring.push_back(tenant.clone());
        }
        self.lines.entry(tenant.clone()).or_default().push_back(waiter.clone());
    }

    /// Grants the tenant at a place of the ring one request, and moves the tenant to the ring's end.
    fn serve(&mut self, place: usize, ticket: Ticket) -> Arc<Asker> {
        let tenant = self.ring.remove(place).expect("the place was just found");
        let line = self.lines.get_mut(&tenant).expect("who is in the ring has a line");
        let waiter = line.pop_front().expect("the line was just found not to be empty");
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.ring.push_back(tenant.clone());
        }
        self.settle(&waiter, Ok(ticket));
        tenant
    }

    fn settle(&mut self, waiter: &Arc<Waiter>, outcome: Result<Ticket, ComeLater>) {
        self.waiting -= 1;
        self.relieve(waiter);
        waiter.outcome.set(outcome).expect("a waiter leaves its line when it is settled");
        waiter.notify.notify_one();
    }

    fn relieve(&mut self, waiter: &Arc<Waiter>) {
        if self.keeper.as_ref().is_some_and(|keeper| Arc::ptr_eq(keeper, waiter)) {
            self.keeper = None;
        }
    }

    fn send_away(&mut self, wait: Duration, now: Instant) {
        self.ring.clear();
        for waiter in std::mem::take(&mut self.lines).into_values().flatten() {
            self.settle(&waiter, Err(ComeLater(wait)));
        }
        self.budget.told_to_come_later(now);
    }

    /// Has one of those who wait keep the clock: the last in the ring, who will be there longest.
    fn wait_until(&mut self, at: Instant, before: Option<Instant>) {
        self.wake_at = Some(at);
        let hired = self.keeper.is_none();
        if hired {
            let lines = &self.lines;
            let last = |tenant: &Arc<Asker>| lines.get(tenant).and_then(VecDeque::back).cloned();
            self.keeper = self.ring.iter().rev().find_map(last);
        }
        // Who sleeps until an earlier time sees the new one when it wakes.
        if let Some(keeper) = &self.keeper
            && (hired || before.is_none_or(|before| at < before))
        {
            keeper.notify.notify_one();
        }
    }

    fn leave(&mut self, tenant: &Arc<Asker>, waiter: &Arc<Waiter>) {
        self.relieve(waiter);
        if let Some(line) = self.lines.get_mut(tenant) {
            let before = line.len();
            line.retain(|other| !Arc::ptr_eq(other, waiter));
            self.waiting -= u32::try_from(before - line.len()).expect("a waiter stands in line once");
        }
    }
}

/// A request in line; leaving it, for whatever reason, hands on what it held.
struct Waiting<'a> {
    turns: &'a Arc<Turns>,
    lane: usize,
    tenant: &'a Arc<Asker>,
    waiter: &'a Arc<Waiter>,
    taken: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = self.turns.lock();
        match self.waiter.outcome.get() {
            Some(Ok(ticket)) => {
                // Granted, but cancelled before it woke: the permit gives everything back.
                drop(state);
                drop(self.turns.permit(self.lane, self.tenant, *ticket));
            }
            Some(Err(_)) => {}
            None => {
                state.lanes[self.lane].leave(self.tenant, self.waiter);
                state.pump(self.lane, self.turns.bounds, Instant::now());
            }
        }
    }
}

/// One who was told to wait.
struct Asleep<'a> {
    turns: &'a Turns,
    lane: usize,
}

impl<'a> Asleep<'a> {
    fn new(turns: &'a Turns, lane: usize) -> Self {
        turns.lock().lanes[lane].asleep += 1;
        Self { turns, lane }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.turns.lock().lanes[self.lane].asleep -= 1;
    }
}

/// Leave to send one request; dropping it makes room for the next.
#[derive(Debug)]
pub(super) struct Permit {
    turns: Arc<Turns>,
    lane: usize,
    tenant: Arc<Asker>,
    ticket: Ticket,
    answered: bool,
}

impl Permit {
    /// Hands the budget what the answer's head says, as soon as it is there.
    pub(super) fn answered(&mut self, outcome: Outcome, told: &Told) {
        self.answered = true;
        let now = Instant::now();
        let mut state = self.turns.lock();
        state.lanes[self.lane].budget.answered(self.ticket, outcome, told, now);
        state.pump(self.lane, self.turns.bounds, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        if !self.answered {
            state.lanes[self.lane].budget.lost(self.ticket, Instant::now());
        }
        state.finish(self.lane, &self.tenant);
        state.pump_all(self.turns.bounds, Instant::now());
    }
}

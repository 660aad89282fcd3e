//! Turns under contention: the order, the bounds, cancelled waiters and closed budgets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::http::budget::{Budget, Outcome};
use crate::http::told::Told;
use crate::http::turns::{Asker, ComeLater, InFlight, Turns};
use crate::http::{BudgetScope, Limit};

const PAUSE: Duration = Duration::from_secs(60);

fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), work)
}

fn turns(per_region: u32, per_tenant: u32) -> Arc<Turns> {
    Arc::new(Turns::new(InFlight { per_region, per_tenant }, BudgetScope::Region))
}

fn tenant(number: u32) -> Arc<Asker> {
    tenant_in("eu", number)
}

fn tenant_in(region: &str, number: u32) -> Arc<Asker> {
    let tenant = format!("tenant-{number}").parse().expect("an id");
    Arc::new(Asker { tenant, region: region.parse().expect("a region") })
}

fn budget(requests: u32) -> Budget {
    let limit = Limit { requests: NonZeroU32::new(requests).expect("not zero"), per: Duration::from_secs(1) };
    Budget::new(Some(&limit), PAUSE, 1, Instant::now())
}

/// Who was granted a request and when, and how many were in flight then.
#[derive(Debug, Default)]
struct Journal {
    granted: Vec<(Instant, u32)>,
    in_flight: BTreeMap<u32, u32>,
    most_per_tenant: u32,
    most_per_region: u32,
}

impl Journal {
    fn start(&mut self, tenant: u32) {
        self.granted.push((Instant::now(), tenant));
        *self.in_flight.entry(tenant).or_default() += 1;
        self.most_per_tenant = self.most_per_tenant.max(self.in_flight[&tenant]);
        self.most_per_region = self.most_per_region.max(self.in_flight.values().sum());
    }
}

/// A request in flight, until it ends or is cancelled.
struct Started(Rc<RefCell<Journal>>, u32);

impl Started {
    fn new(journal: Rc<RefCell<Journal>>, tenant: u32) -> Self {
        journal.borrow_mut().start(tenant);
        Self(journal, tenant)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        *self.0.borrow_mut().in_flight.get_mut(&self.1).expect("it was started") -= 1;
    }
}

/// Asks once for a tenant, and holds what it got for a while; the budget grants so many a second.
fn ask(
    turns: &Arc<Turns>,
    journal: &Rc<RefCell<Journal>>,
    per_second: u32,
    number: u32,
    millis: u64,
) -> JoinHandle<()> {
    let (turns, journal) = (turns.clone(), journal.clone());
    spawn_local(async move {
        let mut permit = turns.take("vm", &tenant(number), || budget(per_second)).await.expect("it is open");
        let _started = Started::new(journal, number);
        sleep(Duration::from_millis(millis)).await;
        permit.answered(Outcome::Accepted, &Told::default());
    })
}

/// Returns whether, from a grant on, nobody got two more than somebody who still waited.
///
/// What was granted at one instant has no order: the one who keeps the clock grants others their turns, and
/// goes on with its own before they wake.
fn is_fair(granted: &[(Instant, u32)], from: usize, wanted: &[usize]) -> bool {
    let mut waiting = wanted.to_vec();
    let mut counts = vec![0; wanted.len()];
    let (before, after) = granted.split_at(from.min(granted.len()));
    before.iter().for_each(|(_, tenant)| waiting[*tenant as usize] -= 1);
    after.chunk_by(|one, next| one.0 == next.0).all(|at_once| {
        for (_, tenant) in at_once {
            waiting[*tenant as usize] -= 1;
            counts[*tenant as usize] += 1;
        }
        let most = |(_, tenant): &(Instant, u32)| counts[*tenant as usize];
        let most = at_once.iter().map(most).max().unwrap_or(0);
        (0..wanted.len()).all(|other| waiting[other] == 0 || most <= counts[other] + 1)
    })
}

proptest! {
    /// While others wait, nobody gets more than one request ahead of them.
    #[test]
    fn tenants_are_served_in_turn(
        wanted in prop::collection::vec(1_usize..30, 2..6),
        bounds in (1_u32..9, 1_u32..5),
        // Time binds, or time and the region, or the region alone.
        per_second in prop::sample::select(vec![20_u32, 100, 5000]),
    ) {
        let journal = paused(async {
            let (turns, journal) = (turns(bounds.0, 9), Rc::default());
            let tasks: Vec<_> = (0..).zip(&wanted)
                .flat_map(|(number, count)| std::iter::repeat_n(number, *count))
                .map(|number| ask(&turns, &journal, per_second, number, u64::from(bounds.1)))
                .collect();
            futures::future::join_all(tasks).await;
            journal
        });
        let journal = journal.borrow();
        prop_assert_eq!(journal.granted.len(), wanted.iter().sum::<usize>());
        // The first requests were granted before the others came.
        let first = bounds.0 as usize;
        prop_assert!(is_fair(&journal.granted, first, &wanted), "{:?}", journal.granted);
    }

    /// Whatever is cancelled, at whatever moment, the others are served and the bounds hold.
    #[test]
    fn a_cancelled_waiter_never_wedges_the_others(
        requests in prop::collection::vec((0_u32..5, 1_u64..30, prop::option::of(0_u64..400)), 1..60),
        per_region in 1_u32..6,
        per_tenant in 1_u32..4,
    ) {
        let (journal, all_ended) = paused(async {
            let (turns, journal) = (turns(per_region, per_tenant), Rc::<RefCell<Journal>>::default());
            let asked: Vec<_> = requests
                .iter()
                .map(|(number, millis, cancel)| (ask(&turns, &journal, 100, *number, *millis), *cancel))
                .collect();
            let ended = asked.into_iter().map(|(task, cancel)| async move {
                match cancel {
                    Some(after) => drop(timeout(Duration::from_millis(after), cancelled(task)).await),
                    None => task.await.expect("it does not panic"),
                }
            });
            let all = timeout(Duration::from_secs(600), futures::future::join_all(ended)).await;
            (journal, all.is_ok())
        });
        prop_assert!(all_ended, "somebody waits forever");
        let kept = requests.iter().filter(|request| request.2.is_none()).count();
        prop_assert!(journal.borrow().granted.len() >= kept);
        prop_assert!(journal.borrow().most_per_tenant <= per_tenant);
        prop_assert!(journal.borrow().most_per_region <= per_region);
    }
}

/// Waits for a task, and ends it when nobody waits any longer.
async fn cancelled(task: JoinHandle<()>) {
    struct Ends(JoinHandle<()>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = Ends(task);
    drop((&mut task.0).await);
}

#[test]
fn a_closed_budget_holds_up_nobody_else() {
    paused(async {
        let turns = turns(4, 1);
        let mut refused = turns.take("vm", &tenant(1), || budget(100)).await.expect("it is open");
        let told = Told { retry_after: Some(Duration::from_secs(30)), ..Told::default() };
        refused.answered(Outcome::Refused, &told);
        drop(refused);
        let waits = turns.clone();
        let waiting = spawn_local(async move {
            let began = Instant::now();
            drop(waits.take("vm", &tenant(1), || budget(100)).await.expect("it opens"));
            began.elapsed()
        });
        sleep(Duration::from_millis(1)).await;
        let other = timeout(Duration::from_secs(1), turns.take("idr", &tenant(1), || budget(100))).await;
        assert!(other.is_ok_and(|permit| permit.is_ok()), "another family of the same tenant is free");
        let waited = waiting.await.expect("it does not panic");
        assert!((29..=31).contains(&waited.as_secs()), "{waited:?}");
    });
}

#[test]
fn only_one_probe_finds_out_whether_a_budget_is_open_again() {
    paused(async {
        let turns = turns(32, 4);
        let mut first = turns.take("vm", &tenant(1), || budget(1000)).await.expect("it is open");
        first.answered(Outcome::Refused, &Told::default());
        drop(first);
        let asked: Vec<_> = (0..20)
            .map(|number| {
                let turns = turns.clone();
                spawn_local(async move { turns.take("vm", &tenant(number), || budget(1000)).await })
            })
            .collect();
        sleep(Duration::from_millis(900)).await;
        let in_flight = turns.usage()[0].in_flight;
        assert_eq!((in_flight, turns.usage()[0].waiting), (1, 19));
        for task in asked {
            let mut permit = task.await.expect("it does not panic").expect("it opens");
            permit.answered(Outcome::Accepted, &Told::default());
        }
        assert_eq!((turns.usage()[0].sent, turns.usage()[0].refused), (21, 1));
    });
}

#[test]
fn budget_one_for_all_regions_is_kept_and_shared_and_a_full_region_holds_up_no_other() {
    paused(async {
        let turns = Arc::new(Turns::new(InFlight { per_region: 3, per_tenant: 4 }, BudgetScope::Key));
        let granted = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let (turns, granted) = (turns.clone(), granted.clone());
                let (region, millis) = if number % 2 == 0 { ("eu", 5) } else { ("us", 3000) };
                spawn_local(async move {
                    let tenant = tenant_in(region, number / 2);
                    let mut permit = turns.take("vm", &tenant, || budget(10)).await.expect("it is open");
                    granted.borrow_mut().push((Instant::now(), region));
                    sleep(Duration::from_millis(millis)).await;
                    permit.answered(Outcome::Accepted, &Told::default());
                })
            })
            .collect();
        sleep(Duration::from_millis(5900)).await;
        let granted = granted.borrow();
        let in_window = |from: Instant| {
            granted.iter().filter(|(at, _)| (from..from + Duration::from_secs(1)).contains(at)).count()
        };
        assert!(granted.iter().all(|(at, _)| in_window(*at) <= 10), "{granted:?}");
        let in_region = |region: &str| granted.iter().filter(|(_, of)| *of == region).count();
        assert_eq!((in_region("eu"), in_region("us")), (30, 6), "{granted:?}");
        assert_eq!(turns.usage().len(), 1);
        tasks.iter().for_each(JoinHandle::abort);
    });
}

#[test]
fn a_budget_that_is_spent_for_too_long_sends_everybody_away() {
    paused(async {
        for (reset, goes_on) in [(PAUSE * 2, false), (PAUSE / 2, true)] {
            let turns = turns(32, 4);
            let mut permit = turns.take("vm", &tenant(0), || budget(1000)).await.expect("it is open");
            let told = Told { limit: Some(2), remaining: Some(0), reset: Some(reset), ..Told::default() };
            permit.answered(Outcome::Accepted, &told);
            drop(permit);
            let began = Instant::now();
            let taken = turns.take("vm", &tenant(1), || budget(1000)).await;
            assert_eq!((taken.is_ok(), began.elapsed() >= PAUSE / 3), (goes_on, goes_on), "{reset:?}");
        }
    });
}

#[test]
fn a_budget_closed_for_too_long_sends_everybody_away() {
    paused(async {
        for (says, longest) in [(Some(PAUSE * 2), 1), (None, 120)] {
            let turns = turns(32, 4);
            let began = Instant::now();
            let told = Told { retry_after: says, ..Told::default() };
            let tasks: Vec<_> = (0..3)
                .map(|number| {
                    let turns = turns.clone();
                    spawn_local(async move {
                        loop {
                            match turns.take("vm", &tenant(number), || budget(1000)).await {
                                Ok(mut permit) => permit.answered(Outcome::Refused, &told),
                                Err(ComeLater(_)) => return,
                            }
                        }
                    })
                })
                .collect();
            futures::future::join_all(tasks).await;
            assert!(began.elapsed().as_secs() <= longest, "{:?}", began.elapsed());
        }
    });
}

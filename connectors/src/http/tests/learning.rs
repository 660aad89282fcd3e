//! The budget against servers that count strictly, in paused time: how much of the limit is used, and how
//! many requests are refused.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::http::budget::{Budget, Outcome};
use crate::http::told::Told;
use crate::http::turns::{Asker, InFlight, Turns};
use crate::http::{BudgetScope, Limit};

const LONG: Duration = Duration::from_secs(16 * 60);

/// How a server counts.
#[derive(Debug, Clone, Copy)]
enum Counting {
    /// Windows of a length; the first one began that long before the first request.
    Fixed { window: f64, offset: f64 },
    /// Any span of a length.
    Sliding { window: f64 },
    /// A bucket that fills by so many a second and holds so many.
    Bucket { size: f64 },
}

/// What a server says beside its status.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Nothing,
    RetryAfter,
    Headers,
    /// The headers, but only where it refuses.
    HeadersOfRefusals,
    /// How much is left of another window that is far larger, and to come again in a second where it refuses.
    Other,
    /// The headers; but one of the first requests is refused all the same, and nobody knows why.
    HeadersAndOneWhim,
    /// Nothing; but one request of so many is refused all the same.
    NothingAndWhims {
        one_in: u64,
    },
    /// The headers; but for twenty seconds of some minutes all are refused without a word.
    HeadersAndOutages {
        minutes: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Case {
    counting: Counting,
    says: Says,
    /// Requests a second, and those after a change at an instant.
    rate: f64,
    change: Option<(f64, f64)>,
    latency: f64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:?} {}/s change {:?} latency {}",
            self.counting, self.says, self.rate, self.change, self.latency
        )
    }
}

/// A server that counts strictly and keeps a journal.
struct Server {
    case: Case,
    began: Instant,
    window: (i64, f64),
    recent: VecDeque<f64>,
    level: (f64, f64),
    journal: Vec<(f64, bool)>,
}

impl Server {
    fn new(case: Case) -> Self {
        let level = match case.counting {
            Counting::Bucket { size } => size,
            _ => 0.0,
        };
        Self {
            case,
            began: Instant::now(),
            window: (0, 0.0),
            recent: VecDeque::new(),
            level: (level, 0.0),
            journal: Vec::new(),
        }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn rate(&self, now: f64) -> f64 {
        match self.case.change {
            Some((at, rate)) if now >= at => rate,
            _ => self.case.rate,
        }
    }

    fn ask(&mut self) -> (Outcome, Told) {
        let now = self.now();
        let rate = self.rate(now);
        let (granted, limit, left, reset) = match self.case.counting {
            Counting::Fixed { window, offset } => {
                let index = ((now + offset) / window).floor();
                if index as i64 != self.window.0 {
                    self.window = (index as i64, 0.0);
                }
                let limit = (rate * window).round();
                let granted = self.window.1 < limit;
                self.window.1 += f64::from(u8::from(granted));
                (granted, limit, limit - self.window.1, (index + 1.0) * window - now - offset)
            }
            Counting::Sliding { window } => {
                while self.recent.front().is_some_and(|first| *first <= now - window) {
                    self.recent.pop_front();
                }
                let limit = (rate * window).round();
                let granted = (self.recent.len() as f64) < limit;
                if granted {
                    self.recent.push_back(now);
                }
                let reset = self.recent.front().map_or(0.0, |first| first + window - now);
                (granted, limit, limit - self.recent.len() as f64, reset)
            }
            Counting::Bucket { size } => {
                self.level = ((self.level.0 + (now - self.level.1) * rate).min(size), now);
                let granted = self.level.0 >= 1.0;
                self.level.0 -= f64::from(u8::from(granted));
                (granted, size, self.level.0.floor(), (size - self.level.0).max(0.0) / rate)
            }
        };
        let scattered = (self.journal.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let is_whim = match self.case.says {
            Says::HeadersAndOneWhim => self.journal.len() == 20,
            Says::NothingAndWhims { one_in } => scattered.is_multiple_of(one_in),
            _ => false,
        };
        let is_outage = match self.case.says {
            Says::HeadersAndOutages { minutes } => now < f64::from(minutes) * 60.0 && now % 60.0 > 40.0,
            _ => false,
        };
        let granted = granted && !is_whim && !is_outage;
        self.journal.push((now, granted));
        let seconds = Duration::from_secs((reset - 1e-6).ceil() as u64);
        let told = match self.case.says {
            Says::Nothing | Says::NothingAndWhims { .. } => Told::default(),
            Says::RetryAfter => Told { retry_after: (!granted).then_some(seconds), ..Told::default() },
            Says::Other => Told {
                limit: Some(100_000),
                remaining: Some(100_000 - self.journal.len() as u64),
                reset: Some(Duration::from_secs_f64(60.0 - now % 60.0)),
                retry_after: (!granted).then_some(Duration::from_secs(1)),
            },
            Says::HeadersOfRefusals if granted => Told::default(),
            Says::HeadersAndOutages { .. } if is_outage => Told::default(),
            _ => Told {
                limit: Some(limit as u64),
                remaining: Some(left.max(0.0) as u64),
                reset: Some(seconds),
                retry_after: None,
            },
        };
        (if granted { Outcome::Accepted } else { Outcome::Refused }, told)
    }

    /// Returns the part of the limit that was used and the part of the requests that was refused.
    fn seen(&self, from: f64, to: f64) -> (f64, f64) {
        let within: Vec<_> = self.journal.iter().filter(|(at, _)| (from..to).contains(at)).collect();
        let granted = within.iter().filter(|(_, granted)| *granted).count() as f64;
        let refused = within.len() as f64 - granted;
        (granted / ((to - from) * self.rate(from)), refused / (within.len() as f64).max(1.0))
    }
}

/// Lets eight tenants ask as much as they may for some seconds, and returns the server.
fn run(case: Case, limit: Option<Limit>, seconds: f64) -> Server {
    run_in(&["eu"], case, limit, seconds)
}

/// The same, with eight tenants in each of some regions.
fn run_in(regions: &[&str], case: Case, limit: Option<Limit>, seconds: f64) -> Server {
    run_of(32, regions, case, limit, seconds)
}

/// The same, with so many who ask in each of them.
fn run_of(askers: usize, regions: &[&str], case: Case, limit: Option<Limit>, seconds: f64) -> Server {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), async {
        let bounds = InFlight { per_region: 32, per_tenant: 4 };
        let turns = Arc::new(Turns::new(bounds, BudgetScope::Region));
        let server = Rc::new(RefCell::new(Server::new(case)));
        for number in 0..regions.len() * askers {
            let tenant = format!("tenant-{}", number / 4).parse().expect("an id");
            let region = regions[number / askers].parse().expect("a region");
            let asker = Arc::new(Asker { tenant, region });
            let (turns, server) = (turns.clone(), server.clone());
            tokio::task::spawn_local(async move {
                loop {
                    let open = || Budget::new(limit.as_ref(), LONG, 7, Instant::now());
                    let mut permit = turns.take("vm", &asker, open).await.expect("no pause is too long");
                    sleep(Duration::from_secs_f64(case.latency * 0.4)).await;
                    let (outcome, told) = server.borrow_mut().ask();
                    let work = if outcome == Outcome::Accepted { 0.6 } else { 0.4 };
                    sleep(Duration::from_secs_f64(case.latency * work)).await;
                    permit.answered(outcome, &told);
                }
            });
        }
        sleep(Duration::from_secs_f64(seconds)).await;
        server.replace(Server::new(case))
    })
}

/// What servers are known to say.
const EVERY_SPEECH: [Says; 3] = [Says::Nothing, Says::RetryAfter, Says::Headers];

/// Checks what is used at least and refused at most, in percent, between two instants.
fn check(case: Case, from: f64, to: f64, bounds: (f64, f64)) {
    check_in(&["eu"], case, from, to, bounds);
}

fn check_in(regions: &[&str], case: Case, from: f64, to: f64, (used, refused): (f64, f64)) {
    let seen = run_in(regions, case, None, to).seen(from, to);
    assert!(seen.0 * 100.0 >= used, "{:.1}% used: {case}", seen.0 * 100.0);
    assert!(seen.1 * 100.0 < refused, "{:.2}% refused: {case}", seen.1 * 100.0);
}

fn fixed(window: f64, offset: f64) -> Counting {
    Counting::Fixed { window, offset }
}

#[test]
fn an_untold_limit_is_found_within_a_minute_or_two_windows() {
    for says in EVERY_SPEECH {
        for (counting, rate, learned) in [
            (fixed(1.0, 0.0), 10.0, 60.0),
            (fixed(10.0, 7.0), 20.0, 60.0),
            (fixed(60.0, 0.0), 50.0 / 60.0, 60.0),
            (fixed(60.0, 40.0), 50.0 / 60.0, 120.0),
            (Counting::Sliding { window: 60.0 }, 5.0, 60.0),
        ] {
            let case = Case { counting, says, rate, change: None, latency: 0.05 };
            check(case, learned, learned + 540.0, (90.0, 1.0));
        }
    }
}

#[test]
fn a_limit_of_few_requests_is_found_too() {
    for says in [Says::Nothing, Says::RetryAfter] {
        // Of few requests one that is refused is soon a percent.
        for (window, offset, requests, refused) in
            [(1.0, 0.4, 2.0, 1.0), (1.0, 0.4, 3.0, 1.0), (1.0, 0.4, 5.0, 1.0), (10.0, 4.0, 6.0, 3.0)]
        {
            let (rate, latency) = (requests / window, 0.05);
            let case = Case { counting: fixed(window, offset), says, rate, change: None, latency };
            check(case, 60.0, 600.0, (88.0, refused));
        }
    }
}

#[test]
fn a_bucket_is_found_as_well() {
    for says in [Says::Nothing, Says::RetryAfter] {
        for (size, rate) in [(20.0, 10.0), (5.0, 5.0)] {
            let case = Case { counting: Counting::Bucket { size }, says, rate, change: None, latency: 0.05 };
            check(case, 60.0, 600.0, (85.0, 1.0));
        }
    }
}

#[test]
fn a_limit_that_halves_is_found_within_a_minute_or_two_windows() {
    for says in EVERY_SPEECH {
        for (window, rate, at, learned) in [
            (1.0, 20.0, 300.0, 60.0),
            (10.0, 10.0, 300.0, 60.0),
            (60.0, 2.0, 300.0, 120.0),
            // While a step beyond what is known has not held yet: it is not the step that is refused.
            (60.0, 10.0, 180.0, 60.0),
            (60.0, 10.0, 240.0, 60.0),
        ] {
            let change = Some((at, rate / 2.0));
            let case = Case { counting: fixed(window, 0.0), says, rate, change, latency: 0.05 };
            check(case, at + learned, 840.0, (92.0, 1.0));
            // Of sixty requests in the first minute after that, one.
            check(case, at + learned, at + learned + 60.0, (86.0, 2.0));
        }
    }
}

#[test]
fn a_limit_that_doubles_is_found_within_minutes() {
    for says in EVERY_SPEECH {
        for (window, rate, learned) in [(1.0, 5.0, 300.0), (10.0, 5.0, 300.0), (60.0, 1.0, 600.0)] {
            let change = Some((300.0, rate * 2.0));
            let case = Case { counting: fixed(window, 0.0), says, rate, change, latency: 0.05 };
            check(case, 300.0 + learned, 600.0 + learned, (85.0, 1.0));
        }
    }
}

#[test]
fn a_configured_limit_is_never_exceeded_and_nearly_all_used() {
    for (requests, window) in [(20, 1.0), (7, 2.5), (100, 10.0), (50, 60.0)] {
        for counting in [Counting::Sliding { window }, fixed(window, window / 3.0)] {
            let limit = Limit {
                requests: NonZeroU32::new(requests).expect("not zero"),
                per: Duration::from_secs_f64(window),
            };
            let rate = f64::from(requests) / window;
            let case = Case { counting, says: Says::Nothing, rate, change: None, latency: 0.02 };
            let (used, refused) = run(case, Some(limit), 600.0).seen(0.0, 600.0);
            assert!(refused == 0.0 && used >= 0.95, "{used} used, {refused} refused: {case}");
        }
    }
}

/// Returns how many requests a server saw in the first seconds.
fn seen_at_once(case: Case, limit: Option<Limit>) -> usize {
    run(case, limit, 5.0).journal.len()
}

#[test]
fn a_job_that_asks_little_waits_for_no_window_to_pass() {
    let (window, limit) = (900.0, 1500_u32);
    let rate = f64::from(limit) / window;
    let case = Case { counting: fixed(window, 0.0), says: Says::Headers, rate, change: None, latency: 0.05 };
    let told = seen_at_once(case, None);
    assert!((1400..=1455).contains(&told), "{told} of the headers' limit");

    let limit = Limit { requests: NonZeroU32::new(limit).expect("not zero"), per: Duration::from_secs(900) };
    let told = seen_at_once(Case { says: Says::Nothing, ..case }, Some(limit));
    assert!((750..800).contains(&told), "{told} of the operator's limit");
}

#[test]
fn of_a_window_that_nobody_would_wait_for_half_goes_at_once_and_the_rest_evenly() {
    let window = LONG.as_secs_f64() * 3.0;
    let case =
        Case { counting: fixed(window, 0.0), says: Says::Headers, rate: 1.0, change: None, latency: 0.01 };
    let server = run(case, None, window * 2.0);
    let until = |at: f64| server.journal.iter().filter(|(sent, _)| *sent < at).count() as f64 / window;
    assert!((0.4..0.6).contains(&until(20.0)), "{} of it at once", until(20.0));
    assert!((0.7..0.8).contains(&until(window / 2.0)), "{} of it in half of the time", until(window / 2.0));
    let (used, refused) = server.seen(0.0, window * 2.0);
    assert!(used >= 0.9 && refused < 0.01, "{used} used, {refused} refused");
}

#[test]
fn a_limit_beside_the_one_that_is_told_is_learned() {
    let case = Case { counting: fixed(1.0, 0.0), says: Says::Other, rate: 20.0, change: None, latency: 0.05 };
    check(case, 60.0, 600.0, (88.0, 2.0));
}

#[test]
fn headers_that_tell_of_no_fixed_window_are_not_believed_for_long() {
    for (window, requests) in [(10.0, 20.0), (20.0, 100.0)] {
        let counting = Counting::Sliding { window };
        let rate = requests / window;
        let case = Case { counting, says: Says::Headers, rate, change: None, latency: 0.6 };
        check(case, 180.0, 900.0, (90.0, 1.0));
    }
}

#[test]
fn a_limit_that_all_regions_share_is_kept_by_each() {
    let (says, rate) = (Says::Headers, 12.5);
    let case = Case { counting: fixed(20.0, 5.0), says, rate, change: None, latency: 0.3 };
    check_in(&["eu", "us", "ap"], case, 120.0, 900.0, (90.0, 1.0));
}

#[test]
fn an_outage_that_refuses_everything_does_not_slow_down_what_comes_after() {
    for (minutes, rate, latency) in [(1_u32, 10.0, 0.6), (1, 150.0, 0.15), (4, 150.0, 0.15)] {
        let says = Says::HeadersAndOutages { minutes };
        let case = Case { counting: fixed(10.0, 1.0), says, rate, change: None, latency };
        let over = f64::from(minutes) * 60.0;
        check(case, over + 10.0, over + 130.0, (95.0, 1.0));
    }
}

#[test]
fn one_refusal_that_nothing_explains_slows_nobody_down_for_long() {
    let case = Case {
        counting: fixed(60.0, 0.0),
        says: Says::HeadersAndOneWhim,
        rate: 250.0 / 60.0,
        change: None,
        latency: 0.05,
    };
    let at_once = seen_at_once(case, None);
    assert!(at_once >= 150, "{at_once} in five seconds");
}

#[test]
fn refusals_by_chance_are_no_limit() {
    // Nothing else bounds it but the requests in flight.
    let counting = Counting::Bucket { size: 1e9 };
    for (one_in, used) in [(1000, 97.0), (250, 93.0)] {
        let says = Says::NothingAndWhims { one_in };
        let case = Case { counting, says, rate: 32.0 / 0.05, change: None, latency: 0.05 };
        check(case, 60.0, 300.0, (used, 110.0 / one_in as f64));
    }
}

#[test]
fn a_bucket_that_was_full_or_is_lowered_is_not_taken_for_chance() {
    for askers in [1, 4, 32] {
        for (size, rate, change) in [
            (400.0, 10.0, None),
            (1000.0, 10.0, None),
            (60.0, 5.0, None),
            (40.0, 40.0, Some((90.0, 12.0))),
            (40.0, 40.0, Some((10.0, 12.0))),
            (60.0, 60.0, Some((90.0, 10.0))),
        ] {
            for says in [Says::Nothing, Says::RetryAfter] {
                for latency in [0.05, 0.8] {
                    let case = Case { counting: Counting::Bucket { size }, says, rate, change, latency };
                    let seen = run_of(askers, &["eu"], case, None, 600.0);
                    let refused = seen.seen(200.0, 600.0).1 * 100.0;
                    assert!(refused < 1.0, "{refused:.2}% refused: {askers} {case}");
                }
            }
        }
    }
}

#[test]
fn a_window_that_is_over_when_its_answer_comes_is_kept_to_all_the_same() {
    for (counting, rate, latency) in [(fixed(1.0, 0.0), 3.0, 1.5), (fixed(2.0, 0.0), 10.0, 2.5)] {
        let case = Case { counting, says: Says::Headers, rate, change: None, latency };
        check(case, 30.0, 300.0, (75.0, 20.0));
    }
}

#[test]
fn what_only_refusals_tell_is_no_window() {
    let says = Says::HeadersOfRefusals;
    let case = Case { counting: fixed(20.0, 14.0), says, rate: 5.0, change: None, latency: 0.3 };
    check(case, 60.0, 600.0, (90.0, 1.0));
}

fn headers(limit: u64, remaining: u64, seconds: u64) -> Told {
    let reset = Some(Duration::from_secs(seconds));
    Told { limit: Some(limit), remaining: Some(remaining), reset, retry_after: None }
}

#[test]
fn what_is_left_counts_also_where_the_window_is_about_to_end() {
    let began = Instant::now();
    let at = |millis| began + Duration::from_millis(millis);
    let mut budget = Budget::new(None, LONG, 7, began);
    let told = |remaining, reset| headers(250, remaining, reset);
    let first = budget.take(began).expect("it is open");
    budget.answered(first, Outcome::Accepted, &told(10, 3), at(50));
    let sent = (50..2990).step_by(10).filter(|millis| budget.take(at(*millis)).is_ok()).count();
    assert_eq!(sent, 3, "the others are a reserve");
    assert!((3000..3100).step_by(10).any(|millis| budget.take(at(millis)).is_ok()), "the next window began");
}

#[test]
fn a_request_that_is_not_answered_may_have_been_counted_and_one_is_kept_back() {
    let began = Instant::now();
    let at = |millis| began + Duration::from_millis(millis);
    for (limit, lost, sent) in [(100, 0, 7), (100, 5, 2), (20, 0, 9), (19, 0, 10)] {
        let mut budget = Budget::new(None, LONG, 7, began);
        let first = budget.take(began).expect("it is open");
        budget.answered(first, Outcome::Accepted, &headers(limit, 10, 30), at(50));
        for _ in 0..lost {
            let ticket = budget.take(at(60)).expect("there is room");
            budget.lost(ticket, at(70));
        }
        assert_eq!((0..50).filter(|_| budget.take(at(80)).is_ok()).count(), sent, "of {limit}, {lost} lost");
    }
}

#[test]
fn one_answer_that_tells_of_another_window_is_soon_forgotten() {
    let began = Instant::now();
    let at = |millis| began + Duration::from_millis(millis);
    let mut budget = Budget::new(None, LONG, 7, began);
    let told = |remaining, reset| headers(60, remaining, reset);
    let tickets: Vec<_> = (0..3).map(|it| budget.take(at(it * 10)).expect("it is open")).collect();
    budget.answered(tickets[0], Outcome::Accepted, &told(59, 6), at(50));
    budget.answered(tickets[1], Outcome::Accepted, &told(0, 3600), at(51));
    assert_eq!(budget.too_long(at(51)), None, "an answer is on its way");
    budget.answered(tickets[2], Outcome::Accepted, &told(57, 6), at(52));
    assert_eq!(
        (budget.too_long(at(52)), (0..50).filter(|_| budget.take(at(53)).is_ok()).count()),
        (None, 50)
    );
}

#[test]
fn a_server_without_a_limit_is_soon_not_held_back() {
    let counting = Counting::Bucket { size: 1e9 };
    let case = Case { counting, says: Says::Nothing, rate: 1e9, change: None, latency: 0.01 };
    let answered = run(case, None, 3.0).journal.iter().filter(|(at, _)| *at >= 2.0).count();
    // 32 in flight, each of 10 ms and up to three grains of the timer.
    assert!(answered >= 1900, "{answered} in a second");
}

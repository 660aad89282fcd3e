//! How often and how long one call is tried.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Failure, Remedy};
use super::{HttpConfig, Spent};

/// The longest first pause; each further one may be twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// Where the doubling ends.
const LONGEST: Duration = Duration::from_secs(30);
/// After that many slow answers a caller who can asks for less.
const SLOW_ENOUGH: u32 = 2;
/// So many refusals may be bad luck, however long each said to wait: others had their turns meanwhile.
const SOME: u32 = 3;

/// A source of numbers from 0 up to 1, so that a test can foresee the pauses.
#[derive(Clone)]
pub(super) struct Jitter(pub(super) Arc<dyn Fn() -> f64 + Send + Sync>);

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self(Arc::new(rand::random::<f64>))
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask again after a pause.
    After(Duration),
    /// Ask again as soon as the budget grants it, and no sooner than the server said.
    WhenGranted(Duration),
    /// Find out whether the key or the tenant is meant.
    AskOfKey,
    /// Tell the caller to ask for a smaller page.
    Shrink,
    /// Tell the caller.
    GiveUp,
}

/// What tells whether a host where a request failed answers nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutageSigns {
    /// When that one was sent.
    pub(super) sent: Instant,
    /// When the last one was sent that was answered well, whoever sent it.
    pub(super) answered: Option<Instant>,
    /// Whether others fail there as well.
    pub(super) others_fail: bool,
    /// Whether it finds out for all of them whether less would be answered.
    pub(super) is_scout: bool,
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries {
    max_attempts: u32,
    retry_time: Duration,
    /// Requests sent, those for larger pages of the same records among them.
    pub(super) requests: u64,
    /// The time that attempts and pauses took; waiting for a turn is not the call's.
    pub(super) spent: Duration,
    /// When the last attempt was sent that failed as all do in an outage.
    last_failed: Option<Instant>,
    failed: u32,
    /// Those that failed in an outage; they say nothing of the call.
    failed_in_outage: u32,
    slow: u32,
    /// Whether the last failure was one of an outage.
    pub(super) in_outage: bool,
    refused: u32,
    /// The time from a refusal for want of budget to the next attempt, in all; as it was told, where it is too long to wait.
    waited: Duration,
    /// How long the refusals said to wait, in all.
    told_to_wait: Duration,
}

impl Tries {
    /// Begins; `spent` is what larger pages of the same records took in vain.
    pub(super) fn new(config: &HttpConfig, spent: Spent) -> Self {
        Self {
            max_attempts: config.max_attempts.get(),
            retry_time: config.retry_time,
            requests: spent.requests,
            spent: spent.time,
            last_failed: None,
            failed: 0,
            failed_in_outage: 0,
            // Who failed at a larger size needs no second proof that this one is too much as well.
            slow: u32::from(spent.is_on_slow()),
            in_outage: false,
            refused: 0,
            waited: Duration::ZERO,
            told_to_wait: Duration::ZERO,
        }
    }

    /// Counts an attempt.
    pub(super) fn sent(&mut self, took: Duration) {
        self.requests += 1;
        self.spent += took;
    }

    /// Counts the wait before an attempt, if it follows a refusal for want of budget.
    pub(super) fn waited(&mut self, wait: Duration) {
        if self.refused > 0 {
            self.waited += wait;
        }
    }

    /// Returns whether it failed as often in an outage as it may otherwise.
    pub(super) fn has_outlasted_its_tries(&self) -> bool {
        self.failed_in_outage >= self.max_attempts
    }

    /// Decides what to do about a failure.
    pub(super) fn next(
        &mut self,
        failure: &Failure,
        (safe, can_shrink): (bool, bool),
        signs: OutageSigns,
        jitter: &Jitter,
    ) -> Next {
        // Asking for less is no retry: it ends at the smallest page.
        if can_shrink && failure.is_too_large() {
            return Next::Shrink;
        }
        let can_shrink = can_shrink && self.spent <= self.retry_time;
        match failure.remedy(safe) {
            Remedy::None => Next::GiveUp,
            Remedy::AskOfKey => Next::AskOfKey,
            Remedy::WhenGranted(wait) => self.refused(wait),
            Remedy::Again(wait) => {
                self.in_outage = failure.may_be_outage() && self.is_outage(signs);
                // What nobody is answered is no page too large; that all are, one finds out for the others.
                let tells_of_size = failure.is_slow() && (signs.is_scout || !self.in_outage);
                self.slow += u32::from(tells_of_size);
                if can_shrink && tells_of_size && self.slow >= SLOW_ENOUGH {
                    return Next::Shrink;
                }
                self.again(wait, jitter)
            }
        }
    }

    /// Refusals for want of budget are the budget's: only one who is refused again and again gives up.
    ///
    /// Turns may be long in coming among many tenants, so time alone is no reason: it takes as many refusals as
    /// failures, or some and the whole time spent as the server said.
    fn refused(&mut self, wait: Option<Duration>) -> Next {
        self.refused += 1;
        let is_told = self.refused > SOME && self.told_to_wait > self.retry_time;
        let often = self.refused > self.max_attempts || is_told;
        if often && self.spent + self.waited > self.retry_time {
            return Next::GiveUp;
        }
        let wait = wait.unwrap_or_default();
        self.told_to_wait = self.told_to_wait.saturating_add(wait);
        Next::WhenGranted(wait)
    }

    fn again(&mut self, wait: Option<Duration>, jitter: &Jitter) -> Next {
        let failed = if self.in_outage { &mut self.failed_in_outage } else { &mut self.failed };
        *failed += 1;
        let backoff = backoff(*failed, jitter);
        if self.failed >= self.max_attempts {
            return Next::GiveUp;
        }
        // A wait that is over already is none.
        let pause = wait.unwrap_or_default().max(backoff);
        if self.spent + pause > self.retry_time {
            return Next::GiveUp;
        }
        self.spent += pause;
        Next::After(pause)
    }

    /// Returns whether a host that did answer has answered nothing that was sent since this call failed before, and others
    /// fail as well. What fails alone, or beside others that are answered, is trouble of its own, and a host that is silent
    /// for longer than a call is tried is waited for no more.
    fn is_outage(&mut self, signs: OutageSigns) -> bool {
        let since = self.last_failed.replace(signs.sent).unwrap_or(signs.sent);
        let is_silent = |last: Instant| last < since && last.elapsed() <= self.retry_time;
        signs.others_fail && signs.answered.is_some_and(is_silent)
    }
}

/// Returns a random part of a span that doubles, so that those who failed together come back apart.
fn backoff(failed: u32, jitter: &Jitter) -> Duration {
    let doubled = FIRST.saturating_mul(1 << (failed - 1).min(16));
    doubled.min(LONGEST).mul_f64((jitter.0)())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use reqwest::StatusCode;
    use reqwest::header::HeaderName;

    use super::*;

    fn tries(max_attempts: u32, retry_time: u64) -> Tries {
        let name = HeaderName::from_static;
        let mut config = HttpConfig::new("https://x.example", [name("k"), name("o"), name("i")], "/validate");
        config.max_attempts = NonZeroU32::new(max_attempts).expect("not zero");
        config.retry_time = Duration::from_secs(retry_time);
        Tries::new(&config, Spent::default())
    }

    fn status(status: u16, wait: Option<u64>) -> Failure {
        let status = StatusCode::from_u16(status).expect("a status");
        Failure::Status { status, message: None, wait: wait.map(Duration::from_secs) }
    }

    /// Returns that nobody was ever answered.
    fn alone() -> OutageSigns {
        OutageSigns { sent: Instant::now(), answered: None, others_fail: false, is_scout: false }
    }

    fn check(mut tries: Tries, failures: &[(Failure, Next)], can_shrink: bool) {
        let most = Jitter(Arc::new(|| 1.0));
        for (failure, expected) in failures {
            tries.sent(Duration::from_secs(1));
            let next = tries.next(failure, (true, can_shrink), alone(), &most);
            assert_eq!(next, *expected, "{failure:?}");
        }
    }

    fn slow() -> Failure {
        status(504, None)
    }

    fn after(millis: u64) -> Next {
        Next::After(Duration::from_millis(millis))
    }

    #[test]
    fn pauses_double_until_the_attempts_are_spent() {
        let failures =
            [after(250), after(500), after(1000), Next::GiveUp].map(|next| (status(503, None), next));
        check(tries(4, 300), &failures, false);
    }

    #[test]
    fn the_server_s_own_wait_is_kept_unless_it_is_too_long() {
        check(
            tries(6, 300),
            &[(status(503, Some(20)), after(20_000)), (status(503, None), after(500))],
            false,
        );
        check(
            tries(6, 30),
            &[(status(503, Some(20)), after(20_000)), (status(503, Some(20)), Next::GiveUp)],
            false,
        );
    }

    #[test]
    fn a_wait_of_nothing_or_in_the_past_is_no_wait() {
        check(
            tries(6, 300),
            &[(status(503, Some(0)), after(250)), (status(503, Some(0)), after(500))],
            false,
        );
    }

    /// Refuses a call again and again, each time after a wait, and returns how often it comes back.
    fn comes_back(mut tries: Tries, says: Option<u64>, wait: u64) -> Option<u32> {
        (0..1000).find(|_| {
            tries.sent(Duration::ZERO);
            let next = tries.next(&status(429, says), (true, true), alone(), &Jitter::default());
            tries.waited(Duration::from_secs(wait));
            next == Next::GiveUp
        })
    }

    #[test]
    fn who_is_refused_for_ever_gives_up_when_the_time_is_over() {
        // Quick refusals last as long as any failure may.
        assert_eq!(comes_back(tries(6, 300), None, 2), Some(151));
        // Turns that are long in coming are not the call's: as often as it may fail, it may be refused.
        assert_eq!(comes_back(tries(6, 300), None, 2400), Some(6));
        assert_eq!(comes_back(tries(6, 300), Some(30), 2400), Some(6));
        // The server's own word was kept for the whole time.
        assert_eq!(comes_back(tries(6, 300), Some(60), 60), Some(6));
        assert_eq!(comes_back(tries(6, 300), Some(900), 900), Some(3));
    }

    #[test]
    fn smaller_pages_share_the_time_of_the_larger_ones() {
        let smaller = |spent| Tries { spent: Duration::from_secs(spent), slow: 1, ..tries(6, 300) };
        check(smaller(60), &[(slow(), Next::Shrink)], true);
        check(smaller(60), &[(status(503, None), after(250)), (slow(), Next::Shrink)], true);
        check(smaller(300), &[(slow(), Next::GiveUp)], true);
        // What is too large was not waited for.
        check(smaller(301), &[(Failure::TooLarge { limit: 1 }, Next::Shrink)], true);
    }

    #[test]
    fn refusals_for_want_of_budget_are_not_failures() {
        let refused = || (status(429, Some(60)), Next::WhenGranted(Duration::from_secs(60)));
        check(tries(2, 300), &[refused(), refused(), refused(), (status(500, None), after(250))], false);
        check(tries(2, 2), &[refused(), refused(), (status(429, None), Next::GiveUp)], false);
    }

    #[test]
    fn a_page_that_is_slow_twice_or_too_large_once_becomes_smaller_if_it_can() {
        let slow = |next| (slow(), next);
        check(tries(6, 300), &[slow(after(250)), slow(Next::Shrink)], true);
        check(tries(6, 300), &[slow(after(250)), slow(after(500))], false);
        check(tries(6, 300), &[(Failure::TooLarge { limit: 1 }, Next::Shrink)], true);
        check(tries(6, 300), &[(Failure::TooLarge { limit: 1 }, Next::GiveUp)], false);
    }

    /// Fails until it gives up, and returns how many seconds that took and how often it was tried; what was answered was
    /// sent at the instant that is told for each try.
    async fn gives_up(
        failure: &Failure,
        is_alone: bool,
        answered: impl Fn(u32) -> Option<Instant>,
    ) -> (u64, u32) {
        let (began, most) = (Instant::now(), Jitter(Arc::new(|| 1.0)));
        let mut tries = tries(6, 300);
        for number in 1.. {
            let signs = OutageSigns { answered: answered(number), others_fail: !is_alone, ..alone() };
            match tries.next(failure, (true, false), signs, &most) {
                Next::After(pause) => tokio::time::sleep(pause).await,
                _ => return (began.elapsed().as_secs(), number),
            }
        }
        unreachable!("numbers do not end before it gives up")
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_and_trouble_of_one_s_own_is_not() {
        let down = status(503, None);
        assert_eq!(gives_up(&down, false, |_| None).await, (7, 6), "it was never there");
        assert_eq!(gives_up(&down, false, |_| Some(Instant::now())).await, (7, 6), "others are answered");
        let answered = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(gives_up(&down, true, |_| Some(answered)).await, (7, 6), "nobody else fails");
        let (seconds, tries) = gives_up(&down, false, |_| Some(answered)).await;
        assert!(seconds > 250 && tries > 10, "it was there just now: {tries} tries, {seconds} s");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(gives_up(&down, false, |_| Some(answered)).await, (7, 6), "it is gone for long");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_in_an_outage_is_not_held_against_a_call_after_it() {
        let before = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after_it = |number| Some(if number <= 10 { before } else { Instant::now() });
        let (_, tries) = gives_up(&status(503, None), false, after_it).await;
        assert_eq!(tries, 16, "six of them were its own");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_need_not_begin_at_once() {
        let faded = Instant::now() + Duration::from_secs(1);
        let (seconds, tries) = gives_up(&status(503, None), false, |_| Some(faded.min(Instant::now()))).await;
        assert!(seconds > 250 && tries > 10, "{tries} tries, {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_one_asks_for_less_and_not_all() {
        let before = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let next = |is_scout, others_fail| {
            let mut tries = tries(6, 300);
            let signs = OutageSigns { answered: Some(before), others_fail, is_scout, ..alone() };
            let last = (0..3).map(|_| tries.next(&slow(), (true, true), signs, &Jitter::default())).last();
            (last == Some(Next::Shrink), tries.in_outage)
        };
        assert_eq!(next(false, true), (false, true));
        assert_eq!(next(true, true), (true, true));
        assert_eq!(next(false, false), (true, false), "it is its own");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_none_is_no_outage() {
        let before = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let to = Some("https://login.example".to_owned());
        for failure in [
            Failure::Malformed("no JSON".into()),
            Failure::Redirect { status: StatusCode::FOUND, to },
            status(206, None),
        ] {
            assert_eq!(gives_up(&failure, false, |_| Some(before)).await, (7, 6), "{failure:?}");
        }
    }

    #[test]
    fn the_jitter_is_full() {
        let mut tries = tries(6, 300);
        let none = Jitter(Arc::new(|| 0.0));
        assert_eq!(tries.next(&status(500, None), (true, false), alone(), &none), after(0));
    }
}

//! How far a run is: counted from its events, told in one line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pipeline::run::RunEvent;
use pipeline::{BudgetUse, Region, TenantId};

use crate::table::{bytes, count, span};

/// A shorter pause would flicker.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// How far a run is.
#[derive(Debug)]
pub(super) struct State {
    began: Instant,
    pub(super) regions: BTreeMap<Region, InRegion>,
    active: BTreeMap<(TenantId, &'static str), Active>,
    records: u64,
    bytes: u64,
    bad: u64,
}

/// How far one region is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct InRegion {
    pub(super) jobs: u64,
    pub(super) ended: u64,
    pub(super) records: u64,
}

/// A job that is being read.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) name: String,
    pub(super) region: Region,
    pub(super) pull: &'static str,
    pub(super) records: u64,
    pub(super) claimed: Option<u64>,
    pub(super) began: Instant,
}

impl State {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, regions: BTreeMap::new(), active: BTreeMap::new(), records: 0, bytes: 0, bad: 0 }
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, event: RunEvent, now: Instant) {
        match event {
            RunEvent::Planned { jobs } => {
                for (region, jobs) in jobs {
                    self.regions.entry(region).or_default().jobs = jobs;
                }
            }
            RunEvent::Started { tenant, name, region, pull } => {
                let active = Active { name, region, pull, records: 0, claimed: None, began: now };
                self.active.insert((tenant, pull), active);
            }
            RunEvent::Progress { tenant, region, pull, bytes, records, claimed, .. } => {
                self.records += records;
                self.bytes += bytes;
                self.regions.entry(region).or_default().records += records;
                if let Some(active) = self.active.get_mut(&(tenant, pull)) {
                    active.records += records;
                    active.claimed = claimed.or(active.claimed);
                }
            }
            RunEvent::Finished(receipt) => self.bad += u64::from(!receipt.verdict.is_good()),
            RunEvent::JobEnded { region, tenant, pull } => {
                self.regions.entry(region).or_default().ended += 1;
                self.active.remove(&(tenant, pull));
            }
        }
    }

    /// Returns the jobs that have been read the longest.
    pub(super) fn slowest(&self, most: usize) -> Vec<&Active> {
        let mut active: Vec<&Active> = self.active.values().collect();
        active.sort_by_key(|active| active.began);
        active.truncate(most);
        active
    }

    /// Returns how far the run is in one line.
    pub(super) fn line(&self, budgets: &[BudgetUse], now: Instant) -> String {
        let (ended, jobs) = self.jobs();
        let spent = spent(budgets);
        // Whoever waits for long looks for the reason first; the end of a line may be cut.
        let mut parts: Vec<String> = spent.map(|(wait, budget)| waits(wait, budget)).into_iter().collect();
        parts.extend([
            format!("{} of {} jobs", count(ended), count(jobs)),
            format!("{} records", count(self.records)),
            bytes(self.bytes),
            rate(budgets),
        ]);
        if self.bad > 0 {
            parts.push(format!("{} not good", count(self.bad)));
        }
        if let Some(left) = self.time_left(now) {
            let wait = spent.map(|(wait, _)| wait);
            parts.push(format!("about {} left", span(wait.map_or(left, |wait| wait + left))));
        }
        parts.join(", ")
    }

    fn jobs(&self) -> (u64, u64) {
        self.regions.values().fold((0, 0), |(ended, jobs), region| (ended + region.ended, jobs + region.jobs))
    }

    /// Returns how long the rest takes if it goes on like this; nothing while too little is known.
    ///
    /// The jobs as a whole may be nearly done while a giant is not: the longer of the two is told.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let (ended, jobs) = self.jobs();
        let elapsed = now.duration_since(self.began);
        let enough = ended > 0 && ended < jobs && elapsed > Duration::from_secs(3);
        let of_jobs = elapsed.as_secs_f64() * jobs.saturating_sub(ended) as f64 / ended.max(1) as f64;
        let seconds =
            self.active.values().filter_map(|active| active.seconds_left(now)).fold(of_jobs, f64::max);
        enough.then(|| Duration::from_secs(seconds.ceil() as u64))
    }
}

impl Active {
    /// Returns how long the job takes at its own speed, where the platform said how much there is.
    fn seconds_left(&self, now: Instant) -> Option<f64> {
        let left = self.claimed?.checked_sub(self.records)? as f64;
        let speed = self.records as f64 / now.duration_since(self.began).as_secs_f64();
        (speed > 0.0).then_some(left / speed)
    }
}

/// Returns the budget that is waited for the longest, and how long.
fn spent(budgets: &[BudgetUse]) -> Option<(Duration, &BudgetUse)> {
    budgets
        .iter()
        .filter(|budget| budget.waiting > 0 && budget.in_flight == 0)
        .filter_map(|budget| Some((budget.closed_for?, budget)))
        .filter(|(wait, _)| *wait >= WORTH_TELLING)
        .max_by_key(|(wait, _)| *wait)
}

fn waits(wait: Duration, BudgetUse { family, region, .. }: &BudgetUse) -> String {
    let region = region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    format!("waiting {} for the budget of {family}{region}", span(wait))
}

/// Returns what is asked per second, and of how much that may be asked where it is known.
fn rate(budgets: &[BudgetUse]) -> String {
    // The sum of no floats is minus zero, which would be printed.
    let used = budgets.iter().map(|budget| budget.used_per_second).fold(0.0, |sum: f64, used| sum + used);
    let bounded: Vec<(f64, f64)> = budgets
        .iter()
        .filter_map(|budget| budget.granted_per_second.map(|granted| (budget.used_per_second, granted)))
        .collect();
    let fullest = bounded.iter().map(|(used, granted)| used / granted).fold(0.0, f64::max);
    if bounded.is_empty() {
        format!("{used:.0} requests/s")
    } else {
        format!("{used:.0} requests/s (fullest budget {:.0} % used)", (fullest * 100.0).min(100.0))
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Verdict;

    use super::*;
    use crate::report::samples;

    fn region(code: &str) -> Region {
        code.parse().expect("a region")
    }

    fn budget(granted: Option<f64>, used: f64) -> BudgetUse {
        BudgetUse {
            region: Some(region("eu")),
            family: "idr".to_owned(),
            granted_per_second: granted,
            closed_for: None,
            used_per_second: used,
            in_flight: 1,
            waiting: 0,
            sent: 9,
            refused: 0,
        }
    }

    fn halfway(began: Instant) -> State {
        let tenant: TenantId = "t1".parse().expect("an id");
        let mut state = State::new(began);
        let events = [
            RunEvent::Planned { jobs: vec![(region("eu"), 2), (region("us"), 2)] },
            RunEvent::Started {
                tenant: tenant.clone(),
                name: "Acme".to_owned(),
                region: region("eu"),
                pull: "users",
            },
            RunEvent::Progress {
                tenant: tenant.clone(),
                region: region("eu"),
                pull: "users",
                pages: 1,
                bytes: 2048,
                records: 1500,
                claimed: Some(3000),
            },
            RunEvent::Finished(Box::new(samples::receipt("t2", "us", "users", Verdict::Forbidden))),
            RunEvent::JobEnded { region: region("us"), tenant: "t2".parse().expect("an id"), pull: "users" },
        ];
        for event in events {
            state.take(event, began);
        }
        state
    }

    #[test]
    fn one_line_tells_how_far_it_is() {
        let began = Instant::now();
        let state = halfway(began);
        let line = state.line(&[budget(Some(20.0), 5.0), budget(None, 1.0)], began + Duration::from_secs(10));
        assert_eq!(
            line,
            "1 of 4 jobs, 1,500 records, 2.0 KiB, 6 requests/s (fullest budget 25 % used), 1 not good, about 30 s left"
        );
    }

    #[test]
    fn a_budget_that_is_waited_for_is_named() {
        let closed_for = Some(Duration::from_secs(312));
        let spent = BudgetUse { in_flight: 0, waiting: 3, closed_for, ..budget(Some(20.0), 0.0) };
        let began = Instant::now();
        let line = |budget| halfway(began).line(&[budget], began + Duration::from_secs(10));
        let told = line(spent.clone());
        assert!(told.starts_with("waiting 5 min 12 s for the budget of idr in eu, 1 of 4 jobs, "), "{told}");
        assert!(told.ends_with("about 5 min 42 s left"), "{told}");
        assert!(line(BudgetUse { region: None, ..spent.clone() }).contains("the budget of idr, 1 of 4"));
        assert!(!line(BudgetUse { waiting: 0, ..spent.clone() }).contains("waiting"));
        assert!(
            !line(BudgetUse { closed_for: Some(Duration::from_millis(900)), ..spent }).contains("waiting")
        );
    }

    #[test]
    fn a_giant_decides_how_long_the_rest_takes() {
        let began = Instant::now();
        let mut state = halfway(began);
        for active in state.active.values_mut() {
            active.claimed = Some(15_000);
        }
        let line = state.line(&[], began + Duration::from_secs(10));
        assert!(line.ends_with("about 1 min 30 s left"), "{line}");
    }

    #[test]
    fn the_time_left_is_not_guessed_at_the_beginning() {
        let began = Instant::now();
        assert!(!halfway(began).line(&[], began + Duration::from_secs(1)).contains("left"));
    }

    #[test]
    fn a_job_is_active_until_it_ends() {
        let began = Instant::now();
        let mut state = halfway(began);
        assert_eq!(state.slowest(3).iter().map(|active| active.claimed).collect::<Vec<_>>(), [Some(3000)]);
        let tenant = "t1".parse().expect("an id");
        state.take(RunEvent::JobEnded { region: region("eu"), tenant, pull: "users" }, began);
        assert!(state.slowest(3).is_empty());
    }
}

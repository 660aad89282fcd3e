//! A run that is killed at every step in turn, of the network and of the file system, and run again: nothing lost,
//! nothing twice, nothing half-visible.
//!
//! The steps are those of an undisturbed run: each of its requests at each [`Step`] that the platform's side can tell
//! apart, and each of its changes to the lake. Connections serve one request each, so that each has all of the steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use simulator::{Dataset, Fault, FaultRule, SimulatorConfig, Step};
use tests::{Context, DATASETS, END_AT, Output};

use crate::{small, start};

/// A night's lake: rows of each dataset, by what does not depend on who read them when.
type Rows = BTreeMap<&'static str, Vec<Vec<String>>>;

fn began() -> DateTime<Utc> {
    "2026-11-20T03:00:00Z".parse().expect("an instant")
}

/// Returns what tells a dataset's rows and their versions apart.
fn columns(dataset: Dataset) -> &'static [&'static str] {
    match dataset {
        Dataset::Investigations => &["rrn", "title", "status", "priority", "disposition"],
        Dataset::Alerts => &["rrn", "version", "title", "status", "disposition"],
        Dataset::Users | Dataset::Accounts | Dataset::Assets => &["rrn", "name"],
        Dataset::VmAssets => &["id", "risk_score"],
        Dataset::VmFindings => {
            &["asset_id", "vulnerability_id", "check_id", "key", "port", "protocol", "change"]
        }
        Dataset::VmVulnerabilities => &["id", "title"],
        _ => &["id"],
    }
}

/// A platform, and a program that reads a backlog in the first night and what came and changed in the second.
struct Nights {
    context: Context,
    datasets: Vec<Dataset>,
}

impl Nights {
    fn of(config: SimulatorConfig, datasets: &[Dataset]) -> Self {
        let config = SimulatorConfig { now: Some(began()), keep_alive: false, ..config };
        let nights = Self { context: start(config), datasets: datasets.to_vec() };
        let mut file = nights.context.run_file().of(&[]);
        for dataset in datasets {
            file = match dataset {
                Dataset::Investigations | Dataset::Alerts => file.and(*dataset, "overlap = \"4d\""),
                Dataset::VmAssets | Dataset::VmFindings => file.and(*dataset, "full_every = \"7d\""),
                _ => file.and(*dataset, ""),
            };
        }
        // One after the other: then the same request has the same number in every run.
        file.rest = "[run]\nconcurrency = 1\n".to_owned();
        nights.context.write(&file);
        nights
    }

    /// Lets a night come.
    fn come(&mut self, night: i64) {
        let now = began() + TimeDelta::days(night);
        self.context.platform().set_now(now.timestamp_millis()).expect("it is not before the start");
        self.context.set_clock(now);
        self.context.platform().clear_journal();
    }

    /// Lets a night come and pass; returns the requests of an undisturbed run, and the lake that it leaves.
    fn fall(&mut self, night: i64) -> (u64, Rows) {
        self.come(night);
        let (output, summary) = self.context.pull(&[]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        summary.check_honest();
        let journal = self.context.platform().journal();
        assert_eq!(journal.connections, journal.total.requests, "each request has a connection of its own");
        if night == 0 {
            self.context.check_whole(&self.datasets);
        }
        (journal.total.requests, self.rows())
    }

    fn rows(&self) -> Rows {
        let rows = |dataset: &Dataset| {
            let wanted = [&["organization_id"], columns(*dataset)].concat();
            let mut rows = self.context.lake().rows_of(dataset.name(), &wanted);
            rows.sort_unstable();
            (dataset.name(), rows)
        };
        self.datasets.iter().map(rows).collect()
    }

    /// Returns how many commits the lake holds.
    fn commits(&self) -> usize {
        let files = self.context.lake().files();
        files.iter().filter(|path| path.starts_with("_tenantry/commits/")).count()
    }

    /// Runs the program until its so many-th exchange stands at a step, and kills it there; returns whether it came so far.
    fn kill_at(&self, at: Step, number: u64) -> bool {
        let platform = self.context.platform();
        let hold = FaultRule { nth: vec![number], ..FaultRule::always(Fault::Hold { at }) };
        platform.set_faults(vec![hold]).expect("the fault can happen");
        let mut running = self.program(usize::MAX);
        let is_held = loop {
            if platform.journal().held > 0 {
                running.kill().expect("a child of this process");
                break true;
            }
            if running.try_wait().expect("a child of this process").is_some() {
                break false;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let output = Output::of(running);
        assert_eq!(output.code, if is_held { None } else { Some(0) }, "{at:?} {number}: {}", output.stderr);
        platform.set_faults(Vec::new()).expect("none is fine");
        while platform.journal().held > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_held
    }

    /// Kills runs at one request after the other, each time at the next step of it; begins with the first again when
    /// something was committed. Returns how many were killed before one came to its end.
    fn strike_until_done(&self) -> u64 {
        let (mut number, mut kills, mut commits) = (1, 0, self.commits());
        while self.kill_at(Step::ALL[kills % Step::ALL.len()], number) {
            self.context.check_verified();
            kills += 1;
            let stood = std::mem::replace(&mut commits, self.commits());
            number = if commits > stood { 1 } else { number + 1 };
        }
        kills as u64
    }

    /// Starts a run that ends itself at a change to the lake, counted from 0.
    ///
    /// Such a run waits for no disk: a kill loses nothing that was written, and the steps are many.
    fn program(&self, end_at: usize) -> Child {
        let started = self.context.command(&["run"]).env(END_AT, end_at.to_string()).spawn();
        started.expect("the program under test")
    }

    /// Runs the program until it ends itself at a change to the lake; returns whether it came so far.
    fn end_at(&self, step: usize) -> bool {
        let output = Output::of(self.program(step));
        assert!(matches!(output.code, None | Some(0)), "step {step}: {:?}: {}", output.code, output.stderr);
        output.code.is_none()
    }

    /// Runs the program to its end after it was killed, and compares the lake with that of an undisturbed run.
    fn set_right(&self, expected: &Rows, what: &str) {
        let output = Output::of(self.program(usize::MAX));
        assert_eq!(output.code, Some(0), "{what}: {}", output.stderr);
        self.compare(expected, what);
    }

    fn compare(&self, expected: &Rows, what: &str) {
        for (dataset, rows) in self.rows() {
            assert!(
                rows == expected[dataset],
                "{what}: {} rows of {dataset} became {}: {:?}",
                expected[dataset].len(),
                rows.len(),
                self.context.differences(self.context.tenants(), &self.datasets)
            );
        }
        let leftovers = self.context.lake().leftovers();
        assert!(leftovers.is_empty(), "{what}: {leftovers:?}");
        self.context.check_verified();
    }

    /// Keeps a copy of the lake, and returns what puts it back as often as it is asked to.
    fn remember(&self) -> impl Fn() + use<> {
        let (lake, copy) = (self.context.lake().root().to_owned(), self.context.folder().join("copy"));
        replace(&copy, &lake);
        move || replace(&lake, &copy)
    }
}

/// Makes a folder the same as another, which may be missing.
fn replace(folder: &Path, other: &Path) {
    if folder.exists() {
        fs_err::remove_dir_all(folder).expect("a folder of the test's own");
    }
    let Ok(entries) = fs_err::read_dir(other) else { return };
    fs_err::create_dir(folder).expect("its parent is there");
    for entry in entries {
        let path = entry.expect("a folder that can be listed").path();
        let to = folder.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            replace(&to, &path);
        } else {
            fs_err::copy(&path, &to).expect("a copy");
        }
    }
}

/// Strikes each step of a night, each on the lake as the night found it.
fn strike_night(
    tenants: usize,
    datasets: &[Dataset],
    night: i64,
    strike: impl Fn(&Nights, &Rows, u64, &dyn Fn()),
) {
    let mut nights = Nights::of(small(tenants), datasets);
    if night > 0 {
        nights.fall(0);
    }
    let put_back = nights.remember();
    let (requests, expected) = nights.fall(night);
    strike(&nights, &expected, requests, &put_back);
}

fn every_network_step(night: i64) {
    strike_night(2, &DATASETS, night, |nights, expected, requests, put_back| {
        for number in 1..=requests {
            for at in Step::ALL {
                put_back();
                assert!(nights.kill_at(at, number), "an undisturbed run has {requests} requests");
                nights.set_right(expected, &format!("night {night}, request {number}, {at:?}"));
            }
        }
        assert!(!nights.kill_at(Step::Received, requests + 1), "these were all");
    });
}

#[test]
fn commit_killed_at_every_network_step_of_a_backlog() {
    every_network_step(0);
}

#[test]
fn commit_killed_at_every_network_step_of_what_came_since() {
    every_network_step(1);
}

/// Strikes two nights on one lake, without an undisturbed run in between; each has so many commits at least.
fn one_lake(config: SimulatorConfig, datasets: &[Dataset], least: [usize; 2]) {
    let mut nights = Nights::of(config, datasets);
    let untouched = nights.remember();
    let undisturbed = [0, 1].map(|night| nights.fall(night));
    untouched();
    for (night, ((requests, expected), least)) in (0..).zip(undisturbed.iter().zip(least)) {
        nights.come(night);
        let before = nights.commits();
        let kills = nights.strike_until_done();
        assert!(kills >= *requests, "night {night}: {kills} kills, and {requests} requests");
        assert!(nights.commits() - before >= least, "night {night} has too few commits to be killed between");
        nights.compare(expected, &format!("night {night}, after {kills} kills"));
    }
}

#[test]
fn commit_killed_at_one_network_step_after_the_other() {
    one_lake(small(2), &DATASETS, [10, 10]);
}

#[test]
fn commit_killed_at_one_network_step_after_the_other_of_a_backlog_in_windows() {
    let counts = [(Dataset::Investigations, 10_100)];
    let config = SimulatorConfig { row_counts: counts.into(), history_days: 80, ..SimulatorConfig::plain(1) };
    one_lake(config, &[Dataset::Investigations], [2, 1]);
}

fn every_file_step(night: i64) {
    let datasets = [Dataset::Investigations, Dataset::Users, Dataset::VmAssets, Dataset::VmFindings];
    strike_night(1, &datasets, night, |nights, expected, _, put_back| {
        let mut step = 0;
        loop {
            put_back();
            if !nights.end_at(step) {
                break;
            }
            nights.set_right(expected, &format!("night {night}, change {step}"));
            step += 1;
        }
        assert!(step > 60, "a run makes more changes than {step}");
    });
}

#[test]
fn commit_killed_at_every_file_step_of_a_backlog() {
    every_file_step(0);
}

#[test]
fn commit_killed_at_every_file_step_of_what_came_since() {
    every_file_step(1);
}

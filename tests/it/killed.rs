//! A run that is killed at any moment: nothing lost, nothing twice, nothing half-visible.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use simulator::{Dataset, Fault, FaultRule, SimulatorConfig};
use tests::{Context, Lake};

use crate::{small, start};

/// Killed runs, all into one lake.
const KILLS: u64 = 50;

/// What every answer of the slow platform takes at least.
const LATENCY_MS: u64 = 40;

/// The longest that a run lives before it is killed.
const LONGEST_MS: u64 = 400;

const DATASETS: [Dataset; 5] =
    [Dataset::Users, Dataset::Assets, Dataset::VmAssets, Dataset::VmFindings, Dataset::VmScans];

/// Draws moments; the seed tells all of them.
struct Dice(u64);

impl Dice {
    fn thrown() -> Self {
        let seed = RandomState::new().hash_one(0);
        // Shown by the harness where the test fails.
        #[expect(clippy::print_stdout, reason = "a failure can only be repeated with its seed")]
        {
            println!("seed {seed}");
        }
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A platform whose answers take a while, so that a moment within a run can be hit.
fn slow(tenants: usize) -> Context {
    let latency = FaultRule::always(Fault::Latency { ms: LATENCY_MS, jitter_ms: 20, per_row_us: 0 });
    let context = start(SimulatorConfig { faults: vec![latency], ..small(tenants) });
    let mut file = context.run_file().of(&DATASETS);
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    context
}

/// Opens every data file that is visible, again and again; each that can be seen must be whole, and stay.
fn watch(lake: &Lake, done: &AtomicBool) -> usize {
    let mut known = HashSet::new();
    while !done.load(Ordering::Relaxed) {
        let visible: HashSet<_> = lake.data_files().into_iter().collect();
        for path in visible.difference(&known) {
            match fs_err::File::open(path) {
                Ok(file) => {
                    let reader = ParquetRecordBatchReaderBuilder::try_new(file.into_file());
                    let reader =
                        reader.unwrap_or_else(|error| panic!("{} is not whole: {error}", path.display()));
                    for batch in reader.build().expect("a reader") {
                        let _ = batch.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                    }
                }
                // A killed run's file that was in its place before its record: the next run takes it back.
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
            }
        }
        known.extend(visible);
        std::thread::sleep(Duration::from_millis(3));
    }
    known.len()
}

#[test]
fn commit_killed_at_any_moment_nothing_is_lost_and_nothing_twice() {
    let context = slow(260);
    // With two partitions open and an answer for each pull, no run can reach the end before the last is killed.
    let pulls = DATASETS.len() as u64 - 1;
    let least_ms = context.tenants().len() as u64 * pulls * LATENCY_MS / 2;
    assert!(least_ms > KILLS * LONGEST_MS, "a run could end before it is killed");
    let mut dice = Dice::thrown();
    let done = AtomicBool::new(false);
    let lake = context.lake();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&lake, &done));
        for _ in 0..KILLS {
            let mut running = context.command(&["run"]).spawn().expect("the program under test");
            std::thread::sleep(Duration::from_millis(20 + dice.below(LONGEST_MS - 20)));
            running.kill().expect("a child of this process");
            assert_eq!(tests::Output::of(running).code, None, "a run that had ended was not killed");
        }
        done.store(true, Ordering::Relaxed);
        let seen = watching.join().expect("every file that was seen was whole");
        assert!(seen > 0, "the watcher saw nothing");
    });
    context.platform().set_faults(Vec::new()).expect("no faults are no nonsense");
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.check_whole(&DATASETS);
    context.check_verified();
    let leftovers: Vec<_> = context.lake().leftovers().into_iter().collect();
    assert_eq!(leftovers, Vec::<String>::new());
}

#[test]
fn last_good_what_was_complete_outlives_runs_that_are_killed() {
    let context = slow(8);
    let tenant = &context.tenants()[0];
    assert_eq!(context.run(&["run", "--tenant", &tenant.id]).code, Some(0));
    let files = context.lake().data_files();
    let mut dice = Dice::thrown();
    for _ in 0..5 {
        let mut running = context.command(&["run"]).spawn().expect("the program under test");
        std::thread::sleep(Duration::from_millis(50 + dice.below(300)));
        running.kill().expect("a child of this process");
        let _ = tests::Output::of(running);
        let now = context.lake().data_files();
        assert!(files.iter().all(|file| now.contains(file)), "a committed file is gone");
    }
    // Killed runs leave findings to nobody: what they did not commit is told as uncommitted, not as damage.
    context.check_verified();
}

/// Sends a signal by name.
fn signal(running: &std::process::Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &running.id().to_string()]).status();
    assert!(sent.expect("`kill` is there").success());
}

#[test]
fn verdict_an_interrupted_run_commits_what_is_open_and_says_so() {
    for name in ["-INT", "-TERM"] {
        let context = slow(8);
        let running = context.command(&["run"]).spawn().expect("the program under test");
        while context.platform().journal().total.succeeded + context.platform().journal().total.faulted < 12 {
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&running, name);
        let output = tests::Output::of(running);
        assert_eq!(output.code, Some(130), "{name}: {}", output.stderr);
        assert!(output.stderr.contains("finishing what is in flight"), "{}", output.stderr);
        assert!(output.stderr.contains("interrupted: "), "{}", output.stderr);
        let summary = context.last_run();
        assert_eq!(summary.outcome, "cancelled");
        summary.check_honest();
        for receipt in summary.receipts.iter().filter(|receipt| !receipt.committed) {
            let error = receipt.error.as_deref().unwrap_or_default();
            assert!(error.contains("not begun"), "what had begun was finished: {receipt:?}");
        }
        let committed: u64 = summary.receipts.iter().map(|receipt| receipt.rows_written).sum();
        let there: usize = DATASETS.iter().map(|dataset| context.lake().rows(dataset.name())).sum();
        assert!(committed > 0 && committed == there as u64, "{committed} {there}");
        assert!(context.lake().leftovers().is_empty());
        context.check_verified();

        assert_eq!(context.run(&["run"]).code, Some(0));
        context.check_whole(&DATASETS);
    }
}

#[test]
fn an_interrupt_is_heard_while_the_run_waits_for_another_one() {
    let context = slow(2);
    assert_eq!(context.run(&["run"]).code, Some(0));
    let lock =
        std::fs::File::open(context.lake().root().join("_tenantry/prepare.lock")).expect("it is there");
    lock.lock().expect("nobody holds it");
    let before = context.platform().journal().total.requests;
    let running = context.command(&["run"]).spawn().expect("the program under test");
    std::thread::sleep(Duration::from_millis(500));
    signal(&running, "-INT");
    let output = tests::Output::of(running);
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    assert!(output.stderr.contains("prepare the lake: interrupted"), "{}", output.stderr);
    assert_eq!(context.platform().journal().total.requests, before, "nothing was asked");
}

#[test]
fn verdict_a_second_interrupt_stops_at_once() {
    let stall = FaultRule { after: 6, ..FaultRule::always(Fault::Stall { seconds: 60 }) };
    let context = start(SimulatorConfig { faults: vec![stall], ..small(4) });
    let mut file = context.run_file().of(&DATASETS);
    file.connector = "timeout = \"60s\"\n".to_owned();
    context.write(&file);
    let running = context.command(&["run"]).spawn().expect("the program under test");
    let stalled =
        || context.platform().journal().in_flight > 0 && context.platform().journal().total.requests > 6;
    while !stalled() {
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&running, "-INT");
    // Two signals in one breath are one for the system: the second has to wait for the first to be heard.
    std::thread::sleep(Duration::from_millis(300));
    signal(&running, "-INT");
    let output = tests::Output::of(running);
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    assert!(output.stderr.contains("stopping at once"), "{}", output.stderr);
    context.last_run().check_honest();
    context.check_verified();
}

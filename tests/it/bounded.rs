//! The memory of a run is bounded, however much it reads.

use std::process::Child;
use std::thread;
use std::time::Duration;

use simulator::{Dataset, SimulatorConfig};
use tests::Output;

use crate::start;

/// The most that a run may take, however much it reads, in KiB: a part of what is read here.
const MOST: u64 = 128 << 10;

/// Returns the most memory that a process held at once, in KiB; nothing once it has ended.
fn peak(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Runs, and returns the most memory that it took, in KiB; every tenant has so many records of the dataset.
fn peak_of(platform: SimulatorConfig, dataset: Dataset, records: u32) -> u64 {
    let tenants = platform.tenants;
    let context =
        start(SimulatorConfig { row_counts: [(dataset, records)].into_iter().collect(), ..platform });
    context.write(&context.run_file().of(&[dataset]));
    let mut running = context.command(&["run", "--quiet"]).spawn().expect("the program under test");
    let mut most = 0;
    while running.try_wait().expect("a child of this process").is_none() {
        most = peak(&running).unwrap_or_default().max(most);
        thread::sleep(Duration::from_millis(2));
    }
    let output = Output::of(running);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(context.lake().rows(dataset.name()), tenants * records as usize);
    most
}

#[test]
fn bounded_many_records_take_no_more_memory_than_any_run_may() {
    let peak = peak_of(SimulatorConfig::plain(4), Dataset::Accounts, 250_000);
    assert!((1 << 10..MOST).contains(&peak), "{peak} KiB for 290 MB of JSON");
}

#[test]
fn bounded_many_tenants_take_no_more_memory_than_any_run_may() {
    let peak = peak_of(SimulatorConfig::plain(250), Dataset::Accounts, 2000);
    assert!((1 << 10..MOST).contains(&peak), "{peak} KiB for 145 MB of JSON");
}

/// A first page of each tenant would take ten megabytes.
#[test]
fn bounded_large_records_take_no_more_memory_than_any_run_may() {
    let platform = SimulatorConfig { findings_per_asset: 250, catalogue: 3000, ..SimulatorConfig::plain(32) };
    let peak = peak_of(platform, Dataset::VmAssets, 60);
    assert!((1 << 10..MOST).contains(&peak), "{peak} KiB for 310 MB of JSON");
}

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

/// Runs, and returns the most memory that it took, in KiB.
fn peak_of(tenants: usize, accounts: u32) -> u64 {
    let context = start(SimulatorConfig {
        row_counts: [(Dataset::Accounts, accounts)].into_iter().collect(),
        ..SimulatorConfig::plain(tenants)
    });
    context.write(&context.run_file().of(&[Dataset::Accounts]));
    let mut running = context.command(&["run", "--quiet"]).spawn().expect("the program under test");
    let mut most = 0;
    while running.try_wait().expect("a child of this process").is_none() {
        most = peak(&running).unwrap_or_default().max(most);
        thread::sleep(Duration::from_millis(2));
    }
    let output = Output::of(running);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(context.lake().rows("accounts"), tenants * accounts as usize);
    most
}

#[test]
fn bounded_many_records_take_no_more_memory_than_any_run_may() {
    let peak = peak_of(4, 250_000);
    assert!((1 << 10..MOST).contains(&peak), "{peak} KiB for 290 MB of JSON");
}

#[test]
fn bounded_many_tenants_take_no_more_memory_than_any_run_may() {
    let peak = peak_of(250, 2000);
    assert!((1 << 10..MOST).contains(&peak), "{peak} KiB for 145 MB of JSON");
}

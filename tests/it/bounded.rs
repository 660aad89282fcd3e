//! The memory of a run does not grow with what it reads.

use std::process::Child;
use std::thread;
use std::time::Duration;

use simulator::{Dataset, SimulatorConfig};
use tests::Output;

use crate::start;

/// What allocators, buffers of connections and a busy machine make of it from one run to the next.
const SLACK_KIB: u64 = 24 << 10;

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
fn bounded_ten_times_the_records_take_no_more_memory() {
    let (once, ten_times) = (peak_of(4, 20_000), peak_of(4, 200_000));
    assert!(once > 1 << 10 && ten_times < once + SLACK_KIB, "{once} KiB, then {ten_times} KiB");
}

#[test]
fn bounded_ten_times_the_tenants_take_no_more_memory() {
    let (once, ten_times) = (peak_of(12, 4000), peak_of(120, 4000));
    assert!(once > 1 << 10 && ten_times < once + SLACK_KIB, "{once} KiB, then {ten_times} KiB");
}

//! The tests of the program as a whole, one file for each kind of thing that may be relied on.

mod bounded;
mod budget;
mod cli;
mod fairness;
mod faults;
mod incremental;
mod isolation;
mod keys;
mod killed;
mod lake;
mod proof;
mod readers;
mod rejects;
mod run;
mod secrecy;
mod steps;
mod tenants;
mod tls;
mod verdicts;
mod year;

use simulator::{Dataset, SimulatorConfig};
use tests::Context;

/// Starts a platform, and the program beside it.
fn start(config: SimulatorConfig) -> Context {
    Context::start(env!("CARGO_BIN_EXE_under-test"), config)
}

/// Returns a platform of equal tenants with a few pages of everything.
fn small(tenants: usize) -> SimulatorConfig {
    let counts = [
        (Dataset::Investigations, 130),
        (Dataset::Alerts, 120),
        (Dataset::Users, 60),
        (Dataset::Accounts, 40),
        (Dataset::Assets, 30),
        (Dataset::VmAssets, 25),
        (Dataset::VmScans, 12),
    ];
    SimulatorConfig {
        row_counts: counts.into_iter().collect(),
        catalogue: 40,
        findings_per_asset: 3,
        history_days: 30,
        ..SimulatorConfig::plain(tenants)
    }
}

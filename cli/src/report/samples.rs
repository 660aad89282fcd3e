//! Receipts and summaries to tell of.

use pipeline::batch::Counts;
use pipeline::run::{Outcome, RunSummary};
use pipeline::{Receipt, Tenant, Timestamp, Verdict};

fn at(second: u32) -> Timestamp {
    format!("2026-11-24T03:00:{second:02}Z").parse().expect("an instant")
}

/// A receipt of ten records where it is complete, and of a reason where it isn't good.
pub(crate) fn receipt(tenant: &str, region: &str, dataset: &str, verdict: Verdict) -> Receipt {
    let rows = if verdict == Verdict::Complete { 10 } else { 0 };
    let asked = !matches!(verdict, Verdict::UpToDate);
    let whose = Tenant {
        id: tenant.parse().expect("an id"),
        name: tenant.to_uppercase(),
        region: None,
        external_id: None,
    };
    Receipt {
        verdict,
        committed: matches!(verdict, Verdict::Complete | Verdict::Empty | Verdict::Drifted | Verdict::Failed),
        claimed_first: asked.then_some(rows),
        claimed_last: asked.then_some(rows),
        pages: u64::from(asked),
        bytes: rows * 1024,
        requests: u64::from(asked),
        passes: u64::from(asked),
        counts: Counts { read: rows, ..Counts::default() },
        rows_written: rows,
        finished_at: at(2),
        key_fingerprint: "f52fbd32b2b3".to_owned(),
        version: "0.1.0".to_owned(),
        error: (!verdict.is_good()).then(|| format!("read {dataset}: the platform refused")),
        hint: (!verdict.is_good()).then(|| "ask for the right".to_owned()),
        ..Receipt::of_nothing(&whose, region.parse().expect("a region"), dataset, at(0))
    }
}

/// The receipt of a tenant without a region.
pub(crate) fn unplaced() -> Receipt {
    receipt("t9", "unknown", "users", Verdict::Failed)
}

/// A run of one tenant with a dataset for each verdict.
pub(crate) fn summary(verdicts: &[Verdict]) -> RunSummary {
    let receipts = verdicts.iter().map(|verdict| receipt("t1", "eu", "users", *verdict)).collect();
    RunSummary {
        schema_version: RunSummary::SCHEMA_VERSION,
        run_id: "r1".to_owned(),
        started_at: at(0),
        finished_at: at(5),
        outcome: Outcome::Complete,
        replay: false,
        tenants: 1,
        error: None,
        ended_by: None,
        receipts,
    }
}

/// A run of three tenants in two regions, two of which are not whole.
pub(crate) fn mixed() -> RunSummary {
    let mut mixed = summary(&[]);
    mixed.outcome = Outcome::Incomplete;
    mixed.tenants = 3;
    mixed.receipts = vec![
        receipt("t1", "eu", "users", Verdict::Complete),
        receipt("t2", "eu", "users", Verdict::Forbidden),
        receipt("t3", "us", "users", Verdict::Complete),
        receipt("t1", "eu", "vm_assets", Verdict::Empty),
        receipt("t2", "eu", "vm_assets", Verdict::Unavailable),
        receipt("t3", "us", "vm_assets", Verdict::UpToDate),
    ];
    mixed
}

//! What a run came to, for people: a table of what was read, and a list of what somebody has to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pipeline::run::{Outcome, RunSummary};
use pipeline::{Receipt, TenantId, Verdict};

use crate::args::LogFormat;
use crate::console::Console;
use crate::table::{bytes, count, several, span, table};

#[cfg(test)]
pub(crate) mod samples;

/// Returns the table of a run: a line for each region and dataset, and their sum.
///
/// Of datasets that one reading fills (`pull_of` names it), the first shows its cost.
pub(crate) fn by_region(summary: &RunSummary, pull_of: impl Fn(&str) -> String) -> String {
    let mut lines: BTreeMap<(&str, &str), Line> = BTreeMap::new();
    let mut readings = BTreeSet::new();
    let mut sum = Line::default();
    for receipt in &summary.receipts {
        let first = readings.insert((&receipt.organization_id, pull_of(&receipt.dataset)));
        lines.entry((receipt.region.as_str(), &receipt.dataset)).or_default().add(receipt, first);
        sum.add(receipt, first);
    }
    let mut rows: Vec<_> = lines.iter().map(|((region, dataset), line)| line.row(region, dataset)).collect();
    if rows.len() > 1 {
        rows.push(sum.row("all", ""));
    }
    table(&["region", "dataset", "#good", "#of", "#rows", "#read", "#set aside", "#requests"], rows)
}

/// The sums of one line.
#[derive(Default)]
struct Line {
    good: u64,
    all: u64,
    rows: u64,
    bytes: u64,
    rejects: u64,
    requests: u64,
    has_cost: bool,
}

impl Line {
    fn add(&mut self, receipt: &Receipt, with_cost: bool) {
        self.good += u64::from(receipt.verdict.is_good());
        self.all += 1;
        self.rows += if receipt.committed { receipt.rows_written } else { 0 };
        self.rejects += receipt.counts.rejects;
        self.has_cost |= with_cost;
        if with_cost {
            self.bytes += receipt.bytes;
            self.requests += receipt.requests;
        }
    }

    fn row(&self, region: &str, dataset: &str) -> Vec<String> {
        let cost = |told: String| if self.has_cost { told } else { "-".to_owned() };
        [
            region.to_owned(),
            dataset.to_owned(),
            count(self.good),
            count(self.all),
            count(self.rows),
            cost(bytes(self.bytes)),
            count(self.rejects),
            cost(count(self.requests)),
        ]
        .into()
    }
}

/// Tells what was not good: to people a block for each reason, to a log in JSON a line for each tenant's dataset.
pub(crate) fn tell_problems<'a>(receipts: impl Iterator<Item = &'a Receipt>, console: &Console) {
    match console.log_format {
        LogFormat::Text => {
            let blocks = problems(receipts);
            if !blocks.is_empty() {
                console.words(&format!("\n{}\n", blocks.join("\n")));
            }
        }
        LogFormat::Json => {
            for receipt in receipts {
                let Receipt { organization_id, organization_name, region, dataset, verdict, hint, .. } =
                    receipt;
                let error = Reason::of(receipt).error;
                let more = serde_json::json!({
                    "organization_id": organization_id, "organization_name": organization_name,
                    "region": region, "dataset": dataset, "verdict": verdict, "hint": hint,
                });
                console.record("ERROR", &format!("{verdict}: {error}"), &more);
            }
        }
    }
}

/// Returns the tenants and datasets that are not good, a block for each reason.
///
/// Forty tenants refused for one reason are one reason with forty names, not forty reasons.
fn problems<'a>(receipts: impl Iterator<Item = &'a Receipt>) -> Vec<String> {
    let mut reasons: BTreeMap<Reason, Vec<&Receipt>> = BTreeMap::new();
    for receipt in receipts {
        reasons.entry(Reason::of(receipt)).or_default().push(receipt);
    }
    reasons.iter().map(|(reason, receipts)| reason.block(receipts)).collect()
}

/// Why something is not good.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Reason<'a> {
    verdict: Verdict,
    error: &'a str,
    hint: Option<&'a str>,
}

impl<'a> Reason<'a> {
    fn of(receipt: &'a Receipt) -> Self {
        let error = receipt.error.as_deref().unwrap_or("no reason was given");
        Self { verdict: receipt.verdict, error, hint: receipt.hint.as_deref() }
    }

    fn block(&self, receipts: &[&Receipt]) -> String {
        /// More lines than this are better read as JSON.
        const SHOWN: usize = 10;
        let mut text = format!("{}: {}", self.verdict, self.error);
        let mut tenants: BTreeMap<&TenantId, (&Receipt, Vec<&str>)> = BTreeMap::new();
        for receipt in receipts {
            tenants.entry(&receipt.organization_id).or_insert((receipt, Vec::new())).1.push(&receipt.dataset);
        }
        for (receipt, datasets) in tenants.values().take(SHOWN) {
            let Receipt { organization_name: name, organization_id: id, region, .. } = receipt;
            text.push_str(&format!("\n  {name} ({id}) in {region}: {}", datasets.join(", ")));
        }
        if tenants.len() > SHOWN {
            text.push_str(&format!("\n  and {}", several((tenants.len() - SHOWN) as u64, "more tenant")));
        }
        if let Some(hint) = self.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        text
    }
}

/// Returns where to look for the records that fit no column; nothing where there are none.
pub(crate) fn set_aside(summary: &RunSummary) -> Option<String> {
    let committed = summary.receipts.iter().filter(|receipt| receipt.committed);
    let rejects: u64 = committed.map(|receipt| receipt.counts.rejects).sum();
    (rejects > 0)
        .then(|| format!("{} set aside: `tenantry rejects list` says why", several(rejects, "record")))
}

/// Returns the sentence that a run ends with.
pub(crate) fn verdict(summary: &RunSummary) -> String {
    let took = (summary.finished_at - summary.started_at).to_std().unwrap_or(Duration::ZERO);
    let rows: u64 = summary.receipts.iter().filter(|it| it.committed).map(|it| it.rows_written).sum();
    let bad = summary.not_good().count() as u64;
    let came_to = match summary.outcome {
        Outcome::Complete if !summary.committed_anything() => "everything was up to date".to_owned(),
        Outcome::Complete => format!("complete: {} committed", several(rows, "row")),
        Outcome::Incomplete => format!(
            "incomplete: {} committed, {} of {} to look at",
            several(rows, "row"),
            count(bad),
            several(summary.receipts.len() as u64, "receipt")
        ),
        Outcome::Cancelled => {
            format!("interrupted: {} committed; the same command takes up the rest", several(rows, "row"))
        }
        Outcome::Failed => {
            format!("ended early: {} committed; the same command takes up the rest", several(rows, "row"))
        }
    };
    format!("{came_to} ({}, {}, run {})", several(summary.tenants, "tenant"), span(took), summary.run_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_region_and_dataset() {
        let summary = samples::mixed();
        insta::assert_snapshot!(by_region(&summary, str::to_owned), @r"
        region  dataset    good  of  rows      read  set aside  requests
        eu      users         1   2    10  10.0 KiB          0         2
        eu      vm_assets     1   2     0       0 B          0         2
        us      users         1   1    10  10.0 KiB          0         1
        us      vm_assets     1   1     0       0 B          0         0
        all                   4   6    20  20.0 KiB          0         5
        ");
        insta::assert_snapshot!(problems(summary.not_good()).join("\n"), @r"
        forbidden: read users: the platform refused
          T2 (t2) in eu: users
          hint: ask for the right
        unavailable: read vm_assets: the platform refused
          T2 (t2) in eu: vm_assets
          hint: ask for the right
        ");
        insta::assert_snapshot!(
            verdict(&summary),
            @"incomplete: 20 rows committed, 2 of 6 receipts to look at (3 tenants, 5.0 s, run r1)"
        );
    }

    #[test]
    fn one_reading_of_two_datasets_costs_once() {
        let table = by_region(&samples::mixed(), |_| "both".to_owned());
        let costs: Vec<&str> = table.lines().skip(1).filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(costs, ["2", "-", "1", "-", "3"], "{table}");
    }

    #[test]
    fn many_tenants_with_one_reason_are_one_block() {
        let receipts: Vec<Receipt> = (0..14)
            .map(|n| samples::receipt(&format!("t{n:02}"), "eu", "users", Verdict::Forbidden))
            .collect();
        let text = problems(receipts.iter()).join("\n");
        assert_eq!(text.matches("forbidden").count(), 1, "{text}");
        assert!(text.contains("and 4 more tenants"), "{text}");
    }

    #[test]
    fn a_good_run_has_no_problems() {
        let summary = samples::summary(&[Verdict::Complete, Verdict::Empty, Verdict::UpToDate]);
        assert!(problems(summary.not_good()).is_empty());
        assert!(
            verdict(&summary).starts_with("complete: 10 rows committed (1 tenant, "),
            "{}",
            verdict(&summary)
        );
        let nothing = samples::summary(&[Verdict::UpToDate]);
        assert!(verdict(&nothing).starts_with("everything was up to date"), "{}", verdict(&nothing));
    }
}

//! The report as one HTML page: no script, nothing to fetch, made for paper as well as for the screen.

use chrono::{NaiveDate, TimeDelta};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pipeline::Timestamp;

use super::coverage::{Gap, Reason};
use super::{DatasetReport, Reading, Report, TenantReport};
use crate::table::{count, several};

const STYLE: &str = include_str!("report.css");

/// Returns the page; every text from outside is escaped.
pub(crate) fn page(report: &Report) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Compliance report " (report.month) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(report))
                (summary(report))
                @for tenant in &report.tenants { (of_tenant(tenant)) }
                (runs(report))
                (hashes(report))
                footer {
                    "Made by tenantry " (report.version) " at " (minute(report.made_at)) " UTC. All times are UTC. "
                    "The hashes are checked with " code { "tenantry verify" } "."
                }
            }
        }
    }
    .into_string()
}

fn head(report: &Report) -> Markup {
    html! {
        header {
            h1 { "Compliance report " (report.month) }
            p.lead {
                "What was read of each tenant and dataset from " (minute(report.span.since)) " to "
                (minute(report.span.until)) @if !report.is_over { " (the month is not over)" } ", and what was not."
            }
            dl {
                dt { "Lake" } dd { code { (report.lake) } }
                dt { "Runs" } dd { (count(report.runs.len() as u64)) " sealed" }
                dt { "Records" } dd {
                    @if report.is_sound() {
                        span.good { "whole" }
                        ": every run record and commit record of the lake was checked when this report was made"
                    } @else {
                        span.bad { (several(report.findings.len() as u64, "finding")) }
                        ": the records are not as they were written, and this report is to be read with that in mind"
                    }
                }
            }
        }
        @if !report.is_sound() {
            section {
                h2 { "Findings" }
                table {
                    thead { tr { th { "file" } th { "what is wrong" } } }
                    tbody {
                        @for finding in &report.findings {
                            tr { td { code { (finding.path) } } td { (finding.sentence) } }
                        }
                    }
                }
            }
        }
    }
}

fn summary(report: &Report) -> Markup {
    let (whole, all) = report.whole();
    html! {
        section {
            h2 { "In short" }
            @if report.is_empty() {
                p { "Nothing was read in this month: no run began in it, and no commit covers a part of it." }
            } @else {
                p {
                    (count(whole)) " of " (several(all, "dataset")) " of " (several(report.tenants.len() as u64, "tenant"))
                    " are covered without a gap."
                }
                @if report.unsealed > 0 {
                    p { (several(report.unsealed, "commit")) " of the lake are not covered by a run record yet." }
                }
            }
            @if !report.tenants.is_empty() {
                table {
                    thead { tr { th { "tenant" } th { "region" } th.number { "datasets" } th.number { "without a gap" }
                        th.number { "rows" } th.number { "set aside" } } }
                    tbody { @for tenant in &report.tenants { (short(tenant)) } }
                }
            }
        }
    }
}

fn short(tenant: &TenantReport) -> Markup {
    let whole = tenant.datasets.iter().filter(|it| it.is_whole()).count();
    let all = tenant.datasets.len();
    html! {
        tr {
            td { a href={ "#" (anchor(tenant)) } { (tenant.organization_name) } br; small { (tenant.organization_id) } }
            td { (regions(tenant)) }
            td.number { (count(all as u64)) }
            td.number { span class=(if whole == all && all > 0 { "good" } else { "bad" }) { (count(whole as u64)) } }
            td.number { (count(tenant.datasets.iter().map(|it| it.rows).sum())) }
            td.number { (count(tenant.datasets.iter().map(|it| it.rejects).sum())) }
        }
    }
}

fn of_tenant(tenant: &TenantReport) -> Markup {
    html! {
        section.tenant id=(anchor(tenant)) {
            h2 { (tenant.organization_name) " " small { (tenant.organization_id) " · " (regions(tenant)) } }
            @if tenant.datasets.is_empty() {
                p { "Nothing was asked of this tenant in this month, and no commit covers a part of it." }
            } @else {
                table {
                    thead { tr { th { "dataset" } th { "covered" } th { "gaps, and why" } th { "fresh through" }
                        th.number { "rows" } th.number { "set aside" } } }
                    tbody { @for dataset in &tenant.datasets { (of_dataset(dataset)) } }
                }
            }
        }
    }
}

fn of_dataset(dataset: &DatasetReport) -> Markup {
    html! {
        tr {
            td { code { (dataset.dataset) } br; small { (how(dataset.reading)) } }
            td { (covered(dataset)) }
            td {
                @if dataset.gaps.is_empty() { span.good { "none" } }
                @for gap in &dataset.gaps { (of_gap(gap, dataset.reading)) }
            }
            td { @match dataset.fresh_through { Some(at) => (minute(at)), None => "never" } }
            td.number {
                (count(dataset.rows))
                @if dataset.unchanged > 0 { br; small { (count(dataset.unchanged)) " unchanged" } }
                @if dataset.later > 0 { br; small { (count(dataset.later)) " left for the next window" } }
            }
            td.number { (count(dataset.rejects)) }
        }
    }
}

fn how(reading: Reading) -> &'static str {
    match reading {
        Reading::Windows => "by time",
        Reading::Snapshots => "as a whole",
        Reading::Unknown => "not read",
    }
}

fn covered(dataset: &DatasetReport) -> Markup {
    html! {
        @match dataset.reading {
            Reading::Windows => @for window in &dataset.covered { div { (minute(window.since)) " to " (minute(window.until)) } },
            Reading::Snapshots => {
                (several(dataset.snapshots.len() as u64, "snapshot"))
                @for (first, last) in days(&dataset.snapshots.iter().copied().collect::<Vec<_>>()) {
                    div { @if first == last { (first) } @else { (first) " to " (last) } }
                }
            },
            Reading::Unknown => span.bad { "nothing" },
        }
        @for (verdict, commits) in &dataset.doubtful {
            div.bad { (several(*commits, "commit")) " " (verdict) }
        }
    }
}

/// Returns days that follow each other as their first and last.
fn days(days: &[NaiveDate]) -> Vec<(NaiveDate, NaiveDate)> {
    let mut spans: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    for day in days {
        match spans.last_mut() {
            Some((_, last)) if *last + TimeDelta::days(1) == *day => *last = *day,
            _ => spans.push((*day, *day)),
        }
    }
    spans
}

fn of_gap(gap: &Gap, reading: Reading) -> Markup {
    html! {
        div.gap {
            span.bad {
                @if reading == Reading::Snapshots {
                    @let last = (gap.until - TimeDelta::microseconds(1)).date_naive();
                    @if gap.since.date_naive() == last { (last) } @else { (gap.since.date_naive()) " to " (last) }
                } @else {
                    (minute(gap.since)) " to " (minute(gap.until))
                }
            }
            @if gap.reasons.is_empty() { ": no run asked for it" }
            @for reason in &gap.reasons { (of_reason(reason)) }
        }
    }
}

fn of_reason(reason: &Reason) -> Markup {
    html! {
        div.reason {
            b { (reason.verdict) }
            @if let Some(error) = &reason.error { ": " (error) }
            " (" (several(reason.runs.len() as u64, "run")) ")"
        }
    }
}

fn runs(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Runs" }
            @if report.runs.is_empty() {
                p { "No run began in this month." }
            } @else {
                p { "Each root stands for what the run came to, for the commits it covers, and for the run record before it." }
                table.runs {
                    thead { tr { th.number { "record" } th { "began" } th { "ended" } th { "came to" } th.number { "commits" } th { "run, root and signature" } } }
                    tbody { @for run in &report.runs {
                        tr {
                            td.number { (run.sequence) }
                            td { (minute(run.started_at)) }
                            td { (minute(run.finished_at)) }
                            td { @if run.replay { "replay of rejects: " } (outcome(run.outcome)) @if let Some(error) = &run.error { ": " (error) } }
                            td.number { (count(run.commits)) @if run.adopted > 0 { br; small { (count(run.adopted)) " adopted" } } }
                            td { small { (run.run_id) } br; code.hash { (run.root) }
                                br; small { @match &run.signed_by { Some(key) => { "signed with the key " (key) }, None => "not signed" } } }
                        }
                    } }
                }
            }
        }
    }
}

fn outcome(outcome: pipeline::run::Outcome) -> &'static str {
    use pipeline::run::Outcome;
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Incomplete => "incomplete",
        Outcome::Cancelled => "interrupted",
        Outcome::Failed => "ended early",
    }
}

fn hashes(report: &Report) -> Markup {
    let mut seen = std::collections::BTreeSet::new();
    let commits: Vec<_> = report
        .tenants
        .iter()
        .flat_map(|tenant| {
            tenant.datasets.iter().flat_map(move |it| it.commits.iter().map(move |commit| (tenant, commit)))
        })
        .filter(|(tenant, commit)| seen.insert((&tenant.organization_id, &commit.pull, commit.sequence)))
        .collect();
    html! {
        @if !commits.is_empty() {
            section {
                h2 { "Commits" }
                p { "Each hash is that of a commit record, which names every data file with its own hash." }
                table.commits {
                    thead { tr { th { "tenant" } th { "pull" } th.number { "commit" } th { "made" } th.number { "run record" } th { "hash" } } }
                    tbody { @for (tenant, commit) in commits {
                        tr {
                            td { (tenant.organization_name) }
                            td { code { (commit.pull) } }
                            td.number { (commit.sequence) }
                            td { (minute(commit.committed_at)) }
                            td.number { @match commit.run_record { Some(record) => (record), None => "none yet" } }
                            td { code.hash { (commit.sha256) } }
                        }
                    } }
                }
            }
        }
    }
}

fn anchor(tenant: &TenantReport) -> String {
    format!("tenant-{}", tenant.organization_id)
}

fn regions(tenant: &TenantReport) -> String {
    let regions: Vec<&str> = tenant.regions.iter().map(pipeline::Region::as_str).collect();
    if regions.is_empty() { "no region".to_owned() } else { regions.join(", ") }
}

/// Returns an instant to the minute, on one line.
fn minute(at: Timestamp) -> Markup {
    html! { span.time { (at.format("%Y-%m-%d %H:%M")) } }
}

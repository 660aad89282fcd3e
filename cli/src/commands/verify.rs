//! `tenantry verify`: the lake against its receipts, offline.

use pipeline::Result;
use sinks::{Finding, Garbage, PublicKey, SinkConfig, VerifyOptions, VerifyProgress, VerifyReport};

use super::Context;
use crate::args::{Narrow, Verify};
use crate::console::Console;
use crate::exit_code;
use crate::progress::Watch;
use crate::table::{bytes, count, instant, several};

pub(super) fn verify(args: &Verify, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    if args.gc {
        return gc(args, &settings.sink, &context.console);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = VerifyOptions {
        threads: args.threads.map_or(cores, usize::from),
        root: args.root.clone(),
        public_keys: args.public_keys.iter().map(|path| PublicKey::read(path)).collect::<Result<_>>()?,
    };
    let console = &context.console;
    let watch = Watch::new(console);
    let report = settings.sink.verify(&options, &|progress| show(&watch, &progress));
    watch.end();
    let report = report?;
    if console.json {
        console.json(&report)?;
    } else {
        console.data(&told(&report))?;
    }
    Ok(if report.is_good() { exit_code::OK } else { exit_code::SINK })
}

fn show(watch: &Watch, progress: &VerifyProgress) {
    watch.show(progress.bytes, progress.bytes_total, || {
        let (files, read) = (count(progress.files), bytes(progress.bytes));
        format!("{files} of {} files, {read} of {}", count(progress.files_total), bytes(progress.bytes_total))
    });
}

fn told(report: &VerifyReport) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(finding).collect();
    if !report.leftovers.is_empty() {
        let files = several(report.leftovers.len() as u64, "uncommitted file");
        lines.push(format!("{files} of a run that works or was killed: the next run clears them away"));
    }
    if !report.unsealed.is_empty() {
        let commits = several(report.unsealed.len() as u64, "commit");
        lines.push(format!("{commits} that no run record covers yet: the next run that ends adopts them"));
    }
    if let (Some(first), Some(last)) = (report.unsigned.first(), report.unsigned.last()) {
        let runs = several(report.unsigned.len() as u64, "run record");
        lines.push(format!("{runs} not signed, of the time before signing began: {first} to {last}"));
    }
    let came_to = match report.findings.len() {
        0 => "everything is as the receipts say".to_owned(),
        findings => several(findings as u64, "finding"),
    };
    lines.push(format!(
        "{}, {}, {} checked in {} and {}: {came_to}",
        several(report.files, "file"),
        several(report.rows, "row"),
        bytes(report.bytes),
        several(report.commits, "commit"),
        several(report.runs, "run record"),
    ));
    if let Some(run) = &report.newest_run {
        let signed =
            run.signed_by.as_ref().map_or_else(String::new, |key| format!(", signed with the key {key}"));
        lines.push(format!(
            "newest run: {} (record {}), ended {}{signed}",
            run.run_id,
            run.sequence,
            instant(run.finished_at)
        ));
        lines.push(format!("root: {}", run.root));
    }
    lines.join("\n")
}

/// Returns a finding on a line: where, whose, and what is wrong.
fn finding(finding: &Finding) -> String {
    match &finding.tenant {
        Some(tenant) => format!("{}: tenant {tenant}: {}", finding.path, finding.sentence),
        None => format!("{}: {}", finding.path, finding.sentence),
    }
}

/// Lists what no commit names and, where that is wanted, removes it.
fn gc(args: &Verify, sink: &SinkConfig, console: &Console) -> Result<u8> {
    let found = sink.find_garbage()?;
    let may_remove = !found.is_empty() && found.findings.is_empty();
    let removes = may_remove && (args.yes || asked(&found, console)?);
    let garbage = if removes { sink.remove_garbage()? } else { found };
    if console.json {
        console.json(&serde_json::json!({ "removed": removes, "garbage": garbage }))?;
    } else {
        console.data(&told_garbage(&garbage, removes))?;
    }
    if !garbage.findings.is_empty() {
        console.warn("the records are not whole, so nothing may be removed: `tenantry verify` tells more");
        return Ok(exit_code::SINK);
    }
    if may_remove && !removes {
        console.say("nothing was removed: `tenantry verify --gc --yes` does it");
    }
    Ok(exit_code::OK)
}

/// Shows a person at the terminal what would be removed, and asks; nobody else is asked, and nobody else agrees.
fn asked(garbage: &Garbage, console: &Console) -> Result<bool> {
    if !console.can_ask() {
        return Ok(false);
    }
    console.data(&told_garbage(garbage, false))?;
    console.confirm("remove it")
}

fn told_garbage(garbage: &Garbage, removed: bool) -> String {
    let mut lines: Vec<String> = garbage.findings.iter().map(finding).collect();
    lines.extend(
        garbage.foreign.iter().map(|path| format!("{path}: not of this program's making, and left alone")),
    );
    let fate = if removed { "removed" } else { "no commit names it" };
    lines.extend(garbage.files.iter().map(|path| format!("{path}: {fate}")));
    let fate = if removed { "its uncommitted work was removed" } else { "it died and left uncommitted work" };
    lines.extend(garbage.dead_runs.iter().map(|run| format!("run {run}: {fate}")));
    lines.push(if garbage.is_empty() {
        "nothing is left that no commit names".to_owned()
    } else {
        format!(
            "{} and {}, {} {}",
            several(garbage.files.len() as u64, "file"),
            several(garbage.dead_runs.len() as u64, "dead run"),
            bytes(garbage.bytes),
            if removed { "removed" } else { "in all" }
        )
    });
    lines.join("\n")
}

//! `tenantry run`: the work.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use config::Settings;
use pipeline::run::{Outcome, RunContext, RunSummary};
use pipeline::{Clock, Connector, Cores, Region, Result, Sink};
use sinks::{Changes, Moved};
use tokio::time::{MissedTickBehavior, interval};

use super::Context;
use crate::args::RunArgs;
use crate::console::Console;
use crate::interrupt::{Brakes, Interrupts};
use crate::jobs::Work;
use crate::progress::Progress;
use crate::table::several;
use crate::{exit_code, failure, platform, report, unplaced};

pub(super) async fn run(args: &RunArgs, context: &Context) -> Result<u8> {
    let settings = context.settings_of_run(args)?;
    let connector = platform::connect(&settings, context).await?;
    let summary = work_off(&settings, connector, context).await?;
    tell(&summary, &context.console)?;
    Ok(exit_code::of_run(&summary))
}

/// Does the whole work of a run and returns what it came to, already kept in the sink.
///
/// # Errors
/// Where it cannot begin: the sink cannot be written, or the tenants cannot be listed or chosen.
pub(super) async fn work_off(
    settings: &Settings,
    connector: Arc<dyn Connector>,
    context: &Context,
) -> Result<RunSummary> {
    let console = &context.console;
    let mut interrupts = Interrupts::listen()?;
    let run_id = context.run_id();
    let sink = settings.sink.open()?;
    // Before anything is asked: a disk that is full or forbidden is found out without spending a request.
    tokio::select! {
        prepared = sink.prepare(&run_id) => prepared?,
        () = interrupts.next() => return Err(interrupted("prepare the lake")),
    }
    let listed = tokio::select! {
        listed = platform::tenants(settings, connector.as_ref(), console) => listed?,
        () = interrupts.next() => return Err(interrupted("list the tenants")),
    };
    let work = Work::new(settings, listed.clone(), connector.account())?;
    // Before any of them is asked for data: who moved is asked elsewhere from now on.
    let changes = settings.sink.tenants()?.changes(&listed);
    tell_changes(&changes, console);
    sink.record_tenants(&listed).await?;
    let clock = platform::clock(&context.clock, connector.as_ref(), console);
    for warning in &work.warnings {
        console.warn(warning);
    }
    announce(&work, console);
    let brakes = Brakes::default();
    let mut progress = Progress::new(console);
    let running = RunContext {
        connector: connector.clone(),
        sink: sink.clone(),
        clock: clock.clone(),
        events: progress.events(),
        run_id,
        version: crate::VERSION.to_owned(),
        cores: Cores::of_this_machine(),
        open_partitions: settings.concurrency.get() as usize,
        wind_down: brakes.wind_down.clone(),
        stop: brakes.stop.clone(),
    };
    let mut tick = interval(progress.every());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut summary = {
        let mut running = pin!(pipeline::run::run(work.jobs.clone(), running));
        loop {
            tokio::select! {
                summary = &mut running => break summary,
                _ = tick.tick() => progress.show(&connector.budgets()),
                () = interrupts.next() => brakes.pull(console),
            }
        }
    };
    progress.end();
    add_unplaced(&mut summary, &work, connector.as_ref(), clock.as_ref());
    keep(&summary, sink.as_ref(), console).await;
    Ok(summary)
}

/// Returns the error of a run that is interrupted before it began to work.
pub(super) fn interrupted(what: &str) -> pipeline::Error {
    pipeline::Error::new(pipeline::ErrorKind::Cancelled, format!("{what}: interrupted"))
}

fn announce(work: &Work, console: &Console) {
    let regions = work.tenants();
    let tenants: usize = regions.values().map(BTreeSet::len).sum();
    let datasets = several(work.jobs.iter().map(|job| job.datasets.len() as u64).sum(), "dataset");
    console.say(&match tenants {
        0 if !work.jobs.is_empty() => format!("{datasets} of the account itself to pull"),
        _ => format!(
            "{} in {}, {datasets} to pull",
            several(tenants as u64, "tenant"),
            several(regions.len() as u64, "region")
        ),
    });
}

/// Tells who left and who moved; who joined or has another name needs nobody's attention.
fn tell_changes(changes: &Changes, console: &Console) {
    for known in &changes.left {
        console
            .warn(&format!("{} ({}) is no longer listed; its data stays in the lake", known.name, known.id));
    }
    for Moved { tenant, from } in &changes.moved {
        let place = |region: &Option<Region>| region.as_ref().map_or("no region", Region::as_str).to_owned();
        let (from, to) = (place(from), place(&tenant.region));
        console.warn(&format!(
            "{} ({}) moved from {from} to {to}: it is asked there from now on; what was read before stays where it is",
            tenant.name, tenant.id
        ));
    }
}

/// Adds the tenants that nothing could be asked of, and what else the list held: they are part of what the run came to.
fn add_unplaced(summary: &mut RunSummary, work: &Work, connector: &dyn Connector, clock: &dyn Clock) {
    let of_list = unplaced::of_list(connector, clock);
    if work.unplaced.is_empty() && of_list.is_empty() {
        return;
    }
    summary.tenants += work.unplaced.len() as u64;
    summary.receipts.extend(unplaced::receipts(work, &connector.key_fingerprint(), clock));
    summary.receipts.extend(of_list);
    if summary.outcome == Outcome::Complete {
        summary.outcome = Outcome::Incomplete;
    }
}

/// Keeps the summary in the sink; where that fails, the data is committed all the same.
async fn keep(summary: &RunSummary, sink: &dyn Sink, console: &Console) {
    if let Err(error) = sink.record_run(summary).await {
        console.warn(&format!("the summary could not be kept: {}", error.chain()));
    }
}

/// Tells what a run came to.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn tell(summary: &RunSummary, console: &Console) -> Result<()> {
    if console.json {
        console.json(summary)?;
    } else {
        let known = connectors::rapid7::datasets::all();
        let pull_of = |name: &str| {
            known.iter().find(|dataset| dataset.name == name).map_or(name, |dataset| dataset.pull).to_owned()
        };
        console.data(&report::by_region(summary, pull_of))?;
    }
    if let Some(error) = &summary.ended_by {
        failure::tell(error, console);
    } else if !console.json {
        report::tell_problems(summary.not_good(), console);
    }
    if let Some(set_aside) = report::set_aside(summary) {
        console.warn(&set_aside);
    }
    console.say(&report::verdict(summary));
    Ok(())
}

//! `tenantry rejects`: the records that were set aside, and taking them up again. Both ask the platform nothing.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::Settings;
use futures::StreamExt;
use pipeline::rejects::{Backlog, Choice, Kept, Unreadable, Waiting};
use pipeline::run::{Became, Events, Replay, RunContext, RunEvent};
use pipeline::{Cores, Error, ErrorKind, Result, Sink, Tenant, TenantId, Timestamp};
use serde::Serialize;

use super::run::interrupted;
use super::{Context, known};
use crate::args::{Chosen, Narrow, RejectsArgs};
use crate::interrupt::{Brakes, Interrupts};
use crate::platform::on_one_line;
use crate::progress::Watch;
use crate::table::{count, instant, several, table};
use crate::{exit_code, failure};

/// What of a raw text is shown: enough to recognize a record by.
const SAMPLE: usize = 120;

pub(super) async fn rejects(args: &RejectsArgs, context: &Context) -> Result<u8> {
    match args {
        RejectsArgs::List(chosen) => list(chosen, context).await,
        RejectsArgs::Replay(chosen) => replay(chosen, context).await,
    }
}

/// Records of one tenant's dataset that wait for the same reason.
#[derive(Debug, Serialize)]
struct Line {
    organization_id: TenantId,
    organization_name: String,
    dataset: String,
    /// The column whose value did not fit; empty where it is the whole record.
    column: String,
    reason: String,
    records: u64,
    first_pulled_at: Timestamp,
    last_pulled_at: Timestamp,
    /// The beginning of the first one's text.
    sample: String,
}

async fn list(chosen: &Chosen, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let sink = settings.sink.open()?;
    let Backlog { waiting, unreadable } = sink.backlog().await?;
    let choice = choice(chosen, &waiting, &settings)?;
    let known = config::catalogue(&settings.connector);
    let is_meant = |it: &Unreadable| choice.takes_pull(&it.tenant, &it.pull, &known);
    let mut unread: Vec<_> = unreadable.into_iter().filter(is_meant).map(|it| it.error).collect();
    let mut lines = BTreeMap::new();
    for waiting in waiting.iter().filter(|waiting| choice.takes_of(waiting)) {
        if let Err(error) = read(waiting, sink.as_ref(), &choice, &mut lines).await {
            unread.push(error.with_context("tenant", format!("{} ({})", waiting.name, waiting.tenant)));
        }
    }
    let console = &context.console;
    // What is wrong with one file is no reason to tell nothing of the others.
    let told = || failure::tell_each(&unread, console);
    if console.json {
        console.json(&lines.values().collect::<Vec<_>>())?;
        return Ok(told());
    }
    if lines.is_empty() {
        if unread.is_empty() {
            console.say(nothing(&waiting));
        }
        return Ok(told());
    }
    let rows = lines.values().map(Line::row).collect();
    let columns =
        ["tenant", "id", "dataset", "column", "reason", "#waiting", "first pulled", "last pulled", "such as"];
    console.data(&table(&columns, rows))?;
    let records = lines.values().map(|line| line.records).sum();
    console
        .say(&format!("{} to replay once they fit: `tenantry rejects replay`", several(records, "record")));
    Ok(told())
}

/// Returns what is said where nothing of what was chosen waits.
fn nothing(waiting: &[Waiting]) -> &'static str {
    if waiting.is_empty() {
        "no record waits for a replay"
    } else {
        "none of these records waits for a replay"
    }
}

/// By tenant, dataset, column and reason.
type Lines = BTreeMap<(TenantId, String, String, String), Line>;

async fn read(waiting: &Waiting, sink: &dyn Sink, choice: &Choice, lines: &mut Lines) -> Result<()> {
    let mut chunks = sink.rejects(waiting);
    while let Some(columns) = chunks.next().await {
        for kept in pipeline::rejects::kept(&columns?)? {
            if choice.takes(&kept.dataset) {
                add(lines, waiting, kept);
            }
        }
    }
    Ok(())
}

fn add(lines: &mut Lines, waiting: &Waiting, Kept { dataset, column, reason, raw, pulled_at, .. }: Kept) {
    let key = (waiting.tenant.clone(), dataset.clone(), column.clone(), reason.clone());
    let line = lines.entry(key).or_insert_with(|| Line {
        organization_id: waiting.tenant.clone(),
        organization_name: waiting.name.clone(),
        dataset,
        column,
        reason,
        records: 0,
        first_pulled_at: pulled_at,
        last_pulled_at: pulled_at,
        sample: raw.chars().take(SAMPLE).collect(),
    });
    line.records += 1;
    line.first_pulled_at = line.first_pulled_at.min(pulled_at);
    line.last_pulled_at = line.last_pulled_at.max(pulled_at);
}

impl Line {
    fn row(&self) -> Vec<String> {
        vec![
            self.organization_name.clone(),
            self.organization_id.to_string(),
            on_one_line(&self.dataset),
            on_one_line(&self.column),
            on_one_line(&self.reason),
            count(self.records),
            instant(self.first_pulled_at),
            instant(self.last_pulled_at),
            on_one_line(&self.sample),
        ]
    }
}

/// Returns which rejects the flags mean.
///
/// # Errors
/// Where a flag names a tenant or a dataset that nobody knows.
fn choice(chosen: &Chosen, waiting: &[Waiting], settings: &Settings) -> Result<Choice> {
    let catalogue = config::catalogue(&settings.connector);
    let of_lake = waiting.iter().flat_map(|waiting| waiting.records.keys().map(String::as_str));
    let names = catalogue.iter().map(|dataset| dataset.name).chain(of_lake).collect();
    known::check_datasets(&chosen.datasets, names)?;
    let tenants = known::named(&chosen.tenants, &tenants(waiting, settings)?)?;
    Ok(Choice { tenants, datasets: chosen.datasets.clone() })
}

/// Returns the tenants that were ever listed, and those that rejects are of.
fn tenants(waiting: &[Waiting], settings: &Settings) -> Result<Vec<Tenant>> {
    let listed = settings.sink.tenants()?.tenants.into_iter().map(|known| (known.id, known.name));
    let of_lake = waiting.iter().map(|waiting| (waiting.tenant.clone(), waiting.name.clone()));
    let by_id: BTreeMap<TenantId, String> = of_lake.chain(listed).collect();
    let tenant = |(id, name)| Tenant { id, name, region: None, external_id: None };
    Ok(by_id.into_iter().map(tenant).collect())
}

async fn replay(chosen: &Chosen, context: &Context) -> Result<u8> {
    let console = &context.console;
    let settings = context.settings(&Narrow::default())?;
    let sink = settings.sink.open()?;
    let Backlog { waiting, unreadable } = sink.backlog().await?;
    let choice = choice(chosen, &waiting, &settings)?;
    let known = config::catalogue(&settings.connector);
    let is_unreadable = unreadable.iter().any(|it| choice.takes_pull(&it.tenant, &it.pull, &known));
    if !is_unreadable && !waiting.iter().any(|waiting| choice.takes_of(waiting)) {
        if console.json {
            console.json(&Vec::<Told>::new())?;
        }
        console.say(nothing(&waiting));
        return Ok(exit_code::OK);
    }
    let meant = waiting.iter().filter(|waiting| choice.takes_of(waiting));
    let all = meant.flat_map(|waiting| waiting.records.values()).sum();
    let watch = Arc::new(Watch::new(console));
    let mut interrupts = Interrupts::listen()?;
    let run_id = context.run_id();
    tokio::select! {
        prepared = sink.prepare(&run_id) => prepared?,
        () = interrupts.next() => return Err(interrupted("prepare the lake")),
    }
    let brakes = Brakes::default();
    let running = RunContext {
        connector: settings.connector.offline()?,
        sink: sink.clone(),
        clock: context.clock.clone(),
        events: counted(&watch, all),
        run_id,
        version: crate::VERSION.to_owned(),
        cores: Cores::of_this_machine(),
        open_partitions: 1,
        wind_down: brakes.wind_down.clone(),
        stop: brakes.stop.clone(),
    };
    let replay = {
        let mut replaying = pin!(pipeline::run::replay(&choice, &running));
        loop {
            tokio::select! {
                replay = &mut replaying => break replay,
                () = interrupts.next() => brakes.pull(console),
            }
            if brakes.stop.is_cancelled() {
                watch.end();
                return Err(Error::new(ErrorKind::Cancelled, "the replay was stopped")
                    .with_hint("what is committed stays; running it again takes up the rest"));
            }
        }
    };
    watch.end();
    seal(&replay, sink.as_ref(), context).await;
    tell(&replay, context)?;
    Ok(exit_code::of_replay(&replay))
}

/// Shows how many of all records were looked at.
fn counted(watch: &Arc<Watch>, all: u64) -> Events {
    let (watch, done) = (watch.clone(), AtomicU64::new(0));
    Arc::new(move |event| {
        if let RunEvent::Progress { records, .. } = event {
            let done = done.fetch_add(records, Ordering::Relaxed) + records;
            watch.show(done, all, || format!("{} of {}", count(done), several(all, "record")));
        }
    })
}

/// Seals what was committed; where that fails, the next run does it.
async fn seal(replay: &Replay, sink: &dyn Sink, context: &Context) {
    if !replay.replayed.iter().any(|replayed| replayed.committed) {
        return;
    }
    if let Err(error) = sink.record_run(&replay.summary).await {
        context.console.warn(&format!("the replay could not be sealed: {}", error.chain()));
    }
}

/// What became of the rejects of one tenant's dataset.
#[derive(Debug, Default, Serialize)]
struct Told {
    organization_id: String,
    organization_name: String,
    dataset: String,
    written: u64,
    duplicates: u64,
    waiting: Vec<Why>,
}

/// Why records wait on.
#[derive(Debug, Serialize)]
struct Why {
    column: String,
    reason: String,
    records: u64,
}

fn tell(replay: &Replay, context: &Context) -> Result<()> {
    let console = &context.console;
    let told = told(replay);
    if console.json {
        console.json(&told)?;
    } else if !told.is_empty() {
        let columns = ["tenant", "id", "dataset", "#written", "#held already", "#waiting", "why"];
        console.data(&table(&columns, told.iter().map(Told::row).collect()))?;
    }
    for error in
        replay.replayed.iter().filter_map(|replayed| replayed.error.as_ref()).chain(&replay.summary.ended_by)
    {
        failure::tell(error, console);
    }
    let sum = |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>();
    let (written, waiting) = (sum(|it| it.written), sum(Told::waits));
    let duplicates = sum(|it| it.duplicates);
    console.say(&format!(
        "{} replayed, {} held already, {} waiting on",
        several(written, "record"),
        count(duplicates),
        count(waiting)
    ));
    Ok(())
}

/// Adds up what became of each tenant's datasets.
fn told(replay: &Replay) -> Vec<Told> {
    let mut lines: BTreeMap<(&str, &str), (&str, Became)> = BTreeMap::new();
    for replayed in &replay.replayed {
        for (dataset, became) in replayed.datasets.iter().filter(|(_, became)| **became != Became::default())
        {
            let key = (replayed.organization_id.as_str(), dataset.as_str());
            let (name, sum) = lines.entry(key).or_default();
            *name = &replayed.organization_name;
            sum.written += became.written;
            sum.duplicates += became.duplicates;
            for (why, records) in &became.waiting {
                *sum.waiting.entry(why.clone()).or_default() += records;
            }
        }
    }
    let told = |((id, dataset), (name, sum)): ((&str, &str), (&str, Became))| Told {
        organization_id: id.to_owned(),
        organization_name: name.to_owned(),
        dataset: dataset.to_owned(),
        written: sum.written,
        duplicates: sum.duplicates,
        waiting: sum
            .waiting
            .into_iter()
            .map(|((column, reason), records)| Why { column, reason, records })
            .collect(),
    };
    lines.into_iter().map(told).collect()
}

impl Told {
    fn waits(&self) -> u64 {
        self.waiting.iter().map(|why| why.records).sum()
    }

    fn row(&self) -> Vec<String> {
        let why = self.waiting.iter().map(|Why { column, reason, .. }| {
            on_one_line(&if column.is_empty() { reason.clone() } else { format!("{column}: {reason}") })
        });
        vec![
            self.organization_name.clone(),
            self.organization_id.clone(),
            self.dataset.clone(),
            count(self.written),
            count(self.duplicates),
            count(self.waits()),
            why.collect::<Vec<_>>().join("; "),
        ]
    }
}

#[cfg(test)]
mod tests;

//! `tenantry status`: how far each tenant's dataset is, how fresh, and how it ended last.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use config::{Narrowing, Settings};
use pipeline::rejects::Waiting;
use pipeline::{
    Checkpoint, Dataset, Error, ErrorKind, Receipt, Region, Result, Sink, Standing, Standings, Tenant,
    TenantId, Timestamp, Verdict,
};
use serde::{Serialize, Serializer};
use sinks::Registry;

use super::{Context, known};
use crate::args::StatusArgs;
use crate::console::Console;
use crate::jobs::Work;
use crate::table::{age, count, instant, several, span, table};
use crate::{failure, report, unplaced};

/// How one tenant's dataset stands.
#[derive(Debug, Clone, Serialize)]
struct Line {
    /// How far it is durable.
    checkpoint: Checkpoint,
    /// How far behind the present that is; nothing where it was never read from the beginning.
    #[serde(rename = "lag_seconds", serialize_with = "seconds")]
    lag: Option<TimeDelta>,
    /// How far behind it may be.
    #[serde(rename = "fresh_within_seconds", serialize_with = "seconds")]
    fresh_within: Option<TimeDelta>,
    /// Whether it is further behind than it may be.
    late: bool,
    /// What no run ever ended with word of, although the run file wants it: then there are no receipts.
    never_read: Option<NeverRead>,
    /// The last committed receipt, if there ever was one.
    committed: Option<Receipt>,
    /// The receipt of the last run that asked for it, where that did not end well, or the last run's own.
    last: Option<Receipt>,
}

/// A tenant's dataset that has no receipt to say what it is.
#[derive(Debug, Clone, Serialize)]
struct NeverRead {
    organization_id: TenantId,
    organization_name: String,
    region: Region,
    dataset: String,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn seconds<S: Serializer>(span: &Option<TimeDelta>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| span.num_seconds()).serialize(serializer)
}

pub(super) async fn status(args: &StatusArgs, context: &Context) -> Result<u8> {
    let settings = context.settings_of_lake(&args.narrow)?;
    let sink = settings.sink.open()?;
    let last_run = sink.last_run().await?;
    let now = context.clock.now();
    let last =
        sink.unsettled().await?.into_iter().chain(last_run.iter().flat_map(|run| run.receipts.clone()));
    let Standings { known, mut unreadable } = sink.standings().await?;
    let mut lines = lines(known, last, &targets(&settings), now);
    let registry = settings.sink.tenants()?;
    add_never_read(&mut lines, &settings, &registry, context);
    let is_new = lines.is_empty() && unreadable.is_empty();
    if is_new && args.problems {
        return Err(Error::new(ErrorKind::Config, "look for problems: nothing was pulled yet").with_hint(
            "`tenantry run` does it; a lake that was there and is gone has to be put back from a copy",
        ));
    }
    let mut tenants: Vec<Tenant> = lines.values().filter_map(Line::tenant).collect();
    let known_by_id =
        |id: &TenantId| Tenant { id: id.clone(), name: id.to_string(), region: None, external_id: None };
    let listed = |id: &TenantId| registry.tenant(id).unwrap_or_else(|| known_by_id(id));
    tenants.extend(unreadable.iter().map(|it| listed(&it.tenant)));
    let meant = known::meant(&settings, &registry, &tenants)?;
    let datasets = &args.narrow.datasets;
    lines.retain(|(tenant, dataset), _| {
        meant.contains(tenant) && (datasets.is_empty() || datasets.contains(dataset))
    });
    unreadable.retain(|it| meant.contains(&it.tenant) && known::fills_one_of(&it.pull, datasets));
    if args.problems {
        lines.retain(|_, line| line.is_bad());
    }
    let console = &context.console;
    // What is wrong with one tenant's records is no reason to tell nothing of the others.
    let told = || failure::tell_each(unreadable.iter().map(|it| &it.error), console);
    if console.json {
        console.json(&lines.values().collect::<Vec<_>>())?;
        return Ok(told());
    }
    let waiting = if is_new { 0 } else { waiting(sink.as_ref(), &meant, datasets).await? };
    if lines.is_empty() {
        if unreadable.is_empty() {
            console.say(match (is_new, args.problems) {
                (true, _) => "nothing was pulled yet: `tenantry run` does it",
                (false, true) => "nothing to look at",
                (false, false) => "there is nothing of what the flags say",
            });
        }
        tell_waiting(waiting, console);
        return Ok(told());
    }
    let rows = lines.values().map(|line| line.row(now)).collect();
    console.data(&table(
        &[
            "tenant",
            "id",
            "region",
            "dataset",
            "last verdict",
            "#rows last written",
            "through",
            "read",
            "fresh within",
        ],
        rows,
    ))?;
    if let Some(run) = &last_run {
        console.say(&format!("last run: {}", report::verdict(run)));
    }
    let bad = lines.values().filter(|line| line.is_bad()).count() as u64;
    if bad > 0 && !args.problems {
        console.say(&format!("{} to look at: `tenantry status --problems`", several(bad, "dataset")));
    }
    tell_waiting(waiting, console);
    Ok(told())
}

/// Returns how many records are set aside; pulls that cannot be read are told already.
async fn waiting(sink: &dyn Sink, meant: &HashSet<TenantId>, datasets: &[String]) -> Result<u64> {
    let waiting = sink.backlog().await?.waiting;
    let of = |it: &Waiting| -> u64 {
        let is_meant = |name: &&String| datasets.is_empty() || datasets.contains(name);
        it.records.iter().filter(|(name, _)| is_meant(name)).map(|(_, records)| records).sum()
    };
    Ok(waiting.iter().filter(|it| meant.contains(&it.tenant)).map(of).sum())
}

fn tell_waiting(records: u64, console: &Console) {
    if records > 0 {
        console.say(&format!("{} set aside: `tenantry rejects list` says why", several(records, "record")));
    }
}

/// Returns how old each dataset of the run file may become.
fn targets(settings: &Settings) -> BTreeMap<&'static str, TimeDelta> {
    let of_pull = |pull: &config::Pull| {
        let fresh_within = pull.fresh_within;
        pull.datasets.iter().map(move |dataset| (dataset.name, fresh_within)).collect::<Vec<_>>()
    };
    settings.pulls.iter().flat_map(of_pull).collect()
}

fn lines(
    standings: BTreeMap<(TenantId, String), Standing>,
    last: impl Iterator<Item = Receipt>,
    targets: &BTreeMap<&'static str, TimeDelta>,
    now: Timestamp,
) -> BTreeMap<(TenantId, String), Line> {
    let mut lines: BTreeMap<(TenantId, String), Line> = BTreeMap::new();
    let key = |receipt: &Receipt| (receipt.organization_id.clone(), receipt.dataset.clone());
    for standing in standings.into_values() {
        for receipt in standing.receipts.clone() {
            let target = targets.get(receipt.dataset.as_str()).copied();
            let through = standing.through(&receipt.dataset);
            let checkpoint = Checkpoint { through, ..standing.checkpoint };
            lines.insert(key(&receipt), Line::of(checkpoint, Some(receipt), target, now));
        }
    }
    for receipt in last {
        let target = targets.get(receipt.dataset.as_str()).copied();
        let never = || Line::of(Checkpoint::default(), None, target, now);
        let line = lines.entry(key(&receipt)).or_insert_with(never);
        line.last = Some(receipt);
    }
    lines
}

/// Adds what the run file wants of the tenants that were listed last, and no run ever told of: one may have been killed
/// before it got there.
fn add_never_read(
    lines: &mut BTreeMap<(TenantId, String), Line>,
    settings: &Settings,
    registry: &Registry,
    context: &Context,
) {
    if registry.tenants.is_empty() {
        return;
    }
    let listed = match settings.written_down.as_slice() {
        [] => registry.tenants.iter().filter(|known| known.listed).map(Tenant::from).collect(),
        written_down => written_down.to_vec(),
    };
    // What the flags leave out is taken out later, as of all lines.
    let all = Settings { narrowing: Narrowing::default(), ..settings.clone() };
    let work = match Work::new(&all, listed, settings.connector.account()) {
        Ok(work) => work,
        Err(error) => return context.console.warn(&error.chain()),
    };
    let of_jobs = work.jobs.iter().flat_map(|job| {
        let never_read = |dataset: &Arc<Dataset>| NeverRead {
            organization_id: job.tenant.id.clone(),
            organization_name: job.tenant.name.clone(),
            region: job.region.clone(),
            dataset: dataset.name.to_owned(),
        };
        job.datasets.iter().map(never_read).collect::<Vec<_>>()
    });
    let of_nowhere = unplaced::receipts(&work, "", context.clock.as_ref()).into_iter().map(|receipt| {
        let Receipt { organization_id, organization_name, region, dataset, .. } = receipt;
        NeverRead { organization_id, organization_name, region, dataset }
    });
    let targets = targets(settings);
    for never_read in of_jobs.chain(of_nowhere) {
        let key = (never_read.organization_id.clone(), never_read.dataset.clone());
        let target = targets.get(never_read.dataset.as_str()).copied();
        lines.entry(key).or_insert_with(|| Line {
            never_read: Some(never_read),
            ..Line::of(Checkpoint::default(), None, target, context.clock.now())
        });
    }
}

impl Line {
    fn of(
        checkpoint: Checkpoint,
        committed: Option<Receipt>,
        fresh_within: Option<TimeDelta>,
        now: Timestamp,
    ) -> Self {
        let lag = checkpoint.through.map(|through| now - through);
        // What was never read up to anywhere is later than anything.
        let late = fresh_within.is_some_and(|most| lag.is_none_or(|lag| lag > most));
        Self { checkpoint, lag, fresh_within, late, never_read: None, committed, last: None }
    }

    fn receipt(&self) -> Option<&Receipt> {
        self.last.as_ref().or(self.committed.as_ref())
    }

    /// Returns whose it is, and the dataset.
    fn whose(&self) -> Option<(Tenant, &str)> {
        let (id, name, region, dataset) = match (self.receipt(), &self.never_read) {
            (Some(it), _) => (&it.organization_id, &it.organization_name, &it.region, &it.dataset),
            (None, Some(it)) => (&it.organization_id, &it.organization_name, &it.region, &it.dataset),
            (None, None) => return None,
        };
        let (id, name, region) = (id.clone(), name.clone(), Some(region.clone()));
        Some((Tenant { id, name, region, external_id: None }, dataset))
    }

    fn tenant(&self) -> Option<Tenant> {
        self.whose().map(|(tenant, _)| tenant)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.receipt().map(|receipt| receipt.verdict)
    }

    fn is_bad(&self) -> bool {
        self.late || self.verdict().is_none_or(|verdict| !verdict.is_good())
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        let Some((tenant, dataset)) = self.whose() else { return Vec::new() };
        let through = self.checkpoint.through;
        let target = self.fresh_within.and_then(|most| most.to_std().ok()).map(span);
        let target = target.unwrap_or_else(|| "-".to_owned());
        vec![
            tenant.name,
            tenant.id.to_string(),
            tenant.region.map_or_else(|| "-".to_owned(), |region| region.to_string()),
            dataset.to_owned(),
            self.verdict().map_or_else(|| "never read".to_owned(), |verdict| verdict.to_string()),
            self.committed.as_ref().map_or_else(|| "-".to_owned(), |it| count(it.rows_written)),
            through.map_or_else(|| "-".to_owned(), instant),
            through.map_or_else(|| "never".to_owned(), |through| age(through, now)),
            if self.late { format!("{target}: late") } else { target },
        ]
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Standing;

    use super::*;
    use crate::report::samples;

    #[test]
    fn what_is_committed_stays_in_sight_when_the_last_run_was_refused() {
        let committed = samples::receipt("t1", "eu", "users", Verdict::Complete);
        let refused = samples::receipt("t1", "eu", "users", Verdict::Forbidden);
        let never = samples::receipt("t2", "eu", "users", Verdict::Unavailable);
        let last = [refused, never];
        let began = committed.started_at;
        let checkpoint = Checkpoint::default().next(Some(began));
        let standing = Standing { checkpoint, receipts: vec![committed], behind: Vec::new() };
        let standings: BTreeMap<_, _> =
            [(("t1".parse().expect("an id"), "users".to_owned()), standing)].into();
        let targets = [("users", TimeDelta::hours(26))].into();
        let rows = |hours| -> Vec<String> {
            let now = began + TimeDelta::hours(hours);
            let lines = lines(standings.clone(), last.clone().into_iter(), &targets, now);
            lines.values().map(|line| line.row(now).join("|")).collect()
        };
        assert_eq!(
            rows(3),
            [
                "T1|t1|eu|users|forbidden|10|2026-11-24 03:00:00Z|3 h 0 min ago|1 d 2 h",
                "T2|t2|eu|users|unavailable|-|-|never|1 d 2 h: late",
            ]
        );
        assert!(rows(27)[0].ends_with("|1 d 2 h: late"), "{:?}", rows(27));
    }
}

//! `tenantry checkpoint`: how far each tenant's pull is durable, and moving that.

use std::sync::Arc;

use config::{Settings, Since};
use pipeline::{
    Checkpoint, Commit, Error, ErrorKind, Partition, Region, Result, Standing, Standings, Tenant, TenantId,
    Timestamp,
};
use serde::Serialize;

use super::{Context, known};
use crate::args::{CheckpointArgs, Moved, Narrow};
use crate::table::{instant, several, table};
use crate::{exit_code, failure};

/// One tenant's pull and how far it is durable.
#[derive(Debug, Clone, Serialize)]
struct Place {
    tenant: Tenant,
    /// The pull; datasets that one reading fills share it.
    pull: String,
    checkpoint: Checkpoint,
}

pub(super) async fn checkpoint(args: &CheckpointArgs, context: &Context) -> Result<u8> {
    match args {
        CheckpointArgs::Show(narrow) => show(narrow, context).await,
        CheckpointArgs::Set { to, moved } => {
            let to = instant_of(*to, context.clock.now())?;
            move_to(moved, context, &format!("to {}", instant(to)), |from| from.next(Some(to))).await
        }
        CheckpointArgs::Reset { moved } => {
            let to = |from: &Checkpoint| Checkpoint { full: None, ..from.next(None) };
            move_to(moved, context, "back to the beginning", to).await
        }
    }
}

fn instant_of(when: Since, now: Timestamp) -> Result<Timestamp> {
    when.before(now)
        .map_err(|message| Error::new(ErrorKind::Usage, format!("move the checkpoints: {message}")))
}

async fn show(narrow: &Narrow, context: &Context) -> Result<u8> {
    let settings = context.settings_of_lake(narrow)?;
    let standings = settings.sink.open()?.standings().await?;
    let (places, unreadable) = places(standings, &settings, narrow)?;
    let told = || failure::tell_each(&unreadable, &context.console);
    if context.console.json {
        context.console.json(&places)?;
        return Ok(told());
    }
    if places.is_empty() {
        if unreadable.is_empty() {
            context.console.say("nothing was pulled yet: `tenantry run` does it");
        }
        return Ok(told());
    }
    let or_none = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), instant);
    let rows = places.iter().map(|place| {
        vec![
            place.tenant.name.clone(),
            place.tenant.id.to_string(),
            place.pull.clone(),
            place.checkpoint.sequence.to_string(),
            or_none(place.checkpoint.through),
            or_none(place.checkpoint.full.map(|full| full.at)),
        ]
    });
    let columns = ["tenant", "id", "dataset", "#commits", "through", "full snapshot"];
    context.console.data(&table(&columns, rows.collect()))?;
    Ok(told())
}

async fn move_to(
    moved: &Moved,
    context: &Context,
    whereto: &str,
    to: impl Fn(&Checkpoint) -> Checkpoint,
) -> Result<u8> {
    let settings = context.settings_of_lake(&moved.narrow)?;
    let sink = settings.sink.open()?;
    let (places, unreadable) = places(sink.standings().await?, &settings, &moved.narrow)?;
    if places.is_empty() && !unreadable.is_empty() {
        return Ok(failure::tell_each(&unreadable, &context.console));
    }
    if places.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "move the checkpoints: there are none of these")
            .with_hint("`tenantry checkpoint show` lists those there are"));
    }
    for place in &places {
        let stood = place.checkpoint.through.map_or_else(|| "the beginning".to_owned(), instant);
        context.console.say(&format!("{} of {} stands at {stood}", place.pull, place.tenant.name));
    }
    let several_of_them = several(places.len() as u64, "checkpoint");
    if !moved.yes && !context.console.confirm(&format!("move {several_of_them} {whereto}"))? {
        context.console.say("nothing was moved");
        return Ok(exit_code::OK);
    }
    let run_id = context.run_id();
    sink.prepare(&run_id).await?;
    for place in &places {
        sink.commit(commit(place, &run_id, to(&place.checkpoint), context.clock.now())?).await?;
    }
    context.console.say(&format!("{several_of_them} moved {whereto}"));
    Ok(failure::tell_each(&unreadable, &context.console))
}

/// Returns the commit that moves a checkpoint and holds nothing.
fn commit(place: &Place, run_id: &str, to: Checkpoint, now: Timestamp) -> Result<Commit> {
    let unknown =
        |what| Error::new(ErrorKind::Usage, format!("move the checkpoint of {}: {what}", place.pull));
    let known = connectors::rapid7::datasets::all();
    let datasets: Vec<_> = known.into_iter().filter(|dataset| dataset.pull == place.pull).collect();
    if datasets.is_empty() {
        return Err(unknown("this version of the program does not know the dataset"));
    }
    let region: Option<Region> = place.tenant.region.clone();
    let region = region.ok_or_else(|| unknown("the tenant's region is not known"))?;
    let tenant = Arc::new(place.tenant.clone());
    let partition = Partition { tenant, region, datasets, window: None, date: now.date_naive() };
    let (run_id, from) = (run_id.to_owned(), place.checkpoint);
    Ok(Commit { run_id, partition, files: Vec::new(), from, to, receipts: Vec::new(), replays: None })
}

/// Returns the pulls that the flags leave, by tenant, and why it cannot be told of some how far they are.
fn places(standings: Standings, settings: &Settings, narrow: &Narrow) -> Result<(Vec<Place>, Vec<Error>)> {
    let Standings { known, unreadable } = standings;
    let registry = settings.sink.tenants()?;
    let place = |id: TenantId, pull: String, standing: &Standing| {
        let listed = registry.tenants.iter().find(|known| known.id == id);
        let receipt = standing.receipts.first();
        let name = listed.map(|known| &known.name).or(receipt.map(|receipt| &receipt.organization_name));
        let region =
            listed.and_then(|known| known.region.as_ref()).or(receipt.map(|receipt| &receipt.region));
        let name = name.cloned().unwrap_or_else(|| id.to_string());
        let tenant = Tenant { id, name, region: region.cloned(), external_id: None };
        Place { tenant, pull, checkpoint: standing.checkpoint }
    };
    let known = known.into_iter().map(|((id, pull), standing)| (place(id, pull, &standing), None));
    let unreadable =
        unreadable.into_iter().map(|it| (place(it.tenant, it.pull, &Standing::default()), Some(it.error)));
    let mut all: Vec<(Place, Option<Error>)> = known.chain(unreadable).collect();
    let tenants: Vec<Tenant> = all.iter().map(|(place, _)| place.tenant.clone()).collect();
    let meant = known::meant(settings, &registry, &tenants)?;
    all.retain(|(place, _)| {
        meant.contains(&place.tenant.id) && known::fills_one_of(&place.pull, &narrow.datasets)
    });
    let (mut places, mut errors) = (Vec::new(), Vec::new());
    for (place, error) in all {
        match error {
            None => places.push(place),
            Some(error) => errors.push(error),
        }
    }
    Ok((places, errors))
}

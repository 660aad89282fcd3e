//! `tenantry tenants`: the managed organizations, and what changed since the last run.

use pipeline::{Region, Result, Tenant};
use serde::Serialize;
use sinks::Changes;

use super::Context;
use crate::args::{Narrow, Who};
use crate::table::{several, table};
use crate::{exit_code, platform};

/// What is printed for a program.
#[derive(Serialize)]
struct Told<'a> {
    tenants: &'a [Tenant],
    chosen: Vec<&'a str>,
    changes: &'a Changes,
}

pub(super) async fn tenants(who: &Who, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow { who: who.clone(), ..Narrow::default() })?;
    let registry = settings.sink.tenants()?;
    let connector = platform::connect(&settings, context).await?;
    let mut listed = platform::tenants(&settings, connector.as_ref(), &context.console).await?;
    let changes = registry.changes(&listed);
    let selection = settings.tenants.choose(listed.clone(), &settings.narrowing);
    settings.tenants.place(&mut listed);
    let console = &context.console;
    // Who looks for why nobody is chosen has to see who there is.
    let (chosen, nobody) = match selection {
        Ok(selection) => {
            selection.warnings.iter().for_each(|warning| console.warn(warning));
            (selection.tenants, None)
        }
        Err(error) => (Vec::new(), Some(error)),
    };
    if nobody.is_none() && who.is_narrow() {
        listed.clone_from(&chosen);
    }
    if console.json {
        let chosen = chosen.iter().map(|tenant| tenant.id.as_str()).collect();
        console.json(&Told { tenants: &listed, chosen, changes: &changes })?;
    } else {
        console.data(&rows(&listed, &chosen))?;
        let known = !registry.tenants.is_empty();
        console.say(&if known { told(&changes) } else { "nothing is known of an earlier run".to_owned() });
    }
    nobody.map_or(Ok(exit_code::OK), Err)
}

/// Returns a line for each listed tenant, and whether a run would pull it.
fn rows(listed: &[Tenant], chosen: &[Tenant]) -> String {
    let rows = listed.iter().map(|tenant| {
        let region = tenant.region.as_ref();
        let chosen = match (chosen.iter().any(|picked| picked.id == tenant.id), region) {
            (false, _) => "no: left out",
            (true, None) => "no: without a region",
            (true, Some(_)) => "yes",
        };
        vec![
            tenant.id.to_string(),
            tenant.name.clone(),
            region.map_or("-", Region::as_str).to_owned(),
            chosen.to_owned(),
        ]
    });
    table(&["id", "name", "region", "chosen"], rows.collect())
}

fn told(changes: &Changes) -> String {
    if changes.is_empty() {
        return "nothing changed since the last run".to_owned();
    }
    let mut lines = vec!["since the last run:".to_owned()];
    let region = |region: &Option<Region>| region.as_ref().map_or("no region", Region::as_str).to_owned();
    for tenant in &changes.joined {
        lines.push(format!("  joined   {} ({}) in {}", tenant.name, tenant.id, region(&tenant.region)));
    }
    for tenant in &changes.left {
        lines.push(format!("  left     {} ({}); its data stays in the lake", tenant.name, tenant.id));
    }
    for renamed in &changes.renamed {
        lines.push(format!(
            "  renamed  {} ({}), formerly {}",
            renamed.tenant.name, renamed.tenant.id, renamed.from
        ));
    }
    for moved in &changes.moved {
        let (from, to) = (region(&moved.from), region(&moved.tenant.region));
        lines.push(format!("  moved    {} ({}) from {from} to {to}", moved.tenant.name, moved.tenant.id));
    }
    let changed = changes.joined.len() + changes.left.len() + changes.renamed.len() + changes.moved.len();
    lines.push(several(changed as u64, "change"));
    lines.join("\n")
}

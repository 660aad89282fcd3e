//! The connector of a command, made of the settings and the key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use config::{Environment, Settings};
use connectors::ConnectorConfig;
use connectors::http::KeySource;
use connectors::rapid7::KeyConfig;
use pipeline::{Clock, Connector, CorrectedClock, Error, ErrorKind, Region, Result, Tenant, TenantId};
use sinks::KnownTenant;

use crate::commands::Context;
use crate::console::Console;
use crate::table::span;

/// What stands in a fresh run file for the id that nobody but the operator knows.
const PLACEHOLDER: &str = "00000000-0000-0000-0000-000000000000";

/// A key's command that is silent for longer is told of: it may wait for a person, who waits for us.
const PATIENCE: Duration = Duration::from_secs(3);

/// Returns the connector that the run file describes; nothing is asked of the platform yet.
///
/// # Errors
/// Where the key cannot be found, or the settings don't fit.
pub(crate) async fn connect(settings: &Settings, context: &Context) -> Result<Arc<dyn Connector>> {
    check(settings)?;
    let key = config::resolve::key(&settings.connector, &context.environment)?;
    let mut connecting = pin!(settings.connector.connect(key));
    let ConnectorConfig::Rapid7(config) = &settings.connector;
    if let KeyConfig::Command(words) = &config.key {
        tokio::select! {
            connected = &mut connecting => return connected,
            () = tokio::time::sleep(PATIENCE) => {
                let program = words.first().map_or("", String::as_str);
                context.console.say(&format!("waiting for the key's command: {program}"));
            }
        }
    }
    connecting.await
}

/// Says where the run file is not filled in yet.
///
/// # Errors
/// Where it is not.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let ConnectorConfig::Rapid7(config) = &settings.connector;
    if config.parent_organization.as_str() == PLACEHOLDER {
        return Err(Error::new(
            ErrorKind::Config,
            format!("read {}: parent_organization is still the example's", settings.path.display()),
        )
        .with_hint("fill in the organization id of the primary account: the one that manages the others"));
    }
    Ok(())
}

/// Returns where the run file's key comes from; nothing is read yet.
///
/// # Errors
/// Where the environment variable it names is not set.
pub(crate) fn key_source(settings: &Settings, environment: &Environment) -> Result<Arc<dyn KeySource>> {
    settings.connector.key(config::resolve::key(&settings.connector, environment)?)
}

/// A clock that is off by no more than this is taken as it is: answers take a while, and tell whole seconds.
const MOST_OFF: TimeDelta = TimeDelta::minutes(2);

/// Returns the clock of a run: this machine's, or where the platform tells another time, the platform's.
///
/// Windows of time end at the present instant. By a clock that is ahead they would end in the future, and what
/// comes in until then would be taken for read.
pub(crate) fn clock(clock: &Arc<dyn Clock>, connector: &dyn Connector, console: &Console) -> Arc<dyn Clock> {
    let Some(off) = connector.platform_time().map(|time| time - clock.now()) else { return clock.clone() };
    if off.abs() <= MOST_OFF {
        return clock.clone();
    }
    let by = span(off.abs().to_std().unwrap_or_default());
    let side = if off > TimeDelta::zero() { "behind" } else { "ahead of" };
    console.warn(&format!(
        "this machine's clock is {by} {side} the platform's, whose time counts: set it right"
    ));
    Arc::new(CorrectedClock::new(clock.clone(), off))
}

/// Returns the tenants as [`listed`] does; what stands in the platform's list and is no tenant is told.
///
/// # Errors
/// Where the platform doesn't answer.
pub(crate) async fn tenants(
    settings: &Settings,
    connector: &dyn Connector,
    console: &Console,
) -> Result<Vec<Tenant>> {
    let mut listed = listed(settings, connector).await?;
    let kept = settings.sink.tenants()?.tenants;
    for told in settle_regions(&mut listed, &connector.elsewhere(), &settings.tenants.regions, &kept) {
        console.warn(&told);
    }
    spell_as_kept(&mut listed, &kept);
    for remark in connector.remarks() {
        console.warn(&remark);
    }
    Ok(listed)
}

/// Leaves tenants that are listed in other regions as well where the run file says, or where the lake knows them to be, and
/// returns what to say of it.
///
/// Their data lives in one of them, and the others refuse to answer for it: nothing is missing that nobody hears of.
fn settle_regions(
    listed: &mut [Tenant],
    elsewhere: &[Tenant],
    placed: &BTreeMap<TenantId, Region>,
    kept: &[KnownTenant],
) -> Vec<String> {
    let mut told = Vec::new();
    for tenant in listed {
        let mut others: Vec<Tenant> =
            elsewhere.iter().filter(|other| other.id == tenant.id).cloned().collect();
        if others.is_empty() {
            continue;
        }
        let is_it = |id: &TenantId| id.as_str().eq_ignore_ascii_case(tenant.id.as_str());
        let placed = placed.iter().find(|(id, _)| is_it(id)).map(|(_, region)| region);
        let known = kept.iter().find(|known| is_it(&known.id)).and_then(|known| known.region.as_ref());
        let is_at = |it: &Tenant, region: &Region| it.region.as_ref() == Some(region);
        let is_listed = |region: &&Region| is_at(tenant, region) || others.iter().any(|it| is_at(it, region));
        let placed = placed.filter(is_listed);
        let best = placed.or(known);
        if let Some(other) = others.iter_mut().find(|it| best.is_some_and(|best| is_at(it, best))) {
            other.name = on_one_line(&other.name);
            std::mem::swap(tenant, other);
        }
        if placed.is_some() {
            continue;
        }
        let region = |tenant: &Tenant| tenant.region.as_ref().map_or("-", Region::as_str).to_owned();
        told.push(format!(
            "organization {} ({}) is listed in several regions: it is read in {}, and not in {}; [tenants.regions] can say otherwise",
            tenant.name,
            tenant.id,
            region(tenant),
            others.iter().map(region).collect::<Vec<_>>().join(", "),
        ));
    }
    told
}

/// Returns the tenants: those that the run file writes down, else those that the platform lists.
///
/// # Errors
/// Where the platform doesn't answer.
pub(crate) async fn listed(settings: &Settings, connector: &dyn Connector) -> Result<Vec<Tenant>> {
    if !settings.written_down.is_empty() {
        return Ok(settings.written_down.clone());
    }
    let mut listed = connector.tenants().await?;
    for tenant in &mut listed {
        tenant.name = on_one_line(&tenant.name);
    }
    Ok(listed)
}

/// Spells each id as the lake does, so that other letters of the same id are no other tenant.
fn spell_as_kept(listed: &mut [Tenant], kept: &[KnownTenant]) {
    let known: HashMap<String, &TenantId> =
        kept.iter().map(|tenant| (tenant.id.as_str().to_ascii_lowercase(), &tenant.id)).collect();
    let as_they_are: HashSet<&TenantId> = kept.iter().map(|tenant| &tenant.id).collect();
    for tenant in listed.iter_mut().filter(|tenant| !as_they_are.contains(&tenant.id)) {
        if let Some(&id) = known.get(&tenant.id.as_str().to_ascii_lowercase()) {
            tenant.id = id.clone();
        }
    }
}

/// Returns a name that can be printed: what would move a terminal's cursor or end a line becomes a space.
pub(crate) fn on_one_line(name: &str) -> String {
    // Marks that turn the direction of what follows are commands as well.
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let printable = |c: char| if c.is_control() || turns(c) { ' ' } else { c };
    name.chars().map(printable).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(region: &str) -> Tenant {
        let (id, name) = ("acme".parse().expect("an id"), format!("Acme - {region}"));
        Tenant { id, name, region: region.parse().ok(), external_id: None }
    }

    #[test]
    fn a_tenant_in_two_regions_stays_where_it_is_known_to_be() {
        let seen = serde_json::json!({"run_id": "run", "at": "2026-11-24T00:00:00Z"});
        let kept = |region: &str| {
            let known = serde_json::json!({
                "id": "ACME", "name": "Acme", "region": region, "listed": true, "first_seen": seen, "last_seen": seen,
            });
            serde_json::from_value::<KnownTenant>(known).expect("a known tenant")
        };
        for (placed_in, kept, read, left) in [
            (None, vec![], "eu", "ap, us"),
            (None, vec![kept("us")], "us", "ap, eu"),
            (None, vec![kept("eu")], "eu", "ap, us"),
            (None, vec![kept("ca")], "eu", "ap, us"),
            (Some("ap"), vec![kept("us")], "ap", "eu, us"),
            (Some("eu"), vec![kept("us")], "eu", "ap, us"),
            (Some("ca"), vec![kept("us")], "us", "ap, eu"),
        ] {
            let mut listed = vec![tenant("eu")];
            let region = |region: &str| ("acme".parse().expect("an id"), region.parse().expect("a region"));
            let placed = placed_in.map(region).into_iter().collect();
            let is_placed = matches!(placed_in, Some("ap" | "eu"));
            let told = settle_regions(&mut listed, &[tenant("ap"), tenant("us")], &placed, &kept);
            assert_eq!(listed, [tenant(read)]);
            if is_placed {
                assert_eq!(told, [] as [String; 0]);
                continue;
            }
            let expected = format!(
                "organization Acme - {read} (acme) is listed in several regions: it is read in {read}, and not in {left}; \
                [tenants.regions] can say otherwise"
            );
            assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn a_name_does_not_command_the_terminal() {
        assert_eq!(on_one_line("Acme\u{1b}[31m\r\nerror: fake\u{7}"), "Acme [31m  error: fake");
        assert_eq!(on_one_line("\u{202e}Acme\u{2067} and more"), "Acme  and more");
        assert_eq!(on_one_line("Žluť & Söhne"), "Žluť & Söhne");
    }
}

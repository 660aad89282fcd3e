//! Which of the tenants, regions and datasets that a lake knows the flags mean.

use std::collections::{BTreeSet, HashSet};

use config::{Narrowing, Pattern, Settings};
use connectors::ConnectorConfig;
use pipeline::{Error, ErrorKind, Region, Result, Tenant, TenantId};
use sinks::Registry;

/// Returns the tenants that the flags mean; all where nothing is said.
///
/// # Errors
/// Where a pattern means none of them, or nobody knows a region.
pub(super) fn meant(
    settings: &Settings,
    registry: &Registry,
    tenants: &[Tenant],
) -> Result<HashSet<TenantId>> {
    let who @ Narrowing { regions, .. } = &settings.narrowing;
    let known = tenants.iter().filter_map(|tenant| tenant.region.as_ref());
    check_regions(regions, known.chain(regions_of(settings, registry)))?;
    let in_region = |tenant: &&Tenant| {
        regions.is_empty() || tenant.region.as_ref().is_some_and(|region| regions.contains(region))
    };
    let named = named(&who.tenants, tenants)?;
    let is_named = |tenant: &&Tenant| who.tenants.is_empty() || named.contains(&tenant.id);
    Ok(tenants.iter().filter(in_region).filter(is_named).map(|tenant| tenant.id.clone()).collect())
}

/// Returns the regions of the run file, and those in which tenants were ever listed.
fn regions_of<'a>(settings: &'a Settings, registry: &'a Registry) -> impl Iterator<Item = &'a Region> {
    let ConnectorConfig::Rapid7(config) = &settings.connector;
    let written_down = settings.written_down.iter().filter_map(|tenant| tenant.region.as_ref());
    let listed = registry.tenants.iter().filter_map(|known| known.region.as_ref());
    settings.tenants.regions.values().chain([&config.home_region]).chain(written_down).chain(listed)
}

fn check_regions<'a>(named: &[Region], known: impl Iterator<Item = &'a Region>) -> Result<()> {
    let known: BTreeSet<&str> = known.map(Region::as_str).collect();
    let Some(unknown) = named.iter().find(|region| !known.contains(region.as_str())) else { return Ok(()) };
    let known: Vec<&str> = known.into_iter().collect();
    Err(Error::new(ErrorKind::Usage, format!("choose the tenants: the lake knows no region `{unknown}`"))
        .with_hint(config::suggest::hint(unknown.as_str(), &known, "regions")))
}

/// Returns the tenants that patterns mean.
///
/// # Errors
/// Where a pattern means none of them.
pub(super) fn named(patterns: &[Pattern], tenants: &[Tenant]) -> Result<HashSet<TenantId>> {
    let mut named = HashSet::new();
    for pattern in patterns {
        let picked = pattern.pick(tenants);
        if picked.is_empty() {
            let names: BTreeSet<&str> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            return Err(Error::new(
                ErrorKind::Usage,
                format!("choose the tenants: the lake knows no tenant `{pattern}`"),
            )
            .with_hint(config::suggest::hint(pattern.as_str(), &names, "tenants")));
        }
        named.extend(picked.into_iter().cloned());
    }
    Ok(named)
}

/// Refuses a dataset that is none of those that are known.
///
/// # Errors
/// Where one is not, with what it is like.
pub(super) fn check_datasets(named: &[String], known: BTreeSet<&str>) -> Result<()> {
    let Some(unknown) = named.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let known: Vec<&str> = known.into_iter().collect();
    Err(Error::new(ErrorKind::Usage, format!("choose the datasets: there is no dataset `{unknown}`"))
        .with_hint(config::suggest::hint(unknown, &known, "datasets")))
}

/// Returns whether a pull fills one of the datasets; any where none is named.
pub(super) fn fills_one_of(pull: &str, datasets: &[String]) -> bool {
    let known = connectors::rapid7::datasets::all();
    let fills = |name: &String| known.iter().any(|dataset| dataset.name == name && dataset.pull == pull);
    datasets.is_empty() || datasets.iter().any(fills)
}

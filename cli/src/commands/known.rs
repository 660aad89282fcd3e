//! Which of the tenants that a lake knows the flags mean.

use std::collections::HashSet;

use config::Pattern;
use pipeline::{Error, ErrorKind, Result, Tenant, TenantId};

use crate::args::Who;

/// Returns the tenants that are meant; all where nothing is said.
///
/// # Errors
/// Where a pattern means none of them.
pub(super) fn meant(who: &Who, tenants: &[Tenant]) -> Result<HashSet<TenantId>> {
    let in_region = |tenant: &&Tenant| {
        who.regions.is_empty() || tenant.region.as_ref().is_some_and(|region| who.regions.contains(region))
    };
    let by_name = if who.tenants.is_empty() {
        tenants.iter().map(|tenant| &tenant.id).collect()
    } else {
        let mut named = HashSet::new();
        for pattern in &who.tenants {
            named.extend(picked(pattern, tenants)?);
        }
        named
    };
    let meant = tenants.iter().filter(in_region).filter(|tenant| by_name.contains(&tenant.id));
    Ok(meant.map(|tenant| tenant.id.clone()).collect())
}

/// Returns whether a pull fills one of the datasets; any where none is named.
pub(super) fn fills_one_of(pull: &str, datasets: &[String]) -> bool {
    let known = connectors::rapid7::datasets::all();
    let fills = |name: &String| known.iter().any(|dataset| dataset.name == name && dataset.pull == pull);
    datasets.is_empty() || datasets.iter().any(fills)
}

fn picked<'a>(pattern: &Pattern, tenants: &'a [Tenant]) -> Result<Vec<&'a TenantId>> {
    let picked = pattern.pick(tenants);
    if picked.is_empty() {
        let names: Vec<&str> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        return Err(Error::new(
            ErrorKind::Usage,
            format!("choose the tenants: nothing was pulled of `{pattern}`"),
        )
        .with_hint(config::suggest::hint(pattern.as_str(), &names, "tenants")));
    }
    Ok(picked)
}

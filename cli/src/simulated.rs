//! A simulated platform in this process, and the run file that leads to it.

use pipeline::{Error, ErrorKind, Result};
use simulator::{Handle, KeyKind, Simulator, SimulatorConfig, StartError};

/// Starts a simulated platform on loopback.
///
/// # Errors
/// Where it cannot be served as described, or the port is taken.
pub(crate) async fn start(config: SimulatorConfig) -> Result<Handle> {
    Simulator::start(config).await.map_err(|error| {
        let hint = match &error {
            StartError::Config(_) => "`tenantry simulate --help` tells what can be set",
            StartError::Bind { .. } => "choose another port, or 0 for any that is free",
        };
        Error::new(ErrorKind::Usage, "start the simulated platform").with_source(error).with_hint(hint)
    })
}

/// Returns the key that reaches every simulated tenant.
///
/// # Errors
/// Where the platform was described without one.
pub(crate) fn key(platform: &Handle) -> Result<String> {
    let reaches_all =
        platform.keys().into_iter().find(|key| key.kind == KeyKind::MultiTenantAdmin && !key.revoked);
    let none = || Error::new(ErrorKind::Usage, "find a multi-tenant admin key in the platform's description");
    reaches_all.map(|key| key.secret).ok_or_else(none)
}

/// Returns the part of a run file that leads to the platform, for a key in a variable.
///
/// The regions of the tenants that are listed without one are written down, so that all can be read.
pub(crate) fn connector_table(platform: &Handle) -> String {
    let mut text = format!(
        "[connector.rapid7]\nparent_organization = \"{}\"\nhome_region = \"{}\"\nkey = {{ env = \"{}\" }}\nendpoint = \"{}\"\n",
        platform.parent_organization(),
        platform.config().regions.first().map_or("us", String::as_str),
        config::env::KEY,
        platform.endpoint(),
    );
    let unplaced: Vec<_> =
        platform.tenants().iter().filter(|tenant| tenant.listed_region.is_none()).collect();
    if !unplaced.is_empty() {
        text.push_str("\n# listed without a region, and known by other means\n[tenants.regions]\n");
    }
    for tenant in unplaced {
        text.push_str(&format!("\"{}\" = \"{}\"\n", tenant.id, tenant.region));
    }
    text
}

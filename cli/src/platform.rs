//! The connector of a command, made of the settings and the key.

use std::sync::Arc;

use config::{Environment, Settings};
use connectors::ConnectorConfig;
use pipeline::{Connector, Error, ErrorKind, Result, Tenant};

/// What stands in a fresh run file for the id that nobody but the operator knows.
const PLACEHOLDER: &str = "00000000-0000-0000-0000-000000000000";

/// Returns the connector that the run file describes; nothing is asked of the platform yet.
///
/// # Errors
/// Where the key cannot be found, or the settings don't fit.
pub(crate) async fn connect(settings: &Settings, environment: &Environment) -> Result<Arc<dyn Connector>> {
    let ConnectorConfig::Rapid7(config) = &settings.connector;
    if config.parent_organization.as_str() == PLACEHOLDER {
        return Err(Error::new(
            ErrorKind::Config,
            format!("read {}: parent_organization is still the example's", settings.path.display()),
        )
        .with_hint("fill in the organization id of the primary account: the one that manages the others"));
    }
    let key = config::resolve::key(&settings.connector, environment)?;
    settings.connector.connect(key).await
}

/// Returns the tenants: those that the run file writes down, else those that the platform lists.
///
/// # Errors
/// Where the platform doesn't answer.
pub(crate) async fn tenants(settings: &Settings, connector: &dyn Connector) -> Result<Vec<Tenant>> {
    if settings.written_down.is_empty() {
        connector.tenants().await
    } else {
        Ok(settings.written_down.clone())
    }
}

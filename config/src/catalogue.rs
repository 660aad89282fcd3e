//! What each connector can pull, known without asking the platform.

use std::sync::Arc;

use connectors::ConnectorConfig;
use pipeline::Dataset;

/// Returns the datasets of a connector.
#[must_use]
pub fn catalogue(connector: &ConnectorConfig) -> Vec<Arc<Dataset>> {
    match connector {
        ConnectorConfig::Rapid7(_) => connectors::rapid7::datasets::all(),
    }
}

//! Which connector a run file names.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rapid7;

/// The connector of a run file: the key below `[connector]` picks the vendor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorConfig {
    /// The Rapid7 Command Platform.
    Rapid7(rapid7::Config),
}

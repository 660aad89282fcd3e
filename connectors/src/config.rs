//! Which connector a run file names.

use std::sync::Arc;

use pipeline::{Connector, Error, ErrorKind, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::{CommandKey, FileKey, FixedKey, KeySource};
use crate::rapid7::{self, KeyConfig, Rapid7};

/// The connector of a run file: the key below `[connector]` picks the vendor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorConfig {
    /// The Rapid7 Command Platform.
    Rapid7(rapid7::Config),
}

impl ConnectorConfig {
    /// Returns the connector; `key` is the value of the environment variable, where the run file names one.
    ///
    /// The key is read once, so that a missing one is told before anything is asked.
    ///
    /// # Errors
    /// Where no key is found, or the endpoint cannot be used.
    pub async fn connect(&self, key: Option<Secret>) -> Result<Arc<dyn Connector>> {
        let Self::Rapid7(config) = self;
        let source: Arc<dyn KeySource> = match &config.key {
            KeyConfig::Env(name) => {
                let missing = || Error::new(ErrorKind::Config, format!("find the key: {name} is not set"));
                Arc::new(FixedKey::new(&key.ok_or_else(missing)?)?)
            }
            KeyConfig::File(path) => Arc::new(FileKey::new(path)),
            KeyConfig::Command(command) => Arc::new(CommandKey::new(command.clone())?),
        };
        source.current().await?;
        Ok(Arc::new(Rapid7::new(config.clone(), source)?))
    }
}

//! Which connector a run file names.

use std::sync::Arc;

use pipeline::{Connector, Error, ErrorKind, Result, Secret, Tenant};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::{CommandKey, FileKey, FixedKey, KeySource, NoKey};
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
    /// The key is read, so that a missing one is told before anything is asked.
    ///
    /// # Errors
    /// Where no key is found, or the endpoint cannot be used.
    pub async fn connect(&self, key: Option<Secret>) -> Result<Arc<dyn Connector>> {
        let key = self.key(key).map_err(|error| self.misplaced(error))?;
        let connector = self.with_key(key)?;
        connector.read_key().await.map_err(|error| self.misplaced(error))?;
        Ok(Arc::new(connector))
    }

    /// Returns the connector without a key, for who decodes and asks nothing.
    ///
    /// # Errors
    /// Where the endpoint cannot be used.
    pub fn offline(&self) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(self.with_key(Arc::new(NoKey))?))
    }

    /// Returns the account that asks, as a tenant of its own.
    #[must_use]
    pub fn account(&self) -> Tenant {
        let Self::Rapid7(config) = self;
        config.account()
    }

    /// Returns an error about a key that is not where the run file says, as one of the run file: only a command
    /// may fail for reasons of its own.
    fn misplaced(&self, error: Error) -> Error {
        let Self::Rapid7(config) = self;
        match config.key {
            KeyConfig::Env(_) | KeyConfig::File(_) => error.of_kind(ErrorKind::Config),
            KeyConfig::Command(_) => error,
        }
    }

    /// Returns where the key comes from; `key` is the environment's, as for [`ConnectorConfig::connect`].
    ///
    /// # Errors
    /// Where the variable is not set, holds no key, or no command is named.
    pub fn key(&self, key: Option<Secret>) -> Result<Arc<dyn KeySource>> {
        let Self::Rapid7(config) = self;
        Ok(match &config.key {
            KeyConfig::Env(name) => {
                let missing = || Error::new(ErrorKind::Config, format!("find the key: {name} is not set"));
                Arc::new(FixedKey::new(&key.ok_or_else(missing)?)?)
            }
            KeyConfig::File(path) => Arc::new(FileKey::new(path)),
            KeyConfig::Command(command) => Arc::new(CommandKey::new(command.clone())?),
        })
    }

    /// Returns the connector with a key of the caller's choice.
    ///
    /// # Errors
    /// Where the endpoint cannot be used.
    pub fn with_key(&self, key: Arc<dyn KeySource>) -> Result<Rapid7> {
        let Self::Rapid7(config) = self;
        Rapid7::new(config.clone(), key)
    }
}

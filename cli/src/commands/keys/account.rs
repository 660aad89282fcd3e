//! The primary account, asked with the run file's key as it stands at the beginning of a command.

use std::path::Path;
use std::sync::Arc;

use config::Settings;
use connectors::ConnectorConfig;
use connectors::http::{FixedKey, KeySource};
use connectors::rapid7::{ApiKeys, KeyConfig, Rapid7};
use pipeline::{Connector, Error, ErrorKind, Result, Secret, Tenant, TenantId};

use super::Remembered;
use crate::args::Narrow;
use crate::commands::Context;
use crate::platform;

/// The account, with one key that does not change while the command lasts.
pub(super) struct Account {
    pub(super) settings: Settings,
    pub(super) secret: Secret,
    connector: Rapid7,
}

impl Account {
    /// Reads the run file and its key.
    ///
    /// # Errors
    /// Where either cannot be read.
    pub(super) async fn open(context: &Context) -> Result<Self> {
        let settings = settings(context)?;
        let source = platform::key_source(&settings, &context.environment)?;
        let secret = source.current().await?;
        Self::with_key(settings, secret)
    }

    /// Takes the key that is given.
    ///
    /// # Errors
    /// Where it cannot be a key, or the endpoint cannot be used.
    pub(super) fn with_key(settings: Settings, secret: Secret) -> Result<Self> {
        let key: Arc<dyn KeySource> = Arc::new(FixedKey::new(&secret)?);
        let connector = settings.connector.with_key(key)?;
        Ok(Self { settings, secret, connector })
    }

    /// Returns the same account with another key.
    ///
    /// # Errors
    /// As for [`Account::with_key`].
    pub(super) fn and_key(&self, secret: Secret) -> Result<Self> {
        Self::with_key(self.settings.clone(), secret)
    }

    /// Returns the keys of the account itself, or of a managed organization in that one's region.
    ///
    /// # Errors
    /// Where the organization is not managed, or lies in no region.
    pub(super) async fn keys_of(&self, organization: Option<&TenantId>) -> Result<ApiKeys> {
        let Some(id) = organization.filter(|id| **id != self.connector.account().id) else {
            return self.connector.api_keys(None);
        };
        let failed = |why: &str| Error::new(ErrorKind::Usage, format!("find organization {id}: {why}"));
        let listed = self.tenants().await?;
        let tenant = listed.into_iter().find(|tenant| tenant.id == *id);
        let tenant = tenant.ok_or_else(|| {
            failed("it is not managed").with_hint("`tenantry tenants` shows the managed organizations")
        })?;
        let known = || self.settings.tenants.regions.get(id).cloned();
        let region = tenant.region.or_else(known).ok_or_else(|| {
            failed("it is listed without a region").with_hint("write its region down in [tenants.regions]")
        })?;
        self.connector.api_keys(Some((id.clone(), region)))
    }

    /// Returns the tenants that the key reaches, or those that the run file writes down.
    ///
    /// # Errors
    /// Where the platform does not list them.
    pub(super) async fn tenants(&self) -> Result<Vec<Tenant>> {
        platform::listed(&self.settings, &self.connector).await
    }

    /// Asks whether a key that was just made is accepted, and gives the platform a moment to know it.
    ///
    /// # Errors
    /// Where it is not.
    pub(super) async fn prove(&self) -> Result<()> {
        self.connector.prove_key().await
    }

    /// Asks whether the key is accepted.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it is not.
    pub(super) async fn still_good(&self) -> Result<()> {
        self.connector.check_key().await
    }

    /// Returns which key is in use, where that was remembered.
    pub(super) fn in_use(&self) -> Option<Remembered> {
        Remembered::beside(key_file(&self.settings)?, &self.secret)
    }
}

/// Returns the settings of a command about keys.
///
/// # Errors
/// Where the run file is wrong, or not filled in yet.
pub(super) fn settings(context: &Context) -> Result<Settings> {
    let settings = context.settings(&Narrow::default())?;
    platform::check(&settings)?;
    Ok(settings)
}

/// Returns the run file's `key.file`, where the key is in one.
pub(super) fn key_file(settings: &Settings) -> Option<&Path> {
    let ConnectorConfig::Rapid7(config) = &settings.connector;
    match &config.key {
        KeyConfig::File(path) => Some(path),
        KeyConfig::Env(_) | KeyConfig::Command(_) => None,
    }
}

//! Tenants that were stopped because an answer held another tenant's records.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind, TenantId};

/// A switch for each tenant, below the run's own.
pub(super) struct StoppedTenants {
    stop_all: CancellationToken,
    tenants: HashMap<TenantId, (CancellationToken, Option<String>)>,
}

impl StoppedTenants {
    /// Creates the switches; `stop_all` throws them all.
    pub(super) fn new(stop_all: &CancellationToken) -> Self {
        Self { stop_all: stop_all.clone(), tenants: HashMap::new() }
    }

    /// Returns the switch that the tenant's jobs run under.
    pub(super) fn token(&mut self, tenant: &TenantId) -> CancellationToken {
        self.entry(tenant).0.clone()
    }

    /// Stops everything of the tenant; the first reason stays.
    pub(super) fn stop(&mut self, tenant: &TenantId, reason: &str) {
        let (token, known) = self.entry(tenant);
        token.cancel();
        known.get_or_insert_with(|| reason.to_owned());
    }

    /// Returns why the tenant was stopped, where it was.
    pub(super) fn reason(&self, tenant: &TenantId) -> Option<String> {
        self.tenants.get(tenant).and_then(|(_, reason)| reason.clone())
    }

    /// Replaces "it was stopped" with why.
    pub(super) fn explain(&self, tenant: &TenantId, error: Error) -> Error {
        match self.reason(tenant) {
            Some(reason) if error.kind() == ErrorKind::Cancelled => Error::new(ErrorKind::Isolation, reason),
            _ => error,
        }
    }

    fn entry(&mut self, tenant: &TenantId) -> &mut (CancellationToken, Option<String>) {
        let stop_all = &self.stop_all;
        self.tenants.entry(tenant.clone()).or_insert_with(|| (stop_all.child_token(), None))
    }
}

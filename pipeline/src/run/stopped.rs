//! Tenants that were stopped because an answer held another tenant's records.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind, TenantId};

/// A switch for each tenant, below the run's own.
pub(super) struct StoppedTenants {
    stop_all: CancellationToken,
    tenants: HashMap<TenantId, (CancellationToken, Option<Reason>)>,
}

/// Why a tenant was stopped, and what helps.
#[derive(Debug, Clone)]
struct Reason {
    text: String,
    hint: Option<String>,
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

    /// Returns why the tenant was stopped, where it was.
    pub(super) fn reason(&self, tenant: &TenantId) -> Option<Error> {
        let reason = self.tenants.get(tenant)?.1.clone()?;
        let error = Error::new(ErrorKind::Isolation, reason.text);
        Some(match reason.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }

    /// Returns why a job of the tenant ended: where an answer held another tenant's records, everything of the tenant
    /// is stopped, and the first such answer is the reason for all of it.
    pub(super) fn explain(&mut self, tenant: &TenantId, error: Error) -> Error {
        match (error.kind(), self.reason(tenant)) {
            (ErrorKind::Isolation | ErrorKind::Cancelled, Some(reason)) => reason,
            (ErrorKind::Isolation, None) => {
                let reason = Reason { text: error.to_string(), hint: hint(&error) };
                let (token, known) = self.entry(tenant);
                token.cancel();
                match known.insert(reason).hint.clone() {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            _ => error,
        }
    }

    fn entry(&mut self, tenant: &TenantId) -> &mut (CancellationToken, Option<Reason>) {
        let stop_all = &self.stop_all;
        self.tenants.entry(tenant.clone()).or_insert_with(|| (stop_all.child_token(), None))
    }
}

/// Returns an error's hint, with the facts that say which answer it was: a receipt has no other place for them.
fn hint(error: &Error) -> Option<String> {
    let facts = error.context().iter().filter(|(name, _)| matches!(*name, "request" | "correlation id"));
    let facts: Vec<String> = facts.map(|(name, value)| format!("{name} {value}")).collect();
    let hint = error.hint()?;
    Some(if facts.is_empty() { hint.to_owned() } else { format!("{hint}: {}", facts.join(", ")) })
}

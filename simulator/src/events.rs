//! What happens to tenants as time passes: they join, leave, move to another region and are renamed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::SimulatorConfig;
use crate::tenants::{Tenant, spelling};

/// Something that happens to one tenant at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantEvent {
    /// When it happens; from this moment on the platform answers accordingly.
    pub at: DateTime<Utc>,
    /// The organization's id, its name at the start, or `#` and its number.
    pub tenant: String,
    /// What happens.
    pub change: TenantChange,
}

/// What happens to a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TenantChange {
    /// It is managed from now on; one whose first event this is was not managed before.
    Joins,
    /// It is no longer listed, and multi-tenant keys do not reach it any more.
    Leaves,
    /// Its data is held elsewhere: the old region's host refuses it, and the list shows the new region.
    Moves {
        /// The new region.
        region: String,
    },
    /// It has another name.
    Renamed {
        /// The new name.
        name: String,
    },
}

impl TenantEvent {
    pub(crate) fn check(&self, config: &SimulatorConfig) -> Result<(), String> {
        match &self.change {
            TenantChange::Moves { region } if !config.regions.contains(region) => {
                Err(format!("{:?} moves to the region {region:?}, which is not served", self.tenant))
            }
            _ => Ok(()),
        }
    }
}

/// Lets everything happen to the tenants of the start that happens up to a moment.
///
/// # Errors
/// An event names an organization that doesn't exist.
pub(crate) fn befall(config: &SimulatorConfig, tenants: &mut [Tenant], now_ms: i64) -> Result<(), String> {
    let mut events = Vec::with_capacity(config.events.len());
    for event in &config.events {
        let number = number(tenants, &event.tenant)
            .ok_or_else(|| format!("an event names the unknown organization {:?}", event.tenant))?;
        events.push((event, number));
    }
    // Sorting is stable: what happens at one moment happens in the order of the list.
    events.sort_by_key(|(event, _)| event.at);
    for tenant in tenants.iter_mut() {
        let first =
            events.iter().filter(|(_, number)| *number == tenant.number).map(|(event, _)| &event.change);
        let mut first = first.filter(|change| matches!(change, TenantChange::Joins | TenantChange::Leaves));
        tenant.managed = first.next() != Some(&TenantChange::Joins);
    }
    for (event, number) in events {
        if event.at.timestamp_millis() <= now_ms {
            happen(config, &mut tenants[number], &event.change);
        }
    }
    Ok(())
}

fn number(tenants: &[Tenant], name: &str) -> Option<usize> {
    let by_number = name.strip_prefix('#').and_then(|text| text.parse::<usize>().ok());
    by_number.filter(|number| *number < tenants.len()).or_else(|| {
        tenants.iter().position(|tenant| tenant.id.eq_ignore_ascii_case(name) || tenant.name == name)
    })
}

fn happen(config: &SimulatorConfig, tenant: &mut Tenant, change: &TenantChange) {
    match change {
        TenantChange::Joins => tenant.managed = true,
        TenantChange::Leaves => tenant.managed = false,
        TenantChange::Moves { region } => {
            tenant.region.clone_from(region);
            if config.moves_rename_rows {
                tenant.named_region.clone_from(region);
            }
            // One that is listed without a region stays so.
            if tenant.listed_region.is_some() {
                tenant.listed_region = Some(spelling(config, region, tenant.number));
            }
        }
        TenantChange::Renamed { name } => tenant.name.clone_from(name),
    }
}

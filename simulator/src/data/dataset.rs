//! The datasets served, and how many rows of each a tenant has.

use serde::{Deserialize, Serialize};

use crate::config::SimulatorConfig;
use crate::tenants::Tenant;

/// A collection of rows that every tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Investigations of the SIEM, by created time.
    Investigations,
    /// Alerts of the SIEM, by the time they were raised.
    Alerts,
    /// People the SIEM knows.
    Users,
    /// Domain accounts the SIEM knows.
    Accounts,
    /// Machines the SIEM knows.
    Assets,
    /// Accounts on single machines.
    LocalAccounts,
    /// Machines assessed for vulnerabilities.
    VmAssets,
    /// What the assessed machines suffer from; served inside the assets.
    VmFindings,
    /// Vulnerability definitions, the same for all tenants.
    VmVulnerabilities,
    /// Scans for vulnerabilities.
    VmScans,
    /// Scan sites.
    VmSites,
    /// Scan engines.
    VmEngines,
    /// People who may log in to the platform.
    AccountUsers,
    /// Products a tenant has bought.
    Products,
}

impl Dataset {
    pub(crate) const COUNT: usize = 14;

    /// All datasets.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Investigations,
        Self::Alerts,
        Self::Users,
        Self::Accounts,
        Self::Assets,
        Self::LocalAccounts,
        Self::VmAssets,
        Self::VmFindings,
        Self::VmVulnerabilities,
        Self::VmScans,
        Self::VmSites,
        Self::VmEngines,
        Self::AccountUsers,
        Self::Products,
    ];

    /// Returns the name used in paths and truth.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Investigations => "investigations",
            Self::Alerts => "alerts",
            Self::Users => "users",
            Self::Accounts => "accounts",
            Self::Assets => "assets",
            Self::LocalAccounts => "local_accounts",
            Self::VmAssets => "vm_assets",
            Self::VmFindings => "vm_findings",
            Self::VmVulnerabilities => "vm_vulnerabilities",
            Self::VmScans => "vm_scans",
            Self::VmSites => "vm_sites",
            Self::VmEngines => "vm_engines",
            Self::AccountUsers => "account_users",
            Self::Products => "products",
        }
    }

    /// Returns the dataset of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name() == name)
    }

    /// Whether the rows have a time by which they are listed and windowed.
    pub(crate) fn is_timed(self) -> bool {
        matches!(self, Self::Investigations | Self::Alerts)
    }

    /// Whether rows appear and vanish as time passes.
    pub(crate) fn is_churned(self) -> bool {
        matches!(
            self,
            Self::Users
                | Self::Accounts
                | Self::Assets
                | Self::LocalAccounts
                | Self::VmAssets
                | Self::VmSites
                | Self::AccountUsers
        )
    }

    /// Whether only a tenant with a licence for vulnerability management has it.
    pub(crate) fn is_vm(self) -> bool {
        matches!(
            self,
            Self::VmAssets
                | Self::VmFindings
                | Self::VmVulnerabilities
                | Self::VmScans
                | Self::VmSites
                | Self::VmEngines
        )
    }

    /// Returns how many rows a tenant of weight one has.
    pub(crate) fn usual(self, config: &SimulatorConfig) -> u32 {
        if let Some(rows) = config.row_counts.get(&self) {
            return *rows;
        }
        match self {
            Self::Investigations => 200,
            Self::Alerts => 700,
            Self::Users => 300,
            Self::Accounts => 600,
            Self::Assets => 350,
            Self::LocalAccounts => 200,
            Self::VmAssets => 150,
            Self::VmScans => 40,
            Self::VmSites => 6,
            Self::VmEngines => 3,
            Self::AccountUsers => 12,
            Self::VmFindings | Self::VmVulnerabilities | Self::Products => 0,
        }
    }

    /// Returns a tenant's number of rows of each dataset at the start.
    pub(crate) fn counts(config: &SimulatorConfig, tenant: &Tenant) -> [u32; Self::COUNT] {
        let mut counts = [0; Self::COUNT];
        for dataset in Self::ALL {
            let usual = dataset.usual(config);
            counts[dataset as usize] = match dataset {
                _ if dataset.is_vm() && !tenant.licensed_vm => 0,
                Self::VmVulnerabilities => config.catalogue,
                Self::Products => 1 + u32::from(tenant.licensed_vm),
                _ => (f64::from(usual) * tenant.weight * config.rows).round() as u32,
            };
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        for (place, dataset) in Dataset::ALL.into_iter().enumerate() {
            assert_eq!(dataset as usize, place);
            assert_eq!(Dataset::from_name(dataset.name()), Some(dataset));
            let spelled = serde_json::to_value(dataset).expect("a name");
            assert_eq!(spelled, dataset.name());
        }
    }
}

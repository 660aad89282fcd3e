//! Which endpoint a path names, in which region, and which methods it takes.

use http::Method;

use crate::data::Dataset;
use crate::query::decode;

/// An endpoint of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Validate,
    ManagedOrganizations,
    OrganizationsOfUser(String),
    Organizations,
    Products,
    AccountUsers,
    ApiKeys,
    ApiKey(String),
    Investigations,
    AlertSearch,
    Entities(Dataset),
    VmHealth,
    VmAssets,
    VmAsset(String),
    VmVulnerabilities,
    VmSites,
    VmScans,
    VmScan(String),
    VmEngines,
}

/// Whose error bodies an endpoint uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    Gateway,
    Idr,
    Vm,
}

impl Endpoint {
    /// Returns the endpoint of a path without its region.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        Some(match segments[..] {
            ["validate"] => Self::Validate,
            ["account", "api", "1", ref rest @ ..] => return Self::of_account(rest),
            ["idr", "v2", "investigations"] => Self::Investigations,
            ["idr", "at", "alerts", "ops", "search"] => Self::AlertSearch,
            ["idr", "v1", "users", "_search"] => Self::Entities(Dataset::Users),
            ["idr", "v1", "accounts", "_search"] => Self::Entities(Dataset::Accounts),
            ["idr", "v1", "assets", "_search"] => Self::Entities(Dataset::Assets),
            ["idr", "v1", "assets", "local-accounts", "_search"] => Self::Entities(Dataset::LocalAccounts),
            ["vm", "admin", "health"] => Self::VmHealth,
            ["vm", "v4", "integration", ref rest @ ..] => return Self::of_vm(rest),
            _ => return None,
        })
    }

    fn of_account(rest: &[&str]) -> Option<Self> {
        Some(match rest {
            ["managed-organizations"] => Self::ManagedOrganizations,
            ["users", id, "managed-organizations"] => Self::OrganizationsOfUser(decode(id)),
            ["organizations"] => Self::Organizations,
            ["products"] => Self::Products,
            ["users"] => Self::AccountUsers,
            ["api-keys"] => Self::ApiKeys,
            ["api-keys", id] => Self::ApiKey(decode(id)),
            _ => return None,
        })
    }

    fn of_vm(rest: &[&str]) -> Option<Self> {
        Some(match rest {
            ["assets"] => Self::VmAssets,
            ["assets", id] => Self::VmAsset(decode(id)),
            ["vulnerabilities"] => Self::VmVulnerabilities,
            ["sites"] => Self::VmSites,
            ["scan"] => Self::VmScans,
            ["scan", "engine"] => Self::VmEngines,
            ["scan", id] => Self::VmScan(decode(id)),
            _ => return None,
        })
    }

    /// Returns the methods the endpoint takes.
    pub(crate) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Validate | Self::ApiKeys | Self::VmSites => &[Method::GET, Method::POST],
            Self::ApiKey(_) => &[Method::DELETE],
            Self::AlertSearch | Self::Entities(_) | Self::VmAssets | Self::VmVulnerabilities => {
                &[Method::POST]
            }
            _ => &[Method::GET],
        }
    }

    /// Returns the family whose limit counts the endpoint; validation is in none.
    pub(crate) fn family(&self) -> &'static str {
        match self {
            Self::Validate => "gateway",
            Self::Investigations | Self::Entities(_) => "idr",
            Self::AlertSearch => "alerts",
            _ if self.manners() == Manners::Vm => "vm",
            _ => "account",
        }
    }

    /// Returns whose error bodies the endpoint uses.
    pub(crate) fn manners(&self) -> Manners {
        match self {
            Self::Investigations | Self::Entities(_) | Self::AlertSearch => Manners::Idr,
            Self::VmHealth
            | Self::VmAssets
            | Self::VmAsset(_)
            | Self::VmVulnerabilities
            | Self::VmSites
            | Self::VmScans
            | Self::VmScan(_)
            | Self::VmEngines => Manners::Vm,
            _ => Manners::Gateway,
        }
    }

    /// Returns the dataset the endpoint serves.
    pub(crate) fn dataset(&self) -> Option<Dataset> {
        Some(match self {
            Self::Products => Dataset::Products,
            Self::AccountUsers => Dataset::AccountUsers,
            Self::Investigations => Dataset::Investigations,
            Self::AlertSearch => Dataset::Alerts,
            Self::Entities(dataset) => *dataset,
            Self::VmAssets | Self::VmAsset(_) => Dataset::VmAssets,
            Self::VmVulnerabilities => Dataset::VmVulnerabilities,
            Self::VmSites => Dataset::VmSites,
            Self::VmScans | Self::VmScan(_) => Dataset::VmScans,
            Self::VmEngines => Dataset::VmEngines,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_endpoints() {
        fn check(path: &str, expected: Option<(&str, Manners)>) {
            let found = Endpoint::of(path).map(|endpoint| (endpoint.family(), endpoint.manners()));
            assert_eq!(found, expected, "{path}");
        }
        check("/validate", Some(("gateway", Manners::Gateway)));
        check("/account/api/1/users/u1/managed-organizations", Some(("account", Manners::Gateway)));
        check("/idr/v1/assets/local-accounts/_search", Some(("idr", Manners::Idr)));
        check("/idr/at/alerts/ops/search", Some(("alerts", Manners::Idr)));
        check("/vm/v4/integration/scan/engine", Some(("vm", Manners::Vm)));
        check("/vm/v4/integration/scan/a%3Ab", Some(("vm", Manners::Vm)));
        check("/vm/v4/integration", None);
        check("/idr/v2/investigations/", None);
        check("/", None);
        check("", None);
    }
}

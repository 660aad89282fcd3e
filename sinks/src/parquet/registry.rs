//! The registry of tenants: who was there, since when, and what changed from one run to the next.

use std::path::Path;

use pipeline::{Error, ErrorKind, Region, Result, Tenant, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::layout::Layout;
use super::seal::seal;
use super::store::read_if_there;

/// The version written into new registries.
const SCHEMA_VERSION: u32 = 1;

/// Every tenant that was ever listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// The version of this file's shape.
    pub schema_version: u32,
    /// The tenants, by id.
    pub tenants: Vec<KnownTenant>,
}

/// A tenant as it was last listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTenant {
    /// Its identifier.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Where its data lives, where the platform said so.
    pub region: Option<Region>,
    /// The operator's own number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether the last listing held it.
    pub listed: bool,
    /// The run that listed it first.
    pub first_seen: Seen,
    /// The run that listed it last.
    pub last_seen: Seen,
}

impl From<&KnownTenant> for Tenant {
    fn from(known: &KnownTenant) -> Self {
        let KnownTenant { id, name, region, external_id, .. } = known.clone();
        Self { id, name, region, external_id }
    }
}

/// A run that listed a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The run.
    pub run_id: String,
    /// When it began, where its identifier says so.
    pub at: Option<Timestamp>,
}

/// What changed between the registry and a fresh listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Tenants that are new, or back.
    pub joined: Vec<Tenant>,
    /// Tenants that are no longer listed.
    pub left: Vec<KnownTenant>,
    /// Tenants with another name.
    pub renamed: Vec<Renamed>,
    /// Tenants in another region.
    pub moved: Vec<Moved>,
}

/// A tenant that has another name now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// The tenant as it is listed now.
    pub tenant: Tenant,
    /// The name it had.
    pub from: String,
}

/// A tenant that is in another region now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The tenant as it is listed now.
    pub tenant: Tenant,
    /// The region it was in.
    pub from: Option<Region>,
}

impl Changes {
    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { schema_version: SCHEMA_VERSION, tenants: Vec::new() }
    }
}

impl Registry {
    /// Returns a tenant as it was last listed.
    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> Option<Tenant> {
        self.tenants.iter().find(|known| known.id == *id).map(Tenant::from)
    }

    /// Reads the registry of a lake; an empty one where there is none yet.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let path = Layout::new(root.to_owned()).registry();
        let Some(text) = read_if_there("read the registry of tenants", &path)? else {
            return Ok(Self::default());
        };
        let unreadable = |why: String| {
            Error::new(ErrorKind::Sink, format!("read the registry of tenants: {why}"))
                .with_context("path", path.display().to_string())
                .with_hint("move the file away: the next run writes it anew, with every tenant as new")
        };
        let registry: Self = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if registry.schema_version != SCHEMA_VERSION {
            return Err(unreadable(format!("its schema version {} is unknown", registry.schema_version)));
        }
        Ok(registry)
    }

    /// Returns what a fresh listing changes.
    #[must_use]
    pub fn changes(&self, listing: &[Tenant]) -> Changes {
        let mut changes = Changes::default();
        for tenant in listing {
            let Some(known) = self.tenants.iter().find(|known| known.id == tenant.id && known.listed) else {
                changes.joined.push(tenant.clone());
                continue;
            };
            if known.name != tenant.name {
                changes.renamed.push(Renamed { tenant: tenant.clone(), from: known.name.clone() });
            }
            if known.region != tenant.region {
                changes.moved.push(Moved { tenant: tenant.clone(), from: known.region.clone() });
            }
        }
        let is_gone =
            |known: &&KnownTenant| known.listed && listing.iter().all(|tenant| tenant.id != known.id);
        changes.left = self.tenants.iter().filter(is_gone).cloned().collect();
        changes
    }

    /// Returns the text of the registry, sealed with its hash.
    pub(super) fn seal(&self) -> Vec<u8> {
        seal(serde_json::to_vec_pretty(self).expect("a registry is plain data"))
    }

    /// Takes over a run's listing; a tenant that left stays known.
    pub(super) fn take_over(&mut self, listing: &[Tenant], run_id: &str) {
        let seen = Seen { run_id: run_id.to_owned(), at: begin_of(run_id) };
        for known in &mut self.tenants {
            known.listed = false;
        }
        let mut tenants: std::collections::BTreeMap<TenantId, KnownTenant> =
            std::mem::take(&mut self.tenants).into_iter().map(|known| (known.id.clone(), known)).collect();
        for tenant in listing {
            let first_seen =
                tenants.get(&tenant.id).map_or_else(|| seen.clone(), |known| known.first_seen.clone());
            let known = KnownTenant {
                id: tenant.id.clone(),
                name: tenant.name.clone(),
                region: tenant.region.clone(),
                external_id: tenant.external_id.clone(),
                listed: true,
                first_seen,
                last_seen: seen.clone(),
            };
            tenants.insert(tenant.id.clone(), known);
        }
        self.tenants = tenants.into_values().collect();
    }
}

/// Returns the instant that a run's identifier holds, if it is one that begins with the time.
fn begin_of(run_id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::parse_str(run_id).ok()?.get_timestamp()?.to_unix();
    Timestamp::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(id: &str, name: &str, region: &str) -> Tenant {
        Tenant {
            id: id.parse().expect("an id"),
            name: name.to_owned(),
            region: Some(region.parse().expect("a region")),
            external_id: None,
        }
    }

    #[test]
    fn a_listing_is_compared_with_the_one_before() {
        let mut registry = Registry::default();
        let first = [tenant("a", "Acme", "us"), tenant("b", "Globex", "eu"), tenant("c", "Initech", "au")];
        assert_eq!(registry.changes(&first).joined, first);
        registry.take_over(&first, "0197f4f0-0000-7000-8000-000000000001");
        assert!(registry.changes(&first).is_empty());

        let second =
            [tenant("a", "Acme Corp", "us"), tenant("b", "Globex", "us"), tenant("d", "Hooli", "eu")];
        let changes = registry.changes(&second);
        assert_eq!(changes.joined, [second[2].clone()]);
        assert_eq!(changes.renamed, [Renamed { tenant: second[0].clone(), from: "Acme".to_owned() }]);
        assert_eq!(changes.moved, [Moved { tenant: second[1].clone(), from: first[1].region.clone() }]);
        assert_eq!(changes.left.iter().map(|known| known.id.as_str()).collect::<Vec<_>>(), ["c"]);

        registry.take_over(&second, "second");
        assert_eq!(registry.changes(&first).joined, [first[2].clone()], "who comes back has joined");
        let known =
            |id: &str| registry.tenants.iter().find(|known| known.id.as_str() == id).expect("is known");
        assert!(known("a").first_seen.at.is_some() && known("a").last_seen.run_id == "second");
        assert!(!known("c").listed);
    }
}

//! What there is to read: the counts, keys and digests that a complete pull must arrive at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::data::vm_findings::{self, View};
use crate::data::world::{Row, World};
use crate::listing::Listing;
use crate::tenants::Tenant;

/// Everything the platform holds, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The primary account's own organization.
    pub parent_organization: String,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
    /// Every organization managed at present once, in the order of the list.
    pub tenants: Vec<TenantTruth>,
}

/// What one tenant has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantTruth {
    /// The organization's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The region that holds its data, whatever the list says.
    pub region: String,
    /// The region as the list spells it, if it does.
    pub listed_region: Option<String>,
    /// The counts of each dataset.
    pub datasets: BTreeMap<Dataset, DatasetTruth>,
}

/// What a tenant has of one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetTruth {
    /// All rows, those with a value of a wrong type included.
    pub rows: u64,
    /// The rows with a value of a wrong type; a finding shares its asset's fate.
    pub rejects: u64,
    /// The digest of all keys.
    pub digest: String,
    /// The digest of the keys of the rows without such a value.
    pub kept_digest: String,
}

/// The keys of a tenant's rows in one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The rows without a value of a wrong type.
    pub keys: Vec<String>,
    /// The others.
    pub rejects: Vec<String>,
}

/// One row as it is at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTruth {
    /// The value that names it.
    pub key: String,
    /// Whether it has a value of a wrong type.
    pub reject: bool,
    /// The JSON in which it is served, word for word.
    pub json: String,
}

/// Returns a digest of keys that does not depend on their order: the sum of their 64-bit FNV-1a hashes in hexadecimal.
pub fn digest<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let hash = |key: &str| {
        key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    format!("{:016x}", keys.into_iter().map(hash).fold(0, u64::wrapping_add))
}

/// Returns the counts of all managed tenants; a window in milliseconds, its end excluded, narrows the timed datasets.
pub(crate) fn of(world: &World, window: (Option<i64>, Option<i64>)) -> Truth {
    let tenant = |tenant: &Tenant| TenantTruth {
        id: tenant.id.clone(),
        name: tenant.name.clone(),
        region: tenant.region.clone(),
        listed_region: tenant.listed_region.clone(),
        datasets: Dataset::ALL
            .into_iter()
            .map(|dataset| (dataset, count(world, tenant, dataset, window)))
            .collect(),
    };
    Truth {
        parent_organization: world.parent.id.clone(),
        now_ms: world.now_ms,
        tenants: world.tenants.iter().filter(|tenant| tenant.managed).map(tenant).collect(),
    }
}

fn count(
    world: &World,
    tenant: &Tenant,
    dataset: Dataset,
    window: (Option<i64>, Option<i64>),
) -> DatasetTruth {
    let keys = keys(world, tenant, dataset, window);
    let kept = || keys.keys.iter().map(String::as_str);
    DatasetTruth {
        rows: (keys.keys.len() + keys.rejects.len()) as u64,
        rejects: keys.rejects.len() as u64,
        digest: digest(kept().chain(keys.rejects.iter().map(String::as_str))),
        kept_digest: digest(kept()),
    }
}

/// Returns the keys of a tenant's rows.
pub(crate) fn keys(
    world: &World,
    tenant: &Tenant,
    dataset: Dataset,
    window: (Option<i64>, Option<i64>),
) -> Keys {
    let view = View::present(world);
    let mut keys = Keys::default();
    for row in listed(world, tenant, dataset, window) {
        if dataset == Dataset::VmFindings {
            // They fit, whether their asset does or not.
            keys.keys.extend(vm_findings::keys(&row, &view));
        } else {
            let place = if row.is_reject() { &mut keys.rejects } else { &mut keys.keys };
            place.push(Row::key(&row));
        }
    }
    keys
}

/// Returns a tenant's rows, each as it is served; findings stand for themselves, and assets with all of theirs.
pub(crate) fn rows(
    world: &World,
    tenant: &Tenant,
    dataset: Dataset,
    window: (Option<i64>, Option<i64>),
) -> Vec<RowTruth> {
    let view = View::present(world);
    let mut rows = Vec::new();
    for row in listed(world, tenant, dataset, window) {
        if dataset == Dataset::VmFindings {
            let findings = vm_findings::rows(&row, &view).into_iter();
            rows.extend(findings.map(|(key, json)| RowTruth { key, reject: false, json }));
        } else {
            let reject = row.is_reject();
            let mut json = Vec::with_capacity(1024);
            row.put_json(&mut json);
            let json = String::from_utf8(json).expect("rows are written from text");
            rows.push(RowTruth { key: row.key(), reject, json });
        }
    }
    rows
}

fn listed<'a>(
    world: &'a World,
    tenant: &'a Tenant,
    dataset: Dataset,
    window: (Option<i64>, Option<i64>),
) -> Vec<Row<'a>> {
    let held_by = if dataset == Dataset::VmFindings { Dataset::VmAssets } else { dataset };
    let mut listing = Listing::all(world, tenant, held_by);
    if dataset.is_timed() {
        listing.window = Some((window.0.unwrap_or(i64::MIN), window.1.map_or(i64::MAX, |until| until - 1)));
    }
    listing.rows()
}

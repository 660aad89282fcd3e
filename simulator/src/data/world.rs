//! Everything the platform holds: the tenants, and for each the rows of every dataset.

use std::sync::RwLock;

use super::collection::{Collection, RowId};
use super::dataset::Dataset;
use super::rng::{Dice, below, mix};
use super::{
    account, alerts, entities, investigations, vm_assets, vm_findings, vm_scans, vm_vulnerabilities,
};
use crate::config::SimulatorConfig;
use crate::tenants::{self, Tenant};

const DAY_MS: i64 = 86_400_000;

/// The platform's content.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) parent: Tenant,
    pub(crate) catalogue: u32,
    pub(crate) now_ms: i64,
    pub(crate) irregular: bool,
    pub(crate) findings_per_asset: u32,
    history_ms: i64,
    seed: u64,
    reject_permyriad: u64,
    collections: Vec<RwLock<Collection>>,
}

impl World {
    /// Makes the content of a configuration whose `now` is set.
    pub(crate) fn new(config: &SimulatorConfig, now_ms: i64) -> Self {
        let tenants = tenants::make(config);
        let collections = tenants
            .iter()
            .flat_map(|tenant| tenant.counts.iter())
            .map(|count| RwLock::new(Collection::new(*count)))
            .collect();
        Self {
            tenants,
            parent: tenants::parent(config),
            catalogue: config.catalogue,
            now_ms,
            irregular: config.quirks.irregular_rows,
            findings_per_asset: config.findings_per_asset,
            history_ms: i64::from(config.history_days) * DAY_MS,
            seed: config.seed,
            reject_permyriad: (config.reject_rate * 10_000.0).round() as u64,
            collections,
        }
    }

    /// Returns the tenant of an id.
    pub(crate) fn tenant(&self, id: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.id.eq_ignore_ascii_case(id))
    }

    /// Returns the tenant of an id, a name, or `#` and a number.
    pub(crate) fn tenant_named(&self, name: &str) -> Option<&Tenant> {
        if let Some(number) = name.strip_prefix('#').and_then(|text| text.parse::<usize>().ok()) {
            return self.tenants.get(number);
        }
        self.tenant(name).or_else(|| self.tenants.iter().find(|tenant| tenant.name == name))
    }

    /// Looks at a tenant's order of rows.
    pub(crate) fn read<T>(
        &self,
        tenant: &Tenant,
        dataset: Dataset,
        look: impl FnOnce(&Collection) -> T,
    ) -> T {
        let Some(lock) = self.collections.get(self.place(tenant, dataset)) else {
            return look(&Collection::default());
        };
        look(&lock.read().expect("no holder of the order panics"))
    }

    /// Changes a tenant's order of rows.
    pub(crate) fn change<T>(
        &self,
        tenant: &Tenant,
        dataset: Dataset,
        change: impl FnOnce(&mut Collection) -> T,
    ) -> Option<T> {
        let lock = self.collections.get(self.place(tenant, dataset))?;
        Some(change(&mut lock.write().expect("no holder of the order panics")))
    }

    fn place(&self, tenant: &Tenant, dataset: Dataset) -> usize {
        // The primary account's number is beyond every place: it has no rows.
        tenant.number.saturating_mul(Dataset::COUNT).saturating_add(dataset as usize)
    }

    /// Returns one row.
    pub(crate) fn row<'a>(&'a self, tenant: &'a Tenant, dataset: Dataset, id: RowId) -> Row<'a> {
        // The catalogue of vulnerabilities belongs to nobody, so nobody's hash may enter it.
        let owner = if dataset == Dataset::VmVulnerabilities { mix(self.seed) } else { tenant.hash };
        let hash = mix(mix(owner ^ ((dataset as u64) << 56)) ^ u64::from(id.at) ^ (u64::from(id.nth) << 32));
        Row { world: self, tenant, dataset, id, hash }
    }
}

/// One row: a name from which everything in it follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) world: &'a World,
    pub(crate) tenant: &'a Tenant,
    pub(crate) dataset: Dataset,
    pub(crate) id: RowId,
    pub(crate) hash: u64,
}

impl Row<'_> {
    /// Returns the draws that belong to one purpose in this row.
    pub(crate) fn dice(&self, purpose: u64) -> Dice {
        Dice::new(self.hash, purpose)
    }

    /// Whether the row carries a value of a wrong type.
    pub(crate) fn is_reject(&self) -> bool {
        self.world.reject_permyriad > 0 && self.dice(99).below(10_000) < self.world.reject_permyriad
    }

    /// Returns the time by which the row is listed; it never falls from one row to the next.
    pub(crate) fn time_ms(&self) -> i64 {
        let count = i64::from(self.tenant.counts[self.dataset as usize]);
        let at = i64::from(self.id.at);
        if at >= count {
            return self.world.now_ms + (at - count + 1) * 1000;
        }
        let step = self.world.history_ms / count;
        // Rows put before another share its time, so that they stay inside the same window.
        let jitter = below(mix(self.tenant.hash ^ u64::from(self.id.at)), step.max(1) as u64) as i64;
        let time = self.world.now_ms - self.world.history_ms + at * self.world.history_ms / count + jitter;
        if self.dataset == Dataset::Investigations && !investigations::has_fractions(self.tenant) {
            time - time.rem_euclid(1000)
        } else {
            time
        }
    }

    /// Appends the value that names the row among its tenant's.
    pub(crate) fn put_key(&self, out: &mut Vec<u8>) {
        match self.dataset {
            Dataset::Investigations => investigations::put_key(self, out),
            Dataset::Alerts => alerts::put_key(self, out),
            Dataset::Users | Dataset::Accounts | Dataset::Assets | Dataset::LocalAccounts => {
                entities::put_key(self, out);
            }
            Dataset::VmAssets => vm_assets::put_key(self, out),
            Dataset::VmFindings => vm_findings::put_asset_key(self, out),
            Dataset::VmVulnerabilities => vm_vulnerabilities::put_key(self, out),
            Dataset::VmScans | Dataset::VmSites | Dataset::VmEngines => vm_scans::put_key(self, out),
            Dataset::AccountUsers | Dataset::Products => account::put_key(self, out),
        }
    }

    /// Appends the row as JSON; assets of vulnerability management are written by their own page.
    pub(crate) fn put_json(&self, out: &mut Vec<u8>) {
        match self.dataset {
            Dataset::Investigations => investigations::put_json(self, out),
            Dataset::Alerts => alerts::put_json(self, out),
            Dataset::Users | Dataset::Accounts | Dataset::Assets | Dataset::LocalAccounts => {
                entities::put_json(self, out);
            }
            Dataset::VmAssets | Dataset::VmFindings => {
                vm_assets::put_json(self, &vm_findings::View::present(self.world), out);
            }
            Dataset::VmVulnerabilities => vm_vulnerabilities::put_json(self, out),
            Dataset::VmScans | Dataset::VmSites | Dataset::VmEngines => vm_scans::put_json(self, out),
            Dataset::AccountUsers | Dataset::Products => account::put_json(self, out),
        }
    }

    /// Returns the key as text.
    pub(crate) fn key(&self) -> String {
        let mut out = Vec::with_capacity(96);
        self.put_key(&mut out);
        String::from_utf8(out).expect("keys are written from text")
    }
}

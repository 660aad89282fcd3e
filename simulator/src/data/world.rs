//! Everything the platform holds at one moment: the tenants, and for each the rows of every dataset.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::collection::{Collection, RowId};
use super::dataset::Dataset;
use super::rng::{Dice, below, mix};
use super::{
    account, alerts, entities, investigations, life, vm_assets, vm_findings, vm_scans, vm_vulnerabilities,
};
use crate::clock;
use crate::config::{Evolution, SimulatorConfig};
use crate::memo::Memo;
use crate::tenants::{self, Tenant};

pub(crate) const DAY_MS: i64 = 86_400_000;

const POISON: &str = "no holder of the order panics";

/// The platform's content at a moment; another moment is another world, with the same hands' traces in it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) parent: Tenant,
    pub(crate) catalogue: u32,
    /// The moment.
    pub(crate) now_ms: i64,
    /// The moment at the start: what came before is history, what comes after it has yet to happen.
    pub(crate) origin_ms: i64,
    /// Whether anybody told the platform its time.
    pub(crate) is_told: bool,
    pub(crate) irregular: bool,
    pub(crate) findings_per_asset: u32,
    pub(crate) evolution: Evolution,
    pub(crate) history_ms: i64,
    seed: u64,
    reject_permyriad: u64,
    traces: Arc<Traces>,
}

/// What hands and faults did to the orders of rows; it outlasts the moment.
#[derive(Debug)]
struct Traces {
    collections: Vec<RwLock<Collection>>,
    /// The times of rows put at the end after the clock was moved, by collection and place.
    appended_ms: RwLock<HashMap<(usize, u32), i64>>,
    memo: Memo,
}

impl World {
    /// Makes the content of a configuration as it is at the start.
    ///
    /// # Errors
    /// An event names an organization that doesn't exist.
    pub(crate) fn new(config: &SimulatorConfig, origin_ms: i64) -> Result<Self, String> {
        let start = tenants::make(config);
        let collections = start
            .iter()
            .flat_map(|tenant| tenant.counts.iter())
            .map(|count| RwLock::new(Collection::new(*count)))
            .collect();
        let traces = Traces { collections, appended_ms: RwLock::default(), memo: Memo::default() };
        Ok(Self {
            tenants: tenants::at(config, start, origin_ms)?,
            parent: tenants::parent(config),
            catalogue: config.catalogue,
            now_ms: origin_ms,
            origin_ms,
            is_told: config.now.is_some(),
            irregular: config.quirks.irregular_rows,
            findings_per_asset: config.findings_per_asset,
            evolution: config.evolution.clone(),
            history_ms: i64::from(config.history_days) * DAY_MS,
            seed: config.seed,
            reject_permyriad: (config.reject_rate * 10_000.0).round() as u64,
            traces: Arc::new(traces),
        })
    }

    /// Returns the same world at another moment.
    ///
    /// # Errors
    /// The moment lies before the start.
    pub(crate) fn at(&self, config: &SimulatorConfig, now_ms: i64) -> Result<Self, String> {
        if now_ms < self.origin_ms {
            return Err(format!("the clock cannot go before the start, {}", self.origin_ms));
        }
        Ok(Self {
            tenants: tenants::at(config, tenants::make(config), now_ms)?,
            parent: self.parent.clone(),
            now_ms,
            is_told: true,
            evolution: self.evolution.clone(),
            traces: self.traces.clone(),
            ..*self
        })
    }

    /// Whether the moment is another than that of the start.
    pub(crate) fn has_moved(&self) -> bool {
        self.now_ms != self.origin_ms
    }

    /// Returns the present: the clock's once it was moved, else the machine's where that is later.
    pub(crate) fn present_ms(&self) -> i64 {
        if self.has_moved() { self.now_ms } else { clock::now().timestamp_millis().max(self.now_ms) }
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
        let Some(lock) = self.traces.collections.get(self.place(tenant, dataset)) else {
            return look(&Collection::default());
        };
        let rows = lock.read().expect(POISON);
        if rows.is_of(self.now_ms, self.has_moved()) {
            return look(&rows);
        }
        drop(rows);
        let mut rows = lock.write().expect(POISON);
        self.settle(tenant, dataset, &mut rows);
        look(&rows)
    }

    /// Brings an order to this world's moment; it is kept until the clock moves on.
    fn settle(&self, tenant: &Tenant, dataset: Dataset, rows: &mut Collection) {
        if rows.is_of(self.now_ms, self.has_moved()) {
            return;
        }
        let time = |id: RowId| if dataset.is_timed() { self.row(tenant, dataset, id).time_ms() } else { 0 };
        let there = self.has_moved().then(|| life::rows(self, tenant, dataset));
        rows.settle(self.now_ms, there, time);
    }

    /// Changes a tenant's order of rows.
    pub(crate) fn change<T>(
        &self,
        tenant: &Tenant,
        dataset: Dataset,
        change: impl FnOnce(&mut Collection) -> T,
    ) -> Option<T> {
        let lock = self.traces.collections.get(self.place(tenant, dataset))?;
        let mut rows = lock.write().expect(POISON);
        self.settle(tenant, dataset, &mut rows);
        Some(change(&mut rows))
    }

    /// Puts new rows at the end, where they come into being at this very moment, and returns how many there are now.
    pub(crate) fn append(&self, tenant: &Tenant, dataset: Dataset, count: u32) -> Option<usize> {
        self.change(tenant, dataset, |rows| {
            for _ in 0..count {
                let id = rows.append();
                if self.has_moved() {
                    let mut times = self.traces.appended_ms.write().expect(POISON);
                    times.insert((self.place(tenant, dataset), id.at), self.now_ms);
                }
            }
            if self.has_moved() {
                rows.unsettle();
                self.settle(tenant, dataset, rows);
            }
            rows.len()
        })
    }

    /// Returns what is remembered of listings.
    pub(crate) fn memo(&self) -> &Memo {
        &self.traces.memo
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

    /// Returns the draws that belong to one purpose after the row has changed so often.
    pub(crate) fn dice_after(&self, changes: u64, purpose: u64) -> Dice {
        if changes == 0 { self.dice(purpose) } else { Dice::new(mix(self.hash ^ mix(changes)), purpose) }
    }

    /// Returns the number of the row among those that came into being after the start, if it is one.
    pub(crate) fn grown(&self) -> Option<u32> {
        self.id.at.checked_sub(life::GROWN)
    }

    /// Returns the number of the row among all of its tenant's.
    pub(crate) fn ordinal(&self) -> u32 {
        self.grown().map_or(self.id.at, |number| self.tenant.counts[self.dataset as usize] + number)
    }

    /// Whether the row carries a value of a wrong type.
    pub(crate) fn is_reject(&self) -> bool {
        self.world.reject_permyriad > 0 && self.dice(99).below(10_000) < self.world.reject_permyriad
    }

    /// Returns the time by which the row is listed; it never falls from one row to the next.
    pub(crate) fn time_ms(&self) -> i64 {
        let count = i64::from(self.tenant.counts[self.dataset as usize]);
        let at = i64::from(self.id.at);
        if at >= count && self.grown().is_none() {
            return self.appended_ms().unwrap_or_else(|| self.world.origin_ms + (at - count + 1) * 1000);
        }
        let time = if self.grown().is_some() {
            life::born_ms(self)
        } else {
            let step = self.world.history_ms / count;
            // Rows put before another share its time, so that they stay inside the same window.
            let jitter = below(mix(self.tenant.hash ^ u64::from(self.id.at)), step.max(1) as u64) as i64;
            self.world.origin_ms - self.world.history_ms + at * self.world.history_ms / count + jitter
        };
        if self.dataset == Dataset::Investigations && !investigations::has_fractions(self.tenant) {
            time - time.rem_euclid(1000)
        } else {
            time
        }
    }

    fn appended_ms(&self) -> Option<i64> {
        let place = self.world.place(self.tenant, self.dataset);
        self.world.traces.appended_ms.read().expect(POISON).get(&(place, self.id.at)).copied()
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

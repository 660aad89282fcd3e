//! From settings and the tenant list to jobs: who is asked for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use config::{Pull, Settings};
use pipeline::dataset::Scope;
use pipeline::{Job, Region, Result, Tenant};

/// The work of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// What is asked, in the order of the tenants.
    pub(crate) jobs: Vec<Job>,
    /// Chosen tenants whose region nobody knows.
    pub(crate) unplaced: Vec<Tenant>,
    /// The tenants' pulls.
    pub(crate) pulls: Vec<Pull>,
    /// What the operator may want to look at.
    pub(crate) warnings: Vec<String>,
}

impl Work {
    /// Chooses among the listed tenants and makes a job of each pull of each.
    ///
    /// # Errors
    /// Where a rule or a flag names a tenant or region that isn't there.
    pub(crate) fn new(settings: &Settings, listed: Vec<Tenant>, account: Tenant) -> Result<Self> {
        let (ours, of_account): (Vec<Pull>, Vec<Pull>) =
            settings.pulls.iter().cloned().partition(|pull| pull.datasets[0].scope == Scope::Tenant);
        let mut work = Self { pulls: ours, ..Self::default() };
        if !settings.left_out.is_empty() {
            let names = settings.left_out.join(", ");
            work.warnings.push(format!("not read by time, so left out where a span is asked for: {names}"));
        }
        if !of_account.is_empty() && concerns(settings, &account) {
            work.add(&Arc::new(account), &of_account);
        }
        if work.pulls.is_empty() {
            return Ok(work);
        }
        let selection = settings.tenants.choose(listed, &settings.narrowing)?;
        work.warnings.extend(selection.warnings);
        let pulls = work.pulls.clone();
        for tenant in selection.tenants {
            work.add(&Arc::new(tenant), &pulls);
        }
        Ok(work)
    }

    /// Returns the tenants that are asked for something, by region; the account itself is none of them.
    pub(crate) fn tenants(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut regions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for job in self.jobs.iter().filter(|job| job.datasets[0].scope == Scope::Tenant) {
            regions.entry(job.region.as_str()).or_default().insert(job.tenant.id.as_str());
        }
        regions
    }

    fn add(&mut self, tenant: &Arc<Tenant>, pulls: &[Pull]) {
        let Some(region) = &tenant.region else {
            self.unplaced.push(Tenant::clone(tenant));
            return;
        };
        self.jobs.extend(pulls.iter().map(|pull| job(tenant, region, pull)));
    }
}

fn job(tenant: &Arc<Tenant>, region: &Region, pull: &Pull) -> Job {
    Job {
        tenant: tenant.clone(),
        region: region.clone(),
        datasets: pull.datasets.clone(),
        reading: pull.reading.clone(),
    }
}

/// Returns whether the flags leave the account's own datasets in: naming tenants or another region leaves them out.
fn concerns(settings: &Settings, account: &Tenant) -> bool {
    let narrowing = &settings.narrowing;
    let region = account.region.as_ref();
    narrowing.tenants.is_empty()
        && (narrowing.regions.is_empty() || region.is_some_and(|region| narrowing.regions.contains(region)))
}

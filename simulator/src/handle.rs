//! The handle of a running platform: what a test or a demo in the same process may look at and change.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::SimulatorConfig;
use crate::data::Dataset;
use crate::faults::FaultRule;
use crate::keys::{KeyConfig, KeyInfo};
use crate::limits::LimitRule;
use crate::platform::Platform;
use crate::report::JournalReport;
use crate::server::Serving;
use crate::tenants::Tenant;
use crate::truth::{self, Keys, RowTruth, Truth};

/// A running platform; dropping it stops the platform without a farewell.
#[derive(Debug)]
pub struct Handle {
    platform: Arc<Platform>,
    address: SocketAddr,
    serving: Serving,
}

impl Handle {
    pub(crate) fn new(platform: Arc<Platform>, address: SocketAddr, serving: Serving) -> Self {
        Self { platform, address, serving }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the template of the base URLs, with `{region}` in it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/{{region}}", self.address)
    }

    /// Returns the URL of the control paths.
    #[must_use]
    pub fn control(&self) -> String {
        format!("http://{}/_sim", self.address)
    }

    /// Returns the configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &SimulatorConfig {
        &self.platform.config
    }

    /// Returns the primary account's own organization id.
    #[must_use]
    pub fn parent_organization(&self) -> &str {
        &self.platform.start.parent.id
    }

    /// Returns the organizations there are, each once, as they are at the start; events may have changed them since.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.platform.start.tenants
    }

    /// Returns the organizations managed at present, each once, as they are now.
    #[must_use]
    pub fn tenants_now(&self) -> Vec<Tenant> {
        let world = self.platform.world();
        world.tenants.iter().filter(|tenant| tenant.managed).cloned().collect()
    }

    /// Returns the platform's time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.platform.world().now_ms
    }

    /// Sets the platform's time, in milliseconds since 1970; it stands still from then on.
    ///
    /// In which steps a moment is reached makes no difference to what is served at it.
    ///
    /// # Errors
    /// The moment lies before the start.
    pub fn set_now(&self, now_ms: i64) -> Result<(), String> {
        self.platform.set_now(now_ms)
    }

    /// Returns all keys, the revoked ones included.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.platform.keys.list()
    }

    /// Returns the newest key of a name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<KeyInfo> {
        self.keys().into_iter().rev().find(|key| key.name == name)
    }

    /// Adds a key; one that has its name stays valid beside it.
    ///
    /// # Errors
    /// It names an organization that doesn't exist.
    pub fn add_key(&self, config: &KeyConfig) -> Result<KeyInfo, String> {
        self.platform.keys.put(config, &self.platform.world())
    }

    /// Makes a key like the newest of a name, under the same name, and refuses the older ones from now on.
    ///
    /// # Errors
    /// No key has the name.
    pub fn replace_key(&self, name: &str) -> Result<KeyInfo, String> {
        self.platform.keys.replace(name, &self.platform.world())
    }

    /// Refuses every key of a name, or the one of an id, from now on; returns how many there were.
    pub fn revoke_key(&self, name: &str) -> usize {
        self.platform.keys.revoke(name)
    }

    /// Changes which organizations, each an id, a name, or `#` and a number, the owner of the multi-tenant user
    /// keys of a name may access, from the next request on.
    ///
    /// # Errors
    /// No such key or organization is known.
    pub fn set_reach(&self, name: &str, organizations: &[String]) -> Result<(), String> {
        self.platform.keys.set_reach(name, organizations, &self.platform.world())
    }

    /// Sets a limit, in place of the one for the same family and region.
    ///
    /// # Errors
    /// It allows nothing or lasts no time.
    pub fn set_limit(&self, rule: LimitRule) -> Result<(), String> {
        rule.check()?;
        self.platform.limits().set(rule);
        Ok(())
    }

    /// Replaces the faults; none stops them.
    ///
    /// # Errors
    /// One of them cannot happen.
    pub fn set_faults(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        self.platform.set_faults(rules)
    }

    /// Returns what was asked so far.
    #[must_use]
    pub fn journal(&self) -> JournalReport {
        self.platform.journal().report(self.platform.now_us())
    }

    /// Forgets what was asked so far.
    pub fn clear_journal(&self) {
        self.platform.journal().clear();
    }

    /// Returns the counts of all there is to read; it looks at every row.
    #[must_use]
    pub fn truth(&self) -> Truth {
        truth::of(&self.platform.world(), (None, None))
    }

    /// Returns the counts with the timed datasets narrowed to a window in milliseconds, its end excluded.
    #[must_use]
    pub fn truth_within(&self, since_ms: Option<i64>, until_ms: Option<i64>) -> Truth {
        truth::of(&self.platform.world(), (since_ms, until_ms))
    }

    /// Returns the keys of a tenant's rows at present, whether or not it is managed.
    ///
    /// The tenant is given by id, name, or `#` and a number.
    #[must_use]
    pub fn truth_keys(&self, dataset: Dataset, tenant: &str) -> Option<Keys> {
        let world = self.platform.world();
        world.tenant_named(tenant).map(|tenant| truth::keys(&world, tenant, dataset, (None, None)))
    }

    /// Returns a tenant's rows at present, each with the JSON in which it is served.
    ///
    /// Assets of vulnerability management come with all their findings under `same`; findings stand for themselves.
    #[must_use]
    pub fn truth_rows(&self, dataset: Dataset, tenant: &str) -> Option<Vec<RowTruth>> {
        let world = self.platform.world();
        world.tenant_named(tenant).map(|tenant| truth::rows(&world, tenant, dataset, (None, None)))
    }

    /// Adds rows at the end of a tenant's dataset and returns how many there are now.
    ///
    /// Once the clock was moved they come into being at this very moment; before, in the seconds after it.
    #[must_use]
    pub fn append_rows(&self, dataset: Dataset, tenant: &str, rows: u32) -> Option<usize> {
        let world = self.platform.world();
        world.append(world.tenant_named(tenant)?, dataset, rows)
    }

    /// Takes rows from the beginning of a tenant's dataset and returns how many are left.
    #[must_use]
    pub fn delete_rows(&self, dataset: Dataset, tenant: &str, rows: u32) -> Option<usize> {
        let world = self.platform.world();
        let tenant = world.tenant_named(tenant)?;
        world.change(tenant, dataset, |order| {
            (0..rows).for_each(|_| {
                order.remove(0);
            });
            order.len()
        })
    }

    /// Stops serving after a short farewell to the connections.
    pub async fn stop(self) {
        self.serving.stop().await;
    }
}

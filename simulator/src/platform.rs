//! The running platform: its content, keys, limits, faults and journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Instant;

use chrono::{DateTime, Utc};
use http::request::Parts;

use crate::config::SimulatorConfig;
use crate::data::json::uuid;
use crate::data::rng::mix;
use crate::data::world::World;
use crate::faults::FaultRule;
use crate::journal::Journal;
use crate::keys::KeyRing;
use crate::limits::Limits;
use crate::strike::Faults;

/// Everything the simulator is made of while it runs.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) config: SimulatorConfig,
    /// The world as it is at the start.
    pub(crate) start: Arc<World>,
    pub(crate) keys: KeyRing,
    pub(crate) port: u16,
    started: Instant,
    present: RwLock<Arc<World>>,
    limits: Mutex<Limits>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    correlations: AtomicU64,
}

impl Platform {
    /// Builds the platform of a configuration whose `now` is set.
    pub(crate) fn new(config: SimulatorConfig, port: u16, now_ms: i64) -> Result<Self, String> {
        let world = World::new(&config, now_ms)?;
        let keys = KeyRing::new(&config, &world)?;
        let faults = Faults::new(config.seed, named(&world, config.faults.clone())?);
        let world = Arc::new(world);
        Ok(Self {
            start: world.clone(),
            present: RwLock::new(world),
            keys,
            port,
            started: Instant::now(),
            limits: Mutex::new(Limits::new(config.limits.clone())),
            faults: Mutex::new(faults),
            journal: Mutex::default(),
            correlations: AtomicU64::new(0),
            config,
        })
    }

    /// Returns the microseconds since the start.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the world at the present; who holds it sees one moment, whatever the clock does meanwhile.
    pub(crate) fn world(&self) -> Arc<World> {
        self.present.read().expect("no holder of the present panics").clone()
    }

    /// Sets the platform's clock, which stands still from then on.
    ///
    /// # Errors
    /// The moment lies before the start.
    pub(crate) fn set_now(&self, now_ms: i64) -> Result<(), String> {
        let world = Arc::new(self.start.at(&self.config, now_ms)?);
        *self.present.write().expect("no holder of the present panics") = world;
        Ok(())
    }

    /// Returns the platform's own time, if it has one: where it was told none, it goes by the machine's.
    pub(crate) fn own_time(&self) -> Option<DateTime<Utc>> {
        let world = self.world();
        world.is_told.then(|| DateTime::from_timestamp_millis(world.now_ms)).flatten()
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("no holder of the journal panics")
    }

    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().expect("no holder of the limits panics")
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("no holder of the faults panics")
    }

    /// Replaces the faults in force.
    pub(crate) fn set_faults(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        rules.iter().try_for_each(FaultRule::check)?;
        let rules = named(&self.world(), rules)?;
        *self.faults() = Faults::new(self.config.seed, rules);
        Ok(())
    }

    /// Returns the id the caller gave the request, or a new one.
    pub(crate) fn correlation(&self, parts: &Parts) -> String {
        let given = parts.headers.get("r7-correlation-id").and_then(|value| value.to_str().ok());
        given.map_or_else(
            || {
                let number = mix(self.correlations.fetch_add(1, Ordering::Relaxed) ^ mix(self.config.seed));
                uuid(number, mix(number))
            },
            str::to_owned,
        )
    }
}

/// Turns the tenants named in rules into their ids.
fn named(world: &World, mut rules: Vec<FaultRule>) -> Result<Vec<FaultRule>, String> {
    let named = rules.iter_mut().filter_map(|rule| rule.tenant.as_mut());
    for tenant in named.filter(|tenant| **tenant != world.parent.id) {
        let known = world
            .tenant_named(tenant)
            .ok_or_else(|| format!("a fault names the unknown organization {tenant:?}"))?;
        tenant.clone_from(&known.id);
    }
    Ok(rules)
}

//! The running platform: its content, keys, limits, faults and journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

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
    pub(crate) world: World,
    pub(crate) keys: KeyRing,
    pub(crate) port: u16,
    started: Instant,
    limits: Mutex<Limits>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    correlations: AtomicU64,
}

impl Platform {
    /// Builds the platform of a configuration whose `now` is set.
    pub(crate) fn new(config: SimulatorConfig, port: u16, now_ms: i64) -> Result<Self, String> {
        let world = World::new(&config, now_ms);
        let keys = KeyRing::new(&config, &world)?;
        let faults = Faults::new(config.seed, named(&world, config.faults.clone())?);
        Ok(Self {
            world,
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
        *self.faults() = Faults::new(self.config.seed, named(&self.world, rules)?);
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

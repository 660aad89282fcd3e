//! The keys the platform knows: what each may reach, and how they come and go while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use crate::config::SimulatorConfig;
use crate::data::json::uuid;
use crate::data::rng::{hash_text, mix};
use crate::data::world::World;

/// The kinds of keys, by what they may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A person's key for the person's own organization.
    User,
    /// The super key of one organization.
    Organization,
    /// Reaches all managed organizations, present and future.
    MultiTenantAdmin,
    /// Reaches the managed organizations its owner may access.
    MultiTenantUser,
}

impl KeyKind {
    /// Whether calls must name their organization.
    pub(crate) fn is_multi_tenant(self) -> bool {
        matches!(self, Self::MultiTenantAdmin | Self::MultiTenantUser)
    }
}

/// Describes a key of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The name by which the journal knows it.
    pub name: String,
    /// What it may reach.
    pub kind: KeyKind,
    /// The secret; derived from the seed and the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The organization of a user or organization key: an id, the primary account's too, a name, or `#` and a
    /// number; the first managed one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The organizations a multi-tenant user key reaches, spelled alike; every second one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Vec<String>>,
    /// After how many accepted requests it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_after: Option<u64>,
}

impl KeyConfig {
    /// Returns a key of a kind with everything else by default.
    #[must_use]
    pub fn new(name: &str, kind: KeyKind) -> Self {
        Self { name: name.to_owned(), kind, secret: None, tenant: None, reach: None, revoke_after: None }
    }
}

/// Tells about a key of the running platform. The secrets are invented, so they may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The id under which the API Keys API knows it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may reach.
    pub kind: KeyKind,
    /// The secret itself.
    pub secret: String,
    /// The id of the user who owns it.
    pub user_id: String,
    /// Whether it is refused.
    pub revoked: bool,
    /// How many requests it was accepted for.
    pub used: u64,
}

/// A key while the platform runs.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: KeyKind,
    pub(crate) secret: String,
    pub(crate) user_id: String,
    /// The number of the home organization; `None` means the primary account.
    pub(crate) home: Option<usize>,
    config: KeyConfig,
    /// The numbers of the organizations its owner may access; `None` means all. It can change at any moment.
    reach: RwLock<Option<Vec<usize>>>,
    revoked: AtomicBool,
    used: AtomicU64,
}

impl Key {
    fn new(config: &KeyConfig, seed: u64, world: &World, generation: u64) -> Result<Self, String> {
        let number = |name: &String| number(world, &config.name, name);
        let hash = mix(hash_text(seed, &config.name) ^ generation);
        let everyone = || (0..world.tenants.len()).step_by(2).collect();
        let reach = match (config.kind, &config.reach) {
            (KeyKind::MultiTenantUser, Some(names)) => {
                Some(names.iter().map(number).collect::<Result<_, _>>()?)
            }
            (KeyKind::MultiTenantUser, None) => Some(everyone()),
            _ => None,
        };
        let home = match (config.kind.is_multi_tenant(), &config.tenant) {
            (true, _) => None,
            // A key that is made in the primary account is at home there.
            (false, Some(name)) if *name == world.parent.id => None,
            (false, Some(name)) => Some(number(name)?),
            (false, None) => Some(0).filter(|_| !world.tenants.is_empty()),
        };
        Ok(Self {
            id: uuid(mix(hash ^ 1), hash),
            name: config.name.clone(),
            kind: config.kind,
            secret: config.secret.clone().unwrap_or_else(|| uuid(mix(hash ^ 2), mix(hash ^ 3))),
            user_id: uuid(mix(hash ^ 4), mix(hash_text(seed, &config.name))),
            home,
            config: config.clone(),
            reach: RwLock::new(reach),
            revoked: AtomicBool::new(false),
            used: AtomicU64::new(0),
        })
    }

    /// Whether the key may act in an organization, given by its number.
    pub(crate) fn reaches(&self, tenant: usize) -> bool {
        self.reach.read().expect(POISON).as_ref().is_none_or(|reach| reach.contains(&tenant))
    }

    /// Counts a use of the key; `false` when it is refused.
    pub(crate) fn accept(&self) -> bool {
        if self.revoked.load(Ordering::Relaxed) {
            return false;
        }
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        if self.config.revoke_after.is_some_and(|after| used >= after) {
            self.revoke();
            return false;
        }
        true
    }

    /// Refuses the key from now on.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Relaxed);
    }

    fn info(&self) -> KeyInfo {
        KeyInfo {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind,
            secret: self.secret.clone(),
            user_id: self.user_id.clone(),
            revoked: self.revoked.load(Ordering::Relaxed),
            used: self.used.load(Ordering::Relaxed),
        }
    }
}

/// Returns the number of an organization that a key names.
fn number(world: &World, key: &str, organization: &str) -> Result<usize, String> {
    let known = world.tenant_named(organization).map(|tenant| tenant.number);
    known.ok_or_else(|| format!("key {key:?} names the unknown organization {organization:?}"))
}

/// All keys of the platform.
#[derive(Debug)]
pub(crate) struct KeyRing {
    seed: u64,
    made: AtomicU64,
    keys: RwLock<Vec<Arc<Key>>>,
}

const POISON: &str = "no holder of the keys panics";

impl KeyRing {
    /// Makes the keys of a configuration, one of each kind if it names none.
    pub(crate) fn new(config: &SimulatorConfig, world: &World) -> Result<Self, String> {
        let ring = Self { seed: config.seed, made: AtomicU64::new(0), keys: RwLock::default() };
        let usual = [
            KeyConfig::new("main", KeyKind::MultiTenantAdmin),
            KeyConfig::new("analyst", KeyKind::MultiTenantUser),
            KeyConfig::new("organization", KeyKind::Organization),
            KeyConfig::new("user", KeyKind::User),
        ];
        let configs = if config.keys.is_empty() { &usual[..] } else { &config.keys };
        for key in configs {
            ring.put(key, world)?;
        }
        Ok(ring)
    }

    /// Adds a key; the one that has its name stays valid beside it.
    pub(crate) fn put(&self, config: &KeyConfig, world: &World) -> Result<KeyInfo, String> {
        if config.name.is_empty() {
            return Err("a key needs a name".to_owned());
        }
        // The first key of a name has the secret that follows from the seed alone; later ones differ.
        let taken = self.keys.read().expect(POISON).iter().any(|key| key.name == config.name);
        let generation = if taken { 1 + self.made.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let key = Key::new(config, self.seed, world, generation)?;
        let info = key.info();
        self.keys.write().expect(POISON).push(Arc::new(key));
        Ok(info)
    }

    /// Returns the key with a secret, revoked or not.
    pub(crate) fn find(&self, secret: &str) -> Option<Arc<Key>> {
        self.keys.read().expect(POISON).iter().find(|key| key.secret == secret).cloned()
    }

    /// Makes a key like the newest of a name, under the same name, and refuses all older ones.
    pub(crate) fn replace(&self, name: &str, world: &World) -> Result<KeyInfo, String> {
        let newest = self.keys.read().expect(POISON).iter().rev().find(|key| key.name == name).cloned();
        let newest = newest.ok_or_else(|| format!("no key is called {name:?}"))?;
        self.revoke(name);
        self.put(&KeyConfig { secret: None, revoke_after: None, ..newest.config.clone() }, world)
    }

    /// Refuses every key of a name, or the one of an id; returns how many there were.
    pub(crate) fn revoke(&self, name: &str) -> usize {
        let keys = self.keys.read().expect(POISON);
        keys.iter().filter(|key| key.name == name || key.id == name).map(|key| key.revoke()).count()
    }

    /// Changes what the owner of the multi-tenant user keys of a name may access, from the next request on.
    pub(crate) fn set_reach(&self, name: &str, reach: &[String], world: &World) -> Result<(), String> {
        let reach: Vec<usize> =
            reach.iter().map(|organization| number(world, name, organization)).collect::<Result<_, _>>()?;
        let keys = self.keys.read().expect(POISON);
        let mut known = keys.iter().filter(|key| key.name == name && key.kind == KeyKind::MultiTenantUser);
        let first = known.next().ok_or_else(|| format!("no multi-tenant user key is called {name:?}"))?;
        for key in std::iter::once(first).chain(known) {
            *key.reach.write().expect(POISON) = Some(reach.clone());
        }
        Ok(())
    }

    /// Tells about all keys, the revoked ones included.
    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        self.keys.read().expect(POISON).iter().map(|key| key.info()).collect()
    }

    /// Returns the valid keys at home in an organization.
    pub(crate) fn at_home(&self, home: Option<usize>) -> Vec<Arc<Key>> {
        let keys = self.keys.read().expect(POISON);
        keys.iter().filter(|key| key.home == home && !key.revoked.load(Ordering::Relaxed)).cloned().collect()
    }
}

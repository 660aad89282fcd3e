//! The key in use, and the one question that tells a tenant's refusal from a dead key.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use pipeline::{Error, ErrorKind, Result, Secret};
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::KeySource;

/// How long a key that was found dead is taken for dead: long enough that a thousand refusals are one
/// question, short enough that a scheduled run sees its renewal.
const DEAD_FOR: Duration = Duration::from_secs(10);

/// A key, ready to be sent.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) secret: Secret,
    pub(super) header: HeaderValue,
}

impl Held {
    fn new(secret: Secret) -> Result<Self> {
        let mut header = HeaderValue::from_str(secret.expose())
            .map_err(|_| Error::new(ErrorKind::Auth, "use the key: it does not fit a header"))?;
        header.set_sensitive(true);
        Ok(Self { secret, header })
    }
}

/// What the platform said of a key as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It is good: whoever refused it refused it for its own reasons.
    Alive,
    /// It is refused everywhere.
    Dead,
}

/// What to do about a refused key.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Ask again: there is a newer key by now.
    Renewed,
    /// The key is good, but not for this tenant.
    Tenant,
    /// The key is dead, and there is no newer one.
    Key,
}

#[derive(Debug)]
struct Verdict {
    key: Arc<Held>,
    health: Health,
    asked_at: Instant,
}

/// Holds the key in use; every task shares it.
#[derive(Debug)]
pub(super) struct KeyRing {
    source: Arc<dyn KeySource>,
    held: RwLock<Option<Arc<Held>>>,
    /// Held while the platform or the source is asked: of many tasks that were refused, one asks.
    last: tokio::sync::Mutex<Option<Verdict>>,
}

impl KeyRing {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { source, held: RwLock::new(None), last: tokio::sync::Mutex::new(None) }
    }

    /// Returns the key in use, if it was needed before.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.read().expect("no holder panics").clone()
    }

    /// Returns the key in use, reading it at the first need.
    pub(super) async fn current(&self) -> Result<Arc<Held>> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let _one_reads = self.last.lock().await;
        match self.held() {
            Some(held) => Ok(held),
            None => self.hold(self.source.current().await?),
        }
    }

    /// Finds out what a 401, received at an instant, means; `validate` asks the platform of the key.
    ///
    /// A key found alive says nothing of a refusal that came after the question: it may have been revoked
    /// since. So a verdict serves the refusals before it, and a death all after it for a while.
    pub(super) async fn refused(
        &self,
        key: &Arc<Held>,
        at: Instant,
        validate: impl AsyncFnOnce() -> Result<Health>,
    ) -> Result<Refusal> {
        let mut last = self.last.lock().await;
        if !self.held().is_some_and(|held| Arc::ptr_eq(&held, key)) {
            return Ok(Refusal::Renewed);
        }
        match &*last {
            Some(known) if Arc::ptr_eq(&known.key, key) => match known.health {
                Health::Alive if known.asked_at >= at => return Ok(Refusal::Tenant),
                Health::Dead if known.asked_at.elapsed() < DEAD_FOR => return Ok(Refusal::Key),
                Health::Alive | Health::Dead => {}
            },
            _ => {}
        }
        let asked_at = Instant::now();
        let health = validate().await?;
        *last = Some(Verdict { key: key.clone(), health, asked_at });
        if health == Health::Alive {
            return Ok(Refusal::Tenant);
        }
        match self.source.refused(&key.secret).await? {
            Some(newer) => {
                self.hold(newer)?;
                tracing::warn!("the platform refused the key; a newer one was found and is used from now on");
                Ok(Refusal::Renewed)
            }
            None => Ok(Refusal::Key),
        }
    }

    fn hold(&self, secret: Secret) -> Result<Arc<Held>> {
        let held = Arc::new(Held::new(secret)?);
        *self.held.write().expect("no holder panics") = Some(held.clone());
        Ok(held)
    }
}

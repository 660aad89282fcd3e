//! The key in use: taken up anew when a newer one is found, given back when that one turns out to be bad.
//!
//! A file or a command is looked at again while requests are sent. A newer key is tried before it is used, so
//! that a half-written or mistyped one is never sent with a request; the key before it is kept as long as it
//! works, and honoured again if the newer one is refused. And one question tells a tenant's refusal from a dead
//! key.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use pipeline::{Error, ErrorKind, Result, Secret};
use reqwest::header::HeaderValue;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::KeySource;

/// How long a key that was found dead is taken for dead: long enough that a thousand refusals are one
/// question, short enough that a scheduled run sees its renewal.
const DEAD_FOR: Duration = Duration::from_secs(10);
/// When a newer key that was not accepted is tried again: the platform may not know it yet.
const DOUBT_FOR: Duration = Duration::from_secs(10);
/// How long a place may take to give its key; a command ends itself before.
const READ_FOR: Duration = Duration::from_secs(70);
/// How long trying a newer key may hold up the request that found it.
const TRY_FOR: Duration = Duration::from_secs(15);
/// For how long nothing is said of a place that holds no key: it may be being rewritten.
const SILENT_FOR: Duration = Duration::from_secs(10);
/// How long a place that holds no key is waited for when the key in use is dead, and how often it is asked.
const WAIT_FOR_NEWER: Duration = Duration::from_secs(3);
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A key, ready to be sent.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) secret: Secret,
    pub(super) header: HeaderValue,
}

impl Held {
    fn new(secret: Secret) -> Result<Arc<Self>> {
        let mut header = HeaderValue::from_str(secret.expose())
            .map_err(|_| Error::new(ErrorKind::Auth, "use the key: it does not fit a header"))?;
        header.set_sensitive(true);
        Ok(Arc::new(Self { secret, header }))
    }

    fn is(&self, secret: &Secret) -> bool {
        self.secret.expose() == secret.expose()
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

/// Tells whether a key is alive.
#[async_trait]
pub(super) trait Validator: Sync {
    /// Asks of a key as such.
    async fn validate(&self, key: &Held) -> Result<Health>;
}

/// What to do about a refused key.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Ask again: another key is in use by now.
    Renewed,
    /// The key is good, but not for this tenant.
    Tenant,
    /// The key is dead, and there is no other; with what stood in the way of reading one.
    Key(Option<Error>),
}

/// Holds the key in use; every task shares it.
#[derive(Debug)]
pub(super) struct KeyRing {
    source: Arc<dyn KeySource>,
    held: RwLock<Option<Arc<Held>>>,
    /// When a newer key is looked for next; never, where none can come.
    look_at: Mutex<Option<Instant>>,
    /// Held while the platform or the source is asked: of many tasks that were refused, one asks.
    known: tokio::sync::Mutex<Known>,
}

/// What was learned of the keys so far.
#[derive(Debug, Default)]
struct Known {
    verdict: Option<Verdict>,
    /// The key that the one in use replaced; it worked until then.
    before: Option<Arc<Held>>,
    doubted: Option<Doubted>,
    unreadable: Option<Unreadable>,
}

#[derive(Debug)]
struct Verdict {
    key: Arc<Held>,
    health: Health,
    asked_at: Instant,
}

/// A newer key that was not taken up.
#[derive(Debug)]
struct Doubted {
    key: Arc<Held>,
    again_at: Instant,
    told: bool,
}

/// A place that holds no key any more.
#[derive(Debug)]
struct Unreadable {
    since: Instant,
    told: bool,
}

impl KeyRing {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self {
            source,
            held: RwLock::new(None),
            look_at: Mutex::new(None),
            known: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the key in use, if it was needed before.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.read().expect("no holder panics").clone()
    }

    /// Returns the key in use, reading it at the first need.
    pub(super) async fn read(&self) -> Result<Arc<Held>> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let _one_reads = self.known.lock().await;
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let held = Held::new(self.find().await?)?;
        self.hold(&held);
        self.look_in(self.source.look_every());
        Ok(held)
    }

    /// Returns the key to use now; whoever finds that it is time looks for a newer one first.
    pub(super) async fn current(&self, platform: &dyn Validator) -> Result<Arc<Held>> {
        let held = self.read().await?;
        if !self.look_is_due() {
            return Ok(held);
        }
        // Who is asking about a refusal looks at the source as well.
        if let Ok(mut known) = self.known.try_lock() {
            self.look(&mut known, platform).await;
        }
        Ok(self.held().unwrap_or(held))
    }

    /// Finds out what a 401, received at an instant, means; the platform is asked of a key.
    ///
    /// A key found alive says nothing of a refusal that came after the question: it may have been revoked
    /// since. So a verdict serves the refusals before it, and a death all after it for a while.
    pub(super) async fn refused(
        &self,
        key: &Arc<Held>,
        at: Instant,
        platform: &dyn Validator,
    ) -> Result<Refusal> {
        let mut known = self.known.lock().await;
        if !self.held().is_some_and(|held| Arc::ptr_eq(&held, key)) {
            return Ok(Refusal::Renewed);
        }
        match known.verdict_on(key) {
            Some((Health::Alive, asked_at)) if asked_at >= at => return Ok(Refusal::Tenant),
            Some((Health::Dead, asked_at)) if asked_at.elapsed() < DEAD_FOR => return Ok(Refusal::Key(None)),
            _ => {}
        }
        match known.ask(key, platform).await? {
            Health::Alive => Ok(Refusal::Tenant),
            Health::Dead => self.replace(key, &mut known, platform).await,
        }
    }

    /// Looks whether there is a newer key, and takes it up if the platform accepts it.
    async fn look(&self, known: &mut Known, platform: &dyn Validator) {
        let Some(held) = self.held() else { return };
        let found = match self.find().await {
            Ok(found) => found,
            Err(error) => {
                // Nothing but the looking itself is slowed down by a place that stays without a key.
                self.look_in(self.source.look_every().map(|every| every.max(SILENT_FOR / 2)));
                return known.unreadable(&error);
            }
        };
        known.unreadable = None;
        if held.is(&found) {
            known.doubted = None;
            return;
        }
        if known.doubts(&found) {
            return;
        }
        let Ok(newer) = Held::new(found) else { return };
        match timeout(TRY_FOR, known.ask(&newer, platform)).await {
            Ok(Ok(Health::Alive)) => {
                info!(place = self.source.place(), "a newer key was found and is used from now on");
                known.before = Some(held);
                known.doubted = None;
                self.hold(&newer);
            }
            Ok(Ok(Health::Dead)) => {
                if !known.doubt(&newer, true) {
                    warn!(
                        place = self.source.place(),
                        "the platform does not accept the newer key that was found (401); the one before it still works and is used"
                    );
                }
            }
            // It could not be tried: nothing is known of it, and nothing is said.
            Ok(Err(_)) | Err(_) => {
                known.doubt(&newer, false);
            }
        }
    }

    /// Puts another key that the platform accepts in the place of a dead one, where there is one.
    ///
    /// The place that the key came from is asked first, then the key that was in use before.
    async fn replace(
        &self,
        dead: &Arc<Held>,
        known: &mut Known,
        platform: &dyn Validator,
    ) -> Result<Refusal> {
        let until = Instant::now() + WAIT_FOR_NEWER;
        let mut tried = vec![dead.clone()];
        loop {
            let read = self.find().await;
            if let Ok(found) = &read
                && !tried.iter().any(|key| key.is(found))
            {
                let newer = Held::new(found.clone())?;
                if known.ask(&newer, platform).await? == Health::Alive {
                    warn!(place = self.source.place(), "the platform refused the key; a newer one was found");
                    (known.before, known.doubted) = (None, None);
                    self.hold(&newer);
                    return Ok(Refusal::Renewed);
                }
                tried.push(newer);
                continue;
            }
            if let Some(before) = known.before.clone()
                && !tried.iter().any(|key| key.is(&before.secret))
            {
                if known.ask(&before, platform).await? == Health::Alive {
                    warn!(
                        place = self.source.place(),
                        "the platform refused the key; the one before it still works and is used again"
                    );
                    known.before = None;
                    known.doubt(dead, true);
                    self.hold(&before);
                    return Ok(Refusal::Renewed);
                }
                tried.push(before);
                continue;
            }
            match read {
                Err(_) if Instant::now() < until => sleep(ASK_AGAIN).await,
                read => {
                    known.verdict =
                        Some(Verdict { key: dead.clone(), health: Health::Dead, asked_at: Instant::now() });
                    return Ok(Refusal::Key(read.err()));
                }
            }
        }
    }

    /// Returns the key that the place holds now. Everybody waits for whoever reads it, so there is an end to that.
    async fn find(&self) -> Result<Secret> {
        let silent = |_| {
            Error::new(ErrorKind::Auth, "read the key: its place does not answer")
                .with_context("key", self.source.place())
        };
        timeout(READ_FOR, self.source.current()).await.map_err(silent)?
    }

    fn hold(&self, key: &Arc<Held>) {
        *self.held.write().expect("no holder panics") = Some(key.clone());
    }

    fn look_in(&self, pause: Option<Duration>) {
        *self.look_at.lock().expect("no holder panics") = pause.map(|pause| Instant::now() + pause);
    }

    /// Returns whether it is time to look; of many who ask, one is told so.
    fn look_is_due(&self) -> bool {
        let Some(every) = self.source.look_every() else { return false };
        let mut look_at = self.look_at.lock().expect("no holder panics");
        let now = Instant::now();
        let due = look_at.is_some_and(|at| at <= now);
        if due {
            *look_at = Some(now + every);
        }
        due
    }
}

impl Known {
    /// Asks the platform of a key and keeps what it said.
    async fn ask(&mut self, key: &Arc<Held>, platform: &dyn Validator) -> Result<Health> {
        let asked_at = Instant::now();
        let health = platform.validate(key).await?;
        self.verdict = Some(Verdict { key: key.clone(), health, asked_at });
        Ok(health)
    }

    fn verdict_on(&self, key: &Arc<Held>) -> Option<(Health, Instant)> {
        let verdict = self.verdict.as_ref().filter(|verdict| Arc::ptr_eq(&verdict.key, key))?;
        Some((verdict.health, verdict.asked_at))
    }

    /// Returns whether a key was not accepted a moment ago.
    fn doubts(&self, secret: &Secret) -> bool {
        let doubted = self.doubted.as_ref();
        doubted.is_some_and(|doubted| doubted.key.is(secret) && Instant::now() < doubted.again_at)
    }

    /// Leaves a key alone for a while, and returns whether it was already told that it is bad.
    fn doubt(&mut self, key: &Arc<Held>, tell: bool) -> bool {
        let known = self.doubted.take().filter(|doubted| doubted.key.is(&key.secret));
        let told = known.is_some_and(|doubted| doubted.told);
        let again_at = Instant::now() + DOUBT_FOR;
        self.doubted = Some(Doubted { key: key.clone(), again_at, told: told || tell });
        told
    }

    /// Notes that no key can be read, and says so once when it lasts.
    fn unreadable(&mut self, error: &Error) {
        let new = || Unreadable { since: Instant::now(), told: false };
        let unreadable = self.unreadable.get_or_insert_with(new);
        if !unreadable.told && unreadable.since.elapsed() >= SILENT_FOR {
            unreadable.told = true;
            warn!(error = %error.chain(), "no key can be read any more; the one that was read before is used");
        }
    }
}

#[cfg(test)]
mod tests;

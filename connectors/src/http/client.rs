//! The client of one tenant: made from the key, the tenant's id and its region's base URL.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pipeline::{BudgetUse, Cores, Error, ErrorKind, Region, Result, TenantId, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Request, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::attempt;
use super::bodies::{Bodies, Shared, Taken};
use super::budget::Budget;
use super::failure::Failure;
use super::key_ring::{Health, Held, KeyRing, Refusal, Validator};
use super::retry::{Jitter, Next, OutageSigns, Tries};
use super::send::Sending;
use super::told::server_time;
use super::turns::{Asker, InFlight, Turns};
use super::{Answer, BadBody, Call, HttpConfig, KeySource, PageSize, SendError, Spent};

/// Idle connections are closed before the servers' usual minute ends, so that none is found dead.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// A connection of many streams that fell silent is found out before its requests time out.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How often the question whether the key is alive is asked before it stays open.
const VALIDATE_TRIES: u64 = 4;
/// How long a key that was just made may be unknown to the platform.
const NEW_KEY_PATIENCE: Duration = Duration::from_secs(4);
const NEW_KEY_PAUSE: Duration = Duration::from_millis(250);
/// How much of a validation's answer is read; only its status counts.
const VALIDATE_BYTES: usize = 1 << 20;

/// What pages asked for before their turn may take in all, in KiB: a region's share is two of the largest, enough for a
/// giant to be read at full speed, and no more for a hundred of them. Where such a region is slow, others ask ahead for
/// smaller pages.
const AHEAD_KIB: usize = 11 << 10;

/// How calls to a region fare.
#[derive(Debug, Default)]
pub(super) struct RegionCalls {
    /// When the last request was sent that was answered well.
    pub(super) answered: Option<Instant>,
    /// Whose calls fail at the moment, and for what.
    pub(super) failing: HashMap<Whose, u32>,
    /// Whose calls ask for less to find out whether anything is answered.
    pub(super) scout: Option<Whose>,
}

/// Whose calls, and for what.
pub(super) type Whose = (TenantId, Cow<'static, str>);

/// HTTP with one key, for every tenant and region.
#[derive(Debug)]
pub struct Http {
    pub(super) config: HttpConfig,
    pub(super) client: Client,
    pub(super) keys: KeyRing,
    pub(super) cores: Arc<Cores>,
    pub(super) bodies: Bodies,
    ahead: Shared,
    pub(super) jitter: Jitter,
    pub(super) turns: Arc<Turns>,
    page_sizes: Mutex<BTreeMap<(Region, &'static str), Arc<PageSize>>>,
    platform_time: Mutex<Option<(Timestamp, Instant)>>,
    pub(super) regions: Mutex<HashMap<Region, RegionCalls>>,
}

impl Http {
    /// Prepares the connections; nothing is asked and no key is read before the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the endpoint cannot be used.
    pub fn new(config: HttpConfig, key: Arc<dyn KeySource>) -> Result<Arc<Self>> {
        let sample = "xx".parse().expect("two letters are a region");
        let base = config.base(&sample)?;
        let mut builder = connections(&config);
        if base.scheme() == "http" {
            // Without TLS a proxy would read the key.
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Config, "prepare the connections").with_source(error))?;
        let bounds = InFlight {
            per_region: config.in_flight_per_region.get(),
            per_tenant: config.in_flight_per_tenant.get(),
        };
        Ok(Arc::new(Self {
            turns: Arc::new(Turns::new(bounds, config.budget_scope)),
            bodies: Bodies::new(config.attempt_timeout),
            config,
            client,
            keys: KeyRing::new(key),
            page_sizes: Mutex::default(),
            platform_time: Mutex::default(),
            regions: Mutex::default(),
            cores: Cores::of_this_machine(),
            ahead: Shared::new(AHEAD_KIB),
            jitter: Jitter::default(),
        }))
    }

    /// Returns the client of one tenant in its region.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the region makes no URL.
    pub fn tenant(self: &Arc<Self>, tenant: TenantId, region: Region) -> Result<TenantClient> {
        let base = self.config.base(&region)?;
        let organization = HeaderValue::from_str(tenant.as_str())
            .map_err(|error| Error::new(ErrorKind::Bug, "name the tenant in a header").with_source(error))?;
        let asker = Arc::new(Asker { tenant, region });
        Ok(TenantClient { http: self.clone(), asker, base, organization })
    }

    /// Reads the key, so that a missing one is told before anything is asked.
    ///
    /// # Errors
    /// Where no key can be read.
    pub async fn read_key(&self) -> Result<()> {
        self.keys.read().await.map(drop)
    }

    /// Asks the platform, at a region's host, whether the key is alive.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it is not, and no newer one is found.
    pub async fn check_key(&self, region: &Region) -> Result<()> {
        let base = self.config.base(region)?;
        loop {
            let key = self.keys.read().await?;
            match self.keys.refused(&key, Instant::now(), &self.at(&base)).await? {
                Refusal::Tenant => return Ok(()),
                Refusal::Renewed => {}
                Refusal::Key(unread) => return Err(dead_key("try the key", unread)),
            }
        }
    }

    /// Asks the platform whether a key that was just made is alive, and gives it a moment to become known.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it does not.
    pub async fn prove_key(&self, region: &Region) -> Result<()> {
        let base = self.config.base(region)?;
        let key = self.keys.read().await?;
        let until = Instant::now() + NEW_KEY_PATIENCE;
        let mut pause = NEW_KEY_PAUSE;
        while self.at(&base).validate(&key).await? == Health::Dead {
            if Instant::now() + pause > until {
                let text = "try the new key: the platform does not accept it (401)";
                return Err(Error::new(ErrorKind::Auth, text));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// Returns the fingerprint of the key in use; `None` before the first call.
    #[must_use]
    pub fn key_fingerprint(&self) -> Option<String> {
        self.keys.held().map(|key| key.secret.fingerprint())
    }

    /// Returns a text of the platform's as it may be shown: without the key.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        match self.keys.held() {
            Some(key) => key.secret.scrub(text),
            None => text.to_owned(),
        }
    }

    /// Returns what time the platform says it is, to the second; `None` before the first answer that says so.
    #[must_use]
    pub fn platform_time(&self) -> Option<Timestamp> {
        let (told, at) = (*self.platform_time.lock().expect("no holder panics"))?;
        Some(told + at.elapsed())
    }

    /// Takes note of the time that an answer tells.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        if let Some(time) = server_time(headers) {
            *self.platform_time.lock().expect("no holder panics") = Some((time, Instant::now()));
        }
    }

    /// Returns how much of each budget is in use.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetUse> {
        self.turns.usage()
    }

    pub(super) fn open_budget(&self, family: &str) -> Budget {
        let limit = self.config.budgets.get(family);
        Budget::new(limit, self.config.longest_pause, rand::random(), Instant::now())
    }

    /// Returns who tells whether a key is alive, at a region's host.
    pub(super) fn at<'a>(&'a self, base: &'a Url) -> Host<'a> {
        Host { http: self, base }
    }
}

/// A region's host, as far as it tells whether a key is alive.
pub(super) struct Host<'a> {
    http: &'a Http,
    base: &'a Url,
}

#[async_trait]
impl Validator for Host<'_> {
    /// Asks whether a key is alive as such; it costs no budget, so it is asked once for many refusals.
    async fn validate(&self, key: &Held) -> Result<Health> {
        let what = "try the key";
        let config = &self.http.config;
        let url = Call::get("", what, config.validate_path.clone()).url(self.base)?;
        let mut tries = Tries::new(config, Spent::default());
        loop {
            let mut request = Request::new(Method::GET, url.clone());
            request.headers_mut().insert(config.key_header.clone(), key.header.clone());
            let began = Instant::now();
            let answer = match self.http.client.execute(request).await {
                Ok(response) => {
                    attempt::body(response, VALIDATE_BYTES, &mut None, &key.secret).await.map(drop)
                }
                Err(error) => Err(Failure::transport(error)),
            };
            tries.sent(began.elapsed());
            let failure = match answer {
                Ok(()) => return Ok(Health::Alive),
                Err(failure) => failure,
            };
            if failure.status() == Some(StatusCode::UNAUTHORIZED) {
                return Ok(Health::Dead);
            }
            let signs = OutageSigns { sent: began, answered: None, others_fail: false, is_scout: false };
            match tries.next(&failure, (true, false), signs, &self.http.jitter) {
                Next::After(pause) if tries.requests < VALIDATE_TRIES => {
                    tokio::time::sleep(pause).await;
                }
                _ => {
                    let text = "tell a dead key from a tenant's refusal: the key could not be tried";
                    let error =
                        Error::new(ErrorKind::Unavailable, text).with_source(failure.into_error(what));
                    return Err(key.secret.scrub_error(error));
                }
            }
        }
    }
}

/// Asks for one tenant, in its own region, with its own headers.
#[derive(Debug, Clone)]
pub struct TenantClient {
    pub(super) http: Arc<Http>,
    pub(super) asker: Arc<Asker>,
    pub(super) base: Url,
    pub(super) organization: HeaderValue,
}

impl TenantClient {
    /// Returns whom it asks for.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.asker.tenant
    }

    /// Returns the page size of a dataset, shared by the tenants of the region; `largest` is the endpoint's.
    #[must_use]
    pub fn page_size(&self, dataset: &'static str, largest: u32) -> Arc<PageSize> {
        let mut sizes = self.http.page_sizes.lock().expect("no holder panics");
        let find = || Arc::new(PageSize::new(largest));
        sizes.entry((self.asker.region.clone(), dataset)).or_insert_with(find).clone()
    }

    /// Returns leave to ask for a page of about so many bytes before its turn, where there is room for it; to be held
    /// until the page is handed on.
    #[must_use]
    pub fn leave_for(&self, bytes: u64) -> Option<Taken> {
        self.http.ahead.try_take(&self.asker.region, bytes)
    }

    /// Returns a text of the platform's as it may be shown: without the key.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        self.http.scrub(text)
    }

    /// Sends a call until it is answered well, or nothing more can be done about it.
    ///
    /// `decode` is part of each attempt: a good status with a body that is cut or malformed is asked for again.
    ///
    /// # Errors
    /// [`SendError::TooSlow`] where a smaller page may pass, [`SendError::OutOfTime`] where one might have,
    /// [`SendError::Answered`] where the platform refused for good, and [`SendError::Failed`] otherwise.
    pub async fn send<T, D>(&self, call: &Call, decode: &Arc<D>) -> Result<Answer<T>, SendError>
    where
        T: Send + 'static,
        D: Fn(Bytes) -> Result<T, BadBody> + Send + Sync + ?Sized + 'static,
    {
        Sending::new(self, call)?.run(decode).await
    }
}

/// Returns what every connection keeps to.
pub(super) fn connections(config: &HttpConfig) -> ClientBuilder {
    Client::builder()
        .user_agent(config.user_agent.clone())
        .redirect(reqwest::redirect::Policy::none())
        // Each request takes its own leave of the budget: none is repeated behind its back.
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout)
        .timeout(config.attempt_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(PING_EVERY)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(config.in_flight_per_region.get() as usize)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(config.connect_timeout)
}

/// Returns the error of a key that is refused everywhere; `unread` says why no newer one could be read.
pub(super) fn dead_key(what: &str, unread: Option<Error>) -> Error {
    let error = Error::new(ErrorKind::Auth, format!("{what}: the platform refused the key (401)"))
        .with_hint("the key is wrong, was revoked or has expired: put a good one in its place and run again");
    match unread {
        Some(unread) => error.with_context("newer key", unread.chain()),
        None => error,
    }
}

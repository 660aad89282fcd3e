//! One call of one tenant, from its first attempt to its answer or its error.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pipeline::{Error, ErrorKind};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use reqwest::{Request, StatusCode};
use tokio::time::Instant;
use url::{Position, Url};
use uuid::Uuid;

use super::bodies::{Room, Taken};
use super::client::{RegionCalls, Whose, dead_key};
use super::failure::Failure;
use super::key_ring::{Held, Refusal};
use super::retry::{Next, OutageSigns, Tries};
use super::turns::{ComeLater, Permit};
use super::{Answer, BadBody, Call, SendError, Spent, TenantClient, attempt};

/// How many exchanges of the key one call lives through: more only where the platform contradicts itself.
const MOST_RENEWALS: u32 = 20;

/// What an attempt brought.
struct Attempted<T> {
    value: T,
    bytes: u64,
    room: Option<Taken>,
}

/// A call on its way.
pub(super) struct Sending<'a> {
    client: &'a TenantClient,
    call: &'a Call,
    url: Url,
    tries: Tries,
    renewed: u32,
    correlation: Option<Uuid>,
    /// The key of the last attempt, which whoever answered has seen.
    key: Option<Arc<Held>>,
    /// Whether it is among those of the region that fail as all do in an outage.
    is_failing: bool,
    /// Whether a smaller page is asked for in its place.
    shrinks: bool,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.is_not_failing();
        if !self.shrinks {
            // Another one may find out whether less is answered.
            self.is_no_scout();
        }
    }
}

impl<'a> Sending<'a> {
    pub(super) fn new(client: &'a TenantClient, call: &'a Call) -> Result<Self, SendError> {
        let url = call.url(&client.base)?;
        let tries = Tries::new(&client.http.config, call.spent);
        let (renewed, correlation, key, is_failing, shrinks) = (0, None, None, false, false);
        Ok(Self { client, call, url, tries, renewed, correlation, key, is_failing, shrinks })
    }

    /// Tries until there is an answer or nothing more to be done.
    pub(super) async fn run<T, D>(mut self, decode: &Arc<D>) -> Result<Answer<T>, SendError>
    where
        T: Send + 'static,
        D: Fn(Bytes) -> Result<T, BadBody> + Send + Sync + ?Sized + 'static,
    {
        loop {
            let key = self.key().await?;
            let entered = Instant::now();
            let permit = self.turn().await?;
            self.tries.waited(entered.elapsed());
            // A turn can be long in coming: another key may have been taken up meanwhile.
            let key = self.client.http.keys.held().unwrap_or(key);
            self.key = Some(key.clone());
            let request = self.request(&key);
            let began = Instant::now();
            let tried = self.attempt(request, permit, &key, decode).await;
            let elapsed = began.elapsed();
            self.tries.sent(elapsed);
            match tried {
                Ok(Attempted { value, bytes, room }) => {
                    self.in_region(|region| {
                        region.answered = region.answered.max(Some(began));
                        region.scout = None;
                    });
                    return Ok(Answer { value, requests: self.tries.requests, bytes, elapsed, room });
                }
                Err(failure) => self.mend(failure, began, &key).await?,
            }
        }
    }

    /// Returns the key to use, newer than the last where there is a newer one by now.
    async fn key(&self) -> Result<Arc<Held>, SendError> {
        let http = &self.client.http;
        let current = http.keys.current(&http.at(&self.client.base)).await;
        current.map_err(|error| SendError::Failed(self.place(error)))
    }

    /// Waits for the tenant's turn and the budget.
    async fn turn(&self) -> Result<Permit, SendError> {
        let TenantClient { http, asker, .. } = self.client;
        let open = || http.open_budget(self.call.family);
        http.turns.take(self.call.family, asker, open).await.map_err(|ComeLater(wait)| {
            let wait = humantime::format_duration(Duration::from_secs(wait.as_secs().max(1)));
            let text = format!("{}: the platform grants the key nothing more for now", self.call.what);
            let error = Error::new(ErrorKind::RateLimited, text)
                .with_hint(format!("run again later: the budget stays closed for {wait} or longer"));
            SendError::Failed(self.place(error))
        })
    }

    /// Builds the request; the headers that decide who is asked for what are set last, and only here.
    fn request(&mut self, key: &Held) -> Request {
        let (call, config) = (self.call, &self.client.http.config);
        let mut request = Request::new(call.method.clone(), self.url.clone());
        if let Some(body) = &call.body {
            *request.body_mut() = Some(body.clone().into());
        }
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &call.headers {
            headers.insert(name, value.clone());
        }
        headers.remove(HOST);
        headers.insert(&config.key_header, key.header.clone());
        headers.insert(&config.organization_header, self.client.organization.clone());
        let id = self.correlation.insert(Uuid::new_v4()).to_string();
        headers.insert(&config.correlation_header, HeaderValue::try_from(id).expect("a UUID fits a header"));
        request
    }

    /// Tries once; the permit is held until the body is decoded.
    async fn attempt<T, D>(
        &self,
        request: Request,
        mut permit: Permit,
        key: &Held,
        decode: &Arc<D>,
    ) -> Result<Attempted<T>, Failure>
    where
        T: Send + 'static,
        D: Fn(Bytes) -> Result<T, BadBody> + Send + Sync + ?Sized + 'static,
    {
        let http = &self.client.http;
        let began = Instant::now();
        let response = attempt::send(&http.client, request, &mut permit).await?;
        http.hear(response.headers());
        tracing::debug!(
            tenant = %self.client.asker.tenant,
            region = %self.client.asker.region,
            method = %self.call.method,
            path = self.url.path(),
            status = response.status().as_u16(),
            elapsed = ?began.elapsed(),
            "answered"
        );
        if let (true, Some(failure)) = (self.call.safe, attempt::not_whole(&response)) {
            return Err(failure);
        }
        let mut room = match self.call.expected_bytes.filter(|_| response.status().is_success()) {
            Some(expected) => {
                let bytes = response.content_length().unwrap_or(expected);
                Some(http.bodies.room_for(&self.client.asker.region, bytes, self.call.can_shrink).await)
            }
            None => None,
        };
        let most = self.call.most_bytes.filter(|_| self.call.can_shrink).unwrap_or(usize::MAX);
        let most = most.min(http.config.max_body_bytes);
        let body = attempt::body(response, most, &mut room, &key.secret).await?;
        let (bytes, room) = (body.len() as u64, room.and_then(Room::held));
        let _turn = self.call.turn.lock().await;
        Ok(Attempted { value: attempt::decode(body, decode, &http.cores).await?, bytes, room })
    }

    /// Does what a failure asks for before the next attempt, or returns the call's error.
    async fn mend(&mut self, failure: Failure, began: Instant, key: &Arc<Held>) -> Result<(), SendError> {
        let http = &self.client.http;
        let signs = self.outage_signs(&failure, began);
        let may = (self.call.safe, self.call.can_shrink);
        let next = self.tries.next(&failure, may, signs, &http.jitter);
        let why = key.secret.scrub(&format!("{failure:?}"));
        tracing::debug!(tenant = %self.client.asker.tenant, path = self.url.path(), failure = why, ?next, "attempt failed");
        match next {
            Next::After(pause) => tokio::time::sleep(pause).await,
            Next::WhenGranted(wait) => {
                // A longer wait is for the next run: the budget says so where it is closed, and the tries elsewhere.
                if wait <= http.config.longest_pause {
                    http.turns.sleep(self.call.family, &self.client.asker, wait).await;
                }
                self.tries.waited(wait);
            }
            Next::AskOfKey => return self.ask_of_key(failure, key).await,
            Next::Shrink => {
                let bytes = failure.bytes();
                let error = self.place(failure.into_error(&self.call.what));
                let Tries { spent: time, requests, in_outage, .. } = self.tries;
                let spent = Spent { time, requests, bytes, in_outage };
                self.shrinks = true;
                return Err(SendError::TooSlow(error, spent));
            }
            Next::GiveUp if self.call.can_shrink && failure.is_slow() && !self.tries.in_outage => {
                return Err(SendError::OutOfTime(self.place(failure.into_error(&self.call.what))));
            }
            Next::GiveUp => return Err(self.give_up(failure)),
        }
        Ok(())
    }

    /// Finds out whether a 401 means the tenant or the key, and whether there is a newer key by now.
    async fn ask_of_key(&mut self, failure: Failure, key: &Arc<Held>) -> Result<(), SendError> {
        let http = &self.client.http;
        match http.keys.refused(key, Instant::now(), &http.at(&self.client.base)).await {
            Ok(Refusal::Renewed) if self.renewed < MOST_RENEWALS => {
                self.renewed += 1;
                Ok(())
            }
            Ok(Refusal::Renewed) => Err(SendError::Failed(self.place(restless(&self.call.what)))),
            Ok(Refusal::Tenant) => Err(self.give_up(failure)),
            Ok(Refusal::Key(unread)) => Err(SendError::Failed(self.place(dead_key(&self.call.what, unread)))),
            Err(error) => Err(SendError::Failed(self.place(error))),
        }
    }

    /// Says whether this call fails as all do in an outage, and returns what tells of one.
    fn outage_signs(&mut self, failure: &Failure, sent: Instant) -> OutageSigns {
        if !failure.may_be_outage() {
            self.is_not_failing();
        } else if !std::mem::replace(&mut self.is_failing, true) {
            let whose = self.whose();
            self.in_region(|region| *region.failing.entry(whose).or_default() += 1);
        }
        if !self.call.can_shrink && self.tries.has_outlasted_its_tries() {
            // Not even the least is answered; it may be its own trouble.
            self.is_no_scout();
        }
        let (whose, may_scout) = (self.whose(), self.call.can_shrink && failure.is_slow());
        self.in_region(|region| {
            let others_fail = region.failing.len() > usize::from(self.is_failing);
            let is_scout = may_scout && *region.scout.get_or_insert_with(|| whose.clone()) == whose;
            OutageSigns { sent, answered: region.answered, others_fail, is_scout }
        })
    }

    /// Says that this call is not, or no more, among those that fail as all do in an outage.
    fn is_not_failing(&mut self) {
        if !std::mem::take(&mut self.is_failing) {
            return;
        }
        let whose = self.whose();
        self.in_region(|region| {
            if let Some(calls) = region.failing.get_mut(&whose) {
                *calls -= 1;
                if *calls == 0 {
                    region.failing.remove(&whose);
                }
            }
        });
    }

    /// Says that it finds out nothing for others, or no more.
    fn is_no_scout(&self) {
        let whose = self.whose();
        self.in_region(|region| region.scout.take_if(|scout| *scout == whose));
    }

    fn whose(&self) -> Whose {
        (self.client.asker.tenant.clone(), self.call.what.clone())
    }

    fn in_region<T>(&self, see: impl FnOnce(&mut RegionCalls) -> T) -> T {
        let mut regions = self.client.http.regions.lock().expect("no holder panics");
        see(regions.entry(self.client.asker.region.clone()).or_default())
    }

    fn give_up(&self, failure: Failure) -> SendError {
        let status = failure.status().filter(StatusCode::is_client_error);
        let error = self.place(failure.into_error(&self.call.what));
        match status {
            Some(status) => SendError::Answered(status, error),
            None => SendError::Failed(error),
        }
    }

    /// Says where an error happened; what it tells of the answer is told without the key.
    fn place(&self, error: Error) -> Error {
        let error = match &self.key {
            Some(key) => key.secret.scrub_error(error),
            None => error,
        };
        let shown = &self.url[Position::BeforeScheme..Position::AfterPath];
        let error = error
            .with_context("organization", self.client.asker.tenant.as_str())
            .with_context("region", self.client.asker.region.as_str())
            .with_context("request", format!("{} {shown}", self.call.method))
            .with_context("attempts", self.tries.requests.to_string())
            .with_requests(self.tries.requests)
            .with_context("elapsed", format!("{:.1}s", self.tries.spent.as_secs_f64()));
        match self.correlation {
            Some(id) => error.with_context("correlation id", id.to_string()),
            None => error,
        }
    }
}

/// Returns the error of a call whose every key was refused while another was found good.
fn restless(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what}: one key after the other was refused"))
        .with_hint("the platform may not know the newest key in every region yet; run again later")
}

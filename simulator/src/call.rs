//! One request on its way through the platform, gate after gate: route, key, limit, faults, organization, endpoint.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use crate::answer::{Answer, Refusal};
use crate::data::world::World;
use crate::faults::Fault;
use crate::hold::Hold;
use crate::journal::{Arrival, Ending, Limited};
use crate::keys::Key;
use crate::limits::{LimitHeaders, Verdict};
use crate::platform::Platform;
use crate::query::Query;
use crate::request::Request;
use crate::route::{Endpoint, Manners};
use crate::strike::{Circumstances, Effects};
use crate::tenants::Tenant;
use crate::{account_api, entity_api, idr_api, vm_api};

/// The span of the windows in the journal where no limit sets one.
const UNLIMITED_WINDOW_MS: u64 = 1000;

/// An answer, and what is to be done to it on the way.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) correlation: String,
    pub(crate) faults: Vec<&'static str>,
    /// The fault that spoils the sending itself.
    pub(crate) blow: Option<Fault>,
    /// Where the sending stands still.
    pub(crate) hold: Option<Hold>,
    pub(crate) limited: bool,
}

/// A request on its way through the platform.
pub(crate) struct Call<'a> {
    platform: &'a Platform,
    world: Arc<World>,
    parts: &'a Parts,
    at_us: u64,
    region: &'a str,
    path: &'a str,
    endpoint: Option<Endpoint>,
    query: Query,
    key: Option<Arc<Key>>,
    organization: String,
}

impl<'a> Call<'a> {
    /// Looks at the head of a request.
    pub(crate) fn new(platform: &'a Platform, parts: &'a Parts) -> Self {
        let target = parts.uri.path();
        let end = target[1..].find('/').map_or(target.len(), |at| at + 1);
        let (region, path) = (&target[1..end], &target[end..]);
        let known = platform.config.regions.iter().any(|other| other == region);
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let key = text("x-api-key").and_then(|secret| platform.keys.find(secret));
        let world = platform.world();
        let home = |key: &Arc<Key>| key.home.map(|number| world.tenants[number].id.clone());
        let organization = match &key {
            Some(key) if !key.kind.is_multi_tenant() => home(key).unwrap_or_default(),
            _ => text("r7-organization-id").unwrap_or_default().to_owned(),
        };
        Self {
            platform,
            world,
            parts,
            at_us: platform.now_us(),
            region: if known { region } else { "?" },
            path,
            endpoint: Endpoint::of(path).filter(|_| known),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            key,
            organization,
        }
    }

    /// Returns what the journal wants to know.
    pub(crate) fn arrival(&self) -> Arrival<'_> {
        Arrival {
            at_us: self.at_us,
            region: self.region,
            family: self.endpoint.as_ref().map_or("?", Endpoint::family),
            tenant: &self.organization,
            key: self.key.as_ref().map_or("?", |key| &key.name),
        }
    }

    /// Remarks in the journal how the request ended.
    pub(crate) fn end(&self, outcome: &Outcome) {
        let answer = &outcome.answer;
        self.platform.journal().end(
            &self.arrival(),
            &Ending {
                status: answer.status.as_u16(),
                rows: answer.rows,
                bytes: answer.body.len() as u64,
                limited: outcome.limited,
                faults: &outcome.faults,
            },
        );
    }

    fn manners(&self) -> Manners {
        self.endpoint.as_ref().map_or(Manners::Gateway, Endpoint::manners)
    }

    /// Answers the request.
    ///
    /// # Errors
    /// The connection is to be broken without an answer.
    pub(crate) async fn answer(&self, body: Bytes) -> io::Result<Outcome> {
        let correlation = self.platform.correlation(self.parts);
        let mut outcome = Outcome {
            answer: Answer::gateway(StatusCode::OK, ""),
            correlation,
            faults: Vec::new(),
            blow: None,
            hold: None,
            limited: false,
        };
        match self.pass(body, &mut outcome).await {
            Ok(Some(answer)) => outcome.answer = answer,
            Ok(None) => {
                self.end(&Outcome {
                    answer: Answer { rows: 0, ..Answer::gateway(StatusCode::OK, "") },
                    ..outcome
                });
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Err(refusal) => {
                if let Some(reason) = refusal.misplaced.filter(|_| self.key.is_some()) {
                    self.platform.journal().misplace(&self.arrival(), reason);
                }
                let headers = std::mem::take(&mut outcome.answer.headers);
                outcome.answer = refusal.answer(self.manners(), &outcome.correlation);
                outcome.answer.headers.extend(headers);
            }
        }
        self.end(&outcome);
        Ok(outcome)
    }

    /// Lets the request pass gate after gate; `None` means that the connection breaks.
    async fn pass(&self, body: Bytes, outcome: &mut Outcome) -> Result<Option<Answer>, Refusal> {
        let endpoint = self.endpoint.as_ref().ok_or_else(|| {
            Refusal::gateway(404, "no Route matched with those values").misplaced("unknown_place")
        })?;
        let unauthorized = || Refusal::gateway(401, "Unauthorized");
        let key = self.key.as_ref().filter(|key| key.accept()).ok_or_else(unauthorized)?;
        let verdict = self.count(endpoint);
        if let Some(verdict) = &verdict {
            outcome.answer.headers = limit_headers(verdict);
            outcome.limited = verdict.refused;
            if verdict.refused {
                let retry = verdict.retry_after.spell(verdict.reset_seconds, self.platform.own_time());
                outcome.answer.headers.extend(retry.map(|value| ("retry-after", value)));
                return Err(Refusal::gateway(429, "API rate limit exceeded"));
            }
        }
        let effects = self.strike(endpoint);
        outcome.faults.clone_from(&effects.names);
        if effects.delay_us > 0 {
            tokio::time::sleep(Duration::from_micros(effects.delay_us)).await;
        }
        match self.blow(&effects, key).await {
            Blow::None => {}
            Blow::Break => {
                outcome.blow.clone_from(&effects.blow);
                return Ok(None);
            }
            Blow::Answer(answer) => return Ok(Some(answer)),
            Blow::Refuse(refusal) => return Err(refusal),
        }
        outcome.blow.clone_from(&effects.blow);
        outcome.hold.clone_from(&effects.hold);
        let mut answer = self.dispatch(endpoint, key, body, &effects)?;
        answer.headers.append(&mut outcome.answer.headers);
        Ok(Some(answer))
    }

    fn count(&self, endpoint: &Endpoint) -> Option<Verdict> {
        if *endpoint == Endpoint::Validate {
            return None;
        }
        let arrival = self.arrival();
        let verdict = self.platform.limits().count(
            self.at_us,
            self.region,
            endpoint.family(),
            arrival.key,
            &self.organization,
        );
        let limited = verdict.as_ref().map_or(
            Limited { limit: None, window_ms: UNLIMITED_WINDOW_MS, refused: false },
            |verdict| Limited {
                limit: Some(verdict.limit),
                window_ms: verdict.window_ms,
                refused: verdict.refused,
            },
        );
        self.platform.journal().meter(&arrival, limited);
        verdict
    }

    fn strike(&self, endpoint: &Endpoint) -> Effects {
        let mut faults = self.platform.faults();
        if faults.is_empty() {
            return Effects::default();
        }
        let number =
            |names: [&str; 2]| names.iter().find_map(|name| self.query.get(name)?.parse::<u64>().ok());
        let page = number(["index", "page"]).unwrap_or(0).max(u64::from(self.query.get("cursor").is_some()));
        faults.strike(&Circumstances {
            path: self.path,
            region: self.region,
            family: endpoint.family(),
            dataset: endpoint.dataset(),
            tenant: &self.organization,
            page,
            size: number(["size", "size"]).unwrap_or(20),
        })
    }

    /// Does what a fault does before anything is answered.
    async fn blow(&self, effects: &Effects, key: &Key) -> Blow {
        match &effects.blow {
            Some(Fault::TooManyRequests { retry_after, seconds }) => {
                let mut answer =
                    Refusal::gateway(429, "API rate limit exceeded").answer(Manners::Gateway, "");
                let retry = retry_after.spell(*seconds, self.platform.own_time());
                answer.headers.extend(retry.map(|value| ("retry-after", value)));
                Blow::Answer(answer)
            }
            Some(Fault::Status { status: 401 }) => Blow::Refuse(Refusal::gateway(401, "Unauthorized")),
            Some(Fault::Status { status }) => {
                Blow::Refuse(Refusal::new(*status, "An unexpected error occurred."))
            }
            Some(Fault::Html { status }) => {
                Blow::Answer(Answer::html(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)))
            }
            Some(Fault::Reset) => Blow::Break,
            Some(Fault::Stall { seconds }) => {
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                Blow::Break
            }
            Some(Fault::Redirect { location }) => Blow::Answer(self.redirect(location.as_deref())),
            Some(Fault::RevokeKey) => {
                key.revoke();
                Blow::Refuse(Refusal::gateway(401, "Unauthorized"))
            }
            _ => Blow::None,
        }
    }

    fn redirect(&self, location: Option<&str>) -> Answer {
        // The trap has another host name, so a client that follows has gone astray even on loopback.
        let trap = || format!("http://localhost:{}/_sim/trap{}", self.platform.port, self.path);
        let mut answer = Answer::gateway(StatusCode::FOUND, "Found");
        answer.headers.push(("location", location.map_or_else(trap, str::to_owned)));
        answer
    }

    fn dispatch(
        &self,
        endpoint: &Endpoint,
        key: &Arc<Key>,
        body: Bytes,
        effects: &Effects,
    ) -> Result<Answer, Refusal> {
        let method = &self.parts.method;
        if !endpoint.methods().contains(method) {
            return Err(Refusal::new(405, "Method Not Allowed"));
        }
        if *endpoint == Endpoint::Validate {
            return Ok(Answer::gateway(StatusCode::OK, "Authorized"));
        }
        let tenant = self.tenant(endpoint, key)?;
        if !body.is_empty() && *method != Method::GET && !self.is_json() {
            return Err(Refusal::new(415, "Unsupported Media Type"));
        }
        let request = Request {
            world: &self.world,
            config: &self.platform.config,
            keys: &self.platform.keys,
            key: key.clone(),
            tenant,
            region: self.region,
            method: method.clone(),
            path: self.path,
            query: self.query.clone(),
            body,
            twist: effects.twist,
        };
        serve(endpoint, &request)
    }

    fn is_json(&self) -> bool {
        let content_type = self.parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("application/json"))
    }

    /// Returns the organization the call acts in, or why it may not.
    fn tenant(&self, endpoint: &Endpoint, key: &Key) -> Result<&Tenant, Refusal> {
        let (world, statuses) = (&self.world, &self.platform.config.statuses);
        let in_account = endpoint.family() == "account";
        if key.kind.is_multi_tenant() && self.organization.is_empty() {
            return Err(refuse_organization(statuses.missing_organization));
        }
        let is_parent =
            self.organization.eq_ignore_ascii_case(&world.parent.id) || self.organization.is_empty();
        if is_parent && in_account {
            return Ok(&world.parent);
        }
        let is_reached =
            |tenant: &&Tenant| key.reaches(tenant.number) && (tenant.managed || !key.kind.is_multi_tenant());
        let reached = world.tenant(&self.organization).filter(is_reached);
        let tenant = reached.ok_or_else(|| {
            refuse_organization(statuses.foreign_organization).misplaced("foreign_organization")
        })?;
        // The Account API answers on every region's host; data only where it lives.
        if !in_account && tenant.region != self.region {
            return Err(Refusal::gateway(401, "Unauthorized").misplaced("wrong_region"));
        }
        if endpoint.manners() == Manners::Vm && !tenant.licensed_vm {
            return Err(Refusal::new(403, "Access is denied."));
        }
        Ok(tenant)
    }
}

enum Blow {
    None,
    Break,
    Answer(Answer),
    Refuse(Refusal),
}

fn refuse_organization(status: u16) -> Refusal {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    Refusal::gateway(status, reason.unwrap_or("Forbidden"))
}

fn serve(endpoint: &Endpoint, request: &Request) -> Result<Answer, Refusal> {
    match endpoint {
        Endpoint::Validate => Ok(Answer::gateway(StatusCode::OK, "Authorized")),
        Endpoint::ManagedOrganizations => account_api::managed_organizations(request),
        Endpoint::OrganizationsOfUser(user) => account_api::organizations_of_user(request, user),
        Endpoint::Organizations => account_api::organizations(request),
        Endpoint::Products => account_api::products(request),
        Endpoint::AccountUsers => account_api::users(request),
        Endpoint::ApiKeys => account_api::api_keys(request),
        Endpoint::ApiKey(id) => account_api::delete_key(request, id),
        Endpoint::Investigations => idr_api::investigations(request),
        Endpoint::AlertSearch => idr_api::alert_search(request),
        Endpoint::Entities(dataset) => entity_api::search(request, *dataset),
        Endpoint::VmHealth => vm_api::health(),
        Endpoint::VmAssets => vm_api::assets(request),
        Endpoint::VmAsset(id) => vm_api::asset(request, id),
        Endpoint::VmVulnerabilities => vm_api::vulnerabilities(request),
        Endpoint::VmSites => vm_api::sites(request),
        Endpoint::VmScans => vm_api::scans(request),
        Endpoint::VmScan(id) => vm_api::scan(request, id),
        Endpoint::VmEngines => vm_api::engines(request),
    }
}

fn limit_headers(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let values = [verdict.limit, verdict.remaining, verdict.reset_seconds];
    let plain = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    let prefixed = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let names: &[[&'static str; 3]] = match verdict.headers {
        LimitHeaders::None => &[],
        LimitHeaders::RateLimit => &[plain],
        LimitHeaders::XRateLimit => &[prefixed],
        LimitHeaders::Both => &[plain, prefixed],
    };
    names
        .iter()
        .flat_map(|names| names.iter().zip(values))
        .map(|(name, value)| (*name, value.to_string()))
        .collect()
}

//! What a connector settles before the first request: the vendor's names, the bounds and the budgets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use pipeline::{Error, ErrorKind, Region, Result};
use reqwest::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use url::{Host, Url};

/// Where a region's code belongs in [`HttpConfig::endpoint`].
const REGION: &str = "{region}";

/// A number of requests in any span of time of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as `{ requests = 100, per = \"60s\" }`")]
pub struct Limit {
    /// How many requests.
    pub requests: NonZeroU32,
    /// In how long, such as `60s`.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub per: Duration,
}

impl Limit {
    /// Returns how many requests go at once; the others follow evenly.
    pub(super) fn at_once(&self) -> NonZeroU32 {
        NonZeroU32::new(self.requests.get() / 2).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns how many seconds it holds so many requests back, at least.
    #[must_use]
    pub fn seconds_for(&self, requests: u64) -> f64 {
        let later = requests.saturating_sub(u64::from(self.at_once().get()));
        later as f64 / f64::from(self.requests.get()) * self.per.as_secs_f64()
    }
}

/// Reads a span of time as people write it, such as `60s`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(serde::de::Error::custom("a duration longer than nothing is expected")),
        Err(error) => {
            Err(serde::de::Error::custom(format!("{text:?} is no duration such as \"60s\": {error}")))
        }
    }
}

/// The vendor's names and the bounds of every request.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The base URL, with `{region}` where the region's code belongs.
    pub endpoint: String,
    /// The header that carries the key.
    pub key_header: HeaderName,
    /// The header that names the tenant.
    pub organization_header: HeaderName,
    /// The header that both sides name a request by.
    pub correlation_header: HeaderName,
    /// The path that answers 200 to a key that is alive and 401 to one that is not.
    pub validate_path: String,
    /// What the program calls itself.
    pub user_agent: String,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may stay silent between two bytes.
    pub read_timeout: Duration,
    /// How long one attempt may take in all.
    pub attempt_timeout: Duration,
    /// How often a call is sent, refusals for want of budget not counted; more often in an outage, while a host that
    /// did answer answers nobody, and several listings fail.
    pub max_attempts: NonZeroU32,
    /// How long a call is tried, larger pages of the same records included; its waiting for a turn counts once it
    /// was refused for want of budget again and again.
    pub retry_time: Duration,
    /// How long a budget may stay closed before whoever waits for it is told to come again later.
    pub longest_pause: Duration,
    /// How many bytes an answer may have once it is decompressed.
    pub max_body_bytes: usize,
    /// Requests in flight at once in one region.
    pub in_flight_per_region: NonZeroU32,
    /// Requests in flight at once for one tenant.
    pub in_flight_per_tenant: NonZeroU32,
    /// What the key may ask, by family; what is not told is learned.
    pub budgets: BTreeMap<String, Limit>,
    /// Where it may ask that.
    pub budget_scope: BudgetScope,
}

/// Where a key may ask what a budget grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// In each region as much.
    #[default]
    Region,
    /// In all regions together.
    Key,
}

impl HttpConfig {
    /// Returns the defaults for a vendor's endpoint, header names and validation path.
    #[must_use]
    pub fn new(endpoint: &str, headers: [HeaderName; 3], validate_path: &str) -> Self {
        let [key_header, organization_header, correlation_header] = headers;
        Self {
            endpoint: endpoint.to_owned(),
            key_header,
            organization_header,
            correlation_header,
            validate_path: validate_path.to_owned(),
            user_agent: concat!("tenantry/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(120),
            max_attempts: const { NonZeroU32::new(6).expect("not zero") },
            retry_time: Duration::from_secs(300),
            // The longest window known to be in use is 15 minutes: a run that begins behind another waits it out.
            longest_pause: Duration::from_secs(16 * 60),
            max_body_bytes: 64 << 20,
            in_flight_per_region: const { NonZeroU32::new(32).expect("not zero") },
            in_flight_per_tenant: const { NonZeroU32::new(4).expect("not zero") },
            budgets: BTreeMap::new(),
            budget_scope: BudgetScope::Region,
        }
    }

    /// Returns the base URL of a region's host.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it is no URL, or one that would show the key to others on its way.
    pub fn base(&self, region: &Region) -> Result<Url> {
        base(&self.endpoint, region).map_err(|why| {
            Error::new(ErrorKind::Config, format!("use the endpoint: {why}"))
                .with_hint(format!("write `endpoint` like \"https://{REGION}.api.example.com\""))
        })
    }
}

/// Returns the base URL of a region's host, or why there is none: without the endpoint, which may hold a password.
pub(crate) fn base(endpoint: &str, region: &Region) -> Result<Url, &'static str> {
    if !endpoint.contains(REGION) {
        return Err("it has no `{region}`, so every region would be asked in the same place");
    }
    let url = Url::parse(&endpoint.replace(REGION, region.as_str())).map_err(|_| "it is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it carries a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near(&url) => Ok(url),
        "http" => Err("the key would travel in clear text: `https` is expected"),
        _ => Err("`https` is expected"),
    }
}

/// Returns whether a host is this machine or its private network, where a rehearsal may run without TLS.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback() || address.is_unique_local(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, expected: Option<&str>) {
        let name = HeaderName::from_static;
        let config = HttpConfig::new(endpoint, [name("x-key"), name("x-org"), name("x-id")], "/validate");
        let base = config.base(&"eu".parse().expect("a region"));
        assert_eq!(base.ok().as_ref().map(Url::as_str), expected, "{endpoint}");
    }

    #[test]
    fn an_endpoint_names_one_host_per_region_and_keeps_the_key_unseen() {
        check("https://{region}.api.example.com", Some("https://eu.api.example.com/"));
        check("http://127.0.0.1:9400/{region}", Some("http://127.0.0.1:9400/eu"));
        check("http://localhost:9400/{region}", Some("http://localhost:9400/eu"));
        check("http://[::1]:9400/{region}", Some("http://[::1]:9400/eu"));
        check("http://[::1]:9400", None);
        check("https://eu.api.example.com", None);
        check("http://10.1.2.3:80/{region}", Some("http://10.1.2.3/eu"));
        check("http://{region}.api.example.com", None);
        check("ftp://127.0.0.1/{region}", None);
        check("https://user:word@example.com/{region}", None);
        check("https://example.com/?r={region}", None);
        check("example.com", None);
    }
}

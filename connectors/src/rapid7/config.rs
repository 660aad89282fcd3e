//! What a run file says about the platform.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use pipeline::{Region, Tenant, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serializer};

use crate::http::{BudgetScope, Limit, duration};

/// The base URL of every region's host.
pub const ENDPOINT: &str = "https://{region}.api.insight.rapid7.com";

/// Returns the region as it stands in the host's name: payloads, and people who read them, call one of them `us1`.
#[must_use]
pub fn in_host(region: Region) -> Region {
    if region.as_str() == "us1" { "us".parse().expect("two letters are a region's code") } else { region }
}

/// `[connector.rapid7]` of a run file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The primary account's own organization id, sent when the tenants are listed.
    #[schemars(with = "String")]
    pub parent_organization: TenantId,
    /// The region of the primary account, such as `us`.
    #[schemars(with = "String")]
    pub home_region: Region,
    /// Where the API key is found; the key itself is never written here.
    pub key: KeyConfig,
    /// The base URL, with `{region}` where the region's code belongs; the platform's own by default.
    #[serde(default = "endpoint")]
    pub endpoint: String,
    /// The user whose organizations are listed, for a key that may not list all of them.
    #[serde(default)]
    pub list_by_user: Option<String>,
    /// The path of that listing. The platform does not publish it, so the default is a guess:
    /// `/account/api/1/users/{user_id}/managed-organizations`.
    #[serde(default = "user_list_path")]
    pub user_list_path: String,
    /// What the key may ask, by part of the platform: `account`, `idr`, `alerts` or `vm`. What is not told is learned.
    #[serde(default)]
    pub budget: BTreeMap<String, Limit>,
    /// Whether the key may ask as much in each region (`region`) or in all of them together (`key`). The platform does
    /// not say how it counts.
    #[serde(default)]
    pub budget_scope: BudgetScope,
    /// Requests in flight at once in one region.
    #[serde(default = "in_flight_per_region")]
    pub in_flight_per_region: NonZeroU32,
    /// Requests in flight at once for one tenant.
    #[serde(default = "in_flight_per_tenant")]
    pub in_flight_per_tenant: NonZeroU32,
    /// How long one request may take in all, such as `120s`; half a minute without a byte ends it before.
    #[serde(default = "timeout", deserialize_with = "duration", serialize_with = "spelled")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How long a page is tried again before its tenant's dataset is set aside, such as `5m`: the whole time in an outage,
    /// while a region that did answer answers nobody and several listings fail there; else it is asked for six times in
    /// all. Smaller pages of the same records share that time, and each has its six.
    #[serde(default = "retry_for", deserialize_with = "duration", serialize_with = "spelled")]
    #[schemars(with = "String")]
    pub retry_for: Duration,
}

impl Config {
    /// Returns the account whose organizations are listed, as a tenant of its own.
    #[must_use]
    pub fn account(&self) -> Tenant {
        let (id, region) = (self.parent_organization.clone(), self.home_region.clone());
        Tenant { name: id.to_string(), id, region: Some(region), external_id: None }
    }

    /// Returns why the endpoint cannot be used, without a word of what stands in it.
    #[must_use]
    pub fn endpoint_flaw(&self) -> Option<&'static str> {
        crate::http::base(&self.endpoint, &self.home_region).err()
    }
}

/// Where the API key is found: exactly one of the three.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyConfig {
    /// An environment variable that holds it.
    Env(String),
    /// A file that holds it; looked at again every second, so that a new key is taken up in the middle of a run.
    File(PathBuf),
    /// A command that prints it; asked again every few minutes, and when the key is refused.
    Command(Vec<String>),
}

/// Spells a default in the schema as a run file would.
fn spelled<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

fn endpoint() -> String {
    ENDPOINT.to_owned()
}

fn user_list_path() -> String {
    "/account/api/1/users/{user_id}/managed-organizations".to_owned()
}

fn in_flight_per_region() -> NonZeroU32 {
    const { NonZeroU32::new(32).expect("not zero") }
}

fn in_flight_per_tenant() -> NonZeroU32 {
    const { NonZeroU32::new(4).expect("not zero") }
}

fn timeout() -> Duration {
    Duration::from_secs(120)
}

fn retry_for() -> Duration {
    Duration::from_secs(300)
}

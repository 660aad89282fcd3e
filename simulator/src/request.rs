//! A request that was let in: whose it is, what it asks, and what will be done to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;

use crate::answer::Refusal;
use crate::config::SimulatorConfig;
use crate::data::world::World;
use crate::keys::{Key, KeyRing};
use crate::query::Query;
use crate::strike::Twist;
use crate::tenants::Tenant;

/// Everything an endpoint needs to answer.
pub(crate) struct Request<'a> {
    pub(crate) world: &'a World,
    pub(crate) config: &'a SimulatorConfig,
    pub(crate) keys: &'a KeyRing,
    pub(crate) key: Arc<Key>,
    /// The organization acted in; the primary account's own where it is allowed.
    pub(crate) tenant: &'a Tenant,
    pub(crate) region: &'a str,
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    pub(crate) twist: Twist,
}

impl Request<'_> {
    /// Whether the primary account's own organization is acted in.
    pub(crate) fn in_parent(&self) -> bool {
        self.tenant.number == self.world.parent.number
    }

    /// Returns everything that was asked, but for the page.
    pub(crate) fn asked(&self) -> String {
        let mut asked = self.query.without(&["index", "page", "size", "cursor"]);
        asked.push_str(&String::from_utf8_lossy(&self.body));
        asked
    }

    /// Reads the body as JSON; an absent one is empty.
    pub(crate) fn json<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad(format!("the request body is not valid: {error}")))
    }
}

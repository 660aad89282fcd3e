//! The control paths under `/_sim`: the handle over HTTP, for tests that drive another process.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::Dataset;
use crate::faults::FaultRule;
use crate::keys::KeyConfig;
use crate::limits::LimitRule;
use crate::platform::Platform;
use crate::query::{Query, decode};
use crate::route::Manners;
use crate::truth;

/// What can be asked, for people who open the place that `tenantry simulate` prints.
const PATHS: [&str; 12] = [
    "GET, POST /_sim/clock",
    "GET /_sim/config",
    "GET /_sim/tenants",
    "GET, DELETE /_sim/journal",
    "GET /_sim/truth",
    "GET /_sim/truth/{dataset}/{tenant}",
    "GET /_sim/truth/{dataset}/{tenant}/rows",
    "GET, POST, DELETE /_sim/faults",
    "GET, POST, DELETE /_sim/limits",
    "GET, POST /_sim/keys",
    "POST, DELETE /_sim/keys/{name}, POST /_sim/keys/{name}/reach",
    "POST /_sim/rows",
];

/// Rows to add to a tenant's dataset or to take from it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowsChange {
    dataset: Dataset,
    tenant: String,
    #[serde(default)]
    append: u32,
    #[serde(default)]
    delete: u32,
}

/// Where the clock is to stand.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ClockChange {
    Now(DateTime<Utc>),
    AdvanceMs(i64),
}

/// Answers a control request.
pub(crate) async fn answer(platform: &Arc<Platform>, parts: &Parts, body: Bytes) -> Answer {
    let outcome = match parts.uri.path().split('/').skip(2).map(decode).collect::<Vec<_>>() {
        path if path.first().is_some_and(|first| first == "trap") => Ok(trap(platform, parts)),
        path if path.first().is_some_and(|first| first == "truth") => tell_truth(platform, parts, path).await,
        path => {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            control(platform, &parts.method, &path, &body)
        }
    };
    outcome.unwrap_or_else(|refusal| refusal.answer(Manners::Gateway, ""))
}

fn control(platform: &Platform, method: &Method, path: &[&str], body: &Bytes) -> Result<Answer, Refusal> {
    match (method.as_str(), path) {
        ("GET", [] | [""]) => show(&json!({ "paths": PATHS })),
        ("GET", ["clock"]) => show_clock(platform),
        ("POST", ["clock"]) => {
            set_clock(platform, given(body)?)?;
            show_clock(platform)
        }
        ("GET", ["config"]) => show(&platform.config),
        ("GET", ["tenants"]) => {
            let world = platform.world();
            show(&world.tenants.iter().filter(|tenant| tenant.managed).collect::<Vec<_>>())
        }
        ("GET", ["journal"]) => show(&platform.journal().report(platform.now_us())),
        ("DELETE", ["journal"]) => {
            platform.journal().clear();
            done()
        }
        ("GET", ["faults"]) => show(&platform.faults().rules()),
        ("POST", ["faults"]) => {
            platform.set_faults(given(body)?)?;
            done()
        }
        ("DELETE", ["faults"]) => {
            platform.set_faults(Vec::<FaultRule>::new())?;
            done()
        }
        ("GET", ["limits"]) => show(platform.limits().rules()),
        ("POST", ["limits"]) => {
            let rule: LimitRule = given(body)?;
            rule.check()?;
            platform.limits().set(rule);
            done()
        }
        ("DELETE", ["limits"]) => {
            platform.limits().clear();
            done()
        }
        ("GET", ["keys"]) => show(&platform.keys.list()),
        ("POST", ["keys"]) => show(&platform.keys.put(&given::<KeyConfig>(body)?, &platform.world())?),
        ("POST", ["keys", name]) => show(&platform.keys.replace(name, &platform.world())?),
        ("POST", ["keys", name, "reach"]) => {
            platform.keys.set_reach(name, &given::<Vec<String>>(body)?, &platform.world())?;
            done()
        }
        ("DELETE", ["keys", name]) => show(&json!({"revoked": platform.keys.revoke(name)})),
        ("POST", ["rows"]) => change_rows(platform, &given(body)?),
        _ => Err(Refusal::new(404, "no such control path")),
    }
}

fn show_clock(platform: &Platform) -> Result<Answer, Refusal> {
    let now_ms = platform.world().now_ms;
    show(&json!({"now_ms": now_ms, "now": DateTime::from_timestamp_millis(now_ms)}))
}

fn set_clock(platform: &Platform, change: ClockChange) -> Result<(), Refusal> {
    let now_ms = match change {
        ClockChange::Now(now) => now.timestamp_millis(),
        ClockChange::AdvanceMs(by) => platform.world().now_ms.saturating_add(by),
    };
    Ok(platform.set_now(now_ms)?)
}

fn given<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}

fn show<T: Serialize + ?Sized>(value: &T) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(value).map_err(|error| Refusal::new(500, error.to_string()))?;
    Ok(Answer::json(StatusCode::OK, body))
}

fn done() -> Result<Answer, Refusal> {
    show(&json!({"ok": true}))
}

fn trap(platform: &Platform, parts: &Parts) -> Answer {
    platform.journal().trap(parts.headers.contains_key("x-api-key"));
    Answer::gateway(StatusCode::OK, "Trapped")
}

/// Counts on a thread of its own, because it looks at every row.
async fn tell_truth(platform: &Arc<Platform>, parts: &Parts, path: Vec<String>) -> Result<Answer, Refusal> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let window = (query.time("since")?, query.time("until")?);
    let world = platform.world();
    let told = tokio::task::spawn_blocking(move || match &path[..] {
        [_] => show(&truth::of(&world, window)),
        [_, dataset, tenant, rest @ ..] if rest.is_empty() || *rest == ["rows"] => {
            let dataset = Dataset::from_name(dataset).ok_or_else(|| Refusal::new(404, "no such dataset"))?;
            let tenant = world.tenant_named(tenant).ok_or_else(|| Refusal::new(404, "no such tenant"))?;
            if rest.is_empty() {
                show(&truth::keys(&world, tenant, dataset, window))
            } else {
                show(&truth::rows(&world, tenant, dataset, window))
            }
        }
        _ => Err(Refusal::new(404, "no such control path")),
    });
    told.await.map_err(|error| Refusal::new(500, error.to_string()))?
}

fn change_rows(platform: &Platform, change: &RowsChange) -> Result<Answer, Refusal> {
    let world = platform.world();
    let tenant = world.tenant_named(&change.tenant).ok_or_else(|| Refusal::new(404, "no such tenant"))?;
    world.change(tenant, change.dataset, |rows| {
        for _ in 0..change.delete {
            rows.remove(0);
        }
    });
    let left = world.append(tenant, change.dataset, change.append);
    show(&json!({"rows": left}))
}

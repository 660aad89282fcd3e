//! The same description serves the same bytes, and the control paths say what the handle says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::{Dataset, JournalReport, SimulatorConfig, StartError, Truth, digest};

use crate::support::{Ask, Bench, plain};

fn quirky(seed: u64) -> SimulatorConfig {
    SimulatorConfig { seed, now: plain(1).now, gzip: false, ..SimulatorConfig::default() }
}

async fn sample(bench: &Bench) -> Vec<String> {
    let mut texts = vec![bench.list("?size=100").await.text];
    for (method, path) in [
        ("GET", "/idr/v2/investigations?size=100&index=3&start_time=2000-01-01T00:00:00Z"),
        ("POST", "/vm/v4/integration/assets?size=100&page=2&includeSame=true"),
        ("POST", "/vm/v4/integration/vulnerabilities?size=50&page=4"),
        ("POST", "/idr/v1/accounts/_search?size=500&index=1"),
        ("GET", "/account/api/1/users"),
        ("GET", "/vm/v4/integration/scan?size=100&includeDetails=true"),
    ] {
        texts.push(bench.read(0, method, path, Ask::default()).await.text);
    }
    texts
}

#[tokio::test]
async fn the_same_seed_serves_the_same_bytes() {
    let (one, same, other) =
        (Bench::new(quirky(1)).await, Bench::new(quirky(1)).await, Bench::new(quirky(2)).await);
    let texts = sample(&one).await;
    assert_eq!(texts, sample(&same).await);
    for (ours, theirs) in texts.iter().zip(sample(&other).await) {
        assert_ne!(*ours, theirs);
    }
    assert_eq!(one.handle.truth(), same.handle.truth());
    for bench in [one, same, other] {
        bench.handle.stop().await;
    }
}

/// Returns a value's text, the same in every build: how exactly numbers are read depends on who else needs them so.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, String> =
                members.iter().map(|(name, value)| (name, canonical(value))).collect();
            let members =
                sorted.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) if number.is_f64() => format!("{:.6}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// What a seed serves is written down in recorded figures elsewhere: a change here is a change to all of them.
#[tokio::test]
async fn what_a_seed_serves_stays_what_it_was() {
    let bench = Bench::new(SimulatorConfig { tenants: 5, rows: 0.3, catalogue: 120, ..quirky(3) }).await;
    let mut texts = vec![bench.list("?size=100").await.text];
    for tenant in 0..4 {
        for dataset in Dataset::ALL {
            texts.extend(bench.pull(tenant, dataset, 100).await.iter().map(canonical));
        }
        let changes = "/vm/v4/integration/assets?size=200&comparisonTime=2026-10-20T00:00:00Z";
        texts.push(bench.read(tenant, "POST", changes, Ask::default()).await.text);
    }
    assert_eq!(digest(texts.iter().map(String::as_str)), "7bf5ecf61fe49c02");
    bench.handle.stop().await;
}

#[tokio::test]
async fn definitions_are_the_same_for_all_tenants() {
    let bench = Bench::new(quirky(1)).await;
    let path = "/vm/v4/integration/vulnerabilities?size=100&page=3";
    let data = |text: Value| text["data"].clone();
    let first = data(bench.read(0, "POST", path, Ask::default()).await.json());
    let second = data(bench.read(1, "POST", path, Ask::default()).await.json());
    assert_eq!(first, second);
    bench.handle.stop().await;
}

#[tokio::test]
async fn compressed_answers_are_the_same_answers() {
    let (small, large) =
        (Bench::new(quirky(1)).await, Bench::new(SimulatorConfig { gzip: true, ..quirky(1) }).await);
    assert_eq!(sample(&small).await, sample(&large).await);
    small.handle.stop().await;
    large.handle.stop().await;
}

#[tokio::test]
async fn the_control_paths_do_what_the_handle_does() {
    let bench = Bench::new(plain(2)).await;
    let url = |path: &str| format!("{}{path}", bench.handle.control());
    let get = |path: &str| {
        let request = bench.client.get(url(path));
        async move { request.send().await.expect("an answer").text().await.expect("a body") }
    };
    let send = |method: &str, path: &str, body: Value| {
        let request =
            bench.client.request(method.parse().expect("a method"), url(path)).body(body.to_string());
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    let truth: Truth = serde_json::from_str(&get("/truth").await).expect("the truth");
    assert_eq!(truth, bench.handle.truth());
    let keys: Value =
        serde_json::from_str(&get("/truth/investigations/%230?since=2026-11-01T00:00:00Z").await)
            .expect("keys");
    let count = keys["keys"].as_array().map(Vec::len).expect("a list");
    assert!(count > 0 && count < 200, "{count}");

    let status = || async { bench.read(0, "GET", "/idr/v2/investigations", Ask::default()).await.status };
    assert_eq!(send("POST", "/faults", json!([{"fault": {"status": {"status": 500}}}])).await, 200);
    assert_eq!(status().await, 500);
    assert_eq!(send("DELETE", "/faults", Value::Null).await, 200);
    assert_eq!(send("POST", "/limits", json!({"requests": 1, "window_ms": 3_600_000})).await, 200);
    assert_eq!([status().await, status().await], [200, 429]);
    assert_eq!(send("DELETE", "/limits", Value::Null).await, 200);
    assert_eq!(
        send("POST", "/rows", json!({"dataset": "accounts", "tenant": "#1", "append": 5, "delete": 2})).await,
        200
    );
    let rows = bench.handle.truth_keys(Dataset::Accounts, "#1").expect("a tenant").keys.len();
    assert_eq!(rows, 603);
    assert_eq!(send("DELETE", "/keys/main", Value::Null).await, 200);
    assert_eq!(status().await, 401);
    assert_eq!(send("POST", "/faults", json!([{"fault": "reset", "odd": 1}])).await, 400);
    assert_eq!(send("GET", "/nothing", Value::Null).await, 404);
    let journal: JournalReport = serde_json::from_str(&get("/journal").await).expect("the journal");
    assert_eq!(journal.total, bench.handle.journal().total);
    let config: SimulatorConfig = serde_json::from_str(&get("/config").await).expect("the configuration");
    assert_eq!(&config, bench.handle.config());
    bench.handle.stop().await;
}

#[tokio::test]
async fn impossible_descriptions_do_not_start() {
    for config in [
        SimulatorConfig { regions: Vec::new(), ..plain(1) },
        SimulatorConfig { regions: vec!["Not A Region".into()], ..plain(1) },
        SimulatorConfig { rows: -1.0, ..plain(1) },
        SimulatorConfig { reject_rate: 2.0, ..plain(1) },
        SimulatorConfig { history_days: 0, ..plain(1) },
        SimulatorConfig { rows: 1e6, ..plain(1) },
        SimulatorConfig { limits: vec![simulator::LimitRule::new(0, 1)], ..plain(1) },
    ] {
        let started = simulator::Simulator::start(config).await;
        assert!(matches!(started, Err(StartError::Config(_))));
    }
    let bench = Bench::new(plain(1)).await;
    let taken = SimulatorConfig { port: bench.handle.address().port(), ..plain(1) };
    assert!(matches!(simulator::Simulator::start(taken).await, Err(StartError::Bind { .. })));
    assert!(
        serde_json::from_value::<SimulatorConfig>(json!({"tennants": 3})).is_err(),
        "unknown fields are errors"
    );
    bench.handle.stop().await;
}

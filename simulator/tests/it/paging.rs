//! What paging returns is what there is: for every dataset, at awkward page sizes, with all quirks on.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::{Dataset, SimulatorConfig, digest};

use crate::support::{Ask, Bench, alert_window, chrono_ago, keys, plain};

#[tokio::test]
async fn every_dataset_is_read_to_its_truth() {
    let config = SimulatorConfig {
        tenants: 6,
        rows: 0.5,
        giant_factor: 2.0,
        catalogue: 300,
        reject_rate: 0.05,
        ..SimulatorConfig::default()
    };
    let config = SimulatorConfig { now: plain(1).now, ..config };
    let bench = Bench::new(config).await;
    let truth = bench.handle.truth();
    let mut rejects = 0;
    for (number, tenant) in truth.tenants.iter().enumerate() {
        for (dataset, expected) in &tenant.datasets {
            let rows = bench.pull(number, *dataset, 37).await;
            let keys: Vec<String> = rows.iter().flat_map(|row| keys(*dataset, row)).collect();
            let distinct: BTreeSet<&String> = keys.iter().collect();
            assert_eq!(keys.len(), distinct.len(), "{dataset:?} of {}: a key came twice", tenant.name);
            assert_eq!(keys.len() as u64, expected.rows, "{dataset:?} of {}", tenant.name);
            assert_eq!(
                digest(keys.iter().map(String::as_str)),
                expected.digest,
                "{dataset:?} of {}",
                tenant.name
            );
            rejects += expected.rejects;
        }
    }
    assert!(rejects > 50, "a twentieth of the rows carries a wrong type, but {rejects} did");
    bench.handle.stop().await;
}

#[tokio::test]
async fn rows_name_their_tenant_and_repeat_no_field() {
    let bench = Bench::new(SimulatorConfig { now: plain(1).now, ..SimulatorConfig::default() }).await;
    let id = bench.handle.tenants()[0].id.clone();
    for dataset in [Dataset::Investigations, Dataset::Alerts, Dataset::Users, Dataset::VmAssets] {
        for row in bench.pull(0, dataset, 100).await {
            if let Some(rrn) = row["rrn"].as_str() {
                assert_eq!(rrn.split(':').nth(3), Some(id.as_str()));
            }
        }
        let page = first_page(&bench, dataset).await;
        assert_no_field_twice(&page);
    }
    bench.handle.stop().await;
}

async fn first_page(bench: &Bench, dataset: Dataset) -> String {
    let (method, path, body) = match dataset {
        Dataset::Investigations => ("GET", "/idr/v2/investigations?size=100", String::new()),
        Dataset::Alerts => ("POST", "/idr/at/alerts/ops/search?size=100", alert_window(100)),
        Dataset::Users => ("POST", "/idr/v1/users/_search?size=1000", "{}".to_owned()),
        _ => ("POST", "/vm/v4/integration/assets?size=400&includeSame=true", "{}".to_owned()),
    };
    bench.read(0, method, path, Ask { body: Some(body), ..Ask::default() }).await.text
}

/// Reads objects as lists of pairs, so that a repeated name shows.
fn assert_no_field_twice(text: &str) {
    let mut names: Vec<Vec<String>> = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' => names.push(Vec::new()),
            '}' => {
                names.pop();
            }
            '"' => {
                let start = at + 1;
                let mut end = start;
                while let Some((at, c)) = chars.next() {
                    if c == '\\' {
                        chars.next();
                    } else if c == '"' {
                        end = at;
                        break;
                    }
                }
                if chars.peek().is_some_and(|(_, c)| *c == ':') {
                    let name = text[start..end].to_owned();
                    let object = names.last_mut().expect("names stand in objects");
                    assert!(!object.contains(&name), "{name} comes twice in one object");
                    object.push(name);
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_tenant_list_has_its_quirks() {
    let bench = Bench::new(SimulatorConfig { tenants: 45, ..SimulatorConfig::default() }).await;
    let first = bench.list("").await.json();
    assert_eq!(first["data"].as_array().map(Vec::len), Some(20), "twenty on a page unless asked");
    assert_eq!(first["metadata"]["total_pages"], 3);
    assert_eq!(first["metadata"]["total_data"], 46, "one entry stands there twice");
    let all = bench.list("?size=100").await.json();
    let all = all["data"].as_array().expect("entries");
    assert_eq!(all.iter().filter(|entry| entry["region"].is_null()).count(), 1);
    assert_eq!(all[1], all[45], "the repeated entry is repeated word for word");
    let beyond = bench.list("?index=9").await.json();
    assert_eq!(beyond["data"], Value::Array(Vec::new()));
    assert_eq!(bench.list("?size=101").await.status, 400);

    let mut bare = plain(3);
    bare.quirks.bare_list = true;
    assert_eq!(Bench::new(bare).await.list("").await.json().as_array().map(Vec::len), Some(3));
    let mut silent = plain(3);
    silent.quirks.list_metadata = false;
    assert!(Bench::new(silent).await.list("").await.json()["metadata"].is_null());
    let none = Bench::new(SimulatorConfig { tenants: 1, ..plain(1) }).await;
    assert_eq!(none.list("").await.json()["metadata"]["total_pages"], 1);
    bench.handle.stop().await;
}

#[tokio::test]
async fn investigations_are_windowed_filtered_and_sorted() {
    let bench = Bench::new(plain(1)).await;
    let total = |query: String| {
        let bench = &bench;
        async move {
            bench.read(0, "GET", &format!("/idr/v2/investigations?{query}"), Ask::default()).await.json()
        }
    };
    let all =
        total("start_time=2000-01-01T00:00:00Z&size=100".into()).await["metadata"]["total_data"].clone();
    assert_eq!(all, 200);
    let usual = total(String::new()).await;
    let recent = usual["metadata"]["total_data"].as_u64().expect("a number");
    assert!((40..55).contains(&recent), "28 of 120 days of 200 rows, but {recent}");
    assert_eq!(usual["metadata"]["size"], 20);
    let ignored = total("status=OPEN&nonsense=1".into()).await;
    assert_eq!(ignored["metadata"]["total_data"], recent, "unknown parameters are ignored");

    let mut sum = 0;
    for status in ["OPEN", "INVESTIGATING", "WAITING", "CLOSED"] {
        sum +=
            total(format!("statuses={status}")).await["metadata"]["total_data"].as_u64().expect("a number");
    }
    assert_eq!(sum, recent, "statuses part the rows");

    let rank = |row: &Value| {
        ["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNSPECIFIED"].iter().position(|p| *p == row["priority"])
    };
    let ranks: Vec<_> = usual["data"].as_array().expect("rows").iter().map(rank).collect();
    assert!(ranks.is_sorted(), "by priority from the highest unless asked: {ranks:?}");
    let down = total("sort=created_time,DESC&size=100".into()).await;
    let times: Vec<_> =
        down["data"].as_array().expect("rows").iter().map(|row| row["created_time"].to_string()).collect();
    assert!(times.iter().rev().is_sorted());

    let split = chrono_ago(60);
    let before = total(format!("start_time=2000-01-01T00:00:00Z&end_time={split}")).await;
    let after = total(format!("start_time={split}")).await;
    let count = |page: &Value| page["metadata"]["total_data"].as_u64().expect("a number");
    assert_eq!(count(&before) + count(&after), 200, "windows that touch share no row");
    bench.handle.stop().await;
}

#[tokio::test]
async fn assets_page_by_number_and_by_cursor_and_end_with_an_empty_page() {
    let bench = Bench::new(plain(8)).await;
    for tenant in [0, 1, 2, 3, 4, 5, 6, 7] {
        let ids = |page: &Value| -> Vec<String> {
            page["data"].as_array().expect("rows").iter().map(|row| row["id"].to_string()).collect()
        };
        let ask = || Ask::default();
        let path = "/vm/v4/integration/assets?size=75";
        let first = bench.read(tenant, "POST", path, ask()).await.json();
        let second = bench.read(tenant, "POST", &format!("{path}&page=1"), ask()).await.json();
        let cursor = first["metadata"]["cursor"].as_str().expect("a cursor");
        let by_cursor = bench.read(tenant, "POST", &format!("{path}&cursor={cursor}"), ask()).await.json();
        assert_eq!(ids(&second), ids(&by_cursor));
        assert_eq!(second["metadata"]["totalPages"], 2);
        let last = by_cursor["metadata"]["cursor"].as_str().expect("the last page has a cursor, too");
        let empty = bench.read(tenant, "POST", &format!("{path}&cursor={last}"), ask()).await.json();
        assert_eq!(ids(&empty).len(), 0);
        assert!(empty["metadata"]["cursor"].is_null(), "the empty page has none");
        let link = first["links"][0]["href"].as_str().expect("a link");
        assert!(link.contains(".api.insight.rapid7.com:443/vm/"), "{link}");
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn findings_are_shown_as_asked() {
    let bench = Bench::new(plain(1)).await;
    let count = |query: &str, body: &str| {
        let (bench, ask) = (&bench, Ask { body: Some(body.to_owned()), ..Ask::default() });
        let path = format!("/vm/v4/integration/assets?size=500{query}");
        async move {
            let page = bench.read(0, "POST", &path, ask).await.json();
            let rows = page["data"].as_array().cloned().expect("rows");
            ["new", "remediated", "same"]
                .map(|list| rows.iter().filter_map(|row| row[list].as_array()).map(Vec::len).sum::<usize>())
        }
    };
    let there = bench.handle.truth_keys(Dataset::VmFindings, "#0").expect("a tenant").keys.len();
    assert_eq!(count("", "{}").await, [0, 0, 0]);
    assert_eq!(count("&includeSame=true", "{}").await, [0, 0, there]);
    let old = format!("&comparisonTime={}", chrono_ago(3000));
    assert_eq!(count(&old, "{}").await, [there, 0, 0], "everything is new beside a time before all");
    let month = format!("&includeSame=true&comparisonTime={}", chrono_ago(30));
    let [new, remediated, same] = count(&month, "{}").await;
    assert!(
        new > 0 && remediated > 0 && same > 0 && new + same == there,
        "{new} {remediated} {same} {there}"
    );
    let between = format!("{month}&includeInterSnapshotRemediations=true");
    assert!(count(&between, "{}").await[1] > remediated);
    let critical = r#"{"vulnerability":"severity IN ['Critical']"}"#;
    let rest = r#"{"vulnerability":"severity != 'critical'"}"#;
    let [_, _, some] = count("&includeSame=true", critical).await;
    let [_, _, others] = count("&includeSame=true", rest).await;
    assert!(some > 0 && some + others == there, "{some} {others} {there}");
    bench.handle.stop().await;
}

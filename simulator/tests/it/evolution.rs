//! The platform lives through time: any moment is known row for row, and reached in any steps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::{Value, json};
use simulator::{Dataset, Evolution, Fault, FaultRule, SimulatorConfig, TenantChange, TenantEvent, digest};

use crate::support::{Ask, Bench, keys, plain, start_ms};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const ASSETS: &str = "/vm/v4/integration/assets?size=500";
const DEFINITIONS: &str = "/vm/v4/integration/vulnerabilities?size=500";

/// A platform of a few small tenants in which much happens.
fn lively(tenants: usize) -> SimulatorConfig {
    let evolution = Evolution {
        churn: 0.3,
        late_rows: 0.1,
        new_definitions: 0.2,
        modified_days: 60,
        finding_days: 40,
        ..Evolution::default()
    };
    SimulatorConfig { rows: 0.4, catalogue: 150, evolution, ..plain(tenants) }
}

fn spelled(time_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(time_ms).expect("in range");
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn time_ms(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse::<DateTime<chrono::Utc>>().expect("a time").timestamp_millis()
}

async fn go_to(bench: &Bench, time_ms: i64) {
    bench.handle.set_now(time_ms).expect("a moment after the start");
    assert_eq!(bench.handle.now(), time_ms);
}

/// Reads every page of a dataset; an alert search may not span more than six months, so several are made.
async fn pull(bench: &Bench, tenant: usize, dataset: Dataset, size: u64) -> Vec<Value> {
    if dataset != Dataset::Alerts {
        return bench.pull(tenant, dataset, size).await;
    }
    let (mut rows, mut since) = (Vec::new(), start_ms() - 130 * DAY);
    while since <= bench.handle.now() {
        let until = since + 150 * DAY;
        rows.extend(alerts(bench, tenant, (since, until), size).await.0);
        since = until;
    }
    rows
}

/// Reads a window of alerts, page by page, and what the first page said is their number.
async fn alerts(bench: &Bench, tenant: usize, window: (i64, i64), size: u64) -> (Vec<Value>, u64) {
    let body = json!({
        "search": {"start_time": spelled(window.0), "end_time": spelled(window.1)},
        "sorts": [{"field_id": "alerted_at", "order": "ASCENDING_NULLS_LAST"}],
    });
    let (mut rows, mut total) = (Vec::new(), None);
    for index in 0.. {
        let path = format!("/idr/at/alerts/ops/search?index={index}&size={size}");
        let page = bench.read(tenant, "POST", &path, ask(&body.to_string())).await.json();
        total.get_or_insert(page["metadata"]["total_items"].as_u64().expect("a number"));
        rows.extend(page["alerts"].as_array().expect("alerts").iter().cloned());
        if page["metadata"]["is_last_index"] == true {
            break;
        }
    }
    (rows, total.expect("a first page"))
}

/// Reads a window of investigations on as many pages as it takes, and what the first page said is their number.
async fn investigations(bench: &Bench, tenant: usize, window: (i64, i64)) -> (Vec<Value>, u64) {
    let (mut rows, mut total) = (Vec::new(), None);
    for index in 0.. {
        let path = format!(
            "/idr/v2/investigations?sort=created_time,ASC&size=100&index={index}&start_time={}&end_time={}",
            spelled(window.0),
            spelled(window.1)
        );
        let page = bench.read(tenant, "GET", &path, Ask::default()).await.json();
        total.get_or_insert(page["metadata"]["total_data"].as_u64().expect("a number"));
        rows.extend(page["data"].as_array().expect("rows").iter().cloned());
        if index + 1 >= page["metadata"]["total_pages"].as_u64().expect("a number") {
            break;
        }
    }
    (rows, total.expect("a first page"))
}

fn ask(body: &str) -> Ask {
    Ask { body: Some(body.to_owned()), ..Ask::default() }
}

/// Returns the rows of the truth by their keys, each as it is served.
fn truth(bench: &Bench, tenant: usize, dataset: Dataset) -> BTreeMap<String, String> {
    let rows = bench.handle.truth_rows(dataset, &format!("#{tenant}")).expect("a tenant");
    let count = rows.len();
    let by_key: BTreeMap<_, _> = rows.into_iter().map(|row| (row.key, row.json)).collect();
    assert_eq!(by_key.len(), count, "{dataset:?}: two rows share a key");
    by_key
}

async fn everything(bench: &Bench, tenants: usize) -> Vec<String> {
    let mut texts = vec![bench.list("?size=100").await.text];
    for tenant in 0..tenants {
        for dataset in Dataset::ALL {
            texts.extend(pull(bench, tenant, dataset, 100).await.iter().map(Value::to_string));
        }
        let changes = format!("{ASSETS}&comparisonTime={}", spelled(bench.handle.now() - 30 * DAY));
        texts.push(bench.read(tenant, "POST", &changes, Ask::default()).await.text);
    }
    texts
}

#[tokio::test]
async fn a_moment_is_the_same_in_whatever_steps_it_is_reached() {
    let (leap, steps) = (Bench::new(lively(2)).await, Bench::new(lively(2)).await);
    let start = everything(&leap, 2).await;
    let there = start_ms() + 97 * DAY + 3 * HOUR + 17;
    let mut on_the_way = start_ms();
    for step in 1.. {
        on_the_way += step * 7 * HOUR;
        if on_the_way >= there {
            break;
        }
        go_to(&steps, on_the_way).await;
        let _ = steps.handle.truth();
    }
    go_to(&leap, there).await;
    go_to(&steps, there).await;
    let later = everything(&leap, 2).await;
    assert_eq!(later, everything(&steps, 2).await);
    assert_eq!(leap.handle.truth(), steps.handle.truth());
    assert_ne!(start, later);
    go_to(&leap, start_ms()).await;
    assert_eq!(everything(&leap, 2).await, start, "back at the start everything is as it was");
    assert!(leap.handle.set_now(start_ms() - 1).is_err(), "there is nothing before the start");
    leap.handle.stop().await;
    steps.handle.stop().await;
}

#[tokio::test]
async fn at_every_moment_the_pages_are_the_truth() {
    let config =
        SimulatorConfig { tenants: 3, reject_rate: 0.03, quirks: simulator::Quirks::default(), ..lively(3) };
    let bench = Bench::new(config).await;
    let mut vanished = BTreeSet::new();
    for (day, size) in [(0, 100), (1, 37), (40, 23), (200, 91)] {
        let before = bench.handle.truth();
        go_to(&bench, start_ms() + day * DAY + day * 977).await;
        for (number, tenant) in bench.handle.truth().tenants.iter().enumerate() {
            for (dataset, expected) in &tenant.datasets {
                let what = format!("{dataset:?} of {} on day {day}", tenant.name);
                let rows = pull(&bench, number, *dataset, size).await;
                let found: Vec<String> = rows.iter().flat_map(|row| keys(*dataset, row)).collect();
                assert_eq!(found.len() as u64, expected.rows, "{what}");
                assert_eq!(digest(found.iter().map(String::as_str)), expected.digest, "{what}");
                if before.tenants[number].datasets[dataset].digest != expected.digest {
                    vanished.insert(*dataset);
                }
                if *dataset != Dataset::VmFindings {
                    let truth = truth(&bench, number, *dataset);
                    for (key, row) in found.iter().zip(&rows) {
                        let served: Value = serde_json::from_str(&truth[key]).expect("a row is JSON");
                        // Scans are listed without their assets unless these are asked for.
                        let same = *dataset == Dataset::VmScans || served == *row;
                        assert!(same, "{what}: {row} is served, and {served} is the truth");
                    }
                }
            }
        }
    }
    let still: BTreeSet<_> = Dataset::ALL.into_iter().filter(|dataset| !vanished.contains(dataset)).collect();
    assert_eq!(still, BTreeSet::from([Dataset::VmEngines, Dataset::Products]), "all others changed");
    bench.handle.stop().await;
}

#[tokio::test]
async fn rows_of_the_truth_are_served_word_for_word() {
    let bench = Bench::new(SimulatorConfig { quirks: simulator::Quirks::default(), ..lively(2) }).await;
    go_to(&bench, start_ms() + 33 * DAY).await;
    let body = format!(
        r#"{{"search":{{"start_time":"{}","end_time":"{}"}}}}"#,
        spelled(start_ms() + 20 * DAY),
        spelled(start_ms() + 34 * DAY)
    );
    for (dataset, method, path, body) in [
        (Dataset::Investigations, "GET", "/idr/v2/investigations?size=100", ""),
        (Dataset::Alerts, "POST", "/idr/at/alerts/ops/search?size=100", body.as_str()),
        (Dataset::Users, "POST", "/idr/v1/users/_search?size=1000", "{}"),
        (Dataset::VmAssets, "POST", "/vm/v4/integration/assets?size=500&includeSame=true", "{}"),
        (Dataset::VmFindings, "POST", "/vm/v4/integration/assets?size=500&includeSame=true", "{}"),
        (Dataset::VmVulnerabilities, "POST", DEFINITIONS, "{}"),
        (Dataset::VmScans, "GET", "/vm/v4/integration/scan?size=500&includeDetails=true", ""),
        (Dataset::AccountUsers, "GET", "/account/api/1/users", ""),
    ] {
        let page = bench.read(0, method, path, ask(body)).await;
        let rows = page.json();
        let listed = rows["data"].as_array().or(rows["alerts"].as_array()).or(rows.as_array());
        let truth = truth(&bench, 0, dataset);
        let found: Vec<String> = listed.expect("rows").iter().flat_map(|row| keys(dataset, row)).collect();
        assert!(found.len() > 3, "{dataset:?}: {found:?}");
        for key in found {
            assert!(page.text.contains(&truth[&key]), "{dataset:?}: {} is not served", truth[&key]);
        }
    }
    let by_control = bench.client.get(format!("{}/truth/alerts/%230/rows", bench.handle.control()));
    let text = by_control.send().await.expect("an answer").text().await.expect("a body");
    let told: Vec<simulator::RowTruth> = serde_json::from_str(&text).expect("rows");
    assert_eq!(Some(told), bench.handle.truth_rows(Dataset::Alerts, "#0"));
    bench.handle.stop().await;
}

#[tokio::test]
async fn new_rows_come_at_the_rate_of_the_old_ones() {
    let bench = Bench::new(plain(2)).await;
    go_to(&bench, start_ms() + 360 * DAY).await;
    for (dataset, at_first) in [(Dataset::Investigations, 200), (Dataset::Alerts, 700)] {
        let rows = bench.handle.truth_keys(dataset, "#1").expect("a tenant").keys.len();
        assert!((rows as i64 - at_first * 4).abs() < 8, "{dataset:?}: {rows} after four times the history");
    }
    let scans = bench.handle.truth_keys(Dataset::VmScans, "#1").expect("a tenant").keys.len();
    assert!((198..=201).contains(&scans), "{scans} scans after five times their history");
    for dataset in [Dataset::Users, Dataset::Accounts, Dataset::VmAssets, Dataset::VmFindings] {
        let (then, now) = (bench.handle.truth_keys(dataset, "#0"), bench.handle.truth_keys(dataset, "#1"));
        let (then, now) = (then.expect("a tenant").keys.len(), now.expect("a tenant").keys.len());
        assert!(now * 2 > then && then * 2 > now, "{dataset:?}: {now} beside {then}");
    }
    bench.handle.stop().await;
}

/// Reads what a nightly reader without any overlap would read, and tells what it misses.
#[tokio::test]
async fn late_rows_are_missed_by_those_who_do_not_look_again() {
    let bench = Bench::new(lively(1)).await;
    let (mut without, mut with) = ([BTreeSet::new(), BTreeSet::new()], [BTreeSet::new(), BTreeSet::new()]);
    let mut last = start_ms() - 130 * DAY;
    for night in 0..60 {
        let now = start_ms() + night * DAY;
        go_to(&bench, now).await;
        for (overlap, seen) in [(0, &mut without), (3 * DAY, &mut with)] {
            let window = (last - overlap, now);
            let (rows, total) = investigations(&bench, 0, window).await;
            assert_eq!(rows.len() as u64, total);
            seen[0].extend(rows.iter().map(|row| row["rrn"].to_string()));
            let (rows, total) = alerts(&bench, 0, window, 100).await;
            assert_eq!(rows.len() as u64, total);
            seen[1].extend(rows.iter().map(|row| row["rrn"].to_string()));
        }
        last = now;
    }
    for (place, dataset) in [Dataset::Investigations, Dataset::Alerts].into_iter().enumerate() {
        let truth = bench.handle.truth_keys(dataset, "#0").expect("a tenant").keys;
        let missed =
            |seen: &BTreeSet<String>| truth.iter().filter(|key| !seen.contains(&format!("{key:?}"))).count();
        assert!(missed(&without[place]) > 0, "{dataset:?}: no row was late");
        assert_eq!(missed(&with[place]), 0, "{dataset:?}: a row was later than two days and some minutes");
        assert!(missed(&without[place]) * 5 < truth.len(), "{dataset:?}: most rows are in time");
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn rows_change_for_some_days_and_their_old_state_is_not_served_again() {
    let bench = Bench::new(SimulatorConfig { rows: 1.0, ..lively(1) }).await;
    let mut states: BTreeMap<String, (Value, BTreeSet<String>)> = BTreeMap::new();
    let (mut changed, mut belated) = (0, 0);
    for night in 0..40 {
        let now = start_ms() + night * DAY;
        go_to(&bench, now).await;
        for dataset in [Dataset::Investigations, Dataset::Alerts] {
            for row in pull(&bench, 0, dataset, 100).await {
                let key = row["rrn"].to_string();
                let (last, former) = states.entry(key).or_insert_with(|| (row.clone(), BTreeSet::new()));
                if *last == row {
                    continue;
                }
                changed += 1;
                former.insert(last.to_string());
                assert!(!former.contains(&row.to_string()), "{row} was served before, and another since");
                let created = if dataset == Dataset::Alerts {
                    assert!(row["version"].as_u64() > last["version"].as_u64(), "{row} after {last}");
                    assert!(time_ms(&row["updated_at"]) > time_ms(&last["updated_at"]), "{row} after {last}");
                    assert!(time_ms(&row["updated_at"]) <= now);
                    time_ms(&row["alerted_at"])
                } else {
                    let accessed = time_ms(&row["last_accessed"]);
                    assert!((now - DAY..=now).contains(&accessed), "{accessed} is in the night of {now}");
                    assert_eq!(row["created_time"], last["created_time"]);
                    time_ms(&row["created_time"])
                };
                belated += u64::from(now - created > 4 * DAY);
                *last = row;
            }
        }
    }
    assert!(changed > 100, "half of the rows change, but only {changed} did");
    assert!(belated > 0 && belated * 10 < changed, "{belated} of {changed} changes come after days");
    bench.handle.stop().await;
}

/// Reads the pages of one query of assets or definitions.
async fn by_cursor(bench: &Bench, path: &str, body: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bench.read(0, "POST", &format!("{path}{cursor}"), ask(body)).await.json();
        rows.extend(page["data"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
        match page["metadata"]["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn nightly_changes_of_findings_add_up_to_all_findings() {
    let bench = Bench::new(lively(1)).await;
    let full = format!("{ASSETS}&includeSame=true");
    let mut lake: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for asset in by_cursor(&bench, &full, "{}").await {
        lake.insert(asset["id"].to_string(), keys(Dataset::VmFindings, &asset).into_iter().collect());
    }
    let mut rows = truth(&bench, 0, Dataset::VmAssets);
    let (mut last, mut came, mut went) = (start_ms(), 0, 0);
    for night in 1..=60 {
        let now = start_ms() + night * DAY + night * 4_321_987;
        go_to(&bench, now).await;
        let scanned = json!({"asset": format!("last_scan_end > {}", spelled(last))}).to_string();
        let delta = format!("{ASSETS}&comparisonTime={}", spelled(last));
        let mut touched = BTreeSet::new();
        for asset in by_cursor(&bench, &delta, &scanned).await {
            let found = lake.entry(asset["id"].to_string()).or_default();
            for key in keys(Dataset::VmFindings, &json!({"id": asset["id"], "new": asset["remediated"]})) {
                assert!(found.remove(&key), "{key} went on night {night} without having been there");
                went += 1;
            }
            for key in keys(Dataset::VmFindings, &asset) {
                assert!(found.insert(key.clone()), "{key} came on night {night} and was there already");
                came += 1;
            }
            touched.insert(asset["id"].as_str().expect("an id").to_owned());
        }
        // An asset that vanished takes its findings along, and only a full listing tells.
        let present: BTreeSet<String> =
            by_cursor(&bench, ASSETS, "{}").await.iter().map(|asset| asset["id"].to_string()).collect();
        lake.retain(|asset, _| present.contains(asset));
        let expected = bench.handle.truth_keys(Dataset::VmFindings, "#0").expect("a tenant").keys;
        let found: BTreeSet<&String> = lake.values().flatten().collect();
        assert_eq!(found, expected.iter().collect(), "on night {night}");

        let after = truth(&bench, 0, Dataset::VmAssets);
        for (id, row) in &after {
            let untouched = rows.get(id).is_some_and(|before| before == row);
            assert_eq!(
                untouched,
                !touched.contains(id),
                "{id} on night {night}: changed by a scan and by nothing else"
            );
        }
        (rows, last) = (after, now);
    }
    assert!(came > 200 && went > 200, "{came} came and {went} went");
    bench.handle.stop().await;
}

#[tokio::test]
async fn findings_come_and_go_between_two_readings() {
    let bench = Bench::new(lively(1)).await;
    go_to(&bench, start_ms() + 120 * DAY).await;
    let count = async |more: &str| {
        let since = spelled(start_ms() + 10 * DAY);
        let rows = by_cursor(&bench, &format!("{ASSETS}&comparisonTime={since}{more}"), "{}").await;
        rows.iter().map(|asset| asset["remediated"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    let (known, all) = (count("").await, count("&includeInterSnapshotRemediations=true").await);
    assert!(known > 0 && all > known, "{known} of {all}");
    // As of an earlier time the findings are those of that time.
    go_to(&bench, start_ms() + 10 * DAY).await;
    let then = bench.handle.truth_keys(Dataset::VmFindings, "#0").expect("a tenant").keys;
    go_to(&bench, start_ms() + 11 * DAY).await;
    let earlier = spelled(start_ms() + 10 * DAY);
    let rows = by_cursor(&bench, &format!("{ASSETS}&includeSame=true&currentTime={earlier}"), "{}").await;
    let there: BTreeSet<String> = rows.iter().flat_map(|row| keys(Dataset::VmFindings, row)).collect();
    let assets: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    let then = then.into_iter().filter(|key| assets.contains(key.split('|').next().unwrap_or_default()));
    assert_eq!(there, then.collect());
    bench.handle.stop().await;
}

#[tokio::test]
async fn modified_definitions_are_exactly_those_that_changed() {
    let bench = Bench::new(lively(2)).await;
    let mut before = truth(&bench, 0, Dataset::VmVulnerabilities);
    let (mut last, mut added, mut modified) = (start_ms(), 0, 0);
    for night in 1..=50 {
        let now = start_ms() + night * DAY + night * 1_234_567;
        go_to(&bench, now).await;
        let body = json!({"vulnerability": format!("modified > {}", spelled(last))}).to_string();
        let told = by_cursor(&bench, DEFINITIONS, &body).await;
        let told: BTreeSet<String> =
            told.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
        let after = truth(&bench, 0, Dataset::VmVulnerabilities);
        let changed: BTreeSet<String> =
            after.iter().filter(|(id, row)| before.get(*id) != Some(row)).map(|(id, _)| id.clone()).collect();
        assert_eq!(told, changed, "on night {night}");
        assert!(before.keys().all(|id| after.contains_key(id)), "definitions stay");
        added += changed.iter().filter(|id| !before.contains_key(*id)).count();
        modified += changed.iter().filter(|id| before.contains_key(*id)).count();
        (before, last) = (after, now);
    }
    assert!(added > 20 && modified > 50, "{added} {modified}");
    assert_eq!(before, truth(&bench, 1, Dataset::VmVulnerabilities), "they are the same for all tenants");
    let findings = bench.handle.truth_keys(Dataset::VmFindings, "#0").expect("a tenant").keys;
    let named: BTreeSet<&str> = findings.iter().filter_map(|key| key.split('|').nth(1)).collect();
    assert!(named.iter().all(|id| before.contains_key(*id)), "every finding has its definition");
    bench.handle.stop().await;
}

#[tokio::test]
async fn rows_come_at_the_very_time_that_is_written_on_them() {
    let config = lively(4);
    let evolution = Evolution { late_rows: 0.0, changed_rows: 0.0, modified_days: 0, ..config.evolution };
    let bench = Bench::new(SimulatorConfig { evolution, ..config }).await;
    for tenant in 0..4 {
        for (dataset, field) in [
            (Dataset::Investigations, "created_time"),
            (Dataset::VmVulnerabilities, "added"),
            (Dataset::VmScans, "started"),
        ] {
            let (before, there) = (truth(&bench, tenant, dataset), start_ms() + 30 * DAY);
            go_to(&bench, there).await;
            let mut new = truth(&bench, tenant, dataset);
            new.retain(|key, _| !before.contains_key(key));
            assert!(new.len() > 3, "{dataset:?}: {}", new.len());
            for (key, row) in &new {
                let row: Value = serde_json::from_str(row).expect("JSON");
                let time = time_ms(&row[field]);
                assert!(time > start_ms() && time <= there, "{dataset:?}: {row}");
                go_to(&bench, time - 1).await;
                assert!(!truth(&bench, tenant, dataset).contains_key(key), "{dataset:?}: {row} is too early");
                go_to(&bench, time).await;
                assert!(truth(&bench, tenant, dataset).contains_key(key), "{dataset:?}: {row} is too late");
            }
            go_to(&bench, start_ms()).await;
        }
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn what_hands_did_outlasts_the_moment() {
    let bench = Bench::new(lively(1)).await;
    for dataset in [Dataset::Investigations, Dataset::Users, Dataset::VmAssets, Dataset::VmScans] {
        let keys_now = || -> BTreeSet<String> {
            bench.handle.truth_keys(dataset, "#0").expect("a tenant").keys.into_iter().collect()
        };
        let first = keys_now();
        let _ = bench.handle.append_rows(dataset, "#0", 3);
        let _ = bench.handle.delete_rows(dataset, "#0", 2);
        let by_hand = keys_now();
        let appended: BTreeSet<&String> = by_hand.difference(&first).collect();
        let deleted: BTreeSet<&String> = first.difference(&by_hand).collect();
        assert_eq!((appended.len(), deleted.len()), (3, 2), "{dataset:?}");
        go_to(&bench, start_ms() + 50 * DAY).await;
        let later = keys_now();
        let _ = bench.handle.append_rows(dataset, "#0", 2);
        let more = keys_now();
        assert_eq!(more.difference(&later).count(), 2, "{dataset:?}");
        go_to(&bench, start_ms() + 51 * DAY).await;
        let last = keys_now();
        assert!(more.difference(&later).all(|key| last.contains(key)), "{dataset:?}");
        assert!(appended.iter().all(|key| last.contains(*key)), "{dataset:?}");
        assert!(deleted.iter().all(|key| !last.contains(*key)), "{dataset:?}");
        for size in [7, 100] {
            let pulled = pull(&bench, 0, dataset, size).await;
            let pulled: Vec<String> = pulled.iter().flat_map(|row| keys(dataset, row)).collect();
            assert_eq!(pulled.len(), last.len(), "{dataset:?} on pages of {size}");
            assert_eq!(pulled.into_iter().collect::<BTreeSet<_>>(), last, "{dataset:?} on pages of {size}");
        }
        go_to(&bench, start_ms()).await;
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn where_nothing_is_to_happen_nothing_does() {
    let bench = Bench::new(SimulatorConfig { evolution: Evolution::none(), ..lively(1) }).await;
    let all = |bench: &Bench| -> Vec<_> { Dataset::ALL.map(|dataset| truth(bench, 0, dataset)).to_vec() };
    let before = all(&bench);
    go_to(&bench, start_ms() + 300 * DAY).await;
    for (dataset, (before, after)) in Dataset::ALL.into_iter().zip(before.into_iter().zip(all(&bench))) {
        match dataset {
            // An engine reports at every moment, and a scan that ran has ended meanwhile.
            Dataset::VmEngines | Dataset::VmScans => assert!(before.keys().eq(after.keys()), "{dataset:?}"),
            _ => assert_eq!(before, after, "{dataset:?}"),
        }
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn filters_and_unusual_orders_follow_the_clock_and_the_hands() {
    let bench = Bench::new(lively(1)).await;
    let filtered = async |size: u64| {
        let mut found = Vec::new();
        for index in 0.. {
            let body = json!({
                "search": [{"field": "disabled", "operator": "EQUALS", "value": "false"}],
                "sort": [{"field": "domain", "order": "DESC"}],
            });
            let path = format!("/idr/v1/accounts/_search?index={index}&size={size}");
            let page = bench.read(0, "POST", &path, ask(&body.to_string())).await.json();
            found.extend(page["data"].as_array().expect("rows").iter().cloned());
            if index + 1 >= page["metadata"]["total_pages"].as_u64().expect("a number") {
                return found;
            }
        }
        unreachable!("pages are counted without end")
    };
    let expected = || {
        let rows = truth(&bench, 0, Dataset::Accounts).into_values();
        let rows = rows.map(|row| serde_json::from_str::<Value>(&row).expect("JSON"));
        rows.filter(|row| row["disabled"] == false).count()
    };
    let mut counts = BTreeSet::new();
    for day in [0, 3, 90, 91] {
        go_to(&bench, start_ms() + day * DAY).await;
        for by_hand in [0, 1] {
            let _ = bench.handle.append_rows(Dataset::Accounts, "#0", by_hand * 40);
            let _ = bench.handle.delete_rows(Dataset::Accounts, "#0", by_hand * 10);
            let rows = filtered(19).await;
            assert_eq!(rows, filtered(1000).await);
            assert!(rows.iter().rev().is_sorted_by_key(|row| row["domain"].to_string()));
            assert_eq!(rows.len(), expected(), "on day {day}");
            counts.insert(rows.len());
        }
    }
    assert!(counts.len() > 5, "{counts:?}");
    bench.handle.stop().await;
}

#[tokio::test]
async fn rows_that_a_fault_put_in_stay_at_their_time() {
    let bench = Bench::new(SimulatorConfig { rows: 1.0, ..lively(1) }).await;
    let now = start_ms() + 60 * DAY;
    go_to(&bench, now).await;
    let before = truth(&bench, 0, Dataset::Investigations);
    let window = (now - 20 * DAY, now);
    let first = investigations(&bench, 0, window).await.0;
    let rule = |fault| FaultRule { times: Some(1), ..FaultRule::always(fault) };
    let faults = vec![rule(Fault::InsertRows { rows: 2 }), rule(Fault::DeleteRows { rows: 1 })];
    bench.handle.set_faults(faults).expect("the faults can happen");
    let (rows, total) = investigations(&bench, 0, window).await;
    assert_eq!((rows.len(), total), (first.len() + 1, first.len() as u64 + 1));
    for _ in 0..3 {
        let next = bench.handle.now() + DAY;
        go_to(&bench, next).await;
        let later = investigations(&bench, 0, window).await.0;
        // The latest of two put before one row stands before the earlier: that is the one deleted.
        let is_new = |row: &&Value| !before.contains_key(row["rrn"].as_str().expect("a name"));
        let late = |row: &&Value| time_ms(&row["created_time"]) > now - 2 * DAY - HOUR;
        let put: Vec<&Value> = later.iter().filter(is_new).filter(|row| !late(row)).collect();
        assert_eq!(put.len(), 1, "{put:?}");
        assert_eq!(
            put[0]["created_time"], first[0]["created_time"],
            "it shares the time of the row it precedes"
        );
        assert!(later.is_sorted_by_key(|row| time_ms(&row["created_time"])));
    }
    bench.handle.stop().await;
}

fn event(day: i64, tenant: &str, change: TenantChange) -> TenantEvent {
    let at = DateTime::from_timestamp_millis(start_ms() + day * DAY).expect("in range");
    TenantEvent { at, tenant: tenant.to_owned(), change }
}

fn moves(region: &str) -> TenantChange {
    TenantChange::Moves { region: region.to_owned() }
}

#[tokio::test]
async fn tenants_join_leave_move_and_are_renamed() {
    let events = vec![
        event(10, "#1", TenantChange::Joins),
        event(20, "#1", TenantChange::Leaves),
        event(10, "#2", moves("eu")),
        event(10, "#3", TenantChange::Renamed { name: "Other \"Name\"".to_owned() }),
    ];
    let bench = Bench::new(SimulatorConfig { events, ..lively(4) }).await;
    let us3 = bench.handle.tenants()[2].clone();
    assert_eq!(us3.region, "us3");
    let listed = async || -> Vec<(String, String)> {
        let list = bench.list("").await.json();
        let list = list["data"].as_array().expect("tenants").clone();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        assert_eq!(list.len(), bench.handle.tenants_now().len());
        assert_eq!(list.len(), bench.handle.truth().tenants.len());
        list.iter().map(|tenant| (text(&tenant["name"]), text(&tenant["region"]))).collect()
    };
    let status = async |tenant: usize, region: &str| {
        let ask = Ask { region: Some(region.to_owned()), ..Ask::default() };
        bench.read(tenant, "GET", "/idr/v2/investigations", ask).await.status
    };
    let names: Vec<String> = bench.handle.tenants().iter().map(|tenant| tenant.name.clone()).collect();
    let keys_before = bench.handle.truth_keys(Dataset::Alerts, "#2").expect("a tenant").keys;

    assert_eq!(listed().await.len(), 3, "one has not joined yet");
    assert_eq!([status(1, "us2").await, status(2, "us3").await, status(2, "eu").await], [403, 200, 401]);
    go_to(&bench, start_ms() + 10 * DAY - 1).await;
    assert_eq!(listed().await[1], (names[2].clone(), "us3".to_owned()));
    go_to(&bench, start_ms() + 10 * DAY).await;
    let list = listed().await;
    assert_eq!(list[1], (names[1].clone(), "us2".to_owned()));
    assert_eq!(list[2], (names[2].clone(), "eu".to_owned()));
    assert_eq!(list[3].0, "Other \"Name\"");
    assert_eq!([status(1, "us2").await, status(2, "us3").await, status(2, "eu").await], [200, 401, 200]);
    let keys_after: BTreeSet<String> =
        bench.handle.truth_keys(Dataset::Alerts, "#2").expect("a tenant").keys.into_iter().collect();
    assert!(keys_before.iter().all(|key| keys_after.contains(key)), "what moves keeps its name");
    go_to(&bench, start_ms() + 20 * DAY).await;
    assert_eq!((listed().await.len(), status(1, "us2").await), (3, 403));
    let misplaced = bench.handle.journal().misplaced;
    assert!(misplaced.iter().any(|call| call.reason == "wrong_region" && call.organization == us3.id));
    bench.handle.stop().await;

    let renaming = SimulatorConfig {
        events: vec![event(1, &us3.id, moves("eu"))],
        moves_rename_rows: true,
        ..lively(4)
    };
    let bench = Bench::new(renaming).await;
    go_to(&bench, start_ms() + DAY).await;
    let keys = bench.handle.truth_keys(Dataset::Alerts, "#2").expect("a tenant").keys;
    assert!(keys.iter().all(|key| key.starts_with("rrn:alerts:eu:")), "they were told to follow");
    bench.handle.stop().await;
}

#[tokio::test]
async fn impossible_events_do_not_start() {
    for change in [event(1, "nobody", TenantChange::Leaves), event(1, "#0", moves("mars"))] {
        let config = SimulatorConfig { events: vec![change], ..plain(1) };
        assert!(simulator::Simulator::start(config).await.is_err());
    }
    let evolution = Evolution { churn: 1.5, ..Evolution::default() };
    assert!(SimulatorConfig { evolution, ..plain(1) }.check().is_err());
    let read: SimulatorConfig = serde_json::from_value(json!({
        "events": [
            {"at": "2026-12-01T00:00:00Z", "tenant": "#0", "change": {"moves": {"region": "eu"}}},
            {"at": "2026-12-02T00:00:00Z", "tenant": "#0", "change": "leaves"},
        ],
        "evolution": {"churn": 0.1},
    }))
    .expect("a description");
    assert_eq!((read.events.len(), read.evolution.late_hours), (2, 48));
}

#[tokio::test]
async fn answers_are_dated_by_the_platforms_own_time() {
    let bench = Bench::new(plain(1)).await;
    let date = async |bench: &Bench| {
        let answer = bench.read(0, "GET", "/idr/v2/investigations?size=101", Ask::default()).await;
        answer.header("date").expect("a date").to_owned()
    };
    assert_eq!(date(&bench).await, "Fri, 20 Nov 2026 00:00:00 GMT");
    let clock = format!("{}/clock", bench.handle.control());
    let set = |body: Value| {
        let request = bench.client.post(&clock).body(body.to_string());
        async move { request.send().await.expect("an answer") }
    };
    assert_eq!(set(json!({"now": "2027-02-28T23:59:59.900Z"})).await.status(), 200);
    assert_eq!(date(&bench).await, "Sun, 28 Feb 2027 23:59:59 GMT");
    let answer = set(json!({"advance_ms": 100})).await;
    assert_eq!(answer.headers()["date"], "Mon, 01 Mar 2027 00:00:00 GMT");
    let told: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(told["now_ms"], bench.handle.now());
    assert_eq!(set(json!({"advance_ms": -1_000_000_000_000_i64})).await.status(), 400);
    assert_eq!(set(json!({"later": 1})).await.status(), 400);
    let page = bench.read(0, "POST", ASSETS, Ask::default()).await.json();
    assert_eq!(page["effectiveTime"], "2027-03-01T00:00:00.000Z");
    bench.handle.stop().await;

    let untold = Bench::new(SimulatorConfig { now: None, ..plain(1) }).await;
    let shown = DateTime::parse_from_rfc2822(&date(&untold).await).expect("a date").timestamp_millis();
    let start = untold.handle.now();
    assert!(shown > start && shown <= start + 2 * DAY, "by the machine's clock where it was told no time");
    go_to(&untold, start + 400 * DAY).await;
    let shown = DateTime::parse_from_rfc2822(&date(&untold).await).expect("a date").timestamp_millis();
    assert_eq!(shown, start + 400 * DAY);
    untold.handle.stop().await;
}

//! A year of nightly runs: tenants join, leave and move, rows come late, change and go, and answers fail, and the
//! lake says at every date what the platform said.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use simulator::{Dataset, Evolution, Fault, FaultRule, SimulatorConfig, Tenant, TenantChange, TenantEvent};
use tests::Context;

use crate::{small, start};

const NIGHTS: i64 = 365;

/// Full snapshots of vulnerability management lie so many nights apart; the lake is compared on nights of both kinds.
const FULL_EVERY: i64 = 7;

const COMPARED: [i64; 5] = [0, 3, 7 * 13, 7 * 26 + 2, 7 * 52];

fn began() -> DateTime<Utc> {
    "2025-01-01T03:00:00Z".parse().expect("an instant")
}

fn event(night: i64, tenant: &str, change: TenantChange) -> TenantEvent {
    // Between two runs, as such things happen.
    let at = began() + TimeDelta::days(night) - TimeDelta::hours(9);
    TenantEvent { at, tenant: tenant.to_owned(), change }
}

fn platform() -> SimulatorConfig {
    let sometimes = |fault| FaultRule { probability: 0.01, ..FaultRule::always(fault) };
    SimulatorConfig {
        now: Some(began()),
        // What changes later than the overlap is found by a refresh, and not by the nightly run.
        evolution: Evolution { belated_changes: 0.0, ..Evolution::default() },
        events: vec![
            event(40, "#4", TenantChange::Joins),
            event(120, "#1", TenantChange::Leaves),
            event(150, "#2", TenantChange::Moves { region: "ca".to_owned() }),
            event(200, "#3", TenantChange::Renamed { name: "Another Name".to_owned() }),
            event(250, "#1", TenantChange::Joins),
        ],
        faults: vec![
            sometimes(Fault::Reset),
            sometimes(Fault::Status { status: 503 }),
            sometimes(Fault::CutBody { chunked: false }),
            sometimes(Fault::TruncatedJson),
        ],
        ..small(5)
    }
}

fn run_file(context: &Context) {
    let mut file = context.run_file().of(&[]);
    for dataset in [Dataset::Investigations, Dataset::Alerts] {
        file = file.and(dataset, "overlap = \"4d\"");
    }
    file = file.and(Dataset::Users, "only_changes = true");
    for dataset in [Dataset::VmAssets, Dataset::VmFindings] {
        file = file.and(dataset, &format!("full_every = \"{FULL_EVERY}d\""));
    }
    context.write(&file.and(Dataset::VmVulnerabilities, "full_every = \"30d\""));
}

#[test]
fn completeness_a_year_of_nights_is_what_the_platform_held() {
    let mut context = start(platform());
    run_file(&context);
    let mut said = String::new();
    for night in 0..NIGHTS {
        let now = began() + TimeDelta::days(night);
        context.platform().set_now(now.timestamp_millis()).expect("time goes on");
        context.set_clock(now);
        let (output, summary) = context.pull(&[]);
        assert_eq!(output.code, Some(0), "night {night}: {}", output.stderr);
        summary.check_honest();
        said.push_str(&output.stderr);
        if COMPARED.contains(&night) {
            compare(&context, night);
        }
    }
    for news in ["is no longer listed; its data stays in the lake", "to ca: it is asked there from now on"] {
        assert!(said.contains(news), "nobody said {news:?}");
    }
    context.check_verified();
}

fn compare(context: &Context, night: i64) {
    for tenant in context.platform().tenants_now() {
        let timed = [
            (Dataset::Investigations, "rrn", &["title", "status", "priority", "disposition"][..]),
            (Dataset::Alerts, "rrn", &["version", "title", "status", "disposition"]),
        ];
        for (dataset, key, columns) in timed {
            let found = newest(context, &tenant, dataset, key, columns);
            assert_eq!(
                found,
                truth(context, &tenant, dataset, key, columns),
                "{night} {dataset:?} {}",
                tenant.name
            );
        }
        compare_users(context, &tenant, night);
        compare_vm(context, &tenant, night);
    }
}

type Rows = BTreeMap<String, Vec<String>>;

/// Returns what the platform holds of a tenant's dataset at present, by key.
fn truth(context: &Context, tenant: &Tenant, dataset: Dataset, key: &str, columns: &[&str]) -> Rows {
    let rows = context.platform().truth_rows(dataset, &tenant.id).expect("a tenant");
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row = |json: &str| {
        let json: Value = serde_json::from_str(json).expect("JSON");
        (text(&json[key]), columns.iter().map(|column| text(&json[*column])).collect())
    };
    rows.iter().map(|it| row(&it.json)).collect()
}

/// Returns the newest version of each of a tenant's rows in the lake, by key.
fn newest(context: &Context, tenant: &Tenant, dataset: Dataset, key: &str, columns: &[&str]) -> Rows {
    let wanted = [&["organization_id", key], columns].concat();
    let rows = context.lake().rows_of(dataset.name(), &wanted);
    let own = rows.into_iter().filter(|row| row[0] == tenant.id);
    own.map(|row| (row[1].clone(), row[2..].to_vec())).collect()
}

/// Compares the last dated snapshot, which is written only where something changed.
fn compare_users(context: &Context, tenant: &Tenant, night: i64) {
    let rows = context.lake().rows_of("users", &["organization_id", "run_id", "rrn", "name"]);
    let own: Vec<_> = rows.into_iter().filter(|row| row[0] == tenant.id).collect();
    let last = own.last().expect("a snapshot")[1].clone();
    let found: Rows = own
        .into_iter()
        .filter(|row| row[1] == last)
        .map(|row| (row[2].clone(), vec![row[3].clone()]))
        .collect();
    assert_eq!(found, truth(context, tenant, Dataset::Users, "rrn", &["name"]), "{night} {}", tenant.name);
}

/// Adds up the last full snapshot and the changes since.
fn compare_vm(context: &Context, tenant: &Tenant, night: i64) {
    let place = ["organization_id", "run_id", "change"];
    let key = ["asset_id", "vulnerability_id", "check_id", "key", "port", "protocol"];
    let rows = context.lake().rows_of("vm_findings", &[&place[..], &key].concat());
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut full = String::new();
    for row in rows.into_iter().filter(|row| row[0] == tenant.id) {
        if row[2] == "same" && full != row[1] {
            full.clone_from(&row[1]);
            open.clear();
        }
        let key = row[place.len()..].join("|");
        if row[2] == "remediated" {
            open.remove(&key)
        } else {
            open.insert(key)
        };
    }
    let truth: BTreeSet<String> = context.truth(Dataset::VmFindings, &tenant.id).into_iter().collect();
    let assets: BTreeSet<String> = context.truth(Dataset::VmAssets, &tenant.id).into_iter().collect();
    // That an asset vanished is seen by the next full snapshot, and not before.
    open.retain(|key| assets.contains(key.split('|').next().unwrap_or_default()));
    assert_eq!(open, truth, "night {night}: findings of {}", tenant.name);
    let found = newest(context, tenant, Dataset::VmAssets, "id", &["risk_score"]);
    assert!(
        assets.iter().all(|id| found.contains_key(id)),
        "night {night}: an asset of {} is missing",
        tenant.name
    );
}

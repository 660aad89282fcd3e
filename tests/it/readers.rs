//! Other people's readers see what the platform holds: DuckDB, PyArrow and Polars.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use simulator::{Dataset, SimulatorConfig, digest};
use tests::{Context, DATASETS, Summary, key_columns};

use crate::{small, start};

/// Returns the Python that has the readers, or says loudly that there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "only the machine that runs the tests knows where its Python is"
)]
fn python() -> Option<String> {
    let python = std::env::var("TENANTRY_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "TENANTRY_TEST_PYTHON is not set: `./test` sets it");
        #[expect(clippy::print_stderr, reason = "who skips a test has to say so")]
        {
            eprintln!(
                "SKIPPED: TENANTRY_TEST_PYTHON is not set, so no other reader sees the lake; `./test` sets it"
            );
        }
    }
    python
}

#[test]
fn duckdb_pyarrow_and_polars_read_what_the_platform_holds() {
    let Some(python) = python() else { return };
    let context = start(SimulatorConfig {
        quirks: simulator::Quirks { irregular_rows: true, ..simulator::Quirks::none() },
        ..small(4)
    });
    assert_eq!(context.run(&["run"]).code, Some(0));
    let truth: serde_json::Value = truth(&context, &DATASETS).into();
    check(&python, context.lake().root(), &context.put("truth.json", &truth.to_string()));
}

/// Returns what the platform holds of each tenant.
fn truth(context: &Context, datasets: &[Dataset]) -> Vec<Value> {
    let all = context.tenants().iter().flat_map(|tenant| datasets.iter().map(move |it| (tenant, *it)));
    all.map(|(tenant, dataset)| {
        let keys = context.truth(dataset, &tenant.id);
        serde_json::json!({
            "dataset": dataset.name(),
            "organization_id": tenant.id,
            "organization_name": tenant.name,
            "region": tenant.region,
            "key": key_columns(dataset.name()),
            "rows": keys.len(),
            "digest": digest(keys.iter().map(String::as_str)),
        })
    })
    .collect()
}

#[test]
fn duckdb_pyarrow_and_polars_read_the_demos_lake() {
    let Some(python) = python() else { return };
    // The demo's own platform once more: the same seed, the same data.
    let context = start(SimulatorConfig::default());
    let demo = context.run(&["demo", "--json"]);
    assert_eq!(demo.code, Some(0), "{}", demo.stderr);
    let summary = Summary::parse(&demo.stdout);
    let mut truth = truth(&context, &DATASETS);
    let organizations = context.tenants().iter().map(|tenant| tenant.id.as_str());
    // The list of tenants is the primary account's own; who that is, its receipt says.
    truth.extend(summary.receipts.iter().filter(|receipt| receipt.dataset == "organizations").map(
        |receipt| {
            serde_json::json!({
                "dataset": receipt.dataset,
                "organization_id": receipt.organization_id,
                "organization_name": receipt.organization_name,
                "region": receipt.region,
                "key": key_columns(&receipt.dataset),
                "rows": context.tenants().len(),
                "digest": digest(organizations.clone()),
            })
        },
    ));
    let truth = Value::from(truth).to_string();
    check(&python, context.lake().root(), &context.put("truth.json", &truth));
}

fn check(python: &str, lake: &Path, truth: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/check.py");
    let checked = Command::new(python).arg(script).arg(lake).arg(truth).output();
    let checked = checked.expect("the Python that was named");
    let (said, complained) =
        (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{said}{complained}");
    assert!(said.contains("7 ways to read agree"), "{said}");
}

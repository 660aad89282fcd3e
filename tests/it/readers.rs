//! Other people's readers see what the platform holds: DuckDB, PyArrow and Polars.

use std::path::Path;
use std::process::Command;

use simulator::{SimulatorConfig, digest};
use tests::{DATASETS, key_columns};

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
    let truth: serde_json::Value = context
        .tenants()
        .iter()
        .flat_map(|tenant| DATASETS.map(|dataset| (tenant, dataset)))
        .map(|(tenant, dataset)| {
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
        .collect();
    let truth = context.put("truth.json", &truth.to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/check.py");
    let checked = Command::new(python).arg(script).arg(context.lake().root()).arg(truth).output();
    let checked = checked.expect("the Python that was named");
    let (said, complained) =
        (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{said}{complained}");
    assert!(said.contains("3 readers agree"), "{said}");
}

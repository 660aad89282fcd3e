//! What a run brings, what a second one adds, and what narrows it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use simulator::{Dataset, SimulatorConfig};
use tests::{Context, DATASETS};

use crate::{small, start};

#[test]
fn completeness_every_row_of_every_tenant_and_dataset_arrives_once() {
    let context = start(small(6));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!((summary.outcome.as_str(), summary.tenants), ("complete", 6));
    assert_eq!(summary.receipts.len(), 6 * DATASETS.len());
    context.check_whole(&DATASETS);
    for receipt in &summary.receipts {
        let dataset = Dataset::from_name(&receipt.dataset).expect("a dataset");
        let truth = context.truth(dataset, &receipt.organization_id).len() as u64;
        assert_eq!(
            (receipt.rows_written, receipt.read, receipt.duplicates, receipt.rejects),
            (truth, truth, 0, 0),
            "{receipt:?}"
        );
        if dataset != Dataset::VmFindings {
            assert_eq!(receipt.claimed_last, Some(truth), "{receipt:?}");
        }
    }
    context.check_verified();
}

#[test]
fn a_second_run_of_the_day_changes_nothing_that_is_up_to_date() {
    let context = start(small(3));
    let snapshots = [Dataset::Users, Dataset::VmAssets, Dataset::VmFindings, Dataset::VmScans];
    context.write(&context.run_file().of(&snapshots));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let files: BTreeSet<_> = context.lake().data_files().into_iter().collect();
    let asked = context.platform().journal().by_family["vm"].requests;
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("up_to_date", 12)].into());
    assert!(output.stderr.contains("everything was up to date"), "{}", output.stderr);
    assert_eq!(context.lake().data_files().into_iter().collect::<BTreeSet<_>>(), files);
    assert_eq!(context.platform().journal().by_family["vm"].requests, asked);
    context.check_whole(&snapshots);
}

/// Returns the moment that a tenant's windows reach, as one run's receipts say.
fn reached(context: &Context, tenant: &str) -> (DateTime<Utc>, DateTime<Utc>) {
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let window = summary.receipt(tenant, "investigations").window.expect("it is read by time");
    (window.since, window.until)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the platform's data must end where the program's clock is")]
fn completeness_a_later_run_goes_on_where_the_window_ended() {
    let context = start(SimulatorConfig { now: Some(Utc::now()), ..small(1) });
    let timed = [Dataset::Investigations];
    context.write(&context.run_file().of(&timed));
    let tenant = context.tenants()[0].id.clone();
    let (_, first) = reached(&context, &tenant);
    assert_eq!(context.lake().rows("investigations"), 130);
    // One row a second from the platform's present on: the second run sees those that have come about by then.
    let _ = context.platform().append_rows(Dataset::Investigations, &tenant, 600);
    std::thread::sleep(Duration::from_millis(2100));
    let (since, second) = reached(&context, &tenant);
    let overlap = chrono::TimeDelta::days(1);
    assert_eq!(since, first - overlap, "the second window begins where the first ended, less the overlap");
    let asked_ms = |at: DateTime<Utc>| Some(at.timestamp_millis());
    let truth = context.platform().truth_within(asked_ms(first), asked_ms(second));
    let new = truth.tenants[0].datasets[&Dataset::Investigations].rows as usize;
    assert!(new >= 2, "{new} rows came about in two seconds");
    let keys = &context.lake().keys("investigations")[&tenant];
    assert_eq!(keys.len(), 130 + new);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "nothing is there twice");
    context.check_verified();
}

#[test]
fn flags_narrow_a_run_to_tenants_datasets_and_regions() {
    let datasets = [Dataset::Users, Dataset::Assets];
    let context = start(small(8));
    let tenants = context.tenants();
    let (a, b) = (&tenants[0], &tenants[1]);
    let check = |flags: &[&str], ids: &[&str], names: &[Dataset]| {
        let lake = context.lake();
        let _ = fs_err::remove_dir_all(lake.root());
        context.write(&context.run_file().of(&datasets));
        context.platform().clear_journal();
        let (output, summary) = context.pull(flags);
        assert_eq!(output.code, Some(0), "{flags:?}: {}", output.stderr);
        let read: BTreeSet<_> =
            summary.receipts.iter().map(|it| (it.organization_id.as_str(), it.dataset.as_str())).collect();
        let wanted = ids.iter().flat_map(|id| names.iter().map(move |dataset| (*id, dataset.name())));
        assert_eq!(read, wanted.collect(), "{flags:?}");
        let chosen: Vec<_> = tenants.iter().filter(|tenant| ids.contains(&tenant.id.as_str())).collect();
        assert_eq!(context.differences(chosen.clone(), names), Vec::<String>::new(), "{flags:?}");
        for tenant in tenants.iter().filter(|tenant| !ids.contains(&tenant.id.as_str())) {
            assert!(!context.platform().journal().by_tenant.contains_key(&tenant.id), "{flags:?}");
        }
    };
    check(&["--tenant", &a.id], &[&a.id], &datasets);
    check(&["--tenant", &a.name, "--tenant", &b.name, "--dataset", "users"], &[&a.id, &b.id], &datasets[..1]);
    let start_of_a = format!("{}*", &a.name[..4]);
    check(&["-t", &start_of_a, "-d", "assets"], &[&a.id], &datasets[1..]);
    // Seven regions for eight tenants: the first and the last share one.
    check(&["--region", &a.region], &[&a.id, &tenants[7].id], &datasets);
    check(&["-r", &a.region, "-t", &tenants[7].name], &[&tenants[7].id], &datasets);
}

#[test]
fn a_row_says_where_it_comes_from_and_loses_no_field() {
    let context = start(SimulatorConfig { gzip: true, ..small(2) });
    context.write(&context.run_file().of(&[Dataset::Investigations]));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let lake = context.lake();
    let names: BTreeSet<_> = lake.column("investigations", "organization_name").into_iter().collect();
    assert_eq!(names, context.tenants().iter().map(|tenant| tenant.name.clone()).collect());
    for column in ["organization_id", "region", "run_id", "pulled_at", "created_time"] {
        assert_eq!(lake.column("investigations", column).len(), 260, "{column}");
    }
    assert_eq!(lake.column("investigations", "run_id").iter().collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn records_that_do_not_fit_are_set_aside_and_counted() {
    let context = start(SimulatorConfig { reject_rate: 0.2, ..small(2) });
    let datasets = [Dataset::Investigations, Dataset::VmAssets, Dataset::VmFindings];
    context.write(&context.run_file().of(&datasets));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.check_whole(&datasets);
    let mut rejects = 0;
    for tenant in context.tenants() {
        for dataset in [Dataset::Investigations, Dataset::VmAssets] {
            let truth = context.platform().truth_keys(dataset, &tenant.id).expect("a tenant");
            let receipt = summary.receipt(&tenant.id, dataset.name());
            assert_eq!(receipt.rejects, truth.rejects.len() as u64, "{receipt:?}");
            rejects += receipt.rejects as usize;
        }
    }
    assert!(rejects > 10, "{rejects} are too few to tell anything");
    let listed = context.lake().column("_rejects", "dataset");
    assert_eq!(listed.iter().filter(|name| *name != "vm_findings").count(), rejects);
    let drift = context.run(&["datasets", "--drift", "--json"]);
    let lines: serde_json::Value = serde_json::from_str(&drift.stdout).expect("JSON");
    let told = lines.as_array().expect("a list").iter().filter(|line| line["kept_in"] == "_rejects");
    let told: u64 = told.filter_map(|line| line["records"].as_u64()).sum();
    assert_eq!(told, listed.len() as u64, "{lines}");
    assert!(context.run(&["datasets", "users", "--drift"]).stderr.contains("nothing was seen"));
    context.check_verified();
}

//! A tenant's rows stay the tenant's, and a tenant is asked in its own region only.

use simulator::{Dataset, Fault, FaultRule, SimulatorConfig};
use tests::Context;

use crate::{small, start};

/// Checks that rows of another tenant in a dataset stop the tenant, and are kept out.
fn check(dataset: Dataset, min_page: u64) {
    let other = if dataset == Dataset::VmScans { Dataset::Users } else { Dataset::VmScans };
    let shown = dataset.name();
    let rule = FaultRule {
        tenant: Some("#1".to_owned()),
        dataset: Some(dataset),
        min_page,
        ..FaultRule::always(Fault::ForeignRows { rows: 2 })
    };
    let context = start_named(dataset, &SimulatorConfig { faults: vec![rule], ..small(3) });
    context.write(&context.run_file().of(&[dataset, other]));
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{shown}: {}", output.stderr);
    let (tenant, summary) = (&context.tenants()[1], context.last_run());
    let receipt = summary.receipt(&tenant.id, shown);
    assert_eq!(receipt.verdict, "failed", "{shown}: {receipt:?}");
    let error = receipt.error.as_deref().unwrap_or_default();
    assert!(error.contains("records of organization"), "{shown}: {error}");
    assert!(output.stderr.contains(&tenant.name), "{shown}: {}", output.stderr);
    // The vendor's support can find the answer; what was stopped with it says the same.
    let hints: Vec<_> =
        summary.of(&tenant.id).into_iter().filter(|it| it.verdict == "failed").map(|it| &it.hint).collect();
    let names_it = |hint: &str| hint.contains("correlation id ") && hint.contains("/us");
    assert!(hints.iter().all(|hint| hint.as_deref().is_some_and(names_it)), "{shown}: {hints:?}");
    assert_eq!(summary.not_good(), [tenant.id.as_str()].into(), "{shown}");
    summary.check_honest();

    // Nothing of the answer is kept: neither the foreign rows nor the tenant's own beside them.
    assert!(!context.lake().keys(shown).contains_key(&tenant.id), "{shown}");
    let others = || context.tenants().iter().filter(|it| it.id != tenant.id);
    assert_eq!(context.differences(others(), &[dataset]), Vec::<String>::new());
    // What the tenant had committed of other datasets before it was stopped may stay: it is its own.
    let others = context.lake().keys(other.name());
    if let Some(keys) = others.get(&tenant.id) {
        assert_eq!(*keys, context.truth(other, &tenant.id), "{shown}");
    }
    context.check_verified();
}

/// Starts a platform on which the rows that the fault shows name their owner: of assets and scans, only some do.
fn start_named(dataset: Dataset, config: &SimulatorConfig) -> Context {
    let is_named = |context: &Context| {
        let shown = &context.tenants()[0];
        let rows = context.platform().truth_rows(dataset, &shown.id).expect("a tenant");
        rows.iter().take(2).any(|row| row.json.contains(&shown.id))
    };
    let mut platforms = (0..100).map(|seed| start(SimulatorConfig { seed, ..config.clone() }));
    platforms.find(is_named).expect("three tenants of eight are named in their assets")
}

#[test]
fn isolation_rows_of_another_tenant_stop_the_tenant_and_stay_out() {
    for dataset in [
        Dataset::Investigations,
        Dataset::Alerts,
        Dataset::Users,
        Dataset::Accounts,
        Dataset::Assets,
        Dataset::VmAssets,
        Dataset::VmScans,
    ] {
        check(dataset, 0);
    }
}

/// The catalogue is the same for everybody: only the call tells whose copy it is. Where the platform begins to name
/// the owner in it, that is compared.
#[test]
fn isolation_the_catalogue_names_no_owner() {
    let context = start(small(2));
    let tenant = &context.tenants()[0];
    let rows = context.platform().truth_rows(Dataset::VmVulnerabilities, &tenant.id).expect("a tenant");
    let named = rows.iter().find(|row| row.json.contains(&tenant.id));
    assert!(!rows.is_empty() && named.is_none(), "it belongs to the datasets above: {named:?}");
}

#[test]
fn isolation_rows_of_another_tenant_on_a_later_page_take_the_earlier_ones_with_them() {
    check(Dataset::Investigations, 1);
    check(Dataset::Alerts, 1);
}

#[test]
fn residency_nobody_is_asked_outside_the_own_region() {
    let context = start(small(15));
    let datasets = [Dataset::Investigations, Dataset::Users, Dataset::VmScans];
    context.write(&context.run_file().of(&datasets));
    let (output, _) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let journal = context.platform().journal();
    assert_eq!(journal.misplaced, Vec::new());
    assert_eq!(journal.by_region.len(), 7, "every region was asked: {:?}", journal.by_region.keys());
    // Rows lie below their own region and nowhere else; reading the keys compares folder and column.
    context.check_whole(&datasets);
    for tenant in context.tenants() {
        let folder = format!("users/region={}/organization_id={}/", tenant.region, tenant.id);
        assert!(context.lake().files().iter().any(|path| path.starts_with(&folder)), "{folder}");
    }
}

#[test]
fn residency_a_tenant_listed_in_the_wrong_region_is_refused_and_named() {
    let context = start(small(3));
    let datasets = [Dataset::Users];
    let mut file = context.run_file().of(&datasets);
    for (number, tenant) in context.tenants().iter().enumerate() {
        let region = if number == 1 { "eu" } else { &tenant.region };
        file.tenants +=
            &format!("[[tenant]]\nid = \"{}\"\nname = \"T{number}\"\nregion = \"{region}\"\n", tenant.id);
    }
    context.write(&file);
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let astray = &context.tenants()[1];
    let summary = context.last_run();
    assert_eq!(summary.receipt(&astray.id, "users").verdict, "unauthorized");
    assert!(
        output.stderr.contains("T1 (") && output.stderr.contains("its region may be wrong"),
        "{}",
        output.stderr
    );
    let misplaced = context.platform().journal().misplaced;
    let places: Vec<_> = misplaced.iter().map(|it| (it.organization.as_str(), it.region.as_str())).collect();
    assert_eq!(places, [(astray.id.as_str(), "eu")], "it was asked where the list says, and nowhere else");
    assert_eq!(
        context.differences(context.tenants().iter().filter(|it| it.id != astray.id), &datasets),
        Vec::<String>::new()
    );
}

//! The tenant list in every shape it comes in, and keys that may not see all of it.

use simulator::{Dataset, Fault, FaultRule, Quirks, SimulatorConfig};
use tests::Context;

use crate::{small, start};

const USERS: [Dataset; 1] = [Dataset::Users];

/// Returns a platform of many tenants with hardly anything to read.
fn many(tenants: usize) -> SimulatorConfig {
    SimulatorConfig { row_counts: [(Dataset::Users, 3)].into(), ..SimulatorConfig::plain(tenants) }
}

/// Checks that a run brings every tenant's users.
fn check(config: SimulatorConfig) {
    let tenants = config.tenants;
    let context = start(config);
    context.write(&context.run_file().of(&USERS));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(summary.tenants, tenants as u64);
    assert_eq!(summary.verdicts(), [("complete", tenants)].into());
    context.check_whole(&USERS);
}

#[test]
fn a_list_of_several_pages_is_read_to_its_end() {
    check(many(21));
    check(many(130));
    check(SimulatorConfig { quirks: Quirks { list_metadata: false, ..Quirks::none() }, ..many(130) });
    check(SimulatorConfig { quirks: Quirks { list_metadata: false, ..Quirks::none() }, ..many(100) });
}

#[test]
fn a_list_without_an_envelope_is_whole_in_itself() {
    check(SimulatorConfig { quirks: Quirks { bare_list: true, ..Quirks::none() }, ..many(130) });
}

#[test]
fn regions_are_understood_in_every_spelling() {
    let quirks = Quirks { mixed_case_regions: true, us1_regions: true, external_ids: true, ..Quirks::none() };
    check(SimulatorConfig { quirks, ..many(15) });
}

#[test]
fn a_customer_in_two_regions_and_an_entry_listed_twice_are_told_apart_by_their_ids() {
    let quirks = Quirks { cross_region_customer: true, duplicate_entry: true, ..Quirks::none() };
    check(SimulatorConfig { quirks, ..many(9) });
}

/// Over many pages, one entry that stands twice leaves the list with fewer organizations than it claims.
#[test]
fn completeness_the_organizations_are_a_dataset_of_their_own() {
    let quirks = Quirks { cross_region_customer: true, duplicate_entry: true, ..Quirks::none() };
    let context = start(SimulatorConfig { quirks, ..many(700) });
    let mut file = context.run_file();
    file.datasets = vec![("organizations".to_owned(), String::new())];
    context.write(&file);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("complete", 1)].into());
    let mut listed = context.lake().rows_of("organizations", &["id", "name", "listed_region"]);
    listed.sort();
    let mut expected: Vec<Vec<String>> = context
        .tenants()
        .iter()
        .map(|tenant| vec![tenant.id.clone(), tenant.name.clone(), tenant.region.clone()])
        .collect();
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn completeness_a_list_without_an_envelope_is_all_the_organizations() {
    for tenants in [1, 20, 130] {
        let context =
            start(SimulatorConfig { quirks: Quirks { bare_list: true, ..Quirks::none() }, ..many(tenants) });
        let mut file = context.run_file();
        file.datasets = vec![("organizations".to_owned(), String::new())];
        context.write(&file);
        context.platform().clear_journal();
        let (output, summary) = context.pull(&[]);
        assert_eq!(
            (output.code, summary.verdicts()),
            (Some(0), [("complete", 1)].into()),
            "{}",
            output.stderr
        );
        assert_eq!(context.lake().rows("organizations"), tenants);
        assert_eq!(context.platform().journal().total.requests, 2, "the tenants, and the dataset");
    }
}

#[test]
fn verdict_an_entry_that_is_no_tenant_is_named_and_the_others_are_whole() {
    let context = start(many(101));
    context.write(&context.run_file().of(&USERS));
    // The second page has one entry.
    let id = Fault::Member { name: "id".to_owned(), value: true.into() };
    let path = Some("managed-organizations".to_owned());
    let rule = FaultRule { path, min_page: 1, ..FaultRule::always(id) };
    context.platform().set_faults(vec![rule]).expect("the fault can happen");
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    assert_eq!((summary.tenants, summary.verdicts()), (100, [("complete", 100), ("failed", 1)].into()));
    let failed = summary.receipts.iter().find(|receipt| !receipt.is_good()).expect("one failed");
    assert!(failed.error.as_deref().is_some_and(|error| error.contains("set aside")), "{failed:?}");
    let (whole, odd) = context.tenants().split_at(100);
    let said = "an entry of the tenant list was set aside: its id is none";
    assert!(output.stderr.contains(said) && output.stderr.contains(&odd[0].name), "{}", output.stderr);
    assert_eq!(context.differences(whole, &USERS), Vec::<String>::new());

    context.platform().set_faults(Vec::new()).expect("none is fine");
    assert_eq!(context.run(&["run"]).code, Some(0));
    context.check_whole(&USERS);
}

#[test]
fn verdict_a_tenant_without_a_region_is_named_and_the_others_are_whole() {
    let quirks = Quirks { missing_region: 2, ..Quirks::default() };
    let config = SimulatorConfig { quirks, skewed: true, giant_factor: 6.0, rows: 0.3, ..small(12) };
    let context = start(config);
    let datasets = [Dataset::Investigations, Dataset::Users, Dataset::VmAssets, Dataset::VmFindings];
    context.write(&context.run_file().of(&datasets));
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let (placed, unplaced) = context.tenants().split_at(10);
    for tenant in unplaced {
        assert!(output.stderr.contains(&tenant.name), "{}", output.stderr);
        assert!(
            !context.platform().journal().by_tenant.contains_key(&tenant.id),
            "{} was asked",
            tenant.name
        );
        for receipt in context.last_run().of(&tenant.id) {
            assert!(receipt.verdict == "failed" && receipt.hint.is_some(), "{receipt:?}");
        }
    }
    assert!(output.stderr.contains("[tenants.regions]"), "{}", output.stderr);
    assert_eq!(context.last_run().not_good(), unplaced.iter().map(|tenant| tenant.id.as_str()).collect());
    assert_eq!(context.differences(placed, &datasets), Vec::<String>::new());
    context.last_run().check_honest();

    let mut file = context.run_file().of(&datasets);
    file.tenants = "[tenants.regions]\n".to_owned();
    for tenant in unplaced {
        file.tenants.push_str(&format!("\"{}\" = \"{}\"\n", tenant.id, tenant.region));
    }
    context.write(&file);
    assert_eq!(context.run(&["run"]).code, Some(0));
    context.check_whole(&datasets);
}

/// Starts a platform and hands the program the key of a user who reaches every second tenant.
fn as_user(config: SimulatorConfig) -> (Context, String) {
    let mut context = start(config);
    let key = context.platform().key("analyst").expect("a usual key");
    context.use_key(key.secret);
    context.write(&context.run_file().of(&USERS));
    (context, key.user_id)
}

#[test]
fn verdict_tenants_beyond_a_users_reach_are_forbidden_and_named() {
    let (context, _) = as_user(SimulatorConfig { user_keys_may_list: true, ..many(6) });
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let (reached, beyond): (Vec<_>, Vec<_>) =
        context.tenants().iter().enumerate().partition(|(number, _)| number % 2 == 0);
    assert_eq!(context.differences(reached.into_iter().map(|it| it.1), &USERS), Vec::<String>::new());
    for (_, tenant) in beyond {
        assert_eq!(context.last_run().receipt(&tenant.id, "users").verdict, "forbidden");
        assert!(output.stderr.contains(&tenant.name), "{}", output.stderr);
    }
    context.last_run().check_honest();
}

#[test]
fn a_key_that_may_not_list_is_told_so_and_can_do_without() {
    let (context, user) = as_user(many(6));
    let reached = || context.tenants().iter().step_by(2);
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("list the managed organizations"), "{}", output.stderr);
    assert_eq!(context.lake().data_files(), Vec::<std::path::PathBuf>::new());

    let asked = context.platform().journal().by_family["account"].requests;
    let mut written_down = context.run_file().of(&USERS);
    for tenant in reached() {
        let (id, region) = (&tenant.id, &tenant.region);
        // Quotes in a name are escaped by TOML as by JSON.
        let name = serde_json::Value::from(tenant.name.as_str());
        written_down.tenants += &format!("[[tenant]]\nid = \"{id}\"\nname = {name}\nregion = \"{region}\"\n");
    }
    context.write(&written_down);
    assert_eq!(context.run(&["run"]).code, Some(0));
    assert_eq!(context.platform().journal().by_family["account"].requests, asked, "no list was asked for");
    assert_eq!(context.differences(reached(), &USERS), Vec::<String>::new());

    // Another spelling of an id is no other tenant.
    for tenant in reached() {
        written_down.tenants = written_down.tenants.replace(&tenant.id, &tenant.id.to_uppercase());
    }
    context.write(&written_down);
    let (output, summary) = context.pull(&["--full-refresh"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(summary.receipts.iter().all(|it| it.rows_written == 0 && it.unchanged > 0), "{summary:?}");
    assert_eq!(context.differences(reached(), &USERS), Vec::<String>::new());

    let mut by_user = context.run_file().of(&USERS);
    by_user.connector += &format!("list_by_user = \"{user}\"\n");
    by_user.url = "./by-user".to_owned();
    context.write(&by_user);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(summary.tenants, 3);
}

#[test]
fn a_list_that_is_refused_for_a_while_is_asked_for_again() {
    let fault = simulator::FaultRule {
        path: Some("managed-organizations".to_owned()),
        times: Some(2),
        ..simulator::FaultRule::always(simulator::Fault::Status { status: 503 })
    };
    check(SimulatorConfig { faults: vec![fault], ..many(3) });
}

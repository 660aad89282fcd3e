//! Who was refused, skipped or cut short is named, and the exit code says who acts next.

use simulator::{Dataset, Fault, FaultRule, SimulatorConfig};

use crate::{small, start};

const DATASETS: [Dataset; 2] = [Dataset::Users, Dataset::VmScans];

/// Checks that one tenant's trouble is its own.
fn check_one(fault: Fault, verdict: &str, timeout: &str) {
    let shown = format!("{fault:?}");
    let rule = FaultRule { tenant: Some("#1".to_owned()), ..FaultRule::always(fault) };
    let context = start(SimulatorConfig { faults: vec![rule], ..small(4) });
    let mut file = context.run_file().of(&DATASETS);
    file.connector = format!("timeout = \"{timeout}\"\nretry_for = \"4s\"\n");
    context.write(&file);
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{shown}: {}", output.stderr);
    let (summary, tenant) = (context.last_run(), &context.tenants()[1]);
    assert_eq!(summary.outcome, "incomplete", "{shown}");
    for receipt in summary.of(&tenant.id) {
        assert_eq!(receipt.verdict, verdict, "{shown}: {receipt:?}");
        assert!(receipt.requests > 0, "what was asked in vain was asked: {receipt:?}");
    }
    assert_eq!(summary.not_good(), [tenant.id.as_str()].into(), "{shown}");
    summary.check_honest();
    assert!(
        output.stderr.contains(&format!("{} ({})", tenant.name, tenant.id)),
        "{shown}: {}",
        output.stderr
    );
    assert!(output.stderr.contains("2 of 8 receipts to look at"), "{shown}: {}", output.stderr);
    let others = context.tenants().iter().filter(|other| other.id != tenant.id);
    assert_eq!(context.differences(others, &DATASETS), Vec::<String>::new(), "{shown}");

    // A run that asks for less does not make it forgotten.
    assert_eq!(context.run(&["run", "--tenant", &context.tenants()[0].id]).code, Some(0), "{shown}");
    let problems = context.run(&["status", "--problems"]).stdout;
    assert!(problems.contains(&tenant.name) && problems.contains(verdict), "{shown}: {problems}");

    // Once it is over, the next run brings what was missing, and nothing a second time.
    context.platform().set_faults(Vec::new()).expect("no fault is no contradiction");
    context.write(&context.run_file().of(&DATASETS));
    assert_eq!(context.run(&["run"]).code, Some(0), "{shown}");
    context.check_whole(&DATASETS);
    let status = context.run(&["status", "--problems"]);
    assert!(status.stderr.contains("nothing to look at"), "{shown}: {}", status.stdout);
}

#[test]
fn verdict_records_that_all_fail_to_fit_are_not_called_complete() {
    let context = start(SimulatorConfig { reject_rate: 1.0, ..small(2) });
    context.write(&context.run_file().of(&[Dataset::Users]));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(5), "{}", output.stderr);
    for receipt in &summary.receipts {
        assert_eq!((receipt.verdict.as_str(), receipt.rejects), ("failed", 60), "{receipt:?}");
        assert!(receipt.committed && receipt.hint.as_deref().is_some_and(|hint| hint.contains("_rejects")));
    }
    assert_eq!(context.lake().rows("_rejects"), 120);
    context.check_verified();
}

#[test]
fn verdict_records_that_still_do_not_fit_are_not_called_complete_the_next_time() {
    let context = start(SimulatorConfig { reject_rate: 1.0, ..small(2) });
    for lines in ["", "only_changes = true"] {
        let file = context.run_file().of(&[]).and(Dataset::Investigations, "overlap = \"90d\"");
        context.write(&file.and(Dataset::Users, lines));
        for _ in 0..2 {
            let (output, summary) = context.pull(&[]);
            assert_eq!(output.code, Some(5), "{lines}: {}", output.stderr);
            let failed = summary.receipts.iter().filter(|receipt| receipt.verdict == "failed").count();
            assert_eq!(failed, summary.receipts.len(), "{lines}: {summary:?}");
        }
    }
    let problems = context.run(&["status", "--problems"]);
    assert!(problems.stdout.matches("failed").count() >= 4, "{}", problems.stdout);
    context.check_verified();
}

#[test]
fn verdict_what_was_never_read_is_a_problem() {
    let context = start(small(2));
    context.write(&context.run_file().of(&[Dataset::Users]));
    let acme = &context.tenants()[0];
    assert_eq!(context.run(&["run", "--tenant", &acme.id]).code, Some(0));
    // The tenant that was left out, and a dataset that was chosen since.
    context.write(&context.run_file().of(&[Dataset::Users, Dataset::Accounts]));
    let problems = context.run(&["status", "--problems"]);
    let lines: Vec<&str> = problems.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "{}{}", problems.stdout, problems.stderr);
    assert!(lines.iter().all(|line| line.contains("never read")), "{}", problems.stdout);
    assert_eq!(lines.iter().filter(|line| line.contains(&acme.name)).count(), 1, "{}", problems.stdout);
    let one = context.run(&["status", "--problems", "--json", "--tenant", &acme.id]);
    let lines: serde_json::Value = serde_json::from_str(&one.stdout).expect("JSON");
    let told = (&lines[0]["never_read"]["dataset"], &lines[0]["last"], &lines[1]);
    assert_eq!(told, (&"accounts".into(), &serde_json::Value::Null, &serde_json::Value::Null), "{lines}");
    assert_eq!(context.run(&["run"]).code, Some(0));
    assert!(context.run(&["status", "--problems"]).stderr.contains("nothing to look at"));
}

#[test]
fn verdict_a_tenant_that_is_always_unauthorized() {
    check_one(Fault::Status { status: 401 }, "unauthorized", "2s");
}

#[test]
fn verdict_a_tenant_that_is_always_forbidden() {
    check_one(Fault::Status { status: 403 }, "forbidden", "2s");
}

#[test]
fn verdict_a_tenant_that_always_fails() {
    check_one(Fault::Status { status: 500 }, "unavailable", "2s");
}

#[test]
fn verdict_a_tenant_whose_connections_break() {
    check_one(Fault::Reset, "unavailable", "2s");
}

#[test]
fn verdict_a_tenant_that_always_stalls() {
    check_one(Fault::Stall { seconds: 30 }, "unavailable", "500ms");
}

#[test]
fn verdict_a_tenant_that_answers_with_nonsense() {
    check_one(Fault::TruncatedJson, "failed", "2s");
}

#[test]
fn verdict_a_tenant_without_a_licence_lacks_only_what_the_licence_is_for() {
    let mut config = small(4);
    config.quirks.unlicensed = 1;
    let context = start(config);
    context.write(&context.run_file().of(&DATASETS));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let tenant = &context.tenants()[3];
    assert_eq!(summary.receipt(&tenant.id, "users").verdict, "complete");
    assert_eq!(summary.receipt(&tenant.id, "vm_scans").verdict, "forbidden");
    assert_eq!(summary.verdicts(), [("complete", 7), ("forbidden", 1)].into());
    summary.check_honest();
    context.check_whole(&DATASETS);
}

#[test]
fn verdict_a_tenant_that_has_nothing_is_empty_and_not_complete() {
    let mut config = SimulatorConfig { skewed: true, rows: 0.2, giant_factor: 3.0, ..small(7) };
    config.quirks.empty_tenants = 2;
    let context = start(config);
    context.write(&context.run_file().of(&DATASETS));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for receipt in &summary.receipts {
        let dataset = Dataset::from_name(&receipt.dataset).expect("a dataset");
        let rows = context.truth(dataset, &receipt.organization_id).len();
        assert_eq!(receipt.verdict, if rows == 0 { "empty" } else { "complete" }, "{receipt:?}");
    }
    assert!(summary.verdicts()["empty"] >= 4, "{:?}", summary.verdicts());
    summary.check_honest();
    context.check_whole(&DATASETS);
}

#[test]
fn verdict_a_key_that_dies_in_the_middle_ends_the_run_and_keeps_what_is_committed() {
    let rule = FaultRule { nth: vec![30], ..FaultRule::always(Fault::RevokeKey) };
    let mut context = start(SimulatorConfig { faults: vec![rule], ..small(12) });
    let mut file = context.run_file();
    file.rest = "[run]\nconcurrency = 3\n".to_owned();
    context.write(&file);
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("key"), "{}", output.stderr);
    let summary = context.last_run();
    assert_eq!(summary.outcome, "failed");
    assert!(summary.error.is_some());
    summary.check_honest();
    let committed = summary.receipts.iter().filter(|receipt| receipt.committed).count();
    assert!((1..50).contains(&committed), "{committed} receipts were committed before the thirtieth request");
    assert_eq!(summary.receipts.len(), 12 * tests::DATASETS.len(), "who was not begun is named too");
    // Of those in flight each is refused once; nobody goes on asking with a dead key.
    let refused = context.platform().journal().by_status[&401];
    assert!(refused <= 3 * 4 + 4, "{refused} requests with a dead key");
    context.check_verified();
    let rows: u64 = summary.receipts.iter().map(|receipt| receipt.rows_written).sum();
    let there: usize = tests::DATASETS.iter().map(|dataset| context.lake().rows(dataset.name())).sum();
    assert_eq!(there as u64, rows, "what was committed stays, and nothing else is visible");

    let renewed = context.platform().replace_key("main").expect("a key of that name");
    context.use_key(renewed.secret);
    assert_eq!(context.run(&["run"]).code, Some(0));
    context.check_whole(&tests::DATASETS);
}

#[test]
fn rotation_a_new_key_in_the_file_is_taken_up_in_the_middle_of_a_run() {
    let latency = FaultRule::always(Fault::Latency { ms: 40, jitter_ms: 0, per_row_us: 0 });
    let context = start(SimulatorConfig { faults: vec![latency], ..small(8) });
    let path = context.put("key", context.key());
    let mut file = context.run_file().of(&tests::DATASETS);
    file.key = format!("{{ file = \"{}\" }}", path.display());
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    let running = context.command(&["run"]).spawn().expect("the program under test");
    while context.platform().journal().by_family.get("vm").is_none_or(|tally| tally.requests < 6) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The new key is there before the old one dies, as whoever rotates keys would do it.
    let key = simulator::KeyConfig::new("fresh", simulator::KeyKind::MultiTenantAdmin);
    let fresh = context.platform().add_key(&key).expect("a key");
    context.put("key", &fresh.secret);
    context.platform().revoke_key("main");
    let output = tests::Output::of(running);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(context.platform().journal().by_key["fresh"].rows > 0);
    context.check_whole(&tests::DATASETS);
}

#[test]
fn verdict_a_wrong_key_is_refused_at_once() {
    let mut context = start(small(3));
    context.use_key("00000000-1111-2222-3333-444444444444");
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("the platform refused the key") || output.stderr.contains("key"));
    assert!(output.stderr.contains("hint:"), "{}", output.stderr);
    assert_eq!(context.lake().data_files(), Vec::<std::path::PathBuf>::new());
    assert!(context.platform().journal().total.requests <= 4, "{:?}", context.platform().journal().total);
}

#[test]
fn verdict_a_platform_that_cannot_be_reached_is_for_another_time() {
    let context = start(small(2));
    let mut file = context.run_file().of(&DATASETS);
    // No free port: another test's platform would soon listen on it.
    file.endpoint = "http://127.0.0.1:9/{region}".to_owned();
    file.connector = "retry_for = \"1s\"\n".to_owned();
    context.write(&file);
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(output.stderr.contains("cannot be reached"), "{}", output.stderr);

    // The same where the tenants are known, and each of them is out of reach.
    for tenant in context.tenants() {
        let (id, region) = (&tenant.id, &tenant.region);
        file.tenants += &format!("[[tenant]]\nid = \"{id}\"\nname = \"{id}\"\nregion = \"{region}\"\n");
    }
    context.write(&file);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("unavailable", 4)].into());
    summary.check_honest();
}

#[test]
fn verdict_a_run_that_brought_nothing_says_why_in_its_exit_code() {
    for (status, code) in [(403, 3), (401, 3), (500, 4)] {
        let of = |family: &str| FaultRule {
            family: Some(family.to_owned()),
            ..FaultRule::always(Fault::Status { status })
        };
        let context = start(SimulatorConfig { faults: vec![of("idr"), of("vm")], ..small(2) });
        let mut file = context.run_file().of(&DATASETS);
        file.connector = "retry_for = \"500ms\"\n".to_owned();
        context.write(&file);
        let (output, summary) = context.pull(&[]);
        assert_eq!(output.code, Some(code), "{status}: {}", output.stderr);
        assert_eq!(summary.not_good().len(), 2, "{status}");
        summary.check_honest();
        assert_eq!(context.lake().data_files(), Vec::<std::path::PathBuf>::new(), "{status}");
    }
}

//! The lake as evidence: what an auditor is shown, and what is found when somebody takes a part of it away.

use serde_json::Value;
use simulator::{Dataset, Fault, FaultRule, Quirks, SimulatorConfig};
use tests::{Context, Output, Summary};

use crate::{small, start};

const DATASETS: [Dataset; 4] = [Dataset::Alerts, Dataset::Users, Dataset::VmAssets, Dataset::VmFindings];

/// Keys as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIC7vhNMECQ/rp5At109BCYZhD3gKXzGmzV4gRcmKOZUk\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAhGILTEGBVxz3Jh+lRgrXeQkm3znPikmjYEWR/RTzcKE=\n-----END PUBLIC KEY-----\n";
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAHvw165BRJIPJDz4kmVhR0HBNc7M0yEtvZ+CTYFusX2U=\n-----END PUBLIC KEY-----\n";

fn pulled(tenants: usize) -> Context {
    let context = start(small(tenants));
    context.write(&context.run_file().of(&DATASETS));
    assert_eq!(context.run(&["run"]).code, Some(0));
    context
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn verified(context: &Context) -> Value {
    let output = context.run(&["verify", "--json"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    json(&output)
}

/// Makes every answer take a while, so that two runs meet, or one can be killed in its middle.
fn slow(tenants: usize) -> Context {
    let latency = FaultRule::always(Fault::Latency { ms: 30, jitter_ms: 20, per_row_us: 0 });
    let context = start(SimulatorConfig { faults: vec![latency], ..small(tenants) });
    context.write(&context.run_file().of(&DATASETS));
    context
}

#[test]
fn commit_of_two_runs_at_once_one_wins_each_and_nothing_is_there_twice() {
    let context = slow(6);
    let begin = || context.command(&["run", "--json"]).spawn().expect("the program under test");
    let outputs = [begin(), begin()].map(Output::of);
    let summaries = outputs.each_ref().map(|output| Summary::parse(&output.stdout));
    let mut met = 0;
    for (output, summary) in outputs.iter().zip(&summaries) {
        summary.check_honest();
        let lost: Vec<_> =
            summary.receipts.iter().filter(|receipt| receipt.verdict == "unavailable").collect();
        for receipt in &lost {
            let error = receipt.error.as_deref().unwrap_or_default();
            assert!(error.contains("another run committed it first") && !receipt.committed, "{receipt:?}");
        }
        let expected = match (lost.is_empty(), summary.receipts.iter().any(|receipt| receipt.committed)) {
            (true, _) => 0,
            (false, true) => 7,
            (false, false) => 4,
        };
        assert_eq!(output.code, Some(expected), "{}", output.stderr);
        met += lost.len();
    }
    assert!(met > 0, "the two runs never met");
    let warned =
        outputs.iter().filter(|output| output.stderr.contains("another run is at work in this lake"));
    assert_eq!(warned.count(), 1, "the second of them says so");
    context.check_whole(&DATASETS);
    let report = verified(&context);
    assert_eq!((&report["runs"], &report["unsealed"]), (&2.into(), &Value::Array(Vec::new())));
    let committed = summaries.iter().flat_map(|it| &it.receipts).filter(|receipt| receipt.committed);
    assert_eq!(
        committed.map(|receipt| receipt.rows_written).sum::<u64>(),
        report["rows"].as_u64().expect("rows")
    );
}

#[test]
fn commit_of_a_killed_run_is_adopted_by_the_next() {
    let context = slow(40);
    let mut running = context.command(&["run"]).spawn().expect("the program under test");
    let commits =
        || context.lake().files().iter().filter(|path| path.starts_with("_tenantry/commits/")).count();
    while commits() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.kill().expect("a child of this process");
    assert_eq!(Output::of(running).code, None, "a run that had ended was not killed");
    let report = verified(&context);
    assert!(report["unsealed"].as_array().is_some_and(|paths| !paths.is_empty()), "{report}");
    let told = context.run(&["verify"]).stdout;
    assert!(told.contains("that no run record covers yet"), "{told}");

    context.platform().set_faults(Vec::new()).expect("no faults are no nonsense");
    assert_eq!(context.run(&["run"]).code, Some(0));
    let report = verified(&context);
    assert_eq!(report["unsealed"], Value::Array(Vec::new()));
    let record = fs_err::read_to_string(context.lake().root().join("_tenantry/runs/0000000001.json"));
    assert!(record.expect("a run record").contains("\"adopted_from\":\""));
}

#[test]
fn evidence_the_newest_run_that_is_taken_away_is_missed() {
    let context = pulled(2);
    assert_eq!(context.run(&["run"]).code, Some(0));
    let told = context.run(&["verify"]).stdout;
    let root = told.lines().find_map(|line| line.strip_prefix("root: ")).expect("a root").to_owned();
    assert_eq!(context.run(&["verify", "--root", &root.to_uppercase()]).code, Some(0));
    let output = context.run(&["verify", "--root", &"0".repeat(64)]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(output.stdout.contains("no run record has the root 000"), "{}", output.stdout);
    let output = context.run(&["verify", "--root", "head"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("64 hexadecimal digits"), "{}", output.stderr);

    fs_err::remove_file(context.lake().root().join("_tenantry/runs/0000000002.json")).expect("a run record");
    let output = context.run(&["verify"]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(output.stdout.contains("_tenantry/runs/0000000002.json: the head says"), "{}", output.stdout);
}

#[test]
fn evidence_the_newest_commit_that_is_taken_away_is_missed_with_its_tenant() {
    let context = pulled(2);
    let tenant = &context.tenants()[1];
    let record = format!("_tenantry/commits/{}/vm_assets/0000000001.json", tenant.id);
    fs_err::remove_file(context.lake().root().join(&record)).expect("a commit record");
    let output = context.run(&["verify"]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    let line = format!("{record}: tenant {}: run record 1 covers this commit", tenant.id);
    assert!(output.stdout.contains(&line), "{}", output.stdout);
}

#[test]
fn evidence_runs_are_signed_with_the_operators_key_and_checked_with_the_auditors() {
    let context = pulled(1);
    let (private, public, other) = ("signing.pem", "public.pem", "other.pem");
    for (name, text) in [(private, PRIVATE), (public, PUBLIC), (other, OTHER)] {
        context.put(name, text);
    }
    let mut file = context.run_file().of(&DATASETS);
    file.rest = format!("signing_key = {{ file = \"{private}\" }}");
    context.write(&file);
    assert_eq!(context.run(&["run"]).code, Some(0));
    let output = context.run(&["verify", "--public-key", public]);
    assert_eq!(output.code, Some(0), "{}", output.stdout);
    assert!(output.stdout.contains("signed with the key "), "{}", output.stdout);
    assert!(output.stdout.contains("1 run record not signed, of the time before"), "{}", output.stdout);
    assert_eq!(context.run(&["verify", "--public-key", other, "--public-key", public]).code, Some(0));
    let output = context.run(&["verify", "--public-key", other]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(output.stdout.contains("_tenantry/runs/0000000002.json: the signature"), "{}", output.stdout);
    for wrong in [private, "nowhere.pem"] {
        let output = context.run(&["verify", "--public-key", wrong]);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert!(
            output.stderr.contains("read the public key") && output.stderr.contains(wrong),
            "{}",
            output.stderr
        );
    }
    let secret = PRIVATE.lines().nth(1).expect("a key");
    for path in context.lake().files() {
        let text = fs_err::read(context.lake().root().join(path)).expect("a file of the lake");
        assert!(!String::from_utf8_lossy(&text).contains(secret));
    }
}

#[test]
fn evidence_a_signing_key_that_is_none_is_found_out_before_anything_is_asked() {
    let context = start(small(1));
    context.put("public.pem", PUBLIC);
    for wrong in ["public.pem", "nowhere.pem"] {
        let mut file = context.run_file().of(&DATASETS);
        file.rest = format!("signing_key = {{ file = \"{wrong}\" }}");
        context.write(&file);
        context.platform().clear_journal();
        let output = context.run(&["run"]);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert!(
            output.stderr.contains("read the signing key") && output.stderr.contains(wrong),
            "{}",
            output.stderr
        );
        assert_eq!(context.platform().journal().total.requests, 0);
        assert!(!context.lake().root().exists(), "nothing was written");
    }
}

#[test]
fn what_a_killed_run_left_is_listed_and_removed_and_nothing_else() {
    let context = pulled(1);
    let own = context.lake().root().join("_tenantry");
    let clean = context.lake().files();
    let stray =
        context.lake().data_files().swap_remove(0).with_file_name(format!("{}-7.parquet", "ab".repeat(16)));
    fs_err::write(&stray, "stray").expect("a file of this test");
    fs_err::create_dir_all(own.join("tmp/dead")).expect("a folder of this test");
    fs_err::write(own.join("tmp/dead/half.parquet"), "half").expect("a file of this test");
    fs_err::write(context.lake().root().join("notes.txt"), "mine").expect("a file of this test");

    let output = context.run(&["verify", "--gc"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    for part in
        ["-7.parquet: no commit names it", "run dead: it died", "notes.txt: not of this program's making"]
    {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    assert!(output.stderr.contains("nothing was removed"), "{}", output.stderr);
    assert!(stray.exists());

    let output = context.run(&["verify", "--gc", "--yes", "--json"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(json(&output)["removed"], true);
    fs_err::remove_file(context.lake().root().join("notes.txt")).expect("it was left alone");
    assert_eq!(context.lake().files(), clean);
    context.check_verified();
    assert_eq!(context.run(&["verify", "--yes"]).code, Some(2), "--yes says nothing without --gc");

    // A file may seem to be nobody's because the record that names it is gone.
    let record = clean.iter().find(|path| path.starts_with("_tenantry/commits/")).expect("a commit record");
    fs_err::remove_file(context.lake().root().join(record)).expect("a commit record");
    let files = context.lake().data_files();
    let output = context.run(&["verify", "--gc", "--yes"]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(output.stderr.contains("nothing may be removed"), "{}", output.stderr);
    assert_eq!(context.lake().data_files(), files);
}

/// The month that a test runs in, as the lake saw it.
fn this_month(context: &Context) -> String {
    context.last_run().started_at.format("%Y-%m").to_string()
}

#[test]
fn evidence_a_report_says_what_is_covered_and_what_to_check_it_by() {
    let context = pulled(3);
    let month = this_month(&context);
    let lake = context.lake().root().join("reports").display().to_string();
    let refused = context.run(&["report", "--month", &month, "--into", &lake]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("the folder lies in the lake"), "{}", refused.stderr);
    let output = context.run(&["report", "--month", &month, "--into", "reports/of"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let paths: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(
        paths,
        [format!("reports/of/tenantry-{month}.html"), format!("reports/of/tenantry-{month}.json")]
    );
    let [page, report] =
        [0, 1].map(|at| fs_err::read_to_string(context.folder().join(paths[at])).expect("a report"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let root = verified(&context)["newest_run"]["root"].as_str().expect("a root").to_owned();
    assert_eq!(report["runs"][0]["root"], root.as_str());
    assert!(page.contains(&root) && !page.contains("<script") && !page.contains("src="), "{page}");
    let tenants = report["tenants"].as_array().expect("tenants");
    assert_eq!(tenants.len(), 3);
    for tenant in tenants {
        let datasets = tenant["datasets"].as_array().expect("datasets");
        assert_eq!(datasets.len(), DATASETS.len(), "{tenant}");
        assert!(page.contains(tenant["organization_id"].as_str().expect("an id")));
        for dataset in datasets {
            let commit = &dataset["commits"][0];
            let record = context.lake().root().join(commit["path"].as_str().expect("a path"));
            let record = fs_err::read_to_string(record).expect("a commit record");
            assert!(record.contains(commit["sha256"].as_str().expect("a hash")), "{commit}");
            assert_eq!(commit["run_record"], 1);
            let reading = if dataset["dataset"] == "alerts" { "windows" } else { "snapshots" };
            assert_eq!(dataset["reading"], reading, "{dataset}");
        }
    }
    assert_eq!(json(&context.run(&["report", "--month", &month, "--json"]))["runs"], report["runs"]);
}

#[test]
fn evidence_a_report_names_the_gap_and_the_runs_reason() {
    let context = start(SimulatorConfig { quirks: Quirks { unlicensed: 1, ..small(2).quirks }, ..small(2) });
    context.write(&context.run_file().of(&[Dataset::Users, Dataset::VmAssets]));
    assert_eq!(context.run(&["run"]).code, Some(7));
    let report = json(&context.run(&["report", "--month", &this_month(&context), "--json"]));
    let datasets =
        report["tenants"].as_array().expect("tenants").iter().flat_map(|it| it["datasets"].as_array());
    let refused: Vec<&Value> = datasets.flatten().filter(|it| it["reading"] == "unknown").collect();
    assert_eq!(refused.len(), 1, "{report}");
    let reason = &refused[0]["gaps"][0]["reasons"][0];
    assert_eq!(reason["verdict"], "forbidden", "{}", refused[0]);
    assert!(reason["error"].as_str().is_some_and(|error| !error.is_empty()), "{reason}");
}

#[test]
fn evidence_a_report_of_another_month_says_that_nothing_was_read_or_is_refused() {
    let context = pulled(1);
    let output = context.run(&["report", "--month", "2001-02"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("nothing was read in 2001-02"), "{}", output.stderr);
    let page = fs_err::read_to_string(context.folder().join("tenantry-2001-02.html")).expect("a report");
    assert!(page.contains("Nothing was read in this month"));
    for (month, part) in [("9999-01", "has not begun"), ("2026", "is no month"), ("2026-13", "is no month")] {
        let output = context.run(&["report", "--month", month]);
        assert_eq!(output.code, Some(2), "{month}");
        assert!(output.stderr.contains(part), "{month}: {}", output.stderr);
    }
    context.put("file", "");
    let output = context.run(&["report", "--month", "2001-02", "--into", "file/below"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("write the report"), "{}", output.stderr);
}

#[test]
fn evidence_a_report_of_damaged_records_says_so() {
    let context = pulled(1);
    fs_err::remove_file(context.lake().root().join("_tenantry/head.json")).expect("the head");
    let output = context.run(&["report", "--month", &this_month(&context), "--json"]);
    assert_eq!(output.code, Some(6), "{}", output.stderr);
    assert_eq!(json(&output)["findings"].as_array().map(Vec::len), Some(1));
    assert!(output.stderr.contains("the records are not as they were written"), "{}", output.stderr);
}

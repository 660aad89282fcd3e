//! Records that were set aside, and replayed by a version of the program that they fit: once, and where they belong.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use simulator::{Dataset, SimulatorConfig};
use tests::{Context, END_AT, Output};

use crate::{small, start};

/// The version after a fix: every name of a user is taken as it is.
const FIXED: &str = "users.name=json";

fn first_day() -> DateTime<Utc> {
    "2026-11-20T03:00:00Z".parse().expect("an instant")
}

/// A platform some of whose rows do not fit, whose datasets were pulled on the first day; it is the second now.
fn pulled(tenants: usize, datasets: &[Dataset]) -> Context {
    let now = Some(first_day());
    let mut context = start(SimulatorConfig { now, reject_rate: 0.3, ..small(tenants) });
    context.write(&context.run_file().of(datasets));
    context.set_clock(first_day());
    let (output, _) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.set_clock(first_day() + TimeDelta::days(1));
    context
}

/// Returns the keys that a tenant's dataset must have once everything fits.
fn all_keys(context: &Context, dataset: Dataset, tenant: &str) -> Vec<String> {
    let truth = context.platform().truth_keys(dataset, tenant).expect("a tenant");
    let mut keys = [truth.keys, truth.rejects].concat();
    keys.sort_unstable();
    keys
}

/// Checks that a dataset has every row of every tenant once, and each under its own tenant and region.
fn check_all(context: &Context, dataset: Dataset) {
    let mut found = context.lake().keys(dataset.name());
    for tenant in context.tenants() {
        let keys = found.remove(&tenant.id).unwrap_or_default();
        assert_eq!(keys, all_keys(context, dataset, &tenant.id), "{dataset:?} of {}", tenant.name);
    }
    assert!(found.is_empty(), "{found:?}");
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns how many records wait, by what `rejects list` says of each dataset.
fn waiting(context: &Context, dataset: Dataset) -> u64 {
    let output = context.run(&["rejects", "list", "--json", "--dataset", dataset.name()]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let lines = json(&output);
    let lines = lines.as_array().expect("a list");
    assert!(lines.iter().all(|line| line["dataset"] == dataset.name()), "{lines:?}");
    lines.iter().filter_map(|line| line["records"].as_u64()).sum()
}

/// Checks that the lake is as its records say, and that a run record covers every commit.
fn check_sealed(context: &Context) {
    let output = context.run(&["verify", "--json"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert_eq!(json(&output)["unsealed"], Value::Array(Vec::new()));
    assert!(context.lake().leftovers().is_empty());
}

#[test]
fn isolation_what_fits_after_a_fix_arrives_once_under_its_own_tenant_region_and_day() {
    let mut context = pulled(3, &[Dataset::Users]);
    let rejects: usize =
        context.tenants().iter().map(|it| all_keys(&context, Dataset::Users, &it.id).len()).sum::<usize>()
            - context.lake().rows("users");
    assert!(rejects > 10, "{rejects} are too few to tell anything");
    assert_eq!(waiting(&context, Dataset::Users), rejects as u64);
    let list = context.run(&["rejects", "list"]);
    for part in
        ["name", "text was expected, and an object came", "2026-11-20 03:00:00Z", r#"{"rrn":"rrn:uba:"#]
    {
        assert!(list.stdout.contains(part), "{part}: {}", list.stdout);
    }
    let (before, status) = (context.lake().data_files(), context.run(&["status"]).stdout);
    let last_run = context.run(&["status"]).stderr;

    // The version that set them aside still does.
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(5), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("name: text was expected"), "{}", output.stdout);
    assert_eq!(context.lake().data_files(), before);

    context.set_kinds(FIXED);
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains(&format!("{rejects} records replayed, 0 held already, 0 waiting on")));
    check_all(&context, Dataset::Users);
    let after = context.lake().data_files();
    let written: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(written.len(), 3, "one file a tenant, and no reject is left over: {written:?}");
    assert!(written.iter().all(|path| path.to_string_lossy().contains("/date=2026-11-20/")), "{written:?}");
    let origins: BTreeSet<_> = context
        .lake()
        .rows_of("users", &["organization_id", "pulled_at", "run_id", "organization_name"])
        .into_iter()
        .collect();
    assert_eq!(origins.len(), 3, "a row has the time and the run of its reading: {origins:?}");
    assert_eq!(
        context.lake().column("_rejects", "raw").len(),
        rejects,
        "what was set aside stays in the tree"
    );

    let told = context.run(&["status"]);
    let last_run =
        last_run.strip_suffix(&format!("{rejects} records set aside: `tenantry rejects list` says why\n"));
    assert_eq!((told.stdout, Some(told.stderr.as_str())), (status, last_run), "nothing waits any more");
    check_sealed(&context);
    let again = context.run(&["rejects", "replay"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""));
    assert!(again.stderr.contains("no record waits for a replay"), "{}", again.stderr);
    assert_eq!(waiting(&context, Dataset::Users), 0);
    assert_eq!(context.lake().data_files(), after);

    let mut bytes = fs_err::read(written[0]).expect("a file of the replay");
    bytes[20] ^= 1;
    fs_err::write(written[0], bytes).expect("the test's own file");
    let output = context.run(&["verify"]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(
        output.stdout.contains("the file's bytes are not those that were committed"),
        "{}",
        output.stdout
    );
}

#[test]
fn commit_replays_at_the_same_time_double_nothing() {
    let mut context = pulled(6, &[Dataset::Users, Dataset::Accounts]);
    context.set_kinds("users.name=json accounts.name=json");
    let all: Vec<_> = (0..4)
        .map(|_| context.command(&["rejects", "replay"]).spawn().expect("the program under test"))
        .collect();
    for running in all {
        let output = Output::of(running);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    }
    for dataset in [Dataset::Users, Dataset::Accounts] {
        check_all(&context, dataset);
        assert_eq!(waiting(&context, dataset), 0);
    }
    check_sealed(&context);
}

#[test]
fn commit_a_replay_that_is_killed_is_taken_up_again_once() {
    let mut context = pulled(40, &[Dataset::Users, Dataset::Accounts]);
    context.set_kinds("users.name=json accounts.name=json");
    let second_commits =
        || context.lake().files().iter().filter(|path| path.ends_with("/0000000002.json")).count();
    let mut in_the_middle = 0;
    for round in 1..=12 {
        let mut running = context.command(&["rejects", "replay"]).spawn().expect("the program under test");
        while second_commits() < 5 * round && running.try_wait().expect("a child of this process").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.kill().ok();
        let was_killed = Output::of(running).code.is_none();
        in_the_middle += u32::from(was_killed && second_commits() < 80);
    }
    assert!(in_the_middle > 0, "every replay had ended before it was killed");
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    for dataset in [Dataset::Users, Dataset::Accounts] {
        check_all(&context, dataset);
        assert_eq!(waiting(&context, dataset), 0);
    }
    // Where nothing was left to commit, what the killed ones committed is sealed by the next run that ends.
    assert_eq!(context.run(&["run"]).code, Some(0));
    check_sealed(&context);
}

#[test]
fn commit_a_replay_that_ends_at_any_step_is_taken_up_again_once() {
    let mut context = pulled(1, &[Dataset::Users]);
    context.set_kinds(FIXED);
    let (lake, kept) = (context.lake().root().to_owned(), context.folder().join("kept"));
    fs_err::rename(&lake, &kept).expect("the test's own folder");
    let mut steps = 0;
    loop {
        let copied = std::process::Command::new("cp").arg("-r").arg(&kept).arg(&lake).status();
        assert!(copied.expect("`cp` is there").success());
        let running = context.command(&["rejects", "replay"]).env(END_AT, steps.to_string()).spawn();
        let ended = Output::of(running.expect("the program under test"));
        let again = context.run(&["rejects", "replay"]);
        assert_eq!(again.code, Some(0), "{steps}: {}{}", again.stdout, again.stderr);
        check_all(&context, Dataset::Users);
        context.check_verified();
        if ended.code.is_some() {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            break;
        }
        fs_err::remove_dir_all(&lake).expect("the test's own folder");
        steps += 1;
    }
    assert!(steps > 30, "a replay has more steps than {steps}");
}

#[test]
fn an_interrupted_replay_keeps_what_it_committed_and_seals_it() {
    let mut context = pulled(40, &[Dataset::Users, Dataset::Accounts]);
    context.set_kinds("users.name=json accounts.name=json");
    let running = context.command(&["rejects", "replay"]).spawn().expect("the program under test");
    while context.lake().files().iter().filter(|path| path.ends_with("/0000000002.json")).count() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status();
    assert!(sent.expect("`kill` is there").success());
    let output = Output::of(running);
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    assert!(output.stderr.contains("the replay was interrupted between two commits"), "{}", output.stderr);
    let left = waiting(&context, Dataset::Users) + waiting(&context, Dataset::Accounts);
    assert!(left > 0, "it had ended before it was interrupted");
    check_sealed(&context);
    assert_eq!(context.run(&["rejects", "replay"]).code, Some(0));
    check_all(&context, Dataset::Users);
    check_all(&context, Dataset::Accounts);
    check_sealed(&context);
}

#[test]
fn what_still_does_not_fit_waits_on() {
    let mut context = pulled(2, &[Dataset::Users, Dataset::VmScans]);
    let (users, scans) = (waiting(&context, Dataset::Users), waiting(&context, Dataset::VmScans));
    assert!(users > 0 && scans > 0);
    context.set_kinds(FIXED);
    let output = context.run(&["rejects", "replay", "--json"]);
    assert_eq!(output.code, Some(7), "{}{}", output.stdout, output.stderr);
    let lines = json(&output);
    let sum = |dataset: &str, of: &dyn Fn(&Value) -> u64| -> u64 {
        lines.as_array().expect("a list").iter().filter(|line| line["dataset"] == dataset).map(of).sum()
    };
    assert_eq!(sum("users", &|line| line["written"].as_u64().unwrap_or_default()), users);
    assert_eq!(sum("vm_scans", &|line| line["waiting"][0]["records"].as_u64().unwrap_or_default()), scans);
    check_all(&context, Dataset::Users);
    let files = context.lake().data_files();
    assert_eq!(context.run(&["rejects", "replay"]).code, Some(5));
    assert_eq!(context.lake().data_files(), files, "what still does not fit is not written again");
    assert_eq!((waiting(&context, Dataset::Users), waiting(&context, Dataset::VmScans)), (0, scans));
    check_sealed(&context);
}

#[test]
fn findings_find_their_assets_again_and_assets_bring_their_findings() {
    let now = Some(first_day());
    let mut context = start(SimulatorConfig { now, reject_rate: 0.3, ..small(2) });
    let both = [Dataset::VmAssets, Dataset::VmFindings];
    context.write(&context.run_file().of(&both));
    context.set_clock(first_day());
    context.set_kinds("vm_findings.status=int");
    let (output, _) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "no finding fits: {}", output.stderr);
    let findings = waiting(&context, Dataset::VmFindings);
    let assets = waiting(&context, Dataset::VmAssets);
    assert!(findings > 20 && assets > 4, "{findings} {assets}");
    assert_eq!(context.lake().rows("vm_findings"), 0);

    // One of the two is meant: the other's records are carried over as they are.
    context.set_kinds("");
    let output = context.run(&["rejects", "replay", "--dataset", "vm_findings"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    context.check_whole(&both);
    assert_eq!((waiting(&context, Dataset::VmFindings), waiting(&context, Dataset::VmAssets)), (0, assets));
    check_sealed(&context);

    // What was left over is replayed from the replay's own commit.
    context.set_kinds("vm_assets.risk_score=json");
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    both.iter().for_each(|dataset| check_all(&context, *dataset));
    assert_eq!((waiting(&context, Dataset::VmFindings), waiting(&context, Dataset::VmAssets)), (0, 0));
    let origins: BTreeSet<_> = both
        .iter()
        .flat_map(|dataset| {
            context.lake().rows_of(dataset.name(), &["pulled_at", "run_id", "organization_id"])
        })
        .collect();
    assert_eq!(origins.len(), 2, "one reading a tenant: {origins:?}");
    check_sealed(&context);
}

/// Lets the platform and the program come to an instant.
fn at(context: &mut Context, now: DateTime<Utc>) {
    context.platform().set_now(now.timestamp_millis()).expect("time goes on");
    context.set_clock(now);
}

#[test]
fn what_was_read_again_meanwhile_is_held_already() {
    let mut context = pulled(2, &[Dataset::Users]);
    let rejects = waiting(&context, Dataset::Users);
    context.set_kinds(FIXED);
    context.set_clock(first_day());
    let (output, _) = context.pull(&["--full-refresh"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let files = context.lake().data_files();
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let told = format!("0 records replayed, {rejects} held already, 0 waiting on");
    assert!(output.stderr.contains(&told), "{}", output.stderr);
    assert_eq!(context.lake().data_files(), files);
    assert_eq!(waiting(&context, Dataset::Users), 0);
    check_sealed(&context);
}

#[test]
fn last_good_a_replay_is_no_reading() {
    let mut context = pulled(2, &[Dataset::Users]);
    let rejects = waiting(&context, Dataset::Users);
    let first = context.lake().rows("users") as u64;
    context.set_kinds(FIXED);
    at(&mut context, first_day() + TimeDelta::days(1));
    let (output, second) = context.pull(&[]);
    assert_eq!((output.code, second.receipts.len()), (Some(0), 2), "{}", output.stderr);
    assert!(second.receipts.iter().all(|receipt| receipt.rows_written > 0), "{second:?}");
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    // The snapshot of the day is known although the newest commit is filed under the day before.
    let (output, again) = context.pull(&["--full-refresh"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for receipt in &again.receipts {
        assert_eq!((receipt.rows_written, receipt.unchanged), (0, receipt.read), "{receipt:?}");
    }
    let (_, due) = context.pull(&[]);
    assert!(due.receipts.iter().all(|receipt| receipt.verdict == "up_to_date"), "{due:?}");
    let second: u64 = second.receipts.iter().map(|receipt| receipt.rows_written).sum();
    let all = first + rejects + second;
    assert_eq!(context.lake().rows("users") as u64, all);
    let report = json(&context.run(&["report", "--month", "2026-11", "--json"]));
    let users = || {
        let tenants = report["tenants"].as_array().expect("a list").iter();
        let datasets = tenants.flat_map(|tenant| tenant["datasets"].as_array().expect("a list"));
        datasets.filter(|dataset| dataset["dataset"] == "users")
    };
    assert_eq!(users().filter_map(|it| it["rows"].as_u64()).sum::<u64>(), all);
    for dataset in users() {
        assert_eq!(dataset["rejects"], 0, "{dataset}");
        assert_eq!(dataset["snapshots"].as_array().map(Vec::len), Some(2), "{dataset}");
    }
    check_sealed(&context);
}

#[test]
fn only_what_is_chosen_is_listed_and_replayed() {
    let mut context = pulled(2, &[Dataset::Users]);
    context.set_kinds(FIXED);
    let (first, second) = (context.tenants()[0].clone(), context.tenants()[1].clone());
    assert_eq!(context.run(&["rejects", "replay", "--tenant", &first.name]).code, Some(0));
    let list = context.run(&["rejects", "list"]);
    assert!(list.stdout.contains(&second.id) && !list.stdout.contains(&first.id), "{}", list.stdout);
    let none = context.run(&["rejects", "list", "--dataset", "alerts"]);
    assert!(
        none.code == Some(0) && none.stdout.is_empty() && none.stderr.contains("none of these records waits"),
        "{none:?}"
    );
}

#[test]
fn a_choice_that_nobody_knows_is_an_error_with_a_suggestion() {
    let context = pulled(1, &[Dataset::Users]);
    for (flags, message) in [
        (["--dataset", "usres"], "there is no dataset `usres`"),
        (["--tenant", "Nobody*"], "the lake knows no tenant `Nobody*`"),
    ] {
        for what in ["list", "replay"] {
            let output = context.run(&["rejects", what, flags[0], flags[1]]);
            assert_eq!(output.code, Some(2), "{}", output.stderr);
            assert!(output.stderr.contains(message) && output.stderr.contains("hint:"), "{}", output.stderr);
        }
    }
    assert!(context.run(&["rejects", "list", "--dataset", "usres"]).stderr.contains("did you mean `users`?"));
}

#[test]
fn a_lake_that_is_not_there_or_cannot_be_written_says_so() {
    let mut context = start(small(1));
    for what in ["list", "replay"] {
        let output = context.run(&["rejects", what]);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert!(output.stderr.contains("it is not there"), "{}", output.stderr);
    }
    drop(context);
    context = pulled(1, &[Dataset::Users]);
    context.set_kinds(FIXED);
    let pending = context.lake().root().join("_tenantry/pending");
    fs_err::remove_dir_all(&pending).expect("no run lives");
    fs_err::write(&pending, "in the way").expect("the test's own folder");
    let output = context.run(&["rejects", "replay"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("prepare the lake"), "{}", output.stderr);
}

#[test]
fn rejects_that_were_edited_are_not_replayed_and_keep_no_others_back() {
    let mut context = pulled(2, &[Dataset::Users]);
    context.set_kinds(FIXED);
    let files = context.lake().data_files();
    let [edited, sound] = [0, 1].map(|at| context.tenants()[at].id.clone());
    let is_edited = |path: &&PathBuf| {
        let path = path.to_string_lossy();
        path.contains("/_rejects/") && path.contains(&edited)
    };
    let rejects = files.iter().find(is_edited).expect("rejects");
    let whole = fs_err::read(rejects).expect("a file");
    let mut bytes = whole.clone();
    bytes[20] ^= 1;
    fs_err::write(rejects, bytes).expect("the test's own file");
    let check = |what: &str, tenant: &str, code, said: &str| {
        let output = context.run(&["rejects", what, "--tenant", tenant]);
        assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
        assert!(
            output.stderr.contains(said) && output.stderr.contains("put the file back"),
            "{}",
            output.stderr
        );
    };
    let no_longer = "its bytes are not those that were committed";
    check("list", &edited, 6, no_longer);
    check("replay", &edited, 6, no_longer);
    assert_eq!(context.lake().data_files(), files);
    fs_err::remove_file(rejects).expect("the test's own file");
    check("list", &edited, 6, "it is not there");

    let list = context.run(&["rejects", "list"]);
    assert_eq!(list.code, Some(6), "{}", list.stderr);
    assert!(list.stdout.contains(&sound) && !list.stdout.contains(&edited), "{}", list.stdout);
    check("replay", "*", 7, "it is not there");
    fs_err::write(rejects, whole).expect("the test's own file");
    let none = context.run(&["rejects", "list", "--tenant", &sound]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{}", none.stderr);
    assert!(none.stderr.contains("none of these records waits"), "{}", none.stderr);
    assert_eq!(context.run(&["rejects", "replay"]).code, Some(0));
    assert_eq!(context.run(&["rejects", "list"]).stdout, "");
    context.check_verified();
}

#[test]
fn a_commit_record_that_is_missing_stops_the_replay_of_its_own_pull_and_no_other() {
    let mut context = pulled(2, &[Dataset::Users, Dataset::Accounts]);
    context.set_kinds(FIXED);
    at(&mut context, first_day() + TimeDelta::days(1));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let [damaged, sound] = [0, 1].map(|at| context.tenants()[at].id.clone());
    let record = context.lake().root().join(format!("_tenantry/commits/{damaged}/users/0000000001.json"));
    let whole = fs_err::read(&record).expect("the first commit");
    fs_err::remove_file(&record).expect("the first commit");
    let missing = "a commit record is missing";
    let check = |arguments: &[&str], code| {
        let output = context.run(&[&["rejects"], arguments].concat());
        assert_eq!(output.code, Some(code), "{arguments:?}: {}{}", output.stdout, output.stderr);
        assert_eq!(output.stderr.contains(missing), code != 0, "{arguments:?}: {}", output.stderr);
        output.stdout
    };
    let list = check(&["list", "--dataset", "users"], 6);
    assert!(list.contains(&sound) && !list.contains(&damaged), "{list}");
    check(&["replay", "--tenant", &damaged, "--dataset", "users"], 6);
    assert!(!check(&["list", "--tenant", &damaged, "--dataset", "accounts"], 0).is_empty());
    check(&["list", "--tenant", &sound], 0);
    check(&["replay", "--dataset", "users"], 7);
    assert_eq!(check(&["list", "--tenant", &sound, "--dataset", "users"], 0), "");

    fs_err::write(&record, whole).expect("the test's own file");
    check(&["replay", "--dataset", "users"], 0);
    assert_eq!(check(&["list", "--dataset", "users"], 0), "");
    context.check_verified();
}

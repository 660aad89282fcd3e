//! Keys over time: exchanged while a run is at work, bad ones, dying ones, and the commands that make and replace them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use simulator::{Dataset, Fault, FaultRule, KeyConfig, KeyInfo, KeyKind, SimulatorConfig, Step};
use tests::{Context, DATASETS, Output, RunFile};

use crate::{small, start};

/// Starts a platform that makes keys of every type, and a run file whose key is in the file `key`.
fn with_file(config: SimulatorConfig) -> Context {
    let context = start(SimulatorConfig { mint_multi_tenant_keys: true, ..config });
    context.put("key", context.key());
    context.write(&run_file(&context));
    context
}

fn run_file(context: &Context) -> RunFile {
    RunFile { key: "{ file = \"key\" }".to_owned(), ..context.run_file() }
}

fn slow(ms: u64) -> FaultRule {
    FaultRule::always(Fault::Latency { ms, jitter_ms: 0, per_row_us: 0 })
}

/// A fault of one part of a path.
fn at(path: &str, status: u16) -> FaultRule {
    FaultRule { path: Some(path.to_owned()), ..FaultRule::always(Fault::Status { status }) }
}

/// Puts a text where the key is, as a whole.
fn exchange(context: &Context, text: &str) {
    let new = context.put("key.new", text);
    fs_err::rename(new, context.folder().join("key")).expect("a folder of the test's own");
}

fn add_key(context: &Context, name: &str) -> KeyInfo {
    let key = KeyConfig::new(name, KeyKind::MultiTenantAdmin);
    context.platform().add_key(&key).expect("a key")
}

/// Returns how many rows a key was given.
fn rows(context: &Context, name: &str) -> u64 {
    context.platform().journal().by_key.get(name).map_or(0, |tally| tally.rows)
}

fn requests(context: &Context, family: &str) -> u64 {
    context.platform().journal().by_family.get(family).map_or(0, |tally| tally.requests)
}

fn refusals(context: &Context) -> u64 {
    context.platform().journal().by_status.get(&401).copied().unwrap_or(0)
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("a child of this process").is_none()
}

/// Waits for something to happen while a run is at work.
fn wait(running: &mut Child, until: impl Fn() -> bool) {
    while !until() {
        assert!(is_running(running), "the run ended before it happened");
        sleep(Duration::from_millis(5));
    }
}

/// Starts a run and waits until it reads.
fn at_work(context: &Context) -> Child {
    let mut running = context.command(&["run"]).spawn().expect("the program under test");
    wait(&mut running, || requests(context, "idr") > 4);
    running
}

/// Checks that a run lost nothing and that no page failed for good.
fn check_unharmed(context: &Context, output: &Output) {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let summary = context.last_run();
    assert!(summary.not_good().is_empty(), "{:?}", summary.not_good());
    summary.check_honest();
    context.check_whole(&DATASETS);
    check_silent(context, &[output]);
}

/// Checks that no key of the platform stands in what was said.
fn check_silent(context: &Context, outputs: &[&Output]) {
    for KeyInfo { secret, name, .. } in context.platform().keys() {
        for output in outputs {
            assert!(
                !output.stdout.contains(&secret) && !output.stderr.contains(&secret),
                "{name}: {output:?}"
            );
        }
    }
}

#[test]
fn rotation_each_new_key_is_taken_up_without_one_refusal() {
    let context = with_file(SimulatorConfig { faults: vec![slow(200)], ..small(8) });
    let mut file = run_file(&context);
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    let mut running = at_work(&context);
    let mut taken_up = 0;
    for number in 0.. {
        let name = format!("key-{number}");
        exchange(&context, &add_key(&context, &name).secret);
        while is_running(&mut running) && rows(&context, &name) == 0 {
            sleep(Duration::from_millis(5));
        }
        taken_up += u32::from(rows(&context, &name) > 0);
        if !is_running(&mut running) {
            break;
        }
    }
    let output = Output::of(running);
    check_unharmed(&context, &output);
    assert!(taken_up >= 3, "{taken_up} keys were taken up");
    assert_eq!(refusals(&context), 0, "the old key was never refused, because it was left in time");
    assert_eq!(output.stderr.matches("WARN").count(), 0, "{}", output.stderr);
}

/// Exchanges the key again and again, and refuses the old one at once.
fn check_torn_away(key: &str) {
    let context = with_file(SimulatorConfig { faults: vec![slow(150)], ..small(8) });
    let rest = "[run]\nconcurrency = 3\n".to_owned();
    context.write(&RunFile { key: key.to_owned(), rest, ..run_file(&context) });
    let mut running = at_work(&context);
    let mut last = "main".to_owned();
    for number in 0.. {
        let name = format!("key-{number}");
        exchange(&context, &add_key(&context, &name).secret);
        context.platform().revoke_key(&last);
        last = name;
        sleep(Duration::from_millis(300));
        if !is_running(&mut running) {
            assert!(number >= 2, "the key was exchanged while the run was at work");
            break;
        }
    }
    check_unharmed(&context, &Output::of(running));
    assert!(refusals(&context) > 0, "requests were refused, and sent again with the next key");
}

#[test]
fn rotation_a_key_torn_away_costs_no_page() {
    check_torn_away("{ file = \"key\" }");
    check_torn_away("{ command = [\"cat\", \"key\"] }");
}

#[test]
fn rotation_a_bad_new_key_is_told_once_and_the_old_one_is_used() {
    for (text, told) in
        [("hunter2-mistyped", "the platform does not accept the newer key"), ("", ""), ("two words", "")]
    {
        let context = with_file(SimulatorConfig { faults: vec![slow(150)], ..small(6) });
        let mut file = run_file(&context);
        file.rest = "[run]\nconcurrency = 2\n".to_owned();
        context.write(&file);
        let running = at_work(&context);
        exchange(&context, text);
        let output = Output::of(running);
        check_unharmed(&context, &output);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
        if told.is_empty() {
            assert_eq!(refusals(&context), 0, "{text:?} is sent to nobody");
        } else {
            assert_eq!(output.stderr.matches(told).count(), 1, "{}", output.stderr);
            assert!(refusals(&context) > 0, "it was tried");
        }
    }
}

#[test]
fn rotation_two_dead_keys_end_the_run_at_once_with_what_is_whole_committed() {
    let context = with_file(SimulatorConfig { faults: vec![slow(60)], ..small(10) });
    let mut file = run_file(&context);
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    let mut running = at_work(&context);
    // The first commits are awaited: that they stay is what this is about.
    wait(&mut running, || !context.lake().data_files().is_empty());
    exchange(&context, "hunter2-mistyped");
    context.platform().revoke_key("main");
    let output = Output::of(running);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(
        output.stderr.contains("refused the key (401)") && output.stderr.contains("hint:"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    let summary = context.last_run();
    assert_eq!(summary.outcome, "failed");
    summary.check_honest();
    let committed = summary.receipts.iter().filter(|receipt| receipt.committed).count();
    assert!(committed > 0 && committed < summary.receipts.len(), "{committed}");
    let written: u64 = summary.receipts.iter().map(|receipt| receipt.rows_written).sum();
    let there: usize = DATASETS.iter().map(|dataset| context.lake().rows(dataset.name())).sum();
    assert_eq!(there as u64, written);
    context.check_verified();
    assert!(refusals(&context) <= 20, "nobody goes on asking with a dead key: {}", refusals(&context));

    exchange(&context, &add_key(&context, "fresh").secret);
    check_unharmed(&context, &context.run(&["run"]));
}

#[test]
fn verdict_a_user_who_loses_a_right_in_the_middle_keeps_what_was_whole() {
    let mut key = KeyConfig::new("analyst", KeyKind::MultiTenantUser);
    key.reach = Some((0..4).map(|number| format!("#{number}")).collect());
    let config = SimulatorConfig { keys: vec![key], user_keys_may_list: true, ..small(4) };
    let context = start(config);
    let of = |datasets: &[Dataset]| {
        let mut file = context.run_file().of(datasets);
        file.rest = "[run]\nconcurrency = 2\n".to_owned();
        file
    };
    context.write(&of(&[Dataset::Users]));
    assert_eq!(context.run(&["run"]).code, Some(0));

    // Before every request of the tenants takes long, one of them is lost.
    context.platform().set_faults(vec![slow(100)]).expect("a fault");
    context.write(&of(&[Dataset::Users, Dataset::Alerts, Dataset::VmAssets, Dataset::VmScans]));
    let mut running = context.command(&["run"]).spawn().expect("the program under test");
    wait(&mut running, || requests(&context, "alerts") > 0);
    let kept: Vec<String> = ["#0", "#2", "#3"].map(str::to_owned).to_vec();
    context.platform().set_reach("analyst", &kept).expect("a user's key");
    let output = Output::of(running);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let (summary, lost) = (context.last_run(), &context.tenants()[1]);
    summary.check_honest();
    assert_eq!(summary.not_good(), [lost.id.as_str()].into());
    let refused: Vec<_> = summary.of(&lost.id).into_iter().filter(|receipt| !receipt.is_good()).collect();
    assert!(
        !refused.is_empty() && refused.iter().all(|receipt| receipt.verdict == "forbidden"),
        "{refused:?}"
    );
    assert!(output.stderr.contains(&format!("{} ({})", lost.name, lost.id)), "{}", output.stderr);
    assert!(output.stderr.contains("forbidden"), "{}", output.stderr);
    // What was whole before is there still, and of what was refused there is nothing.
    assert_eq!(context.differences(context.tenants(), &[Dataset::Users]), Vec::<String>::new());
    let others = context.tenants().iter().filter(|tenant| tenant.id != lost.id);
    let datasets = [Dataset::Users, Dataset::Alerts, Dataset::VmAssets, Dataset::VmScans];
    for difference in context.differences(others, &datasets) {
        assert!(difference.contains(&lost.id), "{difference}");
    }
    for receipt in refused {
        let keys = context.lake().keys(&receipt.dataset);
        assert!(!keys.contains_key(&lost.id), "{receipt:?}");
    }
    context.check_verified();

    // With the right comes the rest.
    let all: Vec<String> = (0..4).map(|number| format!("#{number}")).collect();
    context.platform().set_reach("analyst", &all).expect("a user's key");
    assert_eq!(context.run(&["run"]).code, Some(0));
    context.check_whole(&datasets);
}

#[test]
fn last_good_a_user_who_loses_a_right_between_two_pages_leaves_the_snapshot_before() {
    let mut key = KeyConfig::new("analyst", KeyKind::MultiTenantUser);
    key.reach = Some(["#0", "#1"].map(str::to_owned).to_vec());
    let began: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().expect("an instant");
    let mut context = start(SimulatorConfig {
        now: Some(began),
        keys: vec![key],
        user_keys_may_list: true,
        // Two pages.
        row_counts: [(Dataset::Users, 1500)].into(),
        ..SimulatorConfig::plain(2)
    });
    context.write(&context.run_file().of(&[Dataset::Users]));
    context.set_clock(began);
    assert_eq!(context.run(&["run"]).code, Some(0));
    let (files, snapshot) = (context.lake().data_files(), context.lake().keys("users"));

    let next = began + TimeDelta::days(1);
    context.platform().set_now(next.timestamp_millis()).expect("time goes on");
    context.set_clock(next);
    let [kept, lost] = context.tenants() else { panic!("two tenants") };
    let (tenant, dataset) = (Some(lost.id.clone()), Some(Dataset::Users));
    let hold = Fault::Hold { at: Step::Received };
    let first_page = FaultRule { tenant, dataset, times: Some(1), ..FaultRule::always(hold) };
    context.platform().set_faults(vec![first_page]).expect("the fault can happen");
    let mut running = context.command(&["run"]).spawn().expect("the program under test");
    wait(&mut running, || context.platform().journal().held == 1);
    context.platform().set_reach("analyst", std::slice::from_ref(&kept.id)).expect("a user's key");
    context.platform().set_faults(Vec::new()).expect("none is fine");
    let output = Output::of(running);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let summary = context.last_run();
    summary.check_honest();
    let refused = summary.receipt(&lost.id, "users");
    assert!(refused.verdict == "forbidden" && !refused.committed && refused.read > 0, "{refused:?}");
    assert!(summary.receipt(&kept.id, "users").committed);

    // Who reads the lake sees the day before, whole; and who asks is told both.
    assert_eq!(context.lake().keys("users")[&lost.id], snapshot[&lost.id]);
    let now = context.lake().data_files();
    assert!(files.iter().all(|file| now.contains(file)), "a committed file is gone");
    let status = context.run(&["status", "--json"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    let lines: Value = serde_json::from_str(&status.stdout).expect("JSON");
    let of_lost = |line: &&Value| line["last"]["organization_id"] == lost.id.as_str();
    let line = lines.as_array().expect("a list").iter().find(of_lost).expect("a line");
    assert_eq!(line["last"]["verdict"], "forbidden", "{line}");
    assert_eq!(line["committed"]["verdict"], "complete", "{line}");
    assert_eq!(line["committed"]["rows_written"], snapshot[&lost.id].len(), "{line}");
    context.check_verified();
}

fn id_of(context: &Context, name: &str) -> String {
    context.platform().key(name).expect("a key of that name").id
}

fn living(context: &Context) -> BTreeSet<String> {
    context.platform().keys().into_iter().filter(|key| !key.revoked).map(|key| key.name).collect()
}

fn held(context: &Context) -> String {
    fs_err::read_to_string(context.folder().join("key")).expect("the key's file")
}

fn check_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs_err::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
}

/// Runs `keys` with a code that is expected, and checks that no key is shown.
fn keys(context: &Context, args: &[&str], code: i32) -> Output {
    keys_with(context, args, None, code)
}

/// The same, with a key on standard input.
fn keys_with(context: &Context, args: &[&str], key: Option<&str>, code: i32) -> Output {
    let mut command = context.command(&[&["keys"], args].concat());
    if key.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().expect("the program under test");
    if let (Some(mut stdin), Some(key)) = (child.stdin.take(), key) {
        stdin.write_all(key.as_bytes()).expect("it reads");
    }
    let output = Output::of(child);
    assert_eq!(output.code, Some(code), "{args:?}: {}{}", output.stdout, output.stderr);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    check_silent(context, &[&output]);
    if let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) {
        assert!(!output.stdout.contains(key) && !output.stderr.contains(key), "{output:?}");
    }
    output
}

/// Checks that a failed command left what the next run needs, and nothing else in the folder.
fn check_stands(context: &Context, output: &Output, said: &[&str]) {
    for part in said {
        assert!(output.stderr.contains(part), "{part:?} is missing in {}", output.stderr);
    }
    let next = context.run(&["tenants"]);
    assert_eq!(next.code, Some(0), "a key that works is where the next run finds it: {}", next.stderr);
    for entry in fs_err::read_dir(context.folder()).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        assert!(!name.to_string_lossy().starts_with(".tenantry-"), "{name:?} was left behind");
    }
}

#[test]
fn keys_are_listed_made_and_deleted() {
    let context = with_file(small(2));
    let output = keys(&context, &["list"], 0);
    assert!(output.stdout.contains(&id_of(&context, "main")) && output.stdout.contains("multi-tenant"));
    assert!(output.stderr.contains("is not known"), "{}", output.stderr);
    let listed: Value = serde_json::from_str(&keys(&context, &["list", "--json"], 0).stdout).expect("JSON");
    assert_eq!(listed["keys"][0]["id"], id_of(&context, "main"));
    assert_eq!(listed["in_use"], Value::Null);

    let made = keys(&context, &["create", "--name", "etl", "--type", "user", "--into", "etl"], 0);
    let etl = context.platform().key("etl").expect("it was made");
    assert!(made.stdout.contains(&etl.id), "{}", made.stdout);
    let path = context.folder().join("etl");
    assert_eq!(fs_err::read_to_string(&path).expect("it was stored"), etl.secret);
    check_mode(&path);
    let again = keys(&context, &["create", "--name", "etl", "--type", "user", "--into", "etl"], 2);
    assert!(again.stderr.contains("there already"), "{}", again.stderr);
    keys(&context, &["create", "--name", "etl", "--type", "user"], 2);
    keys(&context, &["create", "--name", "x", "--type", "user", "--organization", "x", "--into", "x"], 2);

    // One of a managed organization is at home there, and only there.
    let tenant = context.tenants()[1].id.as_str();
    let of = ["--organization", tenant];
    keys(
        &context,
        &[&["create", "--name", "own", "--type", "organization", "--into", "own"][..], &of].concat(),
        0,
    );
    let own = id_of(&context, "own");
    assert!(keys(&context, &[&["list"][..], &of].concat(), 0).stdout.contains(&own));
    assert!(!keys(&context, &["list"], 0).stdout.contains(&own));
    keys(&context, &["list", "--organization", "nobody"], 2);
    keys(&context, &["delete", &own, "--yes"], 2);
    keys(&context, &[&["delete", &own, "--yes"][..], &of].concat(), 0);

    let asked = keys(&context, &["delete", &etl.id], 2);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    assert!(living(&context).contains("etl"), "nobody was asked, so nothing was deleted");
    keys(&context, &["delete", &etl.id, "--yes"], 0);
    assert!(!living(&context).contains("etl"));
    keys(&context, &["delete", &etl.id, "--yes"], 2);
    // A key in the place of an id is not repeated.
    keys(&context, &["delete", context.key(), "--yes"], 2);

    // The key in use cannot be known here; that it was it is said at once.
    let last = keys(&context, &["delete", &id_of(&context, "main"), "--yes"], 3);
    assert!(last.stderr.contains("every run will be refused"), "{}", last.stderr);
    let refused = keys(&context, &["list"], 3);
    assert!(refused.stderr.contains("refused the key"), "{}", refused.stderr);
}

#[test]
fn a_key_that_cannot_be_stored_is_deleted_again() {
    let context = with_file(small(1));
    let create = ["create", "--name", "etl", "--type", "user"];
    let into = |more: &[&str], code| keys(&context, &[&create[..], more].concat(), code);
    let made = |name: &str| context.platform().keys().into_iter().filter(|key| key.name == name).count();
    into(&["--into", "absent/etl"], 6);
    into(&["--into", "."], 2);
    assert_eq!(made("etl"), 0, "what can be known beforehand is no reason to make one");
    let output = into(&["--into-command", "sh", "-c", "cat >&2; exit 3"], 6);
    assert!(
        output.stderr.contains("exit status: 3") && output.stderr.contains("deleted again"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("****"),
        "what the command said is told without the key: {}",
        output.stderr
    );
    into(&["--into-command", "/absent/program"], 6);
    assert_eq!((made("etl"), living(&context).contains("etl")), (2, false));
    // Where even that fails, its id is told.
    context.platform().set_faults(vec![at("api-keys/", 503)]).expect("a fault");
    let output = into(&["--into-command", "false"], 6);
    assert!(output.stderr.contains("could not be deleted again"), "{}", output.stderr);
    assert!(output.stderr.contains(&format!("tenantry keys delete {}", id_of(&context, "etl"))));
    // And where it is not known whether there is one, that is said.
    let lost = FaultRule { nth: vec![1], ..FaultRule::always(Fault::TruncatedJson) };
    context
        .platform()
        .set_faults(vec![FaultRule { path: Some("api-keys".to_owned()), ..lost }])
        .expect("a fault");
    let output = into(&["--into", "etl"], 5);
    assert!(output.stderr.contains("whose secret nobody knows"), "{}", output.stderr);
    assert!(!context.folder().join("etl").exists());
}

#[test]
fn a_type_that_the_platform_does_not_make_is_told_with_the_way_on() {
    let context = start(small(1));
    context.put("key", context.key());
    context.write(&run_file(&context));
    let old = id_of(&context, "main");
    let create = ["create", "--name", "x", "--type", "multi-tenant", "--into", "x"];
    for args in [&create[..], &["rotate", "--old", &old]] {
        let output = keys(&context, args, 3);
        check_stands(&context, &output, &["does not make a key of the type multi-tenant", "rotate --stdin"]);
    }
    assert_eq!(held(&context), context.key());
    assert!(!context.folder().join("x").exists());

    // The way on: a key that was made in the console.
    let fresh = add_key(&context, "fresh");
    let output = keys_with(&context, &["rotate", "--stdin"], Some(&format!("{}\n", fresh.secret)), 0);
    assert!(output.stdout.contains("the old key still works"), "{}", output.stdout);
    assert_eq!(held(&context), fresh.secret);
    check_mode(&context.folder().join("key"));
    assert!(living(&context).contains("main"), "only the one that is named is deleted");
    let third = add_key(&context, "third");
    let old = id_of(&context, "fresh");
    keys_with(&context, &["rotate", "--stdin", "--old", &old, "--grace", "0s"], Some(&third.secret), 0);
    assert_eq!((held(&context), living(&context).contains("fresh")), (third.secret, false));
    check_stands(&context, &output, &[]);
}

#[test]
fn rotate_puts_a_new_key_in_place_and_deletes_the_old_one_while_a_run_is_at_work() {
    let context = with_file(SimulatorConfig { faults: vec![slow(100)], ..small(6) });
    let mut file = run_file(&context);
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    let running = at_work(&context);
    let unknown = keys(&context, &["rotate"], 2);
    assert!(unknown.stderr.contains("--old ID"), "{}", unknown.stderr);
    let old = id_of(&context, "main");
    let output = keys(&context, &["rotate", "--old", &old, "--grace", "1500ms"], 0);
    assert!(output.stdout.contains(&old) && output.stdout.contains("is deleted"), "{}", output.stdout);
    assert!(!living(&context).contains("main"));
    check_unharmed(&context, &Output::of(running));
    let new =
        context.platform().keys().into_iter().find(|key| key.secret == held(&context)).expect("it is known");
    assert!(new.name.starts_with("main-20"), "{}", new.name);
    check_mode(&context.folder().join("key"));
    assert!(rows(&context, &new.name) > 0, "the run took it up");

    // From now on the key in use is remembered: it is shown, guarded, and found by itself.
    let listed: Value = serde_json::from_str(&keys(&context, &["list", "--json"], 0).stdout).expect("JSON");
    assert_eq!(listed["in_use"], new.id);
    let guarded = keys(&context, &["delete", &new.id, "--yes"], 2);
    assert!(guarded.stderr.contains("it is the key in use"), "{}", guarded.stderr);
    let told = keys(&context, &["rotate", "--grace", "0s", "--json"], 0);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(
        (&told["old"]["id"], &told["old_deleted"]),
        (&Value::from(new.id.as_str()), &Value::from(true))
    );
    assert!(!living(&context).contains(&new.name));
    // A key that was put there by other means is not taken for the remembered one.
    exchange(&context, &add_key(&context, "by hand").secret);
    let listed: Value = serde_json::from_str(&keys(&context, &["list", "--json"], 0).stdout).expect("JSON");
    assert_eq!(listed["in_use"], Value::Null);
}

#[test]
fn rotate_leaves_a_working_key_whatever_fails() {
    let context = with_file(small(2));
    let old = id_of(&context, "main");
    let before = living(&context);
    let with = |rules: Vec<FaultRule>, args: &[&str], code: i32| {
        context.platform().set_faults(rules).expect("a fault");
        let output = keys(&context, &[&["rotate", "--grace", "0s", "--old", &old][..], args].concat(), code);
        context.platform().set_faults(Vec::new()).expect("none");
        output
    };
    let untouched = |output: &Output, said: &[&str]| {
        check_stands(&context, output, said);
        assert_eq!(held(&context), context.key(), "{}", output.stderr);
        assert_eq!(living(&context), before, "{}", output.stderr);
    };
    let made_again = &["was deleted again", "the run file's key is the one that it was"];

    // The list, the making: nothing is there yet.
    let nth = |nth: u64, status| FaultRule { nth: vec![nth], ..at("api-keys", status) };
    let short = RunFile { connector: "retry_for = \"500ms\"\n".to_owned(), ..run_file(&context) };
    context.write(&short);
    untouched(&with(vec![at("api-keys", 503)], &[], 4), &["list the keys"]);
    untouched(&with(vec![nth(2, 503)], &[], 4), &["make a key", "there may be a new key"]);
    untouched(&with(vec![nth(2, 403)], &[], 3), &["make a key", "rotate --stdin"]);
    // The storing.
    untouched(&with(vec![], &["--into", "absent/key"], 6), &["absent/key"]);
    untouched(&with(vec![], &["--into-command", "false"], 6), made_again);
    // The trying: a key that is not accepted, one that cannot be tried, one that reaches less.
    untouched(&with(vec![at("/validate", 401)], &[], 3), &[&["try the new key"], &made_again[..]].concat());
    untouched(&with(vec![at("/validate", 503)], &[], 4), made_again);
    untouched(&with(vec![], &["--type", "user"], 3), &[&["try the new key"], &made_again[..]].concat());
    untouched(&with(vec![at("managed-organizations", 503)], &[], 4), made_again);

    // A key that cannot be taken back is named.
    let output = with(vec![at("/validate", 401), at("api-keys/", 503)], &[], 3);
    check_stands(&context, &output, &["could not be deleted again", "tenantry keys delete"]);
    assert_eq!(held(&context), context.key());
    assert_eq!(living(&context).len(), before.len() + 1);

    // The deleting of the old one: the new one is in place, and both work.
    let output = with(vec![at("api-keys/", 503)], &[], 4);
    check_stands(&context, &output, &["the old one still works", &format!("tenantry keys delete {old}")]);
    assert_ne!(held(&context), context.key());
    assert!(living(&context).contains("main"));
}

#[test]
fn rotate_takes_over_only_a_key_that_works() {
    let context = with_file(small(3));
    let given = |key: &str, args: &[&str], code| {
        keys_with(&context, &[&["rotate", "--stdin"][..], args].concat(), Some(key), code)
    };
    let mut narrow = KeyConfig::new("narrow", KeyKind::MultiTenantUser);
    narrow.reach = Some(vec!["#0".to_owned()]);
    let narrow = context.platform().add_key(&narrow).expect("a key");
    for (key, code, said) in [
        ("00000000-1111-2222-3333-444444444444", 3, "does not accept it (401)"),
        ("", 2, "it is empty"),
        ("two words", 2, "holds a space"),
        (context.key(), 2, "is in use already"),
        (&narrow.secret, 3, "try the new key"),
    ] {
        let output = given(key, &[], code);
        check_stands(&context, &output, &[said]);
        assert_eq!(held(&context), context.key());
    }
    let fresh = add_key(&context, "fresh");
    let output = given(&fresh.secret, &["--old", "nobody"], 2);
    check_stands(&context, &output, &["none has that id"]);
    assert_eq!(held(&context), context.key());

    // Who names the new key as the old one gets the old one back.
    let output = given(&fresh.secret, &["--old", &fresh.id, "--grace", "0s"], 3);
    check_stands(&context, &output, &["is the new one, not the old one", "is again in key"]);
    assert_eq!(held(&context), context.key());

    // A dead key, or none, is replaced all the same.
    context.platform().revoke_key("main");
    let next = add_key(&context, "next");
    given(&next.secret, &[], 0);
    fs_err::remove_file(context.folder().join("key")).expect("it was there");
    let last = add_key(&context, "last");
    let output = given(&last.secret, &[], 0);
    check_stands(&context, &output, &[]);
    assert_eq!(held(&context), last.secret);
}

#[test]
fn rotate_deletes_no_key_that_the_next_run_would_find() {
    // The key is in the environment, which no program can change for the next one.
    let context = start(SimulatorConfig { mint_multi_tenant_keys: true, ..small(1) });
    let old = id_of(&context, "main");
    let nowhere = keys(&context, &["rotate", "--old", &old], 2);
    assert!(nowhere.stderr.contains("--into"), "{}", nowhere.stderr);
    let output = keys(&context, &["rotate", "--old", &old, "--grace", "0s", "--into", "elsewhere"], 0);
    assert!(output.stdout.contains("the old key was not deleted"), "{}", output.stdout);
    assert!(living(&context).contains("main"));
    check_mode(&context.folder().join("elsewhere"));

    // A command that stores it where the other command finds it leads to the new one.
    context.put("store", context.key());
    context.write(&RunFile { key: "{ command = [\"cat\", \"store\"] }".to_owned(), ..context.run_file() });
    let into = ["--into-command", "sh", "-c", "cat > store"];
    keys(&context, &[&["rotate", "--old", &old, "--grace", "0s"][..], &into].concat(), 0);
    assert!(!living(&context).contains("main"));
    check_stands(&context, &output, &[]);
    // One that fails after it did its work is found out.
    let stored = fs_err::read_to_string(context.folder().join("store")).expect("it was stored");
    let now = context.platform().keys().into_iter().find(|key| key.secret == stored).expect("it is known");
    let into = ["--into-command", "sh", "-c", "cat > store; exit 1"];
    let output = keys(&context, &[&["rotate", "--old", &now.id, "--grace", "0s"][..], &into].concat(), 6);
    check_stands(&context, &output, &["leads to the new key all the same"]);
    assert!(living(&context).contains(&now.name));
}

#[cfg(target_os = "linux")]
#[test]
fn secrecy_no_key_is_shown_by_the_commands_that_handle_them() {
    let context = with_file(small(2));
    let loud = ["--log-level", "trace", "--log-format", "json"];
    // The command looks at its own line and at the one of the program that started it, while it holds the key.
    let look = "cat > seen-key; cat /proc/$$/cmdline /proc/$PPID/cmdline > seen-lines";
    let old = id_of(&context, "main");
    let all: [&[&str]; 5] = [
        &["list"],
        &["create", "--name", "etl", "--type", "user", "--into", "etl"],
        &["rotate", "--old", &old, "--grace", "0s"],
        &["rotate", "--name", "next", "--type", "multi-tenant", "--into-command", "sh", "-c", look],
        &["create", "--name", "more", "--type", "user", "--into-command", "sh", "-c", look],
    ];
    for args in all {
        let args = [&["keys"], &loud[..], args].concat();
        let output = context.run(&args);
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        check_silent(&context, &[&output]);
        assert!(output.stderr.lines().count() > 10, "the log is not silent: {}", output.stderr);
    }
    let secrets: Vec<String> = context.platform().keys().into_iter().map(|key| key.secret).collect();
    let seen = fs_err::read(context.folder().join("seen-lines")).expect("it was written");
    assert!(String::from_utf8_lossy(&seen).contains("seen-lines"), "the command saw itself");
    let named = ["key", "etl", "seen-key"];
    for entry in fs_err::read_dir(context.folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() || named.contains(&name.as_str()) {
            continue;
        }
        let text = String::from_utf8_lossy(&fs_err::read(&path).expect("a file")).into_owned();
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{name} holds a key");
    }
}

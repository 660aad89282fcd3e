//! What a run costs after the first: only what changed is read, and nothing is written twice.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use simulator::{Dataset, Evolution, Fault, FaultRule, SimulatorConfig};
use tests::{Context, Output, Summary};

use crate::{small, start};

const TIMED: [Dataset; 2] = [Dataset::Investigations, Dataset::Alerts];

#[expect(clippy::disallowed_methods, reason = "the platform's present, from which the tests count")]
fn present() -> DateTime<Utc> {
    Utc::now()
}

/// Runs, expects all to be well, and returns what it came to.
fn night(context: &Context, more: &[&str]) -> Summary {
    let (output, summary) = context.pull(more);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    summary.check_honest();
    summary
}

fn requests(context: &Context) -> u64 {
    context.platform().journal().total.requests
}

/// Returns how far a tenant's pull is durable, as the program says.
fn through(context: &Context, pull: &str) -> Option<DateTime<Utc>> {
    let output = context.run(&["checkpoint", "show", "--dataset", pull, "--json"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let places: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let through = places[0]["checkpoint"]["through"].as_str()?;
    Some(through.parse().expect("an instant"))
}

/// A platform on which nothing changes by itself but that new cases and alerts come in.
fn quiet(present: DateTime<Utc>, config: SimulatorConfig) -> SimulatorConfig {
    let evolution = Evolution {
        late_rows: 0.0,
        changed_rows: 0.0,
        belated_changes: 0.0,
        churn: 0.0,
        new_definitions: 0.0,
        scan_days: 1_000_000,
        modified_days: 1_000_000,
        ..Evolution::default()
    };
    SimulatorConfig { now: Some(present), evolution, ..config }
}

/// Lets the platform and the program come to an instant.
fn at(context: &mut Context, now: DateTime<Utc>) {
    context.platform().set_now(now.timestamp_millis()).expect("time goes on");
    context.set_clock(now);
}

fn days(number: i64) -> TimeDelta {
    TimeDelta::days(number)
}

#[test]
fn completeness_what_is_read_again_and_did_not_change_is_not_written_again() {
    let present = present();
    let mut context = start(SimulatorConfig { now: Some(present), reject_rate: 0.1, ..small(2) });
    let file = context.run_file().of(&[]);
    context.write(&file.and(TIMED[0], "overlap = \"10d\"").and(TIMED[1], "overlap = \"10d\""));
    let first = night(&context, &[]);
    let files = context.lake().data_files().len();
    for seconds in [1, 2] {
        context.set_clock(present + TimeDelta::seconds(seconds));
        let again = night(&context, &[]);
        for receipt in &again.receipts {
            assert!(receipt.unchanged > 0, "the last ten days were read again: {receipt:?}");
            assert_eq!((receipt.rows_written, receipt.rejects), (0, 0), "{receipt:?}");
            assert!(receipt.unchanged < first.receipt(&receipt.organization_id, &receipt.dataset).read);
        }
    }
    assert_eq!(context.lake().data_files().len(), files);
    context.check_whole(&TIMED);
    context.check_verified();
}

#[test]
fn budget_the_second_night_costs_what_changed() {
    let present = present();
    let counts = [(TIMED[0], 6000), (TIMED[1], 6000), (Dataset::Users, 3000), (Dataset::VmAssets, 3000)];
    let config = SimulatorConfig {
        row_counts: counts.into_iter().collect(),
        catalogue: 8000,
        findings_per_asset: 1,
        history_days: 85,
        ..SimulatorConfig::plain(2)
    };
    let mut context = start(quiet(present, config));
    let by_change = "full_every = \"30d\"\noverlap = \"1h\"";
    let mut file = context.run_file().of(&[]).and(Dataset::Users, "every = \"7d\"");
    file = file.and(TIMED[0], "").and(TIMED[1], "");
    for dataset in [Dataset::VmAssets, Dataset::VmFindings, Dataset::VmVulnerabilities] {
        file = file.and(dataset, by_change);
    }
    context.write(&file);
    night(&context, &[]);
    let first = requests(&context);
    context.platform().clear_journal();
    at(&mut context, present + days(1));
    night(&context, &[]);
    let asked = requests(&context);
    assert!(asked * 20 <= first, "{asked} of {first} requests in the second night");
    context.check_verified();
}

/// Waits until so many requests were sent; what never comes to that fails its test.
fn wait_for_requests(context: &Context, least: u64) {
    let began = Instant::now();
    while requests(context) < least {
        assert!(began.elapsed() < Duration::from_secs(60), "only {} requests were sent", requests(context));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A platform with a backlog of some ten commits, and a run file that reads it.
fn backlog() -> Context {
    let latency = FaultRule::always(Fault::Latency { ms: 4, jitter_ms: 2, per_row_us: 0 });
    let config = SimulatorConfig {
        row_counts: [(TIMED[0], 90_000)].into_iter().collect(),
        history_days: 80,
        faults: vec![latency],
        ..SimulatorConfig::plain(1)
    };
    let context = start(config);
    context.write(&context.run_file().of(&TIMED[..1]));
    context
}

#[test]
fn commit_an_interrupted_backlog_goes_on_where_it_stood() {
    let context = backlog();
    let running = context.command(&["run"]).spawn().expect("the program under test");
    wait_for_requests(&context, 300);
    let sent = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status();
    assert!(sent.expect("`kill` is there").success());
    let output = Output::of(running);
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    let first = context.last_run();
    first.check_honest();
    let receipt = &first.receipts[0];
    assert!(receipt.committed && receipt.verdict == "partial" && receipt.rows_written > 0, "{receipt:?}");
    assert_eq!(context.lake().rows("investigations") as u64, receipt.rows_written);
    let spent = requests(&context);
    night(&context, &[]);
    context.check_whole(&TIMED[..1]);
    context.check_verified();
    let pages = 900;
    let again = requests(&context) - spent;
    assert!(again < pages + pages / 10 - receipt.rows_written / 100, "{again} after {spent}");
}

#[test]
fn commit_a_killed_backlog_loses_no_more_than_one_window() {
    let context = backlog();
    for rounds in 1..=4 {
        let mut running = context.command(&["run"]).spawn().expect("the program under test");
        wait_for_requests(&context, requests(&context) + 180);
        running.kill().expect("a child of this process");
        assert_eq!(Output::of(running).code, None, "{rounds}");
    }
    assert!(through(&context, "investigations").is_some(), "a window was committed");
    night(&context, &[]);
    context.check_whole(&TIMED[..1]);
    context.check_verified();
    assert!(context.lake().leftovers().is_empty());
}

#[test]
fn completeness_a_span_is_read_again_without_moving_the_checkpoint() {
    let present = present();
    let context = start(SimulatorConfig { now: Some(present), ..small(1) });
    context
        .write(&context.run_file().of(&[]).and(TIMED[0], "since = \"10d\"").and(TIMED[1], "since = \"10d\""));
    night(&context, &[]);
    let stood = through(&context, "alerts");
    let (since, until) = (present - days(20), present - days(5));
    let span = [&since.to_rfc3339()[..10], &until.to_rfc3339()[..10]];
    let backfill = ["--dataset", "alerts", "--since", span[0], "--until", span[1]];
    let summary = night(&context, &backfill);
    assert_eq!(summary.receipts.len(), 1);
    assert!(summary.receipts[0].rows_written > 0 && summary.receipts[0].unchanged > 0, "{summary:?}");
    assert_eq!(through(&context, "alerts"), stood);
    let again = night(&context, &backfill);
    assert_eq!(again.receipts[0].rows_written, 0, "{again:?}");
    let keys = &context.lake().keys("alerts")[&context.tenants()[0].id];
    let midnight =
        |day: &str| day.parse::<chrono::NaiveDate>().expect("a day").and_time(chrono::NaiveTime::MIN);
    let since_ms = midnight(span[0]).and_utc().timestamp_millis();
    let truth = context.platform().truth_within(Some(since_ms), None);
    assert_eq!(keys.len() as u64, truth.tenants[0].datasets[&TIMED[1]].rows);
    context.check_verified();
}

#[test]
fn what_no_schema_knows_is_told_long_after_it_went_away() {
    let present = present();
    let mut context = start(quiet(present, small(2)));
    context.write(&context.run_file().of(&[Dataset::Users, TIMED[0]]));
    let nothing = context.run(&["datasets", "--drift"]);
    assert!(nothing.code == Some(0) && nothing.stderr.contains("nothing was read yet"), "{}", nothing.stderr);
    let member = |value: Value| {
        let fault = Fault::Member { name: "nickname".to_owned(), value };
        vec![FaultRule {
            tenant: Some("#1".to_owned()),
            dataset: Some(Dataset::Users),
            ..FaultRule::always(fault)
        }]
    };
    for number in 0..7 {
        let faults = match number {
            2 | 3 => member("Al".into()),
            4 => member(4.into()),
            _ => Vec::new(),
        };
        context.platform().set_faults(faults).expect("the fault can happen");
        at(&mut context, present + days(number));
        night(&context, &[]);
    }
    let output = context.run(&["datasets", "--drift", "--json"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let lines: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let line = &lines[0];
    assert_eq!(lines.as_array().map(Vec::len), Some(1), "{lines}");
    let tenant = &context.tenants()[1].id;
    for (member, expected) in [
        ("dataset", Value::from("users")),
        ("field", "nickname".into()),
        ("kept_in", "extra".into()),
        ("types", vec!["number", "string"].into()),
        ("tenants", vec![tenant.as_str()].into()),
        ("readings", 3.into()),
        ("records", (3 * context.truth(Dataset::Users, tenant).len()).into()),
    ] {
        assert_eq!(line[member], expected, "{member}: {line}");
    }
    for (member, night) in [("first_seen", 2), ("last_seen", 4)] {
        let seen: DateTime<Utc> = line[member].as_str().and_then(|at| at.parse().ok()).expect("an instant");
        let late = seen - (present + days(night));
        assert!(late >= TimeDelta::zero() && late < days(1), "{member}: {line}");
    }
    let table = context.run(&["datasets", "users", "--drift"]);
    assert!(table.stdout.contains("nickname") && table.stderr.contains("14 readings, from"), "{table:?}");
    let other = context.run(&["datasets", "investigations", "--drift"]);
    assert!(other.stdout.is_empty() && other.stderr.contains("nothing was seen"), "{other:?}");

    let damaged = context.lake().files().into_iter().find(|path| path.contains("/users/")).expect("a record");
    fs_err::write(context.lake().root().join(damaged), "no record").expect("a file of this test");
    let output = context.run(&["datasets", "--drift"]);
    assert_eq!(output.code, Some(6), "{}", output.stderr);
    assert!(output.stderr.contains("read a commit record") && output.stderr.contains("tenantry verify"));
}

#[test]
fn flags_about_time_that_make_no_sense_are_refused() {
    let context = start(small(1));
    context.write(&context.run_file().of(&[TIMED[0], Dataset::Users]));
    for (flags, said) in [
        (&["--since", "5d", "--until", "9d"][..], "is not after"),
        (&["--since", "2999-01-01"], "lies in the future"),
        (&["--until", "2999-01-01"], "lies in the future"),
        (&["--since", "5d", "--dataset", "users"], "none of them is read by time"),
        (&["--since", "5d", "--full-refresh"], "cannot be used with"),
        (&["--since", "soon"], "neither a span"),
    ] {
        let output = context.run(&[&["run"], flags].concat());
        assert_eq!(output.code, Some(2), "{flags:?}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{flags:?}: {}", output.stderr);
    }
    assert_eq!(requests(&context), 0);
}

#[test]
fn completeness_a_full_refresh_writes_nothing_twice() {
    let context = start(small(2));
    let datasets = [TIMED[0], Dataset::Users, Dataset::VmAssets, Dataset::VmFindings];
    context.write(&context.run_file().of(&datasets));
    night(&context, &[]);
    let summary = night(&context, &["--full-refresh"]);
    for receipt in &summary.receipts {
        assert_eq!(receipt.rows_written, 0, "{receipt:?}");
        assert!(receipt.unchanged > 0 && receipt.verdict == "complete", "{receipt:?}");
    }
    context.check_whole(&datasets);
    context.check_verified();
}

#[test]
fn a_checkpoint_is_shown_set_and_reset() {
    let present = present();
    let context = start(SimulatorConfig { now: Some(present), ..small(2) });
    context.write(&context.run_file().of(&[TIMED[0], Dataset::Users]));
    night(&context, &[]);
    let tenant = context.tenants()[0].id.clone();
    let refused = context.run(&["checkpoint", "reset", "--tenant", &tenant]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("nobody is there to confirm it"), "{}", refused.stderr);
    for (args, said) in [
        (&["checkpoint", "reset", "--tenant", "nobody", "--yes"][..], "the lake knows no tenant `nobody`"),
        (&["checkpoint", "set", "2999-01-01", "--yes"], "lies in the future"),
    ] {
        let output = context.run(args);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    let before = through(&context, "investigations").expect("it was read");
    let set = context.run(&["checkpoint", "set", "12d", "--dataset", "investigations", "--yes"]);
    assert_eq!(set.code, Some(0), "{}", set.stderr);
    let after = through(&context, "investigations").expect("it was set");
    assert!((before - after - days(12)).abs() < TimeDelta::minutes(1), "{before} {after}");
    let summary = night(&context, &[]);
    let receipt = summary.receipt(&tenant, "investigations");
    assert_eq!(receipt.window.expect("it is read by time").since, after - days(1));
    assert!(receipt.unchanged > 20 && receipt.rows_written == 0, "{receipt:?}");

    let reset = context.run(&["checkpoint", "reset", "--yes"]);
    assert_eq!(reset.code, Some(0), "{}", reset.stderr);
    assert_eq!(through(&context, "users"), None);
    let summary = night(&context, &[]);
    assert!(summary.receipts.iter().all(|receipt| receipt.rows_written == 0), "{summary:?}");
    context.check_whole(&[TIMED[0], Dataset::Users]);
    context.check_verified();
}

#[test]
fn completeness_what_was_remediated_in_a_night_without_a_run_is_told_by_the_next() {
    let present = present();
    let evolution = Evolution { churn: 0.0, scan_days: 1, finding_days: 2, ..Evolution::default() };
    let config = SimulatorConfig { now: Some(present), evolution, findings_per_asset: 20, ..small(2) };
    let mut context = start(config);
    let by_change = "full_every = \"60d\"\noverlap = \"1d\"";
    let file = context.run_file().of(&[]);
    context.write(&file.and(Dataset::VmAssets, by_change).and(Dataset::VmFindings, by_change));
    let mut stand: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for day in [0, 1, 3, 4, 6, 9, 10] {
        at(&mut context, present + days(day));
        night(&context, &[]);
    }
    let key = ["asset_id", "vulnerability_id", "check_id", "key", "port", "protocol"];
    let columns = [&["pulled_at", "change"][..], &key[..]].concat();
    let mut rows = context.lake().rows_of("vm_findings", &columns);
    rows.sort();
    let mut changes: BTreeMap<String, usize> = BTreeMap::new();
    for mut row in rows {
        let key = row.split_off(2);
        *changes.entry(row[1].clone()).or_default() += 1;
        stand.insert(key, row.swap_remove(1));
    }
    assert!(changes["new"] > 0 && changes["remediated"] > 0, "{changes:?}");
    let mut found: Vec<String> = stand
        .into_iter()
        .filter(|(_, change)| change != "remediated")
        .map(|(key, _)| key.join("|"))
        .collect();
    found.sort();
    let truth = context.tenants().iter().flat_map(|tenant| context.truth(Dataset::VmFindings, &tenant.id));
    let mut truth: Vec<String> = truth.collect();
    truth.sort();
    assert_eq!(found.len(), truth.len());
    assert_eq!(found, truth);
}

#[test]
fn last_good_a_file_that_is_gone_or_damaged_stops_its_own_tenant_alone() {
    let present = present();
    let mut context = start(quiet(present, small(4)));
    context.write(&context.run_file().of(&[Dataset::Investigations]));
    night(&context, &[]);
    let of = |context: &Context, nth: usize| {
        let id = context.tenants()[nth].id.clone();
        let name = format!("organization_id={id}");
        let files = context.lake().data_files();
        files.into_iter().find(|path| path.display().to_string().contains(&name)).expect("a file")
    };
    let (gone, cut) = (of(&context, 0), of(&context, 1));
    let record = context.lake().root().join(format!("_tenantry/commits/{}", context.tenants()[2].id));
    let record = record.join("investigations/0000000001.json");
    let kept = [&gone, &cut, &record].map(|path| fs_err::read(path).expect("a file"));
    fs_err::remove_file(&gone).expect("it is there");
    fs_err::write(&cut, &kept[1][..100]).expect("writable");
    fs_err::write(&record, "{}").expect("writable");
    at(&mut context, present + days(1));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("complete", 1), ("damaged", 3)].into());
    for failed in summary.receipts.iter().filter(|receipt| !receipt.is_good()) {
        assert!(failed.hint.as_deref().is_some_and(|hint| hint.contains("put the file back")), "{failed:?}");
    }

    // What one tenant's record does not say keeps nothing of the others back.
    for command in
        [&["status"][..], &["plan"], &["checkpoint", "show"], &["checkpoint", "set", "1d", "--yes"]]
    {
        let told = context.run(command);
        assert_eq!(told.code, Some(6), "{command:?}: {}", told.stderr);
        assert!(told.stderr.contains("put the file back"), "{command:?}: {}", told.stderr);
        assert!(
            command.contains(&"set") || told.stdout.contains("investigations"),
            "{command:?}: {}",
            told.stdout
        );
    }
    let (good, bad) = (&context.tenants()[3].id, &context.tenants()[2].id);
    let set = |tenant| context.run(&["checkpoint", "set", "1d", "--yes", "--tenant", tenant]).code;
    assert_eq!((set(good), set(bad)), (Some(0), Some(6)), "what was not chosen is not told");
    let status = |tenant| context.run(&["status", "--tenant", tenant]).code;
    assert_eq!((status(good), status(bad)), (Some(0), Some(6)));
    for (path, text) in [&gone, &cut, &record].into_iter().zip(kept) {
        fs_err::write(path, text).expect("writable");
    }
    context.set_clock(present + days(1) + TimeDelta::hours(1));
    night(&context, &[]);
    context.check_whole(&[Dataset::Investigations]);
    context.check_verified();
}

#[test]
fn commit_records_that_are_gone_let_nothing_be_written_twice() {
    let present = present();
    let mut context = start(quiet(present, small(4)));
    context.write(&context.run_file().of(&[Dataset::Investigations]));
    night(&context, &[]);
    at(&mut context, present + days(1));
    night(&context, &[]);
    let own = context.lake().root().join("_tenantry");
    let pull = |nth: usize| own.join("commits").join(&context.tenants()[nth].id).join("investigations");
    let (oldest, newest) = (pull(0).join("0000000001.json"), pull(2).join("0000000002.json"));
    let all = pull(1);
    let folder = context.folder().to_owned();
    let away = |path: &Path| folder.join(format!("away-{}", path.file_name().expect("a name").display()));
    let take = |path: &Path| fs_err::rename(path, away(path)).expect("it is there");
    let put_back = |path: &Path| fs_err::rename(away(path), path).expect("it was there");
    [&oldest, &newest, &all].into_iter().for_each(|path| take(path));
    at(&mut context, present + days(2));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("complete", 1), ("damaged", 3)].into());
    [&oldest, &newest, &all].into_iter().for_each(|path| put_back(path));
    night(&context, &[]);
    context.check_whole(&[Dataset::Investigations]);
    // Everything that names a file.
    let rows = context.lake().rows("investigations");
    take(&own);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(6), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("damaged", 4)].into());
    let helps = |hint: &String| hint.contains("put `_tenantry` back");
    assert!(summary.receipts.iter().all(|receipt| receipt.hint.as_ref().is_some_and(helps)));
    assert_eq!(context.lake().rows("investigations"), rows, "nothing was written a second time");
    fs_err::remove_dir_all(&own).expect("it is there");
    put_back(&own);
    context.check_verified();
}

#[test]
fn a_checkpoint_reset_by_a_clock_that_is_behind_hides_no_snapshot() {
    let present = present();
    let mut context = start(SimulatorConfig { now: Some(present), ..small(1) });
    context.write(&context.run_file().of(&[Dataset::Users]));
    night(&context, &[]);
    context.set_clock(present - days(2));
    let reset = context.run(&["checkpoint", "reset", "--yes"]);
    assert_eq!(reset.code, Some(0), "{}", reset.stderr);
    let summary = night(&context, &[]);
    assert!(summary.receipts.iter().all(|receipt| receipt.rows_written == 0), "{summary:?}");
    context.check_whole(&[Dataset::Users]);
    context.check_verified();
}

/// Runs the program on a terminal, where somebody types an answer.
fn on_a_terminal(context: &Context, args: &[&str], answer: &str) -> Output {
    let program = context.command(args);
    let words: Vec<_> = std::iter::once(program.get_program()).chain(program.get_args()).collect();
    let words: Vec<_> = words.iter().map(|word| word.to_str().expect("plain words")).collect();
    let mut terminal = std::process::Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    let stdin = std::process::Stdio::piped();
    terminal.current_dir(context.folder()).stdin(stdin).stdout(std::process::Stdio::piped());
    let mut child = terminal.spawn().expect("`script`, which every Debian has");
    let mut keyboard = child.stdin.take().expect("a pipe");
    keyboard.write_all(answer.as_bytes()).expect("the terminal is there");
    let output = Output::of(child);
    drop(keyboard);
    output
}

#[test]
fn a_checkpoint_is_moved_when_a_person_says_so() {
    let present = present();
    let context = start(SimulatorConfig { now: Some(present), ..small(1) });
    context.write(&context.run_file().of(&[Dataset::Users]));
    night(&context, &[]);
    let before = through(&context, "users");
    assert!(before.is_some());
    for answer in ["\n", "n\n", "no\n", "yes please\n"] {
        let output = on_a_terminal(&context, &["checkpoint", "reset"], answer);
        assert_eq!(output.code, Some(0), "{answer:?}: {}", output.stdout);
        assert!(output.stdout.contains("move 1 checkpoint"), "{}", output.stdout);
        assert!(output.stdout.contains("nothing was moved"), "{}", output.stdout);
        assert_eq!(through(&context, "users"), before, "{answer:?}");
    }
    let output = on_a_terminal(&context, &["checkpoint", "reset"], "y\n");
    assert_eq!(output.code, Some(0), "{}", output.stdout);
    assert_eq!(through(&context, "users"), None, "{}", output.stdout);
    context.check_verified();
}

#[test]
fn last_good_a_snapshot_that_lost_most_of_its_records_has_to_be_confirmed() {
    let present = present();
    let mut context = start(quiet(present, small(2)));
    context.write(&context.run_file().of(&[Dataset::Users]));
    night(&context, &[]);
    let files = context.lake().data_files();
    let tenant = context.tenants()[0].id.clone();
    assert_eq!(context.platform().delete_rows(Dataset::Users, &tenant, 40), Some(20));
    let tomorrow = present + days(1);
    at(&mut context, tomorrow);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    summary.check_honest();
    let receipt = summary.receipt(&tenant, "users");
    assert_eq!(receipt.verdict, "shrunk");
    assert!(
        receipt
            .error
            .as_deref()
            .is_some_and(|error| error.contains("holds 20 records of users where it held 60"))
    );
    assert!(receipt.hint.as_deref().is_some_and(|hint| hint.contains("--full-refresh")), "{receipt:?}");
    assert!(files.iter().all(|file| file.exists()), "the last good snapshot stays");
    assert_eq!(context.lake().rows("users"), 180, "the other tenant has two snapshots");
    let confirmed = night(&context, &["--full-refresh", "--tenant", &tenant]);
    assert_eq!(confirmed.receipt(&tenant, "users").rows_written, 20);
    at(&mut context, tomorrow + days(1));
    night(&context, &[]);
    context.check_verified();
}

#[test]
fn last_good_findings_that_went_with_their_assets_have_to_be_confirmed() {
    let present = present();
    let mut context = start(quiet(present, small(1)));
    context.write(&context.run_file().of(&[Dataset::VmFindings]));
    night(&context, &[]);
    let tenant = context.tenants()[0].id.clone();
    let before = context.lake().rows("vm_findings");
    let all = context.truth(Dataset::VmAssets, &tenant).len();
    let all = u32::try_from(all).expect("a few");
    assert_eq!(context.platform().delete_rows(Dataset::VmAssets, &tenant, all), Some(0));
    at(&mut context, present + days(1));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let receipt = summary.receipt(&tenant, "vm_findings");
    assert_eq!((receipt.verdict.as_str(), receipt.rows_written), ("shrunk", 0));
    let told = format!("holds 0 records of vm_findings where it held {before} before");
    assert!(receipt.error.as_deref().is_some_and(|error| error.contains(&told)), "{receipt:?}");
    night(&context, &["--full-refresh", "--dataset", "vm_findings"]);
    at(&mut context, present + days(2));
    night(&context, &[]);
}

#[test]
fn a_snapshot_that_equals_the_last_is_not_written_again_where_that_is_wanted() {
    let present = present();
    let mut context = start(quiet(present, SimulatorConfig { reject_rate: 0.1, ..small(2) }));
    let lines = "only_changes = true";
    let file = context.run_file().of(&[]).and(Dataset::Users, lines).and(Dataset::VmAssets, lines);
    context.write(&file.and(Dataset::VmFindings, lines));
    night(&context, &[]);
    let files = context.lake().data_files().len();
    at(&mut context, present + days(1));
    let summary = night(&context, &[]);
    for receipt in &summary.receipts {
        assert_eq!((receipt.rows_written, receipt.rejects), (0, 0), "{receipt:?}");
        assert_eq!(receipt.unchanged, receipt.read - receipt.duplicates, "{receipt:?}");
    }
    let tenant = context.tenants()[0].id.clone();
    assert_eq!(context.lake().data_files().len(), files);
    let _ = context.platform().append_rows(Dataset::Users, &tenant, 1);
    at(&mut context, present + days(2));
    let summary = night(&context, &[]);
    assert!(summary.receipt(&tenant, "users").rows_written > 0, "{summary:?}");
    let other = context.tenants()[1].id.clone();
    assert_eq!(summary.receipt(&other, "users").rows_written, 0);
    // What vanishes within a day stays in the day, so that the next one is written.
    let _ = context.platform().delete_rows(Dataset::Users, &tenant, 1);
    let again = night(&context, &["--full-refresh", "--dataset", "users"]);
    assert_eq!(again.receipt(&tenant, "users").rows_written, 0);
    at(&mut context, present + days(3));
    let summary = night(&context, &[]);
    assert!(summary.receipt(&tenant, "users").rows_written > 0, "{summary:?}");
    assert_eq!(summary.receipt(&other, "users").rows_written, 0);
    context.check_verified();
}

#[test]
fn completeness_a_clock_that_is_off_by_a_day_loses_nothing() {
    // Which of the two is right, nobody knows: what is read again is told from what is new.
    for (off, is_through) in [(days(1), days(0)), (-days(1), -days(1))] {
        let present = present();
        let mut context = start(SimulatorConfig { now: Some(present), ..small(1) });
        context.write(&context.run_file().of(&TIMED));
        context.set_clock(present + off);
        let output = context.run(&["run"]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("this machine's clock is"), "{}", output.stderr);
        context.check_whole(&TIMED);
        let reached = through(&context, "alerts").expect("it was read");
        let expected = present + is_through;
        assert!((reached - expected).abs() < TimeDelta::minutes(2), "{reached} is not {expected}");
        context.set_clock(present);
        assert!(night(&context, &[]).receipts.iter().all(|receipt| receipt.rows_written == 0));
        context.check_verified();
    }
}

#[test]
fn completeness_what_was_never_read_is_not_up_to_date_where_the_platforms_clock_is_far_behind() {
    let present = present();
    let mut context = start(SimulatorConfig { now: Some(present), ..small(1) });
    context.write(&context.run_file().of(&[]).and(TIMED[0], "since = \"90d\""));
    context.set_clock(present + days(100));
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(output.stderr.contains("begin at `since`: that is in the future"), "{}", output.stderr);
}

#[test]
fn completeness_a_dataset_that_was_left_out_of_a_reading_is_due_though_another_one_of_it_is_not() {
    const BOTH: [Dataset; 2] = [Dataset::VmAssets, Dataset::VmFindings];
    let present = present();
    for lines in ["every = \"1d\"", "every = \"7d\"", "full_every = \"30d\""] {
        let mut context =
            start(SimulatorConfig { now: Some(present), evolution: Evolution::default(), ..small(2) });
        let file = context.run_file().of(&[]).and(BOTH[0], lines);
        context.write(&file);
        night(&context, &[]);
        // It is added to the run file later.
        context.write(&file.and(BOTH[1], lines));
        let status = context.run(&["plan"]).stdout;
        assert!(status.contains("vm_findings"), "{status}");
        night(&context, &[]);
        context.check_whole(&BOTH);
        // Read by turns, each is taken as often as it says.
        for left_out in [BOTH[1], BOTH[0], BOTH[1]] {
            let summary = night(&context, &["--dataset", left_out.name()]);
            assert!(summary.receipts.iter().all(|receipt| receipt.verdict == "up_to_date"), "{summary:?}");
        }
        // It is left out for some nights.
        if lines.contains("7d") {
            continue;
        }
        for day in 1..=3 {
            at(&mut context, present + days(day));
            night(&context, &["--dataset", "vm_assets"]);
        }
        at(&mut context, present + days(4));
        let summary = night(&context, &[]);
        for tenant in context.tenants() {
            let receipt = summary.receipt(&tenant.id, "vm_findings");
            let rows = context.truth(BOTH[1], &tenant.id).len() as u64;
            let is_whole = receipt.rows_written == rows || lines.contains("full_every");
            assert!(receipt.verdict == "complete" && is_whole, "{lines}: {receipt:?}");
        }
        let again = night(&context, &[]);
        assert!(again.receipts.iter().all(|receipt| receipt.verdict == "up_to_date"), "{again:?}");
        context.check_verified();
    }
}

#[test]
fn completeness_a_dataset_that_was_left_out_stays_due_where_its_reading_drifts() {
    const BOTH: [Dataset; 2] = [Dataset::VmAssets, Dataset::VmFindings];
    let present = present();
    let context =
        start(SimulatorConfig { now: Some(present), row_counts: [(BOTH[0], 1200)].into(), ..small(1) });
    context.write(&context.run_file().of(&BOTH));
    night(&context, &["--dataset", "vm_findings"]);
    let shifts = FaultRule { dataset: Some(BOTH[0]), ..FaultRule::always(Fault::DeleteRows { rows: 2 }) };
    context.platform().set_faults(vec![FaultRule { min_page: 1, ..shifts }]).expect("a rule");
    let (output, summary) = context.pull(&[]);
    let verdicts: Vec<_> = summary.receipts.iter().map(|receipt| receipt.verdict.as_str()).collect();
    assert_eq!((output.code, verdicts.as_slice()), (Some(7), &["drifted"; 2][..]), "{}", output.stderr);
    context.platform().set_faults(Vec::new()).expect("no rule");
    let summary = night(&context, &[]);
    assert!(summary.receipts.iter().all(|receipt| receipt.verdict == "complete"), "{summary:?}");
    let tenant = &context.tenants()[0].id;
    for dataset in BOTH {
        let found = context.lake().keys(dataset.name()).remove(tenant).expect("it was read");
        let truth = context.truth(dataset, tenant);
        assert!(truth.iter().all(|key| found.binary_search(key).is_ok()), "{}", dataset.name());
    }
    context.check_verified();
}

#[test]
fn completeness_what_changes_while_a_window_is_read_is_in_the_next_one() {
    const DEFINITIONS: Dataset = Dataset::VmVulnerabilities;
    let present = present();
    let evolution = Evolution { modified_days: 3, ..Evolution::default() };
    let mut context = start(SimulatorConfig { now: Some(present), catalogue: 1400, evolution, ..small(1) });
    context.write(&context.run_file().of(&[]).and(DEFINITIONS, "full_every = \"30d\"\noverlap = \"0s\""));
    night(&context, &[]);
    // A day goes by on the platform while the second window's first page is waited for.
    at(&mut context, present + days(1));
    let late = FaultRule {
        nth: vec![1],
        ..FaultRule::always(Fault::Latency { ms: 3000, jitter_ms: 0, per_row_us: 0 })
    };
    let late = FaultRule { dataset: Some(DEFINITIONS), ..late };
    context.platform().set_faults(vec![late]).expect("the fault can happen");
    let running = context.command(&["run", "--json"]).spawn().expect("the program under test");
    let mut waits = 0;
    while waits < 50 {
        std::thread::sleep(Duration::from_millis(10));
        waits = if context.platform().journal().in_flight > 0 { waits + 1 } else { 0 };
    }
    context.platform().set_now((present + days(2)).timestamp_millis()).expect("time goes on");
    let output = Output::of(running);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let summary = Summary::parse(&output.stdout);
    let [receipt] = summary.receipts.as_slice() else { panic!("one dataset: {summary:?}") };
    assert!(receipt.later > 0 && receipt.rows_written > 0, "{receipt:?}");
    let until = receipt.window.as_ref().expect("a window").until;
    let in_lake = |micros: &String| micros.parse::<i64>().expect("microseconds");
    let rows = context.lake().column(DEFINITIONS.name(), "modified");
    assert!(rows.iter().all(|time| in_lake(time) <= until.timestamp_micros()), "it is in no file");

    at(&mut context, present + days(2) + TimeDelta::seconds(1));
    let last = night(&context, &[]);
    assert_eq!(last.receipts[0].later, 0);
    let rows = context.lake().rows_of(DEFINITIONS.name(), &["id", "modified"]);
    let newest: BTreeMap<_, _> = rows.iter().map(|row| (row[0].clone(), in_lake(&row[1]))).collect();
    let tenant = &context.tenants()[0].id;
    let truth = context.platform().truth_rows(DEFINITIONS, tenant).expect("a tenant");
    let truth = truth.iter().map(|row| serde_json::from_str::<Value>(&row.json).expect("JSON"));
    let text = |json: &Value, name| json[name].as_str().expect("text").to_owned();
    let modified = |json: &Value| text(json, "modified").parse::<DateTime<Utc>>().expect("an instant");
    let truth: BTreeMap<_, _> =
        truth.map(|json| (text(&json, "id"), modified(&json).timestamp_micros())).collect();
    assert_eq!(newest, truth);
    context.check_verified();
}

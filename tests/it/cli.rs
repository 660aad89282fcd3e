//! The command line: what it refuses and how it says so, and the way from nothing to a lake.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;
use simulator::{Dataset, Fault, FaultRule, SimulatorConfig};
use tests::{Context, Output};

use crate::{small, start};

/// Checks that a run file is refused with the exit code of the operator, in words.
fn check_file(context: &Context, change: impl FnOnce(String) -> String, said: &[&str]) {
    context.put("tenantry.toml", &change(context.run_file().text()));
    check_flags(context, &["run"], 2, said);
}

fn check_flags(context: &Context, flags: &[&str], code: i32, said: &[&str]) -> Output {
    let output = context.run(flags);
    assert_eq!(output.code, Some(code), "{flags:?} {said:?}: {}{}", output.stdout, output.stderr);
    for part in said {
        assert!(output.stderr.contains(part), "{flags:?}: {part:?} is missing in {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{flags:?}: {}", output.stderr);
    output
}

#[test]
fn a_wrong_run_file_is_refused_with_its_line_and_a_suggestion() {
    let context = start(small(1));
    let with = |from: &'static str, to: &'static str| move |text: String| text.replacen(from, to, 1);
    check_file(
        &context,
        with("home_region", "home_regoin"),
        &["home_regoin", "did you mean `home_region`", "line 3"],
    );
    check_file(&context, with("[sink.parquet]", "[sink.parket]"), &["parket", "did you mean `parquet`"]);
    check_file(
        &context,
        with("name = \"users\"", "name = \"usres\""),
        &["unknown dataset `usres`", "did you mean `users`"],
    );
    check_file(&context, with("name = \"users\"", "name = 7"), &["wrong type", "line ", "column 8"]);
    check_file(&context, with("timeout = \"2s\"", "timeout = \"soon\""), &["soon", "line 6"]);
    check_file(&context, with("timeout = \"2s\"", "timeout = \"0s\""), &["longer than nothing"]);
    check_file(&context, with("\"TENANTRY_KEY\"", "\"\""), &["name of a variable"]);
    check_file(&context, with("env = \"TENANTRY_KEY\"", "file = \"\""), &["`file` names no file"]);
    check_file(&context, with("env = \"TENANTRY_KEY\"", "command = []"), &["`command` names no program"]);
    check_file(
        &context,
        with("name = \"investigations\"", "name = \"investigations\"\nsince = \"2026-02-30\""),
        &["no day of the calendar", "2026-02-30"],
    );
    check_file(
        &context,
        with("name = \"investigations\"", "name = \"investigations\"\nsince = \"2999-01-01\""),
        &["lies in the future"],
    );
    check_file(
        &context,
        with("name = \"users\"", "name = \"users\"\nsince = \"3d\""),
        &["`since` has no effect"],
    );
    check_file(&context, with("name = \"users\"", "name = \"alerts\""), &["named twice"]);
    check_file(&context, with("\"./lake\"", "\"s3://bucket/lake\""), &["not supported yet"]);
    check_file(&context, with("[connector.rapid7]", "[connector.rapid7"), &["line 1"]);
    check_file(&context, |_| String::new(), &["`connector` is missing"]);
    check_file(&context, |text| text + "[tenants]\ninclude = [\"Nobody at all\"]\n", &["no such tenant"]);
    assert!(!context.lake().root().join("users").exists());
}

#[test]
fn a_wrong_flag_or_variable_is_refused_in_words() {
    let context = start(small(2));
    check_flags(
        &context,
        &["run", "--dataset", "usres"],
        2,
        &["does not name `usres`", "did you mean `users`"],
    );
    check_flags(&context, &["run", "--tenant", "Nobody"], 2, &["`Nobody`", "no such tenant"]);
    check_flags(
        &context,
        &["run", "--region", "ap"],
        2,
        &["none of them is in `ap`", "their regions: us, us2"],
    );
    check_flags(&context, &["run", "--config", "absent.toml"], 2, &["absent.toml", "tenantry init"]);
    check_flags(&context, &["run", "--config", "."], 2, &["read the run file"]);
    check_flags(&context, &["run", "--log-level", "=x="], 2, &["understand the log level"]);
    check_flags(&context, &["verify", "--threads", "0"], 2, &["0 is not in 1..=65535"]);
    check_flags(
        &context,
        &["simulate", "--tenants", "99999999"],
        2,
        &["99999999 tenants are too many: 100000 are the most", "hint: "],
    );
    check_flags(&context, &["rnu"], 2, &["unrecognized subcommand"]);
    check_flags(&context, &[], 2, &["Usage"]);
    let mut command = context.command(&["run"]);
    let output = Output::of(command.env_remove("TENANTRY_KEY").spawn().expect("the program under test"));
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("TENANTRY_KEY is not set"), "{}", output.stderr);
    assert_eq!(context.lake().data_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn from_nothing_to_a_checked_run_file() {
    let context = start(small(2));
    fs_err::remove_file(context.folder().join("tenantry.toml")).expect("the context's own");
    check_flags(&context, &["check", "--offline"], 2, &["tenantry init"]);
    check_flags(&context, &["init"], 0, &["wrote tenantry.toml", "next:"]);
    check_flags(&context, &["init"], 2, &["--force"]);
    check_flags(&context, &["init", "--force"], 0, &["run `tenantry check`"]);
    // What comes next is asked of the file that was written.
    let next = ["wrote my tenants.toml", "run `tenantry check --config 'my tenants.toml'`"];
    check_flags(&context, &["init", "--into", "my tenants.toml"], 0, &next);
    check_flags(&context, &["init", "-c", "my tenants.toml"], 2, &["--force"]);
    check_flags(&context, &["init", "-c", "other.toml"], 0, &["run `tenantry check --config other.toml`"]);
    check_flags(&context, &["init", "-c", "a.toml", "--into", "b.toml"], 2, &["cannot be used with"]);
    check_flags(&context, &["check", "-c", "other.toml", "--offline"], 2, &["hint: fill in"]);
    for flags in [&["check", "--offline"][..], &["check"]] {
        let output = check_flags(&context, flags, 2, &["hint: fill in the organization id"]);
        assert!(output.stdout.contains("FAIL  run file: "), "{}", output.stdout);
        assert!(output.stdout.contains("parent_organization is still the example's"), "{}", output.stdout);
    }
    context.write(&context.run_file());
    let output = check_flags(&context, &["check", "--offline"], 0, &[]);
    assert!(output.stdout.contains("ok    run file"), "{}", output.stdout);
    let output = check_flags(&context, &["check"], 0, &[]);
    assert!(
        output.stdout.contains("ok    key")
            && output.stdout.contains("ok    vm_scans")
            && output.stdout.contains("answers: 12 records (asked "),
        "{}",
        output.stdout
    );
    let told: serde_json::Value =
        serde_json::from_str(&check_flags(&context, &["check", "--json"], 0, &[]).stdout).expect("JSON");
    assert!(told.as_array().is_some_and(|lines| lines.iter().all(|line| line["ok"] == true)), "{told}");
    assert_eq!(context.lake().data_files(), Vec::<std::path::PathBuf>::new(), "a check pulls nothing");
}

#[test]
fn what_can_be_asked_without_a_platform() {
    let context = start(small(1));
    for (args, part) in [
        (&["--help"][..], "tenantry demo"),
        (&["run", "--help"], "--tenant"),
        (&["--version"], "tenantry"),
        (&["completions", "bash"], "_tenantry"),
        (&["completions", "zsh"], "#compdef tenantry"),
        (&["datasets"], "vm_findings"),
        (&["datasets", "investigations"], "created_time"),
    ] {
        let output = check_flags(&context, args, 0, &[]);
        assert!(output.stdout.contains(part), "{args:?}: {}", output.stdout);
        assert_eq!(output.stderr, "", "{args:?}");
    }
    let schema: serde_json::Value =
        serde_json::from_str(&check_flags(&context, &["schema"], 0, &[]).stdout).expect("JSON");
    assert_eq!(schema["title"], "tenantry run file");
    let defaults = ["timeout", "retry_for"].map(|name| {
        let found = schema["$defs"].as_object().expect("definitions").values();
        found.filter_map(|it| it["properties"][name].get("default")).cloned().collect::<Vec<_>>()
    });
    assert_eq!(defaults, [vec!["2m".into()], vec!["5m".into()]] as [Vec<serde_json::Value>; 2]);
    assert!(check_flags(&context, &["--color", "always", "--help"], 0, &[]).stdout.contains("\u{1b}["));
    check_flags(&context, &["check", "--log-level", "trac"], 2, &["the log level `trac`", "debug"]);
    check_flags(&context, &["check", "-q", "-v"], 2, &["cannot be used with"]);
    assert_eq!(context.platform().journal().total.requests, 0);
}

#[test]
fn a_reader_that_leaves_early_is_no_defect() {
    let context = start(SimulatorConfig { row_counts: [].into(), rows: 0.0, ..small(130) });
    context.write(&context.run_file().of(&[Dataset::Users]));
    for args in [&["run", "--json"][..], &["completions", "bash"], &["schema"], &["tenants", "--json"]] {
        let mut child = context.command(args).stdout(Stdio::piped()).spawn().expect("the program under test");
        let mut pipe = child.stdout.take().expect("it was asked for");
        let mut first = [0; 1];
        pipe.read_exact(&mut first).expect("it writes something");
        drop(pipe);
        let output = Output::of(child);
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{args:?}: {}", output.stderr);
    }
}

#[test]
fn what_a_span_of_time_leaves_out_is_named() {
    let context = start(small(1));
    context.write(&context.run_file().of(&[Dataset::Investigations, Dataset::Users]));
    for command in ["plan", "run"] {
        check_flags(&context, &[command, "--since", "5d"], 0, &["where a span is asked for: users"]);
    }
}

#[test]
fn budget_a_plan_is_no_faster_than_the_run_file_lets_it_be() {
    let context = start(small(14));
    let mut file = context.run_file().of(&[Dataset::Users]);
    for (scope, minutes) in [("region", 10), ("key", 130)] {
        file.connector = format!(
            "budget_scope = \"{scope}\"\n[connector.rapid7.budget]\nidr = {{ requests = 1, per = \"10m\" }}\n"
        );
        context.write(&file);
        let said = format!("in at least {minutes} minutes by the configured budget");
        check_flags(&context, &["plan"], 0, &[&said]);
    }
}

#[test]
fn a_lake_of_a_newer_version_is_left_alone() {
    let context = start(small(1));
    context.write(&context.run_file().of(&[Dataset::Users]));
    check_flags(&context, &["run"], 0, &[]);
    let head = context.lake().root().join("_tenantry/head.json");
    let text = std::fs::read_to_string(&head).expect("a head");
    let newer = text.replacen("\"schema_version\":1", "\"schema_version\":99", 1);
    assert_ne!(newer, text);
    std::fs::write(&head, &newer).expect("the head is this test's");
    let files = context.lake().files();
    for command in ["run", "check"] {
        let told = check_flags(&context, &[command], 2, &[]);
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(told.contains("schema version 99") && told.contains("use that version"), "{told}");
    }
    assert_eq!(context.lake().files(), files);
}

#[test]
fn a_plan_the_tenants_and_the_status_are_told() {
    let context = start(small(3));
    context.write(&context.run_file().of(&[Dataset::Users, Dataset::VmScans]));
    check_flags(&context, &["status"], 0, &["nothing was pulled yet"]);
    check_flags(&context, &["status", "--problems"], 2, &["nothing was pulled yet", "put back from a copy"]);
    let plan = check_flags(&context, &["plan"], 0, &[]);
    assert!(plan.stdout.contains("users") && plan.stdout.contains("vm_scans"), "{}", plan.stdout);
    let tenants = check_flags(&context, &["tenants"], 0, &["nothing is known of an earlier run"]);
    for tenant in context.tenants() {
        assert!(tenants.stdout.contains(&tenant.id), "{}", tenants.stdout);
    }
    assert_eq!(context.platform().journal().by_family.keys().collect::<Vec<_>>(), ["account"]);
    check_flags(&context, &["run"], 0, &["complete: "]);
    check_flags(&context, &["tenants"], 0, &["nothing changed since the last run"]);
    let tenant = &context.tenants()[1];
    let one = check_flags(&context, &["tenants", "--tenant", &tenant.name], 0, &[]).stdout;
    assert!(one.lines().count() == 2 && one.contains(&tenant.id), "{one}");
    let status = check_flags(&context, &["status", "--json"], 0, &[]).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let standings = status.as_array().expect("a list");
    assert_eq!(standings.len(), 6);
    assert!(standings.iter().all(|it| it["committed"]["verdict"] == "complete"), "{status}");
    check_flags(&context, &["plan"], 0, &["everything is up to date"]);
    check_flags(&context, &["plan", "--full-refresh"], 0, &["a run would spend about "]);
    check_flags(&context, &["plan", "--full-refresh", "--since", "1d"], 2, &["cannot be used with"]);
    check_flags(&context, &["status", "--problems"], 0, &["nothing to look at"]);
    // What a reading found stands there, not what is held: the words say so.
    let status = check_flags(&context, &["status"], 0, &[]).stdout;
    assert!(status.contains("last verdict  rows last written  through"), "{status}");
}

#[test]
fn a_region_that_nobody_knows_is_refused_where_a_lake_is_looked_at() {
    let context = start(small(2));
    context.write(&context.run_file().of(&[Dataset::Users]));
    check_flags(&context, &["run"], 0, &["complete: "]);
    for command in
        [&["status"][..], &["status", "--problems"], &["checkpoint", "show"], &["checkpoint", "reset", "-y"]]
    {
        let flags = |region| [command, &["--region", region]].concat();
        let known = "known regions: `us`, `us2`";
        check_flags(&context, &flags("zz"), 2, &["the lake knows no region `zz`", known]);
        check_flags(&context, &flags("us3"), 2, &["did you mean `us`?"]);
        check_flags(&context, &flags("us2"), 0, &[]);
    }
    // Payloads, and people who read them, have a name of their own for one.
    let mut file = context.run_file().of(&[Dataset::Users]);
    file.home = "us1".to_owned();
    context.write(&file);
    for command in ["status", "tenants", "plan"] {
        check_flags(&context, &[command, "--region", "us1"], 0, &[]);
    }
    // One that the run file knows, and in which nothing was read yet, is a region all the same.
    file.tenants = format!("[tenants.regions]\n\"{}\" = \"ca\"\n", context.tenants()[0].id);
    context.write(&file);
    check_flags(&context, &["status", "--region", "ca"], 0, &["there is nothing of what the flags say"]);
}

#[test]
fn who_is_listed_is_told_where_nobody_is_chosen() {
    let context = start(small(2));
    let mut file = context.run_file().of(&[Dataset::Users]);
    file.tenants = "[tenants]\ninclude = [\"Nobody*\"]\n".to_owned();
    context.write(&file);
    let told = check_flags(&context, &["tenants"], 2, &["leaves none of the 2 that are listed", "`include`"]);
    assert!(context.tenants().iter().all(|tenant| told.stdout.contains(&tenant.name)), "{}", told.stdout);
    check_flags(&context, &["run"], 2, &["`tenantry tenants` shows who is listed"]);
}

#[test]
fn a_region_of_the_run_file_is_the_tenants() {
    let quirks = simulator::Quirks { missing_region: 1, ..simulator::Quirks::none() };
    let context = start(SimulatorConfig { quirks, ..small(3) });
    let listed = |context: &Context| -> serde_json::Value {
        serde_json::from_str(&check_flags(context, &["tenants", "--json"], 0, &[]).stdout).expect("JSON")
    };
    let mut file = context.run_file().of(&[Dataset::Users]);
    file.tenants = String::new();
    context.write(&file);
    let before = listed(&context);
    let without = before["tenants"].as_array().expect("a list").iter().find(|it| it["region"].is_null());
    let id = without.and_then(|it| it["id"].as_str()).expect("one is listed without a region");
    file.tenants = format!("[tenants.regions]\n\"{id}\" = \"ca\"\n");
    context.write(&file);
    let after = listed(&context);
    let known = after["tenants"].as_array().expect("a list").iter().find(|it| it["id"] == id);
    assert_eq!(known.map(|it| &it["region"]), Some(&"ca".into()), "{after}");
}

#[test]
fn what_was_read_in_part_alone_is_late() {
    let context = start(small(1));
    context.write(&context.run_file().of(&[Dataset::Investigations]));
    check_flags(&context, &["run", "--since", "20d", "--until", "10d"], 0, &["complete: "]);
    let status = check_flags(&context, &["status", "--problems"], 0, &[]).stdout;
    assert!(status.contains(": late"), "{status}");
    check_flags(&context, &["run"], 0, &["complete: "]);
    check_flags(&context, &["status", "--problems"], 0, &["nothing to look at"]);
}

#[test]
fn log_lines_for_a_program_are_json_to_the_last_one() {
    let rule =
        FaultRule { tenant: Some("#1".to_owned()), ..FaultRule::always(Fault::Status { status: 403 }) };
    let context = start(SimulatorConfig { faults: vec![rule], ..small(3) });
    context.write(&context.run_file().of(&[Dataset::Users, Dataset::VmScans]));
    let output = context.run(&["run", "--log-format", "json"]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let lines: Vec<serde_json::Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let told = |line: &serde_json::Value| {
        line["level"] == "ERROR" && line["message"].as_str().is_some_and(|it| it.starts_with("forbidden: "))
    };
    let refused: Vec<_> = lines.iter().filter(|line| told(line)).collect();
    assert_eq!(refused.len(), 2, "{}", output.stderr);
    let about = |name: &str| refused.iter().map(|line| line[name].as_str()).collect::<Vec<_>>();
    let tenant = context.tenants()[1].id.as_str();
    assert_eq!(about("organization_id"), [Some(tenant); 2]);
    assert_eq!(about("verdict"), [Some("forbidden"); 2]);
    let mut datasets = about("dataset");
    datasets.sort_unstable();
    assert_eq!(datasets, [Some("users"), Some("vm_scans")]);
}

#[test]
fn the_demo_fills_a_lake_and_knows_what_it_has() {
    let context = start(small(1));
    let output = check_flags(&context, &["demo"], 0, &["a simulated platform with 12 tenants", "complete: "]);
    assert!(output.stdout.contains("vm_findings"), "{}", output.stdout);
    assert!(context.lake().rows("investigations") > 1000);
    let snapshots = context.lake().rows("vm_assets");
    for command in [&["status"][..], &["verify"], &["rejects", "list"]] {
        let config = ["--config", "lake.toml"];
        assert!(output.stderr.contains(&[command, &config].concat().join(" ")), "{}", output.stderr);
        check_flags(&context, &[command, &config].concat(), 0, &[]);
    }
    let kept = fs_err::read_to_string(context.folder().join("lake.toml")).expect("it is kept");
    assert!(
        kept.contains("http://127.0.0.1:0/{region}"),
        "no key is sent to who takes the demo's port: {kept}"
    );
    let edited = format!("{kept}# mine\n");
    context.put("lake.toml", &edited);
    check_flags(&context, &["demo"], 0, &["complete: 0 rows committed"]);
    assert_eq!(fs_err::read_to_string(context.folder().join("lake.toml")).ok(), Some(edited));
    assert_eq!(context.lake().rows("vm_assets"), snapshots, "what is up to date is not read again");
    context.check_verified();
    fs_err::create_dir(context.folder().join("mine")).expect("a folder of this test");
    context.put("mine/thesis.txt", "three years of work");
    check_flags(&context, &["demo", "--into", "mine"], 2, &["holds something else", "--into"]);
    context.put("other.toml", "mine = true");
    check_flags(&context, &["demo", "--into", "other/"], 2, &["other.toml is there", "--into"]);
    check_flags(&context, &["demo", "--into", "/"], 2, &["--into"]);
    check_flags(&context, &["demo", "-c", "lake.toml"], 2, &["a run file of its own", "--into"]);
    // Made-up tenants have no place in somebody's own lake.
    fs_err::rename(context.folder().join("lake.toml"), context.folder().join("own.toml"))
        .expect("it is kept");
    check_flags(&context, &["demo"], 2, &["lake is there", "--into"]);
    fs_err::rename(context.folder().join("own.toml"), context.folder().join("lake.toml"))
        .expect("it is kept");
    fs_err::create_dir(context.folder().join("a b")).expect("a folder of this test");
    let said = [
        "tenantry verify --config 'a b/my lake.toml' ",
        "FROM 'a b/my lake/investigations/**/*.parquet'",
        "tenantry demo --into 'a b/my lake' ",
    ];
    check_flags(&context, &["demo", "--into", "a b/my lake"], 0, &said);
    check_flags(&context, &["verify", "--config", "a b/my lake.toml"], 0, &[]);
}

#[test]
fn a_key_that_is_not_where_the_run_file_says_is_a_matter_of_the_run_file() {
    let context = start(small(1));
    let mut file = context.run_file();
    for (key, said) in [
        ("{ file = \"nowhere\" }", "read the key's file"),
        ("{ file = \"empty\" }", "it is empty"),
        ("{ env = \"NOT_SET_ANYWHERE\" }", "NOT_SET_ANYWHERE is not set"),
        ("{ command = [\"true\"] }", "it is empty"),
        ("{ command = [\"no-such-program\"] }", "it does not start"),
    ] {
        context.put("empty", "\n");
        file.key = key.to_owned();
        context.write(&file);
        let output = context.run(&["run"]);
        assert_eq!(output.code, Some(2), "{key}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{key}: {}", output.stderr);
    }
    assert_eq!(context.platform().journal().total.requests, 0);
}

#[test]
fn a_silent_command_for_the_key_is_told_of() {
    let context = start(small(1));
    let mut file = context.run_file();
    let waiting = "waiting for the key's command: sh";
    for (words, said) in [("sleep 4; echo \"$TENANTRY_KEY\"", true), ("echo \"$TENANTRY_KEY\"", false)] {
        file.key = format!("{{ command = [\"sh\", \"-c\", '{words}'] }}");
        context.write(&file);
        let output = check_flags(&context, &["tenants"], 0, &[]);
        assert_eq!(output.stderr.contains(waiting), said, "{words}: {}", output.stderr);
    }
}

#[test]
fn a_lake_that_is_not_there_cannot_be_verified() {
    let context = start(small(1));
    let commands = [
        &["verify"][..],
        &["verify", "--gc"],
        &["verify", "--gc", "--yes"],
        &["report", "--month", "2026-10"],
    ];
    // A folder that is empty may be one that a disk was to be mounted on.
    for (is_empty, command) in
        [false, true].into_iter().flat_map(|is_empty| commands.map(|it| (is_empty, it)))
    {
        if is_empty {
            fs_err::create_dir_all(context.lake().root()).expect("creates");
        }
        let output = context.run(command);
        assert_eq!(output.code, Some(2), "{command:?}: {}", output.stderr);
        assert!(output.stderr.contains("it is not there"), "{command:?}: {}", output.stderr);
    }
}

/// Asks a server on loopback for a path, and returns the status and what follows the headers.
fn get(authority: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(authority).expect("a server");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

#[test]
fn one_tenant_is_served_in_the_singular() {
    let context = start(small(1));
    let mut command = context.command(&["simulate", "--tenants", "1"]);
    let mut served =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program under test");
    let mut said = String::new();
    let mut lines = BufReader::new(served.stderr.take().expect("it was asked for"));
    lines.read_line(&mut said).expect("text");
    served.kill().expect("a child of this process");
    served.wait().expect("a child of this process");
    assert!(said.starts_with("1 tenant at http"), "{said}");
}

#[test]
fn a_simulated_platform_is_served_to_others() {
    let mut context = start(small(1));
    let mut command = context.command(&["simulate", "--json", "--tenants", "2", "--rows", "0.1"]);
    let mut served = command.stdout(Stdio::piped()).spawn().expect("the program under test");
    let mut said = String::new();
    let mut lines = BufReader::new(served.stdout.take().expect("it was asked for"));
    let place: Value = loop {
        assert_ne!(lines.read_line(&mut said).expect("text"), 0, "it ended: {said}");
        if let Ok(place) = serde_json::from_str(&said) {
            break place;
        }
    };
    let text = |name: &str| place[name].as_str().unwrap_or_else(|| panic!("no {name} in {said}")).to_owned();
    let control = text("control");
    let (authority, path) = control.trim_start_matches("http://").split_once('/').expect("a path");
    let (status, paths) = get(authority, &format!("/{path}"));
    assert_eq!(status, 200, "{paths}");
    let paths: Value = serde_json::from_str(&paths).expect("JSON");
    let paths = paths["paths"].as_array().expect("a list").iter().filter_map(Value::as_str);
    for path in paths.filter(|path| path.starts_with("GET") && !path.contains('{')) {
        let (_, path) = path.rsplit_once(' ').expect("methods and a path");
        assert_eq!(get(authority, path).0, 200, "{path}");
    }
    context.use_key(text("key"));
    let mut file = context.run_file().of(&[Dataset::Users]);
    (file.endpoint, file.parent) = (text("endpoint"), text("parent_organization"));
    context.write(&file);
    // By default it has its quirks: one of the two tenants is listed without a region.
    check_flags(&context, &["run"], 7, &["the platform lists no region"]);
    assert!(context.lake().rows("users") > 0);
    let sent = Command::new("kill").args(["-INT", &served.id().to_string()]).status();
    assert!(sent.expect("`kill` is there").success());
    assert!(served.wait().expect("a child of this process").success(), "it ends when it is told to");
}

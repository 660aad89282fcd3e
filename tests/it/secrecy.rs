//! The key goes to the platform and nowhere else: no redirect, log, error, file or process list.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulator::{Dataset, Fault, FaultRule, SimulatorConfig};
use tests::{Context, Output, lake};

use crate::{small, start};

const DATASETS: [Dataset; 2] = [Dataset::Users, Dataset::VmScans];

/// Writes down whatever anybody sends to a port.
struct Recorder {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let said = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a span above zero");
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).unwrap_or(0);
                bytes.truncate(length);
                said.lock().expect("no holder panics").push(bytes);
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("no holder panics");
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// Checks that no redirect of the platform is followed, wherever it leads.
fn check_redirect(location: Option<&str>, path: &str, code: i32) -> Context {
    let rule = FaultRule {
        path: Some(path.to_owned()),
        ..FaultRule::always(Fault::Redirect { location: location.map(str::to_owned) })
    };
    let context = start(SimulatorConfig { faults: vec![rule], ..small(2) });
    let mut file = context.run_file().of(&DATASETS);
    file.connector = "retry_for = \"500ms\"\n".to_owned();
    context.write(&file);
    let output = context.run(&["run", "--log-level", "trace"]);
    assert_eq!(output.code, Some(code), "{path}: {}", output.stderr);
    assert!(output.stderr.contains("redirect"), "{path}: {}", output.stderr);
    let journal = context.platform().journal();
    assert_eq!((journal.trapped, journal.trapped_with_key), (0, 0), "{path}");
    assert!(journal.faults["redirect"] > 0, "{path}");
    check_silent(&context, &output);
    context
}

#[test]
fn secrecy_no_redirect_is_followed() {
    let recorder = Recorder::start();
    let elsewhere = format!("http://{}/collect?session=hunter2", recorder.address);
    for (path, code) in [("_search", 7), ("scan", 7), ("managed-organizations", 4)] {
        let context = check_redirect(Some(&elsewhere), path, code);
        let told = context.run(&["run"]).stderr;
        assert!(told.contains("127.0.0.1") && !told.contains("hunter2"), "a link may hold a secret: {told}");
        check_redirect(None, path, code);
    }
    assert_eq!(recorder.heard(), Vec::<String>::new(), "not even a connection was made");
    // The recorder does hear those who come: the silence above means something.
    let _ = std::net::TcpStream::connect(recorder.address).expect("the recorder listens");
    while recorder.heard().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn secrecy_the_key_goes_to_the_platform_alone() {
    let recorder = Recorder::start();
    let context = start(small(2));
    let mut file = context.run_file().of(&DATASETS);
    file.endpoint = format!("http://{}/{{region}}", recorder.address);
    file.connector = "timeout = \"1s\"\nretry_for = \"500ms\"\n".to_owned();
    context.write(&file);
    // The recorder stands where the platform should: only now may it hear the key.
    assert_eq!(context.run(&["run"]).code, Some(4));
    assert!(recorder.heard().iter().any(|heard| heard.contains(context.key())));
    assert_eq!(context.platform().journal().total.requests, 0);
}

/// Checks that the key stands nowhere in what was said, and in no file but those it was put into.
fn check_silent(context: &Context, output: &Output) {
    let key = context.key();
    assert!(!output.stdout.contains(key) && !output.stderr.contains(key), "{output:?}");
    let found: Vec<_> = files(context.folder()).into_iter().filter(|path| holds(path, key)).collect();
    let own: Vec<_> = found.iter().filter(|path| !path.ends_with("secret")).collect();
    assert!(own.is_empty(), "the key stands in {own:?}");
}

fn files(folder: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

fn holds(path: &Path, text: &str) -> bool {
    if path.extension().is_some_and(|it| it == "parquet") {
        return lake::holds(path, text);
    }
    lake::contains(&fs_err::read(path).expect("a file of this test"), text)
}

#[test]
fn secrecy_the_key_is_in_no_log_and_no_file_at_any_level() {
    // Every kind of trouble, so that what is told of failures is looked at too.
    let trouble = [
        Fault::Status { status: 500 },
        Fault::Html { status: 502 },
        Fault::Reset,
        Fault::CutBody { chunked: true },
        Fault::TruncatedJson,
    ];
    let faults = trouble.map(|fault| FaultRule { probability: 0.15, ..FaultRule::always(fault) });
    let context = start(SimulatorConfig { faults: faults.to_vec(), ..small(3) });
    let mut file = context.run_file().of(&DATASETS);
    file.connector = "retry_for = \"2s\"\n".to_owned();
    for (number, level) in [
        &["-v"][..],
        &["-vv"],
        &["-vvv"],
        &["--log-level", "trace"],
        &["--log-level", "trace", "--log-format", "json"],
        &["--log-format", "json"],
        &["--json", "-q"],
    ]
    .into_iter()
    .enumerate()
    {
        file.url = format!("./lake-{number}");
        context.write(&file);
        let output = context.run(&[&["run"], level].concat());
        // Where the list of tenants is cut at each try, it does not fit.
        assert!(matches!(output.code, Some(0 | 4 | 5 | 7)), "{level:?}: {output:?}");
        if level.contains(&"trace") && matches!(output.code, Some(0 | 7)) {
            assert!(output.stderr.lines().count() > 50, "the log is not silent: {level:?}");
        }
        check_silent(&context, &output);
    }
    // What the lake holds is found by this search, and the key is not.
    let known = &context.tenants()[0].id;
    assert!(
        files(context.folder())
            .iter()
            .any(|path| path.extension() == Some("parquet".as_ref()) && holds(path, known))
    );
    for command in ["check", "tenants", "plan", "status", "verify"] {
        let output = context.run(&[command, "--log-level", "trace"]);
        check_silent(&context, &output);
    }
}

#[test]
fn secrecy_the_key_is_in_no_error() {
    for status in [401, 403] {
        let rule = FaultRule::always(Fault::Status { status });
        let context = start(SimulatorConfig { faults: vec![rule], ..small(1) });
        let output = context.run(&["run", "--log-level", "trace"]);
        assert_eq!(output.code, Some(3), "{}", output.stderr);
        check_silent(&context, &output);
    }
    let mut context = start(small(1));
    let key = context.key().to_owned();
    // A key that was put where only its whereabouts belong is not repeated.
    for written in
        [format!("\"{key}\""), format!("{{ env = \"{key}\" }}"), format!("{{ value = \"{key}\" }}")]
    {
        let mut file = context.run_file();
        file.key = written;
        let _ = context.put("secret", &file.text());
        let output = context.run(&["run", "--config", "secret"]);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert!(!output.stderr.contains(&key), "{}", output.stderr);
    }
    // Nor one that cannot be a key.
    context.use_key(format!("{key} {key}"));
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(!output.stderr.contains(&key), "{}", output.stderr);
}

/// Returns whether a text stands in a file of `/proc/PID` of the process, or of a child of it.
#[cfg(target_os = "linux")]
fn shows(pid: u32, name: &str, text: &str) -> Option<bool> {
    let bytes = fs_err::read(format!("/proc/{pid}/{name}")).ok().filter(|bytes| !bytes.is_empty())?;
    Some(bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

#[cfg(target_os = "linux")]
#[test]
fn secrecy_the_key_is_in_the_process_list_only_where_the_operator_put_it() {
    let slow = FaultRule::always(Fault::Latency { ms: 60, jitter_ms: 0, per_row_us: 0 });
    let context = start(SimulatorConfig { faults: vec![slow], ..small(3) });
    let path = context.put("secret", &format!("{}\n", context.key()));
    let path = path.display();
    for (key, in_environment) in [
        (format!("{{ file = \"{path}\" }}"), false),
        (format!("{{ command = [\"cat\", \"{path}\"] }}"), false),
        ("{ env = \"TENANTRY_KEY\" }".to_owned(), true),
    ] {
        let mut file = context.run_file().of(&DATASETS);
        file.key.clone_from(&key);
        file.url = format!("./lake-{in_environment}-{}", key.len());
        context.write(&file);
        let mut command = context.command(&["run"]);
        if !in_environment {
            command.env_remove("TENANTRY_KEY");
        }
        let child = command.spawn().expect("the program under test");
        let asked = context.platform().journal().total.requests;
        let mut looks = 0;
        while context.platform().journal().total.requests < asked + 6 || looks == 0 {
            let pid = child.id();
            if let (Some(cmdline), Some(environ)) =
                (shows(pid, "cmdline", context.key()), shows(pid, "environ", context.key()))
            {
                looks += 1;
                assert_eq!((cmdline, environ), (false, in_environment), "{key}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = Output::of(child);
        assert_eq!(output.code, Some(0), "{key}: {}", output.stderr);
        check_silent(&context, &output);
    }
}

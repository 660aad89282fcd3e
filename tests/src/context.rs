//! A platform, a folder, and the program between them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use simulator::{Dataset, Handle, Simulator, SimulatorConfig, Tenant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{DATASETS, Lake, RunFile, Summary};

/// The variable that sets the clock of the program under test.
pub const NOW: &str = "UNDER_TEST_NOW";

/// The variable that ends the program under test, as a kill does, at one of its changes to the lake, counted from 0.
pub const END_AT: &str = "UNDER_TEST_END_AT";

/// The variable that gives columns of the program under test other types, such as `users.name=json`.
pub const KINDS: &str = "UNDER_TEST_KINDS";

/// The variable that the run file names for the key.
const KEY: &str = "TENANTRY_KEY";

/// Far beyond what any test takes: a program that hangs fails its test, and not the whole suite.
const LONGEST: Duration = Duration::from_secs(150);

/// A running platform, a folder of its own, and a run file in it that pulls every dataset into `lake`.
#[derive(Debug)]
pub struct Context {
    platform: Handle,
    // Serves the platform while a test waits for the program.
    _runtime: Runtime,
    program: PathBuf,
    key: String,
    now: Option<DateTime<Utc>>,
    kinds: Option<&'static str>,
    folder: TempDir,
}

/// What a run of the program said.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Context {
    /// Starts a platform and writes a run file for it; the program is given by its path.
    ///
    /// # Panics
    /// Where the configuration cannot be served.
    #[must_use]
    pub fn start(program: &str, config: SimulatorConfig) -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = threads.expect("threads for the platform");
        let platform = runtime.block_on(Simulator::start(config)).expect("a platform that can be served");
        let key = platform.keys().first().expect("a platform has keys").secret.clone();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let context = Self {
            platform,
            _runtime: runtime,
            program: program.into(),
            key,
            now: None,
            kinds: None,
            folder,
        };
        context.write(&context.run_file());
        context
    }

    /// Returns the platform.
    #[must_use]
    pub fn platform(&self) -> &Handle {
        &self.platform
    }

    /// Returns the key that the program is given.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Gives the program another key from now on.
    pub fn use_key(&mut self, secret: impl Into<String>) {
        self.key = secret.into();
    }

    /// Starts the program at this time from now on.
    pub fn set_clock(&mut self, now: DateTime<Utc>) {
        self.now = Some(now);
    }

    /// Gives columns of the program other types from now on, as an earlier or a later version of it has them.
    pub fn set_kinds(&mut self, kinds: &'static str) {
        self.kinds = Some(kinds);
    }

    /// Returns the folder that the program is started in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the lake that the run file names at first.
    #[must_use]
    pub fn lake(&self) -> Lake {
        Lake::at(self.folder().join("lake"))
    }

    /// Returns a run file for everything that the platform has, with short patience.
    #[must_use]
    pub fn run_file(&self) -> RunFile {
        RunFile {
            parent: self.platform.parent_organization().to_owned(),
            home: self.platform.config().regions[0].clone(),
            key: format!("{{ env = \"{KEY}\" }}"),
            endpoint: self.platform.endpoint(),
            connector: "timeout = \"2s\"\nretry_for = \"20s\"\n".to_owned(),
            tenants: String::new(),
            datasets: Vec::new(),
            url: "./lake".to_owned(),
            rest: String::new(),
        }
        .of(&DATASETS)
    }

    /// Writes the run file that the program reads.
    ///
    /// # Panics
    /// Where the disk refuses.
    pub fn write(&self, file: &RunFile) {
        self.put("tenantry.toml", &file.text());
    }

    /// Writes a file into the folder and returns its path.
    ///
    /// # Panics
    /// Where the disk refuses.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs_err::write(&path, text).expect("a file in the test's own folder");
        path
    }

    /// Prepares the program with arguments, in the folder, with the key and no other variable of ours.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder()).env(KEY, &self.key);
        for name in ["TENANTRY_CONFIG", "TENANTRY_LOG", "NO_COLOR", NOW, KINDS, END_AT] {
            command.env_remove(name);
        }
        if let Some(now) = self.now {
            command.env(NOW, now.to_rfc3339());
        }
        if let Some(kinds) = self.kinds {
            command.env(KINDS, kinds);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// Where it does not start or does not end.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        let started = self.command(args).spawn();
        Output::of(started.expect("the program under test"))
    }

    /// Runs `run --json` with more arguments.
    ///
    /// # Panics
    /// Where it prints no summary.
    #[must_use]
    pub fn pull(&self, more: &[&str]) -> (Output, Summary) {
        let output = self.run(&[&["run", "--json"], more].concat());
        let summary = if output.stdout.is_empty() {
            panic!("no summary: {:?}: {}", output.code, output.stderr)
        } else {
            Summary::parse(&output.stdout)
        };
        (output, summary)
    }

    /// Returns what the last run that reached its end came to.
    ///
    /// # Panics
    /// Where no run did.
    #[must_use]
    pub fn last_run(&self) -> Summary {
        let path = self.lake().root().join("_tenantry/last-run.json");
        Summary::parse(&fs_err::read_to_string(path).expect("a run that ended"))
    }

    /// Returns the tenants that the platform manages.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        self.platform.tenants()
    }

    /// Returns the keys that a tenant's dataset must have in a lake, in order.
    ///
    /// # Panics
    /// Where there is no such tenant.
    #[must_use]
    pub fn truth(&self, dataset: Dataset, tenant: &str) -> Vec<String> {
        let mut keys = self.platform.truth_keys(dataset, tenant).expect("a tenant of the platform").keys;
        keys.sort_unstable();
        keys
    }

    /// Returns where the lake's datasets are not exactly what the platform holds of the tenants, in words.
    ///
    /// Rows of other tenants, missing rows, foreign rows and rows that are there twice all count.
    #[must_use]
    pub fn differences<'a>(
        &self,
        tenants: impl IntoIterator<Item = &'a Tenant>,
        datasets: &[Dataset],
    ) -> Vec<String> {
        let tenants: Vec<&Tenant> = tenants.into_iter().collect();
        let mut differences = Vec::new();
        for dataset in datasets {
            let mut found = self.lake().keys(dataset.name());
            for tenant in &tenants {
                let found = found.remove(&tenant.id).unwrap_or_default();
                let what = difference(&self.truth(*dataset, &tenant.id), &found);
                differences.extend(what.map(|what| format!("{} of {}: {what}", dataset.name(), tenant.name)));
            }
            differences.extend(found.iter().map(|(tenant, keys)| {
                format!("{} of {tenant}: {} rows that should not be there", dataset.name(), keys.len())
            }));
        }
        differences
    }

    /// Checks that the lake is exactly what the platform holds of all its tenants.
    ///
    /// # Panics
    /// Where it is not.
    pub fn check_whole(&self, datasets: &[Dataset]) {
        assert_eq!(self.differences(self.tenants(), datasets), Vec::<String>::new());
    }

    /// Checks with the program itself that the lake is as its receipts say.
    ///
    /// # Panics
    /// Where it is not.
    pub fn check_verified(&self) {
        let output = self.run(&["verify"]);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    }
}

impl Output {
    /// Waits for a program to end and returns what it said.
    ///
    /// # Panics
    /// Where it does not end.
    #[must_use]
    pub fn of(mut child: Child) -> Self {
        let stdout = child.stdout.take().map(|pipe| thread::spawn(move || drain(pipe)));
        let stderr = child.stderr.take().map(|pipe| thread::spawn(move || drain(pipe)));
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child of this process") {
                break status;
            }
            if began.elapsed() > LONGEST {
                child.kill().expect("it still runs");
                panic!("the program hung: {}", stderr.map_or_else(String::new, joined));
            }
            thread::sleep(Duration::from_millis(5));
        };
        let text = |pipe: Option<thread::JoinHandle<String>>| pipe.map_or_else(String::new, joined);
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

fn drain(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8(bytes).expect("the program writes UTF-8")
}

fn joined(reader: thread::JoinHandle<String>) -> String {
    reader.join().expect("a reader of a pipe does not panic")
}

/// Says in which way two sorted lists differ, if they do.
fn difference(expected: &[String], found: &[String]) -> Option<String> {
    if expected == found {
        return None;
    }
    let mut counts: BTreeMap<&String, i64> = BTreeMap::new();
    expected.iter().for_each(|key| *counts.entry(key).or_default() -= 1);
    found.iter().for_each(|key| *counts.entry(key).or_default() += 1);
    let one = |sign: i64| counts.iter().find(|(_, count)| count.signum() == sign).map(|(key, _)| *key);
    let missing: i64 = counts.values().filter(|count| **count < 0).map(|count| -count).sum();
    let extra: i64 = counts.values().filter(|count| **count > 0).sum();
    Some(format!(
        "{} rows were expected and {} are there: {missing} missing (such as {:?}), {extra} too many (such as {:?})",
        expected.len(),
        found.len(),
        one(-1),
        one(1)
    ))
}

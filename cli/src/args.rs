//! The command line: every command, flag and example, and nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use config::{Again, Pattern, Since};
use connectors::rapid7::KeyId;
use pipeline::{Region, TenantId};
use simulator::FaultRule;

use crate::commands::simulate::{Rate, fault, share};
use crate::compliance::Month;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tenantry",
    version,
    about = "Every tenant, every region, one key: pulls the data of all managed organizations into one lake",
    after_help = "Start with `tenantry demo`: it needs no key and no network.\n\n\
        Exit codes: 0 all is whole, 1 a defect, 2 the command or the run file, 3 the key or a permission, \
        4 try again later, 5 an answer that doesn't fit, 6 the place the data goes to, 7 partly done, 130 interrupted.",
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The run file [default: $TENANTRY_CONFIG, else tenantry.toml]
    #[arg(short, long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON on standard output, for a program to read
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// How log lines are written on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Everywhere"
    )]
    pub(crate) log_format: LogFormat,
    /// What is logged: a level, or directives such as `connectors=debug` [default: $TENANTRY_LOG, else errors, with warnings of the key and of other runs; info with --log-format json]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        conflicts_with = "verbose",
        help_heading = "Everywhere"
    )]
    pub(crate) log_level: Option<String>,
    /// Log more: -v partitions, -vv requests
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    /// Show no progress and nothing but warnings and errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// When to use colour; `auto` looks at the terminal and at $NO_COLOR
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Everywhere"
    )]
    pub(crate) color: ColorChoice,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pull a simulated platform into ./lake: no key, no network, a few seconds
    Demo(Demo),
    /// Write a commented run file to start from
    Init(Init),
    /// Try the run file, the key, the tenant list, the datasets and the sink: a line for each
    Check(Check),
    /// List the managed organizations, and what changed since the last run
    Tenants(Who),
    /// List what can be pulled; with a name, its columns, key, cursor and cost
    Datasets(Datasets),
    /// Say what a run with the same flags would spend in requests, bytes and minutes; asks only for the tenant list
    Plan(RunArgs),
    /// Pull every chosen dataset of every chosen tenant into the sink
    #[command(
        after_help = "Examples:\n  tenantry run\n  tenantry run --region eu --dataset investigations\n  \
        tenantry run --tenant 'Acme*' --json > summary.json\n  \
        tenantry run --dataset investigations --since 2026-01-01 --until 2026-02-01\n\n\
        Interrupt once to finish what is in flight, twice to stop at once. Running again takes up the rest."
    )]
    Run(RunArgs),
    /// Show how far each tenant's dataset is durable, or put it elsewhere
    #[command(subcommand)]
    Checkpoint(CheckpointArgs),
    /// List the records that were set aside because they did not fit, or replay them after a fix
    #[command(subcommand)]
    Rejects(RejectsArgs),
    /// Say for each tenant and dataset how far it is, how fresh, and its last verdict
    Status(StatusArgs),
    /// Read everything in the lake again, offline, and compare it with its receipts
    #[command(
        after_help = "Examples:\n  tenantry verify\n  tenantry verify --root 9f2c... --public-key public.pem\n  \
        tenantry verify --gc\n\n\
        It prints the root of the newest run, which stands for everything before it: kept elsewhere, it shows \
        with --root that nothing was taken away since."
    )]
    Verify(Verify),
    /// Write the compliance report of a month: what was covered, the gaps and why, the hashes to check it by
    #[command(after_help = "Examples:\n  tenantry report --month 2026-10\n  \
        tenantry report --month 2026-10 --into reports\n  tenantry report --month 2026-10 --json\n\n\
        It writes tenantry-2026-10.html, ready to print, and tenantry-2026-10.json. It reads every record and no data.")]
    Report(ReportArgs),
    /// List, make, delete and rotate keys through the platform's API
    #[command(subcommand)]
    Keys(Keys),
    /// Serve a simulated platform on this machine, with limits and faults, to rehearse against
    #[command(after_help = "Examples:\n  tenantry simulate --tenants 300 --port 9400\n  \
        tenantry simulate --rate-limit 600/60s --error-rate 0.02\n  tenantry simulate --platform platform.json")]
    Simulate(Box<Simulate>),
    /// Print the completions of a shell
    #[command(
        after_help = "Example:\n  tenantry completions bash > ~/.local/share/bash-completion/completions/tenantry"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the JSON Schema of the run file
    Schema,
}

/// Which part of the run file a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Narrow {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Only this dataset of the run file; may be given several times
    #[arg(short, long = "dataset", value_name = "NAME")]
    pub(crate) datasets: Vec<String>,
}

/// Which tenants a command is about; all of the run file where nothing is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Who {
    /// Only this tenant, by id, name or glob; may be given several times
    #[arg(short, long = "tenant", value_name = "TENANT", value_parser = pattern)]
    pub(crate) tenants: Vec<Pattern>,
    /// Only tenants in this region; may be given several times
    #[arg(short, long = "region", value_name = "REGION")]
    pub(crate) regions: Vec<Region>,
}

impl Who {
    /// Returns whether it is about some of them alone.
    pub(crate) fn is_narrow(&self) -> bool {
        !(self.tenants.is_empty() && self.regions.is_empty())
    }
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    /// Read a span of time again, from here: so long ago, a day, or an instant
    #[arg(long, value_name = "WHEN", help_heading = "Again")]
    pub(crate) since: Option<Since>,
    /// Read a span of time again, up to here and no further [default: now]
    #[arg(long, value_name = "WHEN", help_heading = "Again")]
    pub(crate) until: Option<Since>,
    /// Read everything as if nothing had been read before; what did not change is not written again
    #[arg(long, conflicts_with_all = ["since", "until"], help_heading = "Again")]
    pub(crate) full_refresh: bool,
}

impl RunArgs {
    /// Returns what of it is read that was read before.
    pub(crate) fn again(&self) -> Again {
        Again { since: self.since, until: self.until, everything: self.full_refresh }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointArgs {
    /// Show how far each tenant's dataset is durable
    Show(Narrow),
    /// Go on from an instant: what lies before it is not read, what lies after it is read again
    Set {
        /// So long ago, a day, or an instant
        #[arg(value_name = "WHEN")]
        to: Since,
        #[command(flatten)]
        moved: Moved,
    },
    /// Go on as if nothing had been read before; what did not change is not written again
    Reset {
        #[command(flatten)]
        moved: Moved,
    },
}

/// Which checkpoints are moved.
#[derive(Debug, Args)]
pub(crate) struct Moved {
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    /// Do not ask whether it is meant
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RejectsArgs {
    /// List what waits for a replay: how many records of which tenant and dataset, why, and one of them
    List(Chosen),
    /// Decode what waits again and write what fits by now; each record once, where and when it was read
    #[command(after_help = "Examples:\n  tenantry rejects replay\n  \
        tenantry rejects replay --tenant 'Acme*' --dataset vm_findings\n\n\
        It asks the platform nothing. What still does not fit waits on: the exit code is 7 then, or 5 where nothing \
        fits. A record that came again changed waits as well, and needs nobody: the next reading brings it.")]
    Replay(Chosen),
}

/// Which rejects a command is about.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// Only this tenant's, by id, name or glob; may be given several times
    #[arg(short, long = "tenant", value_name = "TENANT", value_parser = pattern)]
    pub(crate) tenants: Vec<Pattern>,
    /// Only this dataset's; may be given several times
    #[arg(short, long = "dataset", value_name = "NAME")]
    pub(crate) datasets: Vec<String>,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::try_from(text.to_owned())
}

/// Where the demo's lake is written.
pub(crate) const DEMO: &str = "lake";

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the lake is written
    #[arg(long, value_name = "DIR", default_value = DEMO)]
    pub(crate) into: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where the run file is written [default: where --config is, or would be]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) into: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Read the run file only, and ask nobody
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Datasets {
    /// The dataset to tell more about
    pub(crate) name: Option<String>,
    /// Tell what the platform ever sent that the datasets' columns do not know or do not fit, and when
    #[arg(long)]
    pub(crate) drift: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    /// Show only what is not good
    #[arg(long)]
    pub(crate) problems: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// How many files are read at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// The root of a run that was kept elsewhere: it must be in the lake's chain of runs
    #[arg(long, value_name = "HEX", value_parser = root)]
    pub(crate) root: Option<String>,
    /// The public key that must have signed every run since signing began; several where the key was changed
    #[arg(long = "public-key", value_name = "FILE")]
    pub(crate) public_keys: Vec<PathBuf>,
    /// Read no data, and list what no commit names: what dead runs left, and files that are not of this program
    #[arg(long, conflicts_with_all = ["threads", "root", "public_keys"])]
    pub(crate) gc: bool,
    /// Remove what --gc lists as left by dead runs, without asking
    #[arg(long, requires = "gc")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The month, in UTC, such as 2026-10
    #[arg(long, value_name = "YYYY-MM")]
    pub(crate) month: Month,
    /// The folder that the two files are written into [default: this one; none with --json]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
}

fn root(text: &str) -> Result<String, String> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { Ok(text.to_ascii_lowercase()) } else { Err("a root has 64 hexadecimal digits".to_owned()) }
}

/// What to do with keys. A secret is written where it is told to go, and shown nowhere.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List the keys of the primary account: id, name, type, when they were made
    List(ListKeys),
    /// Make a key and store it; nobody ever sees it
    #[command(
        after_help = "Examples:\n  tenantry keys create --name etl --type user --into /run/secrets/etl\n  \
        tenantry keys create --name etl --type user --into-command vault kv put secret/etl key=-"
    )]
    Create(CreateKey),
    /// Delete a key: whoever uses it is refused from then on
    Delete(DeleteKey),
    /// Put a new key in the place of the run file's, prove it, and delete the old one
    #[command(
        after_help = "Examples:\n  tenantry keys rotate --old 5d0c6a1e-0000-4000-8000-000000000001 --grace 10m\n  \
        tenantry keys rotate --stdin < made-in-the-console\n\n\
        The new key is tried before it takes the old one's place. The old one is deleted only while the run file \
        leads to the new one, after the grace time; a run that is at work takes the new key up meanwhile."
    )]
    Rotate(RotateKey),
}

#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    /// The keys of this managed organization instead
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<TenantId>,
}

/// Where a new key goes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct IntoPlace {
    /// Write the key to this file, which only its owner may read
    #[arg(long, value_name = "FILE", conflicts_with = "into_command")]
    pub(crate) into: Option<PathBuf>,
    /// Give the key to this command on its standard input; everything after it belongs to the command
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_names = ["PROGRAM", "ARG"])]
    pub(crate) into_command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// What it may reach
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub(crate) kind: KeyKind,
    /// The managed organization it is for, with `--type organization` [default: the primary account's own]
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<TenantId>,
    #[command(flatten)]
    pub(crate) into: IntoPlace,
}

/// What a key may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyKind {
    /// What the user who makes it may reach.
    User,
    /// All of one organization.
    Organization,
    /// Every managed organization; the platform may refuse to make one here.
    MultiTenant,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteKey {
    /// The id, as `tenantry keys list` shows it
    pub(crate) id: KeyId,
    /// The managed organization whose key it is [default: the primary account]
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<TenantId>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    /// The id of the old key [default: the one that was remembered when it was stored]
    #[arg(long, value_name = "ID")]
    pub(crate) old: Option<KeyId>,
    /// What people call the new one [default: the old one's name and the day]
    #[arg(long, value_name = "NAME", conflicts_with = "stdin", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,
    /// What the new one may reach [default: the old one's type]
    #[arg(long = "type", value_enum, value_name = "TYPE", conflicts_with = "stdin")]
    pub(crate) kind: Option<KeyKind>,
    /// Take over a key that was made in the console, from standard input
    #[arg(long)]
    pub(crate) stdin: bool,
    /// How long the old key stays good for those who still use it, such as 10m
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) into: IntoPlace,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// A JSON file that describes the platform completely; other flags override it
    #[arg(long, value_name = "FILE")]
    pub(crate) platform: Option<PathBuf>,
    /// The port on loopback; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// How many tenants are managed
    #[arg(long, value_name = "N")]
    pub(crate) tenants: Option<usize>,
    /// What decides every name, row and fault: the same seed serves the same bytes at the same --now
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The platform's own time, at which its data ends and its clock stands until it is moved, such as 2026-11-20T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<DateTime<Utc>>,
    /// Multiplies every tenant's rows
    #[arg(long, value_name = "FACTOR")]
    pub(crate) rows: Option<f64>,
    /// The regions served, separated by commas
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub(crate) regions: Option<Vec<String>>,
    /// How many tenants have no licence for vulnerability management
    #[arg(long, value_name = "N")]
    pub(crate) unlicensed: Option<usize>,
    /// The share of rows, 0 to 1, with a value of a wrong type
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) reject_rate: Option<f64>,
    /// How many requests a key may make in each region and API, such as 600/60s
    #[arg(long, value_name = "N/SPAN")]
    pub(crate) rate_limit: Option<Rate>,
    /// How long every answer takes at least, such as 50ms
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) latency: Option<Duration>,
    /// The share of answers, 0 to 1, that are a 503
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) error_rate: Option<f64>,
    /// The share of connections that are reset
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) reset_rate: Option<f64>,
    /// The share of answers that end in the middle
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) cut_rate: Option<f64>,
    /// The share of answers that stall for ten seconds and then break off
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) stall_rate: Option<f64>,
    /// Any other fault, as a JSON rule such as '{"fault":"reset","nth":[3],"dataset":"vm_assets"}' or
    /// '{"fault":{"too_many_requests":{"retry_after":"seconds","seconds":1}},"probability":0.05}'; repeatable
    #[arg(long = "fault", value_name = "JSON", value_parser = fault)]
    pub(crate) faults: Vec<FaultRule>,
}

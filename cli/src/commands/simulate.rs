//! `tenantry simulate`: the simulated platform as a server, to rehearse against.

use std::time::Duration;

use pipeline::{Error, ErrorKind, Result};
use simulator::{Fault, FaultRule, LimitHeaders, LimitRule, SimulatorConfig};

use super::Context;
use crate::args::Simulate;
use crate::interrupt::Interrupts;
use crate::table::several;
use crate::{exit_code, simulated};

/// Where the snippet's lake lies.
const SINK: &str = "[sink.parquet]\nurl = \"./rehearsal\"\n";

pub(crate) async fn simulate(args: &Simulate, context: &Context) -> Result<u8> {
    let mut interrupts = Interrupts::listen()?;
    let platform = simulated::start(described(args)?).await?;
    let key = simulated::key(&platform)?;
    let console = &context.console;
    if console.json {
        console.json(&serde_json::json!({
            "endpoint": platform.endpoint(),
            "control": platform.control(),
            "parent_organization": platform.parent_organization(),
            "key": key,
            "tenants": platform.tenants().len(),
        }))?;
    } else {
        let datasets = "[[dataset]]\nname = \"investigations\"\n\n[[dataset]]\nname = \"vm_assets\"\n";
        console.data(&format!("{}\n{datasets}\n{SINK}", simulated::connector_table(&platform)))?;
        console.say(&format!(
            "{} at {}\nsave the lines above as tenantry.toml, then:\n\n  export {}={key}\n  tenantry run\n\n\
             faults, limits, keys, the clock and the truth: {}\nCtrl-C ends it",
            several(platform.tenants().len() as u64, "tenant"),
            platform.endpoint(),
            config::env::KEY,
            platform.control(),
        ));
    }
    interrupts.next().await;
    console.say(&format!("answered {}", several(platform.journal().total.requests, "request")));
    platform.stop().await;
    Ok(exit_code::OK)
}

/// Returns the platform that the flags describe, on top of the file's or the default one.
fn described(args: &Simulate) -> Result<SimulatorConfig> {
    let mut config = match &args.platform {
        Some(path) => read(path)?,
        None => SimulatorConfig::default(),
    };
    let Simulate { port, tenants, seed, now, rows, regions, unlicensed, reject_rate, .. } = args;
    config.now = now.or(config.now);
    set(&mut config.port, port);
    set(&mut config.tenants, tenants);
    set(&mut config.seed, seed);
    set(&mut config.rows, rows);
    set(&mut config.regions, regions);
    set(&mut config.quirks.unlicensed, unlicensed);
    set(&mut config.reject_rate, reject_rate);
    config.limits.extend(args.rate_limit.map(|rate| LimitRule {
        headers: LimitHeaders::RateLimit,
        ..LimitRule::new(rate.requests, rate.per.as_millis() as u64)
    }));
    config.faults.extend(faults(args));
    Ok(config)
}

fn read(path: &std::path::Path) -> Result<SimulatorConfig> {
    let failed = || Error::new(ErrorKind::Usage, "read the platform's description");
    let text = fs_err::read_to_string(path).map_err(|error| failed().with_source(error))?;
    serde_json::from_str(&text)
        .map_err(|error| failed().with_context("file", path.display().to_string()).with_source(error))
}

fn set<T: Clone>(field: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        *field = value.clone();
    }
}

fn faults(args: &Simulate) -> Vec<FaultRule> {
    let mut rules = Vec::new();
    let rates = [
        (args.error_rate, Fault::Status { status: 503 }),
        (args.reset_rate, Fault::Reset),
        (args.cut_rate, Fault::CutBody { chunked: false }),
        (args.stall_rate, Fault::Stall { seconds: 10 }),
    ];
    for (rate, fault) in rates {
        rules.extend(rate.map(|probability| FaultRule { probability, ..FaultRule::always(fault) }));
    }
    if let Some(latency) = args.latency {
        let ms = latency.as_millis() as u64;
        rules.push(FaultRule::always(Fault::Latency { ms, jitter_ms: ms / 2, per_row_us: 0 }));
    }
    rules.extend(args.faults.iter().cloned());
    rules
}

/// So many requests in so long, written as `600/60s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    requests: u64,
    per: Duration,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "write a number of requests and a span, such as 600/60s".to_owned();
        let (requests, per) = text.split_once('/').ok_or_else(expected)?;
        let requests = requests.trim().parse().map_err(|_| expected())?;
        let per = humantime::parse_duration(per.trim()).map_err(|_| expected())?;
        if requests == 0 || per.as_millis() == 0 {
            return Err("at least one request and one millisecond are needed".to_owned());
        }
        Ok(Self { requests, per })
    }
}

/// Reads a share from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write a share from 0 to 1, such as 0.02".to_owned()),
    }
}

/// Reads a fault rule, written as JSON.
pub(crate) fn fault(text: &str) -> Result<FaultRule, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn described_by(flags: &[&str]) -> SimulatorConfig {
        let args = ["tenantry", "simulate"].iter().chain(flags);
        let Command::Simulate(args) = Cli::parse_from(args).command else { panic!("another command") };
        described(&args).expect("a platform")
    }

    #[test]
    fn flags_describe_the_platform() {
        let config = described_by(&[
            "--tenants",
            "3",
            "--rate-limit",
            "600/60s",
            "--error-rate",
            "0.02",
            "--latency",
            "50ms",
            "--now",
            "2026-11-20T06:00:00Z",
        ]);
        assert_eq!(config.tenants, 3);
        assert_eq!(config.now.map(|now| now.timestamp()), Some(1_795_154_400));
        assert_eq!((config.limits[0].requests, config.limits[0].window_ms), (600, 60_000));
        let faults: Vec<(f64, &Fault)> =
            config.faults.iter().map(|rule| (rule.probability, &rule.fault)).collect();
        let latency = Fault::Latency { ms: 50, jitter_ms: 25, per_row_us: 0 };
        assert_eq!(faults, [(0.02, &Fault::Status { status: 503 }), (1.0, &latency)]);
        assert!(config.check().is_ok());
    }

    #[test]
    fn without_flags_it_is_the_default() {
        assert_eq!(described_by(&[]), SimulatorConfig::default());
    }

    #[test]
    fn a_fault_is_given_as_json() {
        let config =
            described_by(&["--fault", r##"{"fault":{"status":{"status":500}},"nth":[2],"tenant":"#1"}"##]);
        assert_eq!(config.faults[0].nth, [2]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Cli::try_parse_from(["tenantry", "simulate", "--now", "tomorrow"]).is_err());
        for text in ["600", "0/60s", "x/60s", "600/soon", "600/0s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["2", "-0.1", "NaN", "half"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(fault("{}").is_err());
    }
}

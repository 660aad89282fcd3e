//! Flags, environment and run file become plain settings; nothing below looks at any of the three again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{SubsecRound, TimeDelta};
use connectors::ConnectorConfig;
use connectors::rapid7::{KeyConfig, in_host};
use pipeline::{
    Ask, Dataset, Error, ErrorKind, ReadMode, Reading, Region, Result, Secret, Tenant, Timestamp, Window,
};
use sinks::SinkConfig;

use crate::catalogue::catalogue;
use crate::env::{self, Environment};
use crate::run_file::{DatasetEntry, RunFile};
use crate::since::{Since, Span};
use crate::suggest;
use crate::tenant::{Narrowing, Pattern, TenantRules};

/// The run file that is read when none is named.
pub const DEFAULT_PATH: &str = "tenantry.toml";

/// What the command line says about a run.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Each `--tenant`.
    pub tenants: Vec<Pattern>,
    /// Each `--dataset`.
    pub datasets: Vec<String>,
    /// Each `--region`.
    pub regions: Vec<Region>,
    /// What is asked for beside what is due.
    pub again: Again,
}

/// What `run` reads beside, or instead of, what is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Again {
    /// `--since`.
    pub since: Option<Since>,
    /// `--until`.
    pub until: Option<Since>,
    /// `--full-refresh`.
    pub everything: bool,
}

impl Again {
    /// Returns what is asked of a pull that begins at an instant.
    fn of(self, begins: Timestamp, now: Timestamp) -> Result<Ask> {
        if self.everything {
            return Ok(Ask::Everything);
        }
        if self.since.is_none() && self.until.is_none() {
            return Ok(Ask::Due);
        }
        let usage = |flag, message| Error::new(ErrorKind::Usage, format!("read {flag}: {message}"));
        let instant = |flag: &'static str, at: Option<Since>, otherwise| match at {
            Some(at) => at.before(now).map_err(|message| usage(flag, message)),
            None => Ok(otherwise),
        };
        let since = instant("--since", self.since, begins)?;
        let until = instant("--until", self.until, now)?;
        if since >= until {
            let spelled = |at: Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Err(usage(
                "--until",
                format!("{} is not after --since, {}", spelled(until), spelled(since)),
            )
            .with_hint("give a beginning with `--since` and a later end with `--until`"));
        }
        Ok(Ask::Span(Window { since: since.trunc_subsecs(3), until: until.trunc_subsecs(3) }))
    }
}

/// Everything a command needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run file these came from.
    pub path: PathBuf,
    /// The platform.
    pub connector: ConnectorConfig,
    /// Where the data goes.
    pub sink: SinkConfig,
    /// The run file's rules about tenants.
    pub tenants: TenantRules,
    /// The tenants that the run file writes down; where there are any, no list is asked for.
    pub written_down: Vec<Tenant>,
    /// What the command line narrows.
    pub narrowing: Narrowing,
    /// What is pulled of every tenant.
    pub pulls: Vec<Pull>,
    /// The chosen datasets that are left out because only a span of time is asked for.
    pub left_out: Vec<&'static str>,
    /// How many partitions are open at once.
    pub concurrency: NonZeroU32,
}

/// The chosen datasets that one reading fills.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The datasets, at least one.
    pub datasets: Vec<Arc<Dataset>>,
    /// How it is read over time.
    pub reading: Reading,
    /// How old its data may become before it is late.
    pub fresh_within: TimeDelta,
}

/// Returns the settings of a command that is given at `now`.
///
/// # Errors
/// Where the run file is wrong, or a flag names what the run file doesn't have.
pub fn resolve(flags: &Flags, environment: &Environment, now: Timestamp) -> Result<Settings> {
    let path = run_file_path(flags.config.as_deref(), environment)?;
    let file = RunFile::read(&path, now)?;
    settings(file, path, flags, now)
}

/// Returns the settings of a run file that is already read.
///
/// # Errors
/// Where a flag names what the run file doesn't have.
pub fn settings(mut file: RunFile, path: PathBuf, flags: &Flags, now: Timestamp) -> Result<Settings> {
    let (pulls, left_out) = pulls(&file, flags, now)?;
    regions_of(&mut file).for_each(|region| *region = in_host(region.clone()));
    Ok(Settings {
        path,
        pulls,
        left_out,
        connector: file.connector,
        sink: file.sink,
        tenants: file.tenants,
        written_down: file.tenant.iter().map(Tenant::from).collect(),
        narrowing: Narrowing {
            tenants: flags.tenants.clone(),
            regions: flags.regions.iter().cloned().map(in_host).collect(),
        },
        concurrency: file.run.concurrency,
    })
}

/// Returns every region that a run file names.
fn regions_of(file: &mut RunFile) -> impl Iterator<Item = &mut Region> {
    let ConnectorConfig::Rapid7(config) = &mut file.connector;
    let written_down = file.tenant.iter_mut().map(|tenant| &mut tenant.region);
    file.tenants.regions.values_mut().chain(written_down).chain([&mut config.home_region])
}

/// Returns which run file is meant: the flag's, else the environment's, else the one in this directory.
///
/// # Errors
/// Where the variable is no text.
pub fn run_file_path(flag: Option<&Path>, environment: &Environment) -> Result<PathBuf> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    Ok(environment.get(env::CONFIG)?.map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from))
}

/// Returns the key where the run file names a variable for it, and nothing where it is found elsewhere.
///
/// # Errors
/// Where the variable is not set.
pub fn key(connector: &ConnectorConfig, environment: &Environment) -> Result<Option<Secret>> {
    let ConnectorConfig::Rapid7(config) = connector;
    let KeyConfig::Env(name) = &config.key else { return Ok(None) };
    match environment.get(name)? {
        Some(text) => Ok(Some(Secret::new(text.trim()))),
        None => Err(Error::new(
            ErrorKind::Config,
            format!("find the key: the environment variable {name} is not set, or is empty"),
        )
        .with_hint(format!(
            "put the key into {name}, or let the run file name a `file` or a `command` for it"
        ))),
    }
}

/// Returns what is pulled, and the datasets that are left out because they are not read by time.
fn pulls(file: &RunFile, flags: &Flags, now: Timestamp) -> Result<(Vec<Pull>, Vec<&'static str>)> {
    let chosen = &flags.datasets;
    let named: Vec<&str> = file.dataset.iter().map(|entry| entry.name.as_str()).collect();
    if let Some(unknown) = chosen.iter().find(|name| !named.contains(&name.as_str())) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("choose the datasets: the run file does not name `{unknown}`"),
        )
        .with_hint(suggest::hint(unknown, &named, "datasets in the run file")));
    }
    let known = catalogue(&file.connector);
    let mut pulls: BTreeMap<&str, Pull> = BTreeMap::new();
    let wanted = |name: &String| chosen.is_empty() || chosen.contains(name);
    for entry in file.dataset.iter().filter(|entry| wanted(&entry.name)) {
        let Some(dataset) = known.iter().find(|dataset| dataset.name == entry.name) else { continue };
        let pull = match pulls.entry(dataset.pull) {
            Entry::Occupied(pull) => pull.into_mut(),
            Entry::Vacant(place) => place.insert(pull(entry, flags.again, now)?),
        };
        pull.datasets.push(dataset.clone());
    }
    let is_asked =
        |pull: &Pull| pull.datasets[0].mode == ReadMode::Window || !matches!(pull.reading.ask, Ask::Span(_));
    let (pulls, left_out): (Vec<Pull>, Vec<Pull>) = pulls.into_values().partition(is_asked);
    if !left_out.is_empty() && pulls.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "choose the datasets: none of them is read by time")
            .with_hint("`--since` and `--until` are for datasets that are; `tenantry datasets` says which"));
    }
    let names = left_out.iter().flat_map(|pull| &pull.datasets).map(|dataset| dataset.name);
    Ok((pulls, names.collect()))
}

fn pull(entry: &DatasetEntry, again: Again, now: Timestamp) -> Result<Pull> {
    let since = entry.since.unwrap_or(Since::DEFAULT).before(now);
    let since =
        since.map_err(|message| Error::new(ErrorKind::Config, format!("read {}: {message}", entry.name)))?;
    let every = entry.every.map_or(1, |days| days.0);
    let reading = Reading {
        since,
        overlap: entry.overlap.unwrap_or(Span::OVERLAP).0,
        every,
        full_every: entry.full_every.map(|days| days.0),
        only_changes: entry.only_changes,
        ask: again.of(since, now)?,
    };
    // A nightly run does not begin and end at the same minute each night.
    let usual = TimeDelta::days(every.into()) + TimeDelta::hours(2);
    let fresh_within = entry.fresh_within.map_or(usual, |span| span.0);
    Ok(Pull { datasets: Vec::new(), reading, fresh_within })
}

#[cfg(test)]
mod tests;

//! `tenantry plan`: what a run would spend, from what the last one spent.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use connectors::ConnectorConfig;
use connectors::http::BudgetScope;
use pipeline::run::due;
use pipeline::{
    Dataset, Error, ErrorKind, Job, Partition, Receipt, Result, Sink, Standing, TenantId, Timestamp,
};
use serde::Serialize;

use super::Context;
use crate::args::RunArgs;
use crate::jobs::Work;
use crate::table::{bytes, count, several, table};
use crate::{failure, platform};

/// What one line of the plan comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Cost {
    region: String,
    /// The part of the platform whose budget it spends.
    #[serde(skip)]
    family: &'static str,
    datasets: String,
    tenants: u64,
    /// Tenants that have nothing left to read.
    up_to_date: u64,
    /// Tenants of whom nothing is known yet: each costs at least one request, and maybe many.
    unknown: u64,
    requests: u64,
    bytes: u64,
    /// Seconds that one reader after another would take.
    seconds: f64,
}

/// What a run would spend.
#[derive(Debug, Serialize)]
struct Plan {
    lines: Vec<Cost>,
    requests: u64,
    bytes: u64,
    /// How long it would take at the speed of earlier runs, and no less than the configured budgets say; nothing
    /// where neither tells.
    minutes: Option<f64>,
    /// Whether a configured budget is what takes the time.
    #[serde(skip)]
    is_held_back: bool,
    /// Whether a part of it was never read, so that the numbers are the least it can be.
    at_least: bool,
    unplaced_tenants: u64,
}

pub(super) async fn plan(args: &RunArgs, context: &Context) -> Result<u8> {
    let settings = context.settings_of_run(args)?;
    let sink = settings.sink.open()?;
    let history = History::of(sink.standings().await?.known.into_values());
    let connector = platform::connect(&settings, context).await?;
    let listed = platform::tenants(&settings, connector.as_ref(), &context.console).await?;
    let work = Work::new(&settings, listed, connector.account())?;
    for warning in &work.warnings {
        context.console.warn(warning);
    }
    let clock = platform::clock(&context.clock, connector.as_ref(), &context.console);
    let (lines, unreadable) = lines(&work, &history, sink.as_ref(), clock.now()).await?;
    let plan = Plan::of(lines, work.unplaced.len() as u64, history.at_once, &settings.connector);
    if context.console.json {
        context.console.json(&plan)?;
    } else {
        context.console.data(&plan.table())?;
        context.console.say(&plan.words());
    }
    Ok(failure::tell_each(&unreadable, &context.console))
}

/// Returns the costs by region and pull, and why some pulls would not be asked for anything.
async fn lines(
    work: &Work,
    history: &History,
    sink: &dyn Sink,
    now: Timestamp,
) -> Result<(Vec<Cost>, Vec<Error>)> {
    let mut unreadable = Vec::new();
    let mut lines: BTreeMap<(String, &str), Cost> = BTreeMap::new();
    for job in &work.jobs {
        let standing = match sink.standing(&job.tenant.id, job.pull()).await {
            Err(error) if error.kind() == ErrorKind::Damaged => {
                unreadable.push(error.with_context("tenant", job.tenant.id.as_str()));
                continue;
            }
            standing => standing?,
        };
        let open = due(job, &standing.checkpoint_of(job), now);
        let names: Vec<&str> = job.datasets.iter().map(|dataset| dataset.name).collect();
        let line = lines.entry((job.region.to_string(), job.pull())).or_insert_with(|| Cost {
            region: job.region.to_string(),
            family: job.datasets[0].family,
            datasets: names.join(", "),
            ..Cost::default()
        });
        history.add(job, open.as_ref(), line);
    }
    Ok((lines.into_values().collect(), unreadable))
}

/// What was read before.
struct History {
    /// The last committed receipt of each tenant and dataset.
    receipts: BTreeMap<(TenantId, String), Receipt>,
    /// How many of these readings went on at once, in the mean.
    at_once: f64,
}

impl History {
    fn of(standings: impl Iterator<Item = Standing>) -> Self {
        let mut receipts = BTreeMap::new();
        let mut spans = Vec::new();
        for standing in standings {
            // Datasets of one standing come from the same readings.
            spans.extend(standing.receipts.first().map(|it| (it.started_at, it.finished_at)));
            let keyed = |it: Receipt| ((it.organization_id.clone(), it.dataset.clone()), it);
            receipts.extend(standing.receipts.into_iter().map(keyed));
        }
        Self { receipts, at_once: at_once(spans) }
    }

    /// Adds what a job's open partitions would cost.
    fn add(&self, job: &Job, open: Option<&Partition>, line: &mut Cost) {
        line.tenants += 1;
        let Some(partition) = open else {
            line.up_to_date += 1;
            return;
        };
        // What one reading costs stands in the receipt of each dataset that it fills.
        let last = job
            .datasets
            .iter()
            .find_map(|it| self.receipts.get(&(job.tenant.id.clone(), it.name.to_owned())));
        let Some(last) = last else {
            line.unknown += 1;
            line.requests += 1;
            return;
        };
        let expected = Expected::of(last, partition, &job.datasets[0]);
        line.requests += expected.requests;
        line.bytes += expected.bytes;
        line.seconds += expected.seconds;
    }
}

/// Returns how many spans of time lie over each other, in the mean of all the time that any covers; at least one.
fn at_once(mut spans: Vec<(Timestamp, Timestamp)>) -> f64 {
    spans.sort_unstable();
    let (mut all, mut covered) = (TimeDelta::zero(), TimeDelta::zero());
    let mut until = None;
    for (start, end) in spans {
        all += (end - start).max(TimeDelta::zero());
        let begins = until.map_or(start, |until| start.max(until));
        covered += (end - begins).max(TimeDelta::zero());
        until = until.max(Some(end));
    }
    (all.as_seconds_f64() / covered.as_seconds_f64().max(1e-6)).max(1.0)
}

/// Returns how many seconds the requests take where they are as many as the configured budgets let go.
fn held_back(lines: &[Cost], connector: &ConnectorConfig) -> f64 {
    let ConnectorConfig::Rapid7(config) = connector;
    let mut asked: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in lines {
        let region = match config.budget_scope {
            BudgetScope::Region => line.region.as_str(),
            BudgetScope::Key => "all of them",
        };
        *asked.entry((line.family, region)).or_default() += line.requests;
    }
    let seconds = asked
        .into_iter()
        .filter_map(|((family, _), requests)| Some(config.budget.get(family)?.seconds_for(requests)));
    // Budgets are spent beside each other.
    seconds.fold(0.0, f64::max)
}

/// What reading a partition is expected to cost.
#[derive(Debug, PartialEq)]
struct Expected {
    requests: u64,
    bytes: u64,
    seconds: f64,
}

impl Expected {
    /// Scales the last reading to the partition: a window of twice the length holds twice the records.
    fn of(last: &Receipt, partition: &Partition, dataset: &Dataset) -> Self {
        let length = |window: pipeline::Window| (window.until - window.since).num_seconds().max(1) as f64;
        let scale = match (last.window, partition.window) {
            (Some(was), Some(is)) => length(is) / length(was),
            _ => 1.0,
        };
        let records = last.counts.read as f64 * scale;
        let pages = if last.window.is_some() {
            (records / f64::from(dataset.page_size.max(1))).ceil() as u64
        } else {
            last.pages
        };
        let requests = pages.max(1);
        let took = (last.finished_at - last.started_at).as_seconds_f64().max(0.0);
        let seconds = took / last.requests.max(1) as f64 * requests as f64;
        Self { requests, bytes: (last.bytes as f64 * scale) as u64, seconds }
    }
}

impl Plan {
    fn of(lines: Vec<Cost>, unplaced_tenants: u64, at_once: f64, connector: &ConnectorConfig) -> Self {
        let seconds: f64 = lines.iter().map(|line| line.seconds).sum();
        let busy: u64 = lines.iter().map(|line| line.tenants - line.up_to_date).sum();
        let at_once = at_once.min(busy as f64).max(1.0);
        let at_speed = (seconds > 0.0).then_some(seconds / at_once / 60.0);
        // Where nothing else is known, a moment says nothing.
        let least = at_speed.unwrap_or(1.0);
        let held_back = Some(held_back(&lines, connector) / 60.0).filter(|minutes| *minutes > least);
        Self {
            requests: lines.iter().map(|line| line.requests).sum(),
            bytes: lines.iter().map(|line| line.bytes).sum(),
            minutes: held_back.or(at_speed),
            is_held_back: held_back.is_some(),
            at_least: lines.iter().any(|line| line.unknown > 0),
            unplaced_tenants,
            lines,
        }
    }

    fn table(&self) -> String {
        let rows = self.lines.iter().map(|line| {
            let known = line.unknown == 0;
            let least = |text: String| if known { text } else { format!(">= {text}") };
            vec![
                line.region.clone(),
                line.datasets.clone(),
                count(line.tenants),
                count(line.up_to_date),
                count(line.unknown),
                least(count(line.requests)),
                if known {
                    bytes(line.bytes)
                } else if line.bytes > 0 {
                    least(bytes(line.bytes))
                } else {
                    "?".to_owned()
                },
            ]
        });
        let columns = ["region", "dataset", "#tenants", "#up to date", "#never read", "#requests", "#bytes"];
        table(&columns, rows.collect())
    }

    fn words(&self) -> String {
        let least = if self.at_least { "at least " } else { "about " };
        let mut text = format!("a run would spend {least}{}", several(self.requests, "request"));
        if self.bytes > 0 {
            text.push_str(&format!(" and read {least}{}", bytes(self.bytes)));
        }
        let why = if self.is_held_back { "by the configured budget" } else { "at the last run's speed" };
        match self.minutes {
            Some(minutes) if minutes < 1.0 => text.push_str(&format!(", in under a minute {why}")),
            Some(minutes) => {
                text.push_str(&format!(", in {least}{} {why}", several(minutes.ceil() as u64, "minute")));
            }
            None if self.requests == 0 => {
                text = "a run would ask for nothing: everything is up to date".to_owned();
            }
            None => text.push_str("; how long that takes is not known before the first run"),
        }
        if self.at_least {
            text.push_str("\nof what was never read nothing is known but that it costs one request or more");
        }
        if self.unplaced_tenants > 0 {
            let tenants = several(self.unplaced_tenants, "tenant");
            text.push_str(&format!("\n{tenants} without a region would be asked for nothing"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_readings_that_went_on_together() {
        let check = |spans: &[(i64, i64)], expected: f64| {
            let at = |second| Timestamp::from_timestamp(second, 0).expect("a time");
            let at_once = at_once(spans.iter().map(|(start, end)| (at(*start), at(*end))).collect());
            assert!((at_once - expected).abs() < 1e-9, "{spans:?}: {at_once}");
        };
        check(&[], 1.0);
        check(&[(5, 5)], 1.0);
        check(&[(0, 10), (20, 30)], 1.0);
        check(&[(0, 10), (0, 10), (5, 10), (90, 100)], 1.75);
        check(&[(2, 4), (0, 10)], 1.2);
        // Another night's readings, and a clock that went back.
        check(&[(0, 10), (0, 10), (7, 3), (1000, 1010), (1000, 1010)], 2.0);
    }

    #[test]
    fn the_minutes_are_those_of_as_many_at_once_as_there_are_to_read() {
        let minutes = |tenants, up_to_date, at_once| {
            let line = Cost { tenants, up_to_date, seconds: 600.0, requests: 1, ..Cost::default() };
            Plan::of(vec![line], 0, at_once, &connector("region")).minutes
        };
        assert_eq!(minutes(100, 0, 4.0), Some(2.5));
        assert_eq!(minutes(100, 98, 4.0), Some(5.0));
        assert_eq!(minutes(1, 0, 1.0), Some(10.0));
    }

    /// Returns a connector of so many requests in a minute, or more of them in a second.
    fn connector(scope: &str) -> ConnectorConfig {
        let connector = serde_json::json!({ "rapid7": {
            "parent_organization": "p",
            "home_region": "us",
            "key": { "env": "KEY" },
            "budget_scope": scope,
            "budget": {
                "idr": { "requests": 10, "per": "60s" },
                "vm": { "requests": 100, "per": "1s" },
            },
        }});
        serde_json::from_value(connector).expect("a connector")
    }

    #[test]
    fn the_minutes_are_no_fewer_than_the_configured_budgets_grant() {
        let line = |region: &str, family, requests, seconds| Cost {
            region: region.to_owned(),
            family,
            requests,
            seconds,
            tenants: 1,
            ..Cost::default()
        };
        let check = |scope: &str, lines: &[Cost], minutes: Option<f64>, said: &str| {
            let plan = Plan::of(lines.to_vec(), 0, 1.0, &connector(scope));
            assert_eq!(plan.minutes, minutes, "{lines:?}");
            assert!(plan.words().contains(said), "{said:?} is missing in {}", plan.words());
        };
        let lines = [
            line("us", "idr", 150, 3.0),
            line("us", "idr", 55, 3.0),
            line("eu", "idr", 100, 3.0),
            line("eu", "vm", 900, 21.0),
        ];
        check("region", &lines, Some(20.0), "in about 20 minutes by the configured budget");
        check("key", &lines, Some(30.0), "in about 30 minutes by the configured budget");
        check("key", &lines[3..], Some(0.35), "in under a minute at the last run's speed");
        check("key", &[line("us", "alerts", 150, 90.0)], Some(1.5), "in about 2 minutes at the last run's");
        let never_read = |requests| [Cost { unknown: 1, ..line("us", "idr", requests, 0.0) }];
        check("region", &never_read(25), Some(2.0), "in at least 2 minutes by the configured budget");
        check("region", &never_read(5), None, "is not known before the first run");
    }
}

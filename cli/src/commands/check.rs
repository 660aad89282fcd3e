//! `tenantry check`: everything that a run needs, tried one by one, a line for each.

use std::collections::BTreeSet;
use std::sync::Arc;

use config::Settings;
use futures::StreamExt;
use pipeline::run::due;
use pipeline::{Checkpoint, Connector, Error, ErrorKind, Job, Result, Timestamp};
use serde::Serialize;

use super::Context;
use crate::args::{Check, Narrow};
use crate::console::Console;
use crate::jobs::Work;
use crate::table::several;
use crate::{exit_code, failure, platform};

/// The lines of a check, as they come.
struct Lines<'a> {
    console: &'a Console,
    lines: Vec<Line>,
    code: u8,
}

/// What one thing was found to be.
#[derive(Serialize)]
struct Line {
    what: String,
    ok: bool,
    found: String,
}

pub(super) async fn check(args: &Check, context: &Context) -> Result<u8> {
    let mut lines = Lines { console: &context.console, lines: Vec::new(), code: exit_code::OK };
    let settings = context.settings(&Narrow::default())?;
    let datasets: usize = settings.pulls.iter().map(|pull| pull.datasets.len()).sum();
    let found = format!("{}: {}", settings.path.display(), several(datasets as u64, "dataset"));
    let filled_in = platform::check(&settings);
    let may_ask = filled_in.is_ok() && !args.offline;
    lines.line("run file", filled_in.map(|()| found))?;
    if may_ask {
        lines.online(&settings, context).await?;
    }
    if context.console.json {
        context.console.json(&lines.lines)?;
    }
    Ok(lines.code)
}

impl Lines<'_> {
    async fn online(&mut self, settings: &Settings, context: &Context) -> Result<()> {
        self.sink(settings, context).await?;
        let Some((connector, work)) = self.platform(settings, context).await? else { return Ok(()) };
        let mut tried: BTreeSet<&str> = BTreeSet::new();
        for job in &work.jobs {
            if tried.insert(job.pull()) {
                self.dataset(job, connector.as_ref(), context.clock.now()).await?;
            }
        }
        Ok(())
    }

    async fn sink(&mut self, settings: &Settings, context: &Context) -> Result<()> {
        let tried = async { settings.sink.open()?.prepare(&context.run_id()).await }.await;
        self.line("sink", tried.map(|()| "can be written".to_owned()))
    }

    /// Tries the key and the tenant list: the list is what proves the key.
    async fn platform(
        &mut self,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<(Arc<dyn Connector>, Work)>> {
        let connector = match platform::connect(settings, context).await {
            Ok(connector) => connector,
            Err(error) => return self.line("key", Err(error)).map(|()| None),
        };
        let listed = match platform::tenants(settings, connector.as_ref(), &context.console).await {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::Auth => {
                return self.line("key", Err(error)).map(|()| None);
            }
            Err(error) => {
                self.good("key", "was found, but is not proven".to_owned())?;
                return self.line("tenants", Err(error)).map(|()| None);
            }
        };
        let proven = if settings.written_down.is_empty() { "is accepted" } else { "was found" };
        // A key is fingerprinted when it is first used, so only now is it known.
        let fingerprint = Some(connector.key_fingerprint()).filter(|text| !text.is_empty());
        let known = fingerprint.map_or_else(String::new, |text| format!(" (fingerprint {text})"));
        self.good("key", format!("{proven}{known}"))?;
        match Work::new(settings, listed, connector.account()) {
            Err(error) => self.line("tenants", Err(error)).map(|()| None),
            Ok(work) => {
                self.tenants(&work)?;
                Ok(Some((connector, work)))
            }
        }
    }

    fn tenants(&mut self, work: &Work) -> Result<()> {
        self.good("tenants", by_region(work))?;
        for warning in &work.warnings {
            self.console.warn(warning);
        }
        if !work.unplaced.is_empty() {
            let names: Vec<_> =
                work.unplaced.iter().map(|tenant| format!("{} ({})", tenant.name, tenant.id)).collect();
            self.console
                .warn(&format!("without a region, so nothing can be asked of them: {}", names.join(", ")));
        }
        Ok(())
    }

    /// Asks the first tenant that has the dataset for its first page.
    async fn dataset(&mut self, job: &Job, connector: &dyn Connector, now: Timestamp) -> Result<()> {
        let found = match due(job, &Checkpoint::default(), now) {
            Some(partition) => connector.read(&partition).next().await.transpose(),
            None => Ok(None),
        };
        let names: Vec<&str> = job.datasets.iter().map(|dataset| dataset.name).collect();
        let asked = format!("asked {} in {}", job.tenant.name, job.region);
        let found = found.map(|batch| match batch.and_then(|batch| batch.tally.claimed_last) {
            Some(claimed) => format!("answers: {} ({asked})", several(claimed, "record")),
            None => format!("answers ({asked})"),
        });
        let found = found.map_err(|error| error.with_context("tenant", job.tenant.name.clone()));
        self.line(&names.join(", "), found)
    }

    fn good(&mut self, what: &str, found: String) -> Result<()> {
        self.line(what, Ok(found))
    }

    /// Writes a line; the first thing that is not good decides the exit code.
    fn line(&mut self, what: &str, found: Result<String>) -> Result<()> {
        let (ok, text) = match &found {
            Ok(text) => (true, text.clone()),
            Err(error) => (false, error.chain()),
        };
        if !self.console.json {
            let mark = if ok { "ok  " } else { "FAIL" };
            self.console.data(&format!("{mark}  {what}: {text}"))?;
        }
        self.lines.push(Line { what: what.to_owned(), ok, found: text });
        if let Err(error) = found {
            self.tell(&error);
        }
        Ok(())
    }

    fn tell(&mut self, error: &Error) {
        if self.code == exit_code::OK {
            self.code = exit_code::of_error(error.kind());
        }
        failure::tell_rest(error, self.console);
    }
}

fn by_region(work: &Work) -> String {
    let regions = work.tenants();
    let all: usize = regions.values().map(BTreeSet::len).sum();
    let each: Vec<String> = regions.iter().map(|(region, ids)| format!("{region} {}", ids.len())).collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    format!("{}{each}", several(all as u64, "tenant"))
}

//! `tenantry report`: what was covered in a month, what was not and why, for paper and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use config::{Pull, Settings};
use pipeline::dataset::Scope;
use pipeline::{Error, ErrorKind, Result};

use super::Context;
use crate::args::{Narrow, ReportArgs};
use crate::compliance::{Pace, Report, Sources, html};
use crate::table::{count, several};
use crate::{exit_code, file};

pub(super) fn report(args: &ReportArgs, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let now = context.clock.now();
    let span = args.month.span();
    if span.since > now {
        return Err(Error::new(ErrorKind::Usage, format!("report on {}: it has not begun", args.month))
            .with_hint("name this month or an earlier one, such as `--month 2026-10`"));
    }
    let report = Report::new(Sources {
        month: args.month,
        now,
        lake: settings.sink.place(),
        evidence: settings.sink.evidence(span)?,
        registry: settings.sink.tenants()?,
        paces: paces(&settings),
        of_tenants: of_tenants(&settings),
    });
    let console = &context.console;
    let json = serde_json::to_string_pretty(&report)
        .map_err(|error| Error::new(ErrorKind::Bug, "write JSON").with_source(error))?;
    let here = || (!console.json).then(|| PathBuf::from("."));
    if let Some(folder) = args.into.clone().or_else(here) {
        if lies_in(&folder, Path::new(&settings.sink.place())) {
            return Err(Error::new(ErrorKind::Usage, "write the report: the folder lies in the lake")
                .with_hint(
                    "name another one with `--into DIR`: the lake holds what runs wrote, and nothing else",
                ));
        }
        for (kind, text) in [("html", &html::page(&report)), ("json", &format!("{json}\n"))] {
            let path = folder.join(format!("tenantry-{}.{kind}", args.month));
            file::put(&path, text, true).map_err(|error| {
                file::refused("write the report", &path, error, "name another folder with `--into DIR`")
            })?;
            if !console.json {
                console.data(&path.display().to_string())?;
            }
        }
    }
    if console.json {
        console.data(&json)?;
    }
    console.say(&told(&report, args));
    if !report.is_sound() {
        console.warn(
            "the records are not as they were written: the report says where, `tenantry verify` tells more",
        );
        return Ok(exit_code::SINK);
    }
    Ok(exit_code::OK)
}

/// Returns how often each dataset is read.
fn paces(settings: &Settings) -> BTreeMap<String, Pace> {
    let of_pull = |pull: &Pull| {
        let pace = Pace { every: u64::from(pull.reading.every), fresh_within: pull.fresh_within };
        pull.datasets.iter().map(move |dataset| (dataset.name.to_owned(), pace)).collect::<Vec<_>>()
    };
    settings.pulls.iter().flat_map(of_pull).collect()
}

/// Returns the datasets that every tenant has.
fn of_tenants(settings: &Settings) -> BTreeSet<String> {
    let datasets = settings.pulls.iter().flat_map(|pull| &pull.datasets);
    let of_tenants = datasets.filter(|dataset| dataset.scope == Scope::Tenant);
    of_tenants.map(|dataset| dataset.name.to_owned()).collect()
}

fn told(report: &Report, args: &ReportArgs) -> String {
    if report.is_empty() {
        return format!("nothing was read in {}: the report says so", args.month);
    }
    let (whole, all) = report.whole();
    format!(
        "{} of {} covered without a gap, each tenant's counted apart",
        count(whole),
        several(all, "dataset")
    )
}

/// Returns whether a folder that may not be there yet lies in another one.
fn lies_in(folder: &Path, other: &Path) -> bool {
    let there = folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs_err::canonicalize(folder).ok()
    });
    there.zip(fs_err::canonicalize(other).ok()).is_some_and(|(there, other)| there.starts_with(other))
}

//! `tenantry demo`: the simulated platform pulled into a lake, without a key or a network.

use std::path::{Path, PathBuf};

use config::{Flags, RunFile};
use pipeline::{Error, ErrorKind, ReadMode, Result, Secret};
use simulator::{Handle, SimulatorConfig};

use super::{Context, run};
use crate::args::Demo;
use crate::table::several;
use crate::{exit_code, simulated};

/// How the run file begins that the demo leaves beside its lake, for the commands that look at one.
const OURS: &str = "# The simulated platform that this file leads to ended with the demo.\n";

pub(super) async fn demo(args: &Demo, context: &Context) -> Result<u8> {
    let console = &context.console;
    let place = &args.into;
    let kept = PathBuf::from(format!("{}.toml", place.components().as_path().display()));
    let is_anothers =
        kept.exists() && !fs_err::read_to_string(&kept).is_ok_and(|text| text.starts_with(OURS));
    let taken = if sinks::is_foreign(place) { Some(place) } else { Some(&kept).filter(|_| is_anothers) };
    if let Some(taken) = taken {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("write the demo's lake: {} is there, and holds something else", taken.display()),
        )
        .with_hint("choose another folder with `--into DIR`"));
    }
    let platform = simulated::start(SimulatorConfig::default()).await?;
    let tenants = several(platform.tenants().len() as u64, "tenant");
    console.say(&format!("a simulated platform with {tenants} answers at {}", platform.endpoint()));
    let place_at_all = std::path::absolute(place).unwrap_or_else(|_| place.clone());
    let text = run_file(&platform, &place_at_all);
    let file = RunFile::parse(&text, Path::new("the demo's run file"), context.clock.now())?;
    let settings =
        config::resolve::settings(file, PathBuf::from("demo"), &Flags::default(), context.clock.now())?;
    let connector = settings.connector.connect(Some(Secret::new(simulated::key(&platform)?))).await?;
    let summary = run::work_off(&settings, connector, context).await?;
    platform.stop().await;
    fs_err::write(&kept, format!("{OURS}{text}"))
        .map_err(|error| Error::new(ErrorKind::Sink, "keep the demo's run file").with_source(error))?;
    run::tell(&summary, console)?;
    console.say(&next(place, &kept));
    Ok(exit_code::of_run(&summary))
}

/// Returns a run file for every dataset, into the place.
fn run_file(platform: &Handle, place: &Path) -> String {
    let datasets: String = connectors::rapid7::datasets::all()
        .iter()
        .map(|dataset| match dataset.mode {
            ReadMode::Snapshot => format!("[[dataset]]\nname = \"{}\"\n", dataset.name),
            ReadMode::Window => format!("[[dataset]]\nname = \"{}\"\nsince = \"90d\"\n", dataset.name),
        })
        .collect();
    // A path is quoted as TOML quotes it, so that one with a backslash or a quote stays itself.
    let url = toml_text(&place.to_string_lossy());
    format!("{}\n{datasets}\n[sink.parquet]\nurl = {url}\n", simulated::connector_table(platform))
}

/// Returns a text as TOML writes it; JSON's quotes and escapes are TOML's too.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns what to do next.
fn next(place: &Path, run_file: &Path) -> String {
    let (lake, run_file) = (place.display(), run_file.display());
    format!(
        "\nthe lake is {lake}; look at it with any reader of Parquet, such as\n\n  \
         duckdb -c \"SELECT region, organization_name, count(*) AS investigations\n             \
         FROM '{lake}/investigations/**/*.parquet' GROUP BY ALL ORDER BY ALL\"\n\n\
         what was committed:\n  \
         tenantry status --config {run_file}          how far each tenant is\n  \
         tenantry verify --config {run_file}          every file is what its receipt says\n  \
         tenantry rejects list --config {run_file}    records that fit no column, and why\n\n\
         next:\n  \
         tenantry demo        once more: only what may have changed is read\n  \
         tenantry datasets    what can be pulled\n  \
         tenantry simulate    the simulated platform with limits and faults, to rehearse against\n  \
         tenantry init        a run file for your own tenants"
    )
}

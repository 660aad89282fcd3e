//! `tenantry demo`: the simulated platform pulled into a lake, without a key or a network.

use std::path::{Path, PathBuf};

use config::{Flags, RunFile};
use pipeline::{Error, ErrorKind, ReadMode, Result, Secret};
use simulator::{Handle, SimulatorConfig};

use super::{Context, for_a_shell, run};
use crate::args::Demo;
use crate::table::several;
use crate::{exit_code, file, simulated};

/// How the run file begins that the demo leaves beside its lake, for the commands that look at one.
const OURS: &str = "# The simulated platform that this file would lead to ended with the demo.\n";

/// Where nobody can wait for a key: no server listens at port 0.
const NOWHERE: &str = "http://127.0.0.1:0/{region}";

pub(super) async fn demo(args: &Demo, context: &Context) -> Result<u8> {
    let console = &context.console;
    let place = &args.into;
    if let Some(file) = &context.global.config {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("run the demo with {}: it writes a run file of its own", file.display()),
        )
        .with_hint(
            "leave `--config` out: `--into DIR` says where the lake goes, and the run file beside it",
        ));
    }
    let kept = beside(place)?;
    let is_kept = fs_err::symlink_metadata(&kept).is_ok();
    let is_anothers = is_kept && !fs_err::read_to_string(&kept).is_ok_and(|text| text.starts_with(OURS));
    // A lake without the file is somebody's own: made-up tenants have no place in it.
    let is_empty = fs_err::read_dir(place).map_or(true, |mut entries| entries.next().is_none());
    let is_taken = sinks::is_foreign(place) || !is_kept && !is_empty;
    let taken = if is_taken { Some(place) } else { Some(&kept).filter(|_| is_anothers) };
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
    if !is_kept {
        let text = format!("{OURS}{}", text.replace(&platform.endpoint(), NOWHERE));
        file::put(&kept, &text, false).map_err(|error| {
            file::refused("keep the demo's run file", &kept, error, "choose another folder with `--into DIR`")
        })?;
    }
    let connector = settings.connector.connect(Some(Secret::new(simulated::key(&platform)?))).await?;
    let summary = run::work_off(&settings, connector, context).await?;
    platform.stop().await;
    run::tell(&summary, console)?;
    console.say(&next(place, &kept));
    Ok(exit_code::of_run(&summary))
}

/// Returns where the run file stands that leads to a lake: beside it.
fn beside(lake: &Path) -> Result<PathBuf> {
    let named = match lake.file_name() {
        Some(_) => lake.components().collect(),
        // `.` and `..` have names too.
        None => fs_err::canonicalize(lake).unwrap_or_default(),
    };
    if named.file_name().is_none() {
        return Err(Error::new(ErrorKind::Usage, format!("write the demo's lake into {}", lake.display()))
            .with_hint("choose another folder with `--into DIR`"));
    }
    Ok(PathBuf::from(format!("{}.toml", named.display())))
}

/// Returns a run file for every dataset, into the place.
fn run_file(platform: &Handle, place: &Path) -> String {
    let datasets: String = connectors::rapid7::datasets::all()
        .iter()
        .map(|dataset| match dataset.mode {
            ReadMode::Snapshot => format!("[[dataset]]\nname = \"{}\"\n", dataset.name),
            ReadMode::Window => format!("[[dataset]]\nname = \"{}\"\nsince = \"150d\"\n", dataset.name),
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
fn next(lake: &Path, run_file: &Path) -> String {
    let again = match lake == Path::new(crate::args::DEMO) {
        true => String::new(),
        false => format!(" --into {}", for_a_shell(lake.display())),
    };
    let files = lake.join("investigations/**/*.parquet").display().to_string().replace('\'', "''");
    let query = for_a_shell(format!(
        "SELECT region, organization_name, count(*) AS investigations\n             \
         FROM '{files}' GROUP BY ALL ORDER BY ALL"
    ));
    let (lake, run_file) = (lake.display(), for_a_shell(run_file.display()));
    format!(
        "\nthe lake is in {lake}; look at it with any reader of Parquet, such as\n\n  \
         duckdb -c {query}\n\n\
         what was committed:\n  \
         tenantry status --config {run_file}          how far each tenant is\n  \
         tenantry verify --config {run_file}          every file is what its receipt says\n  \
         tenantry rejects list --config {run_file}    records that fit no column, and why\n\n\
         next:\n  \
         tenantry demo{again}        once more: only what may have changed is read\n  \
         tenantry datasets    what can be pulled\n  \
         tenantry simulate    the simulated platform with limits and faults, to rehearse against\n  \
         tenantry init        a run file for your own tenants"
    )
}

//! `tenantry verify`: the lake against its receipts, offline.

use std::num::NonZeroU16;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pipeline::Result;
use sinks::{VerifyProgress, VerifyReport};

use super::Context;
use crate::args::{Narrow, Verify};
use crate::console::Console;
use crate::exit_code;
use crate::table::{bytes, count, several};

/// How often a plain line is written.
const TOLD_EVERY: Duration = Duration::from_secs(5);

pub(super) fn verify(args: &Verify, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, |threads| usize::from(NonZeroU16::get(threads)));
    let console = &context.console;
    let watch = Watch::new(console);
    let report = settings.sink.verify(threads, &|progress| watch.show(progress));
    watch.bar.finish_and_clear();
    let report = report?;
    if console.json {
        console.json(&report)?;
    } else {
        console.data(&told(&report))?;
    }
    Ok(if report.is_good() { exit_code::OK } else { exit_code::SINK })
}

fn told(report: &VerifyReport) -> String {
    let mut lines: Vec<String> =
        report.findings.iter().map(|finding| format!("{}: {}", finding.path, finding.sentence)).collect();
    if !report.leftovers.is_empty() {
        let files = several(report.leftovers.len() as u64, "uncommitted file");
        lines.push(format!("{files} of a run that works or was killed: the next run clears them away"));
    }
    let came_to = match report.findings.len() {
        0 => "everything is as the receipts say".to_owned(),
        findings => several(findings as u64, "finding"),
    };
    lines.push(format!(
        "{}, {}, {} checked in {}: {came_to}",
        several(report.files, "file"),
        several(report.rows, "row"),
        bytes(report.bytes),
        several(report.commits, "commit"),
    ));
    lines.join("\n")
}

/// Shows how far the reading is.
struct Watch<'a> {
    console: &'a Console,
    bar: ProgressBar,
    told_at: Mutex<Instant>,
}

impl<'a> Watch<'a> {
    fn new(console: &'a Console) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left")
            .expect("a fixed template");
        let bar = console.bars().add(ProgressBar::new(0).with_style(style));
        Self { console, bar, told_at: Mutex::new(Instant::now()) }
    }

    fn show(&self, progress: VerifyProgress) {
        let files = format!("{} of {} files", count(progress.files), count(progress.files_total));
        if self.console.interactive {
            self.bar.set_length(progress.bytes_total);
            self.bar.set_position(progress.bytes);
            self.bar.set_message(files);
            return;
        }
        let Ok(mut told_at) = self.told_at.lock() else { return };
        if told_at.elapsed() >= TOLD_EVERY {
            *told_at = Instant::now();
            self.console.say(&format!(
                "{files}, {} of {}",
                bytes(progress.bytes),
                bytes(progress.bytes_total)
            ));
        }
    }
}

//! The two streams: data to standard output, words to standard error, and progress in between.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use chrono::SecondsFormat;
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};
use pipeline::{Clock, Error, ErrorKind, Result, SystemClock};
use serde::Serialize;
use serde_json::json;

use crate::args::{ColorChoice, Global, LogFormat};

/// Where everything that is printed goes through.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    /// Whether a program reads standard output.
    pub(crate) json: bool,
    /// Whether progress and remarks are left out.
    pub(crate) quiet: bool,
    /// How log lines and errors are written.
    pub(crate) log_format: LogFormat,
    /// Whether a person watches standard error.
    pub(crate) interactive: bool,
    colour: bool,
    bars: Arc<MultiProgress>,
}

impl Console {
    pub(crate) fn new(global: &Global, no_colour: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let text = global.log_format == LogFormat::Text;
        let interactive = terminal && text && !global.quiet;
        let target = if interactive { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            json: global.json,
            quiet: global.quiet,
            log_format: global.log_format,
            interactive,
            colour: match global.color {
                ColorChoice::Auto => terminal && !no_colour,
                ColorChoice::Always => true,
                ColorChoice::Never => false,
            },
            bars: Arc::new(MultiProgress::with_draw_target(target)),
        }
    }

    /// Returns where progress bars are drawn.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Returns whether words on standard error are coloured.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Writes text to standard output; a reader that has gone away has read enough.
    pub(crate) fn data(&self, text: &str) -> Result<()> {
        let written = self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush())
        });
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::new(ErrorKind::Sink, "write to standard output").with_source(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a value as JSON to standard output.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::new(ErrorKind::Bug, "write JSON").with_source(error))?;
        self.data(&text)
    }

    /// Writes a remark, unless only warnings and errors are wanted or a program reads the log.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        match self.log_format {
            LogFormat::Text => self.words(text),
            LogFormat::Json => self.record("INFO", text, &json!({})),
        }
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, text: &str) {
        match self.log_format {
            LogFormat::Text => self.words(&format!("{} {text}", self.paint("warning:", AnsiColor::Yellow))),
            LogFormat::Json => self.record("WARN", text, &json!({})),
        }
    }

    /// Returns whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a person whether something is meant; where nobody can answer, a flag has to say so.
    pub(crate) fn confirm(&self, what: &str) -> Result<bool> {
        if !self.can_ask() {
            return Err(Error::new(ErrorKind::Usage, format!("{what}: nobody is there to confirm it"))
                .with_hint("say `--yes` if it is meant"));
        }
        self.bars.suspend(|| write!(io::stderr().lock(), "{what}? [y/N] ")).ok();
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Error::new(ErrorKind::Usage, "read the answer").with_source(error))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Returns a word in colour, where there is any.
    pub(crate) fn paint(&self, word: &str, colour: AnsiColor) -> String {
        if !self.colour {
            return word.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(colour.into()));
        format!("{style}{word}{style:#}")
    }

    /// Writes a line of a log in JSON: what every line has, as the log's own do, and what this one has besides.
    pub(crate) fn record(&self, level: &str, text: &str, more: &serde_json::Value) {
        let timestamp = SystemClock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut line = json!({
            "timestamp": timestamp, "level": level, "message": text, "target": env!("CARGO_PKG_NAME"),
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        self.words(&line.to_string());
    }

    /// Writes lines to standard error, above the progress bars.
    pub(crate) fn words(&self, text: &str) {
        self.bars.suspend(|| {
            // Nobody is left to tell when standard error itself is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}

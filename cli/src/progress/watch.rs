//! How far one piece of work is whose size is known: a bar on a terminal, a plain line now and then elsewhere.

use std::sync::Mutex;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::TOLD_EVERY;
use crate::console::Console;

/// Shows how far it is.
pub(crate) struct Watch {
    console: Console,
    bar: ProgressBar,
    told_at: Mutex<Instant>,
}

impl Watch {
    pub(crate) fn new(console: &Console) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left")
            .expect("a fixed template");
        let bar = console.bars().add(ProgressBar::new(0).with_style(style));
        Self { console: console.clone(), bar, told_at: Mutex::new(Instant::now()) }
    }

    /// Says how much of all is done, and in words where words are shown.
    pub(crate) fn show(&self, done: u64, all: u64, words: impl FnOnce() -> String) {
        if self.console.interactive {
            self.bar.set_length(all);
            self.bar.set_position(done);
            self.bar.set_message(words());
            return;
        }
        let Ok(mut told_at) = self.told_at.lock() else { return };
        if told_at.elapsed() >= TOLD_EVERY {
            *told_at = Instant::now();
            self.console.say(&words());
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

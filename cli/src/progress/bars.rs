//! Progress on a terminal: a bar for each region, the slowest tenants, and one line for all.

use std::collections::BTreeMap;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipeline::{BudgetUse, Region};

use super::state::{Active, State};
use crate::table::{count, span};

/// As many slow tenants as can be taken in at a glance.
const SLOWEST: usize = 3;

/// What stands on the terminal.
pub(super) struct Bars {
    all: MultiProgress,
    regions: BTreeMap<Region, ProgressBar>,
    slowest: Vec<ProgressBar>,
    line: ProgressBar,
}

impl Bars {
    pub(super) fn new(all: MultiProgress) -> Self {
        let words = ProgressStyle::with_template("{wide_msg}").expect("a fixed template");
        let text = || all.add(ProgressBar::new_spinner().with_style(words.clone()));
        Self { slowest: (0..SLOWEST).map(|_| text()).collect(), line: text(), regions: BTreeMap::new(), all }
    }

    /// Draws how far the run is.
    pub(super) fn draw(&mut self, state: &State, budgets: &[BudgetUse], now: Instant) {
        for (index, (region, told)) in state.regions.iter().enumerate() {
            let bar = self.regions.entry(region.clone()).or_insert_with(|| bar(&self.all, index, region));
            bar.set_length(told.jobs);
            bar.set_position(told.ended);
            bar.set_message(format!("{} records", count(told.records)));
        }
        let slowest = state.slowest(SLOWEST);
        for (index, line) in self.slowest.iter().enumerate() {
            line.set_message(slowest.get(index).map_or_else(String::new, |active| told(active, now)));
        }
        self.line.set_message(state.line(budgets, now));
    }

    /// Takes everything away again.
    pub(super) fn clear(self) {
        for bar in self.regions.values().chain(&self.slowest).chain([&self.line]) {
            bar.finish_and_clear();
        }
    }
}

/// Adds a region's bar at its place above the lines.
fn bar(all: &MultiProgress, index: usize, region: &Region) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<8} {bar:30} {pos:>6}/{len:<6} {msg}")
        .expect("a fixed template");
    all.insert(index, ProgressBar::new(0).with_style(style).with_prefix(region.to_string()))
}

fn told(active: &Active, now: Instant) -> String {
    let of = active.claimed.map_or_else(String::new, |claimed| format!(" of {}", count(claimed)));
    let Active { name, region, pull, records, began, .. } = active;
    format!(
        "  {name} ({region}) {pull}: {}{of} records, {}",
        count(*records),
        span(now.duration_since(*began))
    )
}

//! What time does to rows: when they come into being, are seen, change and go.
//!
//! Until the clock is moved, nothing here has happened: the rows of the start are all there is. From then on every moment
//! is a function of the start and of itself, so that it doesn't matter in which steps the clock got there.

use super::collection::RowId;
use super::dataset::Dataset;
use super::rng::{below, mix};
use super::world::{DAY_MS, Row, World};
use super::{alerts, investigations};
use crate::tenants::Tenant;

/// The first place of the rows that come into being after the start; those put at the end by hand stand before them.
pub(crate) const GROWN: u32 = 50_000_000;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The span over which shares of appearing and vanishing rows are told.
const MONTH_MS: i64 = 30 * DAY_MS;
/// How far back the scans of the start reach.
pub(crate) const SCANS_MS: i64 = 90 * DAY_MS;
/// How many changes a row sees at most.
const CHANGES: usize = 5;
/// When the last belated change may come.
const BELATED_MS: i64 = 30 * DAY_MS;

// The purposes of the draws made here.
const LATE: u64 = 40;
const CHANGE: u64 = 41;
const BIRTH: u64 = 42;
const DEATH: u64 = 43;
const TURN: u64 = 44;

/// How often new rows come: so many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    rows: i64,
    span_ms: i64,
}

impl Rate {
    fn step_ms(self) -> i64 {
        self.span_ms / self.rows
    }

    /// Returns when the turn of the new row of a number begins, counted from the start.
    fn turn_ms(self, number: i64) -> i64 {
        (i128::from(number) * i128::from(self.span_ms) / i128::from(self.rows)) as i64
    }

    /// Returns how many turns have begun.
    fn turns(self, elapsed_ms: i64) -> i64 {
        (i128::from(elapsed_ms) * i128::from(self.rows) / i128::from(self.span_ms)) as i64 + 1
    }
}

/// Returns how often a tenant's new rows come, if they do.
fn rate(world: &World, tenant: &Tenant, dataset: Dataset) -> Option<Rate> {
    let rows = i64::from(tenant.counts[dataset as usize]);
    let span_ms = match dataset {
        Dataset::Investigations | Dataset::Alerts => divided(world.history_ms, world.evolution.growth)?,
        Dataset::VmScans => divided(SCANS_MS, world.evolution.growth)?,
        Dataset::VmVulnerabilities => divided(MONTH_MS, world.evolution.new_definitions)?,
        _ if dataset.is_churned() => divided(MONTH_MS, world.evolution.churn)?,
        _ => return None,
    };
    (rows > 0 && span_ms >= rows).then_some(Rate { rows, span_ms })
}

/// Returns in how long as many rows come as there are, when a share of them comes in a span.
fn divided(span_ms: i64, share: f64) -> Option<i64> {
    // Beyond a thousand years it is never, and the sums stay small.
    let all_ms = span_ms as f64 / share;
    (all_ms < 1000.0 * 365.0 * DAY_MS as f64).then_some(all_ms as i64)
}

/// Returns when a row came into being; those of the start were there before the clock began to move.
pub(crate) fn born_ms(row: &Row) -> i64 {
    let (Some(number), Some(rate)) = (row.grown(), rate(row.world, row.tenant, row.dataset)) else {
        return row.world.origin_ms;
    };
    // Rows put before another share its time, so that they stay inside the same window.
    let hash = match row.dataset {
        Dataset::Investigations | Dataset::Alerts => mix(row.tenant.hash ^ u64::from(row.id.at)),
        _ => row.dice(BIRTH).draw(),
    };
    let jitter = below(hash, rate.step_ms().max(1) as u64) as i64;
    let time = row.world.origin_ms + rate.turn_ms(i64::from(number)) + jitter;
    // Where times are written in whole seconds, rows come in the one that is written, and not before the start.
    let whole = match row.dataset {
        Dataset::VmVulnerabilities => true,
        Dataset::Investigations => !investigations::has_fractions(row.tenant),
        _ => false,
    };
    if whole { (time.div_euclid(1000) + 1) * 1000 } else { time }
}

/// Returns when a grown row of a dataset that is listed by time can be seen for the first time.
///
/// An alert is raised some minutes before it is kept, and a few rows of either kind come much later than their time says.
pub(crate) fn visible_ms(row: &Row) -> i64 {
    let evolution = &row.world.evolution;
    let usual = match row.dataset {
        Dataset::Alerts => alerts::kept_ms(row),
        _ => row.time_ms(),
    };
    let mut dice = row.dice(LATE);
    if !dice.share(evolution.late_rows) {
        return usual;
    }
    // Cubed, so that most are late by minutes or hours and a few by days.
    let part = dice.below(1 << 20) as f64 / f64::from(1 << 20);
    let longest = (i64::from(evolution.late_hours) * HOUR_MS - 5 * MINUTE_MS).max(0);
    usual + 5 * MINUTE_MS + (longest as f64 * part * part * part) as i64
}

/// Returns when a row goes, if its dataset's rows do.
fn gone_ms(row: &Row) -> Option<i64> {
    let rate = rate(row.world, row.tenant, row.dataset).filter(|_| row.dataset.is_churned())?;
    let mut dice = row.dice(DEATH);
    let life = match row.grown() {
        None => 1 + dice.below(rate.span_ms as u64) as i64,
        // Some stay for a few days only.
        Some(_) if dice.percent(10) => DAY_MS + dice.below(13 * DAY_MS as u64) as i64,
        Some(_) => rate.span_ms / 2 + dice.below(rate.span_ms as u64) as i64,
    };
    Some(born_ms(row) + life)
}

/// Returns how many rows have come into being by a time after the start; some of them may not be seen yet, or be gone.
pub(crate) fn grown_by(world: &World, tenant: &Tenant, dataset: Dataset, time_ms: i64) -> u32 {
    let Some(rate) = rate(world, tenant, dataset).filter(|_| time_ms > world.origin_ms) else { return 0 };
    let mut count = u32::try_from(rate.turns(time_ms - world.origin_ms)).unwrap_or(GROWN);
    // The one whose turn it is may be yet to come.
    while count > 0 && born_ms(&world.row(tenant, dataset, RowId { at: GROWN + count - 1, nth: 0 })) > time_ms
    {
        count -= 1;
    }
    count
}

/// Returns the rows there are at the world's moment in their order, all but those put there by hand.
pub(crate) fn rows(world: &World, tenant: &Tenant, dataset: Dataset) -> Vec<RowId> {
    let base = 0..tenant.counts[dataset as usize];
    let grown = GROWN..GROWN + grown_by(world, tenant, dataset, world.now_ms);
    let there = |id: &RowId| {
        let row = world.row(tenant, dataset, *id);
        if dataset.is_timed() {
            row.grown().is_none() || visible_ms(&row) <= world.now_ms
        } else {
            gone_ms(&row).is_none_or(|gone| gone > world.now_ms)
        }
    };
    base.chain(grown).map(|at| RowId { at, nth: 0 }).filter(there).collect()
}

/// Returns how often a timed row has changed since it is known, and when it last did.
pub(crate) fn changed(row: &Row) -> (u64, i64) {
    let world = row.world;
    if !world.has_moved() {
        return (0, 0);
    }
    // What happened before the clock began to move is what the row of the start says.
    let happened = |time: &&i64| **time > world.origin_ms && **time <= world.now_ms;
    let (times, count) = changes(row);
    let times = times[..count].iter().filter(happened);
    times.fold((0, 0), |(count, last), time| (count + 1, last.max(*time)))
}

fn changes(row: &Row) -> ([i64; CHANGES], usize) {
    let evolution = &row.world.evolution;
    let (mut times, mut count) = ([0; CHANGES], 0);
    let mut dice = row.dice(CHANGE);
    if !dice.share(evolution.changed_rows) {
        return (times, count);
    }
    let born = row.time_ms().div_euclid(1000) * 1000;
    let within = i64::from(evolution.change_hours) * HOUR_MS;
    let wanted = 1 + dice.below(CHANGES as u64 - 1) as usize;
    for time in &mut times[..wanted] {
        // Squared, so that the first hours see the most.
        let part = dice.below(1 << 20) as f64 / f64::from(1 << 20);
        *time = born + 15 * MINUTE_MS + (within as f64 * part * part) as i64 / 1000 * 1000;
        count += 1;
    }
    if dice.share(evolution.belated_changes) {
        times[count] = born + within + dice.below((BELATED_MS / 1000) as u64) as i64 * 1000;
        count += 1;
    }
    (times, count)
}

/// Whether the one thing that changes about a row of a snapshot has changed.
pub(crate) fn has_turned(row: &Row) -> bool {
    let Some(rate) = rate(row.world, row.tenant, row.dataset).filter(|_| row.world.has_moved()) else {
        return false;
    };
    let turns_ms = born_ms(row) + 1 + row.dice(TURN).below(rate.span_ms as u64) as i64;
    turns_ms <= row.world.now_ms
}

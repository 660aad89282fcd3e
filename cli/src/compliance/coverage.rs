//! What a month's commits cover, what they leave open, and what the runs say about the reason.

use chrono::TimeDelta;
use pipeline::{Timestamp, Verdict, Window};
use serde::Serialize;

use super::Attempt;

/// A span of the month that nothing committed covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// Why, as the runs of that time say; nothing where no run asked for it.
    pub(super) reasons: Vec<Reason>,
}

/// Why a run committed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub(super) verdict: Verdict,
    pub(super) error: Option<String>,
    pub(super) hint: Option<String>,
    /// The runs that ended so, in their order.
    pub(super) runs: Vec<String>,
}

/// Returns the parts of a span that windows cover, in order and without overlaps.
pub(super) fn merged(windows: impl Iterator<Item = Window>, span: Window) -> Vec<Window> {
    let within =
        |window: Window| Window { since: window.since.max(span.since), until: window.until.min(span.until) };
    let mut windows: Vec<Window> = windows.map(within).filter(|it| it.since < it.until).collect();
    windows.sort_by_key(|window| window.since);
    let mut merged: Vec<Window> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.since <= last.until => last.until = last.until.max(window.until),
            _ => merged.push(window),
        }
    }
    merged
}

/// Returns what is left open of a span, with the reasons.
pub(super) fn gaps(covered: &[Window], attempts: &[Attempt<'_>], span: Window) -> Vec<Gap> {
    let mut open = Vec::new();
    let mut since = span.since;
    for window in covered {
        open.push(Window { since, until: window.since });
        since = window.until;
    }
    open.push(Window { since, until: span.until });
    open.retain(|gap| gap.since < gap.until);
    let gap = |open: Window| Gap { since: open.since, until: open.until, reasons: reasons(open, attempts) };
    open.into_iter().map(gap).collect()
}

/// Returns why a span was left open: what the runs that asked for it in that time, or soon after, came to.
fn reasons(open: Window, attempts: &[Attempt<'_>]) -> Vec<Reason> {
    /// Who asks for the last hours of a window does so after them.
    const SOON: TimeDelta = TimeDelta::hours(24);
    let mut reasons: Vec<Reason> = Vec::new();
    for Attempt { run, receipt } in attempts {
        let in_time = open.since <= run.started_at && run.started_at < open.until + SOON;
        // A run may commit some windows and fail at the next: then it says both.
        let failed = !receipt.verdict.is_good() && (!receipt.committed || receipt.error.is_some());
        if !in_time || !failed {
            continue;
        }
        let is_same =
            |reason: &&mut Reason| reason.verdict == receipt.verdict && reason.error == receipt.error;
        match reasons.iter_mut().find(is_same) {
            Some(reason) => reason.runs.push(run.run_id.clone()),
            None => reasons.push(Reason {
                verdict: receipt.verdict,
                error: receipt.error.clone(),
                hint: receipt.hint.clone(),
                runs: vec![run.run_id.clone()],
            }),
        }
    }
    reasons
}

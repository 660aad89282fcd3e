//! Exit codes: they say who acts next.

use pipeline::run::{Outcome, Replay, RunSummary};
use pipeline::{ErrorKind, Receipt, Verdict};

/// Nobody: everything is committed or up to date.
pub const OK: u8 = 0;
/// A developer: a defect of this program.
pub const BUG: u8 = 1;
/// The operator edits the command or the run file.
pub const USAGE: u8 = 2;
/// The operator renews a secret or a permission.
pub const AUTH: u8 = 3;
/// Nobody: run again later.
pub const UNAVAILABLE: u8 = 4;
/// A developer: the platform's answer no longer fits the dataset.
pub const CONTRACT: u8 = 5;
/// The operator: disk or permission; or the data in the sink is not what its receipts say.
pub const SINK: u8 = 6;
/// Read the summary: something was committed, and running again takes up the rest.
pub const INCOMPLETE: u8 = 7;
/// Nobody: interrupted cleanly.
pub const INTERRUPTED: u8 = 130;

/// Returns the exit code of an error that ended a command.
#[must_use]
pub fn of_error(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Bug => BUG,
        ErrorKind::Usage | ErrorKind::Config => USAGE,
        ErrorKind::Auth | ErrorKind::Unauthorized | ErrorKind::Forbidden => AUTH,
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Overtaken => UNAVAILABLE,
        ErrorKind::Contract | ErrorKind::Isolation => CONTRACT,
        ErrorKind::Sink | ErrorKind::Damaged => SINK,
        ErrorKind::Drifted | ErrorKind::Shrunk => INCOMPLETE,
        ErrorKind::Cancelled => INTERRUPTED,
    }
}

/// Returns the exit code of a run.
///
/// An error that ended the run speaks for it; else, where something is not good, what was committed decides
/// between "read the summary" and the reason of the first that failed.
#[must_use]
pub fn of_run(summary: &RunSummary) -> u8 {
    match summary.outcome {
        Outcome::Complete => OK,
        Outcome::Cancelled => INTERRUPTED,
        Outcome::Failed => summary.ended_by.as_ref().map_or(BUG, |error| of_error(error.kind())),
        Outcome::Incomplete if summary.committed_anything() => INCOMPLETE,
        Outcome::Incomplete => summary.not_good().next().map_or(BUG, of_receipt),
    }
}

/// Returns the exit code of a replay.
///
/// As for a run: where a record still does not fit, what was committed decides between "read the summary" and
/// the reason. A record that came again changed is nobody's concern.
#[must_use]
pub fn of_replay(replay: &Replay) -> u8 {
    if let Some(error) = &replay.summary.ended_by {
        return of_error(error.kind());
    }
    let failed = replay.replayed.iter().find_map(|it| it.error.as_ref());
    let unfit = replay.replayed.iter().flat_map(|it| it.datasets.values()).any(|became| became.unfit > 0);
    match failed {
        None if !unfit => OK,
        _ if replay.replayed.iter().any(|it| it.committed) => INCOMPLETE,
        Some(error) => of_error(error.kind()),
        None => CONTRACT,
    }
}

fn of_receipt(receipt: &Receipt) -> u8 {
    if crate::unplaced::is(receipt) {
        return USAGE;
    }
    match receipt.verdict {
        Verdict::Complete | Verdict::Empty | Verdict::UpToDate => OK,
        Verdict::Unauthorized | Verdict::Forbidden => AUTH,
        Verdict::Unavailable => UNAVAILABLE,
        Verdict::Failed => CONTRACT,
        Verdict::Damaged => SINK,
        Verdict::Partial | Verdict::Drifted | Verdict::Shrunk => INCOMPLETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn every_kind_says_who_acts() {
        for (kind, code) in [
            (ErrorKind::Bug, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Config, 2),
            (ErrorKind::Auth, 3),
            (ErrorKind::Unauthorized, 3),
            (ErrorKind::Forbidden, 3),
            (ErrorKind::RateLimited, 4),
            (ErrorKind::Unavailable, 4),
            (ErrorKind::Overtaken, 4),
            (ErrorKind::Contract, 5),
            (ErrorKind::Isolation, 5),
            (ErrorKind::Sink, 6),
            (ErrorKind::Damaged, 6),
            (ErrorKind::Drifted, 7),
            (ErrorKind::Shrunk, 7),
            (ErrorKind::Cancelled, 130),
        ] {
            assert_eq!(of_error(kind), code, "{kind:?}");
        }
    }

    fn check(outcome: Outcome, ended_by: Option<ErrorKind>, verdicts: &[Verdict], code: u8) {
        let mut summary = samples::summary(verdicts);
        summary.outcome = outcome;
        summary.ended_by = ended_by.map(|kind| pipeline::Error::new(kind, "x"));
        assert_eq!(of_run(&summary), code, "{outcome:?} {ended_by:?} {verdicts:?}");
    }

    #[test]
    fn a_run_says_who_acts() {
        use Verdict::{
            Complete, Damaged, Drifted, Failed, Forbidden, Partial, Unauthorized, Unavailable, UpToDate,
        };
        check(Outcome::Complete, None, &[Complete, UpToDate], 0);
        check(Outcome::Incomplete, None, &[Complete, Forbidden], 7);
        for (verdict, code) in [
            (Unauthorized, 3),
            (Forbidden, 3),
            (Unavailable, 4),
            (Failed, 5),
            (Damaged, 6),
            (Drifted, 7),
            (Partial, 7),
        ] {
            check(Outcome::Incomplete, None, &[UpToDate, verdict], code);
        }
        check(Outcome::Incomplete, None, &[Failed, Failed], 5);
        check(Outcome::Incomplete, None, &[Complete, Failed], 7);
        check(Outcome::Cancelled, None, &[Complete, Partial], 130);
        check(Outcome::Failed, Some(ErrorKind::Auth), &[Complete, Partial], 3);
        check(Outcome::Failed, Some(ErrorKind::Sink), &[Complete, Failed], 6);
    }

    #[test]
    fn a_replay_says_who_acts() {
        use pipeline::run::{Became, Replayed};
        let check = |unfit, committed, failed: Option<ErrorKind>, ended_by: Option<ErrorKind>, code| {
            let error = |kind| pipeline::Error::new(kind, "x");
            let became = Became { written: 1, unfit, ..Became::default() };
            let datasets = [("users".to_owned(), became)].into();
            let replayed = Replayed { datasets, committed, error: failed.map(error), ..Replayed::default() };
            let mut summary = samples::summary(&[]);
            summary.ended_by = ended_by.map(error);
            assert_eq!(of_replay(&Replay { replayed: vec![replayed], summary }), code);
        };
        check(0, true, None, None, 0);
        check(0, false, None, None, 0);
        check(2, true, None, None, 7);
        check(2, false, None, None, 5);
        check(0, false, Some(ErrorKind::Isolation), None, 5);
        check(0, true, Some(ErrorKind::Isolation), None, 7);
        check(2, true, None, Some(ErrorKind::Sink), 6);
        check(0, true, None, Some(ErrorKind::Cancelled), 130);
    }

    #[test]
    fn a_tenant_without_a_region_is_the_operators() {
        let mut summary = samples::summary(&[Verdict::UpToDate]);
        summary.receipts.push(samples::unplaced());
        summary.outcome = Outcome::Incomplete;
        assert_eq!(of_run(&summary), USAGE);
    }
}

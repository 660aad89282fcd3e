//! From a job to the partition that is still to be read, and where its commit moves the checkpoint.

use chrono::{SubsecRound, TimeDelta};

use crate::checkpoint::FullSnapshot;
use crate::{Ask, Checkpoint, Job, Partition, ReadMode, Timestamp, Window};

/// Requests that a partition of a backlog costs, about: an interruption loses no more than that, and a commit is
/// worth its files.
const PAGES_OF_A_PARTITION: u64 = 100;

/// A window of no more than this beyond its overlap is read as one: that is what a night leaves, or a weekend.
const NOT_WORTH_COUNTING: TimeDelta = TimeDelta::days(3);

/// What comes in within this span is read as one, however much it is.
const SHORTEST_WINDOW: TimeDelta = TimeDelta::hours(1);

/// Returns what of a job is to be read at an instant, as one partition; nothing where nothing is due.
///
/// A snapshot is due on the day (UTC) that is so many days after the last one's. A windowed dataset goes on where
/// the checkpoint stands, less its overlap, and ends at the present instant.
#[must_use]
pub fn due(job: &Job, checkpoint: &Checkpoint, now: Timestamp) -> Option<Partition> {
    // The platform is told times in milliseconds: a window that ends on one leaves no gap to the next.
    let now = now.trunc_subsecs(3);
    let window = match (job.datasets[0].mode, job.reading.ask) {
        (ReadMode::Snapshot, Ask::Span(_)) => return None,
        (ReadMode::Snapshot, Ask::Everything) => None,
        (ReadMode::Snapshot, Ask::Due) => due_of_snapshot(job, checkpoint, now)?,
        (ReadMode::Window, Ask::Span(span)) => Some(span),
        (ReadMode::Window, Ask::Everything) => Some(Window { since: job.reading.since, until: now }),
        (ReadMode::Window, Ask::Due) => {
            let since = checkpoint.through.map_or(job.reading.since, |through| again_from(job, through));
            // A clock that was put back waits until time has caught up.
            let is_over = checkpoint.through.is_some_and(|through| through >= now);
            (!is_over).then_some(Window { since, until: now })
        }
    };
    let is_windowed = job.datasets[0].mode == ReadMode::Window;
    if is_windowed && window.is_none_or(|window| window.since >= window.until) {
        return None;
    }
    Some(partition(job, window, now))
}

/// Returns the window of a due snapshot: none for a full one.
fn due_of_snapshot(job: &Job, checkpoint: &Checkpoint, now: Timestamp) -> Option<Option<Window>> {
    let days_since = |then: Timestamp| (now.date_naive() - then.date_naive()).num_days();
    let Some(through) = checkpoint.through else { return Some(None) };
    if days_since(through) < i64::from(job.reading.every) {
        return None;
    }
    let full = checkpoint.full.filter(|full| {
        let by_change = job.datasets[0].by_change;
        // One of a future day was dated by a clock that was wrong, and would be the last.
        let is_recent = |every| (0..i64::from(every)).contains(&days_since(full.at));
        by_change && job.reading.full_every.is_some_and(is_recent)
    });
    Some(full.map(|_| Window { since: again_from(job, through), until: now }))
}

/// Returns where the reading begins that goes on from a checkpoint.
fn again_from(job: &Job, through: Timestamp) -> Timestamp {
    through - job.reading.overlap
}

fn partition(job: &Job, window: Option<Window>, now: Timestamp) -> Partition {
    Partition {
        tenant: job.tenant.clone(),
        region: job.region.clone(),
        datasets: job.datasets.clone(),
        window,
        date: now.date_naive(),
    }
}

/// Returns whether a partition's records are counted before it is read.
pub(super) fn is_worth_counting(job: &Job, partition: &Partition) -> bool {
    let span = partition.window.map(|window| window.until - window.since);
    let is_windowed = job.datasets[0].mode == ReadMode::Window;
    is_windowed && span.is_some_and(|span| span > job.reading.overlap + NOT_WORTH_COUNTING)
}

/// Returns the two halves of a partition, the earlier first, where it holds more than one commit should.
pub(super) fn halves(partition: &Partition, records: u64) -> Option<[Partition; 2]> {
    let window = partition.window?;
    let most = PAGES_OF_A_PARTITION * u64::from(partition.datasets[0].page_size);
    let span = window.until - window.since;
    // As many as that may be more: some platforms count no further.
    if records < most || span < SHORTEST_WINDOW * 2 {
        return None;
    }
    let middle = (window.since + span / 2).trunc_subsecs(3);
    let half = |since, until| Partition { window: Some(Window { since, until }), ..partition.clone() };
    Some([half(window.since, middle), half(middle, window.until)])
}

/// What a reading came to, as far as it moves the checkpoint.
pub(super) struct Reached {
    /// When it began.
    pub(super) began: Timestamp,
    /// The same by the clock that is furthest behind: what comes in after that may have been missed.
    pub(super) earliest: Timestamp,
    /// Records that the listing held.
    pub(super) records: u64,
    /// Records that stood inside those.
    pub(super) inside: Option<u64>,
    /// Whether nothing is missing of what was asked for, and it fits.
    pub(super) is_whole: bool,
}

/// Returns where the checkpoint stands after a partition.
///
/// A window that does not join what is durable, as a backfill of an earlier span may not, leaves it where it is.
/// So does a snapshot that drifted, or of which nothing fits: it is due until it is whole.
pub(super) fn moved(from: &Checkpoint, job: &Job, partition: &Partition, reached: &Reached) -> Checkpoint {
    let sequence = from.sequence + 1;
    let Some(window) = partition.window else {
        if !reached.is_whole {
            return Checkpoint { sequence, ..*from };
        }
        let at = reached.began.min(reached.earliest);
        let full = Some(FullSnapshot { at, records: reached.records, inside: reached.inside });
        return Checkpoint { sequence, through: Some(at), full };
    };
    let joins = match from.through {
        Some(through) => window.since <= through,
        // What was asked for of the time before is not where the reading begins.
        None => window.since <= job.reading.since && job.reading.since <= window.until,
    };
    let until = window.until.min(reached.earliest).max(window.since);
    let through = if joins { from.through.max(Some(until)) } else { from.through };
    Checkpoint { sequence, through, full: from.full }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{dataset, job};
    use crate::{Dataset, Reading};

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}Z").parse().expect("an instant")
    }

    fn window(since: &str, until: &str) -> Window {
        Window { since: at(since), until: at(until) }
    }

    fn job_of(mode: ReadMode, by_change: bool, reading: Reading) -> Job {
        let dataset = Dataset { mode, by_change, ..Dataset::clone(&dataset("x", "f")) };
        Job { reading, ..job("a", &Arc::new(dataset)) }
    }

    fn through(text: &str) -> Checkpoint {
        Checkpoint { sequence: 1, through: Some(at(text)), full: None }
    }

    #[test]
    fn a_window_goes_on_where_the_checkpoint_stands_less_its_overlap() {
        let reading = Reading { overlap: TimeDelta::days(2), ..Reading::from(at("01-01T00:00:00")) };
        let due = |checkpoint: &Checkpoint, ask, now: &str| {
            let reading = Reading { ask, ..reading.clone() };
            due(&job_of(ReadMode::Window, false, reading), checkpoint, at(now)).and_then(|it| it.window)
        };
        let (none, fifth) = (Checkpoint::default(), through("01-05T00:00:00"));
        let now = "01-06T01:02:03.456789";
        let ends = "01-06T01:02:03.456";
        assert_eq!(due(&none, Ask::Due, now), Some(window("01-01T00:00:00", ends)));
        assert_eq!(due(&fifth, Ask::Due, now), Some(window("01-03T00:00:00", ends)));
        assert_eq!(due(&fifth, Ask::Everything, now), Some(window("01-01T00:00:00", ends)));
        let span = window("01-02T00:00:00", "01-03T00:00:00");
        assert_eq!(due(&fifth, Ask::Span(span), now), Some(span));
        // The machine's clock was put back.
        assert_eq!(due(&fifth, Ask::Due, "01-04T00:00:00"), None);
    }

    #[test]
    fn a_snapshot_is_due_every_so_many_days_and_full_every_so_many_others() {
        let check = |full: Option<&str>, last: &str, now: &str, expected: Option<Option<&str>>| {
            let reading = Reading { every: 2, full_every: Some(7), ..Reading::from(at("01-01T00:00:00")) };
            let full = full.map(|text| FullSnapshot { at: at(text), records: 5, inside: None });
            let checkpoint = Checkpoint { full, ..through(last) };
            let due = due(&job_of(ReadMode::Snapshot, true, reading), &checkpoint, at(now));
            let expected = expected.map(|since| since.map(|since| window(since, now)));
            assert_eq!(due.map(|it| it.window), expected, "{full:?} {last} {now}");
        };
        let first = "01-01T23:00:00";
        check(Some(first), first, "01-02T23:30:00", None);
        check(Some(first), first, "01-03T00:30:00", Some(Some(first)));
        check(Some(first), "01-06T00:00:00", "01-08T00:00:00", Some(None));
        check(None, first, "01-03T00:30:00", Some(None));
        check(Some("02-01T00:00:00"), first, "01-03T00:30:00", Some(None));
    }

    #[test]
    fn a_backlog_is_cut_until_a_commit_is_worth_its_files() {
        let reading = Reading::from(at("01-01T00:00:00"));
        let job = job_of(ReadMode::Window, false, reading);
        let whole = due(&job, &Checkpoint::default(), at("03-01T00:00:00")).expect("a backlog");
        assert!(is_worth_counting(&job, &whole));
        assert!(halves(&whole, 9_999).is_none());
        let [early, late] = halves(&whole, 10_000).expect("a hundred pages of a hundred, or more");
        assert_eq!(early.window, Some(window("01-01T00:00:00", "01-30T12:00:00")));
        assert_eq!(late.window, Some(window("01-30T12:00:00", "03-01T00:00:00")));
        let hour = Partition { window: Some(window("01-01T00:00:00", "01-01T01:30:00")), ..whole };
        assert!(halves(&hour, u64::MAX).is_none());
    }

    #[test]
    fn only_a_window_that_joins_what_is_durable_moves_the_checkpoint() {
        let check = |from: Option<&str>, span: Window, expected: Option<&str>| {
            let job = job_of(ReadMode::Window, false, Reading::from(at("01-10T00:00:00")));
            let from = Checkpoint { sequence: 3, through: from.map(at), full: None };
            let partition = partition(&job, Some(span), span.until);
            let reached = Reached {
                began: span.until,
                earliest: at("01-12T00:00:00"),
                records: 9,
                inside: None,
                is_whole: true,
            };
            let expected = Checkpoint { sequence: 4, through: expected.map(at), full: None };
            assert_eq!(moved(&from, &job, &partition, &reached), expected);
        };
        let tenth = "01-10T00:00:00";
        check(None, window(tenth, "01-12T00:00:00"), Some("01-12T00:00:00"));
        check(None, window("01-11T00:00:00", "01-12T00:00:00"), None);
        check(None, window("01-02T00:00:00", "01-03T00:00:00"), None);
        check(None, window("01-02T00:00:00", tenth), Some(tenth));
        check(Some(tenth), window("01-02T00:00:00", "01-03T00:00:00"), Some(tenth));
        check(Some(tenth), window("01-09T00:00:00", "01-12T00:00:00"), Some("01-12T00:00:00"));
        check(Some(tenth), window("01-11T00:00:00", "01-12T00:00:00"), Some(tenth));
        // Of what one clock calls to come, nobody knows whether it was there.
        check(Some(tenth), window("01-09T00:00:00", "01-15T00:00:00"), Some("01-12T00:00:00"));
    }

    #[test]
    fn a_snapshot_that_drifted_stays_due() {
        let now = at("01-10T03:00:00");
        let job = job_of(ReadMode::Snapshot, false, Reading::from(now));
        let from = through("01-09T03:00:00");
        let partition = due(&job, &from, now).expect("the last is of yesterday");
        let after = |is_whole| {
            moved(
                &from,
                &job,
                &partition,
                &Reached { began: now, earliest: now, records: 9, inside: None, is_whole },
            )
        };
        assert!(due(&job, &after(true), now).is_none());
        assert_eq!(after(false).sequence, 2);
        assert!(due(&job, &after(false), now).is_some());
    }
}

use chrono::{DateTime, Utc};
use pipeline::Verdict;
use pipeline::run::Outcome;

use super::*;
use crate::report::samples;

fn at(text: &str) -> Timestamp {
    format!("2026-10-{text}:00Z").parse::<DateTime<Utc>>().expect("an instant")
}

fn window(since: &str, until: &str) -> Window {
    Window { since: at(since), until: at(until) }
}

fn commit(sequence: u64, dataset: &str, date: u32, window: Option<Window>) -> CommitEvidence {
    let receipt = samples::receipt("t1", "eu", dataset, Verdict::Complete);
    CommitEvidence {
        organization_id: receipt.organization_id.clone(),
        region: receipt.region.clone(),
        pull: dataset.to_owned(),
        sequence,
        sha256: "ab".repeat(32),
        path: format!("_tenantry/commits/t1/{dataset}/{sequence:010}.json"),
        run_id: "r1".to_owned(),
        sealed_by: Some(sequence),
        date: NaiveDate::from_ymd_opt(2026, 10, date).expect("a day"),
        window,
        from: None,
        through: window.map(|window| window.until),
        committed_at: at(&format!("{date:02}T03:00")),
        receipts: vec![receipt],
        replays: None,
    }
}

fn run(sequence: u64, started: &str, receipts: Vec<pipeline::Receipt>) -> RunEvidence {
    RunEvidence {
        sequence,
        run_id: format!("r{sequence}"),
        started_at: at(started),
        finished_at: at(started),
        outcome: Outcome::Incomplete,
        replay: false,
        error: None,
        root: "cd".repeat(32),
        signed_by: None,
        commits: 1,
        adopted: 0,
        receipts,
    }
}

fn report(evidence: Evidence, now: &str) -> Report {
    Report::new(Sources {
        month: "2026-10".parse().expect("a month"),
        now: at(now),
        lake: "./lake".to_owned(),
        evidence,
        registry: Registry::default(),
        paces: [("vm_scans".to_owned(), Pace { every: 7, ..Pace::default() })].into(),
        of_tenants: BTreeSet::new(),
    })
}

#[test]
fn a_dataset_that_was_never_read_is_a_gap() {
    let commits = vec![commit(1, "alerts", 6, Some(window("01T00:00", "06T03:00")))];
    let sources = Sources {
        month: "2026-10".parse().expect("a month"),
        now: at("06T03:00"),
        lake: "./lake".to_owned(),
        evidence: Evidence { commits, ..Evidence::default() },
        registry: Registry::default(),
        paces: BTreeMap::new(),
        of_tenants: ["alerts", "users"].map(str::to_owned).into(),
    };
    let report = Report::new(sources);
    let gaps: Vec<_> = report.tenants[0].datasets.iter().map(|it| (&*it.dataset, it.gaps.len())).collect();
    assert_eq!((gaps, report.whole()), (vec![("alerts", 0), ("users", 1)], (1, 2)));
}

#[test]
fn a_month_is_read_or_refused() {
    let month: Month = "2026-12".parse().expect("a month");
    assert_eq!(month.span().until.to_string(), "2027-01-01 00:00:00 UTC");
    assert_eq!(month.to_string(), "2026-12");
    for text in ["2026", "2026-13", "2026-1", "26-10", "2026-10-01", "+026-10", ""] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
}

#[test]
fn windows_cover_what_they_touch_and_the_rest_is_a_gap_with_its_reason() {
    let windows = vec![
        commit(1, "alerts", 2, Some(window("01T00:00", "02T03:00"))),
        commit(2, "alerts", 3, Some(window("02T00:00", "03T03:00"))),
        commit(3, "alerts", 6, Some(window("05T03:00", "06T03:00"))),
    ];
    let refused = samples::receipt("t1", "eu", "alerts", Verdict::Forbidden);
    let other = samples::receipt("t1", "eu", "alerts", Verdict::Unavailable);
    let runs = vec![
        run(1, "01T03:00", vec![other]),
        run(2, "04T03:00", vec![refused.clone()]),
        run(3, "05T03:00", vec![refused]),
    ];
    let report = report(Evidence { runs, commits: windows, ..Evidence::default() }, "06T03:00");
    let dataset = &report.tenants[0].datasets[0];
    assert_eq!(dataset.covered, [window("01T00:00", "03T03:00"), window("05T03:00", "06T03:00")]);
    let gap = &dataset.gaps[..];
    assert_eq!(gap.len(), 1, "{gap:?}");
    assert_eq!((gap[0].since, gap[0].until), (at("03T03:00"), at("05T03:00")));
    assert_eq!(gap[0].reasons.len(), 1, "a run from before the gap is no reason for it: {gap:?}");
    assert_eq!(gap[0].reasons[0].runs, ["r2", "r3"]);
    assert_eq!((dataset.rows, dataset.fresh_through), (30, Some(at("06T03:00"))));
    assert_eq!(report.whole(), (0, 1));
}

#[test]
fn snapshots_cover_their_days() {
    let commits = [1, 2, 5].map(|day| commit(day.into(), "users", day, None)).into();
    let report = report(Evidence { commits, ..Evidence::default() }, "06T12:00");
    let dataset = &report.tenants[0].datasets[0];
    let gaps: Vec<_> = dataset.gaps.iter().map(|gap| (gap.since, gap.until)).collect();
    assert_eq!(gaps, [(at("03T00:00"), at("05T00:00"))], "the snapshot of the last day is not due yet");
    assert!(dataset.gaps.iter().all(|gap| gap.reasons.is_empty()));
    assert_eq!(dataset.snapshots.len(), 3);
}

#[test]
fn a_replay_adds_records_and_covers_nothing() {
    let mut commits = vec![commit(1, "users", 1, None), commit(2, "users", 3, None)];
    commits[0].receipts[0].counts.rejects = 5;
    commits[0].receipts[0].verdict = Verdict::Drifted;
    let replays = Replays { reading: 1, files: Vec::new(), records: [("users".to_owned(), 5)].into() };
    let mut replay = CommitEvidence { replays: Some(replays), ..commit(3, "users", 2, None) };
    (replay.receipts[0].rows_written, replay.receipts[0].counts.rejects) = (3, 2);
    replay.committed_at = at("20T03:00");
    commits.push(replay);
    let report = report(Evidence { commits, ..Evidence::default() }, "03T12:00");
    let dataset = &report.tenants[0].datasets[0];
    assert_eq!((dataset.rows, dataset.rejects, dataset.commits.len()), (23, 2, 3));
    assert_eq!(dataset.snapshots.len(), 2);
    assert_eq!(dataset.fresh_through, Some(at("03T03:00")));
    assert_eq!(dataset.doubtful, [(Verdict::Drifted, 1)].into());
}

#[test]
fn a_month_without_anything_says_so() {
    let report = report(Evidence::default(), "31T00:00");
    assert!(report.is_empty());
    assert!(html::page(&report).contains("Nothing was read in this month"));
}

#[test]
fn a_name_from_the_platform_stays_a_name() {
    let mut commits = vec![commit(1, "users", 1, None)];
    commits[0].receipts[0].organization_name = "<script>alert('x')</script> & Söhne".to_owned();
    let page = html::page(&report(Evidence { commits, ..Evidence::default() }, "02T00:00"));
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;"), "{page}");
    assert!(!page.contains("http"), "nothing is fetched from anywhere: {page}");
}

#[test]
fn a_snapshot_among_windows_holds_what_changed_since_the_commit_before() {
    let mut commits = vec![
        commit(1, "vm_assets", 1, None),
        commit(2, "vm_assets", 2, Some(window("01T03:00", "02T03:00"))),
        commit(3, "vm_assets", 3, None),
    ];
    commits[0].through = Some(at("01T03:00"));
    (commits[2].from, commits[2].through) = (Some(at("02T03:00")), Some(at("03T03:00")));
    let report = report(Evidence { commits, ..Evidence::default() }, "03T03:00");
    let dataset = &report.tenants[0].datasets[0];
    assert_eq!(dataset.covered, [window("01T00:00", "03T03:00")]);
    assert!(dataset.gaps.is_empty(), "{:?}", dataset.gaps);
}

#[test]
fn a_snapshot_is_good_for_as_many_days_as_the_run_file_says() {
    let commits = vec![commit(1, "vm_scans", 1, None), commit(2, "vm_scans", 10, None)];
    let report = report(Evidence { commits, ..Evidence::default() }, "12T00:00");
    let gaps: Vec<_> = report.tenants[0].datasets[0].gaps.iter().map(|gap| (gap.since, gap.until)).collect();
    assert_eq!(gaps, [(at("08T00:00"), at("10T00:00"))]);
}

#[test]
fn the_end_of_what_is_known_becomes_a_gap_when_it_is_late() {
    for (now, gaps) in [("02T04:00", 0), ("03T04:59", 0), ("03T05:00", 1)] {
        let commits = vec![commit(1, "alerts", 2, Some(window("01T00:00", "02T03:00")))];
        let report = report(Evidence { commits, ..Evidence::default() }, now);
        assert_eq!(report.tenants[0].datasets[0].gaps.len(), gaps, "{now}");
    }
}

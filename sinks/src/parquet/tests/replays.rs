//! Set-aside records are taken up by one commit and wait no more, whatever happens to it and after it.

use std::io;

use futures::StreamExt;
use pipeline::batch::Reject;
use pipeline::rejects::{self, Waiting};
use pipeline::{ErrorKind, Replays};

use super::super::faulty::{Fault, FaultyFiles};
use super::*;

/// Writes rejects of the first dataset beside some rows of it; returns the commit that would make them visible.
async fn with_rejects(
    sink: &dyn Sink,
    run_id: &str,
    partition: &Partition,
    from: Checkpoint,
    (rows, rejects): (usize, usize),
) -> Result<Commit> {
    let dataset = partition.datasets[0].name;
    let reject = |at: usize| Reject {
        dataset,
        column: "risk".to_owned(),
        reason: "a whole number was expected, and text came".to_owned(),
        raw: format!(r#"{{"id":"{at}"}}"#),
        within: None,
    };
    let mut writer = sink.writer(partition).await?;
    if rows > 0 {
        writer.write(&partition.datasets[0], records(partition, &partition.datasets[0], rows, 1)).await?;
    }
    if rejects > 0 {
        let (kept_in, columns) = rejects::records(&(0..rejects).map(reject).collect::<Vec<_>>())?;
        writer.write(&kept_in, Provenance::new(partition, "run", at(0)).add_to(&columns)?).await?;
    }
    let mut receipt = receipt(partition, dataset, rows as u64);
    (receipt.counts.read, receipt.counts.rejects) = ((rows + rejects) as u64, rejects as u64);
    Ok(Commit {
        run_id: run_id.to_owned(),
        partition: partition.clone(),
        files: writer.close().await?,
        from,
        to: from.next(Some(from.through.unwrap_or(at(0)) + chrono::TimeDelta::minutes(1))),
        receipts: vec![receipt],
        replays: None,
    })
}

/// Returns the replay of what waits, of which so many records still do not fit.
async fn replay_of(sink: &dyn Sink, run_id: &str, waiting: &Waiting, still: usize) -> Result<Commit> {
    let partition =
        Partition { date: waiting.date, window: waiting.window, ..partition("acme", &["alerts"]) };
    let records = waiting.records["alerts"] as usize;
    let replays = Replays {
        reading: waiting.reading,
        files: waiting.files.iter().map(|file| file.path.clone()).collect(),
        records: waiting.records.clone(),
    };
    let commit = with_rejects(sink, run_id, &partition, waiting.from, (records - still, still)).await?;
    let to = waiting.from.next(waiting.from.through);
    Ok(Commit { to, replays: Some(replays), ..commit })
}

fn replay_summary(run_id: &str) -> RunSummary {
    RunSummary { replay: true, ..summary(run_id) }
}

/// Commits a reading of five rows that set three records aside.
async fn read(sink: &dyn Sink, run_id: &str, partition: &Partition) -> Commit {
    let from = sink.standing(&partition.tenant.id, partition.pull()).await.expect("reads").checkpoint;
    let commit = with_rejects(sink, run_id, partition, from, (5, 3)).await.expect("closes");
    sink.commit(commit.clone()).await.expect("commits");
    commit
}

async fn waiting(sink: &dyn Sink) -> Vec<Waiting> {
    let backlog = sink.backlog().await.expect("a lake");
    assert!(backlog.unreadable.is_empty(), "{backlog:?}");
    backlog.waiting
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).expect("a day")
}

/// A snapshot of a day.
fn snapshot(of: u32) -> Partition {
    Partition { window: None, date: day(of), ..partition("acme", &["alerts"]) }
}

/// Lets one step of a replay go wrong, and returns whether there was such a step.
async fn strike(chosen: usize, fault: Fault) -> bool {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    {
        // Nothing is synced: the machine does not crash here.
        let sink = lake.sink_with(Arc::new(FaultyFiles::new(usize::MAX, fault)));
        sink.prepare("before").await.expect("prepares");
        read(&sink, "before", &partition).await;
        sink.record_run(&summary("before")).await.expect("seals");
    }
    let files = Arc::new(FaultyFiles::new(chosen, fault));
    let sink = lake.sink_with(files.clone());
    let outcome = async {
        sink.prepare("struck").await?;
        let commit = replay_of(&sink, "struck", &waiting(&sink).await[0], 1).await?;
        sink.commit(commit).await?;
        sink.record_run(&replay_summary("struck")).await
    }
    .await;
    drop(sink);

    let next = lake.sink_with(Arc::new(FaultyFiles::new(usize::MAX, fault)));
    next.prepare("next").await.expect("prepares");
    let what = format!("step {chosen}, {fault:?}, {outcome:?}");
    let waits = waiting(&next).await;
    assert_eq!(waits.len(), 1, "{what}");
    // Either nothing was taken up, or all of it was and one record is left over.
    let was_committed = waits[0].sequence == 2;
    assert_eq!(
        (waits[0].records["alerts"], waits[0].reading),
        (if was_committed { 1 } else { 3 }, 1),
        "{what}"
    );
    assert!(was_committed || outcome.is_err(), "{what}");
    let rest = replay_of(&next, "next", &waits[0], 0).await.expect("closes");
    next.commit(rest).await.expect("commits");
    next.record_run(&replay_summary("next")).await.expect("seals");
    assert!(waiting(&next).await.is_empty(), "{what}");
    let report = lake.verify();
    assert!(
        report.is_good() && report.unsealed.is_empty(),
        "{what}: {:?} {:?}",
        report.findings,
        report.unsealed
    );
    assert_eq!(report.files as usize, lake.visible().len(), "{what}: {:?}", report.leftovers);
    // Five rows and three rejects of the reading, the three once more as rows, and one as a reject in between.
    assert_eq!(report.rows, 5 + 3 + 3 + u64::from(was_committed), "{what}");
    let left: Vec<String> = lake.of_runs().into_iter().filter(|path| !path.contains("/next/")).collect();
    assert!(left.is_empty(), "{what}: {left:?}");
    files.struck()
}

#[tokio::test]
async fn commit_whatever_step_of_a_replay_fails_each_record_arrives_once() {
    for fault in
        [Fault::Crash, Fault::Once(io::ErrorKind::StorageFull), Fault::Once(io::ErrorKind::PermissionDenied)]
    {
        let mut chosen = 0;
        while strike(chosen, fault).await {
            chosen += 1;
        }
        assert!(chosen > 40, "a replay has more steps than {chosen}");
    }
}

#[tokio::test]
async fn commit_of_two_replays_one_is_refused() {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    let (one, two) = (lake.prepared("one").await, lake.prepared("two").await);
    read(&one, "one", &partition).await;
    let first = replay_of(&one, "one", &waiting(&one).await[0], 0).await.expect("closes");
    let second = replay_of(&two, "two", &waiting(&two).await[0], 0).await.expect("closes");
    one.commit(first.clone()).await.expect("commits");
    one.commit(first).await.expect("is there already");
    let error = two.commit(second).await.expect_err("the other one was first");
    assert_eq!(error.kind(), ErrorKind::Overtaken, "{error:?}");
    assert!(waiting(&two).await.is_empty());
    let report = lake.verify();
    assert!(report.is_good() && report.rows == 5 + 3 + 3, "{report:?}");
}

#[tokio::test]
async fn what_was_taken_up_waits_no_more_when_its_records_are_in_segments() {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    let mut sink = lake.prepared("one").await;
    sink.sizes = SMALL;
    read(&sink, "one", &partition).await;
    let replay = replay_of(&sink, "one", &waiting(&sink).await[0], 1).await.expect("closes");
    sink.commit(replay).await.expect("commits");
    for _ in 0..2 * (SMALL.kept + SMALL.rolled) {
        commit_empty(&sink, "one", &partition).await.expect("commits");
    }
    sink.record_run(&summary("one")).await.expect("seals");
    assert!(lake.below(|path| path.ends_with("/0000000002.json") && path.contains("/commits/")).is_empty());
    let left = waiting(&sink).await;
    assert_eq!((left.len(), left[0].sequence, left[0].reading, left[0].records["alerts"]), (1, 2, 1, 1));
    let rest = replay_of(&sink, "one", &left[0], 0).await.expect("closes");
    sink.commit(rest).await.expect("commits");
    assert!(waiting(&sink).await.is_empty());
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn last_good_a_replay_is_not_the_last_reading() {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts", "evidences"]));
    let sink = lake.prepared("one").await;
    commit_empty(&sink, "one", &partition).await.expect("commits");
    read(&sink, "one", &Partition { datasets: vec![partition.datasets[0].clone()], ..partition.clone() })
        .await;
    let before = sink.standing(&partition.tenant.id, "alerts").await.expect("reads");
    let replay = replay_of(&sink, "one", &waiting(&sink).await[0], 1).await.expect("closes");
    sink.commit(replay).await.expect("commits");
    let after = sink.standing(&partition.tenant.id, "alerts").await.expect("reads");
    let sorted = |mut receipts: Vec<Receipt>| {
        receipts.sort_by(|one, other| one.dataset.cmp(&other.dataset));
        receipts
    };
    assert_eq!(sorted(after.receipts), sorted(before.receipts));
    assert_eq!(after.checkpoint, before.checkpoint.next(before.checkpoint.through));
    // Nor does it become that for a commit that follows it.
    commit_empty(&sink, "one", &Partition { datasets: vec![partition.datasets[1].clone()], ..partition })
        .await
        .expect("commits");
    let alerts = receipts(&sink).await.into_iter().find(|receipt| receipt.dataset == "alerts").expect("read");
    assert_eq!((alerts.rows_written, alerts.counts.rejects), (5, 3));
}

#[tokio::test]
async fn completeness_what_a_day_holds_is_found_whatever_was_dated_after_it_and_however_it_was_read() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let (today, ahead) = (snapshot(23), snapshot(24));
    let changes = Partition { window: Some(Window { since: at(0), until: at(1) }), ..ahead.clone() };
    // A clock that was a day ahead, and was put right.
    read(&sink, "one", &ahead).await;
    for _ in 0..3 {
        read(&sink, "one", &today).await;
    }
    read(&sink, "one", &changes).await;
    let rows = async |partition: &Partition| -> usize {
        let found: Vec<_> = sink.committed(partition).collect().await;
        found.into_iter().map(|records| records.expect("reads").columns.num_rows()).sum()
    };
    assert_eq!((rows(&ahead).await, rows(&today).await), (2 * 8, 3 * 8));
}

#[tokio::test]
async fn a_replay_is_compared_in_the_place_of_its_reading() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let (first, second) = (snapshot(23), snapshot(24));
    read(&sink, "one", &first).await;
    read(&sink, "one", &first).await;
    read(&sink, "one", &second).await;
    let waits = waiting(&sink).await;
    assert_eq!(waits.iter().map(|it| it.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    let replay = replay_of(&sink, "one", &waits[0], 1).await.expect("closes");
    sink.commit(replay).await.expect("commits");

    let rows = async |partition: &Partition| -> Vec<(&str, usize)> {
        let found: Vec<_> = sink.committed(partition).collect().await;
        let found = found.into_iter().map(|records| records.expect("reads"));
        found.map(|records| (records.dataset.name, records.columns.num_rows())).collect()
    };
    let own = |rows, rejects| [("alerts", rows), (REJECTS, rejects)];
    assert_eq!(
        rows(&first).await,
        [own(5, 3), own(2, 1), own(5, 3)].concat(),
        "before the second of the day"
    );
    assert_eq!(rows(&second).await, own(5, 3), "the replay on top hides nothing");
    let waits = waiting(&sink).await;
    let left = waits.iter().find(|it| it.sequence == 4).expect("one record was left over");
    let beside: Vec<_> = sink.beside(left, &first).collect().await;
    let beside: usize = beside.into_iter().map(|it| it.expect("reads").columns.num_rows()).sum();
    assert_eq!(beside, 5 + 3 + 2 + 1, "its reading, and the replay of it");
}

#[tokio::test]
async fn evidence_the_summary_of_the_last_run_outlives_a_replay() {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    let sink = lake.prepared("one").await;
    read(&sink, "one", &partition).await;
    // The reading's run was killed: the replay is the first that seals anything.
    sink.record_run(&replay_summary("replay")).await.expect("seals");
    assert!(sink.last_run().await.expect("reads").is_none());
    assert!(lake.verify().is_good(), "{:?}", lake.verify().findings);
    sink.record_run(&summary("one")).await.expect("seals");
    let replay = replay_of(&sink, "one", &waiting(&sink).await[0], 0).await.expect("closes");
    sink.commit(replay).await.expect("commits");
    sink.record_run(&replay_summary("replay")).await.expect("seals");
    assert_eq!(sink.last_run().await.expect("reads").map(|run| run.run_id), Some("one".to_owned()));
    let report = lake.verify();
    assert!(report.is_good() && report.unsealed.is_empty() && report.runs == 3, "{report:?}");
    // It is still missed, and still noticed where it is another one's.
    let path = lake.root().join("_tenantry/last-run.json");
    fs_err::write(&path, "{}").expect("writes");
    assert_eq!(lake.verify().findings.len(), 1);
    fs_err::remove_file(&path).expect("removes");
    assert_eq!(lake.verify().findings.len(), 1);
}

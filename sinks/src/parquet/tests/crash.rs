//! Every step of a run is made to fail, or to be the last before a crash; the next run sets it right.

use std::io;

use pipeline::ErrorKind;

use super::super::faulty::{Fault, FaultyFiles, Forgetful};
use super::*;

/// Lets one step of a second run go wrong, and returns whether there was such a step.
async fn strike(chosen: usize, fault: Fault) -> bool {
    let (mut lake, partition) = (TestLake::new(), partition("acme", &["alerts", "evidences"]));
    // So little that records have to wait in a file.
    lake.config.memory = "64 KiB".parse().expect("a size");
    let before = {
        let sink = lake.prepared("before").await;
        let commit = commit_next(&sink, "before", &partition, 5).await.expect("commits");
        sink.record_run(&summary("before")).await.expect("seals");
        commit
    };
    let files = Arc::new(FaultyFiles::new(chosen, fault));
    let sink = lake.sink_with(files.clone());
    let outcome = async {
        sink.prepare("struck").await?;
        let to = before.to;
        let commit = written(&sink, "struck", &partition, to, 100).await?;
        sink.commit(commit).await?;
        sink.record_run(&summary("struck")).await
    }
    .await;
    if let (Err(error), Fault::Once(kind)) = (&outcome, fault) {
        assert!(matches!(error.kind(), ErrorKind::Sink | ErrorKind::Config), "step {chosen}: {error:?}");
        assert!(
            error.hint().is_some() && error.context().iter().any(|(name, _)| *name == "path"),
            "{error:?}"
        );
        assert!(error.chain().contains(&io::Error::from(kind).to_string()), "{}", error.chain());
        assert_consistent(&lake, &format!("step {chosen} failed and the run went on"));
    }
    drop(sink);

    let next = lake.prepared("next").await;
    let what = format!("step {chosen}, {fault:?}, {outcome:?}");
    assert_consistent(&lake, &what);
    let left: Vec<String> = lake.of_runs().into_iter().filter(|path| !path.contains("/next/")).collect();
    assert!(left.is_empty(), "{what}: {left:?}");
    let checkpoint = next.standing(&partition.tenant.id, "alerts").await.expect("reads").checkpoint;
    if outcome.is_ok() {
        assert_eq!(checkpoint.sequence, 2, "{what}");
    }
    commit_next(&next, "next", &partition, 9).await.expect("goes on");
    assert_consistent(&lake, &what);
    next.record_run(&summary("next")).await.expect("seals");
    assert_sealed(&lake, &what);
    files.struck()
}

/// What is visible is exactly what the records name, whole.
fn assert_consistent(lake: &TestLake, what: &str) {
    let report = lake.verify();
    assert!(report.is_good(), "{what}: {:?}", report.findings);
    assert_eq!(report.files as usize, lake.visible().len(), "{what}: {:?}", report.leftovers);
}

/// Every commit is covered by a run record, and the head is at the newest.
fn assert_sealed(lake: &TestLake, what: &str) {
    assert_consistent(lake, what);
    let report = lake.verify();
    assert!(report.unsealed.is_empty(), "{what}: {:?}", report.unsealed);
    let head = fs_err::read_to_string(lake.root().join("_tenantry/head.json")).expect("reads");
    assert!(head.contains(&format!("\"sequence\":{},", report.runs)), "{what}: {head}");
}

async fn strike_every_step(fault: Fault) {
    let mut chosen = 0;
    while strike(chosen, fault).await {
        chosen += 1;
    }
    assert!(chosen > 65, "a run has more steps than {chosen}");
}

#[tokio::test]
async fn a_crash_at_any_step_is_set_right_by_the_next_run() {
    strike_every_step(Fault::Crash).await;
}

#[tokio::test]
async fn a_full_disk_at_any_step_leaves_nothing_half_visible() {
    strike_every_step(Fault::Once(io::ErrorKind::StorageFull)).await;
}

#[tokio::test]
async fn a_missing_permission_at_any_step_leaves_nothing_half_visible() {
    strike_every_step(Fault::Once(io::ErrorKind::PermissionDenied)).await;
}

/// When another run begins, which commits after the one that ends at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Other {
    Never,
    Before,
    After,
}

/// Ends a run at one of its steps, lets another one commit and seal, and takes the power away; returns whether there was
/// such a step.
async fn take_power(chosen: usize, other_begins: Other) -> bool {
    let lake = TestLake::new();
    let [one, other] = ["acme", "globex"].map(|tenant| partition(tenant, &["alerts", "evidences"]));
    let unsynced = Forgetful::default();
    let files = Arc::new(FaultyFiles::forgetting(chosen, Fault::Crash, &unsynced));
    let begin = async |files: Arc<FaultyFiles>, id: &str| {
        let sink = lake.sink_with(files);
        sink.prepare(id).await.map(|()| sink)
    };
    let commit = async |sink: &ParquetSink, id: &str, partition: &Partition| {
        sink.commit(written(sink, id, partition, Checkpoint::default(), 20).await?).await
    };
    let faultless = || Arc::new(FaultyFiles::forgetting(usize::MAX, Fault::Crash, &unsynced));
    let mut beside = None;
    if other_begins == Other::Before {
        beside = Some(begin(faultless(), "other").await.expect("it meets no fault"));
    }
    let outcome = match begin(files.clone(), "struck").await {
        Ok(sink) => commit(&sink, "struck", &one).await,
        Err(error) => Err(error),
    };
    let mut committed = vec![(&one, outcome.is_ok())];
    if other_begins == Other::After {
        beside = Some(begin(faultless(), "other").await.expect("it meets no fault"));
    }
    if let Some(sink) = beside {
        commit(&sink, "other", &other).await.expect("it meets no fault");
        sink.record_run(&summary("other")).await.expect("it meets no fault");
        committed.push((&other, true));
    }
    unsynced.forget();
    let what = format!("step {chosen}, {other_begins:?}, {outcome:?}");
    let next = lake.prepared("next").await;
    assert_consistent(&lake, &what);
    for (partition, is_committed) in committed {
        let standing = next.standing(&partition.tenant.id, "alerts").await.expect("reads");
        assert!(standing.checkpoint.sequence >= u64::from(is_committed), "{what}");
    }
    files.struck()
}

#[tokio::test]
async fn what_is_committed_is_not_forgotten_without_power() {
    for other_begins in [Other::Never, Other::Before, Other::After] {
        let mut chosen = 0;
        while take_power(chosen, other_begins).await {
            chosen += 1;
        }
        assert!(chosen > 40, "a run has more steps than {chosen}");
    }
}

/// Lets one step go wrong of a run that rolls records into segments; returns whether there was such a step.
async fn strike_rolling(chosen: usize, fault: Fault) -> bool {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    {
        let sink = lake.sink_with(Arc::new(FaultyFiles::new(usize::MAX, fault)));
        sink.prepare("before").await.expect("prepares");
        for _ in 0..13 {
            commit_empty(&sink, "before", &partition).await.expect("commits");
        }
    }
    let files = Arc::new(FaultyFiles::new(chosen, fault));
    let mut sink = lake.sink_with(files.clone());
    sink.sizes = SMALL;
    let outcome = async {
        sink.prepare("struck").await?;
        sink.record_run(&summary("struck")).await
    }
    .await;
    let what = format!("step {chosen}, {fault:?}, {outcome:?}");
    assert_consistent(&lake, &what);
    let checkpoint = sink.standing(&partition.tenant.id, "alerts").await.expect("reads").checkpoint;
    assert_eq!(checkpoint.sequence, 13, "{what}");
    drop(sink);

    let mut next = lake.prepared("next").await;
    next.sizes = SMALL;
    commit_empty(&next, "next", &partition).await.expect("goes on");
    next.record_run(&summary("next")).await.expect("seals");
    assert_sealed(&lake, &what);
    assert_eq!(lake.verify().commits, 14, "{what}");
    let single = lake.below(|path| path.ends_with(".json") && path.contains("/commits/")).len();
    assert_eq!(single, 4, "{what}: what a segment holds has no file of its own");
    files.struck()
}

#[tokio::test]
async fn a_crash_while_records_are_rolled_up_loses_none_and_doubles_none() {
    for fault in [Fault::Crash, Fault::Once(io::ErrorKind::StorageFull)] {
        let mut chosen = 0;
        while strike_rolling(chosen, fault).await {
            chosen += 1;
        }
        assert!(chosen > 50, "rolling has more steps than {chosen}");
    }
}

/// A real full disk, where this user may mount one; the faults above try the same paths everywhere.
#[tokio::test]
async fn a_full_disk_says_so_and_keeps_what_was_committed() {
    let lake = TestLake::new();
    fs_err::create_dir(lake.root()).expect("creates");
    let mount = |command: &str, arguments: &[&str]| {
        let root = lake.root();
        std::process::Command::new(command)
            .args(arguments)
            .arg(root)
            .status()
            .is_ok_and(|status| status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=1M", "tmpfs"]) {
        skipped("this user may not mount a file system");
        return;
    }
    let (small, large) = (partition("acme", &["alerts"]), partition("globex", &["alerts"]));
    let sink = lake.prepared("one").await;
    commit_next(&sink, "one", &small, 5).await.expect("commits");
    let error = commit_next(&sink, "one", &large, 20_000).await.expect_err("the disk is full");
    assert_eq!(error.kind(), ErrorKind::Sink, "{error:?}");
    assert!(error.chain().contains("No space left on device"), "{}", error.chain());
    assert!(error.hint().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
    commit_next(&sink, "one", &small, 5).await.expect("what was half-written is gone, so there is room");
    let report = lake.verify();
    drop(sink);
    assert!(mount("umount", &[]), "can be taken down");
    assert!(report.is_good() && report.files == 2, "{report:?}");
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests has to know what they did not try")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

//! The records of a pull stay few however many runs there were, and say the same in a segment as in files.

use pipeline::ErrorKind;

use super::super::FindingKind;
use super::super::compact::Sizes;
use super::super::faulty::{Fault, FaultyFiles};
use super::super::layout::Layout;
use super::super::pulls::Names;
use super::*;

/// Makes a lake of one pull, with as many commits as asked for in each of so many runs.
async fn lake_of(runs: usize, commits: usize, sizes: Sizes) -> TestLake {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    for run in 0..runs {
        let run_id = format!("run{run}");
        // Nothing is synced: the machine does not crash here.
        let mut sink = lake.sink_with(Arc::new(FaultyFiles::new(usize::MAX, Fault::Crash)));
        sink.sizes = sizes;
        sink.prepare(&run_id).await.expect("prepares");
        for _ in 0..commits {
            commit_empty(&sink, &run_id, &partition).await.expect("commits");
        }
        sink.record_run(&summary(&run_id)).await.expect("seals");
    }
    lake
}

fn names(lake: &TestLake) -> Names {
    Names::list(&lake.root().join("_tenantry/commits/acme/alerts")).expect("lists")
}

#[tokio::test]
async fn after_ten_thousand_commits_a_run_lists_few_names_and_reads_one_record() {
    let lake = lake_of(40, 250, Sizes::USUAL).await;
    let names = names(&lake);
    assert!(names.single.len() < Sizes::USUAL.kept + Sizes::USUAL.rolled, "{} files", names.single.len());
    assert!(names.segments.len() <= 10_000 / Sizes::USUAL.rolled, "{} segments", names.segments.len());
    let report = lake.verify();
    assert!(
        report.is_good() && report.commits == 10_000 && report.unsealed.is_empty(),
        "{:?}",
        report.findings
    );

    // Whatever is not read cannot be missed: all but the newest record is taken away.
    for path in lake.below(|path| path.contains("/commits/") && !path.ends_with("/0000010000.json")) {
        fs_err::write(lake.root().join(path), "nothing").expect("writes");
    }
    let standing = lake.sink().standing(&partition("acme", &["alerts"]).tenant.id, "alerts").await;
    assert_eq!(standing.expect("reads").checkpoint.sequence, 10_000);
}

#[tokio::test]
async fn every_receipt_is_handed_over_once_whatever_file_holds_it() {
    let lake = lake_of(4, 9, SMALL).await;
    let segment = names(&lake).segments[1];
    // A run that died between writing a segment and removing what it holds.
    let sink = lake.sink();
    let single = Layout::new(lake.root()).record(&"acme".parse().expect("an id"), "alerts", segment.first);
    let text = fs_err::read(
        lake.root()
            .join(format!("_tenantry/commits/acme/alerts/{:010}-{:010}.jsonl", segment.first, segment.last)),
    );
    let text = text.expect("reads");
    let line = text.split_inclusive(|byte| *byte == b'\n').next().expect("a segment has lines");
    fs_err::write(single.expect("a path"), line).expect("writes");
    let other = partition("other", &["alerts"]);
    sink.prepare("other").await.expect("prepares");
    commit_empty(&sink, "other", &other).await.expect("commits");

    let mut counted = std::collections::BTreeMap::new();
    let take = |receipt: Receipt| *counted.entry(receipt.organization_id.to_string()).or_insert(0) += 1;
    super::super::each_receipt(&lake.root(), take).expect("reads");
    assert_eq!(counted, [("acme".to_owned(), 36), ("other".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_number_in_a_segment_stays_taken() {
    let lake = lake_of(2, 10, SMALL).await;
    let partition = partition("acme", &["alerts"]);
    let first = names(&lake).segments[0];
    assert_eq!((first.first, first.last), (1, SMALL.rolled as u64));
    assert!(!names(&lake).single.contains(&2));
    let sink = lake.prepared("late").await;
    for sequence in 0..SMALL.rolled as u64 {
        let from = Checkpoint { sequence, through: (sequence > 0).then(|| at(sequence as i64)), full: None };
        let commit = written(&sink, "late", &partition, from, 5).await.expect("closes");
        let error = sink.commit(commit).await.expect_err("it was committed long ago");
        assert_eq!(error.kind(), ErrorKind::Overtaken, "{error:?}");
    }
    drop(sink);
    assert!(lake.visible().is_empty() && lake.verify().is_good());
}

#[tokio::test]
async fn while_another_run_lives_no_record_is_moved() {
    let (lake, partition) = (TestLake::new(), partition("acme", &["alerts"]));
    let other = lake.prepared("other").await;
    let mut sink = lake.prepared("one").await;
    sink.sizes = SMALL;
    for _ in 0..SMALL.kept + SMALL.rolled {
        commit_empty(&sink, "one", &partition).await.expect("commits");
    }
    sink.record_run(&summary("one")).await.expect("seals");
    assert!(names(&lake).segments.is_empty());
    drop(other);
    sink.record_run(&summary("one")).await.expect("seals");
    assert_eq!(names(&lake).segments.len(), 1);
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn receipts_of_datasets_that_were_read_long_ago_are_found_in_their_segment() {
    let lake = TestLake::new();
    let (both, one) = (partition("acme", &["alerts", "evidences"]), partition("acme", &["alerts"]));
    let mut sink = lake.prepared("one").await;
    sink.sizes = SMALL;
    let old = commit_empty(&sink, "one", &both).await.expect("commits");
    for _ in 0..SMALL.kept + SMALL.rolled {
        commit_empty(&sink, "one", &one).await.expect("commits");
    }
    sink.record_run(&summary("one")).await.expect("seals");
    assert!(!names(&lake).single.contains(&1));
    let found = receipts(&sink).await;
    assert!(found.iter().any(|receipt| *receipt == old.receipts[1]), "{found:?}");
}

#[tokio::test]
async fn damage_to_a_segment_is_found_and_named() {
    let check = async |what: &str, expected: FindingKind, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let lake = lake_of(2, 10, SMALL).await;
        let path = Layout::new(lake.root())
            .segment(&partition("acme", &["alerts"]).tenant.id, "alerts", names(&lake).segments[1])
            .expect("a name");
        let text = fs_err::read(&path).expect("reads");
        fs_err::write(&path, change(text)).expect("writes");
        let findings = lake.verify().findings;
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            findings.iter().any(|finding| finding.kind == expected && finding.path.ends_with(&name)),
            "{what}: {findings:?}"
        );
        assert!(findings.iter().all(|finding| finding.tenant.is_some()), "{what}: {findings:?}");
    };
    use FindingKind::*;
    check("a cut end", EditedRecord, &|text| text[..text.len() - 1].to_vec()).await;
    check("a flipped byte", EditedRecord, &|mut text| {
        text[40] ^= 1;
        text
    })
    .await;
    check("a line less", EditedRecord, &|text| {
        let end = text.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        text[end..].to_vec()
    })
    .await;
    check("nothing in it", UnreadableRecord, &|_| Vec::new()).await;
}

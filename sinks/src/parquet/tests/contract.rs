//! What every sink promises.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parquet::file::metadata::ParquetMetaDataReader;
use pipeline::ErrorKind;
use pipeline::Standing;

use super::super::{FindingKind, find_garbage, remove_garbage};
use super::*;

#[tokio::test]
async fn without_a_commit_there_is_no_file() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts"]);
    let dropped = sink.writer(&partition).await.expect("opens");
    drop(dropped);
    let mut unclosed = sink.writer(&partition).await.expect("opens");
    unclosed
        .write(&partition.datasets[0], records(&partition, &partition.datasets[0], 10, 1))
        .await
        .expect("writes");
    unclosed
        .write(&partition.datasets[0], records(&partition, &partition.datasets[0], 10, 2))
        .await
        .expect("writes");
    drop(unclosed);
    let closed = written(&sink, "one", &partition, Checkpoint::default(), 10).await.expect("closes");
    assert_eq!(closed.files.len(), 1);
    assert_eq!(lake.visible(), BTreeSet::new());
    let standing = sink.standing(&partition.tenant.id, "alerts").await.expect("reads");
    assert_eq!(standing, Standing::default());
    drop(sink);
    assert_eq!(lake.of_runs(), BTreeSet::new(), "a run that ends cleanly leaves nothing");
}

#[tokio::test]
async fn a_dropped_writer_removes_its_files() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts", "evidences"]);
    let mut writer = sink.writer(&partition).await.expect("opens");
    for dataset in &partition.datasets {
        writer.write(dataset, records(&partition, dataset, 10, 1)).await.expect("writes");
    }
    writer
        .write(&partition.datasets[0], records(&partition, &partition.datasets[0], 10, 1))
        .await
        .expect("writes");
    drop(writer);
    // The last batch may still be in the encoder's hands.
    for _ in 0..200 {
        if lake.below(|path| path.starts_with("_tenantry/tmp/")).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("left {:?}", lake.of_runs());
}

#[tokio::test]
async fn a_commit_makes_files_and_checkpoint_visible() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts", "evidences"]);
    let commit = commit_next(&sink, "one", &partition, 10).await.expect("commits");
    let paths: BTreeSet<String> = commit.files.iter().map(|file| file.path.clone()).collect();
    assert_eq!(lake.visible(), paths);
    let folder = "region=eu/organization_id=acme/date=2026-11-23";
    for (path, dataset) in paths.iter().zip(["alerts", "evidences"]) {
        assert!(path.starts_with(&format!("{dataset}/{folder}/")), "{path}");
    }
    let checkpoint = sink.standing(&partition.tenant.id, "alerts").await.expect("reads").checkpoint;
    assert_eq!(checkpoint, Checkpoint { sequence: 1, through: commit.to.through, full: None });
    assert_eq!(receipts(&sink).await, commit.receipts);
    let report = lake.verify();
    assert_eq!((report.commits, report.files, report.rows), (1, 2, 40));
    assert!(report.is_good() && report.leftovers.is_empty(), "{report:?}");
}

#[tokio::test]
async fn the_same_commit_twice_leaves_the_data_once() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    for datasets in [&["alerts"][..], &[]] {
        let mut partition = partition("acme", &["alerts"]);
        let from = sink.standing(&partition.tenant.id, "alerts").await.expect("reads").checkpoint;
        let mut commit = if datasets.is_empty() {
            partition.window = None;
            let receipts = vec![receipt(&partition, "alerts", 0)];
            Commit {
                run_id: "one".to_owned(),
                partition,
                files: Vec::new(),
                from,
                to: from.next(Some(at(9))),
                receipts,
                replays: None,
            }
        } else {
            written(&sink, "one", &partition, from, 5).await.expect("closes")
        };
        sink.commit(commit.clone()).await.expect("commits");
        sink.commit(commit.clone()).await.expect("is there already");
        commit.to.through = Some(at(99));
        assert!(sink.commit(commit).await.is_err(), "another commit under the same number");
    }
    let report = lake.verify();
    assert_eq!((report.commits, report.files, report.findings), (2, 1, Vec::new()));
}

#[tokio::test]
async fn a_stale_commit_is_refused_and_leaves_nothing() {
    let lake = TestLake::new();
    let (first, second) = (lake.prepared("first").await, lake.prepared("second").await);
    let partition = partition("acme", &["alerts"]);
    let late = written(&second, "second", &partition, Checkpoint::default(), 5).await.expect("closes");
    let kept = commit_next(&first, "first", &partition, 5).await.expect("commits");
    let visible = lake.visible();
    let past = Checkpoint { sequence: 1, through: Some(at(7)), full: None };
    let ahead = Checkpoint { sequence: 5, through: Some(at(7)), full: None };
    let mut stale = vec![late];
    for from in [past, ahead, Checkpoint { sequence: 0, through: Some(at(0)), full: None }] {
        stale.push(written(&second, "second", &partition, from, 5).await.expect("closes"));
    }
    for commit in stale {
        let error = second.commit(commit).await.expect_err("is stale");
        assert_eq!(error.kind(), ErrorKind::Overtaken, "{error}");
        assert!(error.to_string().contains("another run committed it first"), "{error}");
        assert!(error.hint().is_some());
    }
    assert_eq!(lake.visible(), visible);
    assert_eq!(kept.files.len(), 1);
    assert!(lake.below(|path| path.starts_with("_tenantry/tmp/")).is_empty(), "{:?}", lake.of_runs());
    assert!(lake.verify().is_good());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_commits() {
    let lake = TestLake::new();
    let partition = partition("acme", &["alerts"]);
    let mut tasks = tokio::task::JoinSet::new();
    for run in 0..8 {
        let run_id = format!("run-{run}");
        let sink = lake.prepared(&run_id).await;
        let commit = written(&sink, &run_id, &partition, Checkpoint::default(), 5).await.expect("closes");
        tasks.spawn(async move { sink.commit(commit).await.is_ok() });
    }
    let committed = tasks.join_all().await.into_iter().filter(|committed| *committed).count();
    assert_eq!((committed, lake.visible().len()), (1, 1));
    assert!(lake.verify().is_good());
    assert_eq!(lake.of_runs(), BTreeSet::new());
}

#[tokio::test]
async fn a_commit_of_other_files_than_its_own_is_refused() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let mine = partition("acme", &["alerts"]);
    let good = written(&sink, "one", &mine, Checkpoint::default(), 5).await.expect("closes");
    type Change = fn(&mut Commit);
    let changes: [(&str, Change); 5] = [
        ("another tenant's", |commit| commit.partition = partition("globex", &["alerts"])),
        ("outside the lake", |commit| commit.files[0].path = format!("../{}", commit.files[0].path)),
        ("another dataset's", |commit| commit.files[0].dataset = "evidences".to_owned()),
        ("named twice", |commit| commit.files.push(commit.files[0].clone())),
        ("of another run", |commit| commit.run_id = "two".to_owned()),
    ];
    for (what, change) in changes {
        let mut commit = good.clone();
        change(&mut commit);
        let error = sink.commit(commit).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Bug, "{what}: {error}");
    }
    assert_eq!(lake.visible(), BTreeSet::new());
    sink.commit(good).await.expect("the files are still there");
}

#[tokio::test]
async fn a_dataset_left_out_keeps_its_last_receipt() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let (both, one) = (partition("acme", &["alerts", "evidences"]), partition("acme", &["alerts"]));
    for (partition, rows) in [(&both, 1), (&one, 2), (&one, 3)] {
        commit_next(&sink, "one", partition, rows).await.expect("commits");
    }
    let mut rows: Vec<(String, u64)> = Vec::new();
    for receipt in receipts(&sink).await {
        rows.push((receipt.dataset, receipt.rows_written));
    }
    rows.sort();
    assert_eq!(rows, [("alerts".to_owned(), 6), ("evidences".to_owned(), 2)]);
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn a_second_run_leaves_a_live_one_alone() {
    let lake = TestLake::new();
    let first = lake.prepared("first").await;
    let partition = partition("acme", &["alerts"]);
    let commit = written(&first, "first", &partition, Checkpoint::default(), 5).await.expect("closes");
    // The first stands between moving its file and writing its record.
    let moved = lake.root().join(&commit.files[0].path);
    let name = moved.file_name().expect("a name");
    let temporary = lake.root().join("_tenantry/tmp/first").join(name);
    let intent = lake.root().join("_tenantry/pending/first/half-way.json");
    fs_err::create_dir_all(moved.parent().expect("a folder")).expect("creates");
    fs_err::copy(&temporary, &moved).expect("copies");
    fs_err::write(&intent, "{}").expect("writes");

    let second = lake.prepared("second").await;
    assert!(moved.exists() && temporary.exists() && intent.exists());
    let again = lake.sink().prepare("first").await.expect_err("is already running");
    assert!(again.to_string().contains("already running"), "{again}");
    fs_err::remove_file(intent).expect("removes");
    first.commit(commit).await.expect("commits");
    commit_next(&second, "second", &partition, 5).await.expect("goes on where the first ended");
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn runs_and_tenants_are_kept() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let tenants = [testing::tenant("b"), testing::tenant("a")];
    sink.record_tenants(&tenants).await.expect("keeps");
    sink.record_tenants(&tenants[..1]).await.expect("keeps");
    let registry = super::super::Registry::read(&lake.root()).expect("reads");
    let listed: Vec<(&str, bool)> =
        registry.tenants.iter().map(|known| (known.id.as_str(), known.listed)).collect();
    assert_eq!(listed, [("a", false), ("b", true)]);
    let mut summary = summary("one");
    assert!(sink.last_run().await.expect("reads").is_none());
    for tenants in [2, 3] {
        summary.tenants = tenants;
        sink.record_run(&summary).await.expect("keeps");
        assert_eq!(sink.last_run().await.expect("reads").map(|run| run.tenants), Some(tenants));
    }
    let text = fs_err::read_to_string(lake.root().join("_tenantry/runs/0000000002.json")).expect("reads");
    assert!(text.contains("\"outcome\":\"complete\""), "{text}");
}

#[tokio::test]
async fn a_lake_that_cannot_be_made_is_refused_with_what_to_do() {
    let lake = TestLake::new();
    fs_err::write(lake.root(), "a file").expect("writes");
    let error = lake.sink().prepare("one").await.expect_err("a file is there");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().is_some_and(|hint| hint.contains("move it away")), "{error:?}");
    assert!(
        error.context().iter().any(|(name, path)| *name == "path" && path.ends_with("lake")),
        "{error:?}"
    );
    assert!(super::super::is_foreign(&lake.root()));
    let empty = TestLake::new();
    assert!(!super::super::is_foreign(&empty.root()));
    let _run = empty.prepared("one").await;
    assert!(!super::super::is_foreign(&empty.root()));
    assert!(empty.sink().writer(&partition("acme", &["alerts"])).await.is_err(), "it was not prepared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_files_only() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let (done, root) = (AtomicBool::new(false), lake.root());
    let opened = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut opened = 0;
            while !done.load(Relaxed) {
                for path in
                    files_below(&root).into_iter().filter(|path| !path.starts_with(root.join("_tenantry")))
                {
                    let file = fs_err::File::open(&path).expect("a visible file stays").into_file();
                    let footer = ParquetMetaDataReader::new().parse_and_finish(&file).expect("a whole file");
                    assert_eq!(footer.file_metadata().num_rows(), 400);
                    opened += 1;
                }
            }
            opened
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for round in 0..20 {
                    let partition = partition(&format!("tenant-{}", round % 5), &["alerts"]);
                    commit_next(&sink, "one", &partition, 200).await.expect("commits");
                }
            });
        });
        done.store(true, Relaxed);
        reader.join().expect("every file was whole")
    });
    assert!(opened > 0);
}

#[tokio::test]
async fn an_intent_of_another_version_is_left_with_its_files() {
    let lake = TestLake::new();
    let commit = {
        let sink = lake.prepared("one").await;
        commit_next(&sink, "one", &partition("acme", &["alerts"]), 5).await.expect("commits")
    };
    let name = "0123456789abcdef0123456789abcdef";
    let committed = lake.root().join(&commit.files[0].path);
    let moved = committed.with_file_name(format!("{name}-1.parquet"));
    let intent = lake.root().join(format!("_tenantry/pending/newer/{name}.json"));
    for (version, is_settled) in [("2", false), ("1", true)] {
        fs_err::copy(&committed, &moved).expect("copies");
        leave_intent(&lake, "newer", name, 2, &moved);
        fs_err::write(intent.with_file_name("lock"), "").expect("writes");
        let text = fs_err::read_to_string(&intent).expect("reads");
        let text = text.replace("\"schema_version\":1,", &format!("\"schema_version\":{version},"));
        fs_err::write(&intent, text).expect("writes");
        let found = lake.verify().findings;
        let is_known = found.iter().all(|finding| finding.kind != FindingKind::UnknownVersion);
        assert_eq!(is_known, is_settled, "version {version}: {found:?}");
        let garbage = find_garbage(&lake.root()).expect("lists");
        assert_eq!(garbage.findings.is_empty(), is_settled, "version {version}: {garbage:?}");
        if !is_settled {
            // Which files it names, nobody knows: they may be those of a run that lives.
            remove_garbage(&lake.root()).expect_err("nothing is removed");
        }
        drop(lake.prepared("next").await);
        assert_eq!((moved.exists(), intent.exists()), (!is_settled, !is_settled), "version {version}");
    }
    assert!(committed.exists());
}

//! What no commit names is listed and removed, and nothing else is.

use std::io;

use pipeline::ErrorKind;

use super::super::faulty::{Fault, FaultyFiles};
use super::super::layout::Layout;
use super::super::{Garbage, find_garbage, gc, remove_garbage};
use super::*;

const STRAY: &str = "0123456789abcdef0123456789abcdef-1.parquet";

/// A lake with a sealed commit, whose data file is returned with it.
async fn lake() -> (TestLake, PathBuf) {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let commit = commit_next(&sink, "one", &partition("acme", &["alerts"]), 5).await.expect("commits");
    sink.record_run(&summary("one")).await.expect("seals");
    drop(sink);
    let path = lake.root().join(&commit.files[0].path);
    (lake, path)
}

/// Leaves what a run leaves that was killed: a moved file that an intent names, and a file being written.
fn killed(lake: &TestLake, moved: &Path) {
    let own = lake.root().join("_tenantry");
    for folder in ["pending/dead", "tmp/dead", "tmp/older"] {
        fs_err::create_dir_all(own.join(folder)).expect("creates");
    }
    leave_intent(lake, "dead", STRAY.trim_end_matches("-1.parquet"), 2, moved);
    fs_err::write(own.join("pending/dead/lock"), "").expect("writes");
    fs_err::write(own.join("tmp/dead/half.parquet"), "half").expect("writes");
    fs_err::write(own.join("tmp/older/half.parquet"), "half").expect("writes");
}

fn all(lake: &TestLake) -> BTreeSet<String> {
    lake.below(|path| path != "_tenantry/prepare.lock")
}

#[tokio::test]
async fn what_no_commit_names_is_listed_and_removed_and_nothing_else() {
    let (lake, data) = lake().await;
    let clean = all(&lake);
    assert_eq!(find_garbage(&lake.root()).expect("lists"), Garbage::default());
    let stray = data.with_file_name(STRAY);
    let moved = data.with_file_name("0123456789abcdef0123456789abcdef-2.parquet");
    fs_err::write(&stray, "stray").expect("writes");
    fs_err::write(&moved, "moved").expect("writes");
    killed(&lake, &moved);
    let notes = data.with_file_name("notes.txt");
    fs_err::write(&notes, "mine").expect("writes");
    fs_err::write(lake.root().join("_tenantry/notes.txt"), "mine").expect("writes");

    let found = find_garbage(&lake.root()).expect("lists");
    let below = |path: &Path| path.strip_prefix(lake.root()).expect("is below").display().to_string();
    assert_eq!(found.files, [below(&stray)]);
    assert_eq!(found.dead_runs, ["dead", "older"]);
    assert_eq!(found.foreign, ["_tenantry/notes.txt".to_owned(), below(&notes)]);
    assert_eq!(found.bytes, 5 + 5 + 4 + 4);
    assert!(stray.exists() && moved.exists(), "listing changes nothing");

    assert_eq!(remove_garbage(&lake.root()).expect("removes"), found);
    let mut left = all(&lake);
    assert!(left.remove(&below(&notes)) && left.remove("_tenantry/notes.txt"), "what is foreign stays");
    assert_eq!(left, clean);
}

#[tokio::test]
async fn nothing_of_a_live_run_is_touched() {
    let (lake, _) = lake().await;
    let live = lake.prepared("live").await;
    let commit = written(&live, "live", &partition("globex", &["alerts"]), Checkpoint::default(), 5).await;
    let commit = commit.expect("closes");
    let before = all(&lake);
    assert!(find_garbage(&lake.root()).expect("lists").is_empty());
    assert!(remove_garbage(&lake.root()).expect("removes").is_empty());
    assert_eq!(all(&lake), before);
    live.commit(commit).await.expect("its files are there");
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn nothing_is_removed_while_a_record_is_missing() {
    let (lake, data) = lake().await;
    let record = lake.root().join("_tenantry/commits/acme/alerts/0000000001.json");
    let text = fs_err::read(&record).expect("reads");
    for damage in [None, Some("{"), Some("{\"schema_version\":1}")] {
        match damage {
            None => fs_err::remove_file(&record).expect("removes"),
            Some(text) => fs_err::write(&record, text).expect("writes"),
        }
        let found = find_garbage(&lake.root()).expect("lists");
        assert!(!found.findings.is_empty(), "{damage:?}");
        let error = remove_garbage(&lake.root()).expect_err("the file may be the missing record's");
        assert_eq!(error.kind(), ErrorKind::Sink);
        assert!(data.exists(), "{damage:?}");
    }
    fs_err::write(&record, text).expect("writes");
    assert!(remove_garbage(&lake.root()).expect("removes").is_empty());
    assert!(data.exists() && lake.verify().is_good());
}

#[tokio::test]
async fn a_removal_that_stops_half_way_is_finished_by_the_next() {
    for fault in [Fault::Crash, Fault::Once(io::ErrorKind::PermissionDenied)] {
        for chosen in 0.. {
            let (lake, data) = lake().await;
            let clean = all(&lake);
            let moved = data.with_file_name("0123456789abcdef0123456789abcdef-2.parquet");
            fs_err::write(data.with_file_name(STRAY), "stray").expect("writes");
            fs_err::write(&moved, "moved").expect("writes");
            killed(&lake, &moved);
            let files = Arc::new(FaultyFiles::new(chosen, fault));
            let outcome = gc::remove(&Layout::new(lake.root()), files.clone());
            assert!(data.exists(), "step {chosen}");
            assert_eq!(outcome.is_err(), files.struck(), "step {chosen}: {outcome:?}");
            remove_garbage(&lake.root()).expect("removes");
            assert_eq!(all(&lake), clean, "step {chosen}, {fault:?}");
            assert!(lake.verify().is_good());
            if !files.struck() {
                assert!(chosen > 6, "a removal has more steps than {chosen}");
                break;
            }
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_dataset_s_folder_may_be_a_link() {
    let (lake, data) = lake().await;
    let (folder, elsewhere) = (lake.root().join("alerts"), lake.root().with_file_name("elsewhere"));
    fs_err::rename(&folder, &elsewhere).expect("moves");
    std::os::unix::fs::symlink(&elsewhere, &folder).expect("links");
    assert!(lake.verify().is_good(), "{:?}", lake.verify().findings);
    let stray = data.with_file_name(STRAY);
    fs_err::write(&stray, "stray").expect("writes");
    // One that leads in a circle ends nowhere.
    std::os::unix::fs::symlink(lake.root(), data.with_file_name("circle")).expect("links");
    let found = find_garbage(&lake.root()).expect("lists");
    assert_eq!((found.files.len(), found.foreign.len()), (1, 1), "{found:?}");
}

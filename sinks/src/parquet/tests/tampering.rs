//! What a verification finds, one change at a time.

use super::super::{FindingKind, record};
use super::*;

struct Tampered {
    lake: TestLake,
    /// The first commit's only file, then the second's.
    files: [PathBuf; 2],
    records: [PathBuf; 3],
}

/// Makes a lake of three commits, the last without files, changes it, and compares what is found.
async fn check(what: &str, expected: &[FindingKind], change: impl FnOnce(&Tampered)) {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts"]);
    let first = commit_next(&sink, "one", &partition, 10).await.expect("commits");
    let second = commit_next(&sink, "one", &partition, 20).await.expect("commits");
    let from = sink.standing(&partition.tenant.id, "alerts").await.expect("reads").checkpoint;
    let receipts = vec![receipt(&partition, "alerts", 0)];
    let third = Commit {
        run_id: "one".to_owned(),
        partition,
        files: Vec::new(),
        from,
        to: from.next(Some(at(9))),
        receipts,
        replays: None,
    };
    sink.commit(third).await.expect("commits");
    sink.record_run(&summary("one")).await.expect("seals");
    drop(sink);
    assert!(lake.verify().is_good());
    let files = [&first, &second].map(|commit| lake.root().join(&commit.files[0].path));
    let records =
        [1, 2, 3].map(|number| lake.root().join(format!("_tenantry/commits/acme/alerts/{number:010}.json")));
    let tampered = Tampered { lake, files, records };
    change(&tampered);
    let findings = tampered.lake.verify().findings;
    let found: BTreeSet<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    assert!(findings.iter().all(|finding| !finding.path.is_empty() && !finding.sentence.is_empty()));
    let expected = expected.iter().copied().collect();
    assert_eq!(found, expected, "{what}: {findings:?}");
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs_err::read_to_string(path).expect("reads");
    assert!(text.contains(from), "{text}");
    fs_err::write(path, text.replacen(from, to, 1)).expect("writes");
}

/// Edits a record and seals it again, as somebody who knows the form would.
fn forge(path: &Path, edit: impl FnOnce(&mut record::Record)) {
    let mut sealed = record::Sealed::parse(&fs_err::read(path).expect("reads")).expect("is a record");
    edit(&mut sealed.record);
    fs_err::write(path, sealed.record.seal()).expect("writes");
}

#[tokio::test]
async fn every_change_is_found() {
    use FindingKind::*;
    check("nothing", &[], |_| {}).await;
    check("a flipped byte", &[WrongHash], |lake| {
        let mut bytes = fs_err::read(&lake.files[0]).expect("reads");
        bytes[100] ^= 1;
        fs_err::write(&lake.files[0], bytes).expect("writes");
    })
    .await;
    check("a cut file", &[WrongSize, WrongRows], |lake| {
        let bytes = fs_err::read(&lake.files[0]).expect("reads");
        fs_err::write(&lake.files[0], &bytes[..bytes.len() - 1]).expect("writes");
    })
    .await;
    check("a deleted file", &[MissingFile], |lake| fs_err::remove_file(&lake.files[1]).expect("removes"))
        .await;
    check("an added file", &[UnnamedFile], |lake| {
        let copy = lake.files[0].with_file_name("copy.parquet");
        fs_err::copy(&lake.files[0], copy).expect("copies");
    })
    .await;
    check("a file exchanged for another", &[WrongSize, WrongRows, WrongReceipt], |lake| {
        fs_err::copy(&lake.files[1], &lake.files[0]).expect("copies");
    })
    .await;
    check("an edited record", &[EditedRecord, MissingRecord, UnnamedFile], |lake| {
        edit(&lake.records[1], "\"rows_written\":40", "\"rows_written\":41");
    })
    .await;
    check("a record that is no JSON", &[UnreadableRecord, MissingRecord], |lake| {
        fs_err::write(&lake.records[2], "{").expect("writes");
    })
    .await;
    check("a record of another version", &[UnknownVersion, MissingRecord], |lake| {
        edit(&lake.records[2], "\"schema_version\":1", "\"schema_version\":2");
    })
    .await;
    check("a missing record", &[MissingRecord, UnnamedFile], |lake| {
        fs_err::remove_file(&lake.records[1]).expect("removes");
    })
    .await;
    check("a stray file among the records", &[UnreadableRecord], |lake| {
        fs_err::write(lake.records[1].with_file_name("notes.txt"), "x").expect("writes");
    })
    .await;
}

#[tokio::test]
async fn a_forged_record_is_found() {
    use FindingKind::*;
    check("its receipt", &[BrokenChain, WrongReceipt], |lake| {
        forge(&lake.records[1], |record| record.receipts[0].rows_written += 1);
    })
    .await;
    check("its rows", &[BrokenChain, WrongRows], |lake| {
        forge(&lake.records[1], |record| record.files[0].rows += 1);
    })
    .await;
    check("its checkpoint", &[BrokenChain], |lake| {
        forge(&lake.records[2], |record| record.from.through = Some(at(77)));
    })
    .await;
    check("its tenant", &[BrokenChain, MissingRecord, WrongPlace, WrongReceipt], |lake| {
        forge(&lake.records[0], |record| record.organization_id = "globex".parse().expect("an id"));
    })
    .await;
    check("a path out of the lake", &[BrokenChain, WrongPlace, UnnamedFile], |lake| {
        forge(&lake.records[0], |record| record.files[0].path = "../../etc/passwd".to_owned());
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_run_left_is_told_apart() {
    check("a moved file whose run died", &[], |lake| {
        let name = "0123456789abcdef0123456789abcdef";
        let copy = lake.files[0].with_file_name(format!("{name}-1.parquet"));
        fs_err::copy(&lake.files[0], &copy).expect("copies");
        leave_intent(&lake.lake, "dead", name, 4, &copy);
        let path = copy.strip_prefix(lake.lake.root()).expect("is below").display().to_string();
        assert_eq!(lake.lake.verify().leftovers, [path]);
    })
    .await;
}

/// A lake as many runs left it: with segments, commits that were adopted, rejects of none, a registry.
async fn lived_in() -> TestLake {
    let lake = TestLake::new();
    let killed = lake.prepared("killed").await;
    commit_next(&killed, "killed", &partition("globex", &["alerts", "evidences"]), 5).await.expect("commits");
    drop(killed);
    for run_id in ["one", "two"] {
        let mut sink = lake.prepared(run_id).await;
        sink.sizes = SMALL;
        sink.record_tenants(&[testing::tenant("acme"), testing::tenant("globex")]).await.expect("keeps");
        for _ in 0..SMALL.kept + SMALL.rolled {
            commit_empty(&sink, run_id, &partition("acme", &["alerts"])).await.expect("commits");
        }
        commit_next(&sink, run_id, &partition("globex", &["alerts"]), 5).await.expect("commits");
        sink.record_run(&summary(run_id)).await.expect("seals");
    }
    assert!(!lake.below(|path| path.ends_with(".jsonl")).is_empty());
    lake
}

fn is_noticed(lake: &TestLake) -> bool {
    let report = lake.verify();
    // What is put where only runs write that have not ended is told as that.
    !report.is_good() || !report.leftovers.is_empty()
}

#[tokio::test]
async fn any_byte_flipped_any_file_gone_and_any_file_added_is_noticed() {
    let lake = lived_in().await;
    assert!(!is_noticed(&lake), "{:?}", lake.verify());
    // The lock of a run's beginning says nothing: it has no bytes, and is made again.
    let files = lake.below(|path| path != "_tenantry/prepare.lock");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize % below
    };
    for path in &files {
        let full = lake.root().join(path);
        let bytes = fs_err::read(&full).expect("reads");
        let ends = [0, 1, bytes.len() - 2, bytes.len() - 1];
        let inside: Vec<usize> = (0..24).map(|_| draw(bytes.len())).collect();
        for at in ends.into_iter().chain(inside) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << draw(8);
            fs_err::write(&full, changed).expect("writes");
            assert!(is_noticed(&lake), "{path}: byte {at} of {}", bytes.len());
        }
        for changed in [Vec::new(), bytes[..bytes.len() / 2].to_vec(), [bytes.as_slice(), b" "].concat()] {
            fs_err::write(&full, changed).expect("writes");
            assert!(is_noticed(&lake), "{path}: another length");
        }
        fs_err::remove_file(&full).expect("removes");
        assert!(is_noticed(&lake), "{path} is gone");
        for other in files.iter().filter(|other| other != &path && draw(8) == 0) {
            fs_err::copy(lake.root().join(other), &full).expect("copies");
            let same = fs_err::read(&full).expect("reads") == bytes;
            assert!(same || is_noticed(&lake), "{path} is {other}");
        }
        fs_err::write(&full, &bytes).expect("writes");
        let folder = full.parent().expect("it lies in one");
        for name in [
            "x",
            "0000000099.json",
            "18446744073709551615.json",
            "0000000001-0000000002.jsonl",
            "a-1.parquet",
            "tenants.json.bak",
        ] {
            let added = folder.join(name);
            if added.exists() {
                continue;
            }
            for text in [b"{}".as_slice(), &bytes] {
                fs_err::write(&added, text).expect("writes");
                assert!(is_noticed(&lake), "{} was added", added.display());
            }
            fs_err::remove_file(added).expect("removes");
        }
        assert!(!is_noticed(&lake), "{path} is as it was");
    }
}

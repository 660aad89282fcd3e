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
    };
    sink.commit(third).await.expect("commits");
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
    check("an edited record", &[EditedRecord, UnnamedFile], |lake| {
        edit(&lake.records[1], "\"rows_written\":40", "\"rows_written\":41");
    })
    .await;
    check("a record that is no JSON", &[UnreadableRecord], |lake| {
        fs_err::write(&lake.records[2], "{").expect("writes");
    })
    .await;
    check("a record of another version", &[UnknownVersion], |lake| {
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
    check("its tenant", &[BrokenChain, WrongPlace, WrongReceipt], |lake| {
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
        let path = copy.strip_prefix(lake.lake.root()).expect("is below").display().to_string();
        let pending = lake.lake.root().join("_tenantry/pending/dead");
        fs_err::create_dir_all(&pending).expect("creates");
        let intent = serde_json::json!({
            "schema_version": 1, "commit": name, "organization_id": "acme", "pull": "alerts",
            "sequence": 4, "files": [path],
        });
        fs_err::write(pending.join(format!("{name}.json")), intent.to_string()).expect("writes");
        assert_eq!(lake.lake.verify().leftovers, [path]);
    })
    .await;
}

//! The chain of runs: what it covers, who comes second, and what is noticed when a part of it is taken away.

use std::path::PathBuf;

use super::super::chain;
use super::super::layout::Layout;
use super::super::signing::{PublicKey, SigningKey};
use super::super::{FindingKind, SigningKeyConfig};
use super::*;

/// A private and a public key that `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` wrote.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIC7vhNMECQ/rp5At109BCYZhD3gKXzGmzV4gRcmKOZUk\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAhGILTEGBVxz3Jh+lRgrXeQkm3znPikmjYEWR/RTzcKE=\n-----END PUBLIC KEY-----\n";
/// The public half of another.
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAHvw165BRJIPJDz4kmVhR0HBNc7M0yEtvZ+CTYFusX2U=\n-----END PUBLIC KEY-----\n";
/// A key of another kind.
const NIST: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5JNdaxUVhNa2Cz51\n\
    ezkj5pIUy2EOFM/X1Bcp9IaZruWhRANCAAR0ZAMuOUOLli01BPjE7O4TSlKkq/T5\n\
    aZZqWE7lvSsivFdEbZiPETl0VK9+uNjnEvdxJJlmx20zb1GQBCqhe+c8\n-----END PRIVATE KEY-----\n";

/// Makes a run that commits once, and seals it.
async fn run(lake: &TestLake, run_id: &str) -> Commit {
    let sink = lake.prepared(run_id).await;
    let commit = commit_next(&sink, run_id, &partition("acme", &["alerts"]), 5).await.expect("commits");
    sink.record_run(&summary(run_id)).await.expect("seals");
    commit
}

fn record(lake: &TestLake, sequence: u64) -> PathBuf {
    lake.root().join(format!("_tenantry/runs/{sequence:010}.json"))
}

fn read(lake: &TestLake, sequence: u64) -> chain::SealedRun {
    chain::SealedRun::parse(&fs_err::read(record(lake, sequence)).expect("reads")).expect("is a record")
}

fn kinds(report: &VerifyReport) -> BTreeSet<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[tokio::test]
async fn each_run_record_covers_its_commits_and_names_the_one_before() {
    let lake = TestLake::new();
    run(&lake, "one").await;
    run(&lake, "two").await;
    let (first, second) = (read(&lake, 1), read(&lake, 2));
    assert_eq!(first.header.previous, None);
    assert_eq!(second.header.previous, Some(first.sha256));
    let covered: Vec<u64> = second.record.commits.iter().map(|commit| commit.sequence).collect();
    assert_eq!(covered, [2]);
    assert_eq!(second.record.root, second.record.root_of_leaves());
    assert_eq!(second.summary().expect("a summary").run_id, "two");
    let report = lake.verify();
    assert!(report.is_good() && report.unsealed.is_empty(), "{report:?}");
    let newest = report.newest_run.expect("there were runs");
    assert_eq!((newest.sequence, newest.root), (2, second.record.root));
    assert_eq!(newest.signed_by, None);
}

#[tokio::test]
async fn the_commits_of_a_run_without_a_record_are_adopted_and_said_to_be() {
    let lake = TestLake::new();
    let killed = lake.prepared("killed").await;
    commit_next(&killed, "killed", &partition("acme", &["alerts"]), 5).await.expect("commits");
    drop(killed);
    let report = lake.verify();
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!(report.unsealed, ["_tenantry/commits/acme/alerts/0000000001.json"]);
    run(&lake, "next").await;
    let commits = read(&lake, 1).record.commits;
    let adopted: Vec<Option<&str>> = commits.iter().map(|commit| commit.adopted_from.as_deref()).collect();
    assert_eq!(adopted, [Some("killed"), None]);
    assert!(lake.verify().unsealed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_that_end_at_once_take_one_number_each() {
    let lake = TestLake::new();
    let runs = (0..8).map(|number| {
        let (id, sink) = (format!("run{number}"), lake.sink());
        async move {
            sink.prepare(&id).await.expect("prepares");
            let partition = partition(&format!("tenant{number}"), &["alerts"]);
            commit_next(&sink, &id, &partition, 5).await.expect("commits");
            let sink: Arc<ParquetSink> = Arc::new(sink);
            tokio::spawn(async move { sink.record_run(&summary(&id)).await })
                .await
                .expect("no panic")
                .expect("seals");
        }
    });
    futures::future::join_all(runs).await;
    let records: BTreeSet<String> = (1..=8).map(|number| read(&lake, number).header.run_id).collect();
    assert_eq!(records.len(), 8, "{records:?}");
    let covered: usize = (1..=8).map(|number| read(&lake, number).record.commits.len()).sum();
    assert_eq!(covered, 8, "each commit is covered once");
    let report = lake.verify();
    assert!(report.is_good() && report.unsealed.is_empty(), "{report:?}");
    let head = fs_err::read_to_string(lake.root().join("_tenantry/head.json")).expect("reads");
    assert!(head.contains("\"sequence\":8"), "{head}");
}

#[tokio::test]
async fn what_is_taken_away_is_missed() {
    use FindingKind::*;
    let remove = |path: PathBuf| fs_err::remove_file(path).expect("removes");
    let check = async |what: &str, expected: &[FindingKind], change: &dyn Fn(&TestLake)| {
        let lake = TestLake::new();
        for run_id in ["one", "two", "three"] {
            run(&lake, run_id).await;
        }
        change(&lake);
        let report = lake.verify();
        assert_eq!(kinds(&report), expected.iter().copied().collect(), "{what}: {:?}", report.findings);
    };
    check("the newest run record", &[MissingRecord], &|lake| remove(record(lake, 3))).await;
    check("the first run record", &[MissingRecord], &|lake| remove(record(lake, 1))).await;
    check("a run record in between", &[MissingRecord], &|lake| remove(record(lake, 2))).await;
    check("the head", &[MissingRecord], &|lake| remove(lake.root().join("_tenantry/head.json"))).await;
    check("the summary", &[MissingFile], &|lake| remove(lake.root().join("_tenantry/last-run.json"))).await;
    check("the newest commit record", &[MissingRecord, UnnamedFile], &|lake| {
        remove(lake.root().join("_tenantry/commits/acme/alerts/0000000003.json"));
    })
    .await;
    check("every run record", &[MissingRecord], &|lake| {
        fs_err::remove_dir_all(lake.root().join("_tenantry/runs")).expect("removes");
    })
    .await;
    check("run records exchanged", &[BrokenChain, EditedRecord], &|lake| {
        let (two, three) = (record(lake, 2), record(lake, 3));
        let text = fs_err::read(&two).expect("reads");
        fs_err::copy(&three, &two).expect("copies");
        fs_err::write(three, text).expect("writes");
    })
    .await;
    check("another commit, sealed again", &[BrokenChain], &|lake| {
        let mut run = read(lake, 3);
        run.record.commits[0].sha256 = "0".repeat(64);
        fs_err::write(record(lake, 3), run.record.seal()).expect("writes");
    })
    .await;
}

#[tokio::test]
async fn a_root_that_was_kept_shows_that_the_newest_were_taken_away_together() {
    let lake = TestLake::new();
    run(&lake, "one").await;
    let keep = ["head.json", "last-run.json"].map(|name| lake.root().join("_tenantry").join(name));
    let older = keep.each_ref().map(|path| fs_err::read(path).expect("reads"));
    let commit = run(&lake, "two").await;
    let root = read(&lake, 2).record.root;
    let first = read(&lake, 1).record.root;
    let with = |root: &str| VerifyOptions { root: Some(root.to_owned()), ..VerifyOptions::default() };
    assert!(lake.verify_with(&with(&root)).is_good());
    assert!(lake.verify_with(&with(&first)).is_good(), "an older root is in the chain too");

    for (path, text) in keep.iter().zip(older) {
        fs_err::write(path, text).expect("writes");
    }
    fs_err::remove_file(record(&lake, 2)).expect("removes");
    fs_err::remove_file(lake.root().join("_tenantry/commits/acme/alerts/0000000002.json")).expect("removes");
    for file in commit.files {
        fs_err::remove_file(lake.root().join(file.path)).expect("removes");
    }
    assert!(lake.verify().is_good(), "it cannot be told from an older copy");
    assert_eq!(kinds(&lake.verify_with(&with(&root))), [FindingKind::UnknownRoot].into());
    assert!(lake.verify_with(&with(&first)).is_good());
}

fn put(lake: &TestLake, name: &str, text: &str) -> PathBuf {
    let path = lake.folder.path().join(name);
    fs_err::write(&path, text).expect("writes");
    path
}

#[tokio::test]
async fn a_signature_is_the_keys_and_what_is_unsigned_is_named() {
    let mut lake = TestLake::new();
    let read = |path: PathBuf| PublicKey::read(&path).expect("a key");
    let (own, other) = (read(put(&lake, "own.pem", PUBLIC)), read(put(&lake, "other.pem", OTHER)));
    let with = |keys: &[&PublicKey]| VerifyOptions {
        public_keys: keys.iter().map(|key| (*key).clone()).collect(),
        ..VerifyOptions::default()
    };
    run(&lake, "one").await;
    let report = lake.verify_with(&with(&[&own]));
    assert_eq!(kinds(&report), [FindingKind::Unsigned].into(), "nothing is signed: {report:?}");

    lake.config.signing_key = Some(SigningKeyConfig::File(put(&lake, "signing.pem", PRIVATE)));
    run(&lake, "two").await;
    let report = lake.verify_with(&with(&[&own]));
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.unsigned, ["_tenantry/runs/0000000001.json"]);
    assert_eq!(report.newest_run.and_then(|run| run.signed_by), Some(own.fingerprint()));
    assert!(lake.verify_with(&with(&[&other, &own])).is_good(), "any of the keys");
    assert_eq!(kinds(&lake.verify_with(&with(&[&other]))), [FindingKind::WrongSignature].into());

    lake.config.signing_key = None;
    run(&lake, "three").await;
    let report = lake.verify_with(&with(&[&own]));
    assert_eq!(kinds(&report), [FindingKind::Unsigned].into(), "{report:?}");
    assert_eq!(report.findings[0].path, "_tenantry/runs/0000000003.json");
}

#[tokio::test]
async fn a_forged_signature_is_found() {
    let mut lake = TestLake::new();
    lake.config.signing_key = Some(SigningKeyConfig::File(put(&lake, "signing.pem", PRIVATE)));
    run(&lake, "one").await;
    let key = PublicKey::read(&put(&lake, "own.pem", PUBLIC)).expect("a key");
    let options = VerifyOptions { public_keys: vec![key], ..VerifyOptions::default() };
    let mut forged = read(&lake, 1);
    let signature = forged.record.signature.as_mut().expect("it is signed");
    signature.value = "ab".repeat(64);
    fs_err::write(record(&lake, 1), forged.record.seal()).expect("writes");
    let found = kinds(&lake.verify_with(&options));
    assert!(found.contains(&FindingKind::WrongSignature), "{found:?}");
    signature_of_nonsense(&lake, &options, "zz");
    signature_of_nonsense(&lake, &options, "abc");
}

fn signature_of_nonsense(lake: &TestLake, options: &VerifyOptions, value: &str) {
    let mut forged = read(lake, 1);
    forged.record.signature.as_mut().expect("it is signed").value = value.to_owned();
    fs_err::write(record(lake, 1), forged.record.seal()).expect("writes");
    assert!(kinds(&lake.verify_with(options)).contains(&FindingKind::WrongSignature));
}

#[test]
fn a_file_that_is_no_key_is_refused_with_the_reason() {
    let lake = TestLake::new();
    for (text, part) in [
        (None, "No such file"),
        (Some("hunter2"), "no `PRIVATE KEY`"),
        (Some(PUBLIC), "no `PRIVATE KEY`"),
        (Some(NIST), "no Ed25519 key"),
    ] {
        let path =
            text.map_or_else(|| lake.folder.path().join("none.pem"), |text| put(&lake, "key.pem", text));
        let Err(error) = SigningKey::read(&path) else { panic!("{part}: it was taken") };
        assert_eq!(error.kind(), pipeline::ErrorKind::Config);
        assert!(error.chain().contains(part) && !error.chain().contains("hunter2"), "{}", error.chain());
        assert!(error.hint().is_some() && error.context().iter().any(|(name, _)| *name == "path"));
    }
    for (text, part) in [(PRIVATE, "no `PUBLIC KEY`"), ("x", "no `PUBLIC KEY`")] {
        let error = PublicKey::read(&put(&lake, "key.pem", text)).expect_err("no public key");
        assert_eq!(error.kind(), pipeline::ErrorKind::Usage);
        assert!(error.chain().contains(part), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_damaged_record_is_not_vouched_for() {
    let lake = TestLake::new();
    let killed = lake.prepared("killed").await;
    commit_next(&killed, "killed", &partition("acme", &["alerts"]), 5).await.expect("commits");
    drop(killed);
    let path = lake.root().join("_tenantry/commits/acme/alerts/0000000001.json");
    let text = fs_err::read_to_string(&path).expect("reads");
    fs_err::write(&path, text.replace("\"rows\":10", "\"rows\":11")).expect("writes");
    let sink = lake.prepared("next").await;
    sink.record_run(&summary("next")).await.expect("seals");
    assert!(read(&lake, 1).record.commits.is_empty());
    assert!(!lake.verify().is_good());
    fs_err::write(&path, text).expect("writes");
    assert_eq!(lake.verify().unsealed.len(), 1, "put back from a copy, the next run adopts it");
    assert_eq!(chain::numbers(&Layout::new(lake.root())).expect("lists"), [1]);
}

#[tokio::test]
async fn a_head_that_is_gone_or_damaged_stays_so_until_it_is_put_back() {
    for damage in [None, Some("{}")] {
        let lake = TestLake::new();
        run(&lake, "one").await;
        let head = lake.root().join("_tenantry/head.json");
        let text = fs_err::read(&head).expect("reads");
        match damage {
            None => fs_err::remove_file(&head).expect("removes"),
            Some(text) => fs_err::write(&head, text).expect("writes"),
        }
        run(&lake, "two").await;
        assert!(!lake.verify().is_good(), "{damage:?}: a run does not hide it");
        fs_err::write(&head, text).expect("writes");
        run(&lake, "three").await;
        let report = lake.verify();
        assert!(report.is_good() && report.unsealed.is_empty(), "{damage:?}: {:?}", report.findings);
        assert_eq!(report.runs, 3);
    }
}

//! Replays of records that were set aside by hand, with the real decoder and a real lake.

use chrono::NaiveDate;
use config::Environment;
use pipeline::batch::{Counts, Provenance, Reject};
use pipeline::rejects::records;
use pipeline::{Checkpoint, Commit, Connector, Dataset, Partition, Receipt, SystemClock, Verdict};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

const OWN: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
const OTHER: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

struct Scene {
    folder: TempDir,
    connector: Arc<dyn Connector>,
    sink: Arc<dyn Sink>,
}

fn at(hour: u32) -> Timestamp {
    format!("2026-11-24T{hour:02}:00:00Z").parse().expect("an instant")
}

/// The text of a user of a tenant.
fn user(tenant: &str, id: u32, name: &str) -> String {
    format!(r#"{{"rrn":"rrn:uba:eu:{tenant}:user:{id}","name":"{name}"}}"#)
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tenantry.toml");
        let text = format!(
            "[connector.rapid7]\nparent_organization = \"{OTHER}\"\nhome_region = \"us\"\nkey = {{ env = \"KEY\" }}\n\
            [[dataset]]\nname = \"users\"\n[sink.parquet]\nurl = {:?}\n",
            folder.path().join("lake")
        );
        fs_err::write(&file, text).expect("writes");
        let flags = config::Flags { config: Some(file), ..config::Flags::default() };
        let settings = config::resolve(&flags, &Environment::of([]), at(3)).expect("a run file");
        let (connector, sink) = (
            settings.connector.offline().expect("no key is asked for"),
            settings.sink.open().expect("a lake"),
        );
        Self { folder, connector, sink }
    }

    fn dataset(&self, name: &str) -> Arc<Dataset> {
        self.connector.datasets().iter().find(|dataset| dataset.name == name).expect("a dataset").clone()
    }

    /// Commits a reading that kept some records and set others aside.
    async fn read(&self, tenant: &str, dataset: &Arc<Dataset>, kept: &[String], set_aside: &[String]) {
        self.sink.prepare("reading").await.expect("the lake can be written");
        let id: TenantId = tenant.parse().expect("an id");
        let region: pipeline::Region = "eu".parse().expect("a region");
        let tenant =
            Arc::new(Tenant { id, name: "Acme".to_owned(), region: Some(region.clone()), external_id: None });
        let date = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
        let partition = Partition { tenant, region, datasets: vec![dataset.clone()], window: None, date };
        let provenance = Provenance::new(&partition, "reading", at(3));
        let reject = |raw: &String| Reject {
            dataset: dataset.name,
            column: "name".to_owned(),
            reason: "it did not fit".to_owned(),
            raw: raw.clone(),
            within: None,
        };
        let mut writer = self.sink.writer(&partition).await.expect("a writer");
        let kept: Vec<Reject> = kept.iter().map(reject).collect();
        for batch in self.connector.decode(&partition, &kept).into_iter().flatten() {
            for records in batch.records {
                let columns = provenance.add_to(&records.columns).expect("its own columns");
                writer.write(&records.dataset, columns).await.expect("writes");
            }
        }
        let rejects: Vec<Reject> = set_aside.iter().map(reject).collect();
        let (dataset_of_rejects, columns) = records(&rejects).expect("rejects");
        writer
            .write(&dataset_of_rejects, provenance.add_to(&columns).expect("columns"))
            .await
            .expect("writes");
        let (rows, rejects) = (kept.len() as u64, rejects.len() as u64);
        let receipt = Receipt {
            verdict: Verdict::Complete,
            committed: true,
            counts: Counts { read: rows + rejects, rejects, ..Counts::default() },
            rows_written: rows,
            ..Receipt::of_nothing(&partition.tenant, partition.region.clone(), dataset.name, at(3))
        };
        let from = self.sink.standing(&partition.tenant.id, dataset.pull).await.expect("reads").checkpoint;
        let commit = Commit {
            run_id: "reading".to_owned(),
            partition,
            files: writer.close().await.expect("closes"),
            from,
            to: Checkpoint { sequence: from.sequence + 1, through: Some(at(3)), full: None },
            receipts: vec![receipt],
            replays: None,
        };
        self.sink.commit(commit).await.expect("commits");
    }

    async fn replay(&self) -> Replay {
        let run_id = "replay".to_owned();
        self.sink.prepare(&run_id).await.expect("the lake can be written");
        let context = RunContext {
            connector: self.connector.clone(),
            sink: self.sink.clone(),
            clock: Arc::new(SystemClock),
            events: Arc::new(|_| {}),
            run_id,
            version: "0.0.0".to_owned(),
            cores: pipeline::Cores::of_this_machine(),
            open_partitions: 1,
            wind_down: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        pipeline::run::replay(&Choice::default(), &context).await
    }

    fn verify(&self) {
        let config = sinks::parquet::Config::at(self.folder.path().join("lake").display().to_string());
        let report = sinks::SinkConfig::Parquet(config).verify(&sinks::VerifyOptions::default(), &|_| {});
        let report = report.expect("the lake can be listed");
        assert!(report.is_good(), "{:?}", report.findings);
    }
}

/// Records written, held already, and waiting by the reason.
type CameTo = (u64, u64, Vec<(String, u64)>);

/// Returns what became of each tenant's datasets.
fn came_to(replay: &Replay) -> Vec<CameTo> {
    let one = |told: Told| {
        let waiting = told.waiting.into_iter().map(|why| (why.reason, why.records)).collect();
        (told.written, told.duplicates, waiting)
    };
    told(replay).into_iter().map(one).collect()
}

#[tokio::test]
async fn a_record_does_not_take_the_place_of_one_that_stands() {
    let scene = Scene::new().await;
    let users = scene.dataset("users");
    let set_aside = [
        user(OWN, 1, "changed"),
        user(OWN, 2, "one"),
        user(OWN, 2, "other"),
        user(OWN, 3, "x"),
        user(OWN, 3, "x"),
    ];
    scene.read(OWN, &users, &[user(OWN, 1, "first")], &set_aside).await;
    let stands = |records| {
        ("a record with its key and other content was read with it, and stands".to_owned(), records)
    };
    let replay = scene.replay().await;
    assert_eq!(came_to(&replay), [(2, 1, vec![stands(2)])]);
    assert_eq!(exit_code::of_replay(&replay), 0, "the next reading brings what it is by then");
    let again = scene.replay().await;
    assert_eq!(came_to(&again), [(0, 0, vec![stands(2)])]);
    assert!(again.replayed.iter().all(|it| !it.committed), "{again:?}");
    scene.verify();
}

#[tokio::test]
async fn isolation_a_record_of_another_tenant_is_not_replayed_and_stops_nobody_else() {
    let scene = Scene::new().await;
    let users = scene.dataset("users");
    scene.read(OWN, &users, &[], &[user(OWN, 1, "own"), user(OTHER, 2, "foreign")]).await;
    let replay = scene.replay().await;
    let error = replay.replayed[0].error.as_ref().expect("a foreign record");
    assert_eq!((error.kind(), exit_code::of_replay(&replay)), (ErrorKind::Isolation, 5), "{error:?}");
    assert!(error.to_string().contains(OTHER) && error.hint().is_some(), "{error:?}");
    assert_eq!(error.context()[0].1, format!("Acme ({OWN})"));

    scene.read(OTHER, &users, &[], &[user(OTHER, 2, "own")]).await;
    let replay = scene.replay().await;
    assert_eq!((came_to(&replay), exit_code::of_replay(&replay)), (vec![(1, 0, Vec::new())], 7));
    let waiting = scene.sink.backlog().await.expect("reads").waiting;
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].tenant.as_str(), waiting[0].records["users"]), (OWN, 2));
    scene.verify();
}

#[tokio::test]
async fn records_of_a_dataset_that_is_not_known_any_more_wait_on() {
    let scene = Scene::new().await;
    let gone =
        Arc::new(Dataset { name: "people", pull: "people", ..Dataset::clone(&scene.dataset("users")) });
    scene.read(OWN, &gone, &[], &[user(OWN, 1, "x")]).await;
    let replay = scene.replay().await;
    let why = ("this version of the program does not know the dataset".to_owned(), 1);
    assert_eq!((came_to(&replay), exit_code::of_replay(&replay)), (vec![(0, 0, vec![why])], 5));
    assert_eq!(scene.sink.backlog().await.expect("reads").waiting.len(), 1);
    scene.verify();
}

#[tokio::test]
async fn a_finding_whose_asset_was_not_kept_waits_on() {
    let scene = Scene::new().await;
    let findings = scene.dataset("vm_findings");
    scene.read(OWN, &findings, &[], &[r#"{"vulnerability_id":"v"}"#.to_owned()]).await;
    let replay = scene.replay().await;
    let why = ("the record that they stand in has no key".to_owned(), 1);
    assert_eq!((came_to(&replay), exit_code::of_replay(&replay)), (vec![(0, 0, vec![why])], 5));
}

#[tokio::test]
async fn findings_of_an_asset_that_came_again_are_written_unless_one_that_stands_has_changed() {
    let scene = Scene::new().await;
    let findings = scene.dataset("vm_findings");
    let asset = |findings: &[(&str, &str)]| {
        let finding = |(id, at): &(&str, &str)| {
            format!(r#"{{"vulnerability_id":"{id}","last_found":"2026-11-{at}T00:00:00Z"}}"#)
        };
        let findings: Vec<String> = findings.iter().map(finding).collect();
        format!(r#"{{"id":"{OWN}-default-asset-1","same":[{}]}}"#, findings.join(","))
    };
    let set_aside = [
        asset(&[("v", "20"), ("new", "20")]),
        asset(&[("v", "01"), ("other", "01")]),
        // Of two that were set aside the first is written, as of two that were read.
        asset(&[("v", "01"), ("other", "02")]),
    ];
    scene.read(OWN, &findings, &[asset(&[("v", "01")])], &set_aside).await;
    let stands = ("a record with its key and other content was read with it, and stands".to_owned(), 2);
    assert_eq!(came_to(&scene.replay().await), [(1, 1, vec![stands.clone()])]);
    assert_eq!(came_to(&scene.replay().await), [(0, 0, vec![stands])]);
    scene.verify();
}

#[test]
fn a_sample_does_not_command_the_terminal() {
    let time = at(3);
    let line = Line {
        organization_id: OWN.parse().expect("an id"),
        organization_name: "Acme".to_owned(),
        dataset: "users".to_owned(),
        column: "na\u{1b}[31mme".to_owned(),
        reason: "x".to_owned(),
        records: 1,
        first_pulled_at: time,
        last_pulled_at: time,
        sample: "{\r\n\u{1b}]0;\u{7}".to_owned(),
    };
    assert!(!line.row().concat().chars().any(char::is_control), "{:?}", line.row());
}

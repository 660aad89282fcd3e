//! The run against literal values: order, bounds, interrupts, failures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::DateTime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Outcome, RunContext, RunEvent, RunSummary, run};
use crate::batch::{Counts, Records, Reject};
use crate::testing::{MemorySink, Step, VecConnector, batch, dataset, job, tenant};
use crate::{
    Ask, Batch, Checkpoint, Clock, Connector, Cores, Dataset, ErrorKind, FullSnapshot, Job, Reading, Sink,
    Tally, Timestamp, Verdict,
};

struct Scene {
    connector: Arc<VecConnector>,
    sink: MemorySink,
    open_partitions: usize,
    cores: Arc<Cores>,
    wind_down: CancellationToken,
    stop: CancellationToken,
}

/// Shows the time that a test with paused time has come to.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp(1_790_000_000, 0).expect("an instant") + self.0.elapsed()
    }
}

impl Scene {
    fn new(connector: VecConnector) -> Self {
        Self {
            connector: Arc::new(connector),
            sink: MemorySink::default(),
            open_partitions: 4,
            cores: Arc::new(Cores::new(16)),
            wind_down: CancellationToken::new(),
            stop: CancellationToken::new(),
        }
    }

    async fn run(&self, jobs: Vec<Job>) -> (RunSummary, Vec<RunEvent>) {
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = events.clone();
        let context = RunContext {
            connector: self.connector.clone(),
            sink: Arc::new(self.sink.clone()),
            clock: Arc::new(PausedClock(Instant::now())),
            events: Arc::new(move |event| told.lock().expect("no holder panics").push(event)),
            run_id: "run-1".to_owned(),
            version: "0.0.0".to_owned(),
            cores: self.cores.clone(),
            open_partitions: self.open_partitions,
            wind_down: self.wind_down.clone(),
            stop: self.stop.clone(),
        };
        let summary = run(jobs, context).await;
        let events = std::mem::take(&mut *events.lock().expect("no holder panics"));
        (summary, events)
    }
}

fn verdicts(summary: &RunSummary) -> Vec<(String, Verdict)> {
    let mut verdicts: Vec<_> = summary
        .receipts
        .iter()
        .map(|receipt| (receipt.organization_id.to_string(), receipt.verdict))
        .collect();
    verdicts.sort();
    verdicts
}

fn expect(pairs: &[(&str, Verdict)]) -> Vec<(String, Verdict)> {
    pairs.iter().map(|(id, verdict)| ((*id).to_owned(), *verdict)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_tenant_ends_with_its_own_verdict() {
    let users = dataset("users", "idr");
    let connector = VecConnector::new(vec![users.clone()])
        .with(
            &tenant("a"),
            "users",
            vec![Step::Page(batch(&users, &["1", "2"])), Step::Page(batch(&users, &["3"]))],
        )
        .with(&tenant("b"), "users", vec![])
        .with(
            &tenant("c"),
            "users",
            vec![Step::Page(batch(&users, &["9"])), Step::Fail(ErrorKind::Unauthorized, "refused")],
        )
        .with(&tenant("d"), "users", vec![Step::Fail(ErrorKind::Forbidden, "forbidden")])
        .with(&tenant("e"), "users", vec![Step::Fail(ErrorKind::Unavailable, "down")])
        .with(&tenant("f"), "users", vec![Step::Fail(ErrorKind::Contract, "odd")]);
    let jobs = ["a", "b", "c", "d", "e", "f"].map(|id| job(id, &users)).to_vec();
    let scene = Scene::new(connector);
    let (summary, events) = scene.run(jobs).await;

    assert_eq!(
        verdicts(&summary),
        expect(&[
            ("a", Verdict::Complete),
            ("b", Verdict::Empty),
            ("c", Verdict::Unauthorized),
            ("d", Verdict::Forbidden),
            ("e", Verdict::Unavailable),
            ("f", Verdict::Failed),
        ])
    );
    assert_eq!(summary.outcome, Outcome::Incomplete);
    let mut commits: Vec<_> =
        scene.sink.commits().into_iter().map(|commit| (commit.tenant, commit.ids)).collect();
    commits.sort();
    let ids = ["1", "2", "3"].map(str::to_owned).to_vec();
    assert_eq!(commits, [("a".to_owned(), ids), ("b".to_owned(), Vec::new())], "what failed commits nothing");
    let ended = events.iter().filter(|event| matches!(event, RunEvent::JobEnded { .. })).count();
    assert_eq!(ended, 6);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_says_how_long_the_reading_took_whether_it_failed_or_not() {
    let users = dataset("users", "idr");
    let wait = || Step::Wait(Duration::from_secs(5));
    let connector = VecConnector::new(vec![users.clone()])
        .with(&tenant("a"), "users", vec![wait()])
        .with(&tenant("b"), "users", vec![wait(), Step::Fail(ErrorKind::Unavailable, "down")])
        .with(&tenant("c"), "users", vec![wait(), Step::Fail(ErrorKind::Auth, "gone")]);
    let mut scene = Scene::new(connector);
    scene.open_partitions = 1;
    let (summary, _) = scene.run(["a", "b", "c", "d"].map(|id| job(id, &users)).to_vec()).await;
    let took: Vec<i64> =
        summary.receipts.iter().map(|it| (it.finished_at - it.started_at).num_seconds()).collect();
    assert_eq!(took, [5, 5, 5, 0], "the last one was never begun");
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_ends_the_run_and_what_was_whole_stays() {
    let users = dataset("users", "idr");
    let connector = VecConnector::new(vec![users.clone()])
        .with(&tenant("a"), "users", vec![Step::Page(batch(&users, &["1"]))])
        .with(
            &tenant("b"),
            "users",
            vec![Step::Wait(Duration::from_secs(1)), Step::Fail(ErrorKind::Auth, "dead")],
        )
        .with(
            &tenant("c"),
            "users",
            vec![Step::Wait(Duration::from_secs(9)), Step::Page(batch(&users, &["3"]))],
        );
    let mut scene = Scene::new(connector);
    scene.open_partitions = 2;
    let (summary, _) = scene.run(["a", "b", "c"].map(|id| job(id, &users)).to_vec()).await;

    assert_eq!(summary.ended_by.as_ref().map(crate::Error::kind), Some(ErrorKind::Auth));
    assert_eq!(summary.outcome, Outcome::Failed);
    let expected = [("a", Verdict::Complete), ("b", Verdict::Partial), ("c", Verdict::Partial)];
    assert_eq!(verdicts(&summary), expect(&expected));
    assert_eq!(scene.sink.commits().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_finishes_what_is_open_and_begins_nothing() {
    let users = dataset("users", "idr");
    let slow = vec![Step::Wait(Duration::from_secs(5)), Step::Page(batch(&users, &["1"]))];
    let connector = VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", slow.clone()).with(
        &tenant("b"),
        "users",
        slow,
    );
    let mut scene = Scene::new(connector);
    scene.open_partitions = 1;
    let wind_down = scene.wind_down.clone();
    let interrupt = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wind_down.cancel();
    };
    let ((summary, _), ()) =
        tokio::join!(scene.run(["a", "b"].map(|id| job(id, &users)).to_vec()), interrupt);

    assert_eq!(summary.outcome, Outcome::Cancelled);
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::Complete), ("b", Verdict::Partial)]));
    assert_eq!(scene.connector.reached(), ["a/users", "a/users"], "b was never asked");
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_drops_what_is_open() {
    let users = dataset("users", "idr");
    let steps = vec![Step::Page(batch(&users, &["1"])), Step::Wait(Duration::from_secs(3600))];
    let scene = Scene::new(VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps));
    let stop = scene.stop.clone();
    let interrupt = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let ((summary, _), ()) = tokio::join!(scene.run(vec![job("a", &users)]), interrupt);

    assert_eq!(summary.outcome, Outcome::Cancelled);
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::Partial)]));
    assert!(scene.sink.commits().is_empty());
}

#[tokio::test(start_paused = true)]
async fn commit_one_under_way_is_waited_for_by_the_second_interrupt() {
    let users = dataset("users", "idr");
    let steps = vec![Step::Page(batch(&users, &["1"]))];
    let mut scene = Scene::new(VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps));
    scene.sink = scene.sink.slow_to_tell(Duration::from_secs(5));
    let stop = scene.stop.clone();
    let interrupt = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let ((summary, _), ()) = tokio::join!(scene.run(vec![job("a", &users)]), interrupt);

    assert_eq!(scene.sink.commits().len(), 1);
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::Complete)]), "what is visible is told");
}

#[tokio::test(start_paused = true)]
async fn isolation_another_tenants_rows_stop_the_tenant_everywhere() {
    let users = dataset("users", "idr");
    let assets = dataset("assets", "vm");
    let connector = VecConnector::new(vec![users.clone(), assets.clone()])
        .with(&tenant("a"), "users", vec![Step::Fail(ErrorKind::Isolation, "rows of tenant b")])
        .with(
            &tenant("a"),
            "assets",
            vec![Step::Wait(Duration::from_secs(5)), Step::Page(batch(&assets, &["1"]))],
        )
        .with(&tenant("b"), "users", vec![Step::Page(batch(&users, &["2"]))]);
    let scene = Scene::new(connector);
    let (summary, _) = scene.run(vec![job("a", &users), job("a", &assets), job("b", &users)]).await;

    let expected = [("a", Verdict::Failed), ("a", Verdict::Failed), ("b", Verdict::Complete)];
    assert_eq!(verdicts(&summary), expect(&expected));
    assert!(summary.not_good().all(|receipt| receipt.error.as_deref() == Some("rows of tenant b")));
    assert_eq!(scene.sink.commits().len(), 1, "nothing of the stopped tenant is committed");
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_run_as_a_defect() {
    let users = dataset("users", "idr");
    let connector = VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", vec![Step::Panic]);
    let scene = Scene::new(connector);
    let (summary, _) = scene.run(vec![job("a", &users)]).await;
    assert_eq!(summary.ended_by.as_ref().map(crate::Error::kind), Some(ErrorKind::Bug));
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::Failed)]), "its job is still answered for");
}

#[tokio::test(start_paused = true)]
async fn a_full_sink_ends_the_run_and_keeps_what_it_took() {
    let users = dataset("users", "idr");
    let mut connector = VecConnector::new(vec![users.clone()]);
    for id in ["a", "b", "c", "d"] {
        connector = connector.with(&tenant(id), "users", vec![Step::Page(batch(&users, &[id]))]);
    }
    let mut scene = Scene::new(connector);
    scene.sink = MemorySink::default().full_after(2);
    scene.open_partitions = 1;
    let (summary, _) = scene.run(["a", "b", "c", "d"].map(|id| job(id, &users)).to_vec()).await;
    assert_eq!(summary.ended_by.as_ref().map(crate::Error::kind), Some(ErrorKind::Sink));
    assert_eq!(scene.sink.commits().len(), 2);
    assert_eq!(summary.count(Verdict::Complete), 2);
    let requests: Vec<u64> = summary.receipts.iter().map(|receipt| receipt.requests).collect();
    assert_eq!(
        requests,
        [1, 1, 1, 0],
        "what could not be committed was asked for, and what was not begun was not"
    );
}

#[tokio::test(start_paused = true)]
async fn bounded_no_more_partitions_are_open_than_allowed() {
    let users = dataset("users", "idr");
    let mut connector = VecConnector::new(vec![users.clone()]);
    let mut jobs = Vec::new();
    for number in 0..20 {
        let id = format!("t{number}");
        let steps = vec![Step::Wait(Duration::from_secs(1)), Step::Page(batch(&users, &["1"]))];
        connector = connector.with(&tenant(&id), "users", steps);
        jobs.push(job(&id, &users));
    }
    let mut scene = Scene::new(connector);
    scene.open_partitions = 3;
    let (summary, _) = scene.run(jobs).await;
    assert_eq!(summary.count(Verdict::Complete), 20);
    assert_eq!(scene.connector.most_open(), 3);
}

/// A run of thirty tenants' datasets, each of which takes a second, on two cores that are busy.
fn on_busy_cores() -> (Scene, Vec<Job>, OwnedSemaphorePermit) {
    let users = dataset("users", "idr");
    let ids: Vec<String> = (0..30).map(|number| format!("t{number}")).collect();
    let mut connector = VecConnector::new(vec![users.clone()]);
    for id in &ids {
        let steps = vec![Step::Wait(Duration::from_secs(1)), Step::Page(batch(&users, &["1"]))];
        connector = connector.with(&tenant(id), "users", steps);
    }
    let jobs = ids.iter().map(|id| job(id, &users)).collect();
    let mut scene = Scene::new(connector);
    scene.open_partitions = 20;
    scene.cores = Arc::new(Cores::new(2));
    let busy = scene.cores.keep_busy();
    (scene, jobs, busy)
}

#[tokio::test(start_paused = true)]
async fn bounded_no_more_partitions_are_open_than_cores_are_free_for() {
    let (scene, jobs, _busy) = on_busy_cores();
    scene.run(jobs).await;
    assert_eq!(scene.connector.most_open(), 4);
}

#[tokio::test(start_paused = true)]
async fn more_partitions_are_opened_as_soon_as_cores_are_free() {
    let (scene, jobs, busy) = on_busy_cores();
    let become_free = async {
        tokio::time::sleep(Duration::from_millis(510)).await;
        drop(busy);
        for _ in 0..6 {
            scene.cores.run(|| ()).await.expect("it does not panic");
        }
        tokio::task::yield_now().await;
        scene.connector.most_open()
    };
    let (_, open) = tokio::join!(scene.run(jobs), become_free);
    assert!(open > 4, "before any has ended, and before anybody looked");
}

#[tokio::test(start_paused = true)]
async fn fairness_what_waits_for_a_dead_region_keeps_no_others_back() {
    let (scene, jobs, busy) = on_busy_cores();
    let become_free = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(busy);
    };
    tokio::join!(scene.run(jobs), become_free);
    assert_eq!(scene.connector.most_open(), 20, "nothing but the clock says that the cores are free");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_begins_nothing_however_many_cores_become_free() {
    let (scene, jobs, busy) = on_busy_cores();
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.wind_down.cancel();
        drop(busy);
        scene.cores.run(|| ()).await.expect("it does not panic");
    };
    let ((summary, _), ()) = tokio::join!(scene.run(jobs), interrupt);
    let committed = summary.receipts.iter().filter(|receipt| receipt.committed).count();
    assert_eq!((committed, scene.connector.most_open()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn bounded_a_slow_sink_slows_the_reading() {
    let users = dataset("users", "idr");
    let pages: Vec<Step> = (0..50).map(|_| Step::Page(batch(&users, &["1"]))).collect();
    let connector = VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", pages);
    let mut scene = Scene::new(connector);
    scene.sink = MemorySink::default().slow(Duration::from_secs(10));
    let connector = scene.connector.clone();
    let look = async move {
        tokio::time::sleep(Duration::from_secs(35)).await;
        connector.reached().len()
    };
    let (_, reached) = tokio::join!(scene.run(vec![job("a", &users)]), look);
    assert_eq!(reached, 5, "three are written, one is being written, one is in hand");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_today_is_not_taken_again() {
    let users = dataset("users", "idr");
    let steps = vec![Step::Page(batch(&users, &["1"]))];
    let scene = Scene::new(VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps));
    let (first, _) = scene.run(vec![job("a", &users)]).await;
    let (second, _) = scene.run(vec![job("a", &users)]).await;
    assert_eq!(verdicts(&first), expect(&[("a", Verdict::Complete)]));
    assert_eq!(verdicts(&second), expect(&[("a", Verdict::UpToDate)]));
    assert_eq!(second.outcome, Outcome::Complete);
    assert_eq!(scene.sink.commits().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn last_good_what_was_read_later_is_later_by_its_time_whatever_the_clock_says() {
    let users = dataset("users", "idr");
    let steps = vec![Step::Page(batch(&users, &["1"]))];
    let scene = Scene::new(VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps));
    let mut before = None;
    // Each run begins at the same instant again.
    for _ in 0..3 {
        let job = job("a", &users);
        let reading = Reading { ask: Ask::Everything, ..job.reading.clone() };
        let (summary, _) = scene.run(vec![Job { reading, ..job }]).await;
        let receipt = &summary.receipts[0];
        assert_eq!(receipt.started_at, receipt.finished_at, "when it was read is told as it was");
        let read_at = receipt.pulled_at.unwrap_or(receipt.started_at);
        assert!(before.is_none_or(|before| read_at > before), "{read_at} after {before:?}");
        before = Some(read_at);
    }
}

#[tokio::test(start_paused = true)]
async fn verdict_a_snapshot_of_which_nothing_fits_is_due_again_and_what_it_fills_besides_is_not() {
    let mut pull = (*dataset("assets", "vm")).clone();
    pull.pull = "assets";
    let assets = Arc::new(pull);
    let findings = Arc::new(Dataset { pull: "assets", ..(*dataset("findings", "vm")).clone() });
    let reject = |dataset: &'static str| Reject {
        dataset,
        column: "id".to_owned(),
        reason: String::new(),
        raw: "{}".to_owned(),
        within: None,
    };
    for (misfit, kept, due_again) in [("findings", &assets, false), ("assets", &findings, true)] {
        let mut page = batch(kept, &["1"]);
        page.rejects.push(reject(misfit));
        page.tally.datasets.insert(misfit.to_owned(), Counts { read: 1, rejects: 1, ..Counts::default() });
        let connector = VecConnector::new(vec![assets.clone(), findings.clone()]);
        let scene = Scene::new(connector.with(&tenant("a"), "assets", vec![Step::Page(page)]));
        let job = || Job { datasets: vec![assets.clone(), findings.clone()], ..job("a", &assets) };
        let (first, _) = scene.run(vec![job()]).await;
        let failed: Vec<_> = first.not_good().map(|it| (it.dataset.as_str(), it.verdict)).collect();
        assert_eq!(failed, [(misfit, Verdict::Failed)]);
        let (second, _) = scene.run(vec![job()]).await;
        let is_up_to_date = second.receipts.iter().all(|it| it.verdict == Verdict::UpToDate);
        assert_eq!(is_up_to_date, !due_again, "{misfit}: {:?}", verdicts(&second));
    }
}

#[tokio::test(start_paused = true)]
async fn last_good_the_next_snapshot_is_compared_with_what_did_not_fit_as_well() {
    let users = dataset("users", "idr");
    let mut page = batch(&users, &["1"]);
    let reject = |number: u64| Reject {
        dataset: "users",
        column: "id".to_owned(),
        reason: String::new(),
        raw: number.to_string(),
        within: None,
    };
    page.rejects.extend((1..40).map(reject));
    page.tally.datasets.insert("users".to_owned(), Counts { read: 40, rejects: 39, ..Counts::default() });
    let connector =
        VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", vec![Step::Page(page)]);
    let scene = Scene::new(connector);
    scene.run(vec![job("a", &users)]).await;
    let standing = scene.sink.standing(&tenant("a").id, "users").await.expect("it stands");
    assert_eq!(standing.checkpoint.full.map(|full| full.records), Some(40));
}

#[tokio::test(start_paused = true)]
async fn secrecy_the_name_of_a_member_is_told_without_the_key() {
    let users = dataset("users", "idr");
    let mut page = batch(&users, &["1"]);
    let raw = r#"{"hunter2":1}"#.to_owned();
    let reject =
        Reject { dataset: "users", column: "hunter2".to_owned(), reason: String::new(), raw, within: None };
    page.rejects.push(reject);
    page.tally.datasets.insert("users".to_owned(), Counts { read: 2, rejects: 1, ..Counts::default() });
    let connector =
        VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", vec![Step::Page(page)]);
    let (summary, _) = Scene::new(connector).run(vec![job("a", &users)]).await;
    let [receipt] = summary.receipts.as_slice() else { panic!("one dataset: {summary:?}") };
    assert_eq!(receipt.drift.misfits, [("****".to_owned(), 1)].into(), "{receipt:?}");
}

#[tokio::test(start_paused = true)]
async fn verdict_what_waits_for_a_time_far_ahead_is_not_up_to_date() {
    let users = dataset("users", "idr");
    let scene = Scene::new(VecConnector::new(vec![users.clone()]));
    for (id, ahead) in [("a", 1800), ("b", 2 * 3600)] {
        let through = DateTime::from_timestamp(1_790_000_000 + ahead, 0);
        scene.sink.set_checkpoint(&tenant(id).id, "users", Checkpoint { through, ..Checkpoint::default() });
    }
    let (summary, _) = scene.run(["a", "b"].map(|id| job(id, &users)).to_vec()).await;
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::UpToDate), ("b", Verdict::Damaged)]));
    let failed = summary.receipts.iter().find(|it| it.verdict == Verdict::Damaged).expect("one failed");
    assert!(failed.hint.as_deref().is_some_and(|hint| hint.contains("tenantry checkpoint")), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn what_changes_after_the_end_of_a_window_is_left_for_the_next_one() {
    // The run's clock stands at 1790000000.
    let read = |changed_at: &[Option<i64>]| {
        let changes = changes();
        let steps = vec![Step::Page(changed(&changes, changed_at))];
        let scene = Scene::new(VecConnector::new(vec![changes.clone()]).with(&tenant("a"), "changes", steps));
        let at = DateTime::from_timestamp(1_789_900_000, 0).expect("an instant");
        let full = Some(FullSnapshot { at, records: 9, inside: None });
        let checkpoint = Checkpoint { sequence: 1, through: Some(at), full };
        scene.sink.set_checkpoint(&tenant("a").id, "changes", checkpoint);
        let reading = Reading { full_every: Some(7), ..Reading::from(at) };
        async move {
            let (summary, _) = scene.run(vec![Job { reading, ..job("a", &changes) }]).await;
            let [receipt] = summary.receipts.as_slice() else { panic!("one dataset: {summary:?}") };
            assert_eq!(receipt.verdict, Verdict::Complete);
            let [commit] = scene.sink.commits().try_into().expect("one commit");
            (commit.ids, receipt.counts)
        }
    };
    let (ids, counts) = read(&[Some(0), Some(1), None, Some(-5)]).await;
    assert_eq!(ids, ["0", "2", "3"], "the end itself belongs to the window, and so does what has no time");
    assert_eq!((counts.read, counts.later), (4, 1));
    let (ids, counts) = read(&[Some(60)]).await;
    assert_eq!((ids.len(), counts.read, counts.later), (0, 1, 1));
}

/// Returns a dataset that is read by the time of its records' last change.
fn changes() -> Arc<Dataset> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![Field::new("id", DataType::Utf8, false), Field::new("modified", time, true)];
    Arc::new(Dataset {
        schema: Arc::new(Schema::new(fields)),
        cursor: Some("modified"),
        by_change: true,
        ..Dataset::clone(&dataset("changes", "vm"))
    })
}

/// Returns a page of records that changed so many seconds after the run's clock.
fn changed(dataset: &Arc<Dataset>, seconds: &[Option<i64>]) -> Batch {
    let ids = (0..seconds.len()).map(|id| Some(id.to_string())).collect::<StringArray>();
    let times = seconds.iter().map(|it| it.map(|it| (1_790_000_000 + it) * 1_000_000));
    let times = times.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
    let columns = RecordBatch::try_new(dataset.schema.clone(), vec![Arc::new(ids), Arc::new(times)]);
    let counts = Counts { read: seconds.len() as u64, ..Counts::default() };
    let tally = Tally { pages: 1, datasets: [("changes".to_owned(), counts)].into(), ..Tally::default() };
    let records = Records { dataset: dataset.clone(), columns: columns.expect("two columns") };
    Batch { records: vec![records], tally, ..Batch::default() }
}

#[tokio::test(start_paused = true)]
async fn commit_a_stale_checkpoint_is_refused() {
    let users = dataset("users", "idr");
    let steps = vec![Step::Wait(Duration::from_secs(5)), Step::Page(batch(&users, &["1"]))];
    let connector = VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps).with(
        &tenant("b"),
        "users",
        vec![Step::Wait(Duration::from_secs(9)), Step::Page(batch(&users, &["2"]))],
    );
    let scene = Scene::new(connector);
    let sink = scene.sink.clone();
    let other_run = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sink.set_checkpoint(&tenant("a").id, "users", Checkpoint { sequence: 1, ..Checkpoint::default() });
    };
    let ((summary, _), ()) = tokio::join!(scene.run(vec![job("a", &users), job("b", &users)]), other_run);
    assert_eq!(verdicts(&summary), expect(&[("a", Verdict::Unavailable), ("b", Verdict::Complete)]));
    let commits: Vec<String> = scene.sink.commits().into_iter().map(|commit| commit.tenant).collect();
    assert_eq!(commits, ["b"], "the others go on");
}

#[tokio::test(start_paused = true)]
async fn completeness_a_lost_record_is_never_committed() {
    let users = dataset("users", "idr");
    let mut page = batch(&users, &["1", "2"]);
    page.tally.datasets.get_mut("users").expect("counted").read = 3;
    let steps = vec![Step::Page(page)];
    let scene = Scene::new(VecConnector::new(vec![users.clone()]).with(&tenant("a"), "users", steps));
    let (summary, _) = scene.run(vec![job("a", &users)]).await;
    assert_eq!(summary.ended_by.as_ref().map(crate::Error::kind), Some(ErrorKind::Bug));
    assert!(scene.sink.commits().is_empty());
}

#[tokio::test]
async fn the_literal_connector_lists_its_tenants() {
    let users = dataset("users", "idr");
    let connector = VecConnector::new(vec![users]).with(&tenant("a"), "users", vec![]);
    assert_eq!(connector.tenants().await.expect("listed"), [tenant("a")]);
}

//! Works through the jobs: chooses what is opened next, ends what has to end, and collects the receipts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::lanes::Lanes;
use super::stopped::StoppedTenants;
use super::work::{Worked, work};
use super::{Events, Outcome, RunEvent, RunSummary, receipts};
use crate::{Clock, Connector, Cores, Error, ErrorKind, Job, Receipt, Scope, Sink, Timestamp};

/// How often it is looked whether a core is free: soon enough that nothing waits for long, and too seldom to count
/// beside what the cores say themselves while they have work.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a run works with.
#[derive(Clone)]
pub struct RunContext {
    /// Where the data comes from.
    pub connector: Arc<dyn Connector>,
    /// Where it goes to.
    pub sink: Arc<dyn Sink>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub events: Events,
    /// The run's identifier, written into every record.
    pub run_id: String,
    /// The version of the program, written into every receipt.
    pub version: String,
    /// How many partitions may be open at once; at least one.
    pub open_partitions: usize,
    /// What is decoded and encoded with.
    pub cores: Arc<Cores>,
    /// Cancelled by the first interrupt: nothing new is begun, what is open is finished and committed.
    pub wind_down: CancellationToken,
    /// Cancelled by the second interrupt, or by an error that ends the run: what is open is dropped.
    pub stop: CancellationToken,
}

/// Works through the jobs and returns what came of each.
pub async fn run(jobs: Vec<Job>, context: RunContext) -> RunSummary {
    let started_at = context.clock.now();
    let of_tenants = jobs.iter().filter(|job| job.datasets[0].scope == Scope::Tenant);
    let tenants = of_tenants.map(|job| &job.tenant.id).collect::<std::collections::HashSet<_>>().len();
    let mut lanes = Lanes::new(jobs);
    (context.events)(RunEvent::Planned { jobs: lanes.jobs_by_region() });
    let mut run = Running {
        stopped: StoppedTenants::new(&context.stop),
        context,
        tasks: JoinSet::new(),
        receipts: Vec::new(),
        ended_by: None,
    };
    run.work_off(&mut lanes).await;
    for job in lanes.rest() {
        let reason = run.reason_for_the_rest();
        run.fail(&job, Worked::default(), &reason);
    }
    run.summary(started_at, tenants as u64)
}

/// The state of a run, owned by the one task that hands out work.
struct Running {
    context: RunContext,
    stopped: StoppedTenants,
    tasks: JoinSet<(Job, Worked)>,
    receipts: Vec<Receipt>,
    ended_by: Option<Error>,
}

impl Running {
    async fn work_off(&mut self, lanes: &mut Lanes) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let open = self.tasks.len();
            let has_room = open < self.context.open_partitions.max(1);
            let may_begin = has_room && self.may_begin() && !lanes.are_empty();
            let cores = self.context.cores.clone();
            tokio::select! {
                biased;
                () = cores.are_free_for_more_than(open), if may_begin => {
                    // The run may have been interrupted meanwhile.
                    if self.may_begin() && let Some(job) = lanes.next() {
                        self.begin(job, lanes);
                    }
                }
                joined = self.tasks.join_next() => {
                    let Some(joined) = joined else { return };
                    let (job, worked) = joined.expect("a task catches its panics, and none is aborted");
                    lanes.ended(&job);
                    self.finish(&job, worked);
                }
                // What is open may all wait for a dead region: then nothing else says that the cores are free.
                _ = looks.tick(), if may_begin => cores.look(),
            }
        }
    }

    fn may_begin(&self) -> bool {
        !self.context.wind_down.is_cancelled() && !self.context.stop.is_cancelled()
    }

    fn begin(&mut self, job: Job, lanes: &mut Lanes) {
        if let Some(error) = self.stopped.reason(&job.tenant.id) {
            lanes.ended(&job);
            self.finish(&job, error.into());
            return;
        }
        (self.context.events)(RunEvent::Started {
            tenant: job.tenant.id.clone(),
            name: job.tenant.name.clone(),
            region: job.region.clone(),
            pull: job.pull(),
        });
        let context = self.context.clone();
        let stop = self.stopped.token(&job.tenant.id);
        self.tasks.spawn(async move {
            let work = AssertUnwindSafe(work(&job, &context, &stop)).catch_unwind();
            let worked = work.await.unwrap_or_else(|_panic| {
                Error::new(ErrorKind::Bug, "finish a job: it panicked; the log says where").into()
            });
            (job, worked)
        });
    }

    fn finish(&mut self, job: &Job, mut worked: Worked) {
        match worked.error.take() {
            None => worked.receipts.into_iter().for_each(|receipt| self.keep(receipt)),
            Some(error) => {
                let error = self.stopped.explain(&job.tenant.id, error);
                self.fail(job, worked, &error);
                if error.kind().ends_run() {
                    self.end_run(error);
                }
            }
        }
        (self.context.events)(RunEvent::JobEnded {
            region: job.region.clone(),
            tenant: job.tenant.id.clone(),
            pull: job.pull(),
        });
    }

    /// Tells of a job that failed; what it committed before stays and is told with it.
    fn fail(&mut self, job: &Job, worked: Worked, error: &Error) {
        warn!(tenant = %job.tenant.id, region = %job.region, pull = job.pull(), error = %error.chain(), "failed");
        for receipt in receipts::of_error(job, worked, error, &self.context) {
            self.keep(receipt);
        }
    }

    fn keep(&mut self, receipt: Receipt) {
        (self.context.events)(RunEvent::Finished(Box::new(receipt.clone())));
        self.receipts.push(receipt);
    }

    /// Ends the run at once; the first error that does so is the one that is told.
    fn end_run(&mut self, error: Error) {
        if self.ended_by.is_none() {
            self.ended_by = Some(error);
            self.context.stop.cancel();
        }
    }

    fn reason_for_the_rest(&self) -> Error {
        match &self.ended_by {
            Some(error) => {
                Error::new(ErrorKind::Cancelled, format!("not begun: the run ended early ({error})"))
            }
            None => Error::new(ErrorKind::Cancelled, "not begun: the run was interrupted"),
        }
    }

    fn summary(self, started_at: Timestamp, tenants: u64) -> RunSummary {
        let whole = self.receipts.iter().all(|receipt| receipt.verdict.is_good());
        let interrupted = self.context.wind_down.is_cancelled() || self.context.stop.is_cancelled();
        let outcome = match &self.ended_by {
            Some(_) => Outcome::Failed,
            None if whole => Outcome::Complete,
            None if interrupted => Outcome::Cancelled,
            None => Outcome::Incomplete,
        };
        RunSummary {
            schema_version: RunSummary::SCHEMA_VERSION,
            run_id: self.context.run_id,
            started_at,
            finished_at: self.context.clock.now(),
            outcome,
            replay: false,
            tenants,
            error: self.ended_by.as_ref().map(Error::chain),
            ended_by: self.ended_by,
            receipts: self.receipts,
        }
    }
}

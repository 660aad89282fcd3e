//! Works through the jobs: chooses what is opened next, reads, writes, commits, and collects the receipts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lanes::Lanes;
use super::stopped::StoppedTenants;
use super::{Events, Outcome, RunEvent, RunSummary, partitions, receipts};
use crate::batch::{Batch, Provenance};
use crate::{
    Checkpoint, Clock, Commit, Connector, Error, ErrorKind, Job, Partition, Receipt, Result, Sink, Tally,
    Timestamp, Writer, rejects,
};

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
    /// Cancelled by the first interrupt: nothing new is begun, what is open is finished and committed.
    pub wind_down: CancellationToken,
    /// Cancelled by the second interrupt, or by an error that ends the run: what is open is dropped.
    pub stop: CancellationToken,
}

/// Works through the jobs and returns what came of each.
pub async fn run(jobs: Vec<Job>, context: RunContext) -> RunSummary {
    let started_at = context.clock.now();
    let tenants = jobs.iter().map(|job| &job.tenant.id).collect::<std::collections::HashSet<_>>().len();
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
        run.set_aside(&job, &reason);
    }
    run.summary(started_at, tenants as u64)
}

/// The state of a run, owned by the one task that hands out work.
struct Running {
    context: RunContext,
    stopped: StoppedTenants,
    tasks: JoinSet<(Job, Result<Vec<Receipt>>)>,
    receipts: Vec<Receipt>,
    ended_by: Option<Error>,
}

impl Running {
    async fn work_off(&mut self, lanes: &mut Lanes) {
        loop {
            while self.tasks.len() < self.context.open_partitions.max(1) && self.may_begin() {
                let Some(job) = lanes.next() else { break };
                self.begin(job, lanes);
            }
            let Some(joined) = self.tasks.join_next().await else { return };
            let (job, result) = joined.expect("a task catches its panics, and none is aborted");
            lanes.ended(&job);
            self.finish(&job, result);
        }
    }

    fn may_begin(&self) -> bool {
        !self.context.wind_down.is_cancelled() && !self.context.stop.is_cancelled()
    }

    fn begin(&mut self, job: Job, lanes: &mut Lanes) {
        if let Some(reason) = self.stopped.reason(&job.tenant.id) {
            lanes.ended(&job);
            let error = Error::new(ErrorKind::Isolation, reason);
            self.finish(&job, Err(error));
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
            let result = work.await.unwrap_or_else(|_panic| {
                Err(Error::new(ErrorKind::Bug, "finish a job: it panicked; the log says where"))
            });
            (job, result)
        });
    }

    fn finish(&mut self, job: &Job, result: Result<Vec<Receipt>>) {
        match result {
            Ok(receipts) => receipts.into_iter().for_each(|receipt| self.keep(receipt)),
            Err(error) => {
                let error = self.stopped.explain(&job.tenant.id, error);
                if error.kind() == ErrorKind::Isolation {
                    self.stopped.stop(&job.tenant.id, &error.to_string());
                }
                self.set_aside(job, &error);
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

    fn set_aside(&mut self, job: &Job, error: &Error) {
        warn!(tenant = %job.tenant.id, region = %job.region, pull = job.pull(), error = %error.chain(), "set aside");
        for receipt in receipts::of_error(job, error, &self.context) {
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
            tenants,
            error: self.ended_by.as_ref().map(Error::chain),
            ended_by: self.ended_by,
            receipts: self.receipts,
        }
    }
}

/// Brings one job's partitions from the connector to a commit.
///
/// Stopping it drops what is being read, never what is being committed: a commit that nobody waits for may still
/// be carried out, and its receipt would say that it was not.
async fn work(job: &Job, context: &RunContext, stop: &CancellationToken) -> Result<Vec<Receipt>> {
    let mut checkpoint = context.sink.checkpoint(&job.tenant.id, job.pull()).await?;
    let open = partitions(job, &checkpoint, context.clock.as_ref());
    if open.is_empty() {
        return Ok(receipts::up_to_date(job, context));
    }
    let mut kept = Vec::new();
    for partition in open {
        let reading = stop.run_until_cancelled(read(&partition, checkpoint, context)).await;
        let stopped = || Err(Error::new(ErrorKind::Cancelled, "the reading was stopped"));
        let commit = reading.unwrap_or_else(stopped).map_err(|error| {
            error
                .with_context("tenant", format!("{} ({})", partition.tenant.name, partition.tenant.id))
                .with_context("region", partition.region.as_str())
        })?;
        kept.extend(commit.receipts.iter().cloned());
        checkpoint = Checkpoint { sequence: checkpoint.sequence + 1, through: Some(commit.through) };
        context.sink.commit(commit).await?;
        info!(tenant = %job.tenant.id, region = %job.region, pull = job.pull(), "committed");
    }
    Ok(kept)
}

/// Reads a partition to its end and returns what has to be committed.
///
/// The next page is asked for while the last is written, and no earlier: a slow sink slows the reading.
async fn read(partition: &Partition, from: Checkpoint, context: &RunContext) -> Result<Commit> {
    let started_at = context.clock.now();
    let provenance = Provenance::new(partition, &context.run_id, started_at);
    let mut writer = context.sink.writer(partition).await?;
    let mut pages = context.connector.read(partition);
    let mut tally = Tally::default();
    let mut next = pages.next().await;
    while let Some(batch) = next {
        let batch = batch?;
        tally.add(&batch.tally);
        progress(partition, &batch, context);
        let (following, written) = tokio::join!(pages.next(), write(writer.as_mut(), batch, &provenance));
        written?;
        next = following;
    }
    drop(pages);
    // A window that shifted is read again by the next run; committing it would move the checkpoint past
    // what may be missing. A snapshot that shifted holds true records, and the next one is taken whole.
    if tally.drifted && partition.window.is_some() {
        return Err(Error::new(ErrorKind::Drifted, "the listing shifted while it was read, again and again")
            .with_hint("nothing was committed for this window; run again when less is changing"));
    }
    let files = writer.close().await?;
    let receipts = receipts::of_reading(partition, &tally, &files, started_at, context)?;
    let through = partition.window.map_or(started_at, |window| window.until);
    Ok(Commit {
        run_id: context.run_id.clone(),
        partition: partition.clone(),
        files,
        from,
        through,
        receipts,
    })
}

async fn write(writer: &mut dyn Writer, batch: Batch, provenance: &Provenance) -> Result<()> {
    for records in batch.records {
        if records.columns.num_rows() > 0 {
            writer.write(&records.dataset, provenance.add_to(&records.columns)?).await?;
        }
    }
    if !batch.rejects.is_empty() {
        let (dataset, columns) = rejects::records(&batch.rejects)?;
        writer.write(&dataset, provenance.add_to(&columns)?).await?;
    }
    Ok(())
}

fn progress(partition: &Partition, batch: &Batch, context: &RunContext) {
    (context.events)(RunEvent::Progress {
        tenant: partition.tenant.id.clone(),
        region: partition.region.clone(),
        pull: partition.pull(),
        pages: batch.tally.pages,
        bytes: batch.tally.bytes,
        records: batch.records.iter().map(|records| records.columns.num_rows() as u64).sum(),
        claimed: batch.tally.claimed_last,
    });
}

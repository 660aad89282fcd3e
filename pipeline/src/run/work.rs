//! One job: its partitions, each read, written and committed before the next is begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use chrono::TimeDelta;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::plan::{Reached, due, halves, is_worth_counting, moved};
use super::{RunContext, RunEvent, receipts};
use crate::batch::{Batch, Provenance, Records};
use crate::known::{Content, Known};
use crate::{
    Ask, Checkpoint, Commit, Dataset, Drift, Error, ErrorKind, Job, Partition, ReadMode, Receipt, Result,
    Standing, Tally, Timestamp, Writer, rejects,
};

/// A listing that kept fewer records than this may lose most of them in a day without anybody wondering.
const TOO_FEW_TO_WONDER: u64 = 20;

/// Readings are told apart by the time of their rows, which rises whatever the clocks say.
const A_TICK: TimeDelta = TimeDelta::microseconds(1);

/// A clock that was put right may be behind the last reading for so long, and nothing is wrong.
const FAR_AHEAD: TimeDelta = TimeDelta::hours(1);

/// What came of a job.
#[derive(Debug, Default)]
pub(super) struct Worked {
    /// When it was begun; never, where something kept it from that.
    pub(super) began: Option<Timestamp>,
    /// One for each dataset, over all that was committed.
    pub(super) receipts: Vec<Receipt>,
    /// What was counted of the partition that is not committed.
    pub(super) lost: Tally,
    /// What ended it early.
    pub(super) error: Option<Error>,
}

impl From<Error> for Worked {
    fn from(error: Error) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

/// Brings one job's partitions from the connector to their commits, the earliest first.
pub(super) async fn work(job: &Job, context: &RunContext, stop: &CancellationToken) -> Worked {
    let mut worked = Worked { began: Some(context.clock.now()), ..Worked::default() };
    let worker = Worker { job, context, stop };
    worked.error = worker.work_off(&mut worked).await.err().map(|error| {
        worked.lost.requests += error.requests();
        error
            .with_context("tenant", format!("{} ({})", job.tenant.name, job.tenant.id))
            .with_context("region", job.region.as_str())
    });
    worked
}

struct Worker<'a> {
    job: &'a Job,
    context: &'a RunContext,
    stop: &'a CancellationToken,
}

impl Worker<'_> {
    async fn work_off(&self, worked: &mut Worked) -> Result<()> {
        let Worked { receipts: kept, lost: tally, .. } = worked;
        let standing = self.context.sink.standing(&self.job.tenant.id, self.job.pull()).await?;
        let mut own = standing.checkpoint_of(self.job);
        let Some(whole) = due(self.job, &own, self.context.clock.now()) else {
            is_of_this_time(self.job, &own, self.context.clock.latest())?;
            *kept = receipts::up_to_date(self.job, self.context);
            return Ok(());
        };
        let Standing { mut checkpoint, receipts: last, .. } = standing;
        let mut after = latest(&last);
        // The earliest lies on top: it is committed before the next is begun.
        let mut open = vec![whole];
        while let Some(partition) = open.pop() {
            if !kept.is_empty() && self.context.wind_down.is_cancelled() {
                return Err(interrupted());
            }
            if let Some([early, late]) = self.halves(&partition, tally).await? {
                open.extend([late, early]);
                continue;
            }
            let (partition, from) = (&partition, checkpoint);
            let reading = PartitionReading { worker: self, partition, from, own, last: &last, after };
            let commit = self.unless_stopped(reading.read(tally)).await?;
            let (receipts, to) = (commit.receipts.clone(), commit.to);
            // Never dropped half-way: a commit that nobody waits for may still be carried out, and its receipt
            // would say that it was not.
            self.context.sink.commit(commit).await?;
            *tally = Tally::default();
            info!(tenant = %self.job.tenant.id, region = %self.job.region, pull = self.job.pull(), "committed");
            after = after.max(latest(&receipts));
            receipts::merge(kept, receipts);
            (checkpoint, own) = (to, to);
        }
        Ok(())
    }

    /// Returns the halves of a partition that is too large for one commit.
    async fn halves(&self, partition: &Partition, tally: &mut Tally) -> Result<Option<[Partition; 2]>> {
        if !is_worth_counting(self.job, partition) {
            return Ok(None);
        }
        let counted = self.unless_stopped(self.context.connector.count(partition)).await?;
        tally.requests += counted.requests;
        Ok(counted.claimed_last.and_then(|records| halves(partition, records)))
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let stopped = || Err(Error::new(ErrorKind::Cancelled, "the reading was stopped"));
        self.stop.run_until_cancelled(work).await.unwrap_or_else(stopped)
    }
}

/// Refuses to call up to date what waits for a time that is far ahead: a clock is wrong, or was once.
fn is_of_this_time(job: &Job, checkpoint: &Checkpoint, now: Timestamp) -> Result<()> {
    let is_windowed = job.datasets[0].mode == ReadMode::Window && !matches!(job.reading.ask, Ask::Span(_));
    match checkpoint.through {
        None if is_windowed => Err(Error::new(
            ErrorKind::Unavailable,
            format!("begin at `since`: that is in the future, at {}", job.reading.since.to_rfc3339()),
        )
        .with_hint("this machine's clock or the platform's is wrong: look at both, and run again")),
        Some(through) if through - now > FAR_AHEAD => Err(Error::new(
            ErrorKind::Damaged,
            format!("go on where the last reading ended: that is in the future, at {}", through.to_rfc3339()),
        )
        .with_hint("look at this machine's clock; where it is right, `tenantry checkpoint set` or `reset` puts the checkpoint back")),
        _ => Ok(()),
    }
}

/// Returns the latest time that rows of earlier readings carry.
fn latest(receipts: &[Receipt]) -> Option<Timestamp> {
    receipts.iter().map(|receipt| receipt.pulled_at.unwrap_or(receipt.started_at)).max()
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was interrupted between two windows of a backlog")
        .with_hint("what is told is committed; the same command takes up the rest")
}

/// One partition on its way to a commit.
struct PartitionReading<'a> {
    worker: &'a Worker<'a>,
    partition: &'a Partition,
    from: Checkpoint,
    /// The same as far as it is that of all of the partition's datasets: where it goes on.
    own: Checkpoint,
    /// The last committed receipt of each dataset.
    last: &'a [Receipt],
    /// What its rows are pulled after.
    after: Option<Timestamp>,
}

impl PartitionReading<'_> {
    /// Reads the partition to its end and returns what has to be committed.
    ///
    /// The next page is asked for while the last is written, and no earlier: a slow sink slows the reading.
    async fn read(&self, tally: &mut Tally) -> Result<Commit> {
        let (context, partition) = (self.worker.context, self.partition);
        let (started_at, earliest) = (context.clock.now(), context.clock.earliest());
        let pulled_at = self.after.map_or(started_at, |after| started_at.max(after + A_TICK));
        let mut sieve = self.sieve().await?;
        let provenance = Provenance::new(partition, &context.run_id, pulled_at);
        let mut writer = context.sink.writer(partition).await?;
        let mut pages = context.connector.read(partition);
        let mut next = pages.next().await;
        while let Some(batch) = next {
            let mut batch = batch?;
            progress(partition, &batch, context);
            if sieve.compares() {
                let pass = move || sieve.pass(&mut batch).map(|()| (sieve, batch));
                (sieve, batch) = context.cores.run(pass).await??;
            } else {
                sieve.pass(&mut batch)?;
            }
            tally.add(&batch.tally);
            let (following, written) = tokio::join!(pages.next(), write(writer.as_mut(), batch, &provenance));
            written?;
            next = following;
        }
        drop(pages);
        self.check(tally)?;
        let content = sieve.content();
        let equals_the_last = !tally.drifted && self.equals_the_last(content.as_ref());
        let files = if equals_the_last {
            drop(writer);
            tally.all_unchanged();
            Vec::new()
        } else {
            writer.close().await?
        };
        // A day holds all that its readings brought: where an earlier one brought other records, no later day equals it.
        let content = content.filter(|_| equals_the_last || sieve.known.is_empty());
        let mut receipts = receipts::of_reading(partition, tally, &files, started_at, context)?;
        for receipt in &mut receipts {
            receipt.pulled_at = (pulled_at != started_at).then_some(pulled_at);
            let drift = sieve.drift.remove(receipt.dataset.as_str()).unwrap_or_default();
            receipt.drift = drift.shown_as(|name| context.connector.scrub(name));
            receipt.content = content.as_ref().and_then(|content| content.get(&receipt.dataset).cloned());
        }
        let last = self.from.full;
        let records = self.held(tally, true).map(|(_, held)| held).or(last.map(|full| full.records));
        let inside = self.held(tally, false).map(|(_, held)| held).or(last.and_then(|full| full.inside));
        let records = records.unwrap_or_default();
        // Of what a reading fills besides, more may fit another day.
        let decides =
            |receipt: &&Receipt| receipt.dataset == partition.pull() || !partition.has(partition.pull());
        let is_whole = !tally.drifted && receipts.iter().filter(decides).all(|it| it.verdict.is_good());
        let reached = Reached { began: started_at, earliest, records, inside, is_whole };
        let to = moved(&self.own, self.worker.job, partition, &reached);
        let (run_id, partition, from) = (context.run_id.clone(), partition.clone(), self.from);
        Ok(Commit { run_id, partition, files, from, to, receipts, replays: None })
    }

    /// Returns what every batch passes before it is written.
    async fn sieve(&self) -> Result<Sieve> {
        let partition = self.partition;
        let mut known = Known::default();
        if self.from.sequence > 0 {
            let mut committed = self.worker.context.sink.committed(partition);
            while let Some(records) = committed.next().await {
                let records = records?;
                let learn = move || known.learn(&records.dataset, &records.columns).map(|()| known);
                known = self.worker.context.cores.run(learn).await??;
            }
        }
        let is_snapshot = partition.window.is_none();
        let compares = is_snapshot && self.worker.job.reading.only_changes;
        let nothing =
            || partition.datasets.iter().map(|dataset| (dataset.name, Content::default())).collect();
        let until = partition.window.map(|window| window.until);
        Ok(Sieve { known, content: compares.then(nothing), drift: BTreeMap::new(), until })
    }

    /// Refuses what must not be committed.
    ///
    /// A window that shifted is read again by the next run; committing it would move the checkpoint past what
    /// may be missing. A snapshot that shifted holds true records, and stays due. A snapshot
    /// that lost most of its records is more often a platform's bad day than a customer's clean-up.
    fn check(&self, tally: &Tally) -> Result<()> {
        if tally.drifted && self.partition.window.is_some() {
            return Err(Error::new(
                ErrorKind::Drifted,
                "the listing shifted while it was read, again and again",
            )
            .with_hint("nothing was committed for this window; run again when less is changing"));
        }
        let (Some(last), None) = (self.from.full, self.partition.window) else { return Ok(()) };
        if self.worker.job.reading.ask == Ask::Everything {
            return Ok(());
        }
        for (is_listing, then) in [(true, Some(last.records)), (false, last.inside)] {
            let (Some((name, held)), Some(then)) = (self.held(tally, is_listing), then) else { continue };
            // A listing does not end within a day; what stands in its records may.
            let all_gone = held == 0 && is_listing && then > 0;
            if all_gone || (held < then / 2 && then >= TOO_FEW_TO_WONDER) {
                let text = format!("the platform holds {held} records of {name} where it held {then} before");
                return Err(Error::new(ErrorKind::Shrunk, text).with_hint(format!(
                    "the last good snapshot stays; if it is true, take the new one: `tenantry run --full-refresh --dataset {name}` with `--tenant`"
                )));
            }
        }
        Ok(())
    }

    /// Returns how many records the listing's own dataset holds, or the one that stands inside, where it was chosen;
    /// those that do not fit are there all the same.
    fn held(&self, tally: &Tally, is_listing: bool) -> Option<(&'static str, u64)> {
        let Partition { datasets, .. } = self.partition;
        let is_it = |dataset: &&Arc<Dataset>| (dataset.name == self.partition.pull()) == is_listing;
        let name = datasets.iter().find(is_it)?.name;
        let counts = tally.datasets.get(name).copied().unwrap_or_default();
        Some((name, counts.kept() + counts.do_not_fit()))
    }

    fn equals_the_last(&self, content: Option<&BTreeMap<String, String>>) -> bool {
        let Some(content) = content else { return false };
        self.partition.datasets.iter().all(|dataset| {
            let last = self.last.iter().find(|receipt| receipt.dataset == dataset.name);
            let now = content.get(dataset.name);
            let stands = |last: &Receipt| last.verdict.is_good() && last.region == self.partition.region;
            now.is_some() && last.is_some_and(|last| stands(last) && last.content.as_ref() == now)
        })
    }
}

/// Keeps back what need not be written, and adds up what a snapshot holds and what no schema knows.
struct Sieve {
    known: Known,
    content: Option<BTreeMap<&'static str, Content>>,
    drift: BTreeMap<&'static str, Drift>,
    /// The end of the window.
    until: Option<Timestamp>,
}

impl Sieve {
    /// Returns whether every record is looked at.
    fn compares(&self) -> bool {
        !self.known.is_empty() || self.content.is_some()
    }

    fn pass(&mut self, batch: &mut Batch) -> Result<()> {
        for records in &mut batch.records {
            let Dataset { name, .. } = *records.dataset;
            self.drift.entry(name).or_default().see(records);
            let counts = batch.tally.datasets.entry(name.to_owned()).or_default();
            counts.later += self.leave_later(records)?;
            if let Some(content) = &mut self.content {
                content.entry(name).or_default().add(&records.dataset, &records.columns)?;
            }
            if self.known.is_empty() || records.columns.num_rows() == 0 {
                continue;
            }
            let rows = records.columns.num_rows();
            records.columns = self.known.fresh(&records.dataset, records.columns.clone())?;
            counts.unchanged += (rows - records.columns.num_rows()) as u64;
        }
        self.pass_rejects(batch)
    }

    /// Takes out what changed after the end of the window, and returns how many records that was.
    ///
    /// What changed is asked for from the last reading on, without an end: a record that changes meanwhile stays in
    /// the listing. It is left for the next window, so that each holds just what it says, whenever it is read.
    fn leave_later(&self, records: &mut Records) -> Result<u64> {
        let Dataset { name, cursor, by_change, .. } = *records.dataset;
        let (Some(until), Some(cursor), true) = (self.until, cursor, by_change) else { return Ok(0) };
        let bug = |what: String| Error::new(ErrorKind::Bug, format!("end a window of {name}: {what}"));
        let times = records.columns.column_by_name(cursor).and_then(|times| times.as_primitive_opt());
        let times: &TimestampMicrosecondArray =
            times.ok_or_else(|| bug(format!("{cursor} is no column of times")))?;
        let until = until.timestamp_micros();
        let belongs: BooleanArray =
            times.iter().map(|time| Some(time.is_none_or(|time| time <= until))).collect();
        let later = belongs.len() - belongs.true_count();
        if later > 0 {
            records.columns = filter_record_batch(&records.columns, &belongs)
                .map_err(|error| bug("take out records".to_owned()).with_source(error))?;
        }
        Ok(later as u64)
    }

    fn pass_rejects(&mut self, batch: &mut Batch) -> Result<()> {
        for reject in &batch.rejects {
            self.drift.entry(reject.dataset).or_default().set_aside(reject);
            if let Some(content) = &mut self.content {
                let (dataset, columns) = rejects::records(std::slice::from_ref(reject))?;
                content.entry(reject.dataset).or_default().add(&dataset, &columns)?;
            }
        }
        if self.known.is_empty() || batch.rejects.is_empty() {
            return Ok(());
        }
        let mut fresh = Vec::new();
        for reject in batch.rejects.drain(..) {
            let (dataset, columns) = rejects::records(std::slice::from_ref(&reject))?;
            if self.known.fresh(&dataset, columns)?.num_rows() > 0 {
                fresh.push(reject);
                continue;
            }
            let counts = batch.tally.datasets.entry(reject.dataset.to_owned()).or_default();
            counts.rejects -= 1;
            counts.unchanged += 1;
            counts.unchanged_rejects += 1;
        }
        batch.rejects = fresh;
        Ok(())
    }

    /// Returns the digest of each dataset's records, in hexadecimal digits.
    fn content(&self) -> Option<BTreeMap<String, String>> {
        let content = self.content.as_ref()?;
        Some(content.iter().map(|(name, content)| ((*name).to_owned(), content.hex())).collect())
    }
}

/// Writes a batch; the room that it takes is given back at the end.
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

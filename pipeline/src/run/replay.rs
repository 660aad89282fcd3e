//! Records that were set aside, decoded again: what fits by now is committed under the tenant, region and day it was
//! read for, with the time and the run of its reading.
//!
//! One commit's set-aside records are taken up by one commit, which names the files that it uses up. It is made from
//! the checkpoint at which those files were seen to wait; where another one was faster, it is refused, and what waits
//! is looked at anew. So each record is replayed once, whoever replays at the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use futures::StreamExt;
use futures::stream::BoxStream;
use tracing::info;

use super::{Outcome, RunContext, RunEvent, RunSummary, receipts};
use crate::batch::{Batch, Counts, Provenance, Records, Reject};
use crate::dataset::REJECTS;
use crate::known::{Known, digests};
use crate::rejects::{self, Backlog, Choice, Kept, Unreadable, Waiting};
use crate::{
    Checkpoint, Commit, DataFile, Dataset, Error, ErrorKind, Partition, Replays, Result, Tally, TenantId,
    Writer,
};

/// Others that may commit to a pull in between: more than ever work in the same moment.
const TRIES: usize = 100;

/// The reason of a record that would take the place of another one.
const STANDS: &str = "a record with its key and other content was read with it, and stands";

/// What a replay came to.
#[derive(Debug)]
pub struct Replay {
    /// What became of the set-aside records of each commit.
    pub replayed: Vec<Replayed>,
    /// What is kept of it, and what ended it early.
    pub summary: RunSummary,
}

/// What became of one commit's set-aside records.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Whose they are.
    pub organization_id: String,
    /// The tenant's name when they were read.
    pub organization_name: String,
    /// By dataset.
    pub datasets: BTreeMap<String, Became>,
    /// Why nothing was done with any of them, where something went wrong.
    pub error: Option<Error>,
    /// Whether it was committed.
    pub committed: bool,
}

/// What became of a dataset's records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Became {
    /// Records written.
    pub written: u64,
    /// Records that the lake held already.
    pub duplicates: u64,
    /// Records that wait on, by the column and the reason.
    pub waiting: BTreeMap<(String, String), u64>,
    /// How many of them some later version of the program may take.
    pub unfit: u64,
}

/// Replays the set-aside records that are meant, the oldest of a tenant's pull first.
pub async fn replay(choice: &Choice, context: &RunContext) -> Replay {
    let started_at = context.clock.now();
    let mut work = Work { choice, context, done: HashSet::new(), replayed: Vec::new() };
    let ended_by = work.work_off().await.err();
    let committed = || work.replayed.iter().filter(|it| it.committed);
    let summary = RunSummary {
        schema_version: RunSummary::SCHEMA_VERSION,
        run_id: context.run_id.clone(),
        started_at,
        finished_at: context.clock.now(),
        outcome: match ended_by.as_ref().map(Error::kind) {
            None => Outcome::Complete,
            Some(ErrorKind::Cancelled) => Outcome::Cancelled,
            Some(_) => Outcome::Failed,
        },
        replay: true,
        tenants: committed().map(|it| &it.organization_id).collect::<BTreeSet<_>>().len() as u64,
        error: ended_by.as_ref().map(Error::chain),
        ended_by,
        receipts: Vec::new(),
    };
    Replay { replayed: work.replayed, summary }
}

/// A tenant's pull.
type Pull = (TenantId, String);

struct Work<'a> {
    choice: &'a Choice,
    context: &'a RunContext,
    /// The commits whose set-aside records were looked at, and those that this replay made.
    done: HashSet<(Pull, u64)>,
    replayed: Vec<Replayed>,
}

impl Work<'_> {
    async fn work_off(&mut self) -> Result<()> {
        for _ in 0..TRIES {
            if self.pass().await? {
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::Overtaken,
            "replay the rejects: other runs committed first, again and again",
        )
        .with_hint("nothing is lost: run it again when less is written"))
    }

    /// Goes once over all that waits; returns whether nobody else was faster.
    async fn pass(&mut self) -> Result<bool> {
        let mut stands: HashMap<Pull, Checkpoint> = HashMap::new();
        let mut overtaken: HashSet<Pull> = HashSet::new();
        let Backlog { waiting, unreadable } = self.context.sink.backlog().await?;
        for Unreadable { tenant, pull, error } in unreadable {
            let is_meant = self.choice.takes_pull(&tenant, &pull, self.context.connector.datasets());
            // No commit has this sequence.
            if is_meant && self.done.insert(((tenant.clone(), pull), 0)) {
                let organization_id = tenant.to_string();
                self.replayed.push(Replayed { organization_id, error: Some(error), ..Replayed::default() });
            }
        }
        for mut waiting in waiting {
            let pull = (waiting.tenant.clone(), waiting.pull.clone());
            let is_done = self.done.contains(&(pull.clone(), waiting.sequence));
            if is_done || !self.choice.takes_of(&waiting) || overtaken.contains(&pull) {
                continue;
            }
            if self.context.wind_down.is_cancelled() {
                return Err(Error::new(
                    ErrorKind::Cancelled,
                    "the replay was interrupted between two commits",
                )
                .with_hint("what is told is committed; running it again takes up the rest"));
            }
            waiting.from = stands.get(&pull).copied().unwrap_or(waiting.from);
            match self.take_up(&waiting).await {
                Ok((replayed, at)) => {
                    self.done.insert((pull.clone(), waiting.sequence));
                    if let Some(at) = at {
                        self.done.insert((pull.clone(), at.sequence));
                        stands.insert(pull, at);
                    }
                    self.replayed.push(replayed);
                }
                // Another one committed to the pull since it was looked at, and may have taken up the same.
                Err(error) if error.kind() == ErrorKind::Overtaken => _ = overtaken.insert(pull),
                Err(error) if error.kind().ends_run() => return Err(error),
                Err(error) => {
                    self.done.insert((pull, waiting.sequence));
                    let error =
                        error.with_context("tenant", format!("{} ({})", waiting.name, waiting.tenant));
                    self.replayed.push(Replayed { error: Some(error), ..Replayed::of(&waiting) });
                }
            }
        }
        Ok(overtaken.is_empty())
    }

    /// Decodes one commit's set-aside records again and commits what came of it, unless all of them wait on.
    ///
    /// Returns where the pull stands then, if it was committed.
    async fn take_up(&self, waiting: &Waiting) -> Result<(Replayed, Option<Checkpoint>)> {
        let mut replayed = Replayed::of(waiting);
        let Some(partition) = waiting.partition(self.context.connector.datasets()) else {
            replayed.leave(waiting, "this version of the program does not know the dataset");
            return Ok((replayed, None));
        };
        let started_at = self.context.clock.now();
        let mut again = Again {
            waiting,
            partition: &partition,
            choice: self.choice,
            context: self.context,
            held: None,
            tally: Tally::default(),
            fits: false,
            replayed: &mut replayed,
        };
        let mut writer = self.context.sink.writer(&partition).await?;
        let mut chunks = self.context.sink.rejects(waiting);
        while let Some(columns) = chunks.next().await {
            match columns.and_then(|columns| rejects::kept(&columns)) {
                Ok(kept) => again.chunk(&kept, writer.as_mut()).await?,
                // A file that cannot be read is this tenant's trouble, and no other's.
                Err(error) => {
                    let error =
                        error.with_context("tenant", format!("{} ({})", waiting.name, waiting.tenant));
                    return Ok((Replayed { error: Some(error), ..Replayed::of(waiting) }, None));
                }
            }
        }
        let (tally, fits) = (again.tally, again.fits);
        if !fits {
            return Ok((replayed, None));
        }
        let files = writer.close().await?;
        let receipts = receipts::of_reading(&partition, &tally, &files, started_at, self.context)?;
        for receipt in &receipts {
            let became = replayed.datasets.entry(receipt.dataset.clone()).or_default();
            (became.written, became.duplicates) = (receipt.rows_written, receipt.counts.duplicates);
        }
        let from = waiting.from;
        let to = from.next(from.through);
        let replays = Replays {
            reading: waiting.reading,
            files: waiting.files.iter().map(|file: &DataFile| file.path.clone()).collect(),
            records: waiting.records.clone(),
        };
        let run_id = self.context.run_id.clone();
        let commit = Commit { run_id, partition, files, from, to, receipts, replays: Some(replays) };
        self.context.sink.commit(commit).await?;
        info!(tenant = %waiting.tenant, pull = waiting.pull, sequence = waiting.sequence, "replayed");
        replayed.committed = true;
        Ok((replayed, Some(to)))
    }
}

impl Replayed {
    fn of(waiting: &Waiting) -> Self {
        let (organization_id, organization_name) = (waiting.tenant.to_string(), waiting.name.clone());
        Self { organization_id, organization_name, ..Self::default() }
    }

    /// Says that all of a commit's records wait on for one reason.
    fn leave(&mut self, waiting: &Waiting, reason: &str) {
        for (dataset, records) in &waiting.records {
            let became = self.datasets.entry(dataset.clone()).or_default();
            became.waiting.insert((String::new(), reason.to_owned()), *records);
            became.unfit += records;
        }
    }

    fn waits(&mut self, dataset: &str, column: &str, reason: &str) {
        let became = self.datasets.entry(dataset.to_owned()).or_default();
        *became.waiting.entry((column.to_owned(), reason.to_owned())).or_default() += 1;
        became.unfit += u64::from(reason != STANDS);
    }
}

/// One commit's set-aside records on their way to another commit.
struct Again<'a> {
    waiting: &'a Waiting,
    partition: &'a Partition,
    choice: &'a Choice,
    context: &'a RunContext,
    /// What stands in the lake; read when the first record fits.
    held: Option<Held>,
    tally: Tally,
    /// Whether any record need not wait on.
    fits: bool,
    replayed: &'a mut Replayed,
}

impl Again<'_> {
    async fn chunk(&mut self, kept: &[Kept], writer: &mut dyn Writer) -> Result<()> {
        let Some(first) = kept.first() else { return Ok(()) };
        if kept.iter().any(|it| (it.pulled_at, &it.run_id) != (first.pulled_at, &first.run_id)) {
            return Err(Error::new(ErrorKind::Damaged, "replay rejects: a file holds those of two readings"));
        }
        let provenance = Provenance::new(self.partition, &first.run_id, first.pulled_at);
        let mut still = Vec::new();
        let mut meant = Vec::new();
        for kept in kept {
            let reject = self.reject(kept)?;
            if self.choice.takes(reject.dataset) { meant.push(reject) } else { still.push(reject) }
        }
        for reject in &still {
            self.count_as_waiting(reject.dataset);
        }
        let batches = self.context.connector.decode(self.partition, &meant)?;
        let Sifted { records, waits } = self.sift(meant, batches).await?;
        for reject in &waits {
            self.replayed.waits(reject.dataset, &reject.column, &reject.reason);
        }
        still.extend(waits);
        for Records { dataset, columns } in records {
            writer.write(&dataset, provenance.add_to(&columns)?).await?;
        }
        if !still.is_empty() {
            let (dataset, columns) = rejects::records(&still)?;
            writer.write(&dataset, provenance.add_to(&columns)?).await?;
        }
        (self.context.events)(RunEvent::Progress {
            tenant: self.partition.tenant.id.clone(),
            region: self.partition.region.clone(),
            pull: self.partition.pull(),
            pages: 0,
            bytes: 0,
            records: kept.len() as u64,
            claimed: None,
        });
        Ok(())
    }

    fn reject(&self, kept: &Kept) -> Result<Reject> {
        let dataset = self.partition.datasets.iter().find(|dataset| dataset.name == kept.dataset);
        let Some(dataset) = dataset else {
            let what =
                format!("replay rejects: they are of {}, and the receipts say otherwise", kept.dataset);
            return Err(Error::new(ErrorKind::Sink, what).with_hint("`tenantry verify` tells more"));
        };
        let Kept { column, reason, raw, within, .. } = kept.clone();
        Ok(Reject { dataset: dataset.name, column, reason, raw, within })
    }

    /// Tells what is written from what stands already and what waits on.
    async fn sift(&mut self, meant: Vec<Reject>, batches: Vec<Batch>) -> Result<Sifted> {
        if self.held.is_none() && batches.iter().any(|batch| rows(batch) > 0) {
            self.held = Some(Held::load(self.waiting, self.partition, self.context).await?);
        }
        let mut sifted = Sifted::default();
        let mut fitting: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
        for (mut reject, batch) in meant.into_iter().zip(batches) {
            if self.would_contradict(&batch)? {
                self.count_as_waiting(reject.dataset);
                (reject.column, reject.reason) = (String::new(), STANDS.to_owned());
                sifted.waits.push(reject);
                continue;
            }
            self.tally.add(&batch.tally);
            self.fits |= rows(&batch) > 0;
            sifted.waits.extend(batch.rejects);
            for records in batch.records.into_iter().filter(|records| records.columns.num_rows() > 0) {
                let of = |dataset: &Arc<Dataset>| dataset.name == records.dataset.name;
                let at = self.partition.datasets.iter().position(of).unwrap_or_default();
                fitting.entry(at).or_default().push(self.fresh(records)?);
            }
        }
        for (at, columns) in fitting {
            let dataset = self.partition.datasets[at].clone();
            let columns = concat_batches(&dataset.schema, &columns).map_err(|error| bug(&dataset, error))?;
            if columns.num_rows() > 0 {
                sifted.records.push(Records { dataset, columns });
            }
        }
        Ok(sifted)
    }

    /// Returns whether a record of a listing, or one that stands in it, has a key that stands in the same reading, and not
    /// with this content: it came again changed, and of two rows that were pulled at one moment none is the newer.
    fn would_contradict(&self, batch: &Batch) -> Result<bool> {
        let Some(held) = &self.held else { return Ok(false) };
        for Records { dataset, columns } in &batch.records {
            let by_content = digests(&compared(dataset), columns)?;
            for ((key, _), (same, content)) in digests(dataset, columns)?.into_iter().zip(by_content) {
                if held.keys.content(key)?.is_some() && held.beside.content(same)? != Some(content) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Returns the records that the lake does not hold, and holds them from now on.
    fn fresh(&mut self, records: Records) -> Result<RecordBatch> {
        let Records { dataset, columns } = records;
        let Some(held) = &mut self.held else { return Ok(columns) };
        let mut fresh = Vec::with_capacity(columns.num_rows());
        for (key, content) in digests(&compared(&dataset), &columns)? {
            let stands =
                held.beside.content(key)? == Some(content) || held.all.content(key)? == Some(content);
            held.beside.take(key, content)?;
            fresh.push(!stands);
        }
        held.keys.learn(&dataset, &columns)?;
        let counts = self.tally.datasets.entry(dataset.name.to_owned()).or_default();
        counts.duplicates += fresh.iter().filter(|fresh| !**fresh).count() as u64;
        filter_record_batch(&columns, &BooleanArray::from(fresh)).map_err(|error| bug(&dataset, error))
    }

    fn count_as_waiting(&mut self, dataset: &str) {
        let counts = Counts { read: 1, rejects: 1, ..Counts::default() };
        self.tally.datasets.entry(dataset.to_owned()).or_default().add(&counts);
    }
}

/// What a few set-aside records came to.
#[derive(Default)]
struct Sifted {
    records: Vec<Records>,
    waits: Vec<Reject>,
}

/// The records of the partition that stand in the lake.
struct Held {
    /// The newest content of each.
    all: Known,
    /// Those of the same reading.
    beside: Known,
    /// The same by the key that is declared, where `beside` knows those that stand inside others by all they have.
    keys: Known,
}

impl Held {
    async fn load(waiting: &Waiting, partition: &Partition, context: &RunContext) -> Result<Self> {
        let [all] = Self::learn(context.sink.committed(partition), context, [compared]).await?;
        let records = context.sink.beside(waiting, partition);
        let [beside, keys] = Self::learn(records, context, [compared, Dataset::clone]).await?;
        Ok(Self { all, beside, keys })
    }

    /// Reads records once, and knows them by the keys of each way to compare them.
    async fn learn<const WAYS: usize>(
        mut records: BoxStream<'static, Result<Records>>,
        context: &RunContext,
        ways: [fn(&Dataset) -> Dataset; WAYS],
    ) -> Result<[Known; WAYS]> {
        let mut known = [(); WAYS].map(|()| Known::default());
        while let Some(records) = records.next().await {
            let Records { dataset, columns } = records?;
            if dataset.name != REJECTS {
                let learn = move || {
                    for (known, compared) in known.iter_mut().zip(ways) {
                        known.learn(&compared(&dataset), &columns)?;
                    }
                    Ok::<_, Error>(known)
                };
                known = context.cores.run(learn).await??;
            }
        }
        Ok(known)
    }
}

/// Returns a dataset as its records are compared here: those that stand inside others are known by all they have.
fn compared(dataset: &Dataset) -> Dataset {
    let key = if dataset.name == dataset.pull { dataset.key } else { &[] };
    Dataset { key, ..dataset.clone() }
}

fn rows(batch: &Batch) -> usize {
    batch.records.iter().map(|records| records.columns.num_rows()).sum()
}

fn bug(dataset: &Dataset, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Bug, format!("lay out the replayed records of {}", dataset.name)).with_source(cause)
}

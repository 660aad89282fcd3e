//! One commit, step by step, as the module's opening says.

use std::path::{Path, PathBuf};

use pipeline::{Checkpoint, Commit, Error, ErrorKind, Partition, Result};
use uuid::Uuid;

use super::history;
use super::layout::{self, Layout};
use super::record::{Record, Sealed};
use super::recover::{self, remove_files};
use super::run::OpenRun;
use super::store::{Store, Unsynced, damaged, failed, folder_of, names_in};

/// Makes a partition's files and its checkpoint visible: both or neither.
pub(super) fn commit(layout: &Layout, store: &Store, run: &OpenRun, commit: &Commit) -> Result<()> {
    let id = check(run, commit)?;
    match previous(layout, commit)? {
        Previous::Fits(previous) => {
            if previous.is_none() {
                check_first(layout, commit, &id)?;
            }
            let attempt = Attempt { layout, store, run, commit, id, previous };
            attempt.carry_out()
        }
        Previous::Done => {
            let (tenant, pull) = (&commit.partition.tenant.id, commit.partition.pull());
            recover::make_durable(layout, store, tenant, pull, commit.from.sequence + 1)
        }
        Previous::Stale => {
            remove_temporaries(layout, store, commit);
            Err(stale(commit))
        }
    }
}

/// Returns a name for the next partition's files that no other run, before or after, will choose.
pub(super) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Returns the commit's name, if each of its files is one that this partition's writer may have closed.
fn check(run: &OpenRun, commit: &Commit) -> Result<String> {
    let bug = |why: String| Error::new(ErrorKind::Bug, format!("commit a partition: {why}"));
    if commit.run_id != run.id {
        return Err(bug(format!("run {} is not the one that prepared the lake", commit.run_id)));
    }
    let Some(first) = commit.files.first() else { return Ok(new_id()) };
    let (id, _) =
        layout::parse_data_name(&first.path).ok_or_else(|| bug(format!("{} is no data file", first.path)))?;
    for (at, file) in commit.files.iter().enumerate() {
        let number = layout::parse_data_name(&file.path).map(|(_, number)| number).unwrap_or_default();
        if file.path != layout::data_path(&commit.partition, &file.dataset, id, number)? {
            return Err(bug(format!("{} is not a place of this partition's {}", file.path, file.dataset)));
        }
        if commit.files[..at].iter().any(|other| other.path == file.path) {
            return Err(bug(format!("{} is named twice", file.path)));
        }
    }
    Ok(id.to_owned())
}

/// What stands before a commit.
enum Previous {
    /// Its `from` is the checkpoint; with the record that says so.
    Fits(Option<Box<Sealed>>),
    /// This very commit is there already.
    Done,
    /// Its `from` is not the checkpoint.
    Stale,
}

fn previous(layout: &Layout, commit: &Commit) -> Result<Previous> {
    let (tenant, pull, from) = (&commit.partition.tenant.id, commit.partition.pull(), commit.from);
    if let Some(next) = history::read(layout, tenant, pull, from.sequence + 1)? {
        return Ok(if next.record.is_of(commit) { Previous::Done } else { Previous::Stale });
    }
    if from.sequence == 0 {
        return Ok(if from == Checkpoint::default() { Previous::Fits(None) } else { Previous::Stale });
    }
    let previous = history::read(layout, tenant, pull, from.sequence)?;
    Ok(match previous {
        Some(previous) if previous.record.to == from => Previous::Fits(Some(Box::new(previous))),
        _ => Previous::Stale,
    })
}

/// Checks that a pull that seems never to have been committed has no files: where its records are lost, all that they
/// named would be written a second time.
fn check_first(layout: &Layout, commit: &Commit, own: &str) -> Result<()> {
    let partition = &commit.partition;
    // The order matters: files are named by an intent before they are there, and by a record before that is gone.
    let files = files_of(layout, partition)?;
    if files.is_empty() {
        return Ok(());
    }
    let intended = recover::intended(layout)?;
    let is_unknown = |path: &&String| {
        layout::parse_data_name(path).is_some_and(|(id, _)| id != own && !intended.contains(id))
    };
    let Some(file) = files.iter().find(is_unknown) else { return Ok(()) };
    let (tenant, pull) = (&partition.tenant.id, partition.pull());
    if history::read(layout, tenant, pull, commit.from.sequence + 1)?.is_some() {
        return Err(stale(commit));
    }
    let what = format!("commit the first {pull} of this tenant");
    Err(damaged(what, layout.file(file), "files are there, and the commit records that named them are not")
        .with_hint("put `_tenantry` back from a copy; where there is none, move the tenant's files away: all of it is read again"))
}

/// Returns the data files of a tenant's datasets.
fn files_of(layout: &Layout, partition: &Partition) -> Result<Vec<String>> {
    let list = |folder: &str| {
        let path = layout.file(folder);
        names_in(&path).map_err(|error| failed("list the lake's files", path, error))
    };
    let mut files = Vec::new();
    for dataset in &partition.datasets {
        let folder = layout::tenant_folder(dataset.name, &partition.region, &partition.tenant.id)?;
        for date in list(&folder)? {
            let below = format!("{folder}/{date}");
            files.extend(list(&below)?.into_iter().map(|name| format!("{below}/{name}")));
        }
    }
    files.retain(|path| layout::is_data_path(path));
    Ok(files)
}

fn stale(commit: &Commit) -> Error {
    let pull = commit.partition.pull();
    Error::new(
        ErrorKind::Overtaken,
        format!("commit {pull}: another run committed it first, so nothing of this one was kept"),
    )
    .with_context("tenant", commit.partition.tenant.id.as_str())
    .with_context("sequence", commit.from.sequence.to_string())
    .with_hint("let one run at a time write a tenant, and run again: it goes on where the other one ended")
}

/// Removes the files of a commit that was refused before any was moved; what stays is cleared with the run.
fn remove_temporaries(layout: &Layout, store: &Store, commit: &Commit) {
    let folder = layout.temporary(&commit.run_id);
    for file in &commit.files {
        store.remove_file(&temporary(&folder, &file.path)).ok();
    }
}

fn temporary(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.rsplit('/').next().unwrap_or(path))
}

/// A commit under way.
struct Attempt<'a> {
    layout: &'a Layout,
    store: &'a Store,
    run: &'a OpenRun,
    commit: &'a Commit,
    id: String,
    previous: Option<Box<Sealed>>,
}

/// How an attempt ended that met no error.
#[derive(PartialEq, Eq)]
enum Ended {
    Committed,
    Refused,
}

impl Attempt<'_> {
    fn carry_out(&self) -> Result<()> {
        let intent = self.layout.intent(&self.run.id, &self.id);
        let ended =
            self.declare(&intent).and_then(|()| self.move_files()).and_then(|()| self.put_record(&intent));
        match ended {
            Ok(Ended::Committed) => {
                // One that stays behind does no harm: its record says that it was carried out.
                self.store.remove_file(&intent).ok();
                Ok(())
            }
            Ok(Ended::Refused) => self.take_back(&intent).and(Err(stale(self.commit))),
            Err(error) => {
                // The record decides. Where it is there, or cannot be looked for, the files stay: deleting
                // committed ones would be worse, and the next run settles it by the intent.
                if self.is_committed().is_ok_and(|is_committed| !is_committed) {
                    self.take_back(&intent).ok();
                }
                Err(error)
            }
        }
    }

    fn declare(&self, intent: &Path) -> Result<()> {
        let record = Record::new(self.commit, &self.id, self.previous.as_deref());
        let mut declared = self.store.write(intent, &record.seal());
        // Where nothing is moved, nobody will have to look for it.
        if !self.commit.files.is_empty() {
            declared = declared.and_then(|()| self.store.files().sync_dir(folder_of(intent)));
        }
        declared.map_err(|error| failed("declare a commit", intent, error))
    }

    fn move_files(&self) -> Result<()> {
        let temporaries = self.layout.temporary(&self.run.id);
        let mut unsynced = Unsynced::default();
        let mut made = None;
        for file in &self.commit.files {
            let path = self.layout.file(&file.path);
            let folder = folder_of(&path);
            if made.as_deref() != Some(folder) {
                let created = self.store.create_missing_dirs(folder, &mut unsynced);
                created.map_err(|error| failed("create a folder of the lake", folder, error))?;
                unsynced.add(folder);
                made = Some(folder.to_owned());
            }
            let moved = self.store.files().rename(&temporary(&temporaries, &file.path), &path);
            moved.map_err(|error| failed("move a data file to its place", &path, error))?;
        }
        self.sync(unsynced, "make a folder of the lake durable")
    }

    fn put_record(&self, intent: &Path) -> Result<Ended> {
        let path = self.record_path()?;
        let folder = folder_of(&path);
        let unwritten = |error| failed("write the commit record", &path, error);
        let mut unsynced = Unsynced::default();
        self.store.create_missing_dirs(folder, &mut unsynced).map_err(unwritten)?;
        unsynced.add(folder);
        let put = self.store.link_if_absent(intent, &path).map_err(unwritten)?;
        if !put && !self.is_committed()? {
            return Ok(Ended::Refused);
        }
        self.sync(unsynced, "make the commit record durable")?;
        Ok(Ended::Committed)
    }

    fn sync(&self, unsynced: Unsynced, action: &str) -> Result<()> {
        self.store.sync(unsynced).map_err(|(folder, error)| failed(action, folder, error))
    }

    /// Returns whether the record of this commit is in its place.
    fn is_committed(&self) -> Result<bool> {
        let partition = &self.commit.partition;
        let sequence = self.commit.from.sequence + 1;
        let found = history::read(self.layout, &partition.tenant.id, partition.pull(), sequence)?;
        Ok(found.is_some_and(|sealed| sealed.record.commit == self.id))
    }

    fn take_back(&self, intent: &Path) -> Result<()> {
        remove_files(self.layout, self.store, self.commit.files.iter().map(|file| file.path.as_str()))?;
        remove_temporaries(self.layout, self.store, self.commit);
        self.store.remove_file(intent).map_err(|error| failed("remove an intent", intent, error))
    }

    fn record_path(&self) -> Result<PathBuf> {
        let partition = &self.commit.partition;
        self.layout.record(&partition.tenant.id, partition.pull(), self.commit.from.sequence + 1)
    }
}

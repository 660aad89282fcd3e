//! Checks the commit records: that none is missing, none was changed, and each follows from the one before.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pipeline::dataset::REJECTS;
use pipeline::{Checkpoint, DataFile, Result, TenantId};

use super::super::layout::{Layout, record_name, segment_name};
use super::super::pulls::{Names, Span};
use super::super::record::{Flaw, Record, Sealed};
use super::super::segment;
use super::super::store::{failed, names_in};
use super::{CheckedFile, Finding, FindingKind, is_in_place};

/// A commit record and where it stands.
pub(in super::super) struct Committed {
    pub(in super::super) record: Record,
    /// The hash that it is sealed with.
    pub(in super::super) sha256: String,
    /// The file that holds it, below the root.
    pub(in super::super) path: String,
}

/// What is kept of a commit record until its files are read: a lake has many, and most of a record is compared at once.
pub(super) struct Kept {
    pub(super) organization_id: TenantId,
    pub(super) files: Vec<KeptFile>,
    /// Rows of each dataset that the receipts say were written.
    written: Vec<(String, u64)>,
    /// The file that holds the record, below the root.
    path: String,
}

/// A file as its record names it.
pub(super) struct KeptFile {
    pub(super) file: DataFile,
    /// Whether its path is one that the record's own commit may hold.
    pub(super) is_in_place: bool,
}

impl Kept {
    pub(super) fn of(committed: Committed) -> Self {
        let Committed { mut record, path, .. } = committed;
        let files = std::mem::take(&mut record.files);
        let kept = |file: DataFile| {
            let is_in_place = is_in_place(&record, &file.dataset, &file.path);
            KeptFile { file, is_in_place }
        };
        let files = files.into_iter().map(kept).collect();
        let rejects = record.receipts.iter().map(|receipt| receipt.counts.rejects).sum();
        let written = record.receipts.into_iter().map(|receipt| (receipt.dataset, receipt.rows_written));
        let written = written.chain([(REJECTS.to_owned(), rejects)]).collect();
        Self { organization_id: record.organization_id, files, written, path }
    }
}

/// Reads every record of every tenant's pull, one after the other.
pub(super) fn read_all(
    layout: &Layout,
    findings: &mut Vec<Finding>,
    take: &mut dyn FnMut(Committed),
) -> Result<()> {
    let all = layout.all_commits();
    let list = |folder: &Path| {
        let mut names = names_in(folder).map_err(|error| failed("list the commits", folder, error))?;
        names.sort_unstable();
        Ok(names)
    };
    for tenant in list(&all)? {
        let pulls = list(&all.join(&tenant))?;
        if pulls.is_empty() && !all.join(&tenant).is_dir() {
            findings.push(no_folder(layout.below(&all.join(&tenant))));
        }
        for pull in pulls {
            let folder = all.join(&tenant).join(&pull);
            let below = layout.below(&folder);
            let is_ours = tenant.parse::<TenantId>().is_ok_and(|id| layout.commits(&id, &pull).is_ok())
                && folder.is_dir();
            if !is_ours {
                findings.push(no_folder(below));
                continue;
            }
            let mut chain = Chain { tenant: &tenant, pull: &pull, below, last: None, next: 1, findings };
            for (sequence, text) in chain.texts(&folder)? {
                chain.read(sequence, text).into_iter().for_each(&mut *take);
            }
        }
    }
    Ok(())
}

fn no_folder(path: String) -> Finding {
    Finding::new(FindingKind::UnreadableRecord, path, "this is no folder of commit records")
}

/// The text of a record and the name of the file that holds it.
struct Text {
    name: String,
    bytes: Result<Vec<u8>, Flaw>,
}

/// What a record has to follow from.
struct Before {
    to: Checkpoint,
    sha256: String,
}

/// The records of one tenant's pull, as far as they were read.
struct Chain<'a> {
    tenant: &'a str,
    pull: &'a str,
    below: String,
    /// What the record before leads to, unless it could not be read.
    last: Option<Before>,
    next: u64,
    findings: &'a mut Vec<Finding>,
}

impl Chain<'_> {
    fn find(&mut self, kind: FindingKind, name: &str, sentence: impl Into<String>) {
        let path = format!("{}/{name}", self.below);
        self.findings.push(Finding::new(kind, path, sentence));
    }

    /// Reads the texts of a folder's records by their sequence.
    fn texts(&mut self, folder: &Path) -> Result<BTreeMap<u64, Text>> {
        // A run that rolls records into a segment removes files that were just listed; the segment was there first.
        const TRIES: usize = 3;
        for tried in 1.. {
            let (mut texts, mut found) = (BTreeMap::new(), Vec::new());
            let names = Names::list(folder)?;
            for span in &names.segments {
                self.read_segment(folder, *span, &mut texts, &mut found);
            }
            let mut vanished = false;
            for sequence in &names.single {
                vanished |= self.read_single(folder, *sequence, &mut texts, &mut found);
            }
            if vanished && tried < TRIES {
                continue;
            }
            self.findings.append(&mut found);
            for name in &names.strange {
                self.find(FindingKind::UnreadableRecord, name, "the file is no commit record");
            }
            return Ok(texts);
        }
        unreachable!("the last try returns")
    }

    fn read_segment(
        &self,
        folder: &Path,
        span: Span,
        texts: &mut BTreeMap<u64, Text>,
        found: &mut Vec<Finding>,
    ) {
        let name = segment_name(span);
        let text = fs_err::read(folder.join(&name));
        let flawed = |flaw: &Flaw| flawed(flaw, format!("{}/{name}", self.below), "segment");
        let text = match text {
            Ok(text) => text,
            Err(error) => return found.push(flawed(&Flaw::Unreadable(error.to_string()))),
        };
        let lines = match segment::split(span, &text) {
            Ok(lines) => lines,
            Err(flaw) => {
                found.push(flawed(&flaw));
                // The lines that are whole still say what they say.
                text.split_inclusive(|byte| *byte == b'\n').collect()
            }
        };
        for (sequence, line) in (span.first..=span.last).zip(lines) {
            if Sealed::parse(line).is_ok_and(|sealed| sealed.record.to.sequence == sequence) {
                texts.insert(sequence, Text { name: name.clone(), bytes: Ok(line.to_owned()) });
            } else if texts.get(&sequence).is_none() && !found.iter().any(|it| it.path.ends_with(&name)) {
                found.push(flawed(&Flaw::Edited));
            }
        }
    }

    /// Returns whether the file was gone.
    fn read_single(
        &self,
        folder: &Path,
        sequence: u64,
        texts: &mut BTreeMap<u64, Text>,
        found: &mut Vec<Finding>,
    ) -> bool {
        let name = record_name(sequence);
        let bytes = match fs_err::read(folder.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            read => read.map_err(|error| Flaw::Unreadable(error.to_string())),
        };
        let path = format!("{}/{name}", self.below);
        if let Some(Text { bytes: Ok(line), .. }) = texts.get(&sequence) {
            if bytes.as_ref().is_ok_and(|bytes| bytes == line) {
                return false;
            }
            let sentence = "the record is not the one that a segment holds of the same place in the order";
            found.push(Finding::new(FindingKind::EditedRecord, path, sentence));
            return false;
        }
        texts.insert(sequence, Text { name, bytes });
        false
    }

    fn read(&mut self, sequence: u64, text: Text) -> Option<Committed> {
        let is_gap = sequence != self.next;
        while self.next < sequence {
            let missing = record_name(self.next);
            self.find(FindingKind::MissingRecord, &missing, "a later record is there and this one is not");
            // A far-off number is one gap, not a million findings.
            self.next = if sequence - self.next > 100 { sequence } else { self.next + 1 };
        }
        self.next = sequence.saturating_add(1);
        let before = self.last.take();
        let sealed = match text.bytes.and_then(|bytes| Sealed::parse(&bytes)) {
            Ok(sealed) => sealed,
            Err(flaw) => {
                self.findings.push(flawed(&flaw, format!("{}/{}", self.below, text.name), "record"));
                return None;
            }
        };
        self.compare(&text.name, sequence, &sealed, before.as_ref(), is_gap);
        self.last = Some(Before { to: sealed.record.to, sha256: sealed.sha256.clone() });
        let path = format!("{}/{}", self.below, text.name);
        Some(Committed { record: sealed.record, sha256: sealed.sha256, path })
    }

    fn compare(&mut self, name: &str, sequence: u64, sealed: &Sealed, before: Option<&Before>, is_gap: bool) {
        let record = &sealed.record;
        let is_own = record.organization_id.as_str() == self.tenant
            && record.pull == self.pull
            && record.to.sequence == sequence
            && record.from.sequence.checked_add(1) == Some(sequence);
        if !is_own {
            self.find(
                FindingKind::BrokenChain,
                name,
                "the record is of another tenant, pull or place in the order",
            );
        }
        let follows = match before {
            Some(before) => record.from == before.to && record.previous.as_ref() == Some(&before.sha256),
            None if sequence == 1 => record.from == Checkpoint::default() && record.previous.is_none(),
            // What is wrong with the one before was said already.
            None => true,
        };
        if !follows && !is_gap {
            self.find(FindingKind::BrokenChain, name, "the record does not follow from the one before it");
        }
        for receipt in &record.receipts {
            if receipt.organization_id != record.organization_id || receipt.region != record.region {
                self.find(
                    FindingKind::WrongReceipt,
                    name,
                    "a receipt is of another tenant or region than its record",
                );
            }
        }
    }
}

/// Returns the finding about a text that is not what was written.
pub(super) fn flawed(flaw: &Flaw, path: String, what: &str) -> Finding {
    let (kind, sentence) = match flaw {
        Flaw::Unreadable(why) => (FindingKind::UnreadableRecord, format!("the {what} cannot be read: {why}")),
        Flaw::Edited => (FindingKind::EditedRecord, format!("the {what} was changed after it was written")),
        Flaw::Version(version) => (
            FindingKind::UnknownVersion,
            format!("the {what}'s schema version {version} is unknown to this program"),
        ),
    };
    Finding::new(kind, path, sentence)
}

/// Compares what a record's receipts say was written with the footers of its files.
pub(super) fn compare_receipts(kept: &Kept, files: &[CheckedFile], findings: &mut Vec<Finding>) {
    if files.iter().any(|file| file.rows.is_none()) {
        // A file whose rows are unknown is a finding of its own.
        return;
    }
    for (dataset, said) in &kept.written {
        let of_dataset = kept.files.iter().zip(files).filter(|(kept, _)| kept.file.dataset == *dataset);
        let actual = of_dataset.filter_map(|(_, checked)| checked.rows).sum::<u64>();
        if *said != actual {
            let sentence =
                format!("the receipts say {said} rows of {dataset} were written, the files hold {actual}");
            findings.push(Finding::new(FindingKind::WrongReceipt, kept.path.clone(), sentence));
        }
    }
}

//! Checks the commit records: that none is missing, none was changed, and each follows from the one before.

use std::path::Path;

use pipeline::Result;
use pipeline::dataset::REJECTS;

use super::super::layout::{Layout, parse_record_name, record_name};
use super::super::record::{Flaw, Record, Sealed};
use super::super::store::{failed, names_in};
use super::{CheckedFile, Finding, FindingKind};

/// Reads every record of every tenant's pull.
pub(super) fn read_all(layout: &Layout, findings: &mut Vec<Finding>) -> Result<Vec<Record>> {
    let all = layout.all_commits();
    let list = |folder: &Path| {
        let mut names = names_in(folder).map_err(|error| failed("list the commits", folder, error))?;
        names.sort_unstable();
        Ok(names)
    };
    let mut records = Vec::new();
    for tenant in list(&all)? {
        for pull in list(&all.join(&tenant))? {
            let folder = all.join(&tenant).join(&pull);
            let below = folder.strip_prefix(layout.root()).unwrap_or(&folder).display().to_string();
            let is_ours =
                tenant.parse().is_ok_and(|id| layout.commits(&id, &pull).is_ok()) && folder.is_dir();
            if !is_ours {
                let sentence = "this is no folder of commit records".to_owned();
                findings.push(Finding { kind: FindingKind::UnreadableRecord, path: below, sentence });
                continue;
            }
            let mut chain = Chain { tenant: &tenant, pull: &pull, below, last: None, next: 1, findings };
            for name in list(&folder)? {
                records.extend(chain.read(&folder, &name));
            }
        }
    }
    Ok(records)
}

/// The records of one tenant's pull, as far as they were read.
struct Chain<'a> {
    tenant: &'a str,
    pull: &'a str,
    below: String,
    /// The record before, unless it could not be read.
    last: Option<Sealed>,
    next: u64,
    findings: &'a mut Vec<Finding>,
}

impl Chain<'_> {
    fn find(&mut self, kind: FindingKind, name: &str, sentence: impl Into<String>) {
        let path = format!("{}/{name}", self.below);
        self.findings.push(Finding { kind, path, sentence: sentence.into() });
    }

    fn read(&mut self, folder: &Path, name: &str) -> Option<Record> {
        let Some(sequence) = parse_record_name(name) else {
            self.find(FindingKind::UnreadableRecord, name, "the file is no commit record");
            return None;
        };
        let is_gap = sequence != self.next;
        while self.next < sequence {
            let missing = record_name(self.next);
            self.find(FindingKind::MissingRecord, &missing, "a later record is there and this one is not");
            // A far-off number is one gap, not a million findings.
            self.next = if sequence - self.next > 100 { sequence } else { self.next + 1 };
        }
        self.next = sequence + 1;
        let before = self.last.take();
        let sealed = self.parse(folder, name)?;
        self.compare(name, sequence, &sealed, before.as_ref(), is_gap);
        self.last = Some(sealed.clone());
        Some(sealed.record)
    }

    fn parse(&mut self, folder: &Path, name: &str) -> Option<Sealed> {
        let text = fs_err::read(folder.join(name)).map_err(|error| Flaw::Unreadable(error.to_string()));
        match text.and_then(|text| Sealed::parse(&text)) {
            Ok(sealed) => return Some(sealed),
            Err(Flaw::Unreadable(why)) => {
                let sentence = format!("the record cannot be read: {why}");
                self.find(FindingKind::UnreadableRecord, name, sentence);
            }
            Err(Flaw::Edited) => {
                self.find(FindingKind::EditedRecord, name, "the record was changed after it was written");
            }
            Err(Flaw::Version(version)) => {
                let sentence = format!("the record's schema version {version} is unknown to this program");
                self.find(FindingKind::UnknownVersion, name, sentence);
            }
        }
        None
    }

    fn compare(&mut self, name: &str, sequence: u64, sealed: &Sealed, before: Option<&Sealed>, is_gap: bool) {
        let record = &sealed.record;
        let is_own = record.organization_id.as_str() == self.tenant
            && record.pull == self.pull
            && record.to.sequence == sequence
            && record.from.sequence + 1 == sequence;
        if !is_own {
            self.find(
                FindingKind::BrokenChain,
                name,
                "the record is of another tenant, pull or place in the order",
            );
        }
        let follows = match before {
            Some(before) => {
                record.from == before.record.to && record.previous.as_ref() == Some(&before.sha256)
            }
            None if sequence == 1 => {
                record.from == pipeline::Checkpoint::default() && record.previous.is_none()
            }
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

/// Compares what a record's receipts say was written with the footers of its files.
pub(super) fn compare_receipts(record: &Record, files: &[CheckedFile], findings: &mut Vec<Finding>) {
    if files.iter().any(|file| file.rows.is_none()) {
        // A file whose rows are unknown is a finding of its own.
        return;
    }
    let written = |dataset: &str| {
        let of_dataset = record.files.iter().zip(files).filter(|(file, _)| file.dataset == dataset);
        of_dataset.filter_map(|(_, checked)| checked.rows).sum::<u64>()
    };
    let mut compare = |dataset: &str, said: u64| {
        let actual = written(dataset);
        if said != actual {
            let sequence = record_name(record.to.sequence);
            let path = format!("_tenantry/commits/{}/{}/{sequence}", record.organization_id, record.pull);
            let sentence =
                format!("the receipts say {said} rows of {dataset} were written, the files hold {actual}");
            findings.push(Finding { kind: FindingKind::WrongReceipt, path, sentence });
        }
    };
    for receipt in &record.receipts {
        compare(&receipt.dataset, receipt.rows_written);
    }
    compare(REJECTS, record.receipts.iter().map(|receipt| receipt.counts.rejects).sum());
}

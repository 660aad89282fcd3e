//! Checks the data files: size, hash, footer, and whose records they say they hold.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use pipeline::TenantId;
// Its SHA-256 is in hardware wherever the machine has it, on ARM as well.
use ring::digest::{Context, SHA256};

use super::super::layout::Layout;
use super::super::properties::TENANT_KEY;
use super::super::rolling::hex;
use super::records::{Kept, KeptFile};
use super::{Finding, FindingKind, VerifyProgress};

/// What reading one file again came to.
#[derive(Default)]
pub(super) struct CheckedFile {
    /// Rows in its footer, if that could be read.
    pub(super) rows: Option<u64>,
    pub(super) bytes: u64,
    pub(super) findings: Vec<Finding>,
}

// Large enough that the disk reads ahead, small enough to stay in a core's cache.
const BUFFER: usize = 256 << 10;

/// How often a reader of a large file tells how far it is.
const TOLD_EVERY: u64 = 64 << 20;

/// How far all readers together are.
struct Meter<'a> {
    files: AtomicU64,
    files_total: u64,
    bytes: AtomicU64,
    bytes_total: u64,
    tell: &'a (dyn Fn(VerifyProgress) + Sync),
}

impl Meter<'_> {
    fn add(&self, files: u64, bytes: u64) {
        let files = self.files.fetch_add(files, Relaxed) + files;
        let bytes = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        let (files_total, bytes_total) = (self.files_total, self.bytes_total);
        (self.tell)(VerifyProgress { files, files_total, bytes, bytes_total });
    }
}

/// Checks the files of all records, and returns what came of each in their order.
///
/// The largest come first: one that is larger than all others together is read beside them, and not after.
pub(super) fn check_all(
    layout: &Layout,
    records: &[Kept],
    threads: usize,
    progress: &(dyn Fn(VerifyProgress) + Sync),
) -> Vec<CheckedFile> {
    let work: Vec<(&Kept, &KeptFile)> =
        records.iter().flat_map(|kept| kept.files.iter().map(move |file| (kept, file))).collect();
    let mut order: Vec<usize> = (0..work.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(work[*at].1.file.bytes));
    let meter = Meter {
        files: AtomicU64::new(0),
        files_total: work.len() as u64,
        bytes: AtomicU64::new(0),
        bytes_total: work.iter().map(|(_, kept)| kept.file.bytes).sum(),
        tell: progress,
    };
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(work.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER];
                while let Some(at) = order.get(next.fetch_add(1, Relaxed)) {
                    let (kept, file) = work[*at];
                    let checked = check(layout, &kept.organization_id, file, &mut buffer, &meter);
                    done.lock().expect("no holder panics").push((*at, checked));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no holder panics");
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, checked)| checked).collect()
}

fn check(
    layout: &Layout,
    tenant: &TenantId,
    kept: &KeptFile,
    buffer: &mut [u8],
    meter: &Meter<'_>,
) -> CheckedFile {
    let file = &kept.file;
    let mut checked = CheckedFile::default();
    let mut find = |kind, sentence| checked.findings.push(Finding::new(kind, file.path.as_str(), sentence));
    if !kept.is_in_place {
        find(
            FindingKind::WrongPlace,
            format!("the record of tenant {tenant} names a file that is not at its place"),
        );
        // A path that is not of our making is not followed.
        return checked;
    }
    let opened = fs_err::File::open(layout.file(&file.path)).map(fs_err::File::into_file);
    let hashed = opened.and_then(|mut opened| Ok((hash(&mut opened, buffer, meter)?, opened)));
    let ((sha256, bytes), opened) = match hashed {
        Ok(hashed) => hashed,
        Err(error) => {
            find(FindingKind::MissingFile, format!("the file cannot be read: {error}"));
            return checked;
        }
    };
    if bytes != file.bytes {
        find(
            FindingKind::WrongSize,
            format!("the file has {bytes} bytes and not the {} of its record", file.bytes),
        );
    } else if sha256 != file.sha256 {
        find(FindingKind::WrongHash, "the file's bytes are not those that were committed".to_owned());
    }
    match ParquetMetaDataReader::new().parse_and_finish(&opened) {
        Err(error) => find(FindingKind::WrongRows, format!("the file's footer cannot be read: {error}")),
        Ok(footer) => {
            let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
            if rows != file.rows {
                find(
                    FindingKind::WrongRows,
                    format!("the file has {rows} rows and not the {} of its record", file.rows),
                );
            }
            if tenant_of(&footer).is_some_and(|named| named != tenant.as_str()) {
                find(
                    FindingKind::WrongPlace,
                    "the file says that it holds another tenant's records".to_owned(),
                );
            }
            checked.rows = Some(rows);
        }
    }
    checked.bytes = bytes;
    checked
}

/// Returns a file's hash and size.
fn hash(file: &mut File, buffer: &mut [u8], meter: &Meter<'_>) -> io::Result<(String, u64)> {
    let (mut hash, mut bytes, mut told) = (Context::new(&SHA256), 0, 0);
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes - told >= TOLD_EVERY {
            meter.add(0, bytes - told);
            told = bytes;
        }
    }
    meter.add(1, bytes - told);
    Ok((hex(hash.finish().as_ref()), bytes))
}

fn tenant_of(footer: &ParquetMetaData) -> Option<&str> {
    let entries = footer.file_metadata().key_value_metadata()?;
    entries.iter().find(|entry| entry.key == TENANT_KEY)?.value.as_deref()
}

//! A lake of Parquet files on a local file system.
//!
//! ```text
//! <root>/<dataset>/region=eu/organization_id=<id>/date=2026-11-23/<commit>-<n>.parquet
//! <root>/_rejects/region=eu/organization_id=<id>/date=2026-11-23/<commit>-<n>.parquet
//! <root>/_tenantry/commits/<id>/<pull>/0000000001.json   what is committed: the only truth about it
//!                  pending/<run>/lock                    held while the run lives
//!                  pending/<run>/<commit>.json           an intent: the record of a commit that is under way
//!                  tmp/<run>/                            files being written, records that wait for one
//!                  commits/<id>/<pull>/0000000001-0000000256.jsonl   the oldest, rolled into a segment
//!                  runs/0000000001.json                  what each run came to, and the commits it covers
//!                  head.json                             how far the run records go, and what is not settled
//!                  tenants.json  last-run.json           the registry of tenants; a copy of the last summary
//! ```
//!
//! # How a commit becomes visible
//!
//! 1. A writer writes below `tmp/<run>`, where no reader looks. Closing a file makes its bytes durable.
//! 2. The commit record is written, as an intent: it names the files before any of them is in its place.
//! 3. Each file is renamed to its place: a reader sees a whole file or none. The folders are made durable.
//! 4. The record is put under the next sequence number of the tenant's pull by giving the intent a second
//!    name, which fails if that is taken. That one step moves the checkpoint: before it, nothing is
//!    committed; after it, everything is. Who comes second is refused, and its files are taken back.
//! 5. The intent is removed.
//!
//! A run that dies between two steps leaves its intent and releases its lock. The next run that
//! prepares finds the lock free, and for each intent that is no commit it deletes the files that the
//! intent names. It looks at nothing else: the cost does not grow with the lake. A run that lives is
//! never touched, so several may write to one lake at once.
//!
//! Between steps 3 and 4, which is a moment, a reader that globs the tree can see files that are not yet
//! committed. They hold true records of their tenant, and are gone again if the commit is refused.
//!
//! # How set-aside records are taken up again
//!
//! A commit that replays names the files of `_rejects` that it uses up and the commit whose reading brought them. It is
//! filed under that reading's day and window, leaves the checkpoint where it is, and its receipts are never taken for
//! those of a reading (`record::Record::of_reading`). What waits is what no record names as used up (`history::backlog`).
//! The files that were used up stay where they are.
//!
//! # How a run becomes evidence
//!
//! At its end a run seals what it came to, and every commit that no run record covers, in a record under the next
//! number (`chain`); then it moves the head, and rolls old commit records into segments (`compact`). `verify` reads
//! all of it again, `gc` removes what none of it names, `evidence` hands it to a report.

mod chain;
mod commit;
mod committed;
mod compact;
mod config;
mod evidence;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests of this crate use the rest of it"))]
mod faulty;
mod gc;
mod history;
mod layout;
mod leaves;
mod memory;
mod merkle;
mod pending;
mod properties;
mod pulls;
mod record;
mod recover;
mod registry;
mod rolling;
mod run;
mod seal;
mod segment;
mod signing;
mod sink;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use config::{ByteSize, CompressionLevel, Config, SigningKeyConfig};
pub use evidence::{CommitEvidence, Evidence, RunEvidence, evidence};
pub use gc::{Garbage, find_garbage, remove_garbage};
pub use history::each_receipt;
pub use layout::is_foreign;
pub use registry::{Changes, KnownTenant, Moved, Registry, Renamed, Seen};
pub use signing::PublicKey;
pub use sink::ParquetSink;
pub use verify::{Finding, FindingKind, SealedRoot, VerifyOptions, VerifyProgress, VerifyReport, verify};

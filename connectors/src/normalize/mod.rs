//! JSON bytes to typed columns, without a tree in between.
//!
//! A [`Decoder`] reads one tenant's pages. Each member of a record goes straight into the column that its
//! [`RecordShape`] names; members that the shape does not know are kept as text in the column `extra`. A record
//! whose values do not fit becomes a reject with its raw text. One that was [`Seen`] just so is undone, and one whose
//! key came before with other content is set aside.
//! Nothing of a page is kept unless the whole page is good.

mod columns;
mod decoder;
mod json;
mod page;
mod record;
mod room;
mod seen;
mod shape;
#[cfg(test)]
mod tests;
mod timestamp;

pub use decoder::{Decoded, Decoder, NotJson, PageError};
pub use page::{ERRORS, Fact, Order, PageFacts, PageShape, tells_of_error};
pub use room::Room;
pub use seen::Seen;
pub use shape::{Child, Field, Kind, Owner, RecordShape};

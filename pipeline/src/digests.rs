//! Digests of many records, by the digests of their keys.
//!
//! Two different keys share one of 128 bits with a chance that no lake is large enough to meet. A few thousand are held
//! in memory, and more where all tables together leave room for them; what is more yet goes to a temporary file, so that
//! memory does not grow with what is read.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, ErrorKind};

/// A table with open addressing, in memory while it is small.
#[derive(Debug, Default)]
pub struct Digests {
    slots: Slots,
    /// The logarithm of the number of slots.
    bits: u32,
    len: u64,
}

/// Two halves of a key, and the digest that stands there; a key of zeros is no entry.
type Entry = [u64; 3];

const EMPTY: Entry = [0; 3];
const ENTRY: usize = size_of::<Entry>();

/// As many as an allocation of 384 KiB holds: every open partition may hold as much.
const BITS_OF_ALL: u32 = 14;
const FIRST_BITS: u32 = 6;

/// What the larger tables may hold in memory, all together: in a file each record costs three system calls.
const ROOM: usize = 8 << 20;

/// What they hold.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Slots that are read from the file at once: where three of five are taken, nearly every search ends within them.
const RUN: usize = 16;

#[derive(Debug)]
enum Slots {
    Memory(Table),
    File(File),
}

impl Default for Slots {
    fn default() -> Self {
        Self::Memory(Table(Vec::new()))
    }
}

/// Slots in memory; what they take of the room for all is given back with them.
#[derive(Debug)]
struct Table(Vec<Entry>);

impl Table {
    /// Returns an empty one, where there is room for it.
    fn new(slots: usize) -> Option<Self> {
        let taken = |held: usize| Some(held + Self::share(slots)).filter(|held| *held <= ROOM);
        let is_taken = HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok();
        is_taken.then(|| Self(vec![EMPTY; slots]))
    }

    /// Returns what so many slots take of the room for all.
    fn share(slots: usize) -> usize {
        if slots > 1 << BITS_OF_ALL { slots * ENTRY } else { 0 }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        HELD.fetch_sub(Self::share(self.0.len()), Ordering::Relaxed);
    }
}

impl Digests {
    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns what stands at a key.
    ///
    /// # Errors
    /// Where the temporary file cannot be used; [`no_room`] says so to the operator.
    pub fn get(&self, key: u128) -> io::Result<Option<u64>> {
        Ok(if self.is_empty() { None } else { self.find(key)?.1 })
    }

    /// Puts a digest at a key, in the place of the one that may stand there.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub fn put(&mut self, key: u128, digest: u64) -> io::Result<()> {
        if (self.len + 1) * 5 > (3 << self.bits) || self.bits == 0 {
            self.grow()?;
        }
        let (slot, stands) = self.find(key)?;
        if stands != Some(digest) {
            self.write(slot, entry(key, digest))?;
        }
        self.len += u64::from(stands.is_none());
        Ok(())
    }

    /// Puts many, the later of two with one key last.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub fn put_all(&mut self, mut all: Vec<(u128, u64)>) -> io::Result<()> {
        // In the order of their places, which lie side by side then.
        all.sort_by_key(|(key, _)| *key);
        all.into_iter().try_for_each(|(key, digest)| self.put(key, digest))
    }

    fn in_memory(bits: u32) -> Option<Self> {
        Some(Self { slots: Slots::Memory(Table::new(1 << bits)?), bits, len: 0 })
    }

    fn in_a_file(bits: u32) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        file.set_len((ENTRY as u64) << bits)?;
        Ok(Self { slots: Slots::File(file), bits, len: 0 })
    }

    /// Returns the slot of a key and what stands in it.
    fn find(&self, key: u128) -> io::Result<(u64, Option<u64>)> {
        let [high, low, _] = entry(key, 0);
        let mut at = high >> (64 - self.bits);
        loop {
            let run = self.run(at)?;
            for (slot, found) in (at..).zip(run.iter()) {
                if found[..2] == [high, low] {
                    return Ok((slot, Some(found[2])));
                }
                if *found == EMPTY {
                    return Ok((slot, None));
                }
            }
            at = (at + run.len() as u64) & ((1 << self.bits) - 1);
        }
    }

    /// Returns the slots from a place on, at least one.
    fn run(&self, at: u64) -> io::Result<Cow<'_, [Entry]>> {
        match &self.slots {
            Slots::Memory(Table(slots)) => Ok(Cow::Borrowed(&slots[at as usize..])),
            Slots::File(file) => {
                let count = RUN.min(((1 << self.bits) - at) as usize);
                let mut bytes = [0; RUN * ENTRY];
                let bytes = &mut bytes[..count * ENTRY];
                file.read_exact_at(bytes, at * ENTRY as u64)?;
                Ok(bytes.as_chunks::<ENTRY>().0.iter().map(decoded).collect())
            }
        }
    }

    fn write(&mut self, slot: u64, entry: Entry) -> io::Result<()> {
        match &mut self.slots {
            Slots::Memory(Table(slots)) => slots[slot as usize] = entry,
            Slots::File(file) => file.write_all_at(&encoded(entry), slot * ENTRY as u64)?,
        }
        Ok(())
    }

    fn grow(&mut self) -> io::Result<()> {
        let next = match self.slots {
            Slots::Memory(..) => Self::in_memory((self.bits + 1).max(FIRST_BITS)),
            Slots::File(_) => None,
        };
        // A file grows in larger steps: every entry is written again.
        let mut larger = next.map_or_else(|| Self::in_a_file(self.bits + 2), Ok)?;
        let mut at = 0;
        while self.len > 0 && at < 1 << self.bits {
            let run = self.run(at)?;
            for [high, low, digest] in run.iter().filter(|entry| **entry != EMPTY) {
                larger.put(u128::from(*high) << 64 | u128::from(*low), *digest)?;
            }
            at += run.len() as u64;
        }
        *self = larger;
        Ok(())
    }
}

fn entry(key: u128, digest: u64) -> Entry {
    // The one key that would be no entry takes its neighbour's place.
    let key = key.max(1);
    [(key >> 64) as u64, key as u64, digest]
}

fn encoded(entry: Entry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(entry) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn decoded(bytes: &[u8; ENTRY]) -> Entry {
    let mut entry = EMPTY;
    for (word, bytes) in entry.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    entry
}

/// Returns the error for a temporary file that cannot be used.
#[must_use]
pub fn no_room(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Sink, "remember records to compare with").with_source(error).with_hint(
        "the folder for temporary files needs room for some 200 bytes a record; `TMPDIR` names another",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a number's key: one whose bits are as even as those of a digest.
    fn key(number: u64) -> u128 {
        twox_hash::XxHash3_128::oneshot(&number.to_le_bytes())
    }

    #[test]
    fn bounded_many_digests_are_known_to_the_last_one_and_held_in_a_file() {
        const MANY: u64 = 45_000;
        let mut alone = Digests::default();
        alone.put_all((0..MANY).map(|number| (key(number), number)).collect()).expect("memory");
        assert!(matches!(alone.slots, Slots::Memory(..)), "there is room for them");
        drop(alone);
        let others = Table::new(ROOM / ENTRY).expect("what was held is given back");
        let mut digests = Digests::default();
        for number in 0..MANY {
            assert_eq!(digests.get(key(number)).expect("a temporary file"), None, "{number}");
            digests.put(key(number), number).expect("a temporary file");
            // What was put long ago is known on every step from memory to ever larger files.
            let earlier = number / 3;
            assert_eq!(digests.get(key(earlier)).expect("a temporary file"), Some(earlier), "after {number}");
        }
        drop(others);
        assert!(matches!(digests.slots, Slots::File(_)) && digests.bits > BITS_OF_ALL + 2);
        assert_eq!(digests.len, MANY);
        digests
            .put_all((0..MANY).map(|number| (key(number), number + 1)).collect())
            .expect("a temporary file");
        let stands = |number| digests.get(key(number)).expect("a temporary file");
        assert!((0..MANY).all(|number| stands(number) == Some(number + 1)));
        assert_eq!(digests.len, MANY);
    }

    #[test]
    fn places_wrap_and_crowd_without_loss() {
        let mut digests = Digests::default();
        // All of them want the last slot.
        let keys: Vec<u128> = (0..30).map(|number| u128::MAX - number).chain([0]).collect();
        for key in &keys {
            assert_eq!(digests.get(*key).expect("memory"), None);
            digests.put(*key, 5).expect("memory");
        }
        assert!(keys.iter().all(|key| digests.get(*key).expect("memory") == Some(5)));
    }

    #[test]
    fn of_two_digests_at_one_key_the_later_stands() {
        let mut digests = Digests::default();
        let all = (0..100).flat_map(|round| (0..100).map(move |key| (key, round))).collect();
        digests.put_all(all).expect("memory");
        assert!((0..100).all(|key| digests.get(key).expect("memory") == Some(99)));
    }
}

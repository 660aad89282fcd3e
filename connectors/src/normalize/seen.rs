//! The records that were read, so that none is kept twice.
//!
//! A record is known by the 128-bit digest of its key: two different keys share one with a chance that no lake is
//! large enough to meet. Beside it stands a digest of the record's text, which tells a repetition from a change. A
//! few thousand records are held in memory; a longer listing's go to a temporary file, so that memory does not grow
//! with it.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::os::unix::fs::FileExt;

use twox_hash::XxHash3_128;

/// The records of one listing.
#[derive(Debug, Default)]
pub struct Seen {
    table: Table,
    /// The records of the page that is being read.
    page: Page,
}

type Page = HashMap<u128, u64, BuildHasherDefault<Digest>>;

/// Whether a record was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It was not.
    New,
    /// It was, just so.
    Same,
    /// One with its key and another text was.
    Changed,
}

impl Seen {
    /// Adds a record, unless one with its key was read before.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet(&mut self, key: &[u8], text: &[u8]) -> io::Result<Met> {
        self.add(XxHash3_128::oneshot(key), XxHash3_128::oneshot(text) as u64)
    }

    /// Adds what has no key but its whole text; returns whether it is new.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet_text(&mut self, text: &[u8]) -> io::Result<bool> {
        const NOT_A_KEY: u64 = 1;
        Ok(self.add(XxHash3_128::oneshot_with_seed(NOT_A_KEY, text), 0)? == Met::New)
    }

    fn add(&mut self, key: u128, text: u64) -> io::Result<Met> {
        let known = match self.page.get(&key) {
            Some(known) => Some(*known),
            None => self.table.get(key)?,
        };
        Ok(match known {
            None => {
                self.page.insert(key, text);
                Met::New
            }
            Some(known) if known == text => Met::Same,
            Some(_) => Met::Changed,
        })
    }

    /// Makes what was added part of the set for good.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        // In the order of their places, which lie side by side then.
        let mut added: Vec<_> = self.page.drain().collect();
        added.sort_unstable();
        added.into_iter().try_for_each(|(key, text)| self.table.insert(key, text))
    }

    /// Takes out what was added since it was last kept.
    pub(super) fn undo(&mut self) {
        self.page.clear();
    }
}

/// The parts of a page's record, such as the findings of an asset; each only once.
#[derive(Debug, Default)]
pub(super) struct Parts(Page);

impl Parts {
    /// Adds a part; returns whether it is new.
    pub(super) fn insert(&mut self, list: &str, text: &[u8]) -> bool {
        let seed = XxHash3_128::oneshot(list.as_bytes()) as u64;
        self.0.insert(XxHash3_128::oneshot_with_seed(seed, text), 0).is_none()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        // The room for one giant's parts is not held for the small ones after it.
        const ROOM: usize = 4096;
        self.0.clear();
        self.0.shrink_to(ROOM);
    }
}

/// A table with open addressing, in memory while it is small.
#[derive(Debug)]
struct Table {
    slots: Slots,
    /// The logarithm of the number of slots.
    bits: u32,
    len: u64,
}

/// Two halves of a key, and the digest of a text; a key of zeros is no entry.
type Entry = [u64; 3];

const EMPTY: Entry = [0; 3];
const ENTRY: usize = size_of::<Entry>();

/// As many as an allocation of 384 KiB holds: every open listing may hold as much.
const MOST_BITS_IN_MEMORY: u32 = 14;
const FIRST_BITS: u32 = 6;

/// Slots that are read from the file at once: where three of five are taken, nearly every search ends within them.
const RUN: usize = 16;

#[derive(Debug)]
enum Slots {
    Memory(Vec<Entry>),
    File(File),
}

impl Default for Table {
    fn default() -> Self {
        Self { slots: Slots::Memory(Vec::new()), bits: 0, len: 0 }
    }
}

impl Table {
    fn with_bits(bits: u32) -> io::Result<Self> {
        let slots = if bits <= MOST_BITS_IN_MEMORY {
            Slots::Memory(vec![EMPTY; 1 << bits])
        } else {
            let file = tempfile::tempfile()?;
            file.set_len((ENTRY as u64) << bits)?;
            Slots::File(file)
        };
        Ok(Self { slots, bits, len: 0 })
    }

    fn get(&self, key: u128) -> io::Result<Option<u64>> {
        Ok(if self.len == 0 { None } else { self.find(key)?.ok() })
    }

    /// Adds a key that is not there.
    fn insert(&mut self, key: u128, text: u64) -> io::Result<()> {
        if (self.len + 1) * 5 > (3 << self.bits) || self.bits == 0 {
            self.grow()?;
        }
        if let Err(slot) = self.find(key)? {
            self.write(slot, entry(key, text))?;
            self.len += 1;
        }
        Ok(())
    }

    /// Returns the text's digest of a key, or the slot where the key belongs.
    fn find(&self, key: u128) -> io::Result<Result<u64, u64>> {
        let [high, low, _] = entry(key, 0);
        let mut at = high >> (64 - self.bits);
        let mut room = [EMPTY; RUN];
        loop {
            let run = self.run(at, &mut room)?;
            for (slot, found) in (at..).zip(run) {
                if found[..2] == [high, low] {
                    return Ok(Ok(found[2]));
                }
                if *found == EMPTY {
                    return Ok(Err(slot));
                }
            }
            at = (at + run.len() as u64) & ((1 << self.bits) - 1);
        }
    }

    /// Returns the slots from a place on, at least one.
    fn run<'a>(&'a self, at: u64, room: &'a mut [Entry; RUN]) -> io::Result<&'a [Entry]> {
        match &self.slots {
            Slots::Memory(slots) => Ok(&slots[at as usize..]),
            Slots::File(file) => {
                let count = RUN.min(((1 << self.bits) - at) as usize);
                let mut bytes = [0; RUN * ENTRY];
                let bytes = &mut bytes[..count * ENTRY];
                file.read_exact_at(bytes, at * ENTRY as u64)?;
                for (entry, bytes) in room.iter_mut().zip(bytes.as_chunks::<ENTRY>().0) {
                    *entry = decoded(bytes);
                }
                Ok(&room[..count])
            }
        }
    }

    fn write(&mut self, slot: u64, entry: Entry) -> io::Result<()> {
        match &mut self.slots {
            Slots::Memory(slots) => slots[slot as usize] = entry,
            Slots::File(file) => file.write_all_at(&encoded(entry), slot * ENTRY as u64)?,
        }
        Ok(())
    }

    fn grow(&mut self) -> io::Result<()> {
        // A file grows in larger steps: every entry is written again.
        let step = if self.bits < MOST_BITS_IN_MEMORY { 1 } else { 2 };
        let mut larger = Self::with_bits((self.bits + step).max(FIRST_BITS))?;
        let mut at = 0;
        let mut room = [EMPTY; RUN];
        while self.len > 0 && at < 1 << self.bits {
            let run = self.run(at, &mut room)?;
            for [high, low, text] in run.iter().filter(|entry| **entry != EMPTY) {
                larger.insert(u128::from(*high) << 64 | u128::from(*low), *text)?;
            }
            at += run.len() as u64;
        }
        *self = larger;
        Ok(())
    }
}

fn entry(key: u128, text: u64) -> Entry {
    // The one key that would be no entry takes its neighbour's place.
    let key = key.max(1);
    [(key >> 64) as u64, key as u64, text]
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

/// Takes a digest's own bits: they are as even as any hash of them.
#[derive(Debug, Default)]
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a digest is one number")
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(seen: &mut Seen, number: u64, text: u64) -> Met {
        seen.meet(&number.to_le_bytes(), &text.to_le_bytes()).expect("a temporary file")
    }

    #[test]
    fn bounded_a_long_listing_is_known_to_its_last_record_and_held_in_a_file() {
        const PAGE: u64 = 500;
        let mut seen = Seen::default();
        for number in 0..60 * PAGE {
            assert_eq!(meet(&mut seen, number, 7), Met::New, "{number}");
            if number % PAGE == PAGE - 1 {
                seen.keep().expect("a temporary file");
            }
            // What was met long ago is known on every step from memory to ever larger files.
            let earlier = number / 3;
            assert_eq!(meet(&mut seen, earlier, 7), Met::Same, "{earlier} after {number}");
            assert_eq!(meet(&mut seen, earlier, 8), Met::Changed, "{earlier} after {number}");
        }
        assert!(matches!(seen.table.slots, Slots::File(_)) && seen.table.bits > MOST_BITS_IN_MEMORY);
        assert_eq!(seen.table.len, 60 * PAGE);
        assert!((0..60 * PAGE).all(|number| meet(&mut seen, number, 7) == Met::Same));
    }

    #[test]
    fn what_was_not_kept_is_new_again() {
        let mut seen = Seen::default();
        assert_eq!(meet(&mut seen, 1, 7), Met::New);
        seen.keep().expect("memory");
        assert_eq!((meet(&mut seen, 2, 7), meet(&mut seen, 2, 7)), (Met::New, Met::Same));
        seen.undo();
        assert_eq!((meet(&mut seen, 1, 7), meet(&mut seen, 2, 8)), (Met::Same, Met::New));
    }

    #[test]
    fn places_wrap_and_crowd_without_loss() {
        let mut table = Table::default();
        // All of them want the last slot.
        let keys: Vec<u128> = (0..30).map(|number| u128::MAX - number).chain([0]).collect();
        for key in &keys {
            assert_eq!(table.get(*key).expect("memory"), None);
            table.insert(*key, 5).expect("memory");
        }
        assert!(keys.iter().all(|key| table.get(*key).expect("memory") == Some(5)));
    }

    #[test]
    fn a_text_is_no_key() {
        let mut seen = Seen::default();
        assert!(seen.meet_text(b"a").expect("memory"));
        assert_eq!(seen.meet(b"a", b"").expect("memory"), Met::New);
        assert!(!seen.meet_text(b"a").expect("memory"));
    }
}

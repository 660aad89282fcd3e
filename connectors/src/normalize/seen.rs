//! The records that were read, so that none is kept twice.
//!
//! A record is known by the digest of its key. Beside it stands a digest of its text, which tells a repetition from a
//! change.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;

use pipeline::digests::Digests;
use twox_hash::XxHash3_128;

/// The records of one listing.
#[derive(Debug, Default)]
pub struct Seen {
    listing: Digests,
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
    /// Adds a record, unless one with its key was read before; `text` is the digest of its text.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet(&mut self, key: &[u8], text: u128) -> io::Result<Met> {
        self.add(XxHash3_128::oneshot(key), text as u64)
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
            None => self.listing.get(key)?,
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
        self.listing.put_all(self.page.drain().collect())
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
        seen.meet(&number.to_le_bytes(), text.into()).expect("a temporary file")
    }

    #[test]
    fn what_was_met_long_ago_is_known_and_a_change_of_it_is_told_apart() {
        const PAGE: u64 = 500;
        let mut seen = Seen::default();
        for number in 0..30 * PAGE {
            assert_eq!(meet(&mut seen, number, 7), Met::New, "{number}");
            if number % PAGE == PAGE - 1 {
                seen.keep().expect("a temporary file");
            }
            let earlier = number / 3;
            assert_eq!(meet(&mut seen, earlier, 7), Met::Same, "{earlier} after {number}");
            assert_eq!(meet(&mut seen, earlier, 8), Met::Changed, "{earlier} after {number}");
        }
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
    fn a_text_is_no_key() {
        let mut seen = Seen::default();
        assert!(seen.meet_text(b"a").expect("memory"));
        assert_eq!(seen.meet(b"a", 0).expect("memory"), Met::New);
        assert!(!seen.meet_text(b"a").expect("memory"));
    }
}

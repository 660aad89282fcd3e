//! The keys of the records that were kept, so that none is kept twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use twox_hash::XxHash3_128;

/// A set of 128-bit digests: two different keys share one with a chance that no lake is large enough to meet.
#[derive(Debug, Default)]
pub struct Seen {
    keys: HashSet<u128, BuildHasherDefault<Digest>>,
    added: Vec<u128>,
}

impl Seen {
    /// Adds a key; returns whether it is new.
    pub(super) fn insert(&mut self, key: &[u8]) -> bool {
        let digest = XxHash3_128::oneshot(key);
        let new = self.keys.insert(digest);
        if new {
            self.added.push(digest);
        }
        new
    }

    /// Makes what was added part of the set for good.
    pub(super) fn keep(&mut self) {
        self.added.clear();
    }

    /// Takes out what was added since it was last kept.
    pub(super) fn undo(&mut self) {
        for digest in self.added.drain(..) {
            self.keys.remove(&digest);
        }
    }
}

/// Takes a digest's own bits: they are as even as any hash of them.
#[derive(Debug, Default)]
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

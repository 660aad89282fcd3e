//! Numbers that look random and are a pure function of what they are drawn for.

/// Scatters a number over all 64 bits; distinct numbers stay distinct.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hashes a text together with a seed.
pub(crate) fn hash_text(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)))
}

/// Maps a hash evenly onto `0..n`.
pub(crate) const fn below(hash: u64, n: u64) -> u64 {
    ((hash as u128 * n as u128) >> 64) as u64
}

/// A sequence of draws that begins at one hash.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Returns the sequence that belongs to a hash and a purpose.
    pub(crate) const fn new(hash: u64, purpose: u64) -> Self {
        Self(mix(hash ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    /// Draws 64 bits.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number below `n`.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        below(self.draw(), n)
    }

    /// Throws for a chance of `of` in a hundred.
    pub(crate) const fn percent(&mut self, of: u64) -> bool {
        self.below(100) < of
    }

    /// Throws for a chance of a share between 0 and 1.
    pub(crate) fn share(&mut self, of: f64) -> bool {
        (self.below(1_000_000) as f64) < of * 1e6
    }

    /// Draws one of several.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len() as u64) as usize]
    }
}

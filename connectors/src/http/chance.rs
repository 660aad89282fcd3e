//! Tells refusals that a limit explains from those that come by chance, at whatever rate one asks.

/// The part of the requests that may be refused by chance before it is known that more are: a bucket that is asked for a
/// little more than it grants refuses few, and more than these.
const PART: f64 = 0.01;
/// Over about so many requests the refused part is known.
const OVER: f64 = 500.0;
/// So many refusals at less than half of what was accepted before, and as large a part of the requests as ever, show
/// that the rate is not why.
const PROOF: u64 = 3;

/// What is known of refusals by chance.
#[derive(Debug)]
pub(super) struct Chance {
    /// The part of the last requests that was refused.
    refused: f64,
    /// The part that is put down to chance, and whether more than a few were seen to be.
    taken: f64,
    is_proven: bool,
    /// The most that was accepted a second from one single refusal to the next.
    best: f64,
    /// The requests and the refusals since far less than that is accepted.
    since: (u64, u64),
}

impl Chance {
    pub(super) fn new() -> Self {
        Self { refused: 0.0, taken: PART, is_proven: false, best: 0.0, since: (0, 0) }
    }

    /// Hears whether a request was refused.
    pub(super) fn heard(&mut self, is_refused: bool) {
        self.refused += (f64::from(u8::from(is_refused)) - self.refused) / OVER;
        self.since.0 += 1;
        self.since.1 += u64::from(is_refused);
    }

    /// Returns whether scattered refusals are put down to chance; `is_seen` says whether so many were accepted after them
    /// that nothing else is likely.
    pub(super) fn explains(&self, is_seen: bool) -> bool {
        self.refused < self.taken && (self.is_proven || is_seen)
    }

    /// Hears of a refusal that a limit may explain, while so many requests a second are accepted; returns what was
    /// accepted before where it proves that none does: at less than half of it as many are refused.
    pub(super) fn disproves_limit(&mut self, rate: f64) -> Option<f64> {
        if rate * 2.0 > self.best {
            (self.best, self.since) = (self.best.max(rate), (0, 0));
            return None;
        }
        let (sent, refused) = self.since;
        let part = refused as f64 / sent.max(1) as f64;
        if refused < PROOF || part < PART || part * 2.0 < self.refused {
            return None;
        }
        (self.taken, self.is_proven) = ((part.max(self.refused) * 2.0).max(self.taken), true);
        let best = std::mem::take(&mut self.best);
        Some(best)
    }

    /// Hears of refusals that only a limit explains.
    pub(super) fn limited(&mut self) {
        (self.best, self.since) = (0.0, (0, 0));
    }
}

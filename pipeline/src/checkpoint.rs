//! A checkpoint: how far one tenant's pull is durable.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The durable position of one tenant's pull; moved only by a commit that holds the records up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// How many commits led here; zero where there was none yet.
    pub sequence: u64,
    /// Everything before this instant is durable: the end of the last window, or the moment of the last snapshot.
    pub through: Option<Timestamp>,
}

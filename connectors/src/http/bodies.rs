//! What answers may hold in memory at once.
//!
//! A request that waits for the platform holds nothing, so that as many may be on their way as the budget and the cores
//! are good for. Its answer's body is read once there is room for it, and takes that until its records are written.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What bodies may take for each core, in KiB: some are read while others are worked on.
const ROOM_KIB: usize = 8 << 10;

/// How long an answer waits for room. The platform waits as well, and gives up in the end: one that is late is worse
/// than one that is too many.
const PATIENCE: Duration = Duration::from_secs(20);

/// The room that the bodies of all answers share.
#[derive(Debug)]
pub(super) struct Bodies {
    free: Arc<Semaphore>,
    kib: u32,
}

impl Bodies {
    /// Creates the room of this machine.
    pub(super) fn new() -> Self {
        Self::of(ROOM_KIB * available_parallelism().map_or(2, usize::from))
    }

    fn of(kib: usize) -> Self {
        let kib = kib.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(kib)), kib: u32::try_from(kib).unwrap_or(u32::MAX) }
    }

    /// Waits until there is room for a body; `None` where that takes too long.
    pub(super) async fn room_for(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let room = self.free.clone().acquire_many_owned(self.kib_of(bytes));
        timeout(PATIENCE, room).await.ok()?.ok()
    }

    /// Settles what was taken for a body, now that it is known how long it is.
    pub(super) fn settle(&self, bytes: u64, mut room: OwnedSemaphorePermit) -> OwnedSemaphorePermit {
        let (taken, takes) = (room.num_permits(), self.kib_of(bytes));
        // Waiting here for what others hold would make all of them wait for each other.
        let more = takes.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
        if let Ok(more) = self.free.clone().try_acquire_many_owned(more) {
            room.merge(more);
        }
        drop(room.split(taken.saturating_sub(takes as usize)));
        room
    }

    fn kib_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.kib)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn bounded_a_body_is_read_when_there_is_room_for_it_or_it_waited_too_long() {
        let bodies = Bodies::of(8 << 10);
        let large = bodies.room_for(6 * MIB).await;
        let small = bodies.room_for(MIB).await;
        assert!(large.is_some() && small.is_some());
        assert!(bodies.room_for(2 * MIB).now_or_never().is_none(), "one MiB is left");
        drop(small);
        assert!(bodies.room_for(2 * MIB).now_or_never().flatten().is_some());
        assert!(bodies.room_for(3 * MIB).await.is_none(), "it came without room in the end");
        drop(large);
        let whole = bodies.room_for(100 * MIB).await.expect("the largest one fits alone");
        assert_eq!(whole.num_permits(), 8 << 10);
    }

    #[tokio::test]
    async fn bounded_what_a_body_takes_is_settled_when_its_length_is_known() {
        let bodies = Bodies::of(8 << 10);
        let check = |room: &OwnedSemaphorePermit, kib: usize| {
            assert_eq!((room.num_permits(), bodies.free.available_permits()), (kib, (8 << 10) - kib));
        };
        let room = bodies.room_for(0).await.expect("there is room");
        check(&room, 1);
        let room = bodies.settle(3 * MIB, room);
        check(&room, 3 << 10);
        let room = bodies.settle(MIB, room);
        check(&room, 1 << 10);
        drop(room);
        // What is longer than what is left takes what it has.
        let others = bodies.room_for(7 * MIB).await;
        let room = bodies.settle(3 * MIB, bodies.room_for(0).await.expect("there is room"));
        assert_eq!(room.num_permits(), 1);
        drop((room, others));
    }
}

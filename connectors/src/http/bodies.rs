//! What answers may hold in memory at once.
//!
//! A request that waits for the platform holds nothing, so that as many may be on their way as the budget and the cores
//! are good for. Its answer's body is read once there is room for all of it, and takes that until its records are
//! written. Who comes slowly takes no more than has come, so that a slow region leaves the others their room.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// What bodies may take for each core, in KiB: some are read while others are worked on.
const ROOM_KIB: usize = 8 << 10;

/// How long an answer waits for room, at most. The platform waits as well, and gives up in the end: one that is late is
/// worse than one that is too many.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// A body that outgrows its room and all that is left is given up at this length, where a smaller page can be asked for.
const LARGE: usize = 4 << 20;

/// The room that the bodies of all answers share.
#[derive(Debug)]
pub(super) struct Bodies {
    free: Arc<Semaphore>,
    kib: u32,
    patience: Duration,
}

/// What one body takes of it.
#[derive(Debug)]
pub(super) struct Room<'a> {
    bodies: &'a Bodies,
    taken: Option<OwnedSemaphorePermit>,
    /// Until when it keeps what has not come yet.
    pub(super) until: Instant,
    can_shrink: bool,
}

impl Bodies {
    /// Creates the room of this machine, for attempts that may take so long.
    pub(super) fn new(attempt: Duration) -> Self {
        let kib = ROOM_KIB * available_parallelism().map_or(2, usize::from);
        Self::of(kib, PATIENCE.min(attempt / 4))
    }

    fn of(kib: usize, patience: Duration) -> Self {
        let kib = kib.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(kib)), kib: u32::try_from(kib).unwrap_or(u32::MAX), patience }
    }

    /// Waits until there is room for a body, or no longer.
    pub(super) async fn room_for(&self, bytes: u64, can_shrink: bool) -> Room<'_> {
        // Who asked for all of it would wait for the slowest of the others.
        let kib = self.kib_of(bytes).min((self.kib / 4 * 3).max(1));
        let taken = timeout(self.patience, self.free.clone().acquire_many_owned(kib)).await;
        let taken = taken.ok().and_then(Result::ok);
        Room { bodies: self, taken, until: Instant::now() + SLOW, can_shrink }
    }

    fn kib_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.kib)
    }
}

impl Room<'_> {
    /// Takes more where a body has outgrown it by now; returns whether it may be read on.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let (taken, takes) = self.taken_and_takes(bytes);
        if takes <= taken {
            return true;
        }
        // Waiting here for what others hold would make all of them wait for each other.
        match self.bodies.free.clone().try_acquire_many_owned((takes - taken) as u32) {
            Ok(more) => {
                match &mut self.taken {
                    Some(taken) => taken.merge(more),
                    none => *none = Some(more),
                }
                true
            }
            Err(_) => !self.can_shrink || bytes <= LARGE,
        }
    }

    /// Gives back what a body of so many bytes does not take.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let (taken, takes) = self.taken_and_takes(bytes);
        drop(self.taken.as_mut().and_then(|room| room.split(taken.saturating_sub(takes))));
    }

    /// Returns what is held from now on.
    pub(super) fn held(self) -> Option<OwnedSemaphorePermit> {
        self.taken
    }

    fn taken_and_takes(&self, bytes: usize) -> (usize, usize) {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        (taken, self.bodies.kib_of(bytes as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: usize = 1 << 20;

    fn bodies() -> Bodies {
        Bodies::of(8 << 10, PATIENCE)
    }

    async fn room(bodies: &Bodies, mib: usize) -> Room<'_> {
        bodies.room_for((mib * MIB) as u64, true).await
    }

    fn check(room: &Room<'_>, mib: usize, left: usize) {
        let taken = room.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        assert_eq!((taken >> 10, room.bodies.free.available_permits() >> 10), (mib, left));
    }

    #[tokio::test(start_paused = true)]
    async fn bounded_a_body_is_read_when_there_is_room_for_it_or_it_waited_too_long() {
        let bodies = bodies();
        let large = room(&bodies, 6).await;
        let small = room(&bodies, 1).await;
        check(&large, 6, 1);
        assert!(room(&bodies, 2).now_or_never().is_none(), "one MiB is left");
        drop(small);
        check(&room(&bodies, 2).now_or_never().expect("there is room"), 2, 0);
        check(&room(&bodies, 3).await, 0, 2);
        drop(large);
        check(&room(&bodies, 100).await, 6, 2);
    }

    #[tokio::test]
    async fn bounded_what_a_body_takes_follows_its_length() {
        let bodies = bodies();
        let mut one = room(&bodies, 2).await;
        assert!(one.grow(MIB) && one.grow(3 * MIB));
        check(&one, 3, 5);
        one.shrink(MIB);
        check(&one, 1, 7);
        let others = room(&bodies, 6).await;
        assert!(one.grow(2 * MIB), "there is room");
        assert!(one.grow(LARGE), "it is no larger than pages are");
        assert!(!one.grow(LARGE + MIB), "a smaller page can be asked for");
        one.can_shrink = false;
        assert!(one.grow(LARGE + MIB), "there is no smaller page");
        check(&one, 2, 0);
        drop(others);
        assert!(one.grow(LARGE + MIB));
        check(&one, 5, 3);
        drop(one.held());
        assert_eq!(bodies.free.available_permits(), 8 << 10);
    }
}

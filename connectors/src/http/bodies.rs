//! What answers may hold in memory at once.
//!
//! A request that waits for the platform holds nothing, so that as many may be on their way as the budget and the cores
//! are good for. Its answer's body is read once there is room for all of it, and takes that until its records are
//! written. Who comes slowly takes no more than has come, so that a slow region leaves the others their room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use pipeline::Region;
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

/// Memory, in KiB, that all regions share.
#[derive(Debug)]
pub(super) struct Shared {
    all: Arc<Semaphore>,
    /// What one region may take of it, so that a slow one leaves some to the others.
    of_regions: Mutex<HashMap<Region, Arc<Semaphore>>>,
    share: usize,
}

/// The room that the bodies of all answers share.
#[derive(Debug)]
pub(super) struct Bodies {
    shared: Shared,
    patience: Duration,
}

/// What one body takes of it.
#[derive(Debug)]
pub(super) struct Room {
    /// Of its region's share, and of all.
    free: [Arc<Semaphore>; 2],
    taken: Option<Taken>,
    /// Until when it keeps what has not come yet.
    pub(super) until: Instant,
    can_shrink: bool,
}

/// Room in memory, given back when it is dropped.
#[derive(Debug)]
pub struct Taken([OwnedSemaphorePermit; 2]);

impl Bodies {
    /// Creates the room of this machine, for attempts that may take so long.
    pub(super) fn new(attempt: Duration) -> Self {
        let kib = ROOM_KIB * available_parallelism().map_or(2, usize::from);
        Self::of(kib, PATIENCE.min(attempt / 4))
    }

    fn of(kib: usize, patience: Duration) -> Self {
        Self { shared: Shared::new(kib), patience }
    }

    /// Waits until there is room for a body of a region, or no longer.
    pub(super) async fn room_for(&self, region: &Region, bytes: u64, can_shrink: bool) -> Room {
        let free = self.shared.free(region);
        let kib = self.shared.kib_of(bytes);
        let taken = async {
            let [share, all] = free.clone();
            let share = share.acquire_many_owned(kib).await.ok()?;
            Some(Taken([share, all.acquire_many_owned(kib).await.ok()?]))
        };
        let taken = timeout(self.patience, taken).await.ok().flatten();
        Room { free, taken, until: Instant::now() + SLOW, can_shrink }
    }
}

impl Shared {
    pub(super) fn new(kib: usize) -> Self {
        let kib = kib.min(Semaphore::MAX_PERMITS);
        let (all, of_regions) = (Arc::new(Semaphore::new(kib)), Mutex::default());
        Self { all, of_regions, share: (kib / 4 * 3).max(1) }
    }

    /// Takes room for so many bytes where there is any.
    pub(super) fn try_take(&self, region: &Region, bytes: u64) -> Option<Taken> {
        let kib = self.kib_of(bytes);
        let [share, all] = self.free(region).map(|free| free.try_acquire_many_owned(kib));
        Some(Taken([share.ok()?, all.ok()?]))
    }

    /// Returns what a region's share has left, and what all have.
    fn free(&self, region: &Region) -> [Arc<Semaphore>; 2] {
        let mut regions = self.of_regions.lock().expect("no holder panics");
        let share = regions.entry(region.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        [share.clone(), self.all.clone()]
    }

    /// Returns what so many bytes take, and no more than a region's share: who asked for more would wait for ever.
    fn kib_of(&self, bytes: u64) -> u32 {
        kib_of(bytes).min(u32::try_from(self.share).unwrap_or(u32::MAX))
    }
}

fn kib_of(bytes: u64) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1)
}

impl Taken {
    fn kib(&self) -> usize {
        self.0[0].num_permits()
    }
}

impl Room {
    /// Takes more where a body has outgrown it by now; returns whether it may be read on.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let (taken, takes) = self.taken_and_takes(bytes);
        if takes <= taken {
            return true;
        }
        let more = (takes - taken) as u32;
        // Waiting here for what others hold would make all of them wait for each other.
        let [share, all] = self.free.clone().map(|free| free.try_acquire_many_owned(more));
        match (share, all, &mut self.taken) {
            (Ok(share), Ok(all), Some(Taken(taken))) => {
                taken[0].merge(share);
                taken[1].merge(all);
                true
            }
            (Ok(share), Ok(all), none) => {
                *none = Some(Taken([share, all]));
                true
            }
            _ => !self.can_shrink || bytes <= LARGE,
        }
    }

    /// Gives back what a body of so many bytes does not take.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let (taken, takes) = self.taken_and_takes(bytes);
        if let Some(Taken(room)) = &mut self.taken {
            room.iter_mut().for_each(|room| drop(room.split(taken.saturating_sub(takes))));
        }
    }

    /// Returns what is held from now on.
    pub(super) fn held(self) -> Option<Taken> {
        self.taken
    }

    fn taken_and_takes(&self, bytes: usize) -> (usize, usize) {
        let taken = self.taken.as_ref().map_or(0, Taken::kib);
        (taken, kib_of(bytes as u64) as usize)
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

    async fn room(bodies: &Bodies, region: &str, mib: usize) -> Room {
        let region = region.parse().expect("a region");
        bodies.room_for(&region, (mib * MIB) as u64, true).await
    }

    fn check(bodies: &Bodies, room: &Room, mib: usize, left: usize) {
        let taken = room.taken.as_ref().map_or(0, Taken::kib);
        assert_eq!((taken >> 10, bodies.shared.all.available_permits() >> 10), (mib, left));
    }

    #[tokio::test(start_paused = true)]
    async fn bounded_a_body_is_read_when_there_is_room_for_it_or_it_waited_too_long() {
        let bodies = bodies();
        let large = room(&bodies, "eu", 5).await;
        let small = room(&bodies, "us", 2).await;
        check(&bodies, &large, 5, 1);
        assert!(room(&bodies, "us", 2).now_or_never().is_none(), "one MiB is left");
        drop(small);
        check(&bodies, &room(&bodies, "us", 2).now_or_never().expect("there is room"), 2, 1);
        check(&bodies, &room(&bodies, "us", 4).await, 0, 3);
        drop(large);
        check(&bodies, &room(&bodies, "eu", 100).await, 6, 2);
    }

    #[tokio::test]
    async fn fairness_one_region_leaves_room_to_the_others() {
        let bodies = bodies();
        let _slow = [room(&bodies, "us", 3).await, room(&bodies, "us", 3).await];
        assert!(room(&bodies, "us", 1).now_or_never().is_none(), "it has its share");
        check(&bodies, &room(&bodies, "eu", 2).now_or_never().expect("there is room"), 2, 0);
    }

    #[tokio::test]
    async fn bounded_what_a_body_takes_follows_its_length() {
        let bodies = bodies();
        let mut one = room(&bodies, "eu", 2).await;
        assert!(one.grow(MIB) && one.grow(3 * MIB));
        check(&bodies, &one, 3, 5);
        one.shrink(MIB);
        check(&bodies, &one, 1, 7);
        let others = room(&bodies, "us", 6).await;
        assert!(one.grow(2 * MIB), "there is room");
        assert!(one.grow(LARGE), "it is no larger than pages are");
        assert!(!one.grow(LARGE + MIB), "a smaller page can be asked for");
        one.can_shrink = false;
        assert!(one.grow(LARGE + MIB), "there is no smaller page");
        check(&bodies, &one, 2, 0);
        drop(others);
        assert!(one.grow(LARGE + MIB));
        check(&bodies, &one, 5, 3);
        assert!(one.grow(7 * MIB), "there is no smaller page");
        one.can_shrink = true;
        assert!(!one.grow(7 * MIB), "it is more than a region's share");
        drop(one.held());
        let free = bodies.shared.free(&"eu".parse().expect("a region"));
        assert_eq!(free.map(|free| free.available_permits()), [6 << 10, 8 << 10]);
    }

    #[test]
    fn fairness_what_is_tried_leaves_room_to_other_regions_as_well() {
        let shared = Shared::new(8);
        let [eu, us] = ["eu", "us"].map(|region| region.parse().expect("a region"));
        let slow: Vec<_> = std::iter::from_fn(|| shared.try_take(&eu, 2 << 10)).collect();
        assert_eq!(slow.len(), 3);
        let fast = shared.try_take(&us, 2 << 10).expect("there is room");
        assert!(shared.try_take(&us, 1 << 10).is_none());
        drop((slow, fast));
        assert!(shared.try_take(&us, 1 << 30).is_some(), "no more than the share");
    }
}

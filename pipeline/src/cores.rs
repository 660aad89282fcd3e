//! Who may keep a core of the machine busy, and what that says of how much to have open at once.
//!
//! A partition that is open holds what it read and has not written yet. While cores lie idle between two answers of the
//! platform, more open partitions make a run faster. Once answers wait for a core, more of them only hold more memory,
//! and make each of them last longer. So the number that is worth having rises with each piece of work that found a core
//! free, and falls with each that had to wait for one.

use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{Error, ErrorKind, Result};

/// More partitions than these are never worth having open: so the number falls soon where it has to.
const MOST: usize = 1024;

/// Where it is large, it falls by this part of it, and else by one, as it rises.
const FALL: usize = 64;

/// The cores of a machine.
#[derive(Debug)]
pub struct Cores {
    free: Arc<Semaphore>,
    /// The fewest partitions that are worth having open.
    fewest: usize,
    worth_opening: watch::Sender<usize>,
}

impl Cores {
    /// Creates the cores of a machine that has so many, all of them free.
    #[must_use]
    pub fn new(count: usize) -> Self {
        // One piece of work more than there are cores: some touch the disk in between.
        let free = Arc::new(Semaphore::new(count + 1));
        // On each core one is worked on, and another one waits for the platform or the disk.
        let fewest = 2 * count;
        // The first answers say soon whether more are worth it; too many would stay open until they are read.
        Self { free, fewest, worth_opening: watch::Sender::new(fewest) }
    }

    /// Returns the cores of this machine, which all of the program shares.
    #[must_use]
    pub fn of_this_machine() -> Arc<Self> {
        static CORES: LazyLock<Arc<Cores>> =
            LazyLock::new(|| Arc::new(Cores::new(available_parallelism().map_or(2, usize::from))));
        CORES.clone()
    }

    /// Waits for a core and begins work that keeps it busy, off the threads that wait for the network.
    ///
    /// Who asks for this has to be looked at until it returns: the core that it is given is kept from all others.
    pub async fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let core = if let Ok(core) = self.free.clone().try_acquire_owned() {
            self.rise();
            core
        } else {
            self.fall();
            self.free.clone().acquire_owned().await.expect("the cores are not closed")
        };
        spawn_blocking(move || {
            let _core = core;
            work()
        })
    }

    /// Does such work and returns what it came to, whether anybody looks at it meanwhile or not.
    ///
    /// # Errors
    /// Where the program ends meanwhile.
    ///
    /// # Panics
    /// Where the work does.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let cores = self.clone();
        let done = tokio::spawn(async move { cores.begin(work).await.await });
        done.await.and_then(|done| done).map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Error::new(ErrorKind::Cancelled, "go on with the work: the program ends"),
        })
    }

    /// Looks whether a core is free, where no work says so.
    pub(crate) fn look(&self) {
        if self.free.available_permits() > 0 {
            self.rise();
        }
    }

    /// Keeps all cores busy until what this returns is dropped, and has had much work wait for them.
    #[cfg(test)]
    pub(crate) fn keep_busy(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(self.free.available_permits()).expect("few cores");
        let held = self.free.clone().try_acquire_many_owned(all).expect("all are free");
        (0..MOST).for_each(|_| self.fall());
        held
    }

    fn rise(&self) {
        self.worth_opening.send_modify(|worth| *worth = (*worth + 1).min(MOST));
    }

    fn fall(&self) {
        self.worth_opening.send_if_modified(|worth| {
            *worth = (*worth - *worth / FALL - 1).max(self.fewest);
            // Who waits, waits for more.
            false
        });
    }

    /// Waits until one more open partition than these is worth having.
    pub(crate) async fn are_free_for_more_than(&self, open: usize) {
        self.worth_opening.subscribe().wait_for(|worth| *worth > open).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    /// Returns how many open partitions are worth having.
    fn worth(cores: &Cores) -> usize {
        let is_worth_more = |open: usize| unconstrained(cores.are_free_for_more_than(open)).now_or_never();
        (0..).find(|open| is_worth_more(*open).is_none()).expect("some number")
    }

    #[tokio::test]
    async fn bounded_more_is_worth_opening_while_cores_are_free_and_less_once_they_are_not() {
        let cores = Arc::new(Cores::new(2));
        assert_eq!(worth(&cores), 4);
        for _ in 0..40 {
            cores.run(|| ()).await.expect("it does not panic");
        }
        cores.look();
        assert_eq!(worth(&cores), 45);
        let busy = cores.keep_busy();
        cores.look();
        assert_eq!(worth(&cores), 4);
        drop(busy);
        cores.run(|| ()).await.expect("it does not panic");
        assert_eq!(worth(&cores), 5);
    }

    #[tokio::test]
    async fn work_that_nobody_looks_at_gives_its_core_back() {
        let cores = Arc::new(Cores::new(1));
        let busy = cores.keep_busy();
        let mut forgotten: Vec<_> = (0..9).map(|_| Box::pin(cores.run(|| ()))).collect();
        for work in &mut forgotten {
            assert!(futures::poll!(work).is_pending());
        }
        drop(busy);
        assert_eq!(cores.run(|| 7).await.expect("it does not panic"), 7);
        drop(forgotten);
    }

    #[tokio::test]
    async fn a_panic_is_that_of_who_waits_for_the_work() {
        let cores = Arc::new(Cores::new(1));
        let other = cores.clone();
        let busy = cores.keep_busy();
        let work = tokio::spawn(async move { cores.run(|| panic!("on purpose")).await });
        drop(busy);
        assert!(work.await.expect_err("it panicked").is_panic());
        assert_eq!(other.run(|| 7).await.expect("it does not panic"), 7);
    }
}

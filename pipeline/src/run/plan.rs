//! From a job to the partitions that are still to be read.

use crate::{Checkpoint, Clock, Job, Partition, ReadMode, Window};

/// Returns the partitions of a job that are not durable yet, in the order they must be committed.
///
/// A snapshot is taken once a day (UTC): none is left where the checkpoint is of today. A windowed dataset
/// goes on where the checkpoint stands, or begins at `job.since`, and ends at the present instant.
#[must_use]
pub fn partitions(job: &Job, checkpoint: &Checkpoint, clock: &dyn Clock) -> Vec<Partition> {
    let now = clock.now();
    let window = match job.datasets[0].mode {
        ReadMode::Snapshot if checkpoint.through.is_some_and(|at| at.date_naive() >= now.date_naive()) => {
            return Vec::new();
        }
        ReadMode::Snapshot => None,
        ReadMode::Window => {
            let since = checkpoint.through.unwrap_or(job.since);
            if since >= now {
                return Vec::new();
            }
            Some(Window { since, until: now })
        }
    };
    vec![Partition {
        tenant: job.tenant.clone(),
        region: job.region.clone(),
        datasets: job.datasets.clone(),
        window,
        date: now.date_naive(),
    }]
}

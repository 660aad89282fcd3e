//! Which job is opened next.
//!
//! Jobs that spend the same budget (region and family) share a lane. The next job comes from the lane with
//! the fewest open ones, and of these from the one that was served longest ago, so that slow budgets cannot hold every
//! place while others lie idle. Within a lane the tenants alternate, and so do the pulls.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{Job, Region};

type Lane = (Region, &'static str);

/// The jobs still to be begun.
pub(super) struct Lanes {
    waiting: BTreeMap<Lane, VecDeque<Job>>,
    served: HashMap<Lane, Served>,
    /// How many jobs were taken out.
    taken: u64,
}

/// What a lane got so far; the least of them is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Served {
    /// Its jobs that are open.
    open: usize,
    /// How many jobs of all lanes were taken out when it was served last.
    last: u64,
}

impl Lanes {
    /// Sorts jobs into their lanes.
    pub(super) fn new(jobs: Vec<Job>) -> Self {
        let mut by_tenant: Vec<VecDeque<Job>> = Vec::new();
        let mut places: HashMap<crate::TenantId, usize> = HashMap::new();
        for job in jobs {
            let place = *places.entry(job.tenant.id.clone()).or_insert_with(|| {
                by_tenant.push(VecDeque::new());
                by_tenant.len() - 1
            });
            by_tenant[place].push_back(job);
        }
        // Neighbouring tenants begin with different pulls: otherwise all would ask one budget first.
        for (place, jobs) in by_tenant.iter_mut().enumerate() {
            let shift = place % jobs.len().max(1);
            jobs.rotate_left(shift);
        }
        let mut waiting: BTreeMap<Lane, VecDeque<Job>> = BTreeMap::new();
        while by_tenant.iter().any(|jobs| !jobs.is_empty()) {
            for job in by_tenant.iter_mut().filter_map(VecDeque::pop_front) {
                waiting.entry(lane_of(&job)).or_default().push_back(job);
            }
        }
        Self { waiting, served: HashMap::new(), taken: 0 }
    }

    /// Returns how many jobs each region has.
    pub(super) fn jobs_by_region(&self) -> Vec<(Region, u64)> {
        let mut counts: BTreeMap<Region, u64> = BTreeMap::new();
        for ((region, _), jobs) in &self.waiting {
            *counts.entry(region.clone()).or_default() += jobs.len() as u64;
        }
        counts.into_iter().collect()
    }

    /// Takes the next job out and counts it as open.
    pub(super) fn next(&mut self) -> Option<Job> {
        let served = &self.served;
        let (lane, jobs) = self
            .waiting
            .iter_mut()
            .filter(|(_, jobs)| !jobs.is_empty())
            .min_by_key(|(lane, _)| served.get(*lane).copied().unwrap_or_default())?;
        self.taken += 1;
        let served = self.served.entry(lane.clone()).or_default();
        *served = Served { open: served.open + 1, last: self.taken };
        jobs.pop_front()
    }

    /// Returns whether every job was taken out.
    pub(super) fn are_empty(&self) -> bool {
        self.waiting.values().all(VecDeque::is_empty)
    }

    /// Counts a job as no longer open.
    pub(super) fn ended(&mut self, job: &Job) {
        if let Some(served) = self.served.get_mut(&lane_of(job)) {
            served.open -= 1;
        }
    }

    /// Takes out every job that was never begun.
    pub(super) fn rest(self) -> impl Iterator<Item = Job> {
        self.waiting.into_values().flatten()
    }
}

fn lane_of(job: &Job) -> Lane {
    (job.region.clone(), job.datasets[0].family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dataset, job};

    fn jobs(tenants: &[&str], pulls: &[(&'static str, &'static str)]) -> Vec<Job> {
        let mut jobs = Vec::new();
        for id in tenants {
            for (pull, family) in pulls {
                jobs.push(job(id, &dataset(pull, family)));
            }
        }
        jobs
    }

    #[test]
    fn tenants_alternate_and_a_busy_lane_waits() {
        let mut lanes = Lanes::new(jobs(&["a", "b"], &[("x", "slow"), ("y", "fast")]));
        let mut order = Vec::new();
        let mut slow = Vec::new();
        while let Some(job) = lanes.next() {
            order.push(format!("{}{}", job.tenant.id, job.pull()));
            // Jobs of the fast budget end at once, the others stay open.
            if job.datasets[0].family == "fast" { lanes.ended(&job) } else { slow.push(job) }
        }
        assert_eq!(order, ["by", "ax", "ay", "bx"]);
    }

    #[test]
    fn every_lane_is_served_in_turn_where_places_are_few() {
        let mut lanes = Lanes::new(jobs(&["a", "b", "c"], &[("x", "f"), ("y", "g"), ("z", "h")]));
        let mut order = String::new();
        while let Some(job) = lanes.next() {
            order.push_str(job.datasets[0].family);
            lanes.ended(&job);
        }
        assert_eq!(order, "fghfghfgh");
    }

    #[test]
    fn no_job_is_lost() {
        let mut lanes = Lanes::new(jobs(&["a", "b", "c"], &[("x", "f"), ("y", "g"), ("z", "f")]));
        assert_eq!(lanes.jobs_by_region()[0].1, 9);
        let taken = (0..4).filter_map(|_| lanes.next()).count();
        assert_eq!(taken + lanes.rest().count(), 9);
    }
}

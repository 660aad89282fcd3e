//! Decides what befalls each request: which rules it meets, whose turn it is, and what chance says.

use tokio::sync::watch;

use crate::data::Dataset;
use crate::data::rng::{Dice, mix};
use crate::faults::{Fault, FaultRule, Step};
use crate::hold::Hold;

/// What a fault may depend on.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances<'a> {
    pub(crate) path: &'a str,
    pub(crate) region: &'a str,
    pub(crate) family: &'a str,
    pub(crate) dataset: Option<Dataset>,
    /// The organization's id.
    pub(crate) tenant: &'a str,
    pub(crate) page: u64,
    pub(crate) size: u64,
}

/// What the data of one answer suffers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Twist {
    pub(crate) foreign: u32,
    pub(crate) insert: u32,
    pub(crate) delete: u32,
    pub(crate) duplicate: u32,
    pub(crate) reorder: bool,
    pub(crate) region_failure: bool,
}

/// Everything that befalls one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    pub(crate) delay_us: u64,
    pub(crate) twist: Twist,
    /// The fault that takes the place of the answer or spoils it; at most one.
    pub(crate) blow: Option<Fault>,
    /// What that fault is, where it holds the exchange.
    pub(crate) hold: Option<Hold>,
    pub(crate) names: Vec<&'static str>,
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    met: u64,
    fired: u64,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    seed: u64,
    armed: Vec<Armed>,
    /// Goes with these faults, and so lets go what they hold.
    holding: watch::Sender<()>,
}

impl Faults {
    pub(crate) fn new(seed: u64, rules: Vec<FaultRule>) -> Self {
        let armed = rules.into_iter().map(|rule| Armed { rule, met: 0, fired: 0 }).collect();
        Self { seed, armed, holding: watch::Sender::default() }
    }

    /// Returns the rules in force.
    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        self.armed.iter().map(|armed| armed.rule.clone()).collect()
    }

    /// Whether nothing can go wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    /// Decides what befalls a request.
    pub(crate) fn strike(&mut self, request: &Circumstances) -> Effects {
        let mut effects = Effects::default();
        for (number, armed) in self.armed.iter_mut().enumerate() {
            let meets = !armed.rule.is_of_connections() && armed.rule.matches(request);
            if meets && armed.fires(mix(self.seed ^ number as u64)) {
                effects.add(&armed.rule.fault, request.size, mix(self.seed ^ armed.met));
            }
        }
        if let Some(Fault::Hold { at }) = effects.blow {
            effects.hold = Some(Hold::new(at, self.holding.subscribe()));
        }
        effects
    }

    /// Decides whether a new connection is held.
    pub(crate) fn strike_connection(&mut self) -> Option<Hold> {
        let mut held = false;
        for (number, armed) in self.armed.iter_mut().enumerate() {
            held |= armed.rule.is_of_connections() && armed.fires(mix(self.seed ^ number as u64));
        }
        held.then(|| Hold::new(Step::Accepted, self.holding.subscribe()))
    }
}

impl Armed {
    fn fires(&mut self, seed: u64) -> bool {
        self.met += 1;
        let turn =
            self.met > self.rule.after && (self.rule.nth.is_empty() || self.rule.nth.contains(&self.met));
        let left = self.rule.times.is_none_or(|times| self.fired < times);
        let chance = Dice::new(seed, self.met).below(1 << 32) as f64 / f64::from(u32::MAX);
        let fires = turn && left && (self.rule.probability >= 1.0 || chance < self.rule.probability);
        self.fired += u64::from(fires);
        fires
    }
}

impl Effects {
    fn add(&mut self, fault: &Fault, size: u64, hash: u64) {
        let twist = &mut self.twist;
        match fault {
            Fault::Latency { ms, jitter_ms, per_row_us } => {
                self.delay_us +=
                    ms * 1000 + Dice::new(hash, 7).below(jitter_ms * 1000 + 1) + per_row_us * size;
            }
            Fault::ForeignRows { rows } => twist.foreign += rows,
            Fault::InsertRows { rows } => twist.insert += rows,
            Fault::DeleteRows { rows } => twist.delete += rows,
            Fault::DuplicateRows { rows } => twist.duplicate += rows,
            Fault::ReorderRows => twist.reorder = true,
            Fault::RegionFailure => twist.region_failure = true,
            _ if self.blow.is_some() => return,
            blow => self.blow = Some(blow.clone()),
        }
        self.names.push(fault.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Circumstances = Circumstances {
        path: "/idr/v2/investigations",
        region: "eu",
        family: "idr",
        dataset: Some(Dataset::Investigations),
        tenant: "t",
        page: 2,
        size: 100,
    };

    #[test]
    fn rules_fire_when_they_should() {
        fn check(change: impl FnOnce(&mut FaultRule), expected: [bool; 5]) {
            let mut rule = FaultRule::always(Fault::Reset);
            change(&mut rule);
            let text = format!("{rule:?}");
            let mut faults = Faults::new(1, vec![rule]);
            let fired: Vec<bool> = (0..5).map(|_| faults.strike(&REQUEST).blow.is_some()).collect();
            assert_eq!(fired, expected, "{text}");
        }
        check(|_| {}, [true; 5]);
        check(|rule| rule.nth = vec![2, 4], [false, true, false, true, false]);
        check(|rule| rule.after = 3, [false, false, false, true, true]);
        check(|rule| rule.times = Some(2), [true, true, false, false, false]);
        check(|rule| rule.probability = 0.0, [false; 5]);
        check(|rule| rule.region = Some("us".into()), [false; 5]);
        check(|rule| rule.path = Some("v2/inv".into()), [true; 5]);
        check(|rule| rule.tenant = Some("x".into()), [false; 5]);
        check(|rule| rule.dataset = Some(Dataset::Alerts), [false; 5]);
        check(|rule| rule.min_page = 2, [true; 5]);
        check(|rule| rule.min_page = 3, [false; 5]);
        check(|rule| rule.above_size = Some(100), [false; 5]);
        check(|rule| rule.above_size = Some(99), [true; 5]);
    }

    #[test]
    fn chances_are_kept() {
        let mut faults =
            Faults::new(9, vec![FaultRule { probability: 0.1, ..FaultRule::always(Fault::Reset) }]);
        let fired = (0..10_000).filter(|_| faults.strike(&REQUEST).blow.is_some()).count();
        assert!((900..1100).contains(&fired), "{fired}");
    }
}

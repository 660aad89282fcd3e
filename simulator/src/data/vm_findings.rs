//! What an asset suffers from: when each finding came and went, and which a caller wants to see.

use super::collection::RowId;
use super::dataset::Dataset;
use super::json::{Fraction, put, put_hex, put_int, put_time, put_uuid};
use super::life::{self, GROWN};
use super::rng::{Dice, mix};
use super::vm_schedule::Schedule;
use super::world::{DAY_MS, Row, World};
use super::{vm_assets, vm_vulnerabilities};
use crate::criteria::Criteria;

const HOUR_MS: i64 = 3_600_000;
/// Every so manieth finding has no key.
const KEYLESS: u64 = 5;
const STATUSES: [&str; 6] = [
    "VULNERABLE_EXPL",
    "VULNERABLE_VERS",
    "VULNERABLE_POTENTIAL",
    "EXCEPTION_VULN_VERS",
    "vulnerable",
    "UNKNOWN",
];

/// One finding of one asset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    definition: u32,
    hash: u64,
    first_ms: i64,
    gone_ms: Option<i64>,
}

/// Which findings are shown, and beside what they are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) current_ms: i64,
    pub(crate) compared_ms: Option<i64>,
    pub(crate) include_same: bool,
    pub(crate) include_between: bool,
    pub(crate) unique_identifiers: bool,
    pub(crate) criteria: Criteria,
}

impl View {
    /// Returns the view of everything that is there at present.
    pub(crate) fn present(world: &World) -> Self {
        Self { current_ms: world.now_ms, include_same: true, unique_identifiers: true, ..Self::default() }
    }

    fn shows(&self, finding: &Finding) -> bool {
        match self.place(finding) {
            Some(Change::Same) => self.include_same,
            place => place.is_some(),
        }
    }

    /// Says in which list a finding belongs.
    fn place(&self, finding: &Finding) -> Option<Change> {
        let there = |time: i64| finding.first_ms <= time && finding.gone_ms.is_none_or(|gone| gone > time);
        let compared = self.compared_ms.unwrap_or(self.current_ms);
        match (there(compared), there(self.current_ms)) {
            (true, true) => Some(Change::Same),
            (false, true) => Some(Change::New),
            (true, false) => Some(Change::Remediated),
            (false, false) => {
                let between = finding.first_ms > compared
                    && finding.gone_ms.is_some_and(|gone| gone <= self.current_ms);
                (self.include_between && between).then_some(Change::Remediated)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Remediated,
    Same,
}

impl Finding {
    fn definition<'a>(&self, asset: &Row<'a>) -> Row<'a> {
        asset.world.row(asset.tenant, Dataset::VmVulnerabilities, RowId { at: self.definition, nth: 0 })
    }

    /// Lets a finding of the start go when a scan no longer sees it.
    fn live(&mut self, asset: &Row, schedule: Schedule) {
        if self.gone_ms.is_none() {
            let left = Dice::new(self.hash, 6).below(lasts_ms(asset.world) as u64) as i64;
            let gone_ms = schedule.next(life::born_ms(asset) + 1 + left);
            self.gone_ms = (gone_ms <= asset.world.now_ms).then_some(gone_ms);
        }
    }

    fn is_there(&self, time: i64) -> bool {
        self.first_ms <= time && self.gone_ms.is_none_or(|gone| gone > time)
    }
}

/// Returns all findings an asset ever had, as far as is known at present.
pub(crate) fn of(asset: &Row) -> Vec<Finding> {
    let (mut findings, usual) = at_the_start(asset);
    if asset.world.has_moved() {
        let schedule = Schedule::of(asset);
        for finding in &mut findings {
            finding.live(asset, schedule);
        }
        findings.extend(since(asset, schedule, usual));
    }
    findings
}

/// Returns the findings an asset has from its first moment on or had before the start, and how many are usual for it.
fn at_the_start(asset: &Row) -> (Vec<Finding>, u32) {
    let world = asset.world;
    let mut dice = asset.dice(20);
    let mean = u64::from(world.findings_per_asset);
    // A few assets are far worse than the rest.
    let wanted = if dice.percent(3) { mean * 6 } else { dice.below(mean * 2 + 1) };
    let count = wanted.min(u64::from(world.catalogue)) as u32;
    let first = dice.below(u64::from(world.catalogue)) as u32;
    let step = world.catalogue / count.max(1);
    let findings = (0..count)
        .map(|number| finding(asset, (first + number * step) % world.catalogue, dice.draw()))
        .collect();
    (findings, count)
}

fn finding(asset: &Row, definition: u32, hash: u64) -> Finding {
    if asset.grown().is_some() {
        return Finding { definition, hash, first_ms: life::born_ms(asset), gone_ms: None };
    }
    let origin_ms = asset.world.origin_ms;
    let mut dice = Dice::new(hash, 1);
    let age = 1 + dice.below(24 * 200) as i64;
    let first_ms = origin_ms - age * HOUR_MS;
    let gone_ms = dice.percent(15).then(|| first_ms + (1 + dice.below(age as u64) as i64) * HOUR_MS);
    Finding { definition, hash, first_ms, gone_ms: gone_ms.filter(|gone| *gone <= origin_ms) }
}

/// Returns what the scans since the asset's first moment have found: as much as goes, on the whole.
fn since(asset: &Row, schedule: Schedule, usual: u32) -> Vec<Finding> {
    let world = asset.world;
    let start = life::born_ms(asset);
    let lasts = lasts_ms(world);
    let step = lasts / i64::from(usual.max(1));
    let turns = if usual == 0 { 0 } else { (world.now_ms - start) / step + 1 };
    let come = |number: i64| {
        let hash = mix(mix(asset.hash ^ 0x5ca0) ^ number as u64);
        let mut dice = Dice::new(hash, 6);
        let came_ms = start + number * step + dice.below(step.max(1) as u64) as i64;
        // Some are gone within two days, and may come and go between two readings or unseen.
        let lasts = if dice.percent(15) { 2 * DAY_MS } else { 2 * lasts };
        let went_ms = came_ms + HOUR_MS + dice.below(lasts as u64) as i64;
        let (first_ms, gone_ms) = (schedule.next(came_ms), schedule.next(went_ms));
        (first_ms <= world.now_ms && first_ms < gone_ms).then(|| Finding {
            definition: definition(asset, came_ms, &mut dice),
            hash: with_a_key(hash),
            first_ms,
            gone_ms: (gone_ms <= world.now_ms).then_some(gone_ms),
        })
    };
    (0..turns).filter_map(come).collect()
}

/// Draws what a finding is an instance of; the newest definitions are found more often than their number says.
fn definition(asset: &Row, came_ms: i64, dice: &mut Dice) -> u32 {
    let world = asset.world;
    let newest = life::grown_by(world, asset.tenant, Dataset::VmVulnerabilities, came_ms);
    if newest > 0 && dice.percent(30) {
        return GROWN + dice.below(u64::from(newest)) as u32;
    }
    dice.below(u64::from(world.catalogue)) as u32
}

/// Returns a hash of which a finding has a key of its own: later ones may share definition, port and all else.
fn with_a_key(hash: u64) -> u64 {
    if hash.is_multiple_of(KEYLESS) { with_a_key(mix(hash)) } else { hash }
}

fn lasts_ms(world: &World) -> i64 {
    i64::from(world.evolution.finding_days) * DAY_MS
}

/// Counts the findings there at a time, by severity from the worst.
pub(crate) fn tally(asset: &Row, findings: &[Finding], time: i64) -> [u32; 6] {
    let mut tally = [0; 6];
    for finding in findings.iter().filter(|finding| finding.is_there(time)) {
        tally[vm_vulnerabilities::severity(&finding.definition(asset))] += 1;
    }
    tally
}

/// Appends the lists of findings of an asset.
pub(crate) fn put_lists(asset: &Row, findings: &[Finding], view: &View, out: &mut Vec<u8>) {
    put_list(r#","new":["#, Change::New, asset, findings, view, out);
    put_list(r#","remediated":["#, Change::Remediated, asset, findings, view, out);
    if view.include_same {
        put_list(r#","same":["#, Change::Same, asset, findings, view, out);
    }
}

fn put_list(name: &str, change: Change, asset: &Row, findings: &[Finding], view: &View, out: &mut Vec<u8>) {
    put(out, name);
    let start = out.len();
    for finding in findings.iter().filter(|finding| view.place(finding) == Some(change)) {
        if !view.criteria.is_empty() && !view.criteria.holds(&finding.definition(asset)) {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        put_finding(asset, finding, out);
    }
    out.push(b']');
}

fn put_finding(asset: &Row, finding: &Finding, out: &mut Vec<u8>) {
    let mut dice = Dice::new(finding.hash, 2);
    put(out, r#"{"check_id":"#);
    put(out, check_id(finding).map_or("null", |_| "\"default-"));
    if let Some(check) = check_id(finding) {
        put_int(out, check);
        put(out, "\"");
    }
    put(out, r#","first_found":"#);
    put_time(out, finding.first_ms * 1000, Fraction::None);
    put(out, r#","key":""#);
    put_finding_key(finding, out);
    put(out, r#"","last_found":"#);
    let last = finding.gone_ms.unwrap_or_else(|| vm_assets::last_seen_ms(asset)).max(finding.first_ms);
    put_time(out, last * 1000, Fraction::Millis);
    put_service(asset, finding, out);
    put(out, r#","proof":""#);
    put(
        out,
        dice.pick(&[
            r"<p><p>Vulnerable software installed: Ember Office 16.0<\/p><\/p>",
            r#"<p>Banner: \"Hollow SSH 7.2\"<\/p>"#,
            "",
        ]),
    );
    put(out, "\"");
    if let Some(gone) = finding.gone_ms {
        put(out, r#","remediation_date":"#);
        put_time(out, gone * 1000, Fraction::Millis);
    }
    put_solution(finding, out);
    put(out, r#","status":""#);
    put(out, dice.pick(&STATUSES));
    put(out, r#"","vulnerability_id":""#);
    finding.definition(asset).put_key(out);
    put(out, r#""}"#);
}

fn check_id(finding: &Finding) -> Option<u64> {
    let mut dice = Dice::new(finding.hash, 3);
    dice.percent(60).then(|| dice.below(100_000))
}

fn put_finding_key(finding: &Finding, out: &mut Vec<u8>) {
    // Empty on some: the port and the definition tell those apart.
    if !finding.hash.is_multiple_of(KEYLESS) {
        put_hex(out, finding.hash, 16);
    }
}

fn port(finding: &Finding) -> Option<u64> {
    let mut dice = Dice::new(finding.hash, 4);
    let ports = [22, 80, 443, 445, 3389, 8443];
    dice.percent(70).then(|| ports[dice.below(6) as usize])
}

fn put_service(asset: &Row, finding: &Finding, out: &mut Vec<u8>) {
    let irregular = asset.world.irregular;
    match port(finding) {
        Some(port) => {
            put(out, r#","nic":"eth0","port":"#);
            put_int(out, port);
            put(out, r#","protocol":"tcp""#);
            if irregular && finding.hash.is_multiple_of(11) {
                put(out, r#","endpoint":{"port":"#);
                put_int(out, port);
                put(out, r#","protocol":"tcp"}"#);
            }
        }
        None if irregular && finding.hash.is_multiple_of(3) => {
            put(out, r#","nic":null,"port":null,"protocol":"""#);
        }
        None => {}
    }
}

fn put_solution(finding: &Finding, out: &mut Vec<u8>) {
    let mut dice = Dice::new(finding.hash, 5);
    put(
        out,
        r#","reintroduced":null,"solution_fix":"<p>Install the newest version from the vendor.<\/p>","solution_id":""#,
    );
    put_uuid(out, mix(u64::from(finding.definition)), 7);
    put(out, r#"","solution_summary":"Upgrade to the newest version","solution_type":""#);
    put(out, dice.pick(&["patch", "rollup", "workaround", "PATCH"]));
    put(out, "\"");
}

/// Appends the key of an asset whose findings are meant.
pub(crate) fn put_asset_key(asset: &Row, out: &mut Vec<u8>) {
    vm_assets::put_key(asset, out);
}

/// Returns the keys of the findings shown: asset, definition, check, key, port and protocol between bars.
pub(crate) fn keys(asset: &Row, view: &View) -> Vec<String> {
    of(asset).iter().filter(|finding| view.shows(finding)).map(|finding| full_key(asset, finding)).collect()
}

/// Returns the findings shown: the key of each, and its JSON.
pub(crate) fn rows(asset: &Row, view: &View) -> Vec<(String, String)> {
    let row = |finding: &Finding| {
        let mut json = Vec::with_capacity(600);
        put_finding(asset, finding, &mut json);
        (full_key(asset, finding), String::from_utf8(json).expect("findings are written from text"))
    };
    of(asset).iter().filter(|finding| view.shows(finding)).map(row).collect()
}

fn full_key(asset: &Row, finding: &Finding) -> String {
    let mut key = Vec::new();
    put_finding_key(finding, &mut key);
    let key = String::from_utf8(key).expect("hexadecimal digits are ASCII");
    let check = check_id(finding).map(|check| format!("default-{check}")).unwrap_or_default();
    let service = port(finding).map_or_else(|| "|".to_owned(), |port| format!("{port}|tcp"));
    format!("{}|{}|{check}|{key}|{service}", asset.key(), finding.definition(asset).key())
}

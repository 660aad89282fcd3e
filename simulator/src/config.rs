//! What a simulated platform is made of: regions, tenants, rows, keys, limits and faults.
//!
//! Every field has a default, so `{}` is a whole platform; unknown fields are errors.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::data::life::GROWN;
use crate::events::TenantEvent;
use crate::faults::FaultRule;
use crate::keys::KeyConfig;
use crate::limits::LimitRule;
use crate::tenants::LARGEST_USUAL_WEIGHT;

/// How many tenants there can be: more than any list of the platform's that is read to its end.
const MOST_TENANTS: usize = 100_000;

/// Describes a simulated platform completely: the same description serves the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorConfig {
    /// Decides every id, name, row and dice throw.
    pub seed: u64,
    /// The loopback port; 0 takes any free one.
    pub port: u16,
    /// The regions served, each under `/{region}`.
    pub regions: Vec<String>,
    /// The primary account's own organization; derived from the seed when absent.
    pub parent_organization: Option<String>,
    /// How many tenants are managed; entries listed twice come on top.
    pub tenants: usize,
    /// The oddities of the tenant list and of the rows.
    pub quirks: Quirks,
    /// Multiplies every tenant's rows; the vulnerability catalogue keeps its size.
    pub rows: f64,
    /// The number of rows of a tenant of weight one, where it isn't the default.
    pub row_counts: BTreeMap<Dataset, u32>,
    /// The weight of the first tenant when sizes are skewed.
    pub giant_factor: f64,
    /// Whether tenants differ in size: one giant, many small, some empty.
    pub skewed: bool,
    /// How many vulnerability definitions there are, the same for all tenants.
    pub catalogue: u32,
    /// How many findings an asset has on average.
    pub findings_per_asset: u32,
    /// How far back created times reach from `now`.
    pub history_days: u32,
    /// The moment the data ends, and the platform's own clock; the start of the present day when absent.
    ///
    /// The clock stands still until it is set to a later moment.
    pub now: Option<DateTime<Utc>>,
    /// What becomes of the rows when the clock moves on.
    pub evolution: Evolution,
    /// What becomes of the tenants, each at its time.
    pub events: Vec<TenantEvent>,
    /// Whether the names of a tenant's rows follow it to another region; nobody has documented it.
    pub moves_rename_rows: bool,
    /// The share of rows, 0 to 1, that carry a value of a wrong type.
    pub reject_rate: f64,
    /// Whether a time window includes its end.
    pub inclusive_end: bool,
    /// The keys known at the start; one of each kind when empty.
    pub keys: Vec<KeyConfig>,
    /// The limits; the first that matches a request's region and family counts it.
    pub limits: Vec<LimitRule>,
    /// The faults, tried in order.
    pub faults: Vec<FaultRule>,
    /// The statuses where the real platform's answer is unknown.
    pub statuses: Statuses,
    /// Whether bodies are compressed for clients that accept it.
    pub gzip: bool,
    /// Whether a connection serves more than one request.
    pub keep_alive: bool,
    /// Whether the API Keys API may make multi-tenant keys.
    pub mint_multi_tenant_keys: bool,
    /// Whether a multi-tenant user key may list all managed organizations.
    pub user_keys_may_list: bool,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            seed: 7,
            port: 0,
            regions: ["us", "us2", "us3", "eu", "ca", "au", "ap"].map(str::to_owned).to_vec(),
            parent_organization: None,
            tenants: 12,
            quirks: Quirks::default(),
            rows: 1.0,
            row_counts: BTreeMap::new(),
            giant_factor: 20.0,
            skewed: true,
            catalogue: 1500,
            findings_per_asset: 8,
            history_days: 120,
            now: None,
            evolution: Evolution::default(),
            events: Vec::new(),
            moves_rename_rows: false,
            reject_rate: 0.0,
            inclusive_end: false,
            keys: Vec::new(),
            limits: Vec::new(),
            faults: Vec::new(),
            statuses: Statuses::default(),
            gzip: true,
            keep_alive: true,
            mint_multi_tenant_keys: false,
            user_keys_may_list: false,
        }
    }
}

impl SimulatorConfig {
    /// Returns a platform of equal tenants without any oddity, for tests that look at one thing.
    #[must_use]
    pub fn plain(tenants: usize) -> Self {
        Self { tenants, quirks: Quirks::none(), skewed: false, gzip: false, ..Self::default() }
    }

    /// Returns a bound of the rows that the largest tenant has of any dataset.
    fn most_rows(&self) -> f64 {
        let largest = if self.skewed { self.giant_factor.max(LARGEST_USUAL_WEIGHT) } else { 1.0 };
        let usual = Dataset::ALL.map(|dataset| dataset.usual(self));
        let most = usual.into_iter().max().unwrap_or_default();
        (f64::from(most) * largest * self.rows).max(f64::from(self.catalogue))
    }

    /// Says what is wrong with the description, or nothing.
    ///
    /// # Errors
    /// A sentence about the first value that cannot be served.
    pub fn check(&self) -> Result<(), String> {
        if self.regions.is_empty() {
            return Err("no region is listed".to_owned());
        }
        if let Some(region) = self.regions.iter().find(|region| !is_region(region)) {
            return Err(format!(
                "{region:?} is no region: 2 to 16 lower-case letters, digits or `-` are expected"
            ));
        }
        if self.tenants > MOST_TENANTS {
            return Err(format!("{} tenants are too many: {MOST_TENANTS} are the most", self.tenants));
        }
        if !self.rows.is_finite()
            || self.rows < 0.0
            || !self.giant_factor.is_finite()
            || self.giant_factor < 0.0
        {
            return Err("rows and giant_factor must be zero or more".to_owned());
        }
        if !(0.0..=1.0).contains(&self.reject_rate) {
            return Err("reject_rate must lie between 0 and 1".to_owned());
        }
        if self.history_days == 0 || self.catalogue == 0 {
            return Err("history_days and catalogue must be at least 1".to_owned());
        }
        if self.most_rows() >= f64::from(GROWN) {
            return Err(format!("a tenant cannot have {GROWN} rows of a dataset or more"));
        }
        self.evolution.check()?;
        self.events.iter().try_for_each(|event| event.check(self))?;
        self.limits.iter().try_for_each(LimitRule::check)?;
        self.faults.iter().try_for_each(FaultRule::check)
    }
}

fn is_region(code: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (2..=16).contains(&code.len()) && code.bytes().all(known)
}

/// What becomes of the rows as the clock moves on; while it stands at the start, nothing of this shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evolution {
    /// How many new investigations, alerts and scans come, beside the rate of the history; none at 0.
    pub growth: f64,
    /// The share of new investigations and alerts that can be seen much later than their time says.
    ///
    /// Every alert is kept some minutes after it was raised, and seen no sooner.
    pub late_rows: f64,
    /// How late they can be; most are late by less.
    pub late_hours: u32,
    /// The share of investigations and alerts that change after they came into being.
    pub changed_rows: f64,
    /// Within how many hours they do.
    pub change_hours: u32,
    /// The share of those that change once more within the 30 days that follow.
    pub belated_changes: f64,
    /// The share of users, accounts, assets and sites that vanishes in 30 days, while as many appear.
    pub churn: f64,
    /// The share of the catalogue of vulnerabilities that is added to it in 30 days.
    pub new_definitions: f64,
    /// Every how many days a definition is modified, on average; never at 0.
    pub modified_days: u32,
    /// Every how many days an asset is scanned, on average; never at 0, and then nothing new is known of it.
    pub scan_days: u32,
    /// How many days a finding lasts, on average.
    pub finding_days: u32,
}

impl Default for Evolution {
    fn default() -> Self {
        Self {
            growth: 1.0,
            late_rows: 0.03,
            late_hours: 48,
            changed_rows: 0.5,
            change_hours: 70,
            belated_changes: 0.02,
            churn: 0.02,
            new_definitions: 0.01,
            modified_days: 200,
            scan_days: 4,
            finding_days: 100,
        }
    }
}

impl Evolution {
    /// Returns a platform whose clock moves and in which nothing happens.
    #[must_use]
    pub fn none() -> Self {
        Self {
            growth: 0.0,
            late_rows: 0.0,
            changed_rows: 0.0,
            belated_changes: 0.0,
            churn: 0.0,
            new_definitions: 0.0,
            modified_days: 0,
            scan_days: 0,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), String> {
        let shares =
            [self.late_rows, self.changed_rows, self.belated_changes, self.churn, self.new_definitions];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Err("the shares of the evolution must lie between 0 and 1".to_owned());
        }
        if self.change_hours == 0 || self.finding_days == 0 {
            return Err("change_hours and finding_days must be at least 1".to_owned());
        }
        if !(0.0..=1000.0).contains(&self.growth) {
            return Err("growth must lie between 0 and 1000".to_owned());
        }
        Ok(())
    }
}

/// The oddities of the tenant list and of the rows, each with its own switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Regions are listed in upper, lower and mixed case.
    pub mixed_case_regions: bool,
    /// How many tenants are listed without a region.
    pub missing_region: usize,
    /// One customer is managed once in each of two regions, under two ids and suffixed names.
    pub cross_region_customer: bool,
    /// One entry is listed twice, word for word.
    pub duplicate_entry: bool,
    /// Some tenants carry an `external_id`.
    pub external_ids: bool,
    /// The region `us` is listed as `us1`.
    pub us1_regions: bool,
    /// The list is a bare array without envelope or paging.
    pub bare_list: bool,
    /// The list's envelope carries `metadata`.
    pub list_metadata: bool,
    /// How many tenants own no rows at all, when sizes are skewed.
    pub empty_tenants: usize,
    /// How many tenants, the last ones, have no licence for vulnerability management.
    pub unlicensed: usize,
    /// Rows have absent, null, unknown and two-shaped fields, and unusual text.
    pub irregular_rows: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            mixed_case_regions: true,
            missing_region: 1,
            cross_region_customer: true,
            duplicate_entry: true,
            external_ids: true,
            us1_regions: false,
            bare_list: false,
            list_metadata: true,
            empty_tenants: 2,
            unlicensed: 0,
            irregular_rows: true,
        }
    }
}

impl Quirks {
    /// Returns a platform's list and rows at their plainest.
    #[must_use]
    pub fn none() -> Self {
        Self {
            mixed_case_regions: false,
            missing_region: 0,
            cross_region_customer: false,
            duplicate_entry: false,
            external_ids: false,
            us1_regions: false,
            bare_list: false,
            list_metadata: true,
            empty_tenants: 0,
            unlicensed: 0,
            irregular_rows: false,
        }
    }
}

/// The statuses of refusals that nobody has documented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Statuses {
    /// A multi-tenant key without `R7-Organization-Id`.
    pub missing_organization: u16,
    /// A multi-tenant key with an organization it doesn't manage.
    pub foreign_organization: u16,
}

impl Default for Statuses {
    fn default() -> Self {
        Self { missing_organization: 401, foreign_organization: 403 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_tenants_than_can_be_made() {
        for (tenants, fits) in
            [(0, true), (MOST_TENANTS, true), (MOST_TENANTS + 1, false), (usize::MAX, false)]
        {
            assert_eq!(SimulatorConfig::plain(tenants).check().is_ok(), fits, "{tenants}");
        }
    }
}

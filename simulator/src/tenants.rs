//! The managed organizations: who they are, how large, and how the platform lists them.

use serde::Serialize;

use crate::config::SimulatorConfig;
use crate::data::Dataset;
use crate::data::json::uuid;
use crate::data::rng::{Dice, hash_text, mix};
use crate::events;

/// One managed organization, or the primary account itself.
#[derive(Debug, Clone, Serialize)]
pub struct Tenant {
    /// The organization's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The region that holds its data, as the host spells it.
    pub region: String,
    /// The region as the list spells it, if it does.
    pub listed_region: Option<String>,
    /// The partner's own name for the customer.
    pub external_id: Option<String>,
    /// Whether it has bought vulnerability management.
    pub licensed_vm: bool,
    /// How large it is beside a tenant of one.
    pub weight: f64,
    /// The region in the names of its rows.
    #[serde(skip)]
    pub(crate) named_region: String,
    /// Whether it is managed at present.
    #[serde(skip)]
    pub(crate) managed: bool,
    #[serde(skip)]
    pub(crate) number: usize,
    #[serde(skip)]
    pub(crate) hash: u64,
    #[serde(skip)]
    pub(crate) counts: [u32; Dataset::COUNT],
}

/// How large a tenant can be that is not the giant (see [`weight`]).
pub(crate) const LARGEST_USUAL_WEIGHT: f64 = 2.55;
const FIRST: [&str; 24] = [
    "Acme",
    "Borealis",
    "Cobalt",
    "Dunmore",
    "Everline",
    "Fjord",
    "Granite",
    "Harbor",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Meridian",
    "Northgate",
    "Opal",
    "Pinecrest",
    "Quarry",
    "Redwood",
    "Sable",
    "Tidewater",
    "Umbra",
    "Vela",
    "Westfall",
    "Zephyr",
];
const SECOND: [&str; 16] = [
    "Manufacturing",
    "Foods",
    "Logistics",
    "Health",
    "Bank",
    "Energy",
    "Söhne GmbH",
    "Airlines",
    "Retail & Co",
    "University",
    "Insurance",
    "Robotics",
    "Médias",
    "Shipping",
    "Legal \"LLP\"",
    "製作所",
];

/// Makes the tenants in the order in which they are listed.
pub(crate) fn make(config: &SimulatorConfig) -> Vec<Tenant> {
    let mut tenants: Vec<Tenant> = (0..config.tenants).map(|number| tenant(config, number)).collect();
    let count = tenants.len();
    if config.quirks.cross_region_customer && count >= 4 && config.regions.len() >= 2 {
        spread(&mut tenants, [2, 3], &config.regions);
    }
    for tenant in tenants.iter_mut().rev().take(config.quirks.missing_region) {
        tenant.listed_region = None;
    }
    for tenant in tenants.iter_mut().rev().take(config.quirks.unlicensed) {
        tenant.licensed_vm = false;
    }
    for tenant in &mut tenants {
        tenant.named_region.clone_from(&tenant.region);
        tenant.counts = Dataset::counts(config, tenant);
    }
    tenants
}

/// Returns tenants as they are at a moment, from what they are at the start.
///
/// # Errors
/// An event names an organization that doesn't exist.
pub(crate) fn at(
    config: &SimulatorConfig,
    mut tenants: Vec<Tenant>,
    now_ms: i64,
) -> Result<Vec<Tenant>, String> {
    events::befall(config, &mut tenants, now_ms)?;
    Ok(tenants)
}

/// Makes the primary account's own organization, which has keys and users but no findings.
pub(crate) fn parent(config: &SimulatorConfig) -> Tenant {
    let hash = hash_text(config.seed, "parent");
    let region = config.regions.first().cloned().unwrap_or_default();
    Tenant {
        id: config.parent_organization.clone().unwrap_or_else(|| uuid(hash, mix(hash))),
        name: "Watchtower Security Partners".to_owned(),
        listed_region: Some(region.clone()),
        named_region: region.clone(),
        managed: true,
        region,
        external_id: None,
        licensed_vm: false,
        weight: 0.0,
        number: usize::MAX,
        hash,
        counts: [0; Dataset::COUNT],
    }
}

fn tenant(config: &SimulatorConfig, number: usize) -> Tenant {
    let hash = mix(hash_text(config.seed, "tenant") ^ number as u64);
    let region = config.regions[number % config.regions.len()].clone();
    let listed = spelling(config, &region, number);
    let name = match number / FIRST.len() {
        0 => format!("{} {}", FIRST[number], SECOND[number % SECOND.len()]),
        round => format!(
            "{} {} {}",
            FIRST[number % FIRST.len()],
            SECOND[(number + round) % SECOND.len()],
            round + 1
        ),
    };
    Tenant {
        id: uuid(hash, mix(hash)),
        name,
        listed_region: Some(listed),
        named_region: String::new(),
        managed: true,
        region,
        external_id: (config.quirks.external_ids && number.is_multiple_of(3))
            .then(|| format!("CRM-{}", 1000 + number)),
        licensed_vm: true,
        weight: weight(config, number, hash),
        number,
        hash,
        counts: [0; Dataset::COUNT],
    }
}

/// Returns a region as the list spells it for the tenant of a number.
pub(crate) fn spelling(config: &SimulatorConfig, region: &str, number: usize) -> String {
    let region = if config.quirks.us1_regions && region == "us" { "us1" } else { region };
    match number % 3 {
        1 if config.quirks.mixed_case_regions => region.to_uppercase(),
        2 if config.quirks.mixed_case_regions => region[..1].to_uppercase() + &region[1..],
        _ => region.to_owned(),
    }
}

/// One giant, then sizes that fall off steeply, with empty tenants among them.
fn weight(config: &SimulatorConfig, number: usize, hash: u64) -> f64 {
    if !config.skewed {
        return 1.0;
    }
    let empty = config.quirks.empty_tenants.min(config.tenants.saturating_sub(1));
    match number {
        0 => config.giant_factor,
        _ if number >= 4 && number < 4 + empty => 0.0,
        _ => {
            let share = Dice::new(hash, 1).below(1000) as f64 / 1000.0;
            0.05 + 2.5 * share * share * share
        }
    }
}

fn spread(tenants: &mut [Tenant], pair: [usize; 2], regions: &[String]) {
    let name = tenants[pair[0]].name.clone();
    let home = regions.iter().position(|region| region == "us").unwrap_or(0);
    let away = regions.iter().position(|region| region == "eu").filter(|away| *away != home);
    let places = [home, away.unwrap_or((home + 1) % regions.len())];
    for (number, place) in pair.into_iter().zip(places) {
        let region = &regions[place];
        let suffix = if region == "us" { "us1" } else { region };
        tenants[number].name = format!("{name} - {suffix}");
        tenants[number].listed_region = Some(region.clone());
        tenants[number].region.clone_from(region);
    }
}

/// Returns the numbers of the tenants as listed: one stands there twice if the quirk is on.
pub(crate) fn entries(config: &SimulatorConfig, tenants: &[Tenant]) -> Vec<usize> {
    let mut entries: Vec<usize> = (0..tenants.len()).collect();
    if config.quirks.duplicate_entry && tenants.len() >= 2 {
        entries.push(1);
    }
    entries.retain(|number| tenants[*number].managed);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_has_its_own_switch() {
        let all = make(&SimulatorConfig { tenants: 30, ..SimulatorConfig::default() });
        assert!(
            all[2].name.ends_with(" - us1") && all[3].name.ends_with(" - eu"),
            "{} {}",
            all[2].name,
            all[3].name
        );
        assert_ne!(all[2].id, all[3].id);
        assert_eq!(all.iter().filter(|tenant| tenant.listed_region.is_none()).count(), 1);
        assert!(all.iter().any(|tenant| tenant.listed_region.as_deref().is_some_and(|r| r != tenant.region)));
        assert!(all.iter().any(|tenant| tenant.external_id.is_some()));
        assert_eq!(all.iter().filter(|tenant| tenant.weight == 0.0).count(), 2);

        let plain = SimulatorConfig::plain(30);
        for tenant in make(&plain) {
            assert_eq!(tenant.listed_region.as_ref(), Some(&tenant.region));
            assert_eq!((tenant.external_id.as_ref(), tenant.weight), (None, 1.0));
        }
        assert_eq!(entries(&plain, &make(&plain)).len(), 30);
    }

    #[test]
    fn ids_are_distinct_and_depend_on_the_seed() {
        let ids = |seed| -> std::collections::BTreeSet<String> {
            make(&SimulatorConfig { seed, tenants: 2000, ..SimulatorConfig::default() })
                .into_iter()
                .map(|t| t.id)
                .collect()
        };
        assert_eq!(ids(1).len(), 2000);
        assert!(ids(1).is_disjoint(&ids(2)));
    }
}

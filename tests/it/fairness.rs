//! A giant tenant doesn't starve the small ones.

use std::collections::HashSet;

use simulator::{Dataset, LimitRule, SimulatorConfig};

use crate::start;

const SMALL: usize = 50;

/// Returns how long it took until the last small tenant was served, in milliseconds of the platform's clock.
fn until_the_small_ones_are_served(giant_rows: u32) -> u64 {
    let limit = LimitRule { family: "idr".to_owned(), ..LimitRule::new(20, 1000) };
    let context = start(SimulatorConfig {
        regions: vec!["us".to_owned()],
        // Three pages each, and three hundred of the giant's.
        row_counts: [(Dataset::Users, 2500)].into_iter().collect(),
        limits: vec![limit],
        ..SimulatorConfig::plain(SMALL + 1)
    });
    let (giant, small) = context.tenants().split_first().expect("51 tenants");
    context.platform().append_rows(Dataset::Users, &giant.id, giant_rows).expect("a tenant");
    let mut file = context.run_file().of(&[Dataset::Users]);
    file.connector = "[connector.rapid7.budget]\nidr = { requests = 20, per = \"1s\" }\n".to_owned();
    if giant_rows == 0 {
        file.tenants = format!("[tenants]\nexclude = [\"{}\"]\n", giant.id);
    }
    context.write(&file);
    let mut program = context.command(&["run", "--quiet"]).spawn().expect("the program under test");
    let small: HashSet<&str> = small.iter().map(|tenant| tenant.id.as_str()).collect();
    // Three pages of users for each; the listing of the tenants is the account's request.
    let served = loop {
        let journal = context.platform().journal();
        let tallies: Vec<_> = journal
            .by_tenant
            .iter()
            .filter(|(id, _)| small.contains(id.as_str()))
            .map(|(_, tally)| tally)
            .collect();
        if tallies.len() == SMALL && tallies.iter().all(|tally| tally.succeeded >= 3) {
            break tallies.iter().map(|tally| tally.last_ms).max().expect("fifty tenants");
        }
        assert!(program.try_wait().expect("a child").is_none_or(|status| status.success()));
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    program.kill().ok();
    program.wait().expect("a child");
    served
}

#[test]
fn fairness_a_giant_delays_the_small_ones_by_no_more_than_its_share() {
    let alone = until_the_small_ones_are_served(0);
    let beside_a_giant = until_the_small_ones_are_served(250_000);
    assert!(beside_a_giant * 2 <= alone * 3, "{beside_a_giant} ms beside a giant, {alone} ms without one");
}

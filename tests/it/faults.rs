//! A platform with troubles: everything arrives once all the same, or it is said what did not.

use simulator::{Dataset, Fault, FaultRule, RetryAfter, SimulatorConfig};
use tests::{Context, DATASETS};

use crate::{small, start};

/// Returns a fault that befalls every so manieth request it may, beginning with the given one.
///
/// Counted and not by chance: a fault that never comes would prove nothing, and one that comes six times in a row
/// would be somebody's verdict.
fn every(span: usize, first: u64, fault: Fault) -> FaultRule {
    FaultRule { nth: (first..10_000).step_by(span).collect(), ..FaultRule::always(fault) }
}

/// Returns a fault that befalls one request of seventeen.
fn sometimes(fault: Fault) -> FaultRule {
    every(17, 3, fault)
}

/// Starts a platform with faults, whose SIEM listings have several pages.
fn troubled(faults: Vec<FaultRule>) -> Context {
    let mut config = small(5);
    config.row_counts.insert(Dataset::Investigations, 330);
    config.row_counts.insert(Dataset::Alerts, 230);
    start(SimulatorConfig { faults, ..config })
}

/// Checks that everything arrives exactly once, though a kind of fault befalls a part of the requests.
fn check(faults: Vec<FaultRule>) {
    let shown = format!("{:?}", faults.iter().map(|rule| &rule.fault).collect::<Vec<_>>());
    let context = troubled(faults);
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{shown}: {}", output.stderr);
    summary.check_honest();
    context.check_whole(&DATASETS);
    let journal = context.platform().journal();
    // Whom the program no longer waited for was never answered, and so not counted among the faults.
    let unanswered = journal.total.requests - journal.by_status.values().sum::<u64>();
    let struck = journal.faults.values().sum::<u64>() + unanswered;
    assert!(struck >= 2, "{shown}: {struck} of {} requests were struck", journal.total.requests);
    context.check_verified();
}

#[test]
fn completeness_refusals_for_want_of_budget() {
    for retry_after in [RetryAfter::None, RetryAfter::Seconds, RetryAfter::Date] {
        check(vec![sometimes(Fault::TooManyRequests { retry_after, seconds: 1 })]);
    }
}

#[test]
fn completeness_statuses_that_pass() {
    let statuses = [500, 502, 503, 504, 408];
    check(
        statuses
            .iter()
            .zip(2..)
            .map(|(status, first)| every(31, first, Fault::Status { status: *status }))
            .collect(),
    );
}

#[test]
fn completeness_web_pages_of_proxies() {
    check(vec![sometimes(Fault::Html { status: 502 }), every(19, 5, Fault::Html { status: 200 })]);
}

#[test]
fn completeness_connections_that_break() {
    check(vec![sometimes(Fault::Reset)]);
}

#[test]
fn completeness_bodies_that_are_cut() {
    check(vec![sometimes(Fault::CutBody { chunked: false }), every(19, 5, Fault::CutBody { chunked: true })]);
}

#[test]
fn completeness_json_that_ends_too_early() {
    check(vec![sometimes(Fault::TruncatedJson)]);
}

#[test]
fn completeness_wrong_content_types() {
    check(vec![sometimes(Fault::WrongContentType)]);
}

#[test]
fn completeness_answers_that_stall() {
    check(vec![sometimes(Fault::Stall { seconds: 4 })]);
}

#[test]
fn completeness_pages_that_take_longer_the_larger_they_are() {
    // A page of 400 takes longer than the run file's patience; one of 200 does not.
    let slow = Fault::Latency { ms: 1, jitter_ms: 5, per_row_us: 6000 };
    let config = FaultRule { dataset: Some(Dataset::VmAssets), ..FaultRule::always(slow) };
    let context = troubled(vec![config]);
    let (output, summary) = context.pull(&["-d", "vm_assets"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.check_whole(&[Dataset::VmAssets]);
    // What was asked for in vain was asked for all the same.
    let told: u64 = summary.receipts.iter().map(|receipt| receipt.requests).sum();
    assert_eq!(told, context.platform().journal().by_family["vm"].requests);
}

#[test]
fn completeness_redirects_that_pass() {
    check(vec![sometimes(Fault::Redirect { location: None })]);
}

#[test]
fn completeness_searches_that_lack_a_part() {
    let rule = FaultRule { dataset: Some(Dataset::Alerts), ..every(4, 2, Fault::RegionFailure) };
    check(vec![rule]);
}

#[test]
fn completeness_pages_that_repeat_rows_or_turn_them_around() {
    let repeated =
        FaultRule { times: Some(4), min_page: 1, ..FaultRule::always(Fault::DuplicateRows { rows: 3 }) };
    check(vec![repeated, sometimes(Fault::ReorderRows)]);
}

/// A record that comes twice in a long listing makes the walks after the first show more than is known.
#[test]
fn completeness_rows_that_are_repeated_in_a_listing_of_many_pages() {
    let mut config = small(2);
    config.row_counts.extend([(Dataset::Alerts, 9000), (Dataset::VmScans, 9000)]);
    let repeated = FaultRule { probability: 0.05, ..FaultRule::always(Fault::DuplicateRows { rows: 2 }) };
    let context = start(SimulatorConfig { faults: vec![repeated], ..config });
    let datasets = [Dataset::Alerts, Dataset::VmScans];
    context.write(&context.run_file().of(&datasets));
    let (output, summary) = context.pull(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(summary.verdicts(), [("complete", 4)].into());
    assert!(summary.receipts.iter().any(|receipt| receipt.passes > 1), "nothing was repeated");
    context.check_whole(&datasets);
}

/// Returns every fault that leaves the records as they are, each now and then.
fn all_troubles() -> Vec<FaultRule> {
    let troubles = [
        Fault::TooManyRequests { retry_after: RetryAfter::Seconds, seconds: 1 },
        Fault::Status { status: 500 },
        Fault::Status { status: 503 },
        Fault::Html { status: 502 },
        Fault::Reset,
        Fault::CutBody { chunked: false },
        Fault::CutBody { chunked: true },
        Fault::TruncatedJson,
        Fault::WrongContentType,
        Fault::Latency { ms: 20, jitter_ms: 50, per_row_us: 0 },
        Fault::ReorderRows,
        Fault::Redirect { location: None },
        Fault::RegionFailure,
    ];
    // At primes, so that they meet in ever other ways.
    let spans = [41, 43, 47, 53, 59, 61, 37, 67, 29, 31, 23, 71, 7];
    let mut faults: Vec<FaultRule> = troubles
        .into_iter()
        .zip(spans)
        .zip(2..)
        .map(|((fault, span), first)| every(span, first, fault))
        .collect();
    faults.push(FaultRule { times: Some(3), ..every(19, 9, Fault::Stall { seconds: 4 }) });
    faults.push(FaultRule {
        times: Some(3),
        min_page: 1,
        ..FaultRule::always(Fault::DuplicateRows { rows: 2 })
    });
    faults
}

#[test]
fn completeness_every_trouble_at_once() {
    check(all_troubles());
}

#[test]
fn completeness_troubles_and_a_tenant_that_is_refused() {
    let refused = FaultRule {
        tenant: Some("#2".to_owned()),
        family: Some("vm".to_owned()),
        ..FaultRule::always(Fault::Status { status: 403 })
    };
    let context = troubled([vec![refused], all_troubles()].concat());
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    let tenant = &context.tenants()[2];
    assert!(output.stderr.contains(&tenant.name), "{}", output.stderr);
    let summary = context.last_run();
    summary.check_honest();
    assert_eq!(summary.verdicts().get("forbidden"), Some(&4), "{:?}", summary.verdicts());
    let others = context.tenants().iter().filter(|it| it.id != tenant.id);
    let vm = [Dataset::VmAssets, Dataset::VmFindings, Dataset::VmVulnerabilities, Dataset::VmScans];
    assert_eq!(context.differences(others, &vm), Vec::<String>::new());
    context.check_whole(&DATASETS[..5]);
}

/// Checks that rows which come or go while pages are read are noticed: nothing that stayed is missing from a
/// dataset that is called whole.
fn check_shifting(fault: Fault, dataset: Dataset, rows: u32, times: u64) {
    let shown = format!("{fault:?} in {} {times} times", dataset.name());
    let rule =
        FaultRule { dataset: Some(dataset), min_page: 1, times: Some(times), ..FaultRule::always(fault) };
    let mut config = small(3);
    config.row_counts.insert(dataset, rows);
    let context = start(SimulatorConfig { faults: vec![rule], ..config });
    context.write(&context.run_file().of(&[dataset]));
    let before: Vec<_> = context.tenants().iter().map(|tenant| context.truth(dataset, &tenant.id)).collect();
    let (output, summary) = context.pull(&[]);
    let whole = summary.outcome == "complete";
    assert_eq!(output.code, Some(if whole { 0 } else { 7 }), "{shown}: {}", output.stderr);
    let mut walked_again = 0;
    let lake = context.lake().keys(dataset.name());
    for (tenant, before) in context.tenants().iter().zip(&before) {
        let receipt = summary.receipt(&tenant.id, dataset.name());
        walked_again += u64::from(receipt.passes > 1);
        if receipt.is_good() {
            let found = lake.get(&tenant.id).cloned().unwrap_or_default();
            let truth = context.truth(dataset, &tenant.id);
            // A listing that never comes to rest is whole as of its beginning, and one that does as of its end.
            let truth: Vec<_> = truth.iter().filter(|key| times <= 4 || before.contains(key)).collect();
            let missing: Vec<_> = truth.iter().filter(|key| found.binary_search(key).is_err()).collect();
            assert!(missing.is_empty(), "{shown}: {} rows are missing: {receipt:?}", missing.len());
            assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{shown}: a row is there twice");
        } else {
            assert_eq!(receipt.verdict, "drifted", "{shown}");
        }
    }
    let drifted = summary.verdicts().get("drifted").copied().unwrap_or_default();
    assert!(walked_again > 0 || drifted > 0, "{shown}: nobody noticed");
    if times <= 4 {
        assert!(whole, "{shown}: a listing that comes to rest is read whole: {:?}", summary.verdicts());
    }

    // When the platform has come to rest, the next run brings what drifted.
    context.platform().set_faults(Vec::new()).expect("no fault is no contradiction");
    if !whole {
        assert_eq!(context.run(&["run"]).code, Some(0), "{shown}");
        let lake = context.lake().keys(dataset.name());
        for tenant in context.tenants() {
            if summary.receipt(&tenant.id, dataset.name()).is_good() {
                continue;
            }
            let truth = context.truth(dataset, &tenant.id);
            let found = &lake[&tenant.id];
            assert!(truth.iter().all(|key| found.binary_search(key).is_ok()), "{shown}");
            assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{shown}: a row is there twice");
        }
    }
    context.check_verified();
}

#[test]
fn completeness_rows_that_come_while_pages_are_read_are_noticed() {
    for times in [3, 1000] {
        check_shifting(Fault::InsertRows { rows: 2 }, Dataset::Investigations, 330, times);
    }
}

#[test]
fn completeness_rows_that_go_while_pages_are_read_are_noticed() {
    for times in [3, 1000] {
        check_shifting(Fault::DeleteRows { rows: 2 }, Dataset::Investigations, 330, times);
    }
}

#[test]
fn completeness_a_snapshot_that_shifts_is_noticed() {
    for fault in [Fault::InsertRows { rows: 2 }, Fault::DeleteRows { rows: 2 }] {
        check_shifting(fault, Dataset::Users, 2300, 3);
    }
    check_shifting(Fault::DeleteRows { rows: 2 }, Dataset::Users, 2300, 1000);
}

//! Never more than the key may ask, and nearly all of it: told by the operator, or learned from refusals.

use std::thread;
use std::time::{Duration, Instant};

use simulator::{Dataset, LimitHeaders, LimitRule, LimitScope, SimulatorConfig, Span};
use tests::Context;

use crate::start;

/// Returns a platform of ten tenants in one region with so many pages of investigations each.
fn platform(pages: u32, limit: LimitRule) -> SimulatorConfig {
    SimulatorConfig {
        regions: vec!["us".to_owned()],
        row_counts: [(Dataset::Investigations, pages * 100)].into_iter().collect(),
        history_days: 30,
        limits: vec![limit],
        ..SimulatorConfig::plain(10)
    }
}

fn limit(requests: u64, window_ms: u64) -> LimitRule {
    LimitRule { family: "idr".to_owned(), ..LimitRule::new(requests, window_ms) }
}

fn span(context: &Context) -> Span {
    let spans = context.platform().journal().spans;
    spans.into_iter().find(|span| span.family == "idr").expect("the budget was used")
}

#[test]
fn budget_a_told_limit_is_kept_in_every_window_and_nearly_all_of_it_is_used() {
    let context = start(platform(24, limit(50, 5000)));
    let mut file = context.run_file().of(&[Dataset::Investigations]);
    file.connector = "[connector.rapid7.budget]\nidr = { requests = 50, per = \"5s\" }\n".to_owned();
    context.write(&file);
    let output = context.run(&["run", "--quiet"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let span = span(&context);
    assert_eq!(span.refused, 0, "{span:?}");
    assert!(span.max_sliding <= 50, "in no stretch of five seconds, wherever it begins: {span:?}");
    let whole: Vec<u64> = span.windows.iter().map(|(_, arrived, _)| *arrived).collect();
    let while_work_remained = &whole[1..whole.len() - 1];
    let used: u64 = while_work_remained.iter().sum();
    assert!(used * 100 >= 95 * 50 * while_work_remained.len() as u64, "{span:?}");
    context.check_whole(&[Dataset::Investigations]);
}

#[test]
fn budget_a_limit_for_all_regions_together_is_kept() {
    let rule = LimitRule { scope: LimitScope::KeyInAllRegions, ..limit(40, 2000) };
    let regions = ["eu", "us", "ap"].map(str::to_owned).to_vec();
    let context = start(SimulatorConfig { regions, ..platform(8, rule) });
    let mut file = context.run_file().of(&[Dataset::Investigations]);
    file.connector =
        "budget_scope = \"key\"\n[connector.rapid7.budget]\nidr = { requests = 40, per = \"2s\" }\n"
            .to_owned();
    context.write(&file);
    let output = context.run(&["run", "--quiet"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let spans = context.platform().journal().spans;
    let of_idr = || spans.iter().filter(|span| span.family == "idr");
    assert_eq!((of_idr().count(), of_idr().map(|span| span.refused).sum::<u64>()), (3, 0), "{spans:?}");
    context.check_whole(&[Dataset::Investigations]);
}

#[test]
fn budget_a_window_that_the_headers_tell_is_spent_and_never_overspent() {
    // One part of the platform, three datasets and ten tenants share it.
    const DATASETS: [Dataset; 3] = [Dataset::Investigations, Dataset::Users, Dataset::Accounts];
    let rule = LimitRule { headers: LimitHeaders::RateLimit, ..limit(60, 6000) };
    let context = start(platform(16, rule));
    context.write(&context.run_file().of(&DATASETS));
    let output = context.run(&["run", "--quiet"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let span = span(&context);
    assert_eq!(span.refused, 0, "{span:?}");
    let whole: Vec<u64> = span.windows.iter().map(|(_, arrived, _)| *arrived).collect();
    let while_work_remained = &whole[..whole.len() - 1];
    assert!(while_work_remained.len() >= 2, "{span:?}");
    let used: u64 = while_work_remained.iter().sum();
    assert!(used * 100 >= 95 * 60 * while_work_remained.len() as u64, "{span:?}");
    context.check_whole(&DATASETS);
}

/// What was asked of a budget between two moments.
struct Used {
    accepted: u64,
    refused: u64,
}

fn watch(context: &Context, seconds: u64) -> Used {
    let before = span(context);
    let began = Instant::now();
    thread::sleep(Duration::from_secs(seconds));
    let after = span(context);
    let seconds_f = began.elapsed().as_secs_f64() / seconds as f64;
    let refused = after.refused - before.refused;
    let accepted = after.requests - before.requests - refused;
    Used { accepted: (accepted as f64 / seconds_f) as u64, refused }
}

impl Used {
    fn check(&self, granted: u64, part: u64, what: &str) {
        let Self { accepted, refused } = self;
        assert!(accepted * 100 >= granted * part, "{what}: {accepted} of {granted} were used");
        assert!(refused * 100 < accepted + refused, "{what}: {refused} refused of {}", accepted + refused);
    }
}

#[test]
fn budget_an_untold_limit_is_learned_within_a_minute_and_again_when_it_halves() {
    let context = start(platform(600, limit(20, 1000)));
    context.write(&context.run_file().of(&[Dataset::Investigations]));
    let mut program = context.command(&["run", "--quiet"]).spawn().expect("the program under test");
    thread::sleep(Duration::from_secs(60));
    watch(&context, 40).check(20 * 40, 90, "after the first minute");
    context.platform().set_limit(limit(10, 1000)).expect("a limit");
    thread::sleep(Duration::from_secs(60));
    watch(&context, 40).check(10 * 40, 90, "a minute after the limit halved");
    assert!(program.try_wait().expect("a child").is_none(), "there was work all the while");
    program.kill().expect("it still runs");
    program.wait().expect("a child");
}

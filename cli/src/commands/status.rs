//! `tenantry status`: how far each tenant's dataset is, how fresh, and how it ended last.

use std::collections::BTreeMap;

use pipeline::run::RunSummary;
use pipeline::{Clock, Receipt, Result, SystemClock, TenantId, Timestamp, Verdict};
use serde::Serialize;

use super::Context;
use crate::args::{Narrow, StatusArgs};
use crate::table::{age, count, instant, several, table};
use crate::{exit_code, report};

/// How one tenant's dataset stands.
#[derive(Debug, Clone, Serialize)]
struct Standing {
    /// The last committed receipt, if there ever was one.
    committed: Option<Receipt>,
    /// The receipt of the last run, where it asked for this dataset.
    last: Option<Receipt>,
}

pub(super) async fn status(args: &StatusArgs, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let sink = settings.sink.open()?;
    let last_run = sink.last_run().await?;
    let mut standings = standings(sink.receipts().await?, last_run.as_ref());
    if args.problems {
        standings.retain(|_, standing| standing.verdict().is_some_and(|verdict| !verdict.is_good()));
    }
    let console = &context.console;
    if console.json {
        console.json(&standings.values().collect::<Vec<_>>())?;
        return Ok(exit_code::OK);
    }
    if standings.is_empty() {
        console.say(if args.problems {
            "nothing to look at"
        } else {
            "nothing was pulled yet: `tenantry run` does it"
        });
        return Ok(exit_code::OK);
    }
    let now = SystemClock.now();
    let rows = standings.values().map(|standing| standing.row(now)).collect();
    console.data(&table(
        &["tenant", "id", "region", "dataset", "last verdict", "#rows", "through", "read"],
        rows,
    ))?;
    if let Some(run) = &last_run {
        console.say(&format!("last run: {}", report::verdict(run)));
    }
    let bad =
        standings.values().filter(|standing| standing.verdict().is_some_and(|verdict| !verdict.is_good()));
    let bad = bad.count() as u64;
    if bad > 0 && !args.problems {
        console.say(&format!("{} to look at: `tenantry status --problems`", several(bad, "dataset")));
    }
    Ok(exit_code::OK)
}

fn standings(
    committed: Vec<Receipt>,
    last_run: Option<&RunSummary>,
) -> BTreeMap<(TenantId, String), Standing> {
    let mut standings: BTreeMap<(TenantId, String), Standing> = BTreeMap::new();
    let key = |receipt: &Receipt| (receipt.organization_id.clone(), receipt.dataset.clone());
    for receipt in committed {
        standings.insert(key(&receipt), Standing { committed: Some(receipt), last: None });
    }
    for receipt in last_run.iter().flat_map(|run| &run.receipts) {
        let standing = standings.entry(key(receipt)).or_insert(Standing { committed: None, last: None });
        standing.last = Some(receipt.clone());
    }
    standings
}

impl Standing {
    fn verdict(&self) -> Option<Verdict> {
        self.last.as_ref().or(self.committed.as_ref()).map(|receipt| receipt.verdict)
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        let Some(receipt) = self.last.as_ref().or(self.committed.as_ref()) else { return Vec::new() };
        let through = |it: &Receipt| it.window.map_or(it.started_at, |window| window.until);
        let nothing = || "never".to_owned();
        vec![
            receipt.organization_name.clone(),
            receipt.organization_id.to_string(),
            receipt.region.to_string(),
            receipt.dataset.clone(),
            receipt.verdict.to_string(),
            self.committed.as_ref().map_or_else(|| "-".to_owned(), |it| count(it.rows_written)),
            self.committed.as_ref().map_or_else(|| "-".to_owned(), |it| instant(through(it))),
            self.committed.as_ref().map_or_else(nothing, |it| age(through(it), now)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn what_is_committed_stays_in_sight_when_the_last_run_was_refused() {
        let committed = samples::receipt("t1", "eu", "users", Verdict::Complete);
        let refused = samples::receipt("t1", "eu", "users", Verdict::Forbidden);
        let never = samples::receipt("t2", "eu", "users", Verdict::Unavailable);
        let mut run = samples::summary(&[]);
        run.receipts = vec![refused, never];
        let now = committed.started_at + chrono::Duration::hours(3);
        let rows: Vec<String> = standings(vec![committed], Some(&run))
            .values()
            .map(|standing| standing.row(now).join("|"))
            .collect();
        assert_eq!(
            rows,
            [
                "T1|t1|eu|users|forbidden|10|2026-11-24 03:00:00Z|3 h 0 min ago",
                "T2|t2|eu|users|unavailable|-|-|never",
            ]
        );
    }
}

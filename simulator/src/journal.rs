//! What was asked of the platform: counted by region, family, tenant and key, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use crate::report::{JournalReport, Misplaced, Span, SpanBefore, Tally};

/// How many seconds, windows and misplaced calls are remembered in full.
const REMEMBERED: usize = 7200;
/// How many arrivals are kept to find the busiest span of a limit's length.
const ARRIVALS: usize = 1 << 20;

/// What is known of a request when it arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) at_us: u64,
    pub(crate) region: &'a str,
    pub(crate) family: &'static str,
    pub(crate) tenant: &'a str,
    pub(crate) key: &'a str,
}

/// What a limit says about a request, as far as the journal cares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) limit: Option<u64>,
    pub(crate) window_ms: u64,
    pub(crate) refused: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) status: u16,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) limited: bool,
    pub(crate) faults: &'a [&'static str],
}

/// The running counts.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    report: JournalReport,
    of_tenant: BTreeMap<String, u64>,
    spans: BTreeMap<(String, &'static str, String), Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    span: Span,
    arrivals: VecDeque<u64>,
}

impl Journal {
    /// Counts a request in.
    pub(crate) fn arrive(&mut self, arrival: &Arrival) {
        self.tallies(arrival, |tally| {
            if tally.requests == 0 {
                tally.first_ms = arrival.at_us / 1000;
            }
            tally.requests += 1;
            tally.last_ms = arrival.at_us / 1000;
        });
        let report = &mut self.report;
        report.in_flight += 1;
        report.peak_in_flight = report.peak_in_flight.max(report.in_flight);
        *report.per_second.entry(arrival.at_us / 1_000_000).or_default() += 1;
        if report.per_second.len() > REMEMBERED {
            report.per_second.pop_first();
        }
        let of_tenant = entry(&mut self.of_tenant, arrival.tenant);
        *of_tenant += 1;
        if !arrival.tenant.is_empty() {
            report.peak_in_flight_of_a_tenant = report.peak_in_flight_of_a_tenant.max(*of_tenant);
        }
    }

    /// Counts an authenticated request against its limit.
    pub(crate) fn meter(&mut self, arrival: &Arrival, limited: Limited) {
        let place = (arrival.region.to_owned(), arrival.family, arrival.key.to_owned());
        self.spans.entry(place).or_default().count(arrival.at_us, limited);
    }

    /// Counts how a request ended.
    pub(crate) fn end(&mut self, arrival: &Arrival, ending: &Ending) {
        let injected = ending.faults.contains(&"too_many_requests");
        let succeeded = (200..300).contains(&ending.status) && ending.faults.is_empty();
        self.tallies(arrival, |tally| {
            tally.succeeded += u64::from(succeeded);
            tally.limited += u64::from(ending.limited);
            tally.injected_429 += u64::from(injected);
            tally.faulted += u64::from(!ending.faults.is_empty());
            tally.rows += ending.rows;
            tally.bytes += ending.bytes;
        });
        *self.report.by_status.entry(ending.status).or_default() += 1;
        for fault in ending.faults {
            *entry(&mut self.report.faults, fault) += 1;
        }
    }

    /// Counts a request out, however it ended.
    pub(crate) fn leave(&mut self, tenant: &str) {
        self.report.in_flight -= 1;
        let of_tenant = entry(&mut self.of_tenant, tenant);
        *of_tenant = of_tenant.saturating_sub(1);
    }

    /// Counts a connection.
    pub(crate) fn connect(&mut self) {
        self.report.connections += 1;
    }

    /// Counts an exchange that stands still.
    pub(crate) fn hold(&mut self) {
        self.report.held += 1;
    }

    /// Counts one that goes on, or is over.
    pub(crate) fn let_go(&mut self) {
        self.report.held -= 1;
    }

    /// Counts a request that came to the trap.
    pub(crate) fn trap(&mut self, with_key: bool) {
        self.report.trapped += 1;
        self.report.trapped_with_key += u64::from(with_key);
    }

    /// Remembers a request that carried a key to a wrong place.
    pub(crate) fn misplace(&mut self, arrival: &Arrival, reason: &str) {
        let same = |known: &&mut Misplaced| {
            known.key == arrival.key
                && known.region == arrival.region
                && known.organization == arrival.tenant
                && known.reason == reason
        };
        if let Some(known) = self.report.misplaced.iter_mut().find(same) {
            known.count += 1;
        } else if self.report.misplaced.len() < REMEMBERED {
            self.report.misplaced.push(Misplaced {
                key: arrival.key.to_owned(),
                region: arrival.region.to_owned(),
                organization: arrival.tenant.to_owned(),
                reason: reason.to_owned(),
                count: 1,
            });
        }
    }

    /// Returns a copy of everything counted.
    pub(crate) fn report(&self, now_us: u64) -> JournalReport {
        let span = |((region, family, key), meter): (&(String, &'static str, String), &Meter)| Span {
            region: region.clone(),
            family: (*family).to_owned(),
            key: key.clone(),
            ..meter.span.clone()
        };
        JournalReport {
            elapsed_ms: now_us / 1000,
            spans: self.spans.iter().map(span).collect(),
            ..self.report.clone()
        }
    }

    /// Forgets everything but the requests being answered and held now.
    pub(crate) fn clear(&mut self) {
        let JournalReport { in_flight, held, .. } = self.report;
        self.report =
            JournalReport { in_flight, peak_in_flight: in_flight, held, ..JournalReport::default() };
        self.spans.clear();
    }

    fn tallies(&mut self, arrival: &Arrival, mut change: impl FnMut(&mut Tally)) {
        let report = &mut self.report;
        change(&mut report.total);
        change(entry(&mut report.by_region, arrival.region));
        change(entry(&mut report.by_family, arrival.family));
        if !arrival.tenant.is_empty() {
            change(entry(&mut report.by_tenant, arrival.tenant));
        }
        change(entry(&mut report.by_key, arrival.key));
    }
}

/// Returns the entry of a name; beyond what is remembered, names share one.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    if !map.contains_key(name) {
        let name = if map.len() < REMEMBERED { name } else { "others" };
        return map.entry(name.to_owned()).or_default();
    }
    map.get_mut(name).expect("the name was just found")
}

impl Meter {
    fn count(&mut self, at_us: u64, limited: Limited) {
        let span = &mut self.span;
        if (span.limit, span.window_ms) != (limited.limit, limited.window_ms) {
            if span.requests > 0 {
                let (limit, window_ms, max_fixed, max_sliding) =
                    (span.limit, span.window_ms, span.max_fixed, span.max_sliding);
                span.before.push(SpanBefore { limit, window_ms, max_fixed, max_sliding });
            }
            (span.limit, span.window_ms) = (limited.limit, limited.window_ms);
            (span.max_fixed, span.max_sliding) = (0, 0);
            span.windows.clear();
            self.arrivals.clear();
        }
        span.requests += 1;
        span.refused += u64::from(limited.refused);
        span.count_fixed(at_us / 1000 / limited.window_ms, limited.refused);
        self.arrivals.push_back(at_us);
        let length_us = limited.window_ms * 1000;
        while self.arrivals.front().is_some_and(|first| first + length_us <= at_us)
            || self.arrivals.len() > ARRIVALS
        {
            self.arrivals.pop_front();
        }
        span.max_sliding = span.max_sliding.max(self.arrivals.len() as u64);
    }
}

impl Span {
    fn count_fixed(&mut self, window: u64, refused: bool) {
        if self.windows.back().is_none_or(|(number, ..)| *number != window) {
            self.windows.push_back((window, 0, 0));
            if self.windows.len() > REMEMBERED {
                self.windows.pop_front();
            }
        }
        let last = self.windows.back_mut().expect("one was just put there");
        last.1 += 1;
        last.2 += u64::from(refused);
        self.max_fixed = self.max_fixed.max(last.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_and_stretch_are_found() {
        let mut journal = Journal::default();
        let limited = Limited { limit: Some(3), window_ms: 1000, refused: false };
        for at_ms in [0, 900, 950, 1000, 1050, 1899, 1950] {
            let arrival =
                Arrival { at_us: at_ms * 1000, region: "us", family: "vm", tenant: "t", key: "main" };
            journal.arrive(&arrival);
            journal.meter(&arrival, limited);
            journal.leave("t");
        }
        let report = journal.report(2_000_000);
        let span = &report.spans[0];
        assert_eq!((span.max_fixed, span.max_sliding, span.requests), (4, 5, 7));
        assert_eq!(span.windows, [(0, 3, 0), (1, 4, 0)]);
        assert_eq!((report.peak_in_flight, report.in_flight), (1, 0));
        let tally = &report.by_tenant["t"];
        assert_eq!((tally.first_ms, tally.last_ms), (0, 1950));
    }
}

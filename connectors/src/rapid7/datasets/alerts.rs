//! `alerts`: the alerts of alert triage, by the time they were raised; each version is a record.

use std::time::Duration;

use pipeline::{ReadMode, Window};

use super::{About, Endpoint, Paging, Request, borders, int, list, nested, text, time, truth};
use crate::normalize::{Fact, Field, Kind, Owner, PageShape, RecordShape};

/// The search refuses windows of more than six months. The shortest six months have 181 days, and more than the window
/// is asked for.
const LONGEST_WINDOW: Duration = Duration::from_secs(180 * 24 * 60 * 60);

const PAGE: PageShape = PageShape {
    rows: "alerts",
    facts: &[("total_items", Fact::Total), ("is_last_index", Fact::Last), ("size", Fact::Size)],
    failures: Some("region_failures"),
    tells_of_others: false,
    may_be_bare: false,
};

pub(super) fn endpoint() -> Endpoint {
    let shape =
        RecordShape { dataset: "alerts", fields: fields(), key: &["rrn", "version"], has_versions: true };
    let about = About {
        cursor: Some("alerted_at"),
        mode: ReadMode::Window,
        ..About::snapshot(
            "alerts",
            "alerts",
            "POST /idr/at/alerts/ops/search",
            "the alerts of alert triage with rule, priority, disposition and matching keys",
        )
    };
    let request = Request {
        path: "/idr/at/alerts/ops/search",
        query: |_| vec![("rrns_only", "false".to_owned())],
        body: Some(body),
        accept_version: Some("strong-force-preview"),
        paging: Paging::Index("index"),
        longest_window: Some(LONGEST_WINDOW),
    };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: PAGE, request }
}

fn fields() -> Vec<Field> {
    let matching = || Kind::Struct(vec![text("key"), list("values", Kind::Utf8)]);
    vec![
        text("rrn").owner(Owner::Rrn),
        int("version"),
        time("created_at"),
        time("updated_at"),
        time("alerted_at"),
        time("ingested_at"),
        text("external_source"),
        text("external_id"),
        nested("organization", organization()),
        text("title"),
        text("type"),
        // A rule may be the vendor's, or belong to the account above: its names say nothing of whose alert it is.
        nested(
            "rule",
            vec![text("rrn"), text("name"), list("mitre_tcodes", Kind::Utf8), text("version_rrn")],
        ),
        list("rule_matching_keys", matching()),
        list("rule_keys_of_interest", matching()),
        text("responsibility"),
        truth("monitored"),
        nested(
            "assignee",
            vec![time("at"), text("id"), text("email"), text("first_name"), text("last_name")],
        ),
        text("priority"),
        text("status"),
        nested(
            "status_transitions",
            vec![int("seconds_to_first_investigating"), int("seconds_to_first_closed")],
        ),
        text("disposition"),
        text("investigation_rrn").owner(Owner::Rrn),
        list("tags", Kind::Utf8),
        nested("permissions", vec![truth("can_edit").from_key("canEdit")]),
        list("fields", Kind::Json),
    ]
}

fn organization() -> Vec<Field> {
    vec![
        text("id").owner(Owner::Id),
        text("name"),
        text("region"),
        text("product_token"),
        text("customer_id"),
        text("customer_name"),
        text("customer_code"),
        text("customer_group"),
        list("flags", Kind::Utf8),
    ]
}

fn body(window: Option<Window>) -> String {
    let times = window.map_or_else(String::new, |window| {
        let [start, end] = borders(window);
        format!(r#""start_time":"{start}","end_time":"{end}","#)
    });
    format!(
        r#"{{"search":{{{times}"leql":"","terms":[]}},"sorts":[{{"field_id":"alerted_at","order":"ASCENDING_NULLS_LAST"}}],"field_ids":[],"aggregates":[]}}"#
    )
}

//! `investigations`: the SIEM's cases, by the time they were created.

use pipeline::{ReadMode, Window};

use super::{About, Endpoint, Paging, Request, SIEM_PAGE, borders, list, nested, text, time};
use crate::normalize::{Kind, Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let fields = vec![
        text("rrn").owner(Owner::Rrn),
        text("organization_id").owner(Owner::IdAlone),
        text("title"),
        text("source"),
        text("status"),
        text("priority"),
        text("disposition"),
        time("created_time"),
        time("last_accessed"),
        time("first_alert_time"),
        time("latest_alert_time"),
        nested("assignee", vec![text("email"), text("name")]),
        list("tags", Kind::Utf8),
        text("responsibility"),
    ];
    let shape = RecordShape { dataset: "investigations", fields, key: &["rrn"], has_versions: false };
    let about = About {
        cursor: Some("created_time"),
        mode: ReadMode::Window,
        ..About::snapshot(
            "investigations",
            "idr",
            "GET /idr/v2/investigations",
            "the SIEM's cases with status, priority, assignee and alert times",
        )
    };
    let request = Request {
        path: "/idr/v2/investigations",
        query,
        body: None,
        accept_version: Some("investigations-preview"),
        paging: Paging::Index("index"),
        longest_window: None,
    };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: SIEM_PAGE, request }
}

/// Both ends are always said: without them the platform answers the last 28 days. Oldest first, so that what is
/// created meanwhile comes behind everything read so far.
fn query(window: Option<Window>) -> Vec<(&'static str, String)> {
    let mut query = vec![("sort", "created_time,ASC".to_owned())];
    if let Some(window) = window {
        let [start, end] = borders(window);
        query.extend([("start_time", start), ("end_time", end)]);
    }
    query
}

//! `users`: the people the SIEM knows.

use super::{About, ENTITY_SEARCH, Endpoint, Request, SIEM_PAGE, text};
use crate::normalize::{Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let fields = vec![
        text("rrn").owner(Owner::Rrn),
        text("first_name"),
        text("last_name"),
        text("name"),
        text("domain"),
    ];
    let shape = RecordShape { dataset: "users", fields, key: &["rrn"], has_versions: false };
    let about = About {
        page_size: 1000,
        ..About::snapshot("users", "idr", "POST /idr/v1/users/_search", "the people the SIEM knows")
    };
    let request = Request { path: "/idr/v1/users/_search", ..ENTITY_SEARCH };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: SIEM_PAGE, request }
}

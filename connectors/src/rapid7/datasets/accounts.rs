//! `accounts`: the accounts the SIEM knows, with the people they belong to.

use super::{About, ENTITY_SEARCH, Endpoint, Request, SIEM_PAGE, nested, text, truth};
use crate::normalize::{Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let fields = vec![
        text("rrn").owner(Owner::Rrn),
        text("name"),
        text("domain"),
        truth("disabled"),
        nested("user", vec![text("rrn").owner(Owner::Rrn), text("name")]),
        text("authentication_service"),
    ];
    let shape = RecordShape { dataset: "accounts", fields, key: &["rrn"], has_versions: false };
    let about = About {
        page_size: 1000,
        ..About::snapshot(
            "accounts",
            "idr",
            "POST /idr/v1/accounts/_search",
            "the accounts the SIEM knows, with the people they belong to",
        )
    };
    let request = Request { path: "/idr/v1/accounts/_search", ..ENTITY_SEARCH };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: SIEM_PAGE, request }
}

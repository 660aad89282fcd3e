//! `assets`: the machines the SIEM knows.

use super::{About, ENTITY_SEARCH, Endpoint, Request, SIEM_PAGE, text};
use crate::normalize::{Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let fields = vec![text("rrn").owner(Owner::Rrn), text("name")];
    let shape = RecordShape { dataset: "assets", fields, key: &["rrn"], has_versions: false };
    let about = About {
        page_size: 1000,
        ..About::snapshot("assets", "idr", "POST /idr/v1/assets/_search", "the machines the SIEM knows")
    };
    let request = Request { path: "/idr/v1/assets/_search", ..ENTITY_SEARCH };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: SIEM_PAGE, request }
}

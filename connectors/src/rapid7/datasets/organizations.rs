//! `organizations`: the managed organizations themselves, as the account lists them.

use pipeline::Scope;

use super::{About, Endpoint, Paging, Request, SIEM_PAGE, text};
use crate::normalize::{PageShape, RecordShape};

/// Each record is an organization, and the one that asks is above them.
const PAGE: PageShape = PageShape { tells_of_others: true, may_be_bare: true, ..SIEM_PAGE };

pub(super) fn endpoint() -> Endpoint {
    // The region keeps the platform's spelling; the column `region` of every dataset is where the record was read.
    let fields =
        vec![text("id"), text("name"), text("listed_region").from_key("region"), text("external_id")];
    let shape = RecordShape { dataset: "organizations", fields, key: &["id"], has_versions: false };
    let about = About {
        scope: Scope::Account,
        // Nobody knows whether the platform grants more than it sends by itself.
        page_size: 20,
        ..About::snapshot(
            "organizations",
            "account",
            "GET /account/api/1/managed-organizations",
            "the managed organizations: id, name, region, the operator's own number",
        )
    };
    let request = Request {
        path: "/account/api/1/managed-organizations",
        query: |_| Vec::new(),
        body: None,
        accept_version: None,
        paging: Paging::Index("index"),
        longest_window: None,
    };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: PAGE, request }
}

//! `vm_scans`: the scans of vulnerability management.

use super::{ASSET, About, Endpoint, Paging, Request, VM_PAGE, list, text, time};
use crate::normalize::{Field, Kind, Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let fields = vec![
        text("id"),
        text("name"),
        text("engine_id"),
        text("status"),
        time("started"),
        time("finished"),
        Field::new("details", Kind::Json),
        list("asset_ids", Kind::Utf8).owner(Owner::Prefix(ASSET)),
    ];
    let shape = RecordShape { dataset: "vm_scans", fields, key: &["id"], has_versions: false };
    let about = About {
        page_size: 500,
        ..About::snapshot(
            "vm_scans",
            "vm",
            "GET /vm/v4/integration/scan",
            "the scans of vulnerability management with engine, status and times",
        )
    };
    let request = Request {
        path: "/vm/v4/integration/scan",
        query: |_| vec![("includeDetails", "true".to_owned())],
        body: None,
        accept_version: None,
        paging: Paging::Index("page"),
        longest_window: None,
    };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: VM_PAGE, request }
}

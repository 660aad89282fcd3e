//! `vm_findings`: each vulnerability found on an asset; read from the pages of `vm_assets`.

use std::sync::Arc;

use pipeline::Dataset;

use super::{About, int, nested, text, time};
use crate::normalize::{Child, RecordShape};

pub(super) fn child() -> Child {
    let fields = vec![
        text("asset_id").from_key("$asset_id"),
        text("change").from_key("$change"),
        text("vulnerability_id"),
        text("check_id"),
        text("key"),
        text("nic"),
        int("port"),
        text("protocol"),
        text("proof"),
        text("status"),
        time("first_found"),
        time("last_found"),
        time("reintroduced"),
        time("remediation_date"),
        text("solution_id"),
        text("solution_summary"),
        text("solution_fix"),
        text("solution_type"),
        nested("endpoint", vec![int("port"), text("protocol")]),
    ];
    // Whichever list told of it last, it is the same finding.
    let key = &[
        "asset_id",
        "vulnerability_id",
        "check_id",
        "key",
        "nic",
        "port",
        "protocol",
        "endpoint",
        "proof",
        "status",
        "solution_id",
    ];
    Child {
        shape: RecordShape { dataset: "vm_findings", fields, key, has_versions: false },
        parent_key: "asset_id",
        change: "change",
    }
}

pub(super) fn dataset(child: &Child) -> Arc<Dataset> {
    let about = About {
        page_size: 400,
        by_change: true,
        ordered_by: Some("asset_id"),
        ..About::snapshot(
            "vm_assets",
            "vm",
            "POST /vm/v4/integration/assets",
            "the vulnerabilities found on each asset, with proof and solution",
        )
    };
    about.dataset(&child.shape)
}

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

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use pipeline::TenantId;
    use pipeline::known::Known;

    use super::super::vm_assets;
    use crate::normalize::Seen;

    /// Returns the findings that an asset shows in one of its lists.
    fn findings(list: &str, findings: &str) -> RecordBatch {
        let tenant: TenantId = "0a1b2c3d-0000-4000-8000-00000000000a".parse().expect("an id");
        let mut decoder = vm_assets::endpoint().decoder(&tenant);
        let page = format!(r#"{{"data":[{{"id":"1","{list}":[{findings}]}}]}}"#);
        decoder.decode(page.as_bytes(), &mut Seen::default()).expect("a page");
        decoder.take().expect("columns").records.remove(1)
    }

    #[test]
    fn a_finding_is_the_same_in_every_list_and_another_at_another_endpoint() {
        let dataset = vm_assets::endpoint().datasets.remove(1);
        let mut known = Known::default();
        let mut fresh = |records: RecordBatch| {
            let fresh = known.fresh(&dataset, records).expect("its own columns");
            known.learn(&dataset, &fresh).expect("its own columns");
            fresh.num_rows()
        };
        let one = r#"{"vulnerability_id":"v","check_id":"c"}"#;
        let told = ["same", "new", "new", "remediated", "new", "new"];
        assert_eq!(told.map(|list| fresh(findings(list, one))), [1, 1, 0, 1, 1, 0]);
        let two = r#"{"check_id":"c","endpoint":{"port":443}},{"check_id":"c","endpoint":{"port":8443}}"#;
        assert_eq!([fresh(findings("new", two)), fresh(findings("new", two))], [2, 0]);
    }
}

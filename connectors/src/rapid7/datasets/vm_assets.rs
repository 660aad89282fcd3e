//! `vm_assets`: what vulnerability management knows of each asset; the same pages hold `vm_findings`.

use pipeline::Window;

use super::{
    ASSET, About, Endpoint, Paging, Request, VM_PAGE, float, instant, int, list, text, time, truth,
    vm_findings,
};
use crate::normalize::{Field, Kind, Owner, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let shape = RecordShape { dataset: "vm_assets", fields: fields(), key: &["id"], has_versions: false };
    let about = About {
        page_size: 400,
        by_change: true,
        ordered_by: Some("id"),
        ..About::snapshot(
            "vm_assets",
            "vm",
            "POST /vm/v4/integration/assets",
            "the assets of vulnerability management with system, scores and tags",
        )
    };
    let findings = vm_findings::child();
    let datasets = vec![about.dataset(&shape), vm_findings::dataset(&findings)];
    let request = Request {
        path: "/vm/v4/integration/assets",
        query,
        body: Some(body),
        accept_version: None,
        paging: Paging::Cursor,
        longest_window: None,
    };
    Endpoint { datasets, shape, child: Some(findings), page: VM_PAGE, request }
}

/// Without a time to compare with, a finding is neither new nor remediated: only `same` holds it. With one, the
/// lists `new` and `remediated` hold what changed since, and `same` is left out.
///
/// What came and went between the two times is asked for as well: an earlier reading, whose window overlaps this one's,
/// may have brought it as new.
fn query(window: Option<Window>) -> Vec<(&'static str, String)> {
    let mut query = vec![("sort", "id,asc".to_owned())];
    match window {
        None => query.push(("includeSame", "true".to_owned())),
        Some(window) => query.extend([
            ("comparisonTime", instant(window.since)),
            ("includeInterSnapshotRemediations", "true".to_owned()),
        ]),
    }
    query
}

/// What changes an asset's findings is a scan, so that only assets scanned since have to be listed.
fn body(window: Option<Window>) -> String {
    match window {
        None => "{}".to_owned(),
        Some(window) => format!(r#"{{"asset":"last_scan_end > {}"}}"#, instant(window.since)),
    }
}

fn fields() -> Vec<Field> {
    let credential = vec![int("port"), text("protocol"), text("status")];
    let mut fields = vec![text("id").owner(Owner::Prefix(ASSET)), text("type"), text("host_name")];
    fields.extend([text("ip"), text("mac")]);
    fields.extend(
        [
            "os_architecture",
            "os_description",
            "os_family",
            "os_name",
            "os_system_name",
            "os_type",
            "os_vendor",
            "os_version",
        ]
        .map(text),
    );
    fields.extend(["assessed_for_policies", "assessed_for_vulnerabilities"].map(truth));
    fields.extend(["last_assessed_for_vulnerabilities", "last_scan_start", "last_scan_end"].map(time));
    fields.push(float("risk_score"));
    fields.extend(
        [
            "total_vulnerabilities",
            "critical_vulnerabilities",
            "severe_vulnerabilities",
            "moderate_vulnerabilities",
            "exploits",
            "malware_kits",
        ]
        .map(int),
    );
    fields.push(list("tags", Kind::Struct(vec![text("name"), text("type")])));
    fields.push(list("unique_identifiers", Kind::Struct(vec![text("id"), text("source")])));
    fields.push(list("credential_assessments", Kind::Struct(credential)));
    fields.extend(["new", "remediated", "same"].map(|change| Field::new(change, Kind::Children(change))));
    fields
}

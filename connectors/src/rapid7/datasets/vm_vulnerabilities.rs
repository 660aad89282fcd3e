//! `vm_vulnerabilities`: the catalogue of vulnerability definitions, as each tenant sees it.

use pipeline::Window;

use super::{About, Endpoint, Paging, Request, VM_PAGE, float, instant, int, list, text, time, truth};
use crate::normalize::{Field, Kind, RecordShape};

pub(super) fn endpoint() -> Endpoint {
    let shape =
        RecordShape { dataset: "vm_vulnerabilities", fields: fields(), key: &["id"], has_versions: false };
    let about = About {
        page_size: 500,
        cursor: Some("modified"),
        by_change: true,
        ordered_by: Some("id"),
        ..About::snapshot(
            "vm_vulnerabilities",
            "vm",
            "POST /vm/v4/integration/vulnerabilities",
            "the catalogue of vulnerabilities with severity, CVSS, exploits and references",
        )
    };
    let request = Request {
        path: "/vm/v4/integration/vulnerabilities",
        query: |_| vec![("sort", "id,asc".to_owned())],
        body: Some(body),
        accept_version: None,
        paging: Paging::Cursor,
        longest_window: None,
    };
    Endpoint { datasets: vec![about.dataset(&shape)], shape, child: None, page: VM_PAGE, request }
}

fn body(window: Option<Window>) -> String {
    match window {
        None => "{}".to_owned(),
        Some(window) => format!(r#"{{"vulnerability":"modified > {}"}}"#, instant(window.since)),
    }
}

fn fields() -> Vec<Field> {
    let exploit = ["id", "name", "description", "rank", "skill_level", "source"].map(text).to_vec();
    let malware_kit = ["name", "description", "popularity"].map(text).to_vec();
    let link = ["href", "id", "rel", "source"].map(text).to_vec();
    let mut fields = ["id", "title", "description", "categories", "cves", "references"].map(text).to_vec();
    fields.extend(["added", "modified", "published"].map(time));
    fields.extend([text("severity"), int("severity_score"), float("risk_score"), truth("denial_of_service")]);
    fields.extend(cvss_v2());
    fields.extend(cvss_v3());
    fields.extend([float("pci_cvss_score"), int("pci_severity_score"), truth("pci_fail")]);
    fields.extend([text("pci_status"), text("pci_special_notes")]);
    fields.push(list("exploits", Kind::Struct(exploit)));
    fields.push(list("malware_kits", Kind::Struct(malware_kit)));
    fields.push(list("links", Kind::Struct(link)));
    fields
}

fn cvss_v2() -> Vec<Field> {
    let mut fields = vec![text("cvss_v2_vector")];
    fields.extend(["cvss_v2_score", "cvss_v2_exploit_score", "cvss_v2_impact_score"].map(float));
    fields.extend(["cvss_v2_access_vector", "cvss_v2_access_complexity", "cvss_v2_authentication"].map(text));
    fields.extend(
        ["cvss_v2_confidentiality_impact", "cvss_v2_integrity_impact", "cvss_v2_availability_impact"]
            .map(text),
    );
    fields
}

fn cvss_v3() -> Vec<Field> {
    let mut fields = vec![text("cvss_v3_vector")];
    fields.extend(["cvss_v3_score", "cvss_v3_exploit_score", "cvss_v3_impact_score"].map(float));
    fields.extend(
        ["cvss_v3_attack_vector", "cvss_v3_attack_complexity", "cvss_v3_privileges_required"].map(text),
    );
    fields.extend(["cvss_v3_user_interaction", "cvss_v3_scope"].map(text));
    fields.extend(
        ["cvss_v3_confidentiality_impact", "cvss_v3_integrity_impact", "cvss_v3_availability_impact"]
            .map(text),
    );
    fields
}

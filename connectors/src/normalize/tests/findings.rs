//! Records inside records: each takes its parent's key, shares its parent's fate, and is counted.

use pipeline::batch::Counts;
use serde_json::json;

use super::{Reading, rows};

/// Reads pages of assets; the last has to yield these findings and counts.
fn check(pages: &[&str], findings: &[[&str; 3]], counts: [u64; 3]) {
    let mut reading = Reading::of_assets();
    let mut last = None;
    for page in pages {
        last = Some(reading.page(page));
    }
    let last = last.expect("a page");
    let found = rows(&last.records[1]);
    let found: Vec<_> = found.iter().map(|row| json!([row["asset"], row["change"], row["check"]])).collect();
    let expected: Vec<_> = findings.iter().map(|finding| json!(finding)).collect();
    assert_eq!(found, expected, "{pages:?}");
    let [read, duplicates, rejects] = counts;
    let counts = Counts { changed: 0, ..last.counts[1].1 };
    assert_eq!(counts, Counts { read, duplicates, rejects, ..Counts::default() }, "{pages:?}");
}

#[test]
fn a_finding_takes_its_assets_key_and_its_lists_name() {
    let one = r#"{"new":[{"check":"x"}],"same":[{"check":"y"},{"check":"x"}],"id":"a"}"#;
    check(&[one], &[["a", "new", "x"], ["a", "same", "y"], ["a", "same", "x"]], [3, 0, 0]);
    let escaped = r#"{"n\u0065w":[{"check":"x"}],"id":"\u0061"}"#;
    check(&[escaped], &[["a", "new", "x"]], [1, 0, 0]);
    check(&[r#"{"id":"a","new":null,"same":[]}"#], &[], [0, 0, 0]);
    // What calls itself the asset's key is not it.
    check(
        &[r#"{"id":"a","new":[{"check":"x","$asset":"b","$change":"old"}]}"#],
        &[["a", "new", "x"]],
        [1, 0, 0],
    );
}

#[test]
fn a_finding_is_kept_once_for_its_asset() {
    let twice = r#"{"id":"a","new":[{"check":"x","port":1},{"check":"x","port":1},{"check":"x"}]}"#;
    check(&[twice], &[["a", "new", "x"], ["a", "new", "x"]], [3, 1, 0]);
    let other = r#"{"id":"a","new":[{"check":"x"}]},{"id":"b","new":[{"check":"x"}]}"#;
    check(&[other], &[["a", "new", "x"], ["b", "new", "x"]], [2, 0, 0]);
}

#[test]
fn completeness_a_repeated_assets_findings_are_duplicates() {
    let asset = r#"{"id":"a","new":[{"check":"x"},{"check":"y","port":"?"}]}"#;
    let next = r#"{"id":"b","new":[{"check":"x"}]}"#;
    check(&[asset], &[["a", "new", "x"]], [2, 0, 1]);
    check(&[asset, &format!("{asset},{next}")], &[["b", "new", "x"]], [3, 2, 0]);
}

#[test]
fn completeness_a_changed_asset_takes_its_findings_along() {
    let asset = r#"{"id":"a","new":[{"check":"x"}]}"#;
    let grown = r#"{"id":"a","new":[{"check":"x"},{"check":"z"},7]}"#;
    let mut reading = Reading::of_assets();
    reading.page(asset);
    let decoded = reading.page(&format!("{grown},{asset}"));
    let told: Vec<_> = decoded.rejects.iter().map(|reject| (reject.dataset, reject.raw.as_str())).collect();
    assert_eq!(told, [("assets", grown), ("findings", grown)], "its findings are in its raw text");
    let counts = [0, 1].map(|at| decoded.counts[at].1);
    assert_eq!(counts[0], Counts { read: 2, duplicates: 1, rejects: 1, ..Counts::default() });
    assert_eq!(counts[1], Counts { read: 2, duplicates: 1, rejects: 1, changed: 1, ..Counts::default() });
    // And only once, however often it comes.
    let decoded = reading.page(&format!("{grown},{grown}"));
    assert!(decoded.rejects.is_empty());
    assert_eq!(decoded.counts[1].1, Counts { read: 2, duplicates: 2, ..Counts::default() });
}

/// Whether it fits or not, and whether the one before it did.
#[test]
fn completeness_what_an_asset_shows_when_it_comes_again_is_nowhere_dropped() {
    let of = |size: &str, check: &str| format!(r#"{{"size":{size},"id":"a","new":[{{"check":"{check}"}}]}}"#);
    for first in ["1", r#""large""#] {
        for second in ["1", "2", r#""large""#, r#""huge""#] {
            let (one, other) = (of(first, "x"), of(second, "y"));
            let mut reading = Reading::of_assets();
            assert_eq!(rows(&reading.page(&one).records[1]).len(), 1, "{first}");
            let decoded = reading.page(&other);
            assert!(rows(&decoded.records[1]).is_empty(), "{first} {second}");
            let aside: Vec<_> = decoded.rejects.iter().filter(|it| it.dataset == "findings").collect();
            assert_eq!(aside.len(), 1, "{first} {second}");
            assert_eq!((aside[0].raw.as_str(), &aside[0].within), (other.as_str(), &None));
            let again = reading.page(&format!("{other},{one}"));
            assert!(again.rejects.is_empty(), "{first} {second}: {:?}", again.rejects);
        }
    }
}

#[test]
fn completeness_findings_that_differ_in_anything_are_all_kept() {
    let findings = [
        r#"{"check":"x","port":1,"at":"2025-01-01"}"#,
        r#"{"check":"x","port":1,"at":"2025-01-02"}"#,
        r#"{"check":"x","port":1,"at":"2025-01-01","solution":"a"}"#,
        r#"{"check":"x","port":1,"at":"2025-01-01","solution":"b"}"#,
    ];
    let once = findings.join(",");
    let page = format!(r#"{{"id":"a","new":[{once},{}],"same":[{}]}}"#, findings[1], findings[0]);
    let x = |list| ["a", list, "x"];
    check(&[&page], &[x("new"), x("new"), x("new"), x("new"), x("same")], [6, 1, 0]);
}

#[test]
fn completeness_findings_of_an_asset_that_does_not_fit_are_kept() {
    let bad =
        r#"{"size":"large","new":[{"check":"x"},{"check":"x"}],"id":"a","same":[{"check":"x","port":"?"}]}"#;
    let next = r#"{"id":"b","new":[{"check":"x"}]}"#;
    let both = [["a", "new", "x"], ["b", "new", "x"]];
    check(&[&format!("{bad},{next}")], &both, [4, 1, 1]);
    check(&[bad, &format!("{bad},{next}")], &both[1..], [4, 3, 0]);
    let decoded = Reading::of_assets().page(bad);
    let told = decoded.rejects.iter().map(|it| (it.dataset, it.within.as_ref().map(|it| it.key.as_str())));
    assert_eq!(told.collect::<Vec<_>>(), [("assets", None), ("findings", Some("a"))]);
    // What is no list of findings holds what does not fit.
    check(&[r#"{"id":"a","new":{"check":"x"}}"#], &[["a", "new", "x"]], [1, 0, 0]);
    check(&[r#"{"id":"a","new":"x"}"#], &[], [1, 0, 1]);
    // The asset came as it should later: what stands in it now is in its raw text, whichever came first.
    let good = bad.replace(r#""large""#, "1");
    check(&[bad, &good], &[], [1, 0, 1]);
    check(&[&good, bad], &[], [1, 0, 1]);
}

#[test]
fn completeness_findings_of_an_asset_without_a_key_are_set_aside_with_it() {
    for bad in [r#"{"new":[{"check":"x"},{"check":"y"}]}"#, r#"{"id":[],"same":[{"check":"x"}]}"#] {
        let decoded = Reading::of_assets().page(bad);
        let told: Vec<_> = decoded.rejects.iter().map(|it| (it.dataset, it.raw.as_str())).collect();
        assert_eq!(told, [("assets", bad), ("findings", bad)]);
        check(&[bad], &[], [1, 0, 1]);
        check(&[bad, bad], &[], [1, 1, 0]);
    }
    check(&[r#"{"new":[],"size":1}"#], &[], [0, 0, 0]);
    check(&["7"], &[], [0, 0, 0]);
    // Where none are looked for some may stand all the same.
    for bad in [r#"[{"id":"a","new":[{"check":"x"}]}]"#, r#"{"asset":{"id":"a","new":[{"check":"x"}]}}"#] {
        check(&[bad], &[], [1, 0, 1]);
        check(&[bad, bad], &[], [1, 1, 0]);
    }
}

#[test]
fn an_empty_text_is_no_list_of_findings() {
    let page = r#"{"id":"a","new":"","same":[{"check":"x"}]}"#;
    check(&[page], &[["a", "same", "x"]], [1, 0, 0]);
    let decoded = Reading::of_assets().page(page);
    assert_eq!(rows(&decoded.records[0])[0]["extra"], json!({"new": ""}));
    check(
        &[r#"{"size":"large","id":"a","new":"","same":[{"check":"x"}]}"#],
        &[["a", "same", "x"]],
        [1, 0, 0],
    );
}

#[test]
fn a_misfit_finding_is_set_aside_alone() {
    for (finding, column) in [
        (r#"{"check":"y","port":"?"}"#, "port"),
        (r#"{"check":["y"]}"#, "check"),
        (r#"{"check":"\ud83d"}"#, "check"),
        ("7", ""),
    ] {
        let page = format!(r#"{{"id":"a","new":[{{"check":"x"}},{finding},{{"check":"z"}}]}}"#);
        check(&[&page], &[["a", "new", "x"], ["a", "new", "z"]], [3, 0, 1]);
        let decoded = Reading::of_assets().page(&page);
        assert_eq!(decoded.counts[0].1, Counts { read: 1, ..Counts::default() });
        let reject = &decoded.rejects[0];
        assert_eq!(
            (reject.dataset, reject.column.as_str(), reject.raw.as_str()),
            ("findings", column, finding)
        );
    }
}

#[test]
fn a_list_may_be_a_single_object() {
    let decoded = Reading::of_assets().page(
        r#"{"id":"a","ids":{"id":"1","source":"s"}},{"id":"b","ids":[{"id":"2","more":0},{"source":"t"}]}"#,
    );
    let rows = rows(&decoded.records[0]);
    assert_eq!(rows[0]["ids"], json!([{"id": "1", "source": "s"}]));
    assert_eq!(rows[1]["ids"], json!([{"id": "2", "source": null}, {"id": null, "source": "t"}]));
    assert_eq!(rows[1]["extra"], json!({"ids[0].more": 0}));
}

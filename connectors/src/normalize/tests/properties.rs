//! Properties: any record becomes the row that the model says, and any damage is noticed and leaves nothing.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::model;
use super::{NotJson, PageError, Reading, TENANT, rows, shape};

/// Names that no shape has, some of them a nuisance.
fn unknown_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        Just("the \"other\"".to_owned()),
        Just("tab\there".to_owned()),
        Just("größe😀".to_owned())
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof!["[a-z]{0,6}", "\\PC{0,8}", "[\"\\\\/\u{0}-\u{1f}😀]{0,5}"].prop_map(Value::String)
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        text(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map(unknown_name(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn spelled_text() -> impl Strategy<Value = Value> {
    prop_oneof![4 => text(), 1 => any::<i64>().prop_map(|number| json!(number)), 1 => any::<bool>().prop_map(Value::Bool)]
}

fn instant() -> impl Strategy<Value = Value> {
    let real = (0_i64..4_000_000_000_000_000).prop_map(|micros| {
        let time = chrono::DateTime::from_timestamp_micros(micros).expect("in range");
        json!(time.to_rfc3339())
    });
    prop_oneof![6 => real, 1 => Just(json!("2000-01-00T00:00:00.000Z"))]
}

/// Members of the names given, each absent, null or a value, with unknown ones among them.
fn object(known: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let known: Vec<_> = known
        .into_iter()
        .map(|(name, value)| {
            let value = prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 6 => value.prop_map(Some)];
            value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        })
        .collect();
    let unknown = option::weighted(0.4, btree_map(unknown_name(), anything(), 0..3));
    (known, unknown)
        .prop_map(|(known, unknown)| {
            known.into_iter().flatten().chain(unknown.into_iter().flatten()).collect()
        })
        .boxed()
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    let number = || any::<i64>().prop_map(|number| json!(number)).boxed();
    let who = object(vec![
        ("name", spelled_text().boxed()),
        ("id", Just(json!(TENANT)).boxed()),
        ("since", instant().boxed()),
    ]);
    let link = object(vec![("href", text().boxed()), ("rank", number())]).prop_map(Value::Object);
    let links = prop_oneof![vec(link.clone(), 0..3).prop_map(Value::Array), link];
    object(vec![
        ("rrn", "[a-z]{1,5}".prop_map(|name| json!(format!("rrn:case:us:{TENANT}:case:{name}"))).boxed()),
        ("organization_id", Just(json!(TENANT.to_uppercase())).boxed()),
        ("asset", "[0-9]{1,3}".prop_map(|number| json!(format!("{TENANT}-default-asset-{number}"))).boxed()),
        ("count", number()),
        ("score", any::<i32>().prop_map(|number| json!(f64::from(number) / 4.0)).boxed()),
        ("isOpen", any::<bool>().prop_map(Value::Bool).boxed()),
        ("at", instant().boxed()),
        ("raw", anything().boxed()),
        (
            "tags",
            prop_oneof![
                vec(prop_oneof![4 => spelled_text(), 1 => Just(Value::Null)], 0..4).prop_map(Value::Array),
                text()
            ]
            .boxed(),
        ),
        ("who", who.prop_map(Value::Object).boxed()),
        ("links", links.boxed()),
    ])
}

/// A page of assets that is good, whose keys no other number shares.
fn good_page(number: u32) -> String {
    let finding = |check: &str| {
        format!(r#"{{"check":"{check}","port":443,"at":"2025-03-01T10:00:00Z","proof":"a\nb"}}"#)
    };
    let asset = |at: &str| {
        format!(
            r#"{{"id":"{number}-{at}","ids":[{{"id":"x","source":"\u00e4"}}],"new":[{},{}],"same":[{}],"size":7,"more":{{"a":[1,null]}}}}"#,
            finding("one"),
            finding("two"),
            finding("one"),
        )
    };
    format!(r#"{{"data":[{},{}],"metadata":{{"total":2,"cursor":"n"}}}}"#, asset("a"), asset("b"))
}

#[derive(Debug, Clone)]
enum Damage {
    Replace(u8),
    Insert(u8),
    Remove(usize),
    Cut,
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let byte = || prop_oneof![prop::sample::select(&b"{}[]\",:\\0-9.eun \n\x00\xff"[..]), any::<u8>()];
    let damage = prop_oneof![
        3 => byte().prop_map(Damage::Replace),
        3 => byte().prop_map(Damage::Insert),
        3 => (1_usize..40).prop_map(Damage::Remove),
        1 => Just(Damage::Cut),
    ];
    (any::<prop::sample::Index>(), damage)
}

fn damaged(page: &str, damages: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    let mut bytes = page.as_bytes().to_vec();
    for (at, damage) in damages.iter().filter(|_| !page.is_empty()) {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match damage {
            Damage::Replace(byte) => bytes[at] = *byte,
            Damage::Insert(byte) => bytes.insert(at, *byte),
            Damage::Remove(count) => drop(bytes.drain(at..bytes.len().min(at + count))),
            Damage::Cut => bytes.truncate(at),
        }
    }
    bytes
}

fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Reads a page that may be bad between two good ones, and compares with a reading that never met it.
fn check_between(body: &[u8]) -> Result<(), TestCaseError> {
    let (mut reading, mut undisturbed) = (Reading::of_assets(), Reading::of_assets());
    let first = good_page(1);
    for reading in [&mut reading, &mut undisturbed] {
        reading.decode(first.as_bytes()).expect("a good page");
        reading.take();
    }
    match reading.decode(body) {
        Ok(_) => {
            prop_assert!(is_json(body), "{}", String::from_utf8_lossy(body));
            reading.take();
        }
        Err(error) => {
            prop_assert_eq!(matches!(error, PageError::Syntax { .. }), !is_json(body));
            let nothing = reading.take();
            prop_assert!(nothing.records.iter().all(|records| records.num_rows() == 0));
            prop_assert!(nothing.rejects.is_empty());
            let (second, repeated) = (good_page(2), good_page(1));
            for page in [second, repeated] {
                let facts = [reading.decode(page.as_bytes()), undisturbed.decode(page.as_bytes())];
                prop_assert_eq!(&facts[0], &facts[1]);
                let (got, expected) = (reading.take(), undisturbed.take());
                prop_assert_eq!(&got.records, &expected.records);
                prop_assert_eq!(&got.counts, &expected.counts);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn completeness_a_record_is_its_columns_and_extra(
        records in vec(record(), 1..6),
        spelling in any::<u64>(),
    ) {
        let fields = shape().fields;
        let mut records = records;
        for (at, record) in records.iter_mut().enumerate() {
            record.insert("id".to_owned(), json!(format!("{at}")));
        }
        let page = json!({"data": records, "metadata": {"total": records.len(), "last": true}});
        let mut reading = Reading::of_records();
        let facts = reading.decode(model::spell(&page, spelling).as_bytes()).expect("a good page");
        prop_assert_eq!((facts.rows, facts.fresh, facts.total), (records.len() as u64, records.len() as u64, Some(records.len() as u64)));
        let decoded = reading.take();
        prop_assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
        let expected: Vec<_> = records.iter().map(|record| model::row(&fields, record)).collect();
        prop_assert_eq!(rows(&decoded.records[0]), expected);
    }

    #[test]
    fn completeness_a_damaged_page_is_noticed_or_counted(damages in vec(damage(), 1..4)) {
        check_between(&damaged(&good_page(3), &damages))?;
    }

    #[test]
    fn arbitrary_bytes_are_no_page(bytes in vec(any::<u8>(), 0..80)) {
        check_between(&bytes)?;
    }

    #[test]
    fn completeness_what_is_read_is_kept_dropped_or_set_aside(
        rows in vec((0_u8..4, any::<bool>(), vec((0_u8..3, any::<bool>()), 0..4)), 0..8),
        pages in 1_usize..3,
    ) {
        let finding = |(check, fits): &(u8, bool)| if *fits { json!({"check": check}) } else { json!({"check": check, "port": {}}) };
        let asset = |(id, fits, found): &(u8, bool, Vec<(u8, bool)>)| {
            let found: Vec<_> = found.iter().map(finding).collect();
            json!({"new": found, "ids": {"id": "half"}, "id": id, "same": found, "size": if *fits { json!(1) } else { json!("x") }})
        };
        let page = json!(rows.iter().map(asset).collect::<Vec<_>>()).to_string();
        let mut reading = Reading::of_assets();
        for _ in 0..pages {
            let facts = reading.decode(page.as_bytes()).expect("a good page");
            prop_assert_eq!(facts.rows, rows.len() as u64);
            // Every count is compared with what there is as it is taken out.
            let decoded = reading.take();
            prop_assert_eq!(decoded.counts[0].1.read, rows.len() as u64);
            let ids = super::rows(&decoded.records[0]);
            let half = json!([{"id": "half", "source": null}]);
            prop_assert!(ids.iter().all(|row| row["ids"] == half));
        }
    }
}

#[test]
fn completeness_a_record_that_does_not_fit_is_json_to_its_last_name() {
    let page = |name: &str| {
        format!(r#"[{{"id":"a","size":"x","{name}":1}},{{"id":"b","size":"x","ids":[{{"{name}":1}}]}}]"#)
    };
    for name in ["check", "\\u0063heck", "\\heck", "\\u00zz"] {
        check_between(page(name).as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn completeness_a_page_cut_anywhere_is_an_error() {
    let page = good_page(4);
    let mut reading = Reading::of_assets();
    for cut in 0..page.len() {
        let error = reading.decode(&page.as_bytes()[..cut]).expect_err("half a page");
        let PageError::Syntax { what, .. } = error else { panic!("cut at {cut}: {error}") };
        let expected = if cut == 0 { NotJson::Empty } else { NotJson::CutShort(cut) };
        assert_eq!(what, expected, "cut at {cut}");
    }
    assert_eq!(reading.decode(page.as_bytes()).map(|facts| facts.fresh), Ok(2));
    assert_eq!(reading.take().counts[1].1.read, 6);
}

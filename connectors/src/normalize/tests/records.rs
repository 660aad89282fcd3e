//! Single records: what fits, what is made to fit, and what is set aside.

use arrow::array::AsArray;
use serde_json::{Value, json};

use super::{Reading, rows};

/// Reads a record of these members; it has to be set aside for this column and reason.
fn check_misfit(members: &str, column: &str, reason: &str) {
    let mut reading = Reading::of_records();
    let record = format!(r#"{{"id":"misfit",{members}}}"#);
    let good = r#"{"id":"before","tags":["a"],"who":{"name":"b"},"links":[{"href":"c"}]}"#;
    let after = good.replace("before", "after");
    let decoded = reading.page(&format!("{good}, {record} ,{after}"));
    assert_eq!(decoded.rejects.len(), 1, "{record}");
    let reject = &decoded.rejects[0];
    assert_eq!((reject.dataset, reject.column.as_str()), ("records", column), "{record}");
    assert!(reject.reason.contains(reason), "{record}: {}", reject.reason);
    assert_eq!(reject.raw, record);
    let [mut first, mut last] = rows(&decoded.records[0]).try_into().expect("two rows");
    assert_eq!((first.remove("id"), last.remove("id")), (Some(json!("before")), Some(json!("after"))));
    assert_eq!(first, last, "nothing of the misfit is left in its neighbours: {record}");
}

#[test]
fn a_misfit_is_set_aside_and_leaves_nothing() {
    for (members, column, reason) in [
        (r#""count":"7""#, "count", "a whole number was expected, and text came"),
        (r#""count":1.5"#, "count", "64 bits"),
        (r#""count":9223372036854775808"#, "count", "64 bits"),
        (r#""count":1e300"#, "count", "64 bits"),
        (r#""count":[1]"#, "count", "a list came"),
        (r#""score":"high""#, "score", "a number was expected"),
        (r#""score":1e999"#, "score", "too large"),
        (r#""isOpen":"true""#, "open", "true or false was expected, and text came"),
        (r#""isOpen":0"#, "open", "a number came"),
        (r#""at":"yesterday""#, "at", "an instant was expected"),
        (r#""at":true"#, "at", "an instant was expected, and true or false came"),
        (r#""at":1e300"#, "at", "the number is none"),
        (r#""at":9223372036854775808"#, "at", "the number is none"),
        (r#""at":-99999999999"#, "at", "the number is none"),
        (r#""rrn":{}"#, "rrn", "text was expected, and an object came"),
        (r#""tags":["a",["b"]]"#, "tags[1]", "text was expected, and a list came"),
        (r#""tags":{"a":1}"#, "tags[0]", "an object came"),
        (r#""who":"Ann""#, "who", "an object was expected, and text came"),
        (r#""who":{"name":"Ann","since":{}}"#, "who.since", "an instant was expected"),
        (r#""who":{"since":"2025-01-01","name":["Ann"]}"#, "who.name", "a list came"),
        (r#""links":[{"href":"x","rank":1},{"href":"y","rank":"z"}]"#, "links[1].rank", "text came"),
        (r#""links":[{"href":"x"},7]"#, "links[1]", "an object was expected"),
        (r#""count":1,"count":1"#, "count", "stands twice"),
        (r#""who":{"name":"a","n\u0061me":"b"}"#, "who.name", "stands twice"),
        (r#""count":0.99999999999999999999"#, "count", "64 bits"),
        (r#""count":9007199254740992.5"#, "count", "64 bits"),
        (r#""at":"2025-03-01T19:00:00[Asia/Tokyo]""#, "at", "names none"),
        (r#""other":1,"other":2"#, "other", "stands twice"),
        (r#""other":1,"oth\u0065r":2"#, "other", "stands twice"),
        (r#""who":{"other":1,"other":2}"#, "who.other", "stands twice"),
        // Both would have one name in the flat object.
        (r#""who.other":1,"who":{"other":2}"#, "who.other", "stands twice"),
        (r#""rrn":"\ud83d""#, "rrn", "half a character"),
        (r#""tags":["fine","\ude00"]"#, "tags[1]", "half a character"),
        (r#""at":"\ud83d""#, "at", "half a character"),
        (r#""raw":{"a":["\ud83d"]}"#, "raw", "half a character"),
        (r#""other":"\ud83d""#, "other", "half a character"),
        (r#""who":{"other":"\ud83d"}"#, "who.other", "half a character"),
        (r#""half \ud83d":1"#, "half \\ud83d", "half a character"),
    ] {
        check_misfit(members, column, reason);
    }
}

#[test]
fn what_is_no_record_or_has_no_key_is_set_aside() {
    for (row, column, reason) in [
        ("7", "", "a record was expected"),
        ("null", "", "a record was expected"),
        (r#"["id"]"#, "", "a record was expected"),
        ("{}", "id", "the key is missing"),
        (r#"{"id":null,"count":1}"#, "id", "the key is missing"),
    ] {
        let mut reading = Reading::of_records();
        let decoded = reading.page(row);
        let reject = decoded.rejects.first().expect("a reject");
        assert_eq!(
            (reject.column.as_str(), reject.reason.as_str(), reject.raw.as_str()),
            (column, reason, row)
        );
        assert_eq!(decoded.records[0].num_rows(), 0);
        let again = reading.page(row);
        assert_eq!((again.rejects.len(), again.counts[0].1.duplicates), (0, 1), "set aside once: {row}");
    }
}

/// Reads a record of these members; a column has to hold this.
fn check_fit(members: &str, column: &str, value: &Value) {
    let decoded = Reading::of_records().page(&format!(r#"{{{members},"id":"it"}}"#));
    assert!(decoded.rejects.is_empty(), "{members}: {:?}", decoded.rejects);
    assert_eq!(rows(&decoded.records[0])[0][column], *value, "{members}");
}

#[test]
fn what_can_be_understood_is() {
    for (members, column, value) in [
        (r#""count":1.0"#, "count", json!(1)),
        (r#""count":-2e3"#, "count", json!(-2000)),
        (r#""count":"""#, "count", Value::Null),
        (r#""count":"""#, "extra", json!({"count": ""})),
        (r#""score":"""#, "score", Value::Null),
        (r#""isOpen":"""#, "open", Value::Null),
        (r#""who":"""#, "who", Value::Null),
        (r#""links":[{"rank":""}]"#, "extra", json!({"links[0].rank": ""})),
        (r#""count":-9223372036854775808"#, "count", json!(i64::MIN)),
        (r#""count":9007199254740993.0"#, "count", json!(9_007_199_254_740_993_i64)),
        (r#""count":9223372036854775807"#, "count", json!(i64::MAX)),
        (r#""score":3"#, "score", json!(3.0)),
        (r#""score":1e-400"#, "score", json!(0.0)),
        (r#""rrn":12345678901234567890123"#, "rrn", json!("12345678901234567890123")),
        (r#""rrn":1.50"#, "rrn", json!("1.50")),
        (r#""rrn":false"#, "rrn", json!("false")),
        (r#""rrn":"""#, "rrn", json!("")),
        (r#""rrn":null"#, "rrn", Value::Null),
        (r#""tags":"one""#, "tags", json!(["one"])),
        (r#""tags":[]"#, "tags", json!([])),
        (r#""tags":null"#, "tags", Value::Null),
        (r#""tags":[null,1]"#, "tags", json!([null, "1"])),
        (r#""links":{"href":"x"}"#, "links", json!([{"href": "x", "rank": null}])),
        (r#""links":[null]"#, "links", json!([null])),
        (r#""who":{}"#, "who", json!({"name": null, "organization": null, "since": null})),
        (r#""who":null"#, "who", Value::Null),
        (r#""raw":{"b": 1.10}"#, "raw", json!({"b": 1.1})),
        (r#""at":1740823200"#, "at", json!(1_740_823_200_000_000_i64)),
        (r#""at":1740823200123"#, "at", json!(1_740_823_200_123_000_i64)),
        (r#""at":1740823200123456"#, "at", json!(1_740_823_200_123_456_i64)),
        (r#""at":1740823200.5"#, "at", json!(1_740_823_200_500_000_i64)),
        (r#""at":"1740823200""#, "at", json!(1_740_823_200_000_000_i64)),
        (r#""at":"2025-03-01 10:00:00 UTC""#, "at", json!(1_740_823_200_000_000_i64)),
        (r#""at":"2025-03-01 10:00:00+00:00""#, "at", json!(1_740_823_200_000_000_i64)),
        (r#""at":"""#, "at", Value::Null),
        (r#""\u0063ount":5"#, "count", json!(5)),
    ] {
        check_fit(members, column, &value);
    }
}

#[test]
fn unknown_members_are_the_same_in_any_order_and_with_any_white_space() {
    let text = |page: &str| {
        let mut reading = Reading::of_records();
        let page = reading.page(page);
        let extra = page.records[0].column_by_name("extra").expect("a column");
        extra.as_string::<i32>().value(0).to_owned()
    };
    let expected = r#"{"b":{"x":[1,"a \\\" b"],"y":{ }},"c":"d  e","z":null}"#.replace("{ }", "{}");
    for record in [
        r#"{"id":"a","b":{"x":[1,"a \\\" b"],"y":{}},"c":"d  e","z":null}"#,
        r#"{"z": null, "c" : "d  e", "id":"a","b": { "x" : [ 1 , "a \\\" b" ] , "y" : { } } }"#,
    ] {
        assert_eq!(text(record), expected);
    }
}

#[test]
fn completeness_what_no_column_holds_is_in_extra() {
    for (members, extra) in [
        (r#""a":1,"b":{"c":[null]}"#, json!({"a": 1, "b": {"c": [null]}})),
        (r#""who":{"name":"Ann","mail":"x"}"#, json!({"who.mail": "x"})),
        (r#""links":[{"href":"x"},{"title":"y"}]"#, json!({"links[1].title": "y"})),
        (r#""links":{"title":"y"}"#, json!({"links[0].title": "y"})),
        (r#""say \"it\"":{"\\":"\""}"#, json!({"say \"it\"": {"\\": "\""}})),
        (r#""who":{"a\"b":1}"#, json!({"who.a\"b": 1})),
        (r#""at":"2000-01-00T00:00:00.000Z""#, json!({"at": "2000-01-00T00:00:00.000Z"})),
        (r#""at":"0000-01-01T00:00:00Z""#, json!({"at": "0000-01-01T00:00:00Z"})),
        (r#""who":{"since":"0000-00-00"}"#, json!({"who.since": "0000-00-00"})),
        (r#""at":"""#, json!({"at": ""})),
        (r#""ID":"other letters","open":true"#, json!({"ID": "other letters", "open": true})),
        (r#""count":1"#, Value::Null),
    ] {
        check_fit(members, "extra", &extra);
    }
}

#[test]
fn half_a_character_costs_its_own_record_alone() {
    let half = r#"{"id":"half","count":"?","other":"\ud83d"}"#;
    let next = r#"{"id":"next","other":"whole"}"#;
    let decoded = Reading::of_records().page(&format!("{half},{next}"));
    assert_eq!((decoded.rejects.len(), decoded.records[0].num_rows()), (1, 1), "{:?}", decoded.rejects);
    let asset = r#"{"id":"a","new":[{"check":"x","port":"?","other":"\ud83d"}],"other":"whole"}"#;
    let decoded = Reading::of_assets().page(asset);
    assert_eq!((decoded.rejects[0].dataset, decoded.records[0].num_rows()), ("findings", 1));
}

#[test]
fn nesting_too_deep_costs_its_own_record_alone() {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (member, column, depth) in [("other", "other", 70), ("raw", "raw", 100_000)] {
        let record = format!(r#"{{"id":"deep","{member}":{}}}"#, deep(depth));
        let decoded =
            Reading::of_records().page(&format!(r#"{record},{{"id":"next","other":{}}}"#, deep(60)));
        assert_eq!(decoded.records[0].num_rows(), 1, "{member}");
        let reject = &decoded.rejects[0];
        assert_eq!((reject.column.as_str(), reject.raw.as_str()), (column, record.as_str()));
        assert_eq!(reject.reason, "the value is nested too deeply");
    }
    let asset = format!(r#"{{"id":"a","new":[{{"check":"x","other":{}}},{{"check":"y"}}]}}"#, deep(70));
    let decoded = Reading::of_assets().page(&asset);
    assert_eq!((decoded.rejects[0].dataset, decoded.records[1].num_rows()), ("findings", 1));
}

#[test]
fn what_is_wrong_with_the_envelope_costs_no_record() {
    let page = r#"{"links":["\ud83d"],"data":[{"id":"a","other":1}]}"#;
    let mut reading = Reading::of_records();
    reading.decode(page.as_bytes()).expect("a good page");
    assert_eq!(reading.take().records[0].num_rows(), 1);
}

#[test]
fn bounded_a_key_is_no_place_for_a_document() {
    let fits = format!(r#"{{"id":"{}"}}"#, "x".repeat(4000));
    let long = format!(r#"{{"id":"{}","new":[{{}}]}}"#, "x".repeat(5000));
    let decoded = Reading::of_assets().page(&format!("{fits},{long}"));
    assert_eq!((decoded.records[0].num_rows(), decoded.records[1].num_rows()), (1, 0));
    assert_eq!(decoded.rejects[0].reason, "the key is too long");
}

#[test]
fn a_record_is_kept_once() {
    let mut reading = Reading::of_records();
    let first = reading.page(r#"{"id":"a"},{"id":"b"},{"id":"a"}"#);
    assert_eq!((first.records[0].num_rows(), first.counts[0].1.duplicates), (2, 1));
    let second = reading.page(r#"{"id":"b"},{"id":"c","who":{"name":"new"}}"#);
    let rows = rows(&second.records[0]);
    assert_eq!((rows.len(), &rows[0]["id"], &rows[0]["count"]), (1, &json!("c"), &Value::Null));
}

#[test]
fn completeness_a_record_that_comes_again_changed_is_set_aside() {
    let mut reading = Reading::of_records();
    let first = reading.page(r#"{"id":"a","count":1},{"id":"a","count":2}"#);
    assert_eq!(rows(&first.records[0])[0]["count"], json!(1), "what was read first stands");
    let [reject] = &first.rejects[..] else { panic!("{:?}", first.rejects) };
    assert_eq!(reject.raw, r#"{"id":"a","count":2}"#);
    assert!(reject.reason.contains("read before"), "{}", reject.reason);
    // Another walk over the listing shows the same two: nothing is new, and nothing is set aside twice.
    let again = reading.page(r#"{"id":"a","count":1},{"id":"a","count":2}"#);
    assert_eq!((again.records[0].num_rows(), again.rejects.len(), again.counts[0].1.duplicates), (0, 0, 2));
    let third = reading.page(r#"{"id":"a","count":3}"#);
    assert_eq!(third.rejects.len(), 1, "each content is kept");
}

#[test]
fn members_in_any_order_find_their_columns() {
    let mut reading = Reading::of_records();
    let decoded = reading.page(
        r#"{"id":"1","count":1,"score":1,"tags":["a"]},{"tags":["b"],"score":2,"id":"2","count":2},{"score":3,"x":0,"id":"3"},{"id":"4","count":4,"score":4}"#,
    );
    let rows = rows(&decoded.records[0]);
    let told: Vec<_> =
        rows.iter().map(|row| json!([row["id"], row["count"], row["score"], row["tags"]])).collect();
    assert_eq!(
        told,
        [
            json!(["1", 1, 1.0, ["a"]]),
            json!(["2", 2, 2.0, ["b"]]),
            json!(["3", null, 3.0, null]),
            json!(["4", 4, 4.0, null])
        ]
    );
}

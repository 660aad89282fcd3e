//! Pages: their envelope, what they say of the listing, and when they are not taken.

use super::{NotJson, Order, PageError, PageFacts, Reading};

#[test]
fn completeness_what_is_no_whole_page_is_not_taken() {
    for (page, error) in [
        ("", "no whole JSON document: it is empty"),
        (" \n", "no whole JSON document: it is empty"),
        ("\n<html>Bad gateway</html>", "no whole JSON document: it is HTML"),
        (r#"{"data":[{"id":NaN}]}"#, "no whole JSON document: what stands at byte 15 is no JSON"),
        (r#"{"data":[{"id":tr"#, "no whole JSON document: it breaks off after 17 bytes"),
        ("7", "no list `data`"),
        ("{}", "no list `data`"),
        (r#"{"data":null}"#, "no list `data`"),
        (r#"{"data":{"id":"a"}}"#, "no list `data`"),
        (r#"{"message":"Unauthorized"}"#, "no list `data`"),
        (r#"{"data":[]} x"#, "no whole JSON document"),
        (r#"{"data":[],"data":[]}"#, "the list `data` twice"),
        (r#"{"data":[{"id":"a"},]}"#, "no whole JSON document"),
        (r#"{"data":[{"id":"a"}],"metadata":{"total":01}}"#, "no whole JSON document"),
        ("{\"data\":[{\"id\":\"a\nb\"}]}", "no whole JSON document"),
        (r#"{"data":[{"id":"\x"}]}"#, "no whole JSON document"),
        (r#"{"data":[{"\x":1,"id":"a"}]}"#, "no whole JSON document"),
        (r#"{"data":[{"id":"a","count":1.}]}"#, "no whole JSON document"),
        (r#"{"data":[{"id":"a"}],"failures":["eu"]}"#, "a part of it is missing (`failures`)"),
        (r#"{"failures":{"eu":1},"data":[{"id":"a"}]}"#, "a part of it is missing (`failures`)"),
        (r#"{"data":[{"id":"a"}],"errors":[{"message":"x"}]}"#, "a part of it is missing (`errors`)"),
        (r#"{"errors":"x","data":[{"id":"a"}]}"#, "a part of it is missing (`errors`)"),
        (r#"{"data":[],"error":{"code":500}}"#, "a part of it is missing (`error`)"),
        (r#"{"data":[],"status":"500"}"#, "a part of it is missing (`status`)"),
        (r#"{"data":[],"errorCode":101011}"#, "a part of it is missing (`errorCode`)"),
        (
            r#"{"data":[],"message":"upstream request timeout","status":504}"#,
            "a part of it is missing (`status`)",
        ),
    ] {
        let mut reading = Reading::of_records();
        let result = reading.decode(page.as_bytes()).expect_err(page);
        assert!(result.to_string().contains(error), "{page}: {result}");
        assert_eq!(reading.page(r#"{"id":"a"}"#).records[0].num_rows(), 1, "nothing of it was kept: {page}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_from_a_text_cut_short() {
    for (page, what) in [
        (&b"{\"data\":[{\"id\":\"\xff\"}]}"[..], NotJson::NoText(16)),
        (b"{\"data\":[{\"id\":\"\xe2\x82", NotJson::CutShort(18)),
    ] {
        let error = Reading::of_records().decode(page).expect_err("no UTF-8");
        assert_eq!(error, PageError::Syntax { what, offset: 16 });
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_page() {
    let page = "\u{feff}{\"data\":[{\"id\":\"a\"}]}";
    assert_eq!(Reading::of_records().decode(page.as_bytes()).map(|facts| facts.fresh), Ok(1));
    assert!(Reading::of_records().decode(format!("{page}\u{feff}").as_bytes()).is_err());
}

#[test]
fn a_page_says_what_it_knows_of_the_listing() {
    let facts = |rows, fresh| PageFacts { rows, fresh, distinct: fresh, ..PageFacts::default() };
    for (page, expected) in [
        (r#"[{"id":"a"},{"id":"a"}]"#, facts(2, 1)),
        (r#"[{"id":"a"},{"id":"a","count":1}]"#, facts(2, 1)),
        (
            r#"{"metadata":{"total":3,"last":false,"cursor":"a\/b"},"data":[{"id":"a"}]}"#,
            PageFacts { total: Some(3), last: Some(false), cursor: Some("a/b".to_owned()), ..facts(1, 1) },
        ),
        (
            r#"{"data":[],"metadata":{"total":" 3 ","last":1,"cursor":null,"new":{"total":9}}}"#,
            PageFacts { total: Some(3), ..facts(0, 0) },
        ),
        (r#"{"data":[],"metadata":{"total":3.0}}"#, PageFacts { total: Some(3), ..facts(0, 0) }),
        (r#"{"data":[],"metadata":{"total":-3}}"#, facts(0, 0)),
        (r#"{"data":[],"metadata":{"total":"x"}}"#, facts(0, 0)),
        (r#"{"data":[],"metadata":{"total":""}}"#, facts(0, 0)),
        (r#"{"data":[],"metadata":{"total":[3]}}"#, facts(0, 0)),
        (r#"{"data":[],"metadata":null,"failures":[ ],"links":[{"href":"x"}]}"#, facts(0, 0)),
        (
            r#" { "failures" : null , "data" : [ ] , "errors" : { } , "error" : "" , "status" : "OK" , "error_code" : 0 } "#,
            facts(0, 0),
        ),
    ] {
        let facts = Reading::of_records().decode(page.as_bytes());
        let facts = facts.map(|facts| PageFacts { order: Order::default(), ..facts });
        assert_eq!(facts, Ok(expected), "{page}");
    }
}

#[test]
fn a_cursor_that_is_empty_is_none() {
    for cursor in [r#""""#, "null", "7"] {
        let page = format!(r#"{{"data":[],"metadata":{{"cursor":{cursor}}}}}"#);
        let facts = Reading::of_assets().decode(page.as_bytes()).expect("a page");
        assert_eq!(facts.cursor, None, "{cursor}");
    }
}

#[test]
fn completeness_the_order_of_records_is_the_same_however_pages_cut_them() {
    let order = |pages: &[&str]| {
        let mut reading = Reading::of_records();
        let mut order = Order::default();
        for page in pages {
            order.append(reading.decode(page.as_bytes()).expect("a page").order);
        }
        order
    };
    let whole = order(&[r#"[{"id":"a"},{"id":"b"},{"id":[]},{"id":"a"}]"#]);
    assert_eq!(order(&[r#"[ {"id":"a"} ]"#, r#"[{"id":"b"} , {"id":[]},{"id":"a"}]"#]), whole);
    assert_ne!(order(&[r#"[{"id":"a"},{"id":[]},{"id":"b"},{"id":"a"}]"#]), whole);
}

#[test]
fn completeness_a_bad_page_takes_nothing_from_the_one_before() {
    let mut reading = Reading::of_assets();
    let good =
        br#"{"data":[{"id":"a","new":[{"check":"x"}],"size":"wrong"},{"id":"b","new":[{"check":"y"}]}]}"#;
    reading.decode(good).expect("a good page");
    reading.decode(&good[..good.len() - 1]).expect_err("half a page");
    let decoded = reading.take();
    let lengths: Vec<_> = decoded.records.iter().map(arrow::array::RecordBatch::num_rows).collect();
    assert_eq!((lengths, decoded.rejects.len()), (vec![1, 2], 1));
}

//! Isolation: a record that names another organization stops the page, whatever way it is named.

use super::{FOREIGN, PAGE, PageError, PageShape, Reading, TENANT, rows, shape};

/// Reads a record that names an organization in one way.
fn check(member: &str, named: &str, foreign: bool) {
    let member = member.replace("{}", named);
    let mut reading = Reading::of_records();
    let page = format!(r#"{{"data":[{{"id":"mine"}},{{"id":"it",{member}}}]}}"#);
    let result = reading.decode(page.as_bytes());
    if foreign {
        assert_eq!(result, Err(PageError::Foreign(named.to_owned())), "{member}");
        assert_eq!(reading.take().records[0].num_rows(), 0, "{member}");
        assert_eq!(reading.page(r#"{"id":"mine"}"#).records[0].num_rows(), 1, "{member}");
    } else {
        result.unwrap_or_else(|error| panic!("{member}: {error}"));
        assert_eq!(reading.take().records[0].num_rows(), 2, "{member}");
    }
}

#[test]
fn isolation_every_way_to_name_the_owner_is_compared() {
    for member in [
        r#""rrn":"rrn:case:us:{}:case:1""#,
        r#""rrn":"\u0072rn:case:us:{}:case:1""#,
        r#""rrn":"RRN:case:us:{}:case:1""#,
        r#""organization_id":"{}""#,
        r#""organization\u005fid":"{}""#,
        r#""asset":"{}-default-asset-7""#,
        r#""who":{"name":"Ann","id":"{}"}"#,
        // No column takes it, and it names the owner all the same.
        r#""organizationId":"{}""#,
        r#""organization\u0049d":"{}""#,
        r#""organization":{"name":"Ann's","id":"{}"}"#,
        r#""organization":{"organizationId":"{}"}"#,
        r#""organization":"{}""#,
        r#""organization":["{}"]"#,
    ] {
        check(member, TENANT, false);
        check(member, FOREIGN, true);
    }
    // An escaped colon is a colon: the fourth part names the owner, whatever the later ones say.
    for member in [
        r#""rrn":"rrn:case\u003aus:{}:@:case:1""#,
        r#""rrn":"rrn:a:b\u003a{}:@""#,
        r#""rrn":"rrn:a:b\u003a{}\u003a@""#,
    ] {
        check(&member.replace('@', TENANT), FOREIGN, true);
        check(&member.replace('@', FOREIGN), TENANT, false);
    }
    check(r#""organization_id":{}"#, "4711", true);
    // It is no text, and names another's all the same.
    check(r#""organization_id":["{}"]"#, FOREIGN, true);
    check(r#""organization_id":"{}""#, &TENANT.to_uppercase(), false);
}

#[test]
fn isolation_an_owner_that_is_not_named_is_nobody() {
    for member in [
        r#""rrn":"case 7:of:the:week""#,
        r#""rrn":null"#,
        r#""organization_id":null"#,
        r#""organization_id":"""#,
        r#""asset":"just an asset""#,
        r#""who":{"id":null}"#,
        r#""organizationId":null"#,
        // Further down it names whatever it stands in.
        r#""who":{"organizationId":"someone's"}"#,
        r#""other":{"organization_id":"someone's"}"#,
        r#""other":{"organization":{"id":"someone's"}}"#,
        r#""organization":"Someone's""#,
        r#""organization":{"id":null,"name":"Someone's"}"#,
    ] {
        check(member, "", false);
    }
}

#[test]
fn isolation_an_owner_that_is_no_text_is_no_owner() {
    let mut reading = Reading::of_records();
    let page = r#"{"data":[{"id":"a","organization_id":{"id":1}}]}"#;
    assert!(matches!(reading.decode(page.as_bytes()), Err(PageError::Foreign(_))));
    let kept = reading.page(&format!(r#"{{"id":"b","organization_id":"{TENANT}"}}"#));
    assert!(!rows(&kept.records[0])[0].contains_key("organization_id"), "it is that of the provenance");
}

#[test]
fn isolation_a_foreign_record_is_not_set_aside_as_a_misfit() {
    for member in [
        r#""count":"?","organization_id":"{}""#,
        r#""rrn":"rrn:case:us:{}:case:1","count":"?""#,
        r#""count":"?","who":{"name":"Ann","id":"{}"}"#,
        r#""who":{"name":["Ann"],"id":"{}"}"#,
        r#""other":"\ud83d","asset":"{}-default-asset-7""#,
        r#""rrn":"\ud83d","organization\u005fid":"{}""#,
        r#""count":"?","organizationId":"{}""#,
        r#""organizationId":"{}","count":"?""#,
        r#""organization":[{"id":"{}"}],"count":"?""#,
        r#""count":"?","organization":{"id":"{}"}"#,
        r#""who":[{"name":"Ann"},{"id":"{}"}]"#,
        r#""who":"{}""#,
    ] {
        let page = |named: &str| format!(r#"{{"data":[{{"id":"a",{}}}]}}"#, member.replace("{}", named));
        let mut reading = Reading::of_records();
        assert_eq!(
            reading.decode(page(FOREIGN).as_bytes()),
            Err(PageError::Foreign(FOREIGN.to_owned())),
            "{member}"
        );
        assert!(reading.take().rejects.is_empty(), "{member}");
        reading.decode(page(TENANT).as_bytes()).expect("a good page");
        assert_eq!(reading.take().rejects.len(), 1, "{member}");
    }
}

#[test]
fn isolation_what_is_no_record_is_looked_through_all_the_same() {
    let page = |record: &str, named: &str| format!(r#"{{"data":[{}]}}"#, record.replace("{}", named));
    for record in [r#"[{"id":"a","organization_id":"{}"}]"#, r#"["a",[{"who":{"id":"{}"}}]]"#] {
        let mut reading = Reading::of_records();
        assert_eq!(
            reading.decode(page(record, FOREIGN).as_bytes()),
            Err(PageError::Foreign(FOREIGN.to_owned())),
            "{record}"
        );
        reading.decode(page(record, TENANT).as_bytes()).expect("a good page");
        assert_eq!(reading.take().rejects.len(), 1, "{record}");
    }
    let deep = |open: &str, close: &str| format!("{}7{}", open.repeat(200_000), close.repeat(200_000));
    let organizations = deep(r#"{"organization":"#, "}");
    for record in [deep("[", "]"), organizations.clone(), format!(r#"{{"count":"?","who":{organizations}}}"#)]
    {
        let mut reading = Reading::of_records();
        reading.decode(page(&record, "").as_bytes()).expect("it costs its record alone");
        assert_eq!(reading.take().rejects.len(), 1);
    }
}

#[test]
fn isolation_a_part_that_names_another_owner_stops_the_page() {
    for finding in [r#""organization_id":"{}""#, r#""port":"?","organizationId":"{}""#] {
        let page = |named: &str| {
            format!(r#"{{"data":[{{"id":"a","new":[{{"check":"x",{}}}]}}]}}"#, finding.replace("{}", named))
        };
        let mut reading = Reading::of_assets();
        assert_eq!(reading.decode(page(FOREIGN).as_bytes()), Err(PageError::Foreign(FOREIGN.to_owned())));
        reading.decode(page(TENANT).as_bytes()).expect("a good page");
        // What holds it does not fit either.
        let page = |named: &str| page(named).replace(r#""id":"a""#, r#""id":{},"what":"?""#);
        assert_eq!(reading.decode(page(FOREIGN).as_bytes()), Err(PageError::Foreign(FOREIGN.to_owned())));
        reading.decode(page(TENANT).as_bytes()).expect("a good page");
    }
}

#[test]
fn records_that_tell_of_others_may_name_them() {
    let mut reading = Reading::new_of(PageShape { tells_of_others: true, ..PAGE }, &shape(), None);
    assert_eq!(
        reading.page(&format!(r#"{{"id":"a","organizationId":"{FOREIGN}"}}"#)).records[0].num_rows(),
        1
    );
}

#[test]
fn isolation_a_list_of_owners_is_read_to_its_end_whatever_stands_in_it() {
    let misfits = [r#"["\ud83d"]"#.to_owned(), format!("{}{}", "[".repeat(200_000), "]".repeat(200_000))];
    for list in misfits {
        let mut reading = Reading::of_records();
        let page = format!(r#"{{"data":[{{"id":"it","organization_id":{list}}},{{"id":"mine"}}]}}"#);
        reading.decode(page.as_bytes()).expect("it costs its record alone");
        let decoded = reading.take();
        assert_eq!((decoded.records[0].num_rows(), decoded.rejects.len()), (1, 1));
    }
    check(r#""organization_id":["\ud83d","{}"]"#, FOREIGN, true);
}

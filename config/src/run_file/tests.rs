//! Run files that are right, and one for each way of being wrong.

use super::*;
use crate::tests::now;

const MINIMAL: &str = include_str!("../../examples/minimal.toml");

fn told(text: &str) -> String {
    match RunFile::parse(text, Path::new("t.toml"), now()) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            let context: String = error.context().iter().map(|(_, value)| format!("{value}\n")).collect();
            format!("{}\n{context}{}", error.chain(), error.hint().unwrap_or_default())
        }
    }
}

/// Asserts that the minimal file with `from` replaced by `to` is refused at a place, for a reason, with a hint.
fn check(from: &str, to: &str, place: &str, reason: &str, hint: &str) {
    assert!(MINIMAL.contains(from), "the minimal file has {from:?}");
    let told = told(&MINIMAL.replace(from, to));
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some(format!("read t.toml: {reason}").as_str()), "{to}");
    assert!(place.is_empty() || lines.next() == Some(place), "{told}");
    assert!(told.ends_with(hint), "{told}");
}

/// Asserts the same of the minimal file with `more` at its end, where line 12 is its second line.
fn check_more(more: &str, place: &str, reason: &str, hint: &str) {
    let url = "url = \"file:///srv/lake\"\n";
    check(url, &format!("{url}{more}\n"), place, reason, hint);
}

#[test]
fn the_line_is_underlined() {
    insta::assert_snapshot!(told(&MINIMAL.replace("home_region", "  home_regoin")), @r#"
    read t.toml: unknown key `home_regoin`
    line 3, column 3
      |
    3 |   home_regoin
      |   ^^^^^^^^^^^
    did you mean `home_region`?
    "#);
}

/// Asserts that the minimal file with a line more below `home_region` is refused there, for a reason, with a hint.
fn check_connector(line: &str, column: usize, reason: &str, hint: &str) {
    let home = "home_region = \"us\"\n";
    check(home, &format!("{home}{line}\n"), &format!("line 4, column {column}"), reason, hint);
}

#[test]
fn an_endpoint_that_cannot_be_used_says_why() {
    for (endpoint, flaw) in [
        (
            "https://us.api.example.com",
            "it has no `{region}`, so every region would be asked in the same place",
        ),
        ("", "it has no `{region}`, so every region would be asked in the same place"),
        ("ftp://x/{region}", "`https` is expected"),
        ("127.0.0.1/{region}", "it is no URL"),
        ("http://example.com/{region}", "the key would travel in clear text: `https` is expected"),
    ] {
        let reason = format!("`endpoint` cannot be used: {flaw}");
        check_connector(
            &format!("endpoint = \"{endpoint}\""),
            12,
            &reason,
            "\"http://127.0.0.1:9400/{region}\"",
        );
    }
}

#[test]
fn a_part_of_the_platform_is_a_known_one() {
    let limit = "{ requests = 1, per = \"1s\" }";
    for (family, hint) in [
        ("idrr", "did you mean `idr`?"),
        ("zzz", "known parts of the platform: `account`, `alerts`, `idr`, `vm`"),
    ] {
        let reason = format!("unknown part of the platform `{family}`");
        check_connector(&format!("budget.{family} = {limit}"), 10 + family.len() + 1, &reason, hint);
    }
}

#[test]
fn a_path_is_one_below_the_host() {
    for user in ["", "a?b", "a/../c", "..", "é"] {
        let line = format!("list_by_user = \"{user}\"");
        check_connector(&line, 16, "`list_by_user` is no user's id", "as the platform shows the id");
    }
    for path in
        ["nope", "{user_id}", "/users", "/a//{user_id}", "/../{user_id}", "/{user_id}?x=1", "//{user_id}"]
    {
        let line = format!("user_list_path = \"{path}\"");
        let reason = "`user_list_path` is no path with `{user_id}` in it";
        check_connector(&line, 18, reason, "\"/account/api/1/users/{user_id}/managed-organizations\"");
    }
    let home = "home_region = \"us\"\n";
    let good = "list_by_user = \"a-1@b.example\"\nuser_list_path = \"/x/{user_id}/y\"\n";
    assert_eq!(told(&MINIMAL.replace(home, &format!("{home}{good}"))), "nothing is wrong");
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    check(
        "[sink.parquet]",
        "[sink.parqet]",
        "line 9, column 7",
        "unknown name `parqet`",
        "did you mean `parquet`?",
    );
    check(
        "[connector.rapid7]",
        "[connector.rapid]",
        "line 1, column 12",
        "unknown name `rapid`",
        "did you mean `rapid7`?",
    );
    check_more(
        "[tenant_rules]",
        "line 11, column 2",
        "unknown key `tenant_rules`",
        "did you mean `tenants`?",
    );
    check_more(
        "[run]\nthreads = 3",
        "line 12, column 1",
        "unknown key `threads`",
        "known keys here: `concurrency`",
    );
    check_more(
        "[tenants]\nexlude = []",
        "line 12, column 1",
        "unknown key `exlude`",
        "did you mean `exclude`?",
    );
    check("name =", "nmae =", "line 7, column 1", "unknown key `nmae`", "did you mean `name`?");
}

#[test]
fn a_wrong_type_or_value_is_told_where_it_stands() {
    let region = "home_region = \"us\"";
    check(region, "home_region = 7", "line 3, column 15", "wrong type: integer `7`, expected a string", "");
    check(region, "home_region = us", "line 3, column 15", "a text stands in quotes", "");
    check(region, "# no home", "line 1, column 1", "`home_region` is missing", "");
    let reason = "\"u/s\" is no region: 2 to 16 letters, digits or `-` are expected, such as `eu`";
    check(region, "home_region = \"u/s\"", "line 3, column 15", reason, "");
    for number in ["0", "-3", "4294967296"] {
        let reason = format!("wrong value: integer `{number}`, expected a whole number from 1 to 4294967295");
        check_more(&format!("[run]\nconcurrency = {number}"), "line 12, column 15", &reason, "");
    }
    let reason = "wrong type: string \"Acme\", expected a list in brackets";
    check_more("[tenants]\ninclude = \"Acme\"", "line 12, column 11", reason, "");
    check_more("[tenants]\ninclude = [\"\"]", "line 12, column 11", "an empty pattern means no tenant", "");
    let reason = "\"a b\" is no organization id: 1 to 128 letters, digits, `-` or `_` are expected";
    check_more("[tenants.regions]\n\"a b\" = \"eu\"", "line 12, column 1", reason, "");
}

#[test]
fn the_key_is_named_once_and_in_one_way() {
    let named = "{ env = \"TENANTRY_KEY\" }";
    let hint = "never stands in the run file";
    for wrong in ["{}", "{ env = \"A\", file = \"b\" }", "{ vault = \"A\" }", "7"] {
        check(named, wrong, "", "this does not say where the key is found", hint);
    }
    let hint = "`key = { env = \"TENANTRY_KEY\" }`";
    for name in ["", "A B", "a-b"] {
        let reason = "`env` does not have the name of a variable";
        check(named, &format!("{{ env = \"{name}\" }}"), "line 4, column 7", reason, hint);
    }
    check(named, "{ command = [] }", "line 4, column 7", "`command` names no program", hint);
    check(named, "{ file = \"\" }", "line 4, column 7", "`file` names no file", hint);
}

#[test]
fn a_key_in_the_wrong_place_is_never_shown() {
    const SECRET: &str = "0f9a8b7c-1111-4222-8333-944455556666";
    let inline = "key = { env = \"TENANTRY_KEY\" }";
    for wrong in [
        format!("key = \"{SECRET}\""),
        format!("key = {SECRET}"),
        format!("key = {{ env = \"{SECRET}\" }}"),
        format!("key = {{ value = \"{SECRET}\" }}"),
        format!("api_key = \"{SECRET}\""),
        format!("[connector.rapid7.key]\nvalue = \"{SECRET}\""),
        format!("[connector.rapid7.key]\nenv = \"{SECRET}\""),
        format!("kye = \"{SECRET}\""),
        format!("kye = {SECRET}"),
        format!("kye {SECRET}"),
        format!("auth = {{ value = \"{SECRET}\" }}"),
        format!("retry_for = {{ key = \"{SECRET}\", x = 1 }}"),
    ] {
        let told = told(&MINIMAL.replace(inline, &wrong));
        assert!(!told.contains("0f9a"), "{told}");
        assert!(wrong.starts_with("kye ") || told.contains("key"), "{told}");
    }
    let one_line = format!("rapid7 = {{ key = \"{SECRET}\", hom = \"us\" }}");
    let told = told(&format!("[connector]\n{one_line}\n"));
    assert!(!told.contains("0f9a"), "{told}");
}

#[test]
fn datasets_are_known_once_and_begin_somewhere() {
    let name = "\"investigations\"";
    let reason = "unknown dataset `investigation`";
    check(name, "\"investigation\"", "line 7, column 8", reason, "did you mean `investigations`?");
    let twice = "dataset `investigations` is named twice";
    check_more("[[dataset]]\nname = \"investigations\"", "line 12, column 8", twice, "");
    for (since, reason) in [
        ("\"2026-02-30\"", "`2026-02-30` is no day of the calendar: write it as `2026-01-31`"),
        ("\"2999-01-01\"", "`2999-01-01` lies in the future"),
        ("90", "wrong type: integer `90`, expected a span such as \"90d\" or a day such as \"2026-01-31\""),
    ] {
        check(name, &format!("{name}\nsince = {since}"), "line 8, column 9", reason, "");
    }
    let reason = "`since` has no effect here: this dataset is read as a whole";
    check_more(
        "[[dataset]]\nname = \"vm_assets\"\nsince = \"90d\"",
        "line 13, column 9",
        reason,
        "delete the line",
    );
    let reason = "open the lake \"s3://bucket\": s3:// is not supported yet";
    check("file:///srv/lake", "s3://bucket", "line 10, column 7", reason, "url = \"./lake\"");
    let all = "[[dataset]]\nname = \"investigations\"\n";
    check(all, "", "", "it names no dataset", "`tenantry datasets` lists them");
}

#[test]
fn tenants_are_written_down_once() {
    let tenant = "[[tenant]]\nid = \"t1\"\nname = \"Acme\"\nregion = \"eu\"\n";
    check_more(&tenant.repeat(2), "line 16, column 6", "tenant `t1` is written down twice", "");
    let in_capitals = format!("{tenant}{}", tenant.replace("t1", "T1"));
    check_more(&in_capitals, "line 16, column 6", "tenant `T1` is written down twice", "");
    let twice = "[tenants]\nexclude = [\"A*\", \"A*\"]";
    check_more(twice, "line 12, column 18", "`A*` stands here twice", "");
    let nowhere = "[[tenant]]\nid = \"t1\"\nname = \"Acme\"";
    check_more(nowhere, "line 11, column 1", "`region` is missing", "");
    assert_eq!(told(&format!("{MINIMAL}{tenant}")), "nothing is wrong");
}

#[test]
fn a_day_may_stand_without_quotes() {
    let text = MINIMAL.replace("\"investigations\"", "\"investigations\"\nsince = 2026-01-31");
    assert_eq!(told(&text), "nothing is wrong");
}

#[test]
fn a_file_that_is_not_there_says_how_to_write_one() {
    let error = RunFile::read(Path::new("no-such-file.toml"), now()).expect_err("no such file");
    assert!(error.chain().contains("no-such-file.toml"), "{}", error.chain());
    assert!(error.hint().is_some_and(|hint| hint.contains("tenantry init")));
}

//! The rules of `[tenants]` against a small list.

use super::*;

fn listed() -> Vec<Tenant> {
    [
        ("t1", "Acme", Some("us")),
        ("t2", "Globex [EU]", Some("eu")),
        ("t3", "Sandbox 1", Some("us")),
        ("t4", "Umbrella", None),
    ]
    .map(|(id, name, region)| Tenant {
        id: id.parse().expect("an id"),
        name: name.to_owned(),
        region: region.map(|region| region.parse().expect("a region")),
        external_id: None,
    })
    .into()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::try_from((*text).to_owned()).expect("a pattern")).collect()
}

fn check(rules: (&[&str], &[&str]), flags: (&[&str], &[&str]), expected: Result<(&[&str], usize), &str>) {
    let file =
        TenantRules { include: patterns(rules.0), exclude: patterns(rules.1), regions: BTreeMap::new() };
    let narrowing = Narrowing {
        tenants: patterns(flags.0),
        regions: flags.1.iter().map(|region| region.parse().expect("a region")).collect(),
    };
    let result = file.choose(listed(), &narrowing);
    match (result, expected) {
        (Ok(selection), Ok((ids, warnings))) => {
            let chosen: Vec<&str> = selection.tenants.iter().map(|tenant| tenant.id.as_str()).collect();
            assert_eq!(chosen, ids, "{rules:?} {flags:?}");
            assert_eq!(selection.warnings.len(), warnings, "{:?}", selection.warnings);
        }
        (Err(error), Err(part)) => {
            let text = format!("{error} / {}", error.hint().unwrap_or_default());
            assert!(text.contains(part), "{text}");
        }
        (result, _) => panic!("{rules:?} {flags:?}: {result:?}"),
    }
}

#[test]
fn tenants_are_chosen_by_id_name_or_glob() {
    check((&[], &[]), (&[], &[]), Ok((&["t1", "t2", "t3", "t4"], 0)));
    check((&["acme", "T3"], &[]), (&[], &[]), Ok((&["t1", "t3"], 0)));
    check((&["*"], &["sandbox *"]), (&[], &[]), Ok((&["t1", "t2", "t4"], 0)));
    check((&["Globex [EU]"], &[]), (&[], &[]), Ok((&["t2"], 0)));
    check((&["A*", "Sand*"], &["Acme"]), (&[], &[]), Ok((&["t3"], 0)));
}

#[test]
fn flags_narrow_what_the_file_chose() {
    check((&[], &["Sandbox *"]), (&[], &["us"]), Ok((&["t1"], 0)));
    check((&[], &[]), (&["Globex*", "Acme"], &["eu"]), Ok((&["t2"], 0)));
    check((&[], &["Acme"]), (&["Acme"], &[]), Err("--tenant"));
    check((&[], &[]), (&[], &["ap"]), Err("their regions: eu, us"));
}

#[test]
fn a_rule_that_meets_nobody_is_told() {
    check((&["Acmee"], &[]), (&[], &[]), Err("did you mean `Acme`?"));
    check((&[], &[]), (&["umbrela"], &[]), Err("did you mean `Umbrella`?"));
    check((&["*"], &["Acmee"]), (&[], &[]), Ok((&["t1", "t2", "t3", "t4"], 1)));
    check((&["Acme", "Zeta*"], &[]), (&[], &[]), Ok((&["t1"], 1)));
    check((&["Zeta*"], &[]), (&[], &[]), Err("none of the 4"));
    check((&[], &["*"]), (&[], &[]), Err("none of the 4"));
    check((&[], &[]), (&["Zeta*"], &[]), Err("leaves nobody"));
}

#[test]
fn a_missing_region_is_filled_in_and_a_given_one_is_not_overruled() {
    let regions = [("t4", "ca"), ("t1", "eu"), ("t2", "eu"), ("t9", "eu")]
        .map(|(id, region)| (id.parse().expect("an id"), region.parse().expect("a region")));
    let rules = TenantRules { regions: regions.into(), ..TenantRules::default() };
    let selection = rules.choose(listed(), &Narrowing::default()).expect("a selection");
    let told: Vec<&str> =
        selection.tenants.iter().map(|tenant| tenant.region.as_ref().map_or("-", Region::as_str)).collect();
    assert_eq!(told, ["us", "eu", "us", "ca"]);
    assert_eq!(selection.warnings.len(), 2, "{:?}", selection.warnings);
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    for text in ["", "  ", "[a"] {
        assert!(Pattern::try_from(text.to_owned()).is_err(), "{text:?}");
    }
}

#[test]
fn case_matters_in_no_script() {
    let tenant = Tenant {
        id: "t1".parse().expect("an id"),
        name: "Žluť & Söhne 株式会社".to_owned(),
        region: None,
        external_id: None,
    };
    let tenants = [tenant];
    for (pattern, is_meant) in [("žluť*", true), ("ŽLUŤ*", true), ("*SÖHNE 株*", true), ("zluť*", false)]
    {
        assert_eq!(patterns(&[pattern])[0].pick(&tenants).len(), usize::from(is_meant), "{pattern}");
    }
}

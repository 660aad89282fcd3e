//! Settings out of flags, environment and run file.

use std::path::Path;

use super::*;
use crate::tests::now;

const MINIMAL: &str = include_str!("../../examples/minimal.toml");

fn check_path(flag: Option<&str>, variable: &'static str, expected: &str) {
    let environment = Environment::of([(env::CONFIG, variable)]);
    let path = run_file_path(flag.map(Path::new), &environment).expect("a path");
    assert_eq!(path, Path::new(expected), "{flag:?} {variable:?}");
}

#[test]
fn the_flag_goes_before_the_environment_and_both_before_the_default() {
    check_path(Some("a.toml"), "b.toml", "a.toml");
    check_path(None, "b.toml", "b.toml");
    check_path(None, "", "tenantry.toml");
}

fn check_pulls(more: &str, chosen: &[&str], expected: Result<&[&[&str]], &str>) {
    let file = RunFile::parse(&format!("{MINIMAL}{more}"), Path::new("t.toml"), now()).expect("a run file");
    let flags =
        Flags { datasets: chosen.iter().map(|name| (*name).to_owned()).collect(), ..Flags::default() };
    match (settings(file, PathBuf::from("t.toml"), &flags, now()), expected) {
        (Ok(settings), Ok(expected)) => {
            let names: Vec<Vec<&str>> = settings
                .pulls
                .iter()
                .map(|pull| pull.datasets.iter().map(|dataset| dataset.name).collect())
                .collect();
            assert_eq!(names, expected);
        }
        (Err(error), Err(hint)) => {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert_eq!(error.hint(), Some(hint));
        }
        (result, _) => panic!("{result:?}"),
    }
}

#[test]
fn datasets_of_one_pull_are_read_together() {
    let both = "[[dataset]]\nname = \"vm_findings\"\n[[dataset]]\nname = \"vm_assets\"\n";
    check_pulls(both, &[], Ok(&[&["investigations"], &["vm_findings", "vm_assets"]]));
    check_pulls(both, &["vm_assets"], Ok(&[&["vm_assets"]]));
    check_pulls(both, &["vm_asset"], Err("did you mean `vm_assets`?"));
    check_pulls("", &["vm_assets"], Err("known datasets in the run file: `investigations`"));
}

#[test]
fn a_dataset_begins_where_the_file_says_or_ninety_days_ago() {
    for (since, expected) in
        [("", "2026-08-26T12:00:00Z"), ("since = \"2026-01-31\"", "2026-01-31T00:00:00Z")]
    {
        let text = MINIMAL.replace("\"investigations\"", &format!("\"investigations\"\n{since}"));
        let file = RunFile::parse(&text, Path::new("t.toml"), now()).expect("a run file");
        let settings = settings(file, PathBuf::from("t.toml"), &Flags::default(), now()).expect("settings");
        assert_eq!(settings.pulls[0].reading.since, expected.parse::<Timestamp>().expect("an instant"));
    }
}

#[test]
fn a_region_is_the_one_in_the_hosts_name_however_it_is_called() {
    let more = "[tenants.regions]\na = \"us1\"\nb = \"us2\"\n[[tenant]]\nid = \"c\"\nname = \"C\"\nregion = \"US1\"\n";
    let text = MINIMAL.replace("home_region = \"us\"", "home_region = \"us1\"");
    assert_ne!(text, MINIMAL);
    let file = RunFile::parse(&format!("{text}{more}"), Path::new("t.toml"), now()).expect("a run file");
    let flags = Flags { regions: vec!["us1".parse().expect("a region")], ..Flags::default() };
    let settings = settings(file, PathBuf::from("t.toml"), &flags, now()).expect("settings");
    let ConnectorConfig::Rapid7(connector) = &settings.connector;
    assert_eq!(connector.home_region.as_str(), "us");
    assert_eq!(settings.tenants.regions.values().map(Region::as_str).collect::<Vec<_>>(), ["us", "us2"]);
    assert_eq!(settings.written_down[0].region.as_ref().map(Region::as_str), Some("us"));
    assert_eq!(settings.narrowing.regions.iter().map(Region::as_str).collect::<Vec<_>>(), ["us"]);
}

#[test]
fn the_key_is_taken_from_the_variable_that_the_file_names() {
    let file = RunFile::parse(MINIMAL, Path::new("t.toml"), now()).expect("a run file");
    for (value, expected) in [("abc", Some("abc")), (" abc\n", Some("abc")), ("", None)] {
        let found = key(&file.connector, &Environment::of([(env::KEY, value)]));
        match expected {
            Some(text) => assert_eq!(found.expect("a key").expect("a secret").expose(), text),
            None => assert!(found.expect_err("no key").chain().contains("TENANTRY_KEY is not set")),
        }
    }
    let elsewhere = MINIMAL.replace("{ env = \"TENANTRY_KEY\" }", "{ file = \"/run/key\" }");
    let file = RunFile::parse(&elsewhere, Path::new("t.toml"), now()).expect("a run file");
    assert!(key(&file.connector, &Environment::of([])).expect("no error").is_none());
}

//! The examples: each parses, fits the schema, and shows every setting there is.

use std::path::Path;

use pipeline::Timestamp;

use super::*;

/// When all of these tests take place.
pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a fixed instant")
}

fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<(String, String)> = fs_err::read_dir(folder)
        .expect("the examples' folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs_err::read_to_string(&path).expect("an example")))
        .collect();
    examples.sort();
    examples
}

/// Returns the starter with its commented settings as settings; of the three ways to name a key, the first.
fn uncommented() -> String {
    let setting = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let name = rest.split('=').next()?.trim();
        let is_setting = rest.starts_with('[') || (rest.contains(" = ") && !name.contains(' '));
        (is_setting && name != "key").then(|| rest.to_owned())
    };
    STARTER.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

fn check(name: &str, text: &str) {
    if let Err(error) = RunFile::parse(text, Path::new(name), now()) {
        panic!("{name}: {} {:?}", error.chain(), error.context());
    }
    let instance: serde_json::Value = toml::from_str(text).expect("TOML");
    let schema = jsonschema::validator_for(&RunFile::schema()).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&instance).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}");
}

#[test]
fn every_example_parses_and_fits_the_schema() {
    let examples = examples();
    assert!(examples.len() >= 2);
    for (name, text) in examples {
        check(&name, &text);
    }
}

#[test]
fn what_the_starter_comments_out_is_right_too() {
    let text = uncommented();
    for setting in ["include", "[tenants.regions]", "[[tenant]]", "retry_for", "compression", "concurrency"] {
        assert!(
            text.lines().any(|line| line.starts_with(setting)),
            "{setting} is commented out in the starter"
        );
    }
    check("starter.toml", &text);
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let schema = jsonschema::validator_for(&RunFile::schema()).expect("a schema");
    let minimal = include_str!("../examples/minimal.toml");
    for (from, to) in [
        ("home_region", "home_regoin"),
        ("{ env = \"TENANTRY_KEY\" }", "{ env = \"A\", file = \"b\" }"),
        ("name = \"investigations\"", "nome = \"investigations\""),
        ("[[dataset]]", "[run]\nconcurrency = 0\n[[dataset]]"),
    ] {
        let text = minimal.replace(from, to);
        assert!(RunFile::parse(&text, Path::new("t.toml"), now()).is_err(), "{to}");
        assert!(!schema.is_valid(&toml::from_str(&text).expect("TOML")), "{to}");
    }
}

//! What a run file says about the lake.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pipeline::{Error, ErrorKind, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

/// `[sink.parquet]` of a run file.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the lake lies: `file:///srv/lake`, or a path such as `./lake`.
    pub url: String,
    /// How hard zstd tries, from 1 (fast) to 19 (small).
    #[serde(default)]
    pub compression: CompressionLevel,
    /// The size at which a file is closed and the next begun, such as `128 MiB`.
    #[serde(default = "target_file_size")]
    pub target_file_size: ByteSize,
    /// What the records of one row group may take in memory, such as `16 MiB`.
    #[serde(default = "row_group_size")]
    pub row_group_size: ByteSize,
    /// What all records that wait for their row group may take in memory, such as `40 MiB`; more wait on disk.
    #[serde(default = "memory")]
    pub memory: ByteSize,
    /// Signs what each run came to: the file of an Ed25519 key, as `openssl genpkey -algorithm ed25519` writes it.
    #[serde(default)]
    pub signing_key: Option<SigningKeyConfig>,
}

/// Where the key is that signs what each run came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyConfig {
    /// A file with the private key in PEM.
    File(PathBuf),
}

impl Config {
    /// Returns the settings of a lake in a place, with everything else by default.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            compression: CompressionLevel::default(),
            target_file_size: target_file_size(),
            row_group_size: row_group_size(),
            memory: memory(),
            signing_key: None,
        }
    }

    /// Returns the folder that the url names.
    ///
    /// # Errors
    /// Where it names no folder of this machine.
    pub fn root(&self) -> Result<PathBuf> {
        let refused = |reason: &str| {
            Err(Error::new(ErrorKind::Config, format!("open the lake {:?}: {reason}", self.url))
                .with_hint("give a local folder, such as url = \"file:///srv/lake\" or url = \"./lake\""))
        };
        let path = match self.url.split_once("://") {
            None if self.url.starts_with("file:") => {
                return refused("a file url has three slashes, as in file:///srv/lake");
            }
            None => self.url.as_str(),
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => return refused("a file url has three slashes, as in file:///srv/lake"),
            Some((scheme @ ("s3" | "gs" | "az"), _)) => {
                return refused(&format!("{scheme}:// is not supported yet"));
            }
            Some(_) => return refused("its scheme is unknown"),
        };
        let names_a_variable = |after: &str| after.starts_with(|c: char| c == '{' || c.is_ascii_alphabetic());
        if path == "~" || path.starts_with("~/") || path.split('$').skip(1).any(names_a_variable) {
            return refused("`~` and variables mean nothing here: write the folder out");
        }
        if path.trim().is_empty() || path.contains('\0') {
            return refused("it names no folder");
        }
        if path.trim() != path {
            return refused("it begins or ends with a blank");
        }
        Ok(PathBuf::from(path))
    }
}

// One read by DuckDB or Spark's splitter takes a file of this size well, and a lake of a year stays countable.
fn target_file_size() -> ByteSize {
    ByteSize(128 << 20)
}

// Large enough for readers to work in parallel on 100,000 rows and more, small enough for the memory below.
fn row_group_size() -> ByteSize {
    ByteSize(16 << 20)
}

fn memory() -> ByteSize {
    ByteSize(40 << 20)
}

/// A number of bytes, written as `128 MiB`, `64 kB` or a bare number; at least 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    // A smaller bound would close a file or a row group at every page.
    const LEAST: u64 = 64 << 10;

    /// Returns the number of bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes, as large as this machine can address.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn of(bytes: u64) -> Result<Self, String> {
        if bytes < Self::LEAST {
            return Err(format!("{bytes} bytes are too few: at least 64 KiB are expected"));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(text.trim().len());
        let (number, unit) = text.trim().split_at(digits);
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(format!("{text:?} is no size: a number and B, KiB, MiB or GiB are expected")),
        };
        let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size such as \"128 MiB\""))?;
        Self::of(number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))?)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"128 MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                ByteSize::of(bytes).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let bytes = u64::try_from(bytes).map_err(|_| E::custom("a size is not negative"))?;
                ByteSize::of(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, such as \"128 MiB\"; at least 64 KiB.",
            "oneOf": [
                { "type": "string", "pattern": "^\\s*[0-9]+\\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?\\s*$" },
                { "type": "integer", "minimum": 65536 },
            ],
        })
    }
}

/// How hard zstd tries: 1 to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(extend("minimum" = 1, "maximum" = 19))]
pub struct CompressionLevel(i64);

impl CompressionLevel {
    /// Returns the level.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0 as i32
    }
}

impl Default for CompressionLevel {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<i64> for CompressionLevel {
    type Error = String;

    fn try_from(level: i64) -> Result<Self, String> {
        if (1..=19).contains(&level) {
            Ok(Self(level))
        } else {
            Err(format!("{level} is no compression level: 1 to 19 are expected"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_folder_or_says_why_not() {
        for (url, expected) in [
            ("file:///srv/lake", Ok("/srv/lake")),
            ("./lake", Ok("./lake")),
            ("/srv/my lake", Ok("/srv/my lake")),
            ("~/lake", Err("write the folder out")),
            ("${HOME}/lake", Err("write the folder out")),
            ("$HOME/lake", Err("write the folder out")),
            ("./lake$", Ok("./lake$")),
            ("file:/srv/lake", Err("three slashes")),
            (" ./lake", Err("a blank")),
            ("./~lake", Ok("./~lake")),
            ("s3://bucket/lake", Err("s3:// is not supported yet")),
            ("gs://bucket", Err("gs:// is not supported yet")),
            ("az://bucket", Err("az:// is not supported yet")),
            ("file://srv/lake", Err("three slashes")),
            ("ftp://x", Err("scheme is unknown")),
            ("", Err("names no folder")),
        ] {
            match (Config::at(url).root(), expected) {
                (Ok(root), Ok(path)) => assert_eq!(root, PathBuf::from(path)),
                (Err(error), Err(part)) => {
                    assert_eq!(error.kind(), ErrorKind::Config);
                    assert!(error.to_string().contains(part), "{url}: {error}");
                }
                (got, _) => panic!("{url}: {got:?}"),
            }
        }
    }

    #[test]
    fn settings_are_read_or_refused_with_the_rule() {
        let base = r#""url":"lake""#;
        for (more, expected) in [
            ("", Ok(())),
            (
                r#","compression":19,"memory":"1 GiB","target_file_size":65536,"row_group_size":"64KiB""#,
                Ok(()),
            ),
            (r#","compression":0"#, Err("1 to 19")),
            (r#","memory":"1 KiB""#, Err("at least 64 KiB")),
            (r#","memory":-1"#, Err("not negative")),
            (r#","memory":"lots""#, Err("no size")),
            (r#","memory":"99999999999 GiB""#, Err("too large")),
            (r#","memroy":"1 GiB""#, Err("unknown field")),
        ] {
            let text = format!("{{{base}{more}}}");
            match (serde_json::from_str::<Config>(&text), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{more}: {error}"),
                (got, _) => panic!("{more}: {got:?}"),
            }
        }
    }
}

//! A tenant: one managed organization, its name and the region that holds its data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The platform's identifier of a tenant; safe as a header value and as one path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

impl TenantId {
    /// Returns the identifier as the platform spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is no organization id: 1 to 128 letters, digits, `-` or `_` are expected"))
        }
    }
}

/// A region's code, in lower case: the part of the host name that says where the data lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// Returns the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = text.trim().to_ascii_lowercase();
        let fits = (2..=16).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits {
            Ok(Self(code))
        } else {
            Err(format!("{text:?} is no region: 2 to 16 letters, digits or `-` are expected, such as `eu`"))
        }
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
text!(TenantId);
text!(Region);

/// One managed organization, as the platform listed it in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The identifier; two tenants with one name are two tenants.
    pub id: TenantId,
    /// The name people know it by.
    pub name: String,
    /// Where its data lives; `None` where the platform did not say, and then nothing is asked of it.
    pub region: Option<Region>,
    /// The operator's own number for this customer, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_is_one_path_segment() {
        for (text, fits) in [
            ("5d0c6a1e-0000-4000-8000-000000000001", true),
            ("acme_1", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
        ] {
            assert_eq!(text.parse::<TenantId>().is_ok(), fits, "{text}");
        }
        assert!("x".repeat(129).parse::<TenantId>().is_err());
    }

    #[test]
    fn a_region_is_compared_in_lower_case() {
        assert_eq!("EU".parse::<Region>(), "eu".parse());
        for text in ["", "e", "e/u", "eu.evil.example", "a-region-much-too-long"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}

//! A secret that cannot be printed, and the fingerprint that stands for it in receipts.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The API key: readable only through [`Secret::expose`], printed as `****`, wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Returns the secret itself; only the code that sets the request header has a use for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the first twelve hexadecimal digits of its SHA-256: enough to tell two keys apart, too
    /// little to find one.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.expose()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "****");
        assert_eq!(secret.fingerprint(), "f52fbd32b2b3");
    }
}

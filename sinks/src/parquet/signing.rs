//! Signs the roots of runs with a key of the operator's, and checks such signatures: Ed25519, keys as OpenSSL
//! writes them.
//!
//! What is signed is a line that a person can write again: `tenantry run root <64 digits>` and a line feed.

use std::fmt;
use std::path::Path;

use pipeline::{Error, ErrorKind, Result};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rolling::hex;

/// A signature as it stands in a run record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature {
    /// The fingerprint of the public key that checks it.
    pub(super) key: String,
    /// The signature in hexadecimal digits.
    pub(super) value: String,
}

/// The operator's private key.
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a private key.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no such key.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let refused = |why: String| {
            Error::new(ErrorKind::Config, format!("read the signing key: {why}"))
                .with_context("path", path.display().to_string())
                .with_hint(
                    "`signing_key` names a file with an Ed25519 key that is not encrypted, such as \
                     `openssl genpkey -algorithm ed25519 -out signing.pem` makes",
                )
        };
        let text = fs_err::read(path).map_err(|error| refused(reason(&error)))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text)
            .map_err(|_| refused("the file holds no `PRIVATE KEY` in PEM".to_owned()))?;
        // OpenSSL leaves the public half out of the file.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|why| refused(format!("the key in it is no Ed25519 key ({why})")))?;
        Ok(Self(pair))
    }

    /// Signs a run's root.
    pub(super) fn sign(&self, root: &str) -> Signature {
        let value = hex(self.0.sign(line(root).as_bytes()).as_ref());
        Signature { key: fingerprint(self.0.public_key().as_ref()), value }
    }
}

/// The key that an auditor checks signatures with.
#[derive(Clone)]
pub struct PublicKey {
    bytes: [u8; 32],
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no such key.
    pub fn read(path: &Path) -> Result<Self> {
        let refused = |why: String| {
            Error::new(ErrorKind::Usage, format!("read the public key: {why}"))
                .with_context("path", path.display().to_string())
                .with_hint("`openssl pkey -in signing.pem -pubout -out public.pem` writes it")
        };
        let text = fs_err::read(path).map_err(|error| refused(reason(&error)))?;
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&text)
            .map_err(|_| refused("the file holds no `PUBLIC KEY` in PEM".to_owned()))?;
        let bytes = der.strip_prefix(ED25519_PREFIX).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self { bytes }).ok_or_else(|| refused("the key in it is no Ed25519 key".to_owned()))
    }

    /// Returns the first sixteen hexadecimal digits of the key's SHA-256, by which it is named.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.bytes)
    }

    /// Returns whether a signature is this key's, and of that root.
    pub(super) fn signed(&self, root: &str, signature: &Signature) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
        unhex(&signature.value).is_some_and(|value| key.verify(line(root).as_bytes(), &value).is_ok())
    }
}

/// What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410).
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn line(root: &str) -> String {
    format!("tenantry run root {root}\n")
}

fn fingerprint(key: &[u8]) -> String {
    hex(&Sha256::digest(key)[..8])
}

/// Returns why a file could not be read; its path is told beside it.
fn reason(error: &std::io::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}

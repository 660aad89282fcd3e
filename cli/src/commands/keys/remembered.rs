//! Which of the platform's keys a file holds: a note beside the file, because the platform does not tell.
//!
//! The note holds the key's id and fingerprint, and no secret. The fingerprint says whether the file still holds the
//! key that the note is about: a key that was put there by other means makes the note void.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use connectors::rapid7::{ApiKey, KeyId, KeyType};
use pipeline::{Result, Secret};
use serde::{Deserialize, Serialize};

use super::place::NewFile;

/// What is known of the key in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) id: KeyId,
    name: String,
    #[serde(rename = "type")]
    kind: Option<KeyType>,
    fingerprint: String,
}

impl Remembered {
    pub(super) fn new(key: &ApiKey, secret: &Secret) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            kind: key.kind.clone(),
            fingerprint: secret.fingerprint(),
        }
    }

    /// Returns what is noted beside a file, if it is about the key that the file holds.
    pub(super) fn beside(file: &Path, secret: &Secret) -> Option<Self> {
        let text = fs_err::read(note(file)).ok()?;
        let remembered: Self = serde_json::from_slice(&text).ok()?;
        (remembered.fingerprint == secret.fingerprint()).then_some(remembered)
    }

    /// Writes the note beside a file.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub(super) fn keep(&self, file: &Path) -> Result<()> {
        let mut new = NewFile::open(&note(file), true)?;
        let text = serde_json::to_string(self).expect("a few texts are JSON");
        new.write(&text)?;
        new.finish()
    }
}

/// Returns where the note about a file lies.
pub(super) fn note(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".json");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_void_for_another_key_and_holds_no_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        let key: ApiKey = serde_json::from_str(r#"{"id":"a-1","name":"etl","type":"USER"}"#).expect("a key");
        let secret = Secret::new("hunter2");
        let kept = Remembered::new(&key, &secret);
        kept.keep(&file).expect("it can be written");
        assert_eq!(Remembered::beside(&file, &secret).as_ref(), Some(&kept));
        assert_eq!(Remembered::beside(&file, &Secret::new("hunter3")), None);
        let text = fs_err::read_to_string(note(&file)).expect("the note");
        assert!(text.contains("a-1") && !text.contains("hunter2"), "{text}");
        fs_err::write(note(&file), "{").expect("it can be written");
        assert_eq!(Remembered::beside(&file, &secret), None);
    }
}

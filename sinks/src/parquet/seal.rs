//! A text that ends with the hash of itself.
//!
//! The hash is over the text and not over its values, so that it stays true whatever is added to the shape.

use sha2::{Digest, Sha256};

use super::rolling::hex;

const SEAL: &str = ",\"sha256\":\"";
const END: &str = "\"}\n";

/// Closes the text of a JSON object with its hash.
pub(super) fn seal(mut text: Vec<u8>) -> Vec<u8> {
    assert_eq!(text.pop(), Some(b'}'), "only an object is sealed");
    let hash = hex(&Sha256::digest(&text));
    text.extend_from_slice(format!("{SEAL}{hash}{END}").as_bytes());
    text
}

/// Returns the hash that a text ends with, if it is that of the text.
pub(super) fn seal_of(text: &[u8]) -> Option<String> {
    let (body, end) = text.split_at(text.len().checked_sub(SEAL.len() + 64 + END.len())?);
    let hash = hex(&Sha256::digest(body));
    (end == format!("{SEAL}{hash}{END}").as_bytes()).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_is_json_and_shows_every_change() {
        let text = seal(b"{\"a\":1}".to_vec());
        let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(value["sha256"].as_str(), seal_of(&text).as_deref());
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 0x20;
            assert_eq!(seal_of(&changed), None, "byte {at}");
            assert_eq!(seal_of(&text[..at]), None, "cut at {at}");
        }
    }
}

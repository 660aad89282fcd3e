//! The platform's own list of keys: what there is, one more, one less.
//!
//! The platform shows the secret of a key once, in the answer that tells of its making: whatever goes wrong with
//! that answer, nothing of it is told.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use pipeline::{Error, ErrorKind, Region, Result, Secret, TenantId, Timestamp};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::Rapid7;
use crate::http::{BadBody, Call, SendError, TenantClient};

const PATH: &str = "/account/api/1/api-keys";

/// Longer than any id, and short enough for a line of a table.
const LONGEST_ID: usize = 128;

/// The id of a key, as far as it can stand in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyId(String);

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
        let fits = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(plain);
        match fits && text.chars().any(|letter| letter != '.') {
            true => Ok(Self(text.to_owned())),
            // What is no id may be a key that was put in the wrong place: it is not repeated.
            false => {
                Err("letters, digits and `-_.:~` are expected, as `tenantry keys list` shows them".to_owned())
            }
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a key may reach, in the platform's own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyType(String);

impl KeyType {
    /// Acts with the rights of the user who made it.
    #[must_use]
    pub fn user() -> Self {
        Self("USER".to_owned())
    }

    /// Reaches all of one organization.
    #[must_use]
    pub fn organization() -> Self {
        Self("ORGANIZATION".to_owned())
    }

    /// Reaches every managed organization. Whether the platform makes one through its API is unknown.
    #[must_use]
    pub fn multi_tenant() -> Self {
        Self("MULTI_TENANT".to_owned())
    }
}

impl fmt::Display for KeyType {
    /// Writes it as it is typed on a command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_ascii_lowercase().replace('_', "-"))
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What the platform calls it.
    pub id: KeyId,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// What it may reach, where the platform says so.
    #[serde(rename = "type", default)]
    pub kind: Option<KeyType>,
    /// When it was made, where the platform says so in a way that can be read.
    #[serde(default, deserialize_with = "instant")]
    pub generated_on: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Debug)]
pub struct MadeKey {
    /// What is known of it.
    pub about: ApiKey,
    /// The secret, shown this once.
    pub secret: Secret,
}

/// Why no key was made.
#[derive(Debug)]
pub enum NotMade {
    /// The platform refused: there is no new key, and asking again will not bring one.
    Refused(Error),
    /// There is no new key.
    Failed(Error),
    /// The request was sent, and no readable answer came: there may be a key whose secret nobody knows.
    Unknown(Error),
}

/// The keys of one organization.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    client: TenantClient,
}

impl ApiKeys {
    /// Lists them.
    ///
    /// # Errors
    /// Where the platform refuses or doesn't answer.
    pub async fn list(&self) -> Result<Vec<ApiKey>> {
        let call = Call::get("account", "list the keys", PATH);
        Ok(self.client.send(&call, &Arc::new(envelope::<Vec<ApiKey>>)).await?.value)
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`NotMade`] says whether there may be a key all the same.
    pub async fn create(&self, name: &str, kind: &KeyType) -> Result<MadeKey, NotMade> {
        let organization = (*kind == KeyType::organization()).then(|| self.client.tenant().as_str());
        let body = NewKey { name, kind, organization_id: organization };
        let body = serde_json::to_vec(&body).expect("a few texts are JSON");
        let call = Call::change(Method::POST, "account", "make a key", PATH, Some(body.into()));
        match self.client.send(&call, &Arc::new(made)).await {
            Ok(answer) => Ok(answer.value),
            Err(SendError::Answered(status, error)) => Err(match status {
                StatusCode::BAD_REQUEST
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::UNPROCESSABLE_ENTITY => NotMade::Refused(error),
                _ => NotMade::Failed(error),
            }),
            Err(error) => Err(match error.error().kind() {
                // A failed answer may follow a making that succeeded.
                ErrorKind::Unavailable | ErrorKind::Contract => NotMade::Unknown(error.into()),
                _ => NotMade::Failed(error.into()),
            }),
        }
    }

    /// Deletes one: it is refused from then on, everywhere.
    ///
    /// # Errors
    /// Where the platform refuses, or it is not known whether the key is gone.
    pub async fn delete(&self, id: &KeyId) -> Result<()> {
        let call =
            Call::change(Method::DELETE, "account", format!("delete key {id}"), format!("{PATH}/{id}"), None);
        let Err(error) = self.client.send(&call, &Arc::new(|_: Bytes| Ok(()))).await else { return Ok(()) };
        // An answer that was lost is no reason to say that nothing happened.
        let gone = match error.error().kind() {
            ErrorKind::Unavailable => {
                self.list().await.is_ok_and(|keys| keys.iter().all(|key| key.id != *id))
            }
            _ => false,
        };
        if gone { Ok(()) } else { Err(error.into()) }
    }
}

impl Rapid7 {
    /// Returns the keys of the primary account, or those of an organization in its region.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the region makes no URL.
    pub fn api_keys(&self, organization: Option<(TenantId, Region)>) -> Result<ApiKeys> {
        let (id, region) = organization.unwrap_or_else(|| self.home());
        Ok(ApiKeys { client: self.http().tenant(id, region)? })
    }
}

#[derive(Serialize)]
struct NewKey<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a KeyType,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<&'a str>,
}

/// What the platform tells is wrapped in `data`.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[expect(clippy::needless_pass_by_value, reason = "the client hands a body over")]
fn envelope<T: DeserializeOwned>(body: Bytes) -> Result<T, BadBody> {
    serde_json::from_slice::<Envelope<T>>(&body).map(|envelope| envelope.data).map_err(BadBody::malformed)
}

/// Reads the answer that holds a secret; what is wrong with it is not told, because that could show a part of it.
#[expect(clippy::needless_pass_by_value, reason = "the client hands a body over")]
fn made(body: Bytes) -> Result<MadeKey, BadBody> {
    #[derive(Deserialize)]
    struct Secretive {
        key: String,
    }
    let unreadable = |_| BadBody::malformed("it is not what an answer with a new key should be");
    let Envelope { data: about } = serde_json::from_slice::<Envelope<ApiKey>>(&body).map_err(unreadable)?;
    let Envelope { data: secretive } =
        serde_json::from_slice::<Envelope<Secretive>>(&body).map_err(unreadable)?;
    Ok(MadeKey { about, secret: Secret::new(secretive.key) })
}

/// Reads an instant; one that is written in another way is left out, because no decision hangs on it.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.as_ref().and_then(serde_json::Value::as_str).and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whatever_it_leaves_out() {
        let body = r#"{"data":[
            {"id":"a-1","name":"etl","type":"MULTI_TENANT","generated_on":"2025-01-02T03:04:05Z","more":{}},
            {"id":"b:2","generated_on":1735787045}
        ]}"#;
        let keys: Vec<ApiKey> = envelope(Bytes::from_static(body.as_bytes())).expect("a list");
        assert_eq!((keys[0].name.as_str(), keys[0].kind.as_ref()), ("etl", Some(&KeyType::multi_tenant())));
        assert!(keys[0].generated_on.is_some() && keys[1].generated_on.is_none());
        for body in [r#"{"data":[{"name":"no id"}]}"#, r#"{"data":[{"id":"../up"}]}"#, "[]", "{}", "<html>"] {
            let read = envelope::<Vec<ApiKey>>(Bytes::from_static(body.as_bytes()));
            assert!(read.is_err(), "{body}");
        }
    }

    #[test]
    fn secrecy_an_answer_with_a_key_is_never_repeated() {
        let good = r#"{"data":{"id":"a","name":"etl","type":"USER","key":"hunter2"}}"#;
        let key = made(Bytes::from_static(good.as_bytes())).expect("a key");
        assert_eq!((key.secret.expose(), key.about.kind.clone()), ("hunter2", Some(KeyType::user())));
        assert!(!format!("{key:?}").contains("hunter2"));
        for body in [
            r#"{"data":{"id":"a","key":["hunter2"]}}"#,
            r#"{"data":{"id":"a","key":"hunter2""#,
            r#"{"data":{"id":"hunter2/","key":"x"}}"#,
            r#"{"data":"hunter2"}"#,
            r#"{"data":{"id":"a"}}"#,
        ] {
            let error = made(Bytes::from_static(body.as_bytes())).expect_err("it is no key");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn an_id_stays_one_segment_of_a_path() {
        for (text, fits) in [
            ("5d0c6a1e-0000-4000-8000-000000000001", true),
            ("rrn:key:us:1", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a%2fb", false),
            ("a?b", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<KeyId>().is_ok(), fits, "{text}");
        }
        assert!("x".repeat(129).parse::<KeyId>().is_err());
    }
}

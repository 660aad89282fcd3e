//! `tenantry keys`: the platform's keys, listed, made, deleted and rotated; a secret is stored and never shown.

mod account;
mod place;
mod remembered;
mod rotate;
mod successor;

use std::future::Future;
use std::pin::pin;

use connectors::rapid7::{ApiKey, ApiKeys, KeyId, KeyType, MadeKey, NotMade};
use pipeline::{Error, ErrorKind, Result};
use serde::Serialize;

use self::account::Account;
use self::place::Place;
use self::remembered::Remembered;
use super::Context;
use crate::args::{CreateKey, DeleteKey, KeyKind, Keys, ListKeys};
use crate::console::Console;
use crate::exit_code;
use crate::interrupt::Interrupts;
use crate::table::{instant, table};

pub(super) async fn keys(command: &Keys, context: &Context) -> Result<u8> {
    match command {
        Keys::List(args) => list(args, context).await,
        Keys::Create(args) => create(args, context).await,
        Keys::Delete(args) => delete(args, context).await,
        Keys::Rotate(args) => rotate::rotate(args, context).await,
    }
}

impl From<KeyKind> for KeyType {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::User => Self::user(),
            KeyKind::Organization => Self::organization(),
            KeyKind::MultiTenant => Self::multi_tenant(),
        }
    }
}

/// What `list` prints for a program.
#[derive(Serialize)]
struct Listed<'a> {
    keys: &'a [ApiKey],
    in_use: Option<&'a KeyId>,
}

async fn list(args: &ListKeys, context: &Context) -> Result<u8> {
    let account = Account::open(context).await?;
    let keys = account.keys_of(args.organization.as_ref()).await?.list().await?;
    let in_use = account.in_use();
    let in_use = in_use.as_ref().map(|remembered| &remembered.id);
    let console = &context.console;
    if console.json {
        console.json(&Listed { keys: &keys, in_use })?;
        return Ok(exit_code::OK);
    }
    console.data(&rows(&keys, in_use))?;
    if in_use.is_none() && args.organization.is_none() {
        console.say(
            "which of them is in use is not known: the platform does not tell, and only a key that this program \
             put into the run file's `key.file` is remembered",
        );
    }
    Ok(exit_code::OK)
}

fn rows(keys: &[ApiKey], in_use: Option<&KeyId>) -> String {
    let rows = keys.iter().map(|key| {
        vec![
            key.id.to_string(),
            key.name.clone(),
            type_of(key),
            key.generated_on.map_or_else(|| "-".to_owned(), instant),
            if in_use == Some(&key.id) { "yes".to_owned() } else { String::new() },
        ]
    });
    table(&["id", "name", "type", "generated on", "in use"], rows.collect())
}

fn type_of(key: &ApiKey) -> String {
    key.kind.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// Returns a key as it is told to people.
fn told(key: &ApiKey) -> String {
    format!("{} ({}, {})", key.id, key.name, type_of(key))
}

async fn create(args: &CreateKey, context: &Context) -> Result<u8> {
    let place = Place::chosen(&args.into).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "make a key: it is not said where it goes")
            .with_hint("the secret is shown to nobody: add --into FILE, or --into-command PROGRAM ARG...")
    })?;
    let kind = KeyType::from(args.kind);
    if args.organization.is_some() && args.kind != KeyKind::Organization {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("make a key: a key of the type {kind} is for no organization"),
        )
        .with_hint("leave --organization out, or add --type organization"));
    }
    let mut interrupts = Interrupts::listen()?;
    let account = Account::open(context).await?;
    let api = account.keys_of(args.organization.as_ref()).await?;
    // Whatever would keep the key from being stored is found out before there is one.
    let mut prepared = place.prepare(false)?;
    let console = &context.console;
    let work = async {
        let made = make(&api, &args.name, &kind).await?;
        let stored = async {
            prepared.write(&made.secret)?;
            prepared.finish(&made.secret).await
        };
        if let Err(error) = stored.await {
            return Err(taken_back(error, &made.about, &api).await);
        }
        Ok(made)
    };
    let made = whole(work, &mut interrupts, console).await?;
    place.remember(&made.about, &made.secret, console);
    if console.json {
        console.json(&made.about)?;
    } else {
        console.data(&format!("made key {}; it is {place}", told(&made.about)))?;
    }
    Ok(exit_code::OK)
}

/// Makes a key, and says what to do where the platform does not.
async fn make(api: &ApiKeys, name: &str, kind: &KeyType) -> Result<MadeKey> {
    match api.create(name, kind).await {
        Ok(made) => Ok(made),
        Err(NotMade::Failed(error)) => Err(error),
        Err(NotMade::Refused(error)) => {
            let text = format!("{error}: it does not make a key of the type {kind} for this one");
            Err(Error::new(ErrorKind::Forbidden, text)
                .with_hint("make it in the console, then hand it over: `tenantry keys rotate --stdin`"))
        }
        Err(NotMade::Unknown(error)) => Err(error
            .with_context("stands", format!("there may be a new key called {name} whose secret nobody knows"))
            .with_hint("look with `tenantry keys list`, and delete it with `tenantry keys delete ID`")),
    }
}

/// Deletes a key that could not be used after all, and says in the error whether that worked.
async fn taken_back(error: Error, made: &ApiKey, api: &ApiKeys) -> Error {
    match api.delete(&made.id).await {
        Ok(()) => error.with_context("new key", format!("{} was deleted again", told(made))),
        Err(failed) => error
            .with_context("new key", format!("{} could not be deleted again: {}", told(made), failed.chain()))
            .with_hint(format!("nobody knows its secret: delete it with `tenantry keys delete {}`", made.id)),
    }
}

/// Sees work through to its end whatever the operator types: half of it would lose a key.
async fn whole<T>(work: impl Future<Output = T>, interrupts: &mut Interrupts, console: &Console) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = interrupts.next() => console.warn("a key is being exchanged: that is brought to its end first"),
        }
    }
}

async fn delete(args: &DeleteKey, context: &Context) -> Result<u8> {
    let account = Account::open(context).await?;
    let api = account.keys_of(args.organization.as_ref()).await?;
    let key = find(&api.list().await?, &args.id)?;
    if account.in_use().is_some_and(|remembered| remembered.id == key.id) {
        return Err(Error::new(ErrorKind::Usage, format!("delete key {}: it is the key in use", told(&key)))
            .with_hint("`tenantry keys rotate` puts another in its place first"));
    }
    let what = format!("delete key {} for good: whoever uses it is refused from then on", told(&key));
    if !args.yes && !context.console.confirm(&what)? {
        return Err(Error::new(ErrorKind::Cancelled, format!("delete key {}: not confirmed", told(&key))));
    }
    api.delete(&key.id).await?;
    let console = &context.console;
    if console.json {
        console.json(&key)?;
    } else {
        console.data(&format!("deleted key {}", told(&key)))?;
    }
    // Which key is in use is often not known beforehand; it is known now.
    account.still_good().await.map_err(|error| match error.kind() {
        ErrorKind::Auth => Error::new(
            ErrorKind::Auth,
            format!("use the run file's key from now on: {} was it, and every run will be refused", key.id),
        )
        .with_hint("make a key in the console, then hand it over: `tenantry keys rotate --stdin`"),
        _ => error,
    })?;
    Ok(exit_code::OK)
}

/// Returns the key of an id. What was typed is not repeated: it may be a secret in the wrong place.
fn find(keys: &[ApiKey], id: &KeyId) -> Result<ApiKey> {
    keys.iter().find(|key| key.id == *id).cloned().ok_or_else(|| {
        Error::new(ErrorKind::Usage, "find the key: none has that id")
            .with_hint("`tenantry keys list` shows the ids")
    })
}

//! `tenantry keys rotate`: a new key in the place of the old one, and a working one there at every moment.
//!
//! The steps are: make the new key, try it, store it, read it back the way a run would, and delete the old one. Until
//! the new key is stored nothing has changed. The old one is deleted only while the run file leads to the new one and
//! the platform accepts that; whatever fails before leaves both, and says so.

use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::time::Duration;

use config::Settings;
use connectors::http::{FixedKey, KeySource};
use connectors::rapid7::{ApiKey, KeyId, KeyType};
use pipeline::{Error, ErrorKind, Result, Secret, Timestamp};
use serde::Serialize;

use super::account::{Account, key_file, settings};
use super::place::{Place, Prepared};
use super::successor::successor;
use super::{find, make, taken_back, told, whole};
use crate::args::RotateKey;
use crate::commands::Context;
use crate::console::Console;
use crate::interrupt::Interrupts;
use crate::table::{several, span};
use crate::{exit_code, platform};

/// What is read of standard input; more is no key.
const LONGEST_INPUT: u64 = 8192;

pub(super) async fn rotate(args: &RotateKey, context: &Context) -> Result<u8> {
    // Who is asked at a terminal can still leave as from any prompt.
    let given = if args.stdin { Some(given()?) } else { None };
    let mut interrupts = Interrupts::listen()?;
    let rotation = tokio::select! {
        prepared = Rotation::prepare(args, given, context) => prepared?,
        () = interrupts.next() => return Err(interrupted("rotate the key: nothing was changed")),
    };
    let console = &context.console;
    let rotated = whole(rotation.exchange(), &mut interrupts, console).await?;
    let old_deleted = rotated.retire(args.grace, &mut interrupts).await?;
    if console.json {
        console.json(&rotated.summary(old_deleted))?;
    } else {
        console.data(&rotated.words(old_deleted))?;
    }
    Ok(exit_code::OK)
}

fn interrupted(what: &str) -> Error {
    Error::new(ErrorKind::Cancelled, what)
}

/// A rotation that can begin: everything that could be found out beforehand is.
struct Rotation<'a> {
    console: &'a Console,
    settings: Settings,
    /// Where a run finds its key.
    source: Option<Arc<dyn KeySource>>,
    place: Place,
    prepared: Prepared,
    /// The account with the key that is there now, where one is.
    old: Option<Account>,
    new: Plan,
}

/// Where the new key comes from.
enum Plan {
    /// It is made, in the place of a key or beside all others.
    Make { name: String, kind: KeyType, retired: Option<ApiKey> },
    /// It was made elsewhere, in the place of the key of an id.
    Take { secret: Secret, retired: Option<KeyId> },
}

impl<'a> Rotation<'a> {
    async fn prepare(args: &RotateKey, given: Option<Secret>, context: &'a Context) -> Result<Self> {
        let settings = settings(context)?;
        let file = || key_file(&settings).map(|file| Place::File(file.to_owned()));
        let place = Place::chosen(&args.into).or_else(file).ok_or_else(nowhere)?;
        let source = platform::key_source(&settings, &context.environment);
        let current = match &source {
            Ok(source) => source.current().await,
            Err(error) => Err(Error::new(error.kind(), error.to_string())),
        };
        let (old, new) = match (current, given) {
            (Ok(current), Some(given)) if current.expose() == given.expose() => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "rotate the key: the one that is given is in use already",
                ));
            }
            // Whoever brings a key may do so because there is none, or none that works.
            (current, Some(secret)) => {
                let old = current.and_then(|current| Account::with_key(settings.clone(), current));
                (old.ok(), Plan::Take { secret, retired: args.old.clone() })
            }
            (Ok(current), None) => {
                let old = Account::with_key(settings.clone(), current)?;
                let plan = Plan::make(args, &old, context.clock.now()).await?;
                (Some(old), plan)
            }
            (Err(error), None) => return Err(source.err().unwrap_or(error)),
        };
        // Whatever would keep the key from being stored is found out before there is one.
        let prepared = place.prepare(true)?;
        Ok(Self { console: &context.console, settings, source: source.ok(), place, prepared, old, new })
    }

    /// Puts the new key in its place, or leaves everything as it was.
    async fn exchange(self) -> Result<Rotated<'a>> {
        let Self { console, settings, source, place, mut prepared, old, new: plan } = self;
        let mut rotated = match plan {
            Plan::Take { secret, retired } => {
                let new = Account::with_key(settings, secret)?;
                let rotated =
                    Rotated { console, source, place, old, new, made: None, retired: None, in_use: false };
                let retired = rotated.tried_beside(retired.as_ref()).await.map_err(unchanged)?;
                Rotated { retired, ..rotated }
            }
            Plan::Make { name, kind, retired } => {
                let old = old.ok_or_else(|| Error::new(ErrorKind::Bug, "make a key without one"))?;
                let api = old.keys_of(None).await?;
                let made = make(&api, &name, &kind).await?;
                console.say(&format!("made key {}", told(&made.about)));
                let new = match old.and_key(made.secret) {
                    Ok(new) => new,
                    Err(error) => return Err(unchanged(taken_back(error, &made.about, &api).await)),
                };
                let made = Some(made.about);
                Rotated { console, source, place, old: Some(old), new, made, retired, in_use: false }
            }
        };
        let narrows = prepared.narrows();
        let stored = async {
            prepared.write(&rotated.new.secret)?;
            if rotated.made.is_some() {
                rotated.try_out().await?;
            }
            prepared.finish(&rotated.new.secret).await
        };
        if let Err(error) = stored.await {
            return Err(rotated.undone(error).await);
        }
        rotated.settle().await;
        if narrows {
            console
                .warn(&format!("only its owner may read the key {} now; others could before", rotated.place));
        }
        Ok(rotated)
    }
}

impl Plan {
    /// Plans a key like the old one, as far as the flags do not say otherwise.
    async fn make(args: &RotateKey, old: &Account, now: Timestamp) -> Result<Self> {
        let keys = old.keys_of(None).await?.list().await?;
        let remembered = || old.in_use().map(|remembered| remembered.id);
        let retired = match &args.old {
            Some(id) => Some(find(&keys, id)?),
            // A key that is remembered may have been deleted by hand: then nothing is left to delete.
            None => remembered().and_then(|id| find(&keys, &id).ok()),
        };
        let taken: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let like_old = || retired.as_ref().map(|key| successor(&key.name, &taken, now));
        let name = args.name.clone().or_else(like_old).ok_or_else(unknown)?;
        let kind =
            args.kind.map(KeyType::from).or_else(|| retired.as_ref()?.kind.clone()).ok_or_else(unknown)?;
        Ok(Self::Make { name, kind, retired })
    }
}

/// Reads a key that was made elsewhere; a person who types it does not see it.
fn given() -> Result<Secret> {
    let failed = |error: io::Error| Error::new(ErrorKind::Usage, "read the new key").with_source(error);
    let text = if io::stdin().is_terminal() {
        rpassword::prompt_password("the new key (it is not shown): ").map_err(failed)?
    } else {
        let mut text = String::new();
        io::stdin().take(LONGEST_INPUT).read_to_string(&mut text).map_err(failed)?;
        text
    };
    let secret = Secret::new(text.trim());
    FixedKey::new(&secret).map_err(|error| {
        Error::new(ErrorKind::Usage, format!("read the new key from standard input: {error}"))
            .with_hint("the key alone is expected, on one line")
    })?;
    Ok(secret)
}

fn nowhere() -> Error {
    Error::new(ErrorKind::Usage, "rotate the key: the run file's key is in no file, so the new one has no place")
        .with_hint("add --into FILE, or --into-command PROGRAM ARG... that stores it where the run file's key comes from")
}

fn unknown() -> Error {
    Error::new(ErrorKind::Usage, "rotate the key: it is not known which one is in use, and so what the new one should be")
        .with_hint(
            "name the old one with --old ID (`tenantry keys list` shows the ids), or the new one's --name and --type",
        )
}

/// A new key, in its place or on the way there.
struct Rotated<'a> {
    console: &'a Console,
    source: Option<Arc<dyn KeySource>>,
    place: Place,
    old: Option<Account>,
    new: Account,
    /// The new key's entry, if it was made here.
    made: Option<ApiKey>,
    /// The old key's entry, where its id is known.
    retired: Option<ApiKey>,
    /// Whether a run that begins now finds the new key.
    in_use: bool,
}

/// What is printed for a program.
#[derive(Serialize)]
struct Summary<'a> {
    new: Option<&'a ApiKey>,
    old: Option<&'a ApiKey>,
    in_use: bool,
    old_deleted: bool,
}

impl Rotated<'_> {
    /// Tries the new key: it has to be accepted, and to reach every tenant that the old one reaches.
    async fn try_out(&self) -> Result<()> {
        self.new.prove().await?;
        let tried = |error: Error| {
            let again = Error::new(error.kind(), format!("try the new key: {}", error.chain()));
            match error.hint() {
                Some(hint) => again.with_hint(hint),
                None => again,
            }
        };
        let reached = self.new.tenants().await.map_err(tried)?;
        let Some(old) = &self.old else { return Ok(()) };
        // An old key that is dead tells nothing, and is no reason to go without a new one.
        let Ok(before) = old.tenants().await else { return Ok(()) };
        let lost: Vec<_> =
            before.iter().filter(|tenant| reached.iter().all(|other| other.id != tenant.id)).collect();
        match lost.first() {
            None => Ok(()),
            Some(first) => Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "try the new key: it does not reach {} of the {} that the old one reaches, such as {} ({})",
                    lost.len(),
                    several(before.len() as u64, "tenant"),
                    first.name,
                    first.id
                ),
            )),
        }
    }

    /// Tries a new key that was made elsewhere, and finds the old one with it: the old one itself may be dead.
    async fn tried_beside(&self, old: Option<&KeyId>) -> Result<Option<ApiKey>> {
        self.try_out().await?;
        let Some(id) = old else { return Ok(None) };
        let keys = self.new.keys_of(None).await?.list().await?;
        find(&keys, id).map(Some)
    }

    /// Takes back what was made, unless a run would find it already.
    async fn undone(&self, error: Error) -> Error {
        if self.leads_to_new().await {
            let stands = "the run file leads to the new key all the same, and no key was deleted";
            return error.with_context("what stands", stands);
        }
        let Some(made) = &self.made else { return unchanged(error) };
        let api = match &self.old {
            Some(old) => old.keys_of(None).await,
            None => self.new.keys_of(None).await,
        };
        unchanged(match api {
            Ok(api) => taken_back(error, made, &api).await,
            Err(_) => error,
        })
    }

    /// Looks at the place as a run would, and notes what is known of the key there.
    async fn settle(&mut self) {
        self.in_use = self.leads_to_new().await;
        match &self.made {
            Some(made) => self.place.remember(made, &self.new.secret, self.console),
            None => self.place.forget(),
        }
    }

    async fn leads_to_new(&self) -> bool {
        let Some(source) = &self.source else { return false };
        source.current().await.is_ok_and(|found| found.expose() == self.new.secret.expose())
    }

    /// Deletes the old key after the grace time; returns whether it did.
    async fn retire(&self, grace: Duration, interrupts: &mut Interrupts) -> Result<bool> {
        let Some(old) = self.retired.as_ref().filter(|_| self.in_use) else { return Ok(false) };
        if !grace.is_zero() {
            self.console.say(&format!(
                "the new key is {}; the old one, {}, is deleted in {}",
                self.place,
                told(old),
                span(grace)
            ));
        }
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = interrupts.next() => return Err(self.both_stand(interrupted("delete the old key: interrupted"), old)),
        }
        if !self.leads_to_new().await {
            let text = "delete the old key: the run file no longer leads to the new one";
            return Err(self.both_stand(Error::new(ErrorKind::Auth, text), old));
        }
        let deleted = async {
            self.new.still_good().await?;
            self.new.keys_of(None).await?.delete(&old.id).await
        };
        deleted.await.map_err(|error| self.both_stand(error, old))?;
        match self.new.still_good().await {
            Err(error) if error.kind() == ErrorKind::Auth => Err(self.put_back(old).await),
            // That it cannot be asked at this moment says nothing about the key.
            _ => Ok(true),
        }
    }

    fn both_stand(&self, error: Error, old: &ApiKey) -> Error {
        error
            .with_context(
                "what stands",
                format!("the new key works and is {}; the old one still works too", self.place),
            )
            .with_hint(format!("once nobody needs the old key any more: `tenantry keys delete {}`", old.id))
    }

    /// Puts the old key back where the deleted one turned out to be the new one.
    async fn put_back(&self, deleted: &ApiKey) -> Error {
        let text =
            format!("rotate the key: {} is the new one, not the old one, and it was deleted", told(deleted));
        let error = Error::new(ErrorKind::Auth, text);
        let back = async {
            let old = self.old.as_ref().ok_or_else(|| Error::new(ErrorKind::Auth, "there is no old key"))?;
            old.still_good().await?;
            let mut prepared = self.place.prepare(true)?;
            prepared.write(&old.secret)?;
            prepared.finish(&old.secret).await
        };
        match back.await {
            Ok(()) => {
                self.place.forget();
                error.with_context("what stands", format!("the old key works and is again {}", self.place))
            }
            Err(failed) => error
                .with_context(
                    "what stands",
                    format!("no key that works is {}: {}", self.place, failed.chain()),
                )
                .with_hint("make a key in the console, then hand it over: `tenantry keys rotate --stdin`"),
        }
    }

    fn summary(&self, old_deleted: bool) -> Summary<'_> {
        Summary { new: self.made.as_ref(), old: self.retired.as_ref(), in_use: self.in_use, old_deleted }
    }

    /// Says what stands now, and what is left to do.
    fn words(&self, old_deleted: bool) -> String {
        let new = self.made.as_ref().map_or_else(|| "the key from standard input".to_owned(), told);
        let place = &self.place;
        let delete = match &self.retired {
            Some(old) => format!("`tenantry keys delete {}` deletes it", old.id),
            None => "`tenantry keys list` shows the ids, and `tenantry keys delete ID` deletes it".to_owned(),
        };
        if !self.in_use {
            return format!(
                "stored: {new} is {place}\nthe run file does not lead to it yet, so the old key was not deleted; once \
                 it does, {delete}"
            );
        }
        match &self.retired {
            Some(old) if old_deleted => format!("rotated: {new} is {place}, and {} is deleted", told(old)),
            _ => format!("rotated: {new} is {place}\nthe old key still works; {delete}"),
        }
    }
}

/// Says of a failed rotation that the next run finds what it found before.
fn unchanged(error: Error) -> Error {
    error.with_context("what stands", "the run file's key is the one that it was")
}

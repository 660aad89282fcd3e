//! Where a key is stored: a file that only its owner may read, or a command that reads it.
//!
//! A file is replaced as a whole: the new one is written beside it, readable by nobody else from its first moment,
//! made durable, and renamed over the old one. A key is never an argument of a command, only its standard input.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use connectors::rapid7::ApiKey;
use pipeline::{Error, ErrorKind, Result, Secret};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::remembered::{Remembered, note};
use crate::args::IntoPlace;
use crate::console::Console;

/// How long a command may take to store a key; a person may have to touch a token.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// How much of what a command complains about is repeated.
const SHOWN: usize = 2000;

/// Where a key is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    File(PathBuf),
    /// Wherever the command puts it.
    Command {
        /// What is started.
        program: String,
        /// With what.
        arguments: Vec<String>,
    },
}

impl fmt::Display for Place {
    /// Says where a key is that was stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            // The arguments may hold a token of their own.
            Self::Command { program, .. } => write!(f, "where the command {program} put it"),
        }
    }
}

impl Place {
    /// Returns the place that the flags name; nothing where they name none.
    pub(super) fn chosen(flags: &IntoPlace) -> Option<Self> {
        match (&flags.into, flags.into_command.split_first()) {
            (Some(path), _) => Some(Self::File(path.clone())),
            (None, Some((program, arguments))) => {
                Some(Self::Command { program: program.clone(), arguments: arguments.to_vec() })
            }
            (None, None) => None,
        }
    }

    /// Gets ready to store a key; whether a file that is there may be replaced is the caller's to say.
    ///
    /// # Errors
    /// Where nothing could be stored.
    pub(super) fn prepare(&self, replace: bool) -> Result<Prepared> {
        match self {
            Self::File(path) => Ok(Prepared::File(NewFile::open(path, replace)?)),
            Self::Command { program, arguments } => {
                Ok(Prepared::Command { program: program.clone(), arguments: arguments.clone() })
            }
        }
    }

    /// Notes which key is stored now; without the note everything works, and the key in use is not known.
    pub(super) fn remember(&self, key: &ApiKey, secret: &Secret, console: &Console) {
        let Self::File(path) = self else { return };
        if let Err(error) = Remembered::new(key, secret).keep(path) {
            console.warn(&format!("the id of the key is not remembered: {}", error.chain()));
        }
    }

    /// Forgets which key was stored here.
    pub(super) fn forget(&self) {
        if let Self::File(path) = self {
            // What stays is void: its fingerprint is another key's.
            let _ = fs_err::remove_file(note(path));
        }
    }
}

/// A place that is ready for a key.
pub(super) enum Prepared {
    /// A file beside the one to be replaced.
    File(NewFile),
    /// A command that was not started yet.
    Command {
        /// What will be started.
        program: String,
        /// With what.
        arguments: Vec<String>,
    },
}

impl Prepared {
    /// Returns whether others than the owner could read the file that is replaced; they cannot read the new one.
    pub(super) fn narrows(&self) -> bool {
        matches!(self, Self::File(NewFile { narrows: true, .. }))
    }

    /// Writes the key where nobody looks for it yet, as far as the place knows such a thing.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn write(&mut self, secret: &Secret) -> Result<()> {
        match self {
            Self::File(file) => file.write(secret.expose()),
            Self::Command { .. } => Ok(()),
        }
    }

    /// Puts the key where the next one who looks finds it.
    ///
    /// # Errors
    /// Where the disk or the command refuses.
    pub(super) async fn finish(self, secret: &Secret) -> Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Command { program, arguments } => hand_over(secret, &program, &arguments).await,
        }
    }
}

/// A file that takes another's place once it is whole; dropped before, it leaves nothing behind.
pub(super) struct NewFile {
    file: NamedTempFile,
    target: PathBuf,
    replace: bool,
    narrows: bool,
}

impl NewFile {
    /// Opens a file beside the target, or beside what the target is a link to.
    ///
    /// # Errors
    /// Where the folder cannot be written, or a file is there that may not be replaced.
    pub(super) fn open(target: &Path, replace: bool) -> Result<Self> {
        let failed =
            || Error::new(ErrorKind::Sink, "prepare the key's file").with_context("file", shown(target));
        let old = match fs_err::symlink_metadata(target) {
            Ok(_) if !replace => {
                return Err(Error::new(ErrorKind::Usage, "make a key: the file for it is there already")
                    .with_context("file", shown(target))
                    .with_hint("name another file; `tenantry keys rotate` replaces the run file's key"));
            }
            Ok(_) => Some(fs_err::canonicalize(target).map_err(|error| failed().with_source(error))?),
            Err(_) => None,
        };
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Err(failed().with_hint("it is no file"));
        }
        let path = old.clone().unwrap_or_else(|| target.to_owned());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = tempfile::Builder::new().prefix(".tenantry-").tempfile_in(&folder).map_err(|error| {
            failed().with_source(error).with_hint("its folder has to be there and writable")
        })?;
        if let Some(old) = &old {
            keep_owner(old, &file).map_err(|error| {
                failed().with_source(error).with_hint("it belongs to another user: run this as that user")
            })?;
        }
        let narrows = old.as_deref().is_some_and(is_open);
        Ok(Self { file, target: path, replace, narrows })
    }

    /// Writes the text and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.as_file().sync_all());
        written.map_err(|error| self.failed(error))
    }

    /// Takes the target's place.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn finish(self) -> Result<()> {
        let Self { file, target, replace, .. } = self;
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Sink, "store the key")
                .with_context("file", shown(&target))
                .with_source(error)
        };
        let kept = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        kept.map_err(|error| failed(error.error))?;
        sync_folder(&target).map_err(failed)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::new(ErrorKind::Sink, "store the key")
            .with_context("file", shown(&self.target))
            .with_source(error)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Gives the new file to the owner of the old one: whoever reads the key has to find it readable.
fn keep_owner(old: &Path, new: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (old, own) = (fs_err::metadata(old)?, new.as_file().metadata()?);
    if (old.uid(), old.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    fchown(new.as_file(), Some(old.uid()), Some(old.gid()))
}

/// Returns whether others than its owner may read a file.
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs_err::metadata(file).is_ok_and(|file| file.mode() & 0o044 != 0)
}

/// Makes the name of a file durable.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs_err::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Gives a key to a command on its standard input, without a line break.
async fn hand_over(secret: &Secret, program: &str, arguments: &[String]) -> Result<()> {
    let failed = |why: String| {
        Error::new(ErrorKind::Sink, format!("store the key: the command {why}"))
            .with_context("program", program)
            .with_hint("the command has to read the key from its standard input and exit with 0")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        // What it says is shown only once the key is taken out of it.
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("does not start".to_owned()).with_source(error))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let work = async {
        let written = async {
            stdin.write_all(secret.expose().as_bytes()).await?;
            stdin.shutdown().await?;
            drop(stdin);
            Ok::<_, std::io::Error>(())
        };
        let (written, output) = tokio::join!(written, child.wait_with_output());
        (written, output)
    };
    let (written, output) =
        tokio::time::timeout(COMMAND_TIMEOUT, work).await.map_err(|_| failed("does not end".to_owned()))?;
    let output = output.map_err(|error| failed("cannot be waited for".to_owned()).with_source(error))?;
    if !output.status.success() {
        let error = failed(format!("ended with {}", output.status));
        return Err(match complaint(&output.stderr, secret) {
            Some(complaint) => error.with_context("it said", complaint),
            None => error,
        });
    }
    written.map_err(|error| failed("did not read the key".to_owned()).with_source(error))
}

/// Returns what a command complained about, without the key.
fn complaint(bytes: &[u8], secret: &Secret) -> Option<String> {
    let text = secret.scrub(&String::from_utf8_lossy(bytes));
    let text: String = text.trim().chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect();
    let text: String = text.chars().take(SHOWN).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("hunter2")
    }

    fn entries(folder: &Path) -> Vec<String> {
        let names = fs_err::read_dir(folder).expect("a folder");
        names.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs_err::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn secrecy_a_file_is_its_owner_s_from_its_first_moment_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs_err::write(&path, "old").expect("it can be written");
        assert_ne!(mode(&path), 0o600, "the mode is not inherited by chance");
        let mut prepared = Place::File(path.clone()).prepare(true).expect("it can be written");
        for name in entries(folder.path()).into_iter().filter(|name| name != "key") {
            assert_eq!(mode(&folder.path().join(name)), 0o600);
        }
        assert!(prepared.narrows(), "and that is known");
        prepared.write(&secret()).expect("it can be written");
        assert_eq!(fs_err::read_to_string(&path).expect("a file"), "old");
        prepared.finish(&secret()).await.expect("it can be stored");
        assert_eq!(
            (fs_err::read_to_string(&path).expect("a file").as_str(), mode(&path)),
            ("hunter2", 0o600)
        );
        assert_eq!(entries(folder.path()), ["key"]);
    }

    #[tokio::test]
    async fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("key"), folder.path().join("link"));
        fs_err::write(&path, "old").expect("it can be written");
        std::os::unix::fs::symlink("key", &link).expect("a link");
        let mut prepared = Place::File(link.clone()).prepare(true).expect("it can be written");
        prepared.write(&secret()).expect("it can be written");
        prepared.finish(&secret()).await.expect("it can be stored");
        assert!(link.is_symlink());
        assert_eq!(fs_err::read_to_string(&path).expect("a file"), "hunter2");
    }

    #[test]
    fn secrecy_what_was_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let mut prepared = Place::File(path.clone()).prepare(false).expect("it can be written");
        prepared.write(&secret()).expect("it can be written");
        drop(prepared);
        assert_eq!(entries(folder.path()), Vec::<String>::new());
        fs_err::write(&path, "old").expect("it can be written");
        let refused =
            |place: &Path, replace| Place::File(place.to_owned()).prepare(replace).err().map(|it| it.kind());
        assert_eq!(refused(&path, false), Some(ErrorKind::Usage), "nothing is replaced unasked");
        assert_eq!(refused(&folder.path().join("absent/key"), true), Some(ErrorKind::Sink));
        assert_eq!(refused(folder.path(), true), Some(ErrorKind::Sink), "a folder is no file");
    }

    async fn hand(script: &str) -> Result<()> {
        let arguments = ["-c", script].map(str::to_owned).to_vec();
        Place::Command { program: "sh".to_owned(), arguments }.prepare(true)?.finish(&secret()).await
    }

    #[tokio::test]
    async fn secrecy_a_command_reads_the_key_and_what_it_says_of_it_is_masked() {
        hand("test \"$(cat)\" = hunter2").await.expect("it reads the key");
        hand("cat; cat >&2").await.expect("what it prints is not shown");
        for script in ["cat >&2; exit 3", "exit 3", "cat; kill -9 $$"] {
            let error = hand(script).await.expect_err("it fails");
            assert_eq!(error.kind(), ErrorKind::Sink, "{script}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for script in ["echo no: $(cat) >&2; exit 3", "echo no: $(tr a-z A-Z) >&2; exit 3"] {
            let error = hand(script).await.expect_err("it fails");
            assert!(format!("{error:?}").contains("no: ****"), "{error:?}");
        }
        let absent = Place::Command { program: "/absent/program".to_owned(), arguments: Vec::new() };
        let error = absent.prepare(true).expect("nothing is started yet").finish(&secret()).await;
        assert!(error.is_err());
    }
}

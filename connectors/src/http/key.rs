//! Where the key comes from: a literal, a file or a command; a file and a command are looked at again in a run.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::{Error, ErrorKind, Result, Secret};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::Instant;

/// A key longer than this is no key: the wrong file was named.
const LONGEST_KEY: usize = 4096;

/// What is read where a key should be, however much there is.
const MOST_READ: u64 = 64 << 10;

/// How long a command may take to print the key; a person may have to touch a token.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a file is looked at: reading a few bytes costs nothing.
const LOOK_AT_FILE: Duration = Duration::from_secs(1);

/// How often a command is asked: it may stand for a vault that counts its readers. A refusal asks it at once.
const ASK_COMMAND: Duration = Duration::from_secs(180);

/// A file that is being rewritten is empty or half there for less than this.
const REWRITING: Duration = Duration::from_millis(400);
const READ_AGAIN: Duration = Duration::from_millis(50);

/// Gives the key as it stands, as often as it is asked.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync {
    /// Returns the key as it stands now.
    async fn current(&self) -> Result<Secret>;

    /// Says where the key is, in words and without the key.
    fn place(&self) -> String;

    /// Returns how often a newer key may be looked for; `None` where none can come.
    fn look_every(&self) -> Option<Duration> {
        None
    }
}

/// No key, for who asks the platform nothing.
#[derive(Debug)]
pub struct NoKey;

#[async_trait]
impl KeySource for NoKey {
    async fn current(&self) -> Result<Secret> {
        Err(Error::new(ErrorKind::Bug, "ask the platform without a key"))
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

/// A key that never changes.
#[derive(Debug)]
pub struct FixedKey(Secret);

impl FixedKey {
    /// Holds a key, without the white space around it.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it cannot be a key.
    pub fn new(key: &Secret) -> Result<Self> {
        Ok(Self(checked(key.expose(), "the one that was given")?))
    }
}

#[async_trait]
impl KeySource for FixedKey {
    async fn current(&self) -> Result<Secret> {
        Ok(self.0.clone())
    }

    fn place(&self) -> String {
        "the environment".to_owned()
    }
}

/// A key in a file.
#[derive(Debug)]
pub struct FileKey(PathBuf);

impl FileKey {
    /// Names the file; it is read when the key is needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    async fn read(&self) -> Result<Secret> {
        let shown = self.0.display().to_string();
        let mut bytes = Vec::new();
        let read = async {
            let file = tokio::fs::File::open(&self.0).await?;
            file.take(MOST_READ).read_to_end(&mut bytes).await
        };
        read.await.map_err(|error| {
            Error::new(ErrorKind::Auth, "read the key's file")
                .with_context("file", &shown)
                .with_source(error)
                .with_hint("let this user read the file, or let `key` in the run file name another place")
        })?;
        checked(&String::from_utf8_lossy(&bytes), &shown)
    }
}

#[async_trait]
impl KeySource for FileKey {
    /// Reads the file, and once more for a moment where what it holds is no key: it may be being rewritten.
    async fn current(&self) -> Result<Secret> {
        let began = Instant::now();
        loop {
            match self.read().await {
                Err(_) if began.elapsed() < REWRITING => tokio::time::sleep(READ_AGAIN).await,
                read => return read,
            }
        }
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK_AT_FILE)
    }
}

/// A key that a command prints.
pub struct CommandKey {
    program: String,
    arguments: Vec<String>,
}

impl CommandKey {
    /// Names the program and its arguments; it runs when the key is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where not even a program is named.
    pub fn new(command: Vec<String>) -> Result<Self> {
        let mut words = command.into_iter();
        match words.next() {
            Some(program) => Ok(Self { program, arguments: words.collect() }),
            None => Err(Error::new(ErrorKind::Config, "run the key's command: none is named")),
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(ErrorKind::Auth, format!("run the key's command: {why}"))
            .with_context("program", &self.program)
            .with_hint("run the command by hand: it has to print the key and nothing else, and exit with 0")
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The arguments may hold a token of their own.
        f.debug_struct("CommandKey").field("program", &self.program).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeySource for CommandKey {
    async fn current(&self) -> Result<Secret> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it complains about is for the person at the terminal, never for a log of ours.
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                self.failed("it does not start").with_source(error).of_kind(ErrorKind::Config)
            })?;
        let mut output = Vec::new();
        let stdout = child.stdout.take().expect("it is piped");
        let ended = async {
            // Who prints without end is not waited for: nobody reads on, and it is ended below.
            if stdout.take(MOST_READ).read_to_end(&mut output).await? as u64 == MOST_READ {
                return Ok(None);
            }
            child.wait().await.map(Some)
        };
        let status = tokio::time::timeout(COMMAND_TIMEOUT, ended)
            .await
            .map_err(|_| self.failed("it does not end"))?
            .map_err(|error| self.failed("its output cannot be read").with_source(error))?
            .ok_or_else(|| self.failed("it prints far more than a key").of_kind(ErrorKind::Config))?;
        if !status.success() {
            return Err(self.failed(&format!("it ended with {status}")));
        }
        let text = String::from_utf8(output).map_err(|_| self.failed("it printed no text"))?;
        // A command may fail for reasons of its own; what it prints instead of a key is a matter of the run file.
        checked(&text, &self.program).map_err(|error| error.of_kind(ErrorKind::Config))
    }

    fn place(&self) -> String {
        format!("the command {}", self.program)
    }

    fn look_every(&self) -> Option<Duration> {
        Some(ASK_COMMAND)
    }
}

/// Returns the text as a key, or says what is wrong with it without showing it.
fn checked(text: &str, place: &str) -> Result<Secret> {
    let key = text.trim();
    let wrong = if key.len() > LONGEST_KEY || text.len() as u64 >= MOST_READ {
        "it is too long"
    } else if key.is_empty() {
        "it is empty"
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it holds a space, a line break or a letter outside ASCII"
    } else {
        return Ok(Secret::new(key));
    };
    Err(Error::new(ErrorKind::Auth, format!("use the key: {wrong}"))
        .with_context("key", place)
        .with_hint("the key alone is expected, on one line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_one_word_wherever_it_comes_from() {
        for (text, expected) in
            [(" k-1\n", Some("k-1")), ("", None), ("a b", None), ("k\nk", None), ("kéy", None)]
        {
            let file = tempfile_with(text);
            let command = ["printf", "%s", text].map(str::to_owned).to_vec();
            let sources: [Result<Box<dyn KeySource>>; 3] = [
                FixedKey::new(&Secret::new(text)).map(|source| Box::new(source) as _),
                Ok(Box::new(FileKey::new(&file))),
                CommandKey::new(command).map(|source| Box::new(source) as _),
            ];
            for source in sources {
                let key = match source {
                    Ok(source) => source.current().await,
                    Err(error) => Err(error),
                };
                assert_eq!(key.ok().as_ref().map(Secret::expose), expected, "{text:?}");
            }
            std::fs::remove_file(file).expect("the file was there");
        }
    }

    #[tokio::test]
    async fn bounded_what_never_ends_is_no_key() {
        let command = CommandKey::new(vec!["yes".to_owned()]).expect("a program");
        let sources: [Box<dyn KeySource>; 2] = [Box::new(FileKey::new("/dev/zero")), Box::new(command)];
        for source in sources {
            let error = source.current().await.expect_err("it is far too long");
            assert!(
                error.to_string().contains("too long") || error.to_string().contains("more than"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_is_given_the_moment_that_rewriting_it_takes() {
        let file = tempfile_with("old");
        let source = FileKey::new(&file);
        assert_eq!(source.current().await.expect("a key").expose(), "old");
        std::fs::write(&file, "").expect("writable");
        let rewritten = async {
            tokio::time::sleep(READ_AGAIN * 2).await;
            std::fs::write(&file, "new\n").expect("writable");
        };
        let (read, ()) = tokio::join!(source.current(), rewritten);
        assert_eq!(read.expect("a key").expose(), "new");
        std::fs::remove_file(&file).expect("the file was there");
        let error = source.current().await.expect_err("it is gone for good");
        assert_eq!(error.kind(), ErrorKind::Auth);
    }

    #[tokio::test]
    async fn a_command_that_fails_says_so_without_its_output() {
        for script in ["echo hunter2; exit 3", "printf '\\377'"] {
            let command = ["sh", "-c", script].map(str::to_owned).to_vec();
            let source = CommandKey::new(command).expect("a program");
            let error = source.current().await.expect_err("it fails");
            assert_eq!(error.kind(), ErrorKind::Auth);
            assert!(!format!("{error:?} {source:?}").contains("hunter2"), "{error:?}");
        }
        assert!(CommandKey::new(Vec::new()).is_err());
    }

    fn tempfile_with(text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).expect("the temporary folder is writable");
        path
    }
}

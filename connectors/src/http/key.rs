//! Where the key comes from: a literal, a file or a command; read again when the platform refuses it.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::{Error, ErrorKind, Result, Secret};
use tokio::process::Command;

/// A key longer than this is no key: the wrong file was named.
const LONGEST_KEY: usize = 4096;

/// How long a command may take to print the key; a person may have to touch a token.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Gives the key, and a newer one when the platform refuses it.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync {
    /// Returns the key as it stands now.
    async fn current(&self) -> Result<Secret>;

    /// Returns a key other than the refused one, where there is one by now.
    async fn refused(&self, key: &Secret) -> Result<Option<Secret>> {
        let current = self.current().await?;
        Ok((current.expose() != key.expose()).then_some(current))
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
        Ok(Self(checked(key.expose(), "the run file or the environment")?))
    }
}

#[async_trait]
impl KeySource for FixedKey {
    async fn current(&self) -> Result<Secret> {
        Ok(self.0.clone())
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
}

#[async_trait]
impl KeySource for FileKey {
    async fn current(&self) -> Result<Secret> {
        let shown = self.0.display().to_string();
        let text = tokio::fs::read_to_string(&self.0).await.map_err(|error| {
            Error::new(ErrorKind::Auth, "read the key's file").with_context("file", &shown).with_source(error)
        })?;
        checked(&text, &shown)
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
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it complains about is for the person at the terminal, never for a log of ours.
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.failed("it does not start").with_source(error))?;
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child.wait_with_output())
            .await
            .map_err(|_| self.failed("it does not end"))?
            .map_err(|error| self.failed("its output cannot be read").with_source(error))?;
        if !output.status.success() {
            return Err(self.failed(&format!("it ended with {}", output.status)));
        }
        let text = String::from_utf8(output.stdout).map_err(|_| self.failed("it printed no text"))?;
        checked(&text, &self.program)
    }
}

/// Returns the text as a key, or says what is wrong with it without showing it.
fn checked(text: &str, place: &str) -> Result<Secret> {
    let key = text.trim();
    let wrong = if key.is_empty() {
        "it is empty"
    } else if key.len() > LONGEST_KEY {
        "it is too long"
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
    async fn a_refused_file_gives_the_key_that_was_put_there_since() {
        let file = tempfile_with("old");
        let source = FileKey::new(&file);
        let old = source.current().await.expect("a key");
        assert!(source.refused(&old).await.expect("readable").is_none());
        std::fs::write(&file, "new\n").expect("writable");
        let new = source.refused(&old).await.expect("readable").expect("a newer key");
        assert_eq!(new.expose(), "new");
        std::fs::remove_file(file).expect("the file was there");
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

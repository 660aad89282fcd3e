//! The environment: every variable the program looks at, and the one place that looks.

use std::ffi::OsString;
use std::fmt;

use pipeline::{Error, ErrorKind, Result};

/// The run file to read when `--config` is not given.
pub const CONFIG: &str = "TENANTRY_CONFIG";

/// What to log when `--log-level` is not given: a level, or directives such as `connectors=debug`.
pub const LOG: &str = "TENANTRY_LOG";

/// When set to anything but nothing, no colour is used; see <https://no-color.org>.
pub const NO_COLOR: &str = "NO_COLOR";

/// The terminal; `dumb` means one that knows no colour.
pub const TERM: &str = "TERM";

/// The variable that a freshly written run file names for the key.
pub const KEY: &str = "TENANTRY_KEY";

/// Variables as they stood when they were asked for; a test brings its own.
pub struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// Returns the environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var_os(name)))
    }

    /// Returns an environment of the given variables and no others.
    pub fn of<const N: usize>(variables: [(&'static str, &'static str); N]) -> Self {
        Self(Box::new(move |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        }))
    }

    /// Returns a variable's value; one that is empty counts as not set.
    ///
    /// # Errors
    /// Where the value is no UTF-8 text.
    pub fn get(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let text = value.into_string().map_err(|_| {
            Error::new(
                ErrorKind::Config,
                format!("read the environment variable {name}: it is no UTF-8 text"),
            )
        })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

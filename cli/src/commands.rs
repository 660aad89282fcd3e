//! One file for each command: what it asks, and what it prints.

mod check;
mod checkpoint;
mod completions;
mod datasets;
mod demo;
mod init;
mod keys;
mod known;
mod plan;
mod rejects;
mod report;
mod run;
mod schema;
pub(crate) mod simulate;
mod status;
mod tenants;
mod verify;

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use config::{Again, Environment, Flags, Settings};
use pipeline::{Clock, Result};
use uuid::Uuid;

use crate::args::{Command, Global, Narrow, RunArgs, Who};
use crate::console::Console;

/// What every command works with.
pub(crate) struct Context {
    /// What every command understands.
    pub(crate) global: Global,
    /// Where it prints.
    pub(crate) console: Console,
    /// What it may look at.
    pub(crate) environment: Environment,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Context {
    /// Returns the settings of a command.
    ///
    /// # Errors
    /// Where the run file is wrong, or a flag names what it doesn't have.
    pub(crate) fn settings(&self, narrow: &Narrow) -> Result<Settings> {
        self.settings_again(narrow, Again::default())
    }

    /// Returns the settings of a run, which may read again what was read before.
    ///
    /// # Errors
    /// As [`Context::settings`], and where the flags contradict each other.
    pub(crate) fn settings_of_run(&self, args: &RunArgs) -> Result<Settings> {
        self.settings_again(&args.narrow, args.again())
    }

    /// Returns the settings of a command that looks at what the lake holds, whether the run file still names it or not.
    ///
    /// # Errors
    /// As [`Context::settings`], and where nobody knows a dataset.
    pub(crate) fn settings_of_lake(&self, narrow: &Narrow) -> Result<Settings> {
        let settings = self.settings(&Narrow { who: narrow.who.clone(), datasets: Vec::new() })?;
        let catalogue = config::catalogue(&settings.connector);
        known::check_datasets(&narrow.datasets, catalogue.iter().map(|dataset| dataset.name).collect())?;
        Ok(settings)
    }

    /// Returns the identifier of a new run, which begins with the time.
    pub(crate) fn run_id(&self) -> String {
        let now = self.clock.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
        Uuid::new_v7(time).to_string()
    }

    fn settings_again(&self, narrow: &Narrow, again: Again) -> Result<Settings> {
        let Narrow { who: Who { tenants, regions }, datasets } = narrow.clone();
        let flags = Flags { config: self.global.config.clone(), tenants, datasets, regions, again };
        config::resolve(&flags, &self.environment, self.clock.now())
    }
}

/// Returns a path or a text as one word of a shell's command.
fn for_a_shell(text: impl Display) -> String {
    let text = text.to_string();
    // No path and no query has the one character that cannot be quoted, a zero.
    shlex::try_quote(&text).map_or_else(|_| text.clone(), Cow::into_owned)
}

/// Does what the command line asks for and returns the exit code.
///
/// # Errors
/// Whatever ended the command.
pub(crate) async fn execute(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Demo(args) => demo::demo(&args, context).await,
        Command::Init(args) => init::init(&args, context),
        Command::Check(args) => check::check(&args, context).await,
        Command::Tenants(narrow) => tenants::tenants(&narrow, context).await,
        Command::Datasets(args) => datasets::datasets(&args, context).await,
        Command::Plan(args) => plan::plan(&args, context).await,
        Command::Run(args) => run::run(&args, context).await,
        Command::Checkpoint(args) => checkpoint::checkpoint(&args, context).await,
        Command::Rejects(args) => rejects::rejects(&args, context).await,
        Command::Status(args) => status::status(&args, context).await,
        Command::Verify(args) => verify::verify(&args, context),
        Command::Report(args) => report::report(&args, context),
        Command::Keys(command) => keys::keys(&command, context).await,
        Command::Simulate(args) => simulate::simulate(&args, context).await,
        Command::Completions { shell } => completions::completions(shell, context),
        Command::Schema => schema::schema(context),
    }
}

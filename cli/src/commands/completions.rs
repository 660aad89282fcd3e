//! `tenantry completions`: what a shell needs to complete the command line.

use clap::CommandFactory;
use pipeline::Result;

use super::Context;
use crate::args::Cli;
use crate::exit_code;

pub(super) fn completions(shell: clap_complete::Shell, context: &Context) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tenantry", &mut script);
    context.console.data(&String::from_utf8_lossy(&script))?;
    Ok(exit_code::OK)
}

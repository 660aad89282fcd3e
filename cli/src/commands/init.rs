//! `tenantry init`: a commented run file to start from.

use std::io;

use pipeline::Result;

use super::Context;
use crate::args::Init;
use crate::{exit_code, file};

pub(super) fn init(args: &Init, context: &Context) -> Result<u8> {
    let path = &args.into;
    file::put(path, config::STARTER, args.force).map_err(|error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let elsewhere = if exists {
            "`--force` replaces it; `--into FILE` writes another"
        } else {
            "name another place with `--into FILE`"
        };
        file::refused("write the run file", path, error, elsewhere)
    })?;
    let console = &context.console;
    console.say(&format!("wrote {}", path.display()));
    console.say(&format!(
        "next: fill in parent_organization and home_region, put the key into {}, and run `tenantry check`",
        config::env::KEY
    ));
    Ok(exit_code::OK)
}

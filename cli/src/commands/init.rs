//! `tenantry init`: a commented run file to start from.

use std::io::{self, Write};

use pipeline::{Error, ErrorKind, Result};

use super::Context;
use crate::args::Init;
use crate::exit_code;

pub(super) fn init(args: &Init, context: &Context) -> Result<u8> {
    let path = &args.into;
    let mut options = fs_err::OpenOptions::new();
    options.write(true).truncate(args.force).create(args.force).create_new(!args.force);
    let written = options.open(path).and_then(|mut file| file.write_all(config::STARTER.as_bytes()));
    written.map_err(|error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let told = Error::new(ErrorKind::Usage, "write the run file").with_source(error);
        if exists { told.with_hint("`--force` replaces it; `--into FILE` writes another") } else { told }
    })?;
    let console = &context.console;
    console.say(&format!("wrote {}", path.display()));
    console.say(&format!(
        "next: fill in parent_organization and home_region, put the key into {}, and run `tenantry check`",
        config::env::KEY
    ));
    Ok(exit_code::OK)
}

//! `tenantry init`: a commented run file to start from.

use std::io;

use pipeline::Result;

use super::{Context, for_a_shell};
use crate::args::Init;
use crate::{exit_code, file};

pub(super) fn init(args: &Init, context: &Context) -> Result<u8> {
    let Context { global, console, environment, .. } = context;
    let meant = |flag| config::resolve::run_file_path(flag, environment);
    let path = &meant(args.into.as_deref().or(global.config.as_deref()))?;
    file::put(path, config::STARTER, args.force).map_err(|error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists && path.is_file();
        let elsewhere = if exists {
            "`--force` replaces it; `--into FILE` writes another"
        } else {
            "name another place with `--into FILE`"
        };
        file::refused("write the run file", path, error, elsewhere)
    })?;
    let is_found = meant(None).is_ok_and(|usual| usual == *path);
    let flag = if is_found { String::new() } else { format!(" --config {}", for_a_shell(path.display())) };
    console.say(&format!("wrote {}", path.display()));
    console.say(&format!(
        "next: fill in parent_organization and home_region, put the key into {}, and run `tenantry check{flag}`",
        config::env::KEY
    ));
    Ok(exit_code::OK)
}

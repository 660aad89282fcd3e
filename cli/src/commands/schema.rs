//! `tenantry schema`: the run file's JSON Schema.

use config::RunFile;
use pipeline::Result;

use super::Context;
use crate::exit_code;

pub(super) fn schema(context: &Context) -> Result<u8> {
    context.console.json(&RunFile::schema())?;
    Ok(exit_code::OK)
}

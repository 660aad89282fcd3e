//! The program, built beside its tests so that they can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

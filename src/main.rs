//! The `dignity` command; see [`dignity::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    dignity::cli::main()
}

//! The binary: hands the command line to the library and its exit status to the system.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(foster::main(std::env::args_os().collect()).0)
}

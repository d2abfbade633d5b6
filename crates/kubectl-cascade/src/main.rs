//! The binary; everything is in the library half.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    kubectl_cascade::cli::main(&arguments).into()
}

//! The binary; everything is in the library half.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_cascade::cli::main(std::env::args_os().collect()).into()
}

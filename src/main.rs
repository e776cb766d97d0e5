//! The program `dalsegno`: see [`dalsegno::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    dalsegno::cli::main(std::env::args_os())
}

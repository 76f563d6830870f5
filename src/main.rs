//! The one program that a person types.

use std::process::ExitCode;

use clap::Parser as _;
use gridtally::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gridtally: {error:#}");
            ExitCode::FAILURE
        }
    }
}

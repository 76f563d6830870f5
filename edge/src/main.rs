//! The agent alone, for a box that runs nothing else.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use gridtally_edge::cli::{self, EdgeArgs};
use tracing_subscriber::EnvFilter;

/// The agent in the home: reads devices, signs what they measured, moves the battery when its owner allows.
#[derive(Debug, Parser)]
#[command(name = "gridtally-edge", version)]
struct Arguments {
    #[command(flatten)]
    edge: EdgeArgs,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("GRIDTALLY_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,gridtally_edge=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A journal takes the colours of a terminal for text.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match cli::run(Arguments::parse().edge) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gridtally-edge: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `gridtally engine …`: the operator's commands.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::engine::{self, EngineError, EngineOptions};

/// The engine of a neighbourhood, and the operator's commands to it.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EngineCommand,
}

/// What the operator may ask for.
#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Run the engine until it is told to stop.
    Run(RunArgs),
}

/// Where the engine keeps its things, and what it uses.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The directory of its key, and of its private database and broker.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/gridtally")]
    pub data: PathBuf,
    /// Your own PostgreSQL, as a connection string, instead of a private one.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Your own MQTT broker instead of a private one.
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
    /// Where the private broker listens (default: 127.0.0.1:1883 if it is free).
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "broker")]
    pub listen: Option<SocketAddr>,
    /// Take the time from standard input, a JSON line each step; for simulations.
    #[arg(long)]
    pub stepped: bool,
}

/// Does what the operator asked for.
///
/// # Errors
/// [`EngineError`] as a sentence.
pub fn run(args: EngineArgs) -> Result<(), EngineError> {
    match args.command {
        EngineCommand::Run(run) => engine::run(&EngineOptions {
            data: run.data,
            database: run.database,
            broker: run.broker,
            listen: run.listen,
            stepped: run.stepped,
        }),
    }
}

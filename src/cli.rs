//! What a person types: the roles of the network as subcommands of one program.

use clap::{Parser, Subcommand};
use gridtally_edge::cli::EdgeArgs;
use gridtally_log::cli::{LogArgs, WitnessArgs};
use gridtally_settlement::cli::bench::BenchArgs;
use gridtally_settlement::cli::engine::EngineArgs;
use gridtally_settlement::cli::rules::RulesArgs;
use gridtally_settlement::cli::verify::VerifyArgs;
use gridtally_simulators::cli::SimulateArgs;

use crate::attacks::cli::AttacksArgs;
use crate::demo::DemoArgs;

/// A neighbourhood of solar roofs and batteries as a power plant, paid to the last decimal, checkable by anyone.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Start with `gridtally demo`. Each subcommand explains itself with --help."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a neighbourhood of twelve homes for fifteen days: from Modbus registers to paid tokens.
    Demo(DemoArgs),
    /// The agent in a home.
    Edge(EdgeArgs),
    /// The owner of a home: a key of your own, and what you accept, hand over and end with it.
    Owner(crate::owner::OwnerArgs),
    /// The settlement engine, and the operator's commands to it.
    Engine(EngineArgs),
    /// Re-derive a settlement from its bundle, trusting nobody.
    Verify(VerifyArgs),
    /// The log of what was signed, settled and paid: recompute it, and prove what is in it.
    Log(LogArgs),
    /// Watch a log for others: cosign what continues it, refuse and keep what takes something back.
    Witness(WitnessArgs),
    /// Run the rules on their own, on any CSV of readings.
    Rules(RulesArgs),
    /// Measure this machine: how fast signed reports become durable, and what limits it.
    Bench(BenchArgs),
    /// Simulated Modbus devices with physics and faults, over TCP or on a serial line.
    Simulate(SimulateArgs),
    /// Play every attack of the corpus on simulated homes: what it earns, what finds it out, who is wrongly suspected.
    Attacks(AttacksArgs),
}

/// Does what was typed.
///
/// # Errors
/// What went wrong, as a sentence.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    start_log();
    match cli.command {
        Command::Demo(args) => crate::demo::run(&args)?,
        Command::Edge(args) => gridtally_edge::cli::run(args)?,
        Command::Owner(args) => crate::owner::run(&args, &mut std::io::stdout())?,
        Command::Engine(args) => gridtally_settlement::cli::engine::run(args)?,
        Command::Verify(args) => {
            gridtally_settlement::cli::verify::run(&args, &mut std::io::stdout().lock())?
        }
        Command::Log(args) => gridtally_log::cli::run_log(&args, &mut std::io::stdout().lock())?,
        Command::Witness(args) => gridtally_log::cli::run_witness(&args, &mut std::io::stdout().lock())?,
        Command::Rules(args) => gridtally_settlement::cli::rules::run(&args, &mut std::io::stdout().lock())?,
        Command::Bench(args) => gridtally_settlement::cli::bench::run(&args, &mut std::io::stdout().lock())?,
        Command::Simulate(args) => simulate(args)?,
        Command::Attacks(args) => crate::attacks::cli::run(&args, &mut std::io::stdout().lock())?,
    }
    Ok(())
}

fn simulate(args: SimulateArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(gridtally_simulators::cli::run(args))?)
}

/// Warnings go to standard error; `RUST_LOG=gridtally=debug` shows more.
fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

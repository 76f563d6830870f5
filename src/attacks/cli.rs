//! `gridtally attacks`.

use std::io::{self, Write};

use clap::Args;
use gridtally_simulators::attack::{Attack, Attacker};

use super::{Corpus, play};

/// `gridtally attacks …`
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gridtally attacks --homes 1000      what each attack earns, and how often honest homes are suspected\n  gridtally attacks --list            what is tried"
)]
pub struct AttacksArgs {
    /// How many homes; every second one attacks or is attacked.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub homes: u32,
    /// From which everything is drawn.
    #[arg(long, default_value_t = 2026)]
    pub seed: u64,
    /// Only list the attacks.
    #[arg(long)]
    pub list: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Plays the corpus, and prints what it came to.
///
/// # Errors
/// Where something cannot be played, or an attack paid.
pub fn run(args: &AttacksArgs, out: &mut impl Write) -> anyhow::Result<()> {
    if args.list {
        return Ok(list(out)?);
    }
    let corpus = Corpus {
        seed: args.seed,
        homes: usize::try_from(args.homes)?,
    };
    let figures = play(&corpus, |text| eprintln!("attacks: {text}"))?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &figures)?;
        writeln!(out)?;
    } else {
        figures.print(out)?;
    }
    anyhow::ensure!(
        figures.holds(),
        "an attack earned more, harmed somebody, or was not met as it should be; the table says which"
    );
    Ok(())
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for attack in Attack::ALL {
        let who = match attack.attacker() {
            Attacker::Stranger => "stranger",
            Attacker::Home => "home",
        };
        writeln!(out, "{:<20} {who:<9} {}", attack.name(), attack.says())?;
    }
    Ok(())
}

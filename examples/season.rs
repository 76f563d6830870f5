//! Plays a season and shows how close each baseline came to the truth.
//!
//! `cargo run --release --example season -- --homes 500 --events 30`

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use gridtally::season::desk::PROGRAM;
use gridtally::season::measure::measure;
use gridtally::season::page::page;
use gridtally::season::plan::Plan;
use gridtally::season::story;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::store::Store;
use gridtally_settlement::supervise::PrivateCluster;

/// Plays a season of a flexibility program with simulated homes.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many homes.
    #[arg(long, default_value_t = Plan::whole().homes)]
    homes: usize,
    /// How many events, two a week.
    #[arg(long, default_value_t = Plan::whole().events)]
    events: usize,
    /// From which everything follows.
    #[arg(long, default_value_t = Plan::whole().seed)]
    seed: u64,
    /// Weeks of readings before the first event.
    #[arg(long, default_value_t = Plan::whole().history_weeks)]
    history_weeks: i64,
    /// Where the page is written to; it is printed where none is given.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Arguments {
        homes,
        events,
        seed,
        history_weeks,
        write,
    } = Arguments::parse();
    let plan = Plan {
        seed,
        homes,
        events,
        history_weeks,
        ..Plan::whole()
    };
    let place = std::env::temp_dir().join(format!("gridtally-season-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let start = Instant::now();
    let mut progress = |what: &str| eprintln!("{:7.1} s  {what}", start.elapsed().as_secs_f64());
    let outcome = (|| {
        let cluster = PrivateCluster::start(&place)?;
        let store = Store::open(&cluster.connection_string())?;
        story::run(plan, store, place.join("last.bundle"), &mut progress)
    })();
    std::fs::remove_dir_all(&place)?;
    let season = outcome?;
    progress("comparing the baselines with the truth");
    let program = Program::from_toml("program", PROGRAM)?;
    let text = page(&season, &measure(&season, &program)?, &program.asset)?;
    match write {
        Some(path) => {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => print!("{text}"),
    }
    progress("done");
    Ok(())
}

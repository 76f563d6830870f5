//! `gridtally demo`: a neighbourhood of twelve homes for fifteen days, and the picture of its evening event.
//!
//! - [`story`]: plays the scenario, with the attacks at its end;
//! - [`picture`]: what is shown, as plain data; [`gather`] fills it from the engine's store;
//! - [`terminal`], [`page`]: draw it.

pub mod gather;
pub mod page;
pub mod picture;
pub mod story;
pub mod terminal;

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use gridtally_settlement::proofs::verify;

use crate::neighbourhood::Neighbourhood;
use crate::neighbourhood::scenario::Scenario;
use story::Progress;

/// The demo's options.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the report, its chart and the bundle are written.
    #[arg(long, value_name = "DIR", default_value = "demo-report")]
    pub out: PathBuf,
    /// Another number makes other homes, other weather and other keys.
    #[arg(long, value_name = "NUMBER", default_value_t = 2026)]
    pub seed: u64,
    /// Keep the homes' and the engine's files in this directory, instead of a temporary one that is removed.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Plays the demo and shows its picture.
///
/// # Errors
/// Where a part does not start or is gone for good.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let dir = args
        .keep
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("gridtally-demo-{}", std::process::id())));
    let scenario = Scenario {
        seed: args.seed,
        ..Scenario::demo()
    };
    println!(
        "{} homes behind real Modbus TCP sockets, an agent process each, a private broker and a private PostgreSQL;\n\
         fifteen days in simulated time, {} minutes a step. Files: {}\n",
        scenario.homes,
        scenario.interval.seconds() / 60,
        dir.display()
    );
    let played = play(scenario, &dir, &program, &args.out);
    if args.keep.is_none() {
        let _ = fs::remove_dir_all(&dir);
    }
    played?;
    println!("\nAll of it took {} s.", began.elapsed().as_secs());
    Ok(())
}

fn play(scenario: Scenario, dir: &Path, program: &Path, out: &Path) -> anyhow::Result<()> {
    let mut neighbourhood = Neighbourhood::start(scenario, dir, program)?;
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    story::play(&mut neighbourhood, &mut progress)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let bundle = out.join(format!("{}.bundle", neighbourhood.scenario.event.id));
    let settled = story::settle(&mut neighbourhood, &bundle)?;
    neighbourhood.tell_homes()?;
    let picture = gather::picture(&mut neighbourhood, &settled, &bundle)?;
    neighbourhood.stop();

    let page = out.join("report.html");
    fs::write(&page, page::write(&picture)?)?;
    fs::write(out.join("demo.svg"), page::svg(&picture)?)?;
    print!("{}", terminal::draw(&picture)?);
    let verified = verify::verify(&fs::read(&bundle)?, None)?;
    let counts = verified.derived.counts;
    println!(
        "\nDone here just now: {} signatures verified, {} readings counted, {} lines derived again, all the same.",
        counts.signatures, counts.readings, counts.lines
    );
    println!("\nThe same as a page: {}", page.display());
    Ok(())
}

//! `cargo bench -p gridtally-settlement`: as `gridtally bench ingest`; arguments follow `--`. With `-- settle` first, as
//! `gridtally bench settle`.

use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};
use gridtally_settlement::cli::bench::{BenchArgs, run};

fn main() -> ExitCode {
    // Cargo adds --bench of its own.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let command = BenchArgs::augment_args(Command::new("bench")).no_binary_name(true);
    let mut words: Vec<String> = words.collect();
    if words.first().is_none_or(|word| word != "settle") {
        words.insert(0, "ingest".to_owned());
    }
    let matches = command.get_matches_from(words);
    let done = BenchArgs::from_arg_matches(&matches).map_err(|error| error.to_string());
    let done = done.and_then(|args| run(&args, &mut std::io::stdout()).map_err(|error| error.to_string()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

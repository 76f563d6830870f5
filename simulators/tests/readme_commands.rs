//! What the README tells people to type is understood, and its control API is that of the code.

use clap::Parser;
use gridtally_simulators::Fault;
use gridtally_simulators::cli::SimulateArgs;
use std::path::Path;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    _simulate: SimulateArgs,
}

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The words of each `gridtally simulate` that stands on a line of its own, as a shell takes them,
/// without its comment.
fn commands(readme: &str) -> Vec<Vec<&str>> {
    let lines = readme
        .lines()
        .filter_map(|line| line.strip_prefix("gridtally simulate "));
    lines
        .map(|line| {
            let command = line.split('#').next().unwrap_or("");
            command
                .split_whitespace()
                .map(|word| word.trim_matches('\''))
                .collect()
        })
        .collect()
}

#[test]
fn every_command_line_of_the_readme_is_understood() {
    let readme = text("README.md");
    let commands = commands(&readme);
    assert!(commands.len() >= 10, "{commands:?}");
    for words in &commands {
        if let Err(error) = Program::try_parse_from(["simulate"].iter().chain(words)) {
            panic!("gridtally simulate {}\n{error}", words.join(" "));
        }
        for fault in words
            .windows(2)
            .filter(|pair| pair[0] == "--fault")
            .map(|pair| pair[1])
        {
            let name = fault.split('@').next().unwrap_or(fault);
            name.parse::<Fault>()
                .unwrap_or_else(|error| panic!("{fault}: {error}"));
        }
        for file in words.iter().filter(|word| word.starts_with("config/")) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("..")
                    .join(file)
                    .exists(),
                "{file}"
            );
        }
    }
}

#[test]
fn the_control_api_of_the_readme_is_that_of_the_code() {
    let api = text("src/lab/api.rs");
    let rows = |text: &str, prefix: &str| -> Vec<String> {
        let rows = text.lines().filter_map(|line| line.strip_prefix(prefix));
        let rows = rows.filter(|row| {
            ["`GET", "`PUT", "`POST", "`DELETE"]
                .iter()
                .any(|verb| row.starts_with(verb))
        });
        rows.map(|row| row.split('|').next().unwrap_or("").trim().to_owned())
            .collect()
    };
    let documented = rows(&api, "//! | ");
    assert!(!documented.is_empty());
    assert_eq!(rows(&text("README.md"), "| "), documented);
    for row in &documented {
        let path = row.trim_matches('`').split(' ').nth(1).unwrap_or("");
        assert!(api.contains(&format!(".route(\"{path}\"")), "no route for {row}");
    }
}

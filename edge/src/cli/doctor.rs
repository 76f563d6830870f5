//! `gridtally edge doctor`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{CONFIG, EdgeError, runtime};
use crate::doctor::{self, Finding, Health, Surroundings};

/// Whose home.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The owner's config
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// A JSON list instead of lines
    #[arg(long)]
    json: bool,
}

/// Looks at the home; fails where something does not work.
pub(super) fn run(args: &DoctorArgs) -> Result<(), EdgeError> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut out = std::io::stdout();
    let surroundings = Surroundings::default();
    let examining = doctor::examine(&args.config, &surroundings, |finding| {
        if !args.json {
            // Whoever reads may have seen enough, and closed the pipe.
            drop(out.write_all(doctor::lines(std::slice::from_ref(&finding)).as_bytes()));
        }
        findings.push(finding);
    });
    runtime()?.block_on(examining);
    if args.json {
        drop(std::io::stdout().write_all(doctor::json(&findings).as_bytes()));
    }
    match findings
        .iter()
        .filter(|finding| finding.health == Health::Bad)
        .count()
    {
        0 => Ok(()),
        bad => Err(EdgeError::Unwell(bad)),
    }
}

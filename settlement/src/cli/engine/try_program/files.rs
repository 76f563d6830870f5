//! Sites from CSV files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, IntervalLength};

use super::TryProgramError;
use crate::cli::rules::files::readings;
use crate::cli::rules::readings::Readings;
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::program::Program;
use crate::rules::statement::SiteId;
use crate::rules::trial::data::{TrialSite, coarsened};

/// So many sites are tried at once.
pub(super) const SITES_MAX: usize = 1_000;
/// With so many readings.
pub(super) const READINGS_MAX: usize = 20_000_000;

/// The sites of the files, and what was set aside in them.
pub(super) fn sites(
    files: &[PathBuf],
    program: &Program,
    length: Option<IntervalLength>,
) -> Result<(Vec<TrialSite>, Vec<String>), TryProgramError> {
    if files.len() > SITES_MAX {
        return Err(too_many(files.len(), "files of sites", SITES_MAX));
    }
    let length = length.unwrap_or(program.interval);
    let (mut sites, mut notes, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut count, mut rounded) = (0_usize, 0_usize);
    for file in files {
        let shown = || file.display().to_string();
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name: SiteId = name
            .unwrap_or_default()
            .parse()
            .map_err(|error| TryProgramError::SiteName { file: shown(), error })?;
        if !names.insert(name.clone()) {
            return Err(TryProgramError::SiteTwice(name));
        }
        let mut said = Vec::new();
        let read = readings(file, program.zone, length, &mut said)?;
        notes.extend(said.into_iter().map(|note| format!("{}: {note}", shown())));
        let (values, not_whole) = in_milliwatt_hours(&read)?;
        rounded = rounded.saturating_add(not_whole);
        let values = coarsened(&values, program.interval);
        count = count.saturating_add(values.len());
        if count > READINGS_MAX {
            return Err(too_many(count, "readings", READINGS_MAX));
        }
        let site = TrialSite::new(name, values)
            .map_err(|error| TryProgramError::SiteName { file: shown(), error })?;
        if site.is_empty() {
            return Err(TryProgramError::NoReadings {
                what: shown(),
                minutes: program.interval.seconds() / 60,
                hint: "say with --interval how long the file's are; longer ones cannot be tried",
            });
        }
        sites.push(site);
    }
    if rounded > 0 {
        notes.push(format!(
            "{rounded} readings are finer than a milliwatt-hour, and were rounded to it as a meter would"
        ));
    }
    Ok((sites, notes))
}

pub(super) const fn too_many(found: usize, what: &'static str, most: usize) -> TryProgramError {
    TryProgramError::TooMany { found, what, most }
}

/// In whole milliwatt-hours, half-even, as the engine keeps readings; and how many were finer.
fn in_milliwatt_hours(read: &Readings) -> Result<(Vec<(Interval, MilliwattHours)>, usize), ArithmeticError> {
    let mut finer = 0_usize;
    let mut values = Vec::with_capacity(read.values.len());
    for (interval, value) in &read.values {
        let exact = Ratio::new((*value).into(), read.parts.into())?;
        finer = finer.saturating_add(usize::from(exact.denominator() != 1));
        let whole = i64::try_from(exact.round_half_even()?);
        let whole = whole.map_err(|_| ArithmeticError::Overflow { operation: "reading" })?;
        values.push((*interval, MilliwattHours::new(whole)));
    }
    Ok((values, finer))
}

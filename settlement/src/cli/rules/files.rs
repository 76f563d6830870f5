//! The files that an analyst names, bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::time::IntervalLength;

use super::RulesError;
use super::days::{read_days, read_temperatures};
use super::readings::{CsvReadings, Readings};
use crate::rules::baseline::{BaselineRule, PRESETS};
use crate::rules::exact::Ratio;
use crate::rules::holidays::Holidays;

/// So many files of control sites are read.
pub(super) const CONTROLS_MAX: usize = 1_000;
const DOCUMENT_LEN_MAX: u64 = 256 * 1024;
const TEMPERATURES_LEN_MAX: u64 = 16 * 1024 * 1024;
const READINGS_LEN_MAX: u64 = 128 * 1024 * 1024;

fn read_text(path: &Path, limit: u64) -> Result<String, RulesError> {
    let failed = |error| RulesError::File {
        path: path.to_owned(),
        error,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|len| len <= limit) {
        Ok(text)
    } else {
        Err(RulesError::FileSize {
            path: path.to_owned(),
            limit,
        })
    }
}

pub(super) fn rule(path: &Path) -> Result<BaselineRule, RulesError> {
    let text = read_text(path, DOCUMENT_LEN_MAX)?;
    Ok(BaselineRule::from_toml(&path.display().to_string(), &text)?)
}

/// A built-in rule of this name, or else the rule in this file.
pub(super) fn preset_or_rule(name: &str) -> Result<BaselineRule, RulesError> {
    if PRESETS.iter().any(|(known, _)| *known == name) || !Path::new(name).exists() {
        return Ok(BaselineRule::preset(name)?);
    }
    rule(Path::new(name))
}

pub(in crate::cli) fn readings(
    path: &Path,
    zone: Tz,
    length: IntervalLength,
    notes: &mut Vec<String>,
) -> Result<Readings, RulesError> {
    let text = read_text(path, READINGS_LEN_MAX)?;
    let read = CsvReadings::parse(&text, zone, length).map_err(|error| RulesError::Readings {
        path: path.to_owned(),
        error,
    })?;
    notes.extend(read.notes);
    Ok(read.readings)
}

/// A built-in calendar of this name, or else the one in this file.
pub(super) fn holidays(name: &str) -> Result<BTreeSet<NaiveDate>, RulesError> {
    if let Some(known) = Holidays::built_in(name) {
        return Ok(known?.days);
    }
    let path = Path::new(name);
    let text = read_text(path, DOCUMENT_LEN_MAX)?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) {
        return Ok(Holidays::from_toml(name, &text)?.days);
    }
    read_days(&text).map_err(|error| RulesError::Days {
        path: path.to_owned(),
        error,
    })
}

pub(super) fn temperatures(path: &Path, zone: Tz) -> Result<BTreeMap<NaiveDate, Ratio>, RulesError> {
    let text = read_text(path, TEMPERATURES_LEN_MAX)?;
    read_temperatures(&text, zone).map_err(|error| RulesError::Days {
        path: path.to_owned(),
        error,
    })
}

//! An analyst's CSV file of readings: `start,kwh`.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use gridtally_protocol::quantity::parse_scaled;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};

use super::arguments::{Stamp, slot};

/// How many decimals of a kWh are read.
const DECIMALS: u8 = 18;
/// A milliwatt-hour in the last of them.
const MWH: i128 = 1_000_000_000_000;
/// No interval has more, in kWh.
const KWH_MAX: i128 = 9_000_000;
const NOTES_MAX: usize = 20;

/// What is wrong in a file of readings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadingsError {
    /// The first line is not the header.
    #[error("line 1 is not the header start,kwh")]
    Header,
    /// Not two fields.
    #[error("line {line} does not have the two fields start,kwh")]
    Fields {
        /// The line, from 1 on.
        line: usize,
    },
    /// Not a stamp.
    #[error(
        "line {line}: {text:?} is no time of the form 2013-01-16 17:00, with Z or an offset where it is not local"
    )]
    Stamp {
        /// The line.
        line: usize,
        /// The field.
        text: String,
    },
    /// Not a value.
    #[error("line {line}: {error}")]
    Value {
        /// The line.
        line: usize,
        /// What is wrong.
        error: String,
    },
    /// Not at an interval's start.
    #[error("line {line}: {error}")]
    NotAligned {
        /// The line.
        line: usize,
        /// What is wrong.
        error: String,
    },
    /// Another line says something else about the same interval.
    #[error("line {line} and line {earlier} have different values for the interval that begins at {start}")]
    Conflict {
        /// The line.
        line: usize,
        /// The earlier one.
        earlier: usize,
        /// The interval's start.
        start: Timestamp,
    },
    /// The file's finest value has so many decimals that this one does not fit beside it.
    #[error(
        "line {line}: the value does not fit beside others with {decimals} decimals; round these to fewer"
    )]
    Decimals {
        /// The line.
        line: usize,
        /// How many decimals of a kWh the finest value has.
        decimals: u32,
    },
    /// A local time stands more often than it happens.
    #[error("line {line}: {text:?} stands more often than the clock shows it")]
    TooOften {
        /// The line.
        line: usize,
        /// The field.
        text: String,
    },
}

/// Readings in the largest unit that holds all of them exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Readings {
    /// How many units make a milliwatt-hour.
    pub parts: i64,
    /// Intervals with their energy in these units.
    pub values: Vec<(Interval, i64)>,
}

/// The value at this index does not fit 64 bits where another has so many decimals of a kWh.
pub(super) struct Unfit {
    pub index: usize,
    pub decimals: u32,
}

impl Readings {
    /// Of values as [`read_kwh`] reads them.
    pub(super) fn fit(values: &[(Interval, i128)]) -> Result<Self, Unfit> {
        let (mut unit, mut decimals) = (MWH, 6);
        for (_, value) in values {
            while unit > 1 && value.checked_rem(unit) != Some(0) {
                (unit, decimals) = (unit / 10, decimals + 1);
            }
        }
        let scaled = values.iter().enumerate().map(|(index, (interval, value))| {
            let scaled = value.checked_div(unit).and_then(|v| i64::try_from(v).ok());
            scaled.map(|v| (*interval, v)).ok_or(Unfit { index, decimals })
        });
        Ok(Self {
            parts: i64::try_from(MWH / unit).unwrap_or(i64::MAX), // at most 10^12
            values: scaled.collect::<Result<_, _>>()?,
        })
    }
}

/// A plain decimal of kWh in the last decimal that is read.
pub(super) fn read_kwh(text: &str) -> Result<i128, String> {
    let value = parse_scaled(text, DECIMALS).map_err(|e| e.to_string())?;
    if value.unsigned_abs() <= KWH_MAX.unsigned_abs() * MWH.unsigned_abs() * 1_000_000 {
        Ok(value)
    } else {
        let shown: String = text.chars().take(64).collect();
        Err(format!("{shown:?} is more than 9,000,000 kWh"))
    }
}

/// A file of readings, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvReadings {
    /// What it says.
    pub readings: Readings,
    /// What was set aside, for a person.
    pub notes: Vec<String>,
}

impl CsvReadings {
    /// Reads the file's text; stamps without an offset are local to `zone`.
    pub(super) fn parse(text: &str, zone: Tz, length: IntervalLength) -> Result<Self, ReadingsError> {
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
        let header = lines.next().map(|(_, line)| line.trim_end());
        if !header.is_some_and(|h| h.eq_ignore_ascii_case("start,kwh")) {
            return Err(ReadingsError::Header);
        }
        let mut reader = Reader {
            zone,
            length,
            local: BTreeMap::new(),
            values: BTreeMap::new(),
            skipped: Vec::new(),
        };
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            reader.line(number, line.trim_end())?;
        }
        let values: Vec<_> = reader.values.iter().map(|(i, (_, v))| (*i, *v)).collect();
        let readings = Readings::fit(&values).map_err(|Unfit { index, decimals }| {
            let line = reader.values.values().nth(index).map_or(0, |(line, _)| *line);
            ReadingsError::Decimals { line, decimals }
        })?;
        Ok(Self {
            readings,
            notes: reader.notes(),
        })
    }
}

struct Reader {
    zone: Tz,
    length: IntervalLength,
    /// The lines on which a local time that happens twice stood first.
    local: BTreeMap<String, (usize, u8)>,
    /// By interval: line and value.
    values: BTreeMap<Interval, (usize, i128)>,
    /// Lines with times that do not exist.
    skipped: Vec<(usize, String)>,
}

impl Reader {
    fn line(&mut self, line: usize, text: &str) -> Result<(), ReadingsError> {
        let (start, kwh) = text.split_once(',').ok_or(ReadingsError::Fields { line })?;
        if kwh.contains(',') {
            return Err(ReadingsError::Fields { line });
        }
        let Some(start) = self.instant(line, start.trim())? else {
            return Ok(());
        };
        let not_aligned = |e: gridtally_protocol::time::TimeError| e.to_string();
        let interval = Interval::new(start, self.length).map_err(|error| ReadingsError::NotAligned {
            line,
            error: not_aligned(error),
        })?;
        let kwh = kwh.trim();
        if kwh.is_empty() {
            return Ok(());
        }
        let value = read_kwh(kwh).map_err(|error| ReadingsError::Value { line, error })?;
        match self.values.insert(interval, (line, value)) {
            Some((earlier, known)) if known != value => Err(ReadingsError::Conflict { line, earlier, start }),
            _ => Ok(()),
        }
    }

    /// The instant of a stamp, or `None` where the clock jumps over it. Of a time that happens twice, the first
    /// line is the earlier and the second line the later.
    fn instant(&mut self, line: usize, text: &str) -> Result<Option<Timestamp>, ReadingsError> {
        let shown = || text.chars().take(64).collect::<String>();
        match Stamp::parse(text).ok_or_else(|| ReadingsError::Stamp { line, text: shown() })? {
            Stamp::Instant(instant) => Ok(Some(instant)),
            Stamp::Local(local) => match slot(local).instants(self.zone) {
                [None, _] => {
                    self.skipped.push((line, shown()));
                    Ok(None)
                }
                [Some(only), None] => Ok(Some(only)),
                [Some(earlier), Some(later)] => {
                    let (_, times) = self.local.entry(local.to_string()).or_insert((line, 0));
                    *times = times.saturating_add(1);
                    match times {
                        1 => Ok(Some(earlier)),
                        2 => Ok(Some(later)),
                        _ => Err(ReadingsError::TooOften { line, text: shown() }),
                    }
                }
            },
        }
    }

    fn notes(&self) -> Vec<String> {
        let zone = self.zone;
        let skipped = self.skipped.iter().map(|(line, text)| {
            format!("line {line} was set aside: {text} does not exist in {zone}, the clock jumps over it")
        });
        let once = self.local.iter().filter(|(_, (_, times))| *times == 1).map(|(local, (line, _))| {
            format!("line {line}: {local} happens twice in {zone} and stands once; it was taken for the earlier")
        });
        let mut notes: Vec<_> = skipped.chain(once).collect();
        let more = notes.len().saturating_sub(NOTES_MAX);
        if more > 0 {
            notes.truncate(NOTES_MAX);
            notes.push(format!("and {more} more of this kind"));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CsvReadings, ReadingsError> {
        CsvReadings::parse(text, chrono_tz::Europe::London, IntervalLength::HALF_HOUR)
    }

    fn starts(readings: &CsvReadings) -> Vec<String> {
        readings
            .readings
            .values
            .iter()
            .map(|(i, _)| i.start().to_string())
            .collect()
    }

    #[test]
    fn stamps_are_local_unless_they_say_otherwise() {
        let text =
            "start,kwh\n2013-06-12 17:00:00,0.1\n2013-06-12T17:30Z,-0.2\r\n2013-06-12T20:00+02:00,\n\n";
        let readings = parse(text).unwrap();
        assert_eq!(
            starts(&readings),
            ["2013-06-12T16:00:00Z", "2013-06-12T17:30:00Z"]
        );
        let values: Vec<_> = readings.readings.values.iter().map(|(_, v)| *v).collect();
        assert_eq!((readings.readings.parts, values), (1, vec![100_000, -200_000]));
    }

    #[test]
    fn the_repeated_hour_is_read_in_the_order_of_its_lines() {
        let text =
            "start,kwh\n2013-10-27 01:00,1\n2013-10-27 01:30,2\n2013-10-27 01:00,3\n2013-10-27 01:30,4\n";
        let readings = parse(text).unwrap();
        let values: Vec<_> = readings
            .readings
            .values
            .iter()
            .map(|(_, v)| *v / 1_000_000)
            .collect();
        assert_eq!(values, [1, 2, 3, 4]);
        assert_eq!(readings.notes, Vec::<String>::new());
        let third = parse(&format!("{text}2013-10-27 01:30,4\n"));
        assert!(matches!(third, Err(ReadingsError::TooOften { line: 6, .. })));
    }

    #[test]
    fn the_unit_is_as_fine_as_the_finest_value_and_no_value_is_rounded() {
        let text = "start,kwh\n2013-06-12 17:00,0.069000000506639480\n2013-06-12 17:30,3.1\n";
        let Readings { parts, values } = parse(text).unwrap().readings;
        assert_eq!(parts, 100_000_000_000);
        let values: Vec<_> = values.iter().map(|(_, v)| *v).collect();
        assert_eq!(values, [6_900_000_050_663_948, 310_000_000_000_000_000]);
        let error = parse(&format!("{text}2013-06-12 18:00,1000\n")).unwrap_err();
        assert_eq!(
            error,
            ReadingsError::Decimals {
                line: 4,
                decimals: 17
            }
        );
    }

    #[test]
    fn a_time_that_does_not_exist_is_set_aside_with_a_note() {
        let readings =
            parse("start,kwh\n2013-03-31 00:30,1\n2013-03-31 01:00,2\n2013-03-31 02:00,3\n").unwrap();
        assert_eq!(
            starts(&readings),
            ["2013-03-31T00:30:00Z", "2013-03-31T01:00:00Z"]
        );
        assert!(
            readings.notes[0].starts_with("line 3 was set aside: 2013-03-31 01:00"),
            "{:?}",
            readings.notes
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("", ReadingsError::Header),
            ("time,kwh\n", ReadingsError::Header),
            ("start,kwh\n2013-06-12 17:00\n", ReadingsError::Fields { line: 2 }),
            (
                "start,kwh\n2013-06-12 17:00,1,2\n",
                ReadingsError::Fields { line: 2 },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        let of = |text: &str| parse(&format!("start,kwh\n2013-06-12 17:00,1\n{text}\n")).unwrap_err();
        assert!(matches!(of("yesterday,1"), ReadingsError::Stamp { line: 3, .. }));
        assert!(matches!(
            of("2013-06-12 17:10,1"),
            ReadingsError::NotAligned { line: 3, .. }
        ));
        assert!(matches!(
            of("2013-06-12 17:00,2"),
            ReadingsError::Conflict {
                line: 3,
                earlier: 2,
                ..
            }
        ));
        for value in ["1e3", "NaN", "1.", "0.0000000000000000001", "99999999", "0x1"] {
            let error = of(&format!("2013-06-12 18:00,{value}"));
            assert!(
                matches!(error, ReadingsError::Value { line: 3, .. }),
                "{value}: {error}"
            );
        }
    }
}

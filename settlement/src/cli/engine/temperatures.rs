//! `gridtally engine program temperatures`: the highest temperature of each local day, from a CSV file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{EngineCommandError, Place, read};
use crate::rules::exact::read_decimal;
use crate::rules::program::ProgramId;
use crate::rules::statement::DayTemperature;
use crate::store::{programs, temperatures};

const HEADER: &str = "day,max";
/// A century of days, and some.
const LINES_MAX: usize = 40_000;
/// Enough for every place on earth, in degrees of Celsius, Fahrenheit or Kelvin.
const MILLIDEGREES_MAX: i32 = 400_000;

pub(super) fn publish(
    place: &Place,
    id: &ProgramId,
    file: &PathBuf,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let found = of_file(file)?;
    let now = place.now();
    let store = &mut place.open()?.store;
    let new = store.transact(|client| {
        programs::newest_program(client, id)?;
        temperatures::publish(client, id, &found, now)
    })?;
    let days = found.len();
    Ok(writeln!(
        out,
        "The highest temperatures of {days} days are published for program {id}; {new} of them are new."
    )?)
}

/// What a file says.
pub(super) fn of_file(file: &PathBuf) -> Result<Vec<DayTemperature>, EngineCommandError> {
    lines(&read(file)?).map_err(|(line, problem)| EngineCommandError::Temperatures {
        path: file.clone(),
        line,
        problem,
    })
}

/// Every line after the header, or the first that is wrong.
fn lines(text: &str) -> Result<Vec<DayTemperature>, (usize, String)> {
    let mut lines = (1_usize..).zip(text.lines());
    if lines.next().map(|(_, line)| line.trim_end()) != Some(HEADER) {
        return Err((1, format!("is not the header {HEADER}")));
    }
    let mut known: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    let read = |(number, line): (usize, &str)| {
        let wrong = |problem: String| (number, problem);
        if number > LINES_MAX {
            return Err(wrong(format!("there are more than {LINES_MAX} lines")));
        }
        let fields = line.trim_end().split_once(',');
        let (day, max) = fields.ok_or_else(|| wrong(format!("does not have the two fields {HEADER}")))?;
        let day: NaiveDate = day
            .parse()
            .map_err(|_| wrong(format!("{day:?} is no day of the form 2026-07-31")))?;
        if let Some(before) = known.insert(day, number) {
            return Err(wrong(format!("{day} stands on line {before} already")));
        }
        let max_millidegrees = millidegrees(max).map_err(wrong)?;
        Ok(DayTemperature {
            day,
            max_millidegrees,
        })
    };
    lines.map(read).collect()
}

/// A decimal number of degrees with at most three decimals.
fn millidegrees(text: &str) -> Result<i32, String> {
    let degrees = read_decimal(text).map_err(|problem| format!("the temperature {problem}"))?;
    let finer = || "the temperature is finer than a thousandth of a degree".to_owned();
    let milli = degrees
        .checked_mul(Decimal::ONE_THOUSAND)
        .filter(|milli| milli.fract().is_zero());
    let milli = milli.ok_or_else(finer)?.to_i32();
    milli
        .filter(|milli| (-MILLIDEGREES_MAX..=MILLIDEGREES_MAX).contains(milli))
        .ok_or_else(|| {
            let most = MILLIDEGREES_MAX / 1_000;
            format!("the temperature is not between -{most} and {most} degrees")
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn temperatures_are_read_exactly() {
        let read = lines("day,max\n2026-07-30,31.5\r\n2026-07-31,-0.125\n").unwrap();
        let found: Vec<_> = read
            .iter()
            .map(|t| (t.day.to_string(), t.max_millidegrees))
            .collect();
        assert_eq!(
            found,
            [("2026-07-30".to_owned(), 31_500), ("2026-07-31".to_owned(), -125)]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, said) in [
            ("", 1, "the header day,max"),
            ("day,min\n", 1, "the header day,max"),
            ("day,max\n2026-07-30\n", 2, "two fields"),
            ("day,max\n2026-02-30,1\n", 2, "no day of the form"),
            ("day,max\n2026-07-30,1\n2026-07-30,1\n", 3, "on line 2 already"),
            ("day,max\n2026-07-30,1.2345\n", 2, "finer than"),
            ("day,max\n2026-07-30,400.001\n", 2, "not between"),
            ("day,max\n2026-07-30,warm\n", 2, "the temperature"),
            ("day,max\n2026-07-30,\n", 2, "the temperature"),
        ] {
            let (found, problem) = lines(text).unwrap_err();
            assert!(
                found == line && problem.contains(said),
                "{text:?}: {found} {problem}"
            );
        }
        let many = format!("day,max\n{}", "2026-07-30,1\n".repeat(2));
        assert!(lines(&many).is_err());
    }

    proptest! {
        #[test]
        fn thousandths_survive_being_written(milli in -MILLIDEGREES_MAX..=MILLIDEGREES_MAX) {
            let text = Decimal::new(milli.into(), 3).to_string();
            prop_assert_eq!(millidegrees(&text).unwrap(), milli);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
            let _ = lines(&format!("day,max\n{text}"));
        }
    }
}

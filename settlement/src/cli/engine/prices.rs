//! `gridtally engine program prices`: prices for single intervals, from a CSV file.

use std::io::Write;
use std::path::PathBuf;

use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;

use super::{EngineCommandError, Place, read};
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::PublishedPrice;
use crate::store::{prices, programs};

/// A year of five-minute intervals, and some.
const LINES_MAX: usize = 110_000;

pub(super) fn publish(
    place: &Place,
    id: &ProgramId,
    file: &PathBuf,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let text = read(file)?;
    let now = place.now();
    let store = &mut place.open()?.store;
    let count = store.transact(|client| {
        let document = programs::newest_program(client, id)?;
        let program = Program::from_toml(id.as_str(), &document)?;
        let found = lines(&text, &program).map_err(|(line, problem)| EngineCommandError::Prices {
            path: file.clone(),
            line,
            problem,
        })?;
        prices::publish(client, id, &found, now)?;
        Ok::<_, EngineCommandError>(found.len())
    })?;
    Ok(writeln!(out, "{count} prices of program {id} are published.")?)
}

/// Every line after the header, or the first that is wrong.
fn lines(text: &str, program: &Program) -> Result<Vec<PublishedPrice>, (usize, String)> {
    let mut lines = (1_usize..).zip(text.lines());
    if lines.next().map(|(_, line)| line.trim_end()) != Some("start,per_kwh") {
        return Err((1, "is not the header start,per_kwh".to_owned()));
    }
    let read = |(number, line): (usize, &str)| {
        let wrong = |problem: String| (number, problem);
        if number > LINES_MAX {
            return Err(wrong(format!("there are more than {LINES_MAX} lines")));
        }
        let (start, price) = line
            .trim_end()
            .split_once(',')
            .ok_or_else(|| wrong("does not have the two fields start,per_kwh".to_owned()))?;
        let start: Timestamp = start.parse().map_err(|e| wrong(format!("{e}")))?;
        if start.floor_to(program.interval) != start {
            return Err(wrong("no interval of the program begins then".to_owned()));
        }
        let per_kwh = program.asset.parse(price).map_err(|e| wrong(format!("{e}")))?;
        if per_kwh < TokenAmount::ZERO {
            return Err(wrong("the price is below nothing".to_owned()));
        }
        Ok(PublishedPrice { start, per_kwh })
    };
    lines.map(read).collect()
}

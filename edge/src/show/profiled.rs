//! A device without SunSpec, by its profile.

use gridtally_registers::profile::{Block, Point, Poll, Profile, Table as ProfileTable, Value};

use super::look::CONNECTIONS;
use super::now;
use super::sight::{MapName, ModelSight, PointSight, Sight};
use crate::device::bus::{BusError, Table};
use crate::device::sunspec::Reader;

/// After so many requests in a row without an answer the device is left alone.
const SILENT_MAX: usize = 2;

/// Reads every point of a profile: those that are polled in the blocks of the profile, settings one by one.
pub(super) async fn look(reader: &mut Reader, profile: &Profile) -> Sight {
    reader.begin(now(), true);
    let mut asking = Asking {
        reader,
        answers: Vec::new(),
        silent: 0,
    };
    for poll in [Poll::Once, Poll::Fast, Poll::Slow] {
        for block in profile.blocks(poll) {
            let refused = asking.ask(block).await;
            if refused {
                let within = |point: &&Point| point.poll == poll && contains(&block, point);
                for point in profile.points.iter().filter(within) {
                    asking.ask(alone(point)).await;
                }
            }
        }
    }
    for point in profile.points.iter().filter(|point| point.poll == Poll::Never) {
        asking.ask(alone(point)).await;
    }
    let points = profile.points.iter().map(|point| sight(point, &asking.answers));
    Sight {
        base: None,
        models: vec![ModelSight {
            name: MapName::Profile(profile.name.clone()),
            instance: 0,
            label: format!("register map of {}", profile.vendor),
            place: None,
            points: points.collect(),
            problem: None,
        }],
    }
}

struct Asking<'r> {
    reader: &'r mut Reader,
    answers: Vec<(Block, Result<Vec<u16>, String>)>,
    silent: usize,
}

impl Asking<'_> {
    /// Asks for a block; returns whether the device refused it.
    async fn ask(&mut self, block: Block) -> bool {
        if self.silent >= SILENT_MAX {
            let why = "not asked: the device had fallen silent".to_owned();
            self.answers.push((block, Err(why)));
            return false;
        }
        let mut answer = self.read(block).await;
        if self.answers.is_empty() {
            for _ in 1..CONNECTIONS {
                if !matches!(answer, Err(BusError::Timeout { .. })) {
                    break;
                }
                answer = self.read(block).await;
            }
        }
        self.silent = match &answer {
            Err(error) if !error.is_answer() => self.silent.saturating_add(1),
            _ => 0,
        };
        let refused = matches!(answer, Err(BusError::Exception(_)));
        self.answers
            .push((block, answer.map_err(|error| error.to_string())));
        refused
    }
}

impl Asking<'_> {
    async fn read(&mut self, block: Block) -> Result<Vec<u16>, BusError> {
        self.reader
            .read(table(block.table), block.address, block.count)
            .await
    }
}

pub(crate) const fn table(table: ProfileTable) -> Table {
    match table {
        ProfileTable::Holding => Table::Holding,
        ProfileTable::Input => Table::Input,
    }
}

fn alone(point: &Point) -> Block {
    Block {
        table: point.table,
        address: point.address,
        count: point.length(),
    }
}

fn contains(block: &Block, point: &Point) -> bool {
    let end = u32::from(block.address).saturating_add(u32::from(block.count));
    point.table == block.table && point.address >= block.address && point.end() <= end
}

fn sight(point: &Point, answers: &[(Block, Result<Vec<u16>, String>)]) -> PointSight {
    // A block that was refused stands before the single points that were asked for in its place.
    let of_point = || answers.iter().rev().filter(|(block, _)| contains(block, point));
    let raw = of_point().find_map(|(block, answer)| block.registers_of(point, answer.as_ref().ok()?));
    let value = match raw {
        Some(raw) => match point.decode(raw) {
            Ok(Value::Number(number)) => Ok(number.to_string()),
            Ok(Value::Text(text)) => Ok(text),
            Ok(Value::NotAvailable) => Err("the device says that it has no value".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        None => Err(of_point()
            .find_map(|(_, answer)| answer.as_ref().err().cloned())
            .unwrap_or_else(|| "it was not asked for".to_owned())),
    };
    PointSight {
        point: point.name.to_string(),
        raw: raw.unwrap_or_default().to_vec(),
        value,
        unit: point.unit.map(|unit| unit.to_string()).unwrap_or_default(),
        is_filler: false,
    }
}

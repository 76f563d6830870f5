//! A device without SunSpec: registers, values, controls and faults by a profile, the same file by which
//! the agent reads the real device.
//!
//! A device begins as the profile's `release` leaves it. Points whose quantity the physics knows follow
//! the physics; all others keep what they hold until a client writes them.

mod faults;
mod number;
mod quantities;
mod recipes;
mod sums;

pub(crate) use faults::distort;
pub(crate) use recipes::Recipes;

use self::number::{Overflow, registers_of};
use self::quantities::{Reading, Sight};
use super::commands::Commands;
use super::control::{Rule, Writable};
use super::models::Ratings;
use super::spec::DeviceSpec;
use crate::physics::Site;
use crate::registers::{RegisterMap, Table};
use gridtally_registers::profile::{
    Access, Action, Arguments, Control, Encoding, Point, Profile, Quantity, RegisterType,
    Table as PointTable, Value, Write, Written,
};
use rust_decimal::Decimal;

/// The registers of a device before anything has been measured.
pub(crate) fn registers(profile: &Profile, ratings: &Ratings) -> RegisterMap {
    let recipes = profile.controls.values().flat_map(|control| &control.writes);
    let bare = recipes.map(|write| (Table::Holding, write.address, unset(write.encoding())));
    let points = profile
        .points
        .iter()
        .map(|point| (table(point), point.address, unset(&point.encoding)));
    let mut map = RegisterMap::plain(bare.chain(points));
    if let Some(reserve) = profile.quantity(Quantity::BatteryReserve) {
        let percent = Reading::number(ratings.reserve_permille, 10);
        put(&mut map, reserve, percent.registers(reserve, None));
    }
    for (address, words) in profile
        .controls
        .get(&Action::Release)
        .map_or(Vec::new(), literals)
    {
        map.put(Table::Holding, address, words);
    }
    map
}

/// What a recipe writes whatever the caller says.
fn literals(control: &Control) -> Vec<(u16, Vec<u16>)> {
    let literal = |write: &&Write| matches!(write.value, Written::Literal(_));
    let fixed = Control {
        writes: control.writes.iter().filter(literal).cloned().collect(),
        joined: false,
        reverts_after: None,
        notes: None,
    };
    let writes = fixed.render(&Arguments::default()).unwrap_or_default();
    writes
        .into_iter()
        .map(|write| (write.address, write.registers))
        .collect()
}

/// "Not available", or 0 where the device cannot say so.
fn unset(encoding: &Encoding) -> Vec<u16> {
    let nothing = match encoding.kind() {
        RegisterType::F32 if encoding.not_available().is_empty() => None,
        _ => encoding.encode(&Value::NotAvailable).ok(),
    };
    nothing.unwrap_or_else(|| vec![0; usize::from(encoding.length())])
}

fn table(point: &Point) -> Table {
    match point.table {
        PointTable::Holding => Table::Holding,
        PointTable::Input => Table::Input,
    }
}

fn put(map: &mut RegisterMap, point: &Point, words: Option<Vec<u16>>) {
    map.put(table(point), point.address, words.unwrap_or_default());
}

fn read<'m>(map: &'m RegisterMap, point: &Point) -> Option<&'m [u16]> {
    map.read(table(point), point.address, point.length()).ok()
}

/// What a client may write: points with `access = "rw"`, and the bare addresses of recipes.
pub(crate) fn writable(profile: &Profile) -> Vec<Writable> {
    let points = profile.points.iter().filter_map(|point| match point.access {
        Access::ReadWrite { min, max } => Some((point.address, point.encoding.clone(), Some((min, max)))),
        Access::ReadOnly => None,
    });
    let recipes = profile.controls.values().flat_map(|control| &control.writes);
    let bare = recipes
        .filter(|write| write.point.is_none())
        .map(|write| (write.address, write.encoding().clone(), None));
    let mut writable: Vec<Writable> = Vec::new();
    for (address, encoding, bounds) in points.chain(bare) {
        let place = Writable {
            address,
            length: encoding.length(),
            rule: Rule::Number { encoding, bounds },
        };
        if !writable.contains(&place) {
            writable.push(place);
        }
    }
    writable
}

/// Writes what the device measures into its registers.
pub(crate) fn publish(
    map: &mut RegisterMap,
    profile: &Profile,
    spec: &DeviceSpec,
    ratings: &Ratings,
    site: &Site,
    commands: &Commands,
) {
    let sight = Sight::of(spec, ratings, site, commands);
    for point in &profile.points {
        let gridtally_registers::profile::PointName::Quantity(quantity) = point.name else {
            continue;
        };
        if let Some(reading) = sight.reading(quantity) {
            put(map, point, reading.registers(point, spec.counter_bits));
        }
    }
    for sum in &profile.sums {
        if let Some(power) = sight.reading(sum.name).and_then(|reading| reading.power()) {
            sums::publish(map, profile, sum, power);
        }
    }
}

/// The number in a point's registers; `None` where it has none.
fn number_in(encoding: &Encoding, words: &[u16]) -> Option<Decimal> {
    match encoding.decode(words) {
        Ok(Value::Number(number)) => Some(number),
        _ => None,
    }
}

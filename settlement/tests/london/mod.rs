//! The London home of the golden values. Low Carbon London, UK Power Networks, CC BY 4.0.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use gridtally_protocol::quantity::parse_scaled;
use gridtally_protocol::time::{Interval, IntervalLength};
use gridtally_settlement::rules::calendar::LocalSlot;

pub const ZONE: chrono_tz::Tz = chrono_tz::Europe::London;
/// The file has up to seven decimals of a kWh.
pub const PARTS: i64 = 10;
pub const EVENT_DAYS: [&str; 7] = [
    "2013-01-09",
    "2013-01-16",
    "2013-01-17",
    "2013-01-19",
    "2013-02-04",
    "2013-06-12",
    "2013-12-03",
];
pub const HOLIDAYS: [&str; 11] = [
    "2012-12-25",
    "2012-12-26",
    "2013-01-01",
    "2013-03-29",
    "2013-04-01",
    "2013-05-06",
    "2013-05-27",
    "2013-08-26",
    "2013-12-25",
    "2013-12-26",
    "2014-01-01",
];

pub fn golden(name: &str) -> String {
    let path = format!("{}/../tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every known half-hour: the stamp as the home's file has it, and the kWh as text.
pub fn rows() -> Vec<(String, String)> {
    let file = golden("london-home-days.csv");
    let mut rows = Vec::new();
    for line in file.lines().filter(|l| !l.starts_with('#')) {
        let (day, values) = line.split_once(',').unwrap();
        for (slot, kwh) in values.split(',').enumerate().filter(|(_, kwh)| !kwh.is_empty()) {
            rows.push((
                format!("{day} {:02}:{:02}:00", slot / 2, slot % 2 * 30),
                kwh.to_owned(),
            ));
        }
    }
    rows
}

/// The same as intervals and tenths of a milliwatt-hour, without the hour that the clock jumped over.
pub fn readings() -> Vec<(Interval, i64)> {
    let read = |(stamp, kwh): (String, String)| {
        let (day, clock) = stamp.split_once(' ').unwrap();
        let number = |range: core::ops::Range<usize>| clock.get(range).unwrap().parse::<u32>().unwrap();
        let slot = LocalSlot {
            day: day.parse().unwrap(),
            second: number(0..2) * 3600 + number(3..5) * 60,
        };
        let start = slot.instants(ZONE)[0]?;
        let value = i64::try_from(parse_scaled(&kwh, 7).unwrap()).unwrap();
        Some((Interval::new(start, IntervalLength::HALF_HOUR).unwrap(), value))
    };
    rows().into_iter().filter_map(read).collect()
}

//! Register files that obey, and those that do not.

mod device;
mod laws;
mod layout;
mod maps;
mod pitfalls;
mod recipes;
mod reserve;
mod setting;

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;

use super::Ratings;

/// 5 kW each way.
const RATINGS: Ratings = Ratings {
    charge: Some(watts(5_000)),
    discharge: Some(watts(5_000)),
    production: Some(watts(5_000)),
};

const fn watts(watts: i64) -> Milliwatts {
    Milliwatts::new(watts * 1_000)
}

fn seconds(seconds: u32) -> NonZeroU32 {
    NonZeroU32::new(seconds).unwrap()
}

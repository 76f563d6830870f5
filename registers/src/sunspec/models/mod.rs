//! The models that Gridtally knows. The tables are made by `generate.py` from the definitions that the
//! SunSpec Alliance publishes.

#![allow(
    clippy::enum_glob_use,
    reason = "generated tables name a point's type on each line"
)]

mod battery;
mod common;
mod der;
mod der_curves;
mod information;
mod inverter;
mod meter;
mod mppt;

use super::Model;

/// Every known model, by number.
pub static ALL: [Model; 37] = [
    common::M1,
    inverter::M101,
    inverter::M102,
    inverter::M103,
    inverter::M111,
    inverter::M112,
    inverter::M113,
    information::M120,
    information::M121,
    information::M122,
    information::M123,
    information::M124,
    mppt::M160,
    meter::M201,
    meter::M202,
    meter::M203,
    meter::M204,
    meter::M211,
    meter::M212,
    meter::M213,
    meter::M214,
    der::M701,
    der::M702,
    der::M703,
    der::M704,
    der_curves::M705,
    der_curves::M706,
    der_curves::M707,
    der_curves::M708,
    der_curves::M709,
    der_curves::M710,
    der_curves::M711,
    der_curves::M712,
    der::M713,
    der::M714,
    der::M715,
    battery::M802,
];

/// The model of that number.
#[must_use]
pub fn find(id: u16) -> Option<&'static Model> {
    ALL.iter().find(|model| model.id == id)
}

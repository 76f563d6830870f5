//! What Modbus registers mean: the SunSpec models as data ([`sunspec`]), and register-map profiles
//! for gear without SunSpec ([`profile`]).
//!
//! Pure: no I/O, no clock. The agent reads devices with it, the simulators are devices by it.

pub mod float;
pub mod profile;
pub mod sunspec;

//! What Modbus registers mean: the SunSpec models ([`sunspec`]) as data.
//!
//! Pure: no I/O, no clock. The agent reads devices with it, the simulators are devices by it.

pub mod sunspec;

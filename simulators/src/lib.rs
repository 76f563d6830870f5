//! Modbus devices with physics and faults, over TCP and RTU, for tests and demonstrations.
//!
//! A [`Home`] is a site behind one grid connection: panels, a battery and a household, seen through
//! any inverters and meters, each a [`Device`] with a full SunSpec map or by a register-map profile.
//! A [`Neighbourhood`] is many of them under one weather. [`record`] lets a real device be played
//! again, [`lab`] runs homes from files with a control API.
//!
//! Nothing here reads a clock: [`Home::advance_to`] moves a home to an instant, and the same seed
//! leads to the same registers, bit for bit, in however many steps one gets there. At every
//! instant, to the milliwatt, `import − export = load + charge − discharge − PV`.
//!
//! ```
//! use gridtally_simulators::{Fault, Home, HomeSpec};
//!
//! let noon = 1_782_043_200; // 2026-06-21T12:00:00Z
//! let mut home = Home::new(HomeSpec::draw(7), noon);
//! let before = home.counters().pv_production;
//! home.advance_to(noon + 300);
//!
//! let produced = home.counters().pv_production.milliwatt_hours_since(before).unwrap();
//! assert!(produced > 0, "the sun shines at noon in June");
//! assert_eq!(home.grid_meter().value(203, "TotWh_SF"), Some(-1));
//!
//! home.grid_meter().schedule(Fault::Nonsense, noon + 600..noon + 4_200);
//! ```
//!
//! [`Device::serve`] puts a device on a socket, [`Server`] several on one socket or serial line;
//! [`Device::answer`] handles a request without any.

pub mod attack;
mod bounded;
pub mod cli;
mod device;
mod energy;
mod fault;
mod home;
pub mod lab;
mod neighbourhood;
mod physics;
mod random;
pub mod record;
mod registers;
mod replay;
mod server;
mod spec;
mod wire;

pub use device::{Answer, Branch, BuildError, Device, DeviceSpec, Generation, Phases, Role};
pub use energy::{Counter, Energy};
pub use fault::{Description, Fault, FaultError, Layer, Nonsense, Parameter, Schedule};
pub use home::{Counters, Home, HomeError, ServedHome};
pub use neighbourhood::Neighbourhood;
pub use physics::{
    BatterySpec, Energies, Flow, GridSpec, LoadProfile, LoadSpec, Location, ProfileError, ProfileSeries,
    PvSpec,
};
pub use registers::{ModelAt, OutsideTheMap, RegisterMap, Table};
pub use server::{SameUnit, Server};
pub use spec::{HomeSpec, Impossible};
pub use wire::{Line, LineError, Parity, StopBits};

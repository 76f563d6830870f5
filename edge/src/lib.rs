//! The agent in the home.
//!
//! A step of its life is [`agent::Agent::tick`]; start reading there. The rooms:
//!
//! * [`config`], [`identity`]: what the owner wrote, and the key.
//! * [`device`]: drivers over a Modbus transport that believes nothing.
//! * [`meter`]: lifetime counters become exact interval energies.
//! * [`outbox`]: the durable memory; a report leaves it when the engine has signed for it.
//! * [`uplink`]: MQTT out and in.
//! * [`control`]: instructions become set-points, and the battery goes back to its owner.
//! * [`commission`]: a device proves on itself that it obeys, and that it goes back.
//! * [`show`], [`find`], [`doctor`]: what a device says, which devices there are, what ails a home.
//! * [`enrol`]: the box's claim of its devices, which an owner accepts.
//! * [`proxy`]: a door for other software in the house.
//! * [`home`]: what the home is, by its config and by what its devices have shown.
//! * [`at_home`], [`page`], [`home_assistant`], [`history`]: what the owner sees, and the one thing that the owner says.
//! * [`stepped`], [`real_time`]: the two ways in which time passes; [`cli`]: what a person types.

pub mod agent;
pub mod at_home;
pub mod cli;
pub mod commission;
pub mod config;
pub mod control;
pub mod device;
pub mod doctor;
pub mod enrol;
pub mod find;
pub mod history;
pub mod home;
pub mod home_assistant;
pub mod identity;
pub mod meter;
pub mod outbox;
pub mod page;
pub mod proxy;
pub mod real_time;
pub mod show;
pub mod stepped;
pub mod uplink;

pub use cli::{EdgeArgs, EdgeError, run};

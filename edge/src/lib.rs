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
//! * [`show`], [`find`], [`doctor`]: what a device says, which devices there are, what ails a home.
//! * [`stepped`], [`real_time`]: the two ways in which time passes; [`cli`]: what a person types.

pub mod agent;
pub mod cli;
pub mod config;
pub mod control;
pub mod device;
pub mod doctor;
pub mod find;
pub mod identity;
pub mod meter;
pub mod outbox;
pub mod real_time;
pub mod show;
pub mod stepped;
pub mod uplink;

pub use cli::{EdgeArgs, EdgeError, run};

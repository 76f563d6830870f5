//! Home Assistant finds the home through MQTT discovery on the owner's own broker.
//!
//! [`discovery`] and [`state`] say what is published, as pure functions; [`task`] publishes it. One message
//! of device discovery (Home Assistant 2024.11 and later) describes all entities: energies as
//! `total_increasing` in kWh, as its energy dashboard takes them, powers in W, the battery in percent, and
//! the opt-out as a switch.
//!
//! Whoever may publish on the owner's broker may press the owner's switch, and nothing else: no limit, no
//! reserve and no set-point can be set from there.

pub mod discovery;
pub mod state;
pub mod task;

pub use self::discovery::Topics;
pub use self::task::run;

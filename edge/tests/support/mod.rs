//! A device that answers as the test tells it, a broker of our own, an engine that signs, and waiting with
//! a deadline.

#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../../../link/tests/support/mosquitto.rs"]
pub mod broker;
pub mod driver;
pub mod engine;
pub mod map;
pub mod raw;
pub mod statement;

use std::path::Path;
use std::time::Duration;

use gridtally_edge::config::AgentConfig;
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::time::Timestamp;

/// Long enough for a machine under load; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// 2026-04-09T00:00:00Z.
pub const MIDNIGHT: i64 = 1_775_692_800;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(MIDNIGHT + seconds).unwrap()
}

pub fn key(seed: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap()
}

/// The addresses of a home's devices, as `[[device]]` tables.
pub fn devices(meter: &str, pv: &str, battery: &str) -> String {
    let device = |number: u8, kind: &str, address: &str, watts: u32| {
        format!(
            "[[device]]\nnumber = {number}\nname = \"device {number}\"\nkind = \"{kind}\"\n\
             address = \"{address}\"\ntimeout_ms = 300\nnameplate_watts = {watts}\n\n"
        )
    };
    [
        device(1, "grid_meter", meter, 23_000),
        device(2, "pv_inverter", pv, 6_000),
        device(3, "battery_inverter", battery, 5_000),
    ]
    .concat()
}

pub fn config(directory: &Path, engine: Identity, broker: &str, owner: &str, devices: &str) -> AgentConfig {
    let text = format!(
        "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{engine}\"\nintervals_per_report = 2\n\n\
         [broker]\naddress = \"{broker}\"\n\n[owner]\nreserve_percent = 20\naccept_unproven_control = true\n{owner}\n\n{devices}"
    );
    AgentConfig::parse(&text, &directory.join("agent.toml")).unwrap()
}

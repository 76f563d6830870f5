//! What to do next, in words.

use super::run::{At, Lab};
use crate::device::{Device, Role};
use std::fmt::Write as _;

/// Which devices there are, where, and an example read of each.
#[must_use]
pub fn explain(lab: &Lab) -> String {
    let mut text = format!(
        "{}: simulated Modbus devices, time {}. Ctrl-C ends them.\n\n",
        lab.title(),
        lab.pace()
    );
    for running in lab.running() {
        let device = &running.device;
        let (unit, registers) = (device.unit(), device.registers());
        let (address, meaning) = example(device).unwrap_or((registers.base(), "the first register"));
        let place = match &running.at {
            At::Socket(address) => address.to_string(),
            At::Path(path) => path.clone(),
        };
        let chain: Vec<String> = registers
            .models()
            .iter()
            .map(|model| model.id().to_string())
            .collect();
        let _ = writeln!(
            text,
            "{:<20} {place}   unit {unit}, base {}",
            device.name(),
            registers.base()
        );
        if !chain.is_empty() {
            let _ = writeln!(text, "  SunSpec models {}", chain.join(", "));
        }
        let _ = writeln!(
            text,
            "  {meaning}: holding register {address} (counted from 0), for example"
        );
        let command = match &running.at {
            At::Socket(socket) => format!(
                "-m tcp -p {} -a {unit} -0 -r {address} -t 4 -c 1 -1 {}",
                socket.port(),
                socket.ip()
            ),
            At::Path(path) => format!("-m rtu -b 9600 -P none -a {unit} -0 -r {address} -t 4 -c 1 -1 {path}"),
        };
        let _ = writeln!(text, "  mbpoll {command}\n");
    }
    text
}

/// A register worth reading.
fn example(device: &Device) -> Option<(u16, &'static str)> {
    let candidates: &[(u16, &str, &str)] = match device.role() {
        Some(Role::Battery) => &[
            (802, "SoC", "state of charge, scaled by SoC_SF"),
            (713, "SoC", "state of charge, scaled by Pct_SF"),
        ],
        Some(Role::Meter) => &[
            (201, "W", "power from the grid in W"),
            (202, "W", "power from the grid in W"),
            (203, "W", "power from the grid in W"),
            (204, "W", "power from the grid in W"),
        ],
        _ => &[
            (101, "W", "AC power in W"),
            (102, "W", "AC power in W"),
            (103, "W", "AC power in W"),
            (701, "W", "AC power in W"),
        ],
    };
    let mut candidates = candidates.iter();
    candidates.find_map(|(model, point, meaning)| Some((device.address(*model, point)?, *meaning)))
}

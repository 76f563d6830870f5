//! A PV inverter: models 1, 103, 120, 121 and 123.

use super::control::{Reversion, Writable};
use super::inverter::{self, State, at, set_all};
use super::{DeviceSpec, DeviceState};
use crate::physics::Site;
use crate::sunspec::RegisterMap;
use crate::sunspec::models::{COMMON, CONTROLS, INVERTER, NAMEPLATE, SETTINGS};

/// 100 % in units of `WMaxLimPct_SF` = −2.
const FULL: i64 = 10_000;
/// `DERTyp`: PV.
const DER_TYPE_PV: i64 = 4;

pub(crate) fn build(spec: &DeviceSpec, nameplate_watts: u32, seed: u64) -> DeviceState {
    let mut map = RegisterMap::new(spec.base, &[&COMMON, &INVERTER, &NAMEPLATE, &SETTINGS, &CONTROLS]);
    inverter::introduce(&mut map, "PV inverter", &spec.serial_number);
    inverter::rate(&mut map, spec, i64::from(nameplate_watts), DER_TYPE_PV);
    set_all(
        &mut map,
        &CONTROLS,
        &[
            ("Conn_WinTms", 0),
            ("Conn_RvrtTms", 0),
            ("Conn", 1),
            ("WMaxLimPct", FULL),
            ("WMaxLimPct_WinTms", 0),
            ("WMaxLimPct_RvrtTms", 0),
            ("WMaxLimPct_RmpTms", 0),
            ("WMaxLim_Ena", 0),
            ("OutPFSet", 10_000),
            ("OutPFSet_Ena", 0),
            ("VArPct_Ena", 0),
            ("WMaxLimPct_SF", -2),
            ("OutPFSet_SF", -4),
        ],
    );
    let (writable, reversions) = controls(&map);
    DeviceState::new(spec.unit, map, writable, reversions, seed)
}

/// A limit acts at once: time windows and ramps other than 0 are refused.
fn controls(map: &RegisterMap) -> (Vec<Writable>, Vec<Reversion>) {
    let model = at(map, &CONTROLS);
    let address = |name| map.address_of(model, CONTROLS.point(name));
    let writable = [
        ("Conn_WinTms", 0),
        ("Conn_RvrtTms", 0xFFFE),
        ("Conn", 1),
        ("WMaxLimPct", FULL),
        ("WMaxLimPct_WinTms", 0),
        ("WMaxLimPct_RvrtTms", 0xFFFE),
        ("WMaxLimPct_RmpTms", 0),
        ("WMaxLim_Ena", 1),
    ]
    .map(|(name, greatest)| Writable {
        address: address(name),
        kind: CONTROLS.point(name).kind,
        least: 0,
        greatest,
    });
    let limit = Reversion {
        timer: address("WMaxLimPct_RvrtTms"),
        switch: address("WMaxLim_Ena"),
        defaults: vec![(address("WMaxLim_Ena"), 0), (address("WMaxLimPct"), 10_000)],
        expires: None,
    };
    let connection = Reversion {
        timer: address("Conn_RvrtTms"),
        switch: address("Conn"),
        defaults: vec![(address("Conn"), 1)],
        expires: None,
    };
    (writable.to_vec(), vec![limit, connection])
}

/// Whether the inverter is connected, and the limit of model 123 in milliwatts.
pub(crate) fn commands(map: &RegisterMap, nameplate_watts: u32) -> (bool, i64) {
    let model = at(map, &CONTROLS);
    let get = |point| map.get(model, point).unwrap_or(0);
    let connected = get(const { CONTROLS.point("Conn") }) == 1;
    let enabled = get(const { CONTROLS.point("WMaxLim_Ena") }) == 1;
    let percent = if enabled {
        get(const { CONTROLS.point("WMaxLimPct") })
    } else {
        FULL
    };
    (connected, i64::from(nameplate_watts) * 1_000 * percent / FULL)
}

pub(crate) fn publish(device: &mut DeviceState, spec: &DeviceSpec, site: &Site) {
    let (connected, _) = commands(device.map(), site.spec().pv.nameplate_watts);
    let power = site.flow().pv;
    let state = match (connected, site.curtailed(), power) {
        (false, ..) => State::Off,
        (true, true, _) => State::Throttled,
        (true, false, 0) => State::Sleeping,
        (true, false, _) => State::Mppt,
    };
    let warmth = site.air_decicelsius() + power / 20_000;
    inverter::publish(device.map_mut(), spec, power, site.energies().pv, state, warmth);
}

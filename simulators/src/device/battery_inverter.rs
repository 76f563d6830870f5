//! A battery inverter: models 1, 103, 120, 121, 124 and 802. Discharge is positive; `WH` of model
//! 103 counts what the battery gave.

use super::control::{Reversion, Writable};
use super::inverter::{self, State, at, scaled, set_all};
use super::{DeviceSpec, DeviceState};
use crate::physics::{BatterySpec, PowerWindow, Site};
use crate::sunspec::RegisterMap;
use crate::sunspec::models::{BATTERY, COMMON, INVERTER, NAMEPLATE, SETTINGS, STORAGE};

/// 100 % in units of `InOutWRte_SF` and `MinRsvPct_SF` = −2.
const FULL: i64 = 10_000;
const FULL_WORD: u16 = 10_000;
/// `DERTyp`: PV with storage, the only storage type that model 120 has.
const DER_TYPE_STORAGE: i64 = 82;
/// The cells' nominal voltage, in tenths of a volt.
const CELL_DECIVOLTS: i64 = 512;

/// Bits of `StorCtl_Mod`.
const LIMIT_CHARGE: i64 = 1;
const LIMIT_DISCHARGE: i64 = 2;

pub(crate) fn build(spec: &DeviceSpec, battery: &BatterySpec, seed: u64) -> DeviceState {
    let layouts = [&COMMON, &INVERTER, &NAMEPLATE, &SETTINGS, &STORAGE, &BATTERY];
    let mut map = RegisterMap::new(spec.base, &layouts);
    inverter::introduce(&mut map, "Battery inverter", &spec.serial_number);
    let (power, capacity) = (
        i64::from(battery.power_watts),
        i64::from(battery.capacity_watt_hours),
    );
    inverter::rate(&mut map, spec, power, DER_TYPE_STORAGE);
    set_all(
        &mut map,
        &NAMEPLATE,
        &[
            ("WHRtg", capacity),
            ("WHRtg_SF", 0),
            ("MaxChaRte", power),
            ("MaxChaRte_SF", 0),
            ("MaxDisChaRte", power),
            ("MaxDisChaRte_SF", 0),
        ],
    );
    set_all(
        &mut map,
        &STORAGE,
        &[
            ("WChaMax", power),
            ("WChaMax_SF", 0),
            ("WChaGra", 100),
            ("WDisChaGra", 100),
            ("WChaDisChaGra_SF", 0),
            ("StorCtl_Mod", 0),
            ("MinRsvPct", i64::from(battery.reserve_permille) * 10),
            ("MinRsvPct_SF", -2),
            ("ChaState_SF", i64::from(spec.soc_scale)),
            ("InBatV", CELL_DECIVOLTS),
            ("InBatV_SF", -1),
            ("OutWRte", FULL),
            ("InWRte", FULL),
            ("InOutWRte_WinTms", 0),
            ("InOutWRte_RvrtTms", 0),
            ("InOutWRte_RmpTms", 0),
            ("InOutWRte_SF", -2),
            ("ChaGriSet", 0),
        ],
    );
    describe_cells(&mut map, spec, battery);
    let (writable, reversions) = controls(&map);
    DeviceState::new(spec.unit, map, writable, reversions, seed)
}

/// Model 802: what does not change.
fn describe_cells(map: &mut RegisterMap, spec: &DeviceSpec, battery: &BatterySpec) {
    const LITHIUM_ION: i64 = 4;
    const CONNECTED: i64 = 3;
    const CONNECT: i64 = 1;
    const INVERTER_STARTED: i64 = 3;
    let (power, capacity) = (
        i64::from(battery.power_watts),
        i64::from(battery.capacity_watt_hours),
    );
    set_all(
        map,
        &BATTERY,
        &[
            ("AHRtg", capacity * 100 / CELL_DECIVOLTS),
            ("AHRtg_SF", -1),
            ("WHRtg", capacity),
            ("WHRtg_SF", 0),
            ("WChaRteMax", power),
            ("WDisChaRteMax", power),
            ("WChaDisChaMax_SF", 0),
            (
                "SoCMax",
                scaled(i64::from(battery.soc_max_permille) * 100, spec.soc_scale),
            ),
            (
                "SoCMin",
                scaled(i64::from(battery.soc_min_permille) * 100, spec.soc_scale),
            ),
            ("SoC_SF", i64::from(spec.soc_scale)),
            ("LocRemCtl", 0),
            ("AlmRst", 0),
            ("Typ", LITHIUM_ION),
            ("State", CONNECTED),
            ("Evt1", 0),
            ("Evt2", 0),
            ("EvtVnd1", 0),
            ("EvtVnd2", 0),
            ("V", CELL_DECIVOLTS),
            ("V_SF", -1),
            ("CellV_SF", -3),
            ("A_SF", -1),
            ("AMax_SF", -1),
            ("W_SF", i64::from(spec.power_scale)),
            ("SetOp", CONNECT),
            ("SetInvState", INVERTER_STARTED),
        ],
    );
}

/// A rate acts at once: time windows and ramps other than 0 are refused.
fn controls(map: &RegisterMap) -> (Vec<Writable>, Vec<Reversion>) {
    let model = at(map, &STORAGE);
    let address = |name| map.address_of(model, STORAGE.point(name));
    let writable = [
        ("StorCtl_Mod", 0, LIMIT_CHARGE | LIMIT_DISCHARGE),
        ("MinRsvPct", 0, FULL),
        ("OutWRte", -FULL, FULL),
        ("InWRte", -FULL, FULL),
        ("InOutWRte_WinTms", 0, 0),
        ("InOutWRte_RvrtTms", 0, 0xFFFE),
        ("InOutWRte_RmpTms", 0, 0),
        ("ChaGriSet", 0, 1),
    ]
    .map(|(name, least, greatest)| Writable {
        address: address(name),
        kind: STORAGE.point(name).kind,
        least,
        greatest,
    });
    let rates = Reversion {
        timer: address("InOutWRte_RvrtTms"),
        switch: address("StorCtl_Mod"),
        defaults: vec![
            (address("StorCtl_Mod"), 0),
            (address("OutWRte"), FULL_WORD),
            (address("InWRte"), FULL_WORD),
        ],
        expires: None,
    };
    (writable.to_vec(), vec![rates])
}

/// What model 124 asks of the battery.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) window: PowerWindow,
    pub(crate) reserve_basis_points: i64,
    pub(crate) grid_charging: bool,
}

/// Percentages are of `WChaMax`. A negative `InWRte` forces discharge, a negative `OutWRte` forces
/// charge: a limit below zero on one direction is a demand for the other.
pub(crate) fn commands(map: &RegisterMap, power_watts: u32) -> Commands {
    let model = at(map, &STORAGE);
    let get = |point| map.get(model, point).unwrap_or(0);
    let mode = get(const { STORAGE.point("StorCtl_Mod") });
    let share = |percent: i64| i64::from(power_watts) * 1_000 * percent / FULL;
    let charge_max = share(get(const { STORAGE.point("InWRte") }));
    let discharge_max = share(get(const { STORAGE.point("OutWRte") }));
    Commands {
        window: PowerWindow {
            least: (mode & LIMIT_CHARGE != 0).then_some(-charge_max),
            greatest: (mode & LIMIT_DISCHARGE != 0).then_some(discharge_max),
        },
        reserve_basis_points: get(const { STORAGE.point("MinRsvPct") }),
        grid_charging: get(const { STORAGE.point("ChaGriSet") }) == 1,
    }
}

pub(crate) fn publish(device: &mut DeviceState, spec: &DeviceSpec, site: &Site) {
    let ac = site.flow().battery;
    let state = if ac == 0 { State::Standby } else { State::Mppt };
    let warmth = site.air_decicelsius() + ac.abs() / 20_000;
    let discharged = site.energies().battery_discharge;
    let map = device.map_mut();
    inverter::publish(map, spec, ac, discharged, state, warmth);
    let charge_status = charge_status(site);
    let soc = scaled(site.battery().soc_basis_points() * 10, spec.soc_scale);
    let model = at(map, &STORAGE);
    map.set(model, const { STORAGE.point("ChaState") }, soc);
    map.set(model, const { STORAGE.point("ChaSt") }, charge_status);
    let reserve = map.get(model, const { STORAGE.point("MinRsvPct") }).unwrap_or(0);
    let cells = at(map, &BATTERY);
    let dc = site.battery_dc();
    for (point, value) in [
        (const { BATTERY.point("SoC") }, soc),
        (
            const { BATTERY.point("SoCRsvMin") },
            scaled(reserve * 10, spec.soc_scale),
        ),
        (const { BATTERY.point("ChaSt") }, charge_status),
        (const { BATTERY.point("W") }, scaled(dc, spec.power_scale)),
        (const { BATTERY.point("A") }, dc / CELL_DECIVOLTS / 10),
    ] {
        map.set(cells, point, value);
    }
}

/// `ChaSt` of models 124 and 802.
fn charge_status(site: &Site) -> i64 {
    const EMPTY: i64 = 2;
    const DISCHARGING: i64 = 3;
    const CHARGING: i64 = 4;
    const FULL_BATTERY: i64 = 5;
    const HOLDING: i64 = 6;
    let spec = site.battery().spec();
    let soc = site.battery().soc_basis_points();
    match site.flow().battery {
        1.. => DISCHARGING,
        ..=-1 => CHARGING,
        0 if soc >= i64::from(spec.soc_max_permille) * 10 => FULL_BATTERY,
        0 if soc <= i64::from(spec.soc_min_permille) * 10 => EMPTY,
        0 => HOLDING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(mode: i64, out: i64, into: i64) -> PowerWindow {
        let mut map = RegisterMap::new(0, &[&STORAGE]);
        set_all(
            &mut map,
            &STORAGE,
            &[("StorCtl_Mod", mode), ("OutWRte", out), ("InWRte", into)],
        );
        commands(&map, 4_000).window
    }

    #[test]
    fn the_two_rates_bound_the_power_from_both_sides() {
        assert_eq!(window(0, 5_000, 5_000), PowerWindow::OPEN);
        assert_eq!(window(1, 5_000, 2_500).least, Some(-1_000_000));
        assert_eq!(window(2, 5_000, 2_500).greatest, Some(2_000_000));
        let forced = PowerWindow {
            least: Some(3_000_000),
            greatest: Some(3_000_000),
        };
        assert_eq!(window(3, 7_500, -7_500), forced);
    }
}

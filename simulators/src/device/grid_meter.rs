//! A meter at the grid connection: models 1 and 203. Import is positive.

use super::inverter::{self, CENTIHERTZ, DECIVOLTS, at, scaled, set_all};
use super::{DeviceSpec, DeviceState};
use crate::physics::Site;
use crate::sunspec::RegisterMap;
use crate::sunspec::models::{COMMON, METER};

/// Line to line: 230 V times the square root of three.
const DECIVOLTS_BETWEEN_PHASES: i64 = 3_984;

pub(crate) fn build(spec: &DeviceSpec, seed: u64) -> DeviceState {
    let mut map = RegisterMap::new(spec.base, &[&COMMON, &METER]);
    inverter::introduce(&mut map, "Grid meter", &spec.serial_number);
    set_all(
        &mut map,
        &METER,
        &[
            ("A_SF", -2),
            ("PhV", DECIVOLTS),
            ("PhVphA", DECIVOLTS),
            ("PhVphB", DECIVOLTS),
            ("PhVphC", DECIVOLTS),
            ("PPV", DECIVOLTS_BETWEEN_PHASES),
            ("PhVphAB", DECIVOLTS_BETWEEN_PHASES),
            ("PhVphBC", DECIVOLTS_BETWEEN_PHASES),
            ("PhVphCA", DECIVOLTS_BETWEEN_PHASES),
            ("V_SF", -1),
            ("Hz", CENTIHERTZ),
            ("Hz_SF", -2),
            ("W_SF", i64::from(spec.power_scale)),
            ("TotWh_SF", i64::from(spec.energy_scale)),
            ("Evt", 0),
        ],
    );
    DeviceState::new(spec.unit, map, Vec::new(), Vec::new(), seed)
}

pub(crate) fn publish(device: &mut DeviceState, spec: &DeviceSpec, site: &Site) {
    let power = site.flow().grid;
    let energies = site.energies();
    let count = |energy: crate::Energy| i64::from(energy.counter(spec.energy_scale).count);
    let centiamperes = power / DECIVOLTS;
    let phase = centiamperes / 3;
    let map = device.map_mut();
    let model = at(map, &METER);
    for (point, value) in [
        (const { METER.point("A") }, centiamperes),
        (const { METER.point("AphA") }, phase),
        (const { METER.point("AphB") }, phase),
        (const { METER.point("AphC") }, phase),
        (const { METER.point("W") }, scaled(power, spec.power_scale)),
        (const { METER.point("TotWhExp") }, count(energies.grid_export)),
        (const { METER.point("TotWhImp") }, count(energies.grid_import)),
    ] {
        map.set(model, point, value);
    }
}

//! What PV and battery inverters have in common: models 1, 103, 120 and 121.

use super::DeviceSpec;
use crate::energy::Energy;
use crate::sunspec::models::{COMMON, INVERTER, NAMEPLATE, SETTINGS};
use crate::sunspec::{Layout, ModelAt, RegisterMap};

/// Nominal values of the low-voltage grid: 230.0 V, 50.00 Hz.
pub(super) const DECIVOLTS: i64 = 2_300;
pub(super) const CENTIHERTZ: i64 = 5_000;

/// `St` of model 103.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    Off,
    Sleeping,
    Mppt,
    Throttled,
    Standby,
}

/// A number of milliunits as a register shows it, in units of 10^`scale`; cut towards zero.
pub(super) fn scaled(milliunits: i64, scale: i16) -> i64 {
    let ten = |exponent: i16| 10_i64.pow(u32::from(exponent.unsigned_abs()));
    if scale <= 0 {
        milliunits * ten(scale) / 1_000
    } else {
        milliunits / 1_000 / ten(scale)
    }
}

/// Sets many points of one model.
pub(super) fn set_all(map: &mut RegisterMap, layout: &Layout, values: &[(&str, i64)]) {
    let at = at(map, layout);
    for &(name, value) in values {
        map.set(at, layout.point(name), value);
    }
}

/// Where the device's own map has a model.
pub(super) fn at(map: &RegisterMap, layout: &Layout) -> ModelAt {
    map.model(layout.id)
        .expect("a device publishes only models that it was built with")
}

/// Model 1: who made the device.
pub(super) fn introduce(map: &mut RegisterMap, model: &str, serial_number: &str) {
    let at = at(map, &COMMON);
    for (name, text) in [
        ("Mn", "Gridtally"),
        ("Md", model),
        ("Opt", "simulated"),
        ("Vr", env!("CARGO_PKG_VERSION")),
        ("SN", serial_number),
    ] {
        map.set_text(at, COMMON.point(name), text);
    }
}

/// Models 103, 120 and 121: what does not change.
pub(super) fn rate(map: &mut RegisterMap, spec: &DeviceSpec, nameplate_watts: i64, der_type: i64) {
    let deciamperes = nameplate_watts * 100 / DECIVOLTS / 3;
    set_all(
        map,
        &INVERTER,
        &[
            ("A_SF", -2),
            ("V_SF", -1),
            ("PhVphA", DECIVOLTS),
            ("PhVphB", DECIVOLTS),
            ("PhVphC", DECIVOLTS),
            ("W_SF", i64::from(spec.power_scale)),
            ("Hz", CENTIHERTZ),
            ("Hz_SF", -2),
            ("WH_SF", i64::from(spec.energy_scale)),
            ("Tmp_SF", -1),
            ("Evt1", 0),
            ("Evt2", 0),
        ],
    );
    set_all(
        map,
        &NAMEPLATE,
        &[
            ("DERTyp", der_type),
            ("WRtg", nameplate_watts),
            ("WRtg_SF", 0),
            ("VARtg", nameplate_watts),
            ("VARtg_SF", 0),
            ("VArRtgQ1", 0),
            ("VArRtgQ2", 0),
            ("VArRtgQ3", 0),
            ("VArRtgQ4", 0),
            ("VArRtg_SF", 0),
            ("ARtg", deciamperes),
            ("ARtg_SF", -1),
            ("PFRtgQ1", 100),
            ("PFRtgQ2", 100),
            ("PFRtgQ3", 100),
            ("PFRtgQ4", 100),
            ("PFRtg_SF", -2),
        ],
    );
    set_all(
        map,
        &SETTINGS,
        &[
            ("WMax", nameplate_watts),
            ("WMax_SF", 0),
            ("VRef", DECIVOLTS),
            ("VRef_SF", -1),
            ("VRefOfs", 0),
            ("VRefOfs_SF", -1),
        ],
    );
}

/// Model 103: what does.
pub(super) fn publish(
    map: &mut RegisterMap,
    spec: &DeviceSpec,
    milliwatts: i64,
    energy: Energy,
    state: State,
    decicelsius: i64,
) {
    let at = at(map, &INVERTER);
    let centiamperes = milliwatts.abs() / DECIVOLTS;
    let phase = centiamperes / 3;
    for (point, value) in [
        (const { INVERTER.point("A") }, centiamperes),
        (const { INVERTER.point("AphA") }, phase),
        (const { INVERTER.point("AphB") }, phase),
        (const { INVERTER.point("AphC") }, phase),
        (
            const { INVERTER.point("W") },
            scaled(milliwatts, spec.power_scale),
        ),
        (
            const { INVERTER.point("WH") },
            i64::from(energy.counter(spec.energy_scale).count),
        ),
        (const { INVERTER.point("TmpCab") }, decicelsius),
        (const { INVERTER.point("St") }, state.code()),
    ] {
        map.set(at, point, value);
    }
}

impl State {
    fn code(self) -> i64 {
        match self {
            Self::Off => 1,
            Self::Sleeping => 2,
            Self::Mppt => 4,
            Self::Throttled => 5,
            Self::Standby => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_cut_to_its_scale() {
        assert_eq!(scaled(1_234_567, 0), 1_234);
        assert_eq!(scaled(1_234_567, -1), 12_345);
        assert_eq!(scaled(1_234_567, 1), 123);
        assert_eq!(scaled(-1_999, 0), -1);
    }
}

//! Models 101 to 103 and 111 to 113 (inverter, integers and floats) and 160 (DC inputs).

use super::{Ratings, part};
use crate::device::snapshot::{Grid, Inverter, State};
use crate::device::spec::{DeviceSpec, Phases};
use crate::registers::Page;

pub(super) fn describe(page: &mut Page<'_>, spec: &DeviceSpec) {
    page.scales(&[
        ("A_SF", -2),
        ("V_SF", -1),
        ("W_SF", spec.power_scale),
        ("Hz_SF", -2),
        ("VA_SF", spec.power_scale),
        ("VAr_SF", spec.power_scale),
        ("PF_SF", -2),
        ("WH_SF", spec.energy_scale),
        ("DCA_SF", -2),
        ("DCV_SF", -1),
        ("DCW_SF", spec.power_scale),
        ("Tmp_SF", -1),
    ]);
    page.raw("Evt1", 0);
    page.raw("Evt2", 0);
}

pub(super) fn publish(page: &mut Page<'_>, spec: &DeviceSpec, grid: Grid, inverter: &Inverter) {
    let lines = spec.phases.lines();
    page.milli("A", grid.milliamperes(inverter.power.abs()));
    let per_line = [("AphA", "PhVphA"), ("AphB", "PhVphB"), ("AphC", "PhVphC")];
    for (n, (current, voltage)) in (0..lines).zip(per_line) {
        page.milli(current, grid.milliamperes(part(inverter.power, lines, n).abs()));
        page.milli(voltage, grid.millivolts);
    }
    for voltage in line_to_line(spec.phases, ["PPVphAB", "PPVphBC", "PPVphCA"]) {
        page.milli(voltage, between_lines(spec.phases, grid.millivolts));
    }
    page.milli("W", inverter.power);
    page.milli("VA", inverter.power.abs());
    page.milli("VAr", 0);
    // Percent, by the model's unit; a float model has it in percent, too.
    page.milli("PF", if inverter.power == 0 { 0 } else { 100_000 });
    page.milli("Hz", grid.millihertz);
    page.energy("WH", inverter.injected, spec.counter_bits);
    let dc: i64 = inverter.ports.iter().map(|port| port.power).sum();
    page.milli("DCW", dc);
    if let [only] = inverter.ports.as_slice() {
        page.milli("DCV", only.millivolts);
        page.milli("DCA", direct_current(only.power.abs(), only.millivolts));
    }
    page.milli("TmpCab", inverter.cabinet_millicelsius);
    page.raw("St", operating_state(inverter.state));
}

/// `St` of models 10x and 11x, and `DCSt` of model 160.
fn operating_state(state: State) -> i64 {
    match state {
        State::Off => 1,
        State::Sleeping => 2,
        State::Running => 4,
        State::Throttled => 5,
        State::Standby => 8,
    }
}

/// The current of a DC power, in milliamperes.
pub(super) fn direct_current(milliwatts: i64, millivolts: i64) -> i64 {
    if millivolts == 0 {
        0
    } else {
        milliwatts * 1_000 / millivolts
    }
}

/// The voltages between lines that there are.
pub(super) fn line_to_line(phases: Phases, names: [&'static str; 3]) -> impl Iterator<Item = &'static str> {
    let there_are = match phases {
        Phases::Single => 0,
        Phases::Split => 1,
        Phases::Three | Phases::Delta => 3,
    };
    names.into_iter().take(there_are)
}

/// The voltage between two lines: √3 times that against neutral in a star of three (to a thousandth),
/// twice that in a split phase.
pub(super) fn between_lines(phases: Phases, millivolts: i64) -> i64 {
    match phases {
        Phases::Split => 2 * millivolts,
        _ => millivolts * 1_732 / 1_000,
    }
}

pub(super) fn describe_inputs(page: &mut Page<'_>, spec: &DeviceSpec, ratings: &Ratings) {
    page.scales(&[
        ("DCA_SF", -2),
        ("DCV_SF", -1),
        ("DCW_SF", spec.power_scale.max(0)),
        ("DCWH_SF", spec.energy_scale),
    ]);
    page.raw("Evt", 0);
    let mut names = Vec::new();
    names.extend(ratings.generates.then_some("String"));
    names.extend(ratings.stores.then_some("Battery"));
    page.raw("N", i64::try_from(names.len()).unwrap_or_default());
    for (n, name) in names.into_iter().enumerate() {
        page.raw(
            &format!("module[{n}].ID"),
            i128::try_from(n).unwrap_or_default() + 1,
        );
        page.text(&format!("module[{n}].IDStr"), name);
        page.raw(&format!("module[{n}].DCEvt"), 0);
    }
}

pub(super) fn publish_inputs(page: &mut Page<'_>, spec: &DeviceSpec, inverter: &Inverter) {
    const NAMES: [[&str; 5]; 2] = [
        [
            "module[0].DCA",
            "module[0].DCV",
            "module[0].DCW",
            "module[0].DCWH",
            "module[0].DCSt",
        ],
        [
            "module[1].DCA",
            "module[1].DCV",
            "module[1].DCW",
            "module[1].DCWH",
            "module[1].DCSt",
        ],
    ];
    for (port, [current, voltage, power, energy, state]) in inverter.ports.iter().zip(NAMES) {
        // The model's power and current are unsigned: of a battery they show the discharge.
        let given = port.power.max(0);
        page.milli(current, direct_current(given, port.millivolts));
        page.milli(voltage, port.millivolts);
        page.milli(power, given);
        page.energy(energy, port.injected, spec.counter_bits);
        page.raw(state, operating_state(inverter.state));
    }
}

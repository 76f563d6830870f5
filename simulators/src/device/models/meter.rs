//! Models 201 to 204 and 211 to 214: meters, integers and floats.

use super::inverter::{between_lines, line_to_line};
use super::part;
use crate::device::snapshot::{Grid, Metered};
use crate::device::spec::{DeviceSpec, Phases};
use crate::registers::Page;

pub(super) fn describe(page: &mut Page<'_>, spec: &DeviceSpec) {
    page.scales(&[
        ("A_SF", -2),
        ("V_SF", -1),
        ("Hz_SF", -2),
        ("W_SF", spec.power_scale),
        ("VA_SF", spec.power_scale),
        ("VAR_SF", spec.power_scale),
        ("PF_SF", -2),
        ("TotWh_SF", spec.energy_scale),
    ]);
    page.raw("Evt", 0);
}

const LINES: [[&str; 8]; 3] = [
    [
        "AphA",
        "PhVphA",
        "WphA",
        "VAphA",
        "VARphA",
        "PFphA",
        "TotWhExpPhA",
        "TotWhImpPhA",
    ],
    [
        "AphB",
        "PhVphB",
        "WphB",
        "VAphB",
        "VARphB",
        "PFphB",
        "TotWhExpPhB",
        "TotWhImpPhB",
    ],
    [
        "AphC",
        "PhVphC",
        "WphC",
        "VAphC",
        "VARphC",
        "PFphC",
        "TotWhExpPhC",
        "TotWhImpPhC",
    ],
];

/// Import is positive. Three lines share every load evenly.
pub(super) fn publish(page: &mut Page<'_>, spec: &DeviceSpec, grid: Grid, metered: Metered) {
    let (phases, bits) = (spec.phases, spec.counter_bits);
    let lines = phases.lines();
    let power_factor = |power: i64| if power == 0 { 0 } else { 100_000 };
    page.milli("A", grid.milliamperes(metered.power));
    for (n, [a, v, w, va, var, pf, export, import]) in (0..lines).zip(LINES) {
        let power = part(metered.power, lines, n);
        page.milli(a, grid.milliamperes(power));
        if phases != Phases::Delta {
            page.milli(v, grid.millivolts);
        }
        page.milli(w, power);
        page.milli(va, power.abs());
        page.milli(var, 0);
        page.milli(pf, power_factor(power));
        page.energy(export, metered.export.part(lines, n), bits);
        page.energy(import, metered.import.part(lines, n), bits);
    }
    if phases != Phases::Delta {
        page.milli("PhV", grid.millivolts);
    }
    // Model 204 names its line voltages otherwise than its sisters.
    let names = if page.has("PhVphAB") {
        ["PhVphAB", "PhVphBC", "PhVphCA"]
    } else {
        ["PPVphAB", "PPVphBC", "PPVphCA"]
    };
    if phases != Phases::Single {
        page.milli("PPV", between_lines(phases, grid.millivolts));
    }
    for name in line_to_line(phases, names) {
        page.milli(name, between_lines(phases, grid.millivolts));
    }
    page.milli("Hz", grid.millihertz);
    page.milli("W", metered.power);
    page.milli("VA", metered.power.abs());
    page.milli("VAR", 0);
    page.milli("PF", power_factor(metered.power));
    page.energy("TotWhExp", metered.export, bits);
    page.energy("TotWhImp", metered.import, bits);
}

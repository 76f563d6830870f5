//! Models 701 to 704, 714 and 715: the distributed energy resource of IEEE 1547-2018.

use super::inverter::{between_lines, direct_current};
use super::{Ratings, part};
use crate::device::snapshot::{Grid, Inverter, State};
use crate::device::spec::{DeviceSpec, Phases};
use crate::registers::Page;

pub(super) fn describe_measurement(page: &mut Page<'_>, spec: &DeviceSpec) {
    const GRID_FOLLOWING: i64 = 1;
    page.scales(&[
        ("A_SF", -2),
        ("V_SF", -1),
        ("Hz_SF", -3),
        ("W_SF", spec.power_scale),
        ("PF_SF", -3),
        ("VA_SF", spec.power_scale),
        ("Var_SF", spec.power_scale),
        ("TotWh_SF", spec.energy_scale),
        ("Tmp_SF", -1),
    ]);
    let connection = match spec.phases {
        Phases::Single => 0,
        Phases::Split => 1,
        Phases::Three | Phases::Delta => 2,
    };
    page.raw("ACType", connection);
    page.raw("Alrm", 0);
    page.raw("DERMode", GRID_FOLLOWING);
}

const LINES: [[&str; 8]; 3] = [
    [
        "WL1",
        "VAL1",
        "VarL1",
        "PFL1",
        "AL1",
        "VL1",
        "TotWhInjL1",
        "TotWhAbsL1",
    ],
    [
        "WL2",
        "VAL2",
        "VarL2",
        "PFL2",
        "AL2",
        "VL2",
        "TotWhInjL2",
        "TotWhAbsL2",
    ],
    [
        "WL3",
        "VAL3",
        "VarL3",
        "PFL3",
        "AL3",
        "VL3",
        "TotWhInjL3",
        "TotWhAbsL3",
    ],
];

pub(super) fn publish_measurement(page: &mut Page<'_>, spec: &DeviceSpec, grid: Grid, inverter: &Inverter) {
    let (bits, lines) = (spec.counter_bits, spec.phases.lines());
    let power = inverter.power;
    let power_factor = |power: i64| if power == 0 { 0 } else { 1_000 };
    page.raw("St", i64::from(inverter.connected));
    page.raw("InvSt", operating_state(inverter.state));
    page.raw("ConnSt", i64::from(inverter.connected));
    page.milli("W", power);
    page.milli("VA", power.abs());
    page.milli("Var", 0);
    page.milli("PF", power_factor(power));
    page.milli("A", grid.milliamperes(power));
    page.milli("LNV", grid.millivolts);
    page.milli("Hz", grid.millihertz);
    page.energy("TotWhInj", inverter.injected, bits);
    page.energy("TotWhAbs", inverter.absorbed, bits);
    page.milli("TmpAmb", inverter.air_millicelsius);
    page.milli("TmpCab", inverter.cabinet_millicelsius);
    for (n, [w, va, var, pf, a, v, injected, absorbed]) in (0..lines).zip(LINES) {
        let of_line = part(power, lines, n);
        page.milli(w, of_line);
        page.milli(va, of_line.abs());
        page.milli(var, 0);
        page.milli(pf, power_factor(of_line));
        page.milli(a, grid.milliamperes(of_line));
        page.milli(v, grid.millivolts);
        page.energy(injected, inverter.injected.part(lines, n), bits);
        page.energy(absorbed, inverter.absorbed.part(lines, n), bits);
    }
    let between = between_lines(spec.phases, grid.millivolts);
    let pairs: &[&str] = match spec.phases {
        Phases::Single => &[],
        Phases::Split => &["LLV", "VL1L2"],
        Phases::Three | Phases::Delta => &["LLV", "VL1L2", "VL2L3", "VL3L1"],
    };
    for pair in pairs {
        page.milli(pair, between);
    }
    let held_back = (inverter.available - power).max(0);
    let throttled = inverter.state == State::Throttled;
    let percent = if throttled {
        held_back * 100 / inverter.available.max(1)
    } else {
        0
    };
    page.raw("ThrotPct", percent);
    page.raw("ThrotSrc", i64::from(throttled));
}

/// `InvSt` of model 701.
fn operating_state(state: State) -> i64 {
    match state {
        State::Off => 0,
        State::Sleeping => 1,
        State::Running => 3,
        State::Throttled => 4,
        State::Standby => 7,
    }
}

/// Model 702. Settings begin as the ratings.
pub(super) fn describe_capacity(page: &mut Page<'_>, ratings: &Ratings) {
    const MAX_W: i64 = 1;
    const FIXED_W: i64 = 2;
    const CATEGORY_B: i64 = 1;
    const CATEGORY_3: i64 = 2;
    page.scales(&[
        ("W_SF", 0),
        ("PF_SF", -3),
        ("VA_SF", 0),
        ("Var_SF", 0),
        ("V_SF", -1),
        ("A_SF", -1),
    ]);
    for name in ["WMaxRtg", "VAMaxRtg", "WMax", "VAMax"] {
        page.raw(name, ratings.watts);
    }
    for name in ["VarMaxInjRtg", "VarMaxAbsRtg", "VarMaxInj", "VarMaxAbs"] {
        page.raw(name, 0);
    }
    for (nominal, max, min) in [("VNomRtg", "VMaxRtg", "VMinRtg"), ("VNom", "VMax", "VMin")] {
        page.milli(nominal, ratings.nominal_millivolts);
        page.milli(max, ratings.nominal_millivolts * 120 / 100);
        page.milli(min, ratings.nominal_millivolts * 80 / 100);
    }
    page.milli("AMaxRtg", ratings.milliamperes());
    page.milli("AMax", ratings.milliamperes());
    if ratings.stores {
        for name in ["WChaRteMaxRtg", "VAChaRteMaxRtg", "WChaRteMax", "VAChaRteMax"] {
            page.raw(name, ratings.charge_watts);
        }
        for name in [
            "WDisChaRteMaxRtg",
            "VADisChaRteMaxRtg",
            "WDisChaRteMax",
            "VADisChaRteMax",
        ] {
            page.raw(name, ratings.discharge_watts);
        }
    }
    page.raw("NorOpCatRtg", CATEGORY_B);
    page.raw("AbnOpCatRtg", CATEGORY_3);
    page.raw("CtrlModes", MAX_W | FIXED_W);
    page.raw("IntIslandCatRtg", 0);
    page.raw("IntIslandCat", 0);
}

/// Model 703, with the default values of IEEE 1547-2018, §4.10, moved to the nominal frequency here.
pub(super) fn describe_enter_service(page: &mut Page<'_>, ratings: &Ratings) {
    page.scales(&[("V_SF", -1), ("Hz_SF", -2)]);
    page.raw("ES", 1);
    page.milli("ESVHi", 105_000);
    page.milli("ESVLo", 91_700);
    page.milli("ESHzHi", ratings.nominal_millihertz + 100);
    page.milli("ESHzLo", ratings.nominal_millihertz - 500);
    page.raw("ESDlyTms", 300);
    page.raw("ESRndTms", 0);
    page.raw("ESRmpTms", 300);
    page.raw("ESDlyRemTms", 0);
}

/// Model 704: no control in force; after a reversion there is none, either.
pub(super) fn describe_controls(page: &mut Page<'_>) {
    const WATTS: i64 = 1;
    page.scales(&[
        ("PF_SF", -3),
        ("WMaxLimPct_SF", -2),
        ("WSet_SF", 0),
        ("WSetPct_SF", -2),
    ]);
    for (name, value) in [
        ("WMaxLimPctEna", 0),
        ("WMaxLimPct", 10_000),
        ("WMaxLimPctRvrt", 10_000),
        ("WMaxLimPctEnaRvrt", 0),
        ("WMaxLimPctRvrtTms", 0),
        ("WMaxLimPctRvrtRem", 0),
        ("WSetEna", 0),
        ("WSetMod", WATTS),
        ("WSet", 0),
        ("WSetRvrt", 0),
        ("WSetPct", 0),
        ("WSetPctRvrt", 0),
        ("WSetEnaRvrt", 0),
        ("WSetRvrtTms", 0),
        ("WSetRvrtRem", 0),
        ("AntiIslEna", 1),
    ] {
        page.raw(name, value);
    }
}

/// Model 714.
pub(super) fn describe_ports(page: &mut Page<'_>, spec: &DeviceSpec, ratings: &Ratings) {
    const PV: i64 = 0;
    const STORAGE: i64 = 1;
    page.scales(&[
        ("DCA_SF", -2),
        ("DCV_SF", -1),
        ("DCW_SF", spec.power_scale),
        ("DCWH_SF", spec.energy_scale),
        ("Tmp_SF", -1),
    ]);
    let mut ports = Vec::new();
    ports.extend(ratings.generates.then_some((PV, "String")));
    ports.extend(ratings.stores.then_some((STORAGE, "Battery")));
    page.raw("PrtAlrms", 0);
    page.raw("NPrt", i64::try_from(ports.len()).unwrap_or_default());
    for (n, (kind, name)) in ports.into_iter().enumerate() {
        page.raw(&format!("Prt[{n}].PrtTyp"), kind);
        page.raw(&format!("Prt[{n}].ID"), i128::try_from(n).unwrap_or_default() + 1);
        page.text(&format!("Prt[{n}].IDStr"), name);
        page.raw(&format!("Prt[{n}].DCAlrm"), 0);
    }
}

/// Positive into the inverter.
pub(super) fn publish_ports(page: &mut Page<'_>, spec: &DeviceSpec, inverter: &Inverter) {
    const NAMES: [[&str; 6]; 2] = [
        [
            "Prt[0].DCA",
            "Prt[0].DCV",
            "Prt[0].DCW",
            "Prt[0].DCWhInj",
            "Prt[0].DCWhAbs",
            "Prt[0].DCSta",
        ],
        [
            "Prt[1].DCA",
            "Prt[1].DCV",
            "Prt[1].DCW",
            "Prt[1].DCWhInj",
            "Prt[1].DCWhAbs",
            "Prt[1].DCSta",
        ],
    ];
    let bits = spec.counter_bits;
    let (mut power, mut current) = (0, 0);
    let (mut given, mut taken) = (crate::Energy::ZERO, crate::Energy::ZERO);
    for (port, [a, v, w, injected, absorbed, status]) in inverter.ports.iter().zip(NAMES) {
        let amperes = direct_current(port.power, port.millivolts);
        page.milli(a, amperes);
        page.milli(v, port.millivolts);
        page.milli(w, port.power);
        page.energy(injected, port.injected, bits);
        page.energy(absorbed, port.absorbed, bits);
        page.raw(status, i64::from(inverter.connected));
        power += port.power;
        current += amperes;
        given += port.injected;
        taken += port.absorbed;
    }
    page.milli("DCA", current);
    page.milli("DCW", power);
    page.energy("DCWhInj", given, bits);
    page.energy("DCWhAbs", taken, bits);
}

/// Model 715.
pub(super) fn describe_control(page: &mut Page<'_>) {
    const REMOTE: i64 = 0;
    const START: i64 = 1;
    page.raw("LocRemCtl", REMOTE);
    page.raw("ControllerHb", 0);
    page.raw("AlarmReset", 0);
    page.raw("OpCtl", START);
}

/// The device's heartbeat is the second of its day.
pub(super) fn publish_control(page: &mut Page<'_>, clock: i64) {
    page.raw("DERHb", clock.rem_euclid(86_400));
}

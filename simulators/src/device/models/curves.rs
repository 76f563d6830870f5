//! Models 705 to 712: the curves of IEEE 1547-2018, readable; no device here acts on them.
//!
//! Voltages are percentages of nominal. The values are the standard's defaults for categories B and
//! III; frequencies are moved to the nominal frequency of the site.

use super::Ratings;
use crate::registers::Page;

/// How many points and curves each model has: the curve in force and one that a client could fill.
pub(super) fn counts(id: u16) -> Vec<(&'static str, u16)> {
    match id {
        705 => vec![("NPt", 4), ("NCrv", 2)],
        706 => vec![("NPt", 2), ("NCrv", 2)],
        707..=710 => vec![("NPt", 2), ("NCrvSet", 1)],
        711 => vec![("NCtl", 1)],
        712 => vec![("NPt", 6), ("NCrv", 1)],
        _ => Vec::new(),
    }
}

pub(super) fn describe(page: &mut Page<'_>, ratings: &Ratings) {
    let id = page.id();
    let result = if id == 711 {
        ["AdptCtlReq", "AdptCtlRslt"]
    } else {
        ["AdptCrvReq", "AdptCrvRslt"]
    };
    const COMPLETED: i64 = 1;
    page.raw("Ena", 0);
    page.raw(result[0], 0);
    page.raw(result[1], COMPLETED);
    for (name, count) in counts(id) {
        page.raw(name, i64::from(count));
    }
    match id {
        705 => volt_var(page),
        706 => volt_watt(page),
        // Must trip, from the outer point inwards: percent or millihertz, and hundredths of a second.
        707 => trip(page, "V", &[(50_000, 200), (88_000, 2_100)]),
        708 => trip(page, "V", &[(120_000, 16), (110_000, 1_300)]),
        709 => trip(
            page,
            "Hz",
            &[
                (ratings.nominal_millihertz - 3_500, 16),
                (ratings.nominal_millihertz - 1_500, 30_000),
            ],
        ),
        710 => trip(
            page,
            "Hz",
            &[
                (ratings.nominal_millihertz + 2_000, 16),
                (ratings.nominal_millihertz + 1_200, 30_000),
            ],
        ),
        711 => droop(page),
        712 => watt_var(page),
        _ => {}
    }
}

const READ_ONLY: i64 = 1;

fn volt_var(page: &mut Page<'_>) {
    const VAR_MAX_PERCENT: i64 = 1;
    const POINTS: [(i64, i64); 4] = [(92_000, 44_000), (98_000, 0), (102_000, 0), (108_000, -44_000)];
    page.scales(&[("V_SF", -1), ("DeptRef_SF", -1), ("RspTms_SF", 0)]);
    for curve in 0..2 {
        page.raw(&format!("Crv[{curve}].ActPt"), 4);
        page.raw(&format!("Crv[{curve}].DeptRef"), VAR_MAX_PERCENT);
        page.raw(&format!("Crv[{curve}].RspTms"), 5);
        page.raw(&format!("Crv[{curve}].ReadOnly"), READ_ONLY);
        for (n, (voltage, var)) in POINTS.into_iter().enumerate() {
            page.milli(&format!("Crv[{curve}].Pt[{n}].V"), voltage);
            page.milli(&format!("Crv[{curve}].Pt[{n}].Var"), var);
        }
    }
}

fn volt_watt(page: &mut Page<'_>) {
    const W_MAX_PERCENT: i64 = 0;
    const POINTS: [(i64, i64); 2] = [(106_000, 100_000), (110_000, 0)];
    page.scales(&[("V_SF", -1), ("DeptRef_SF", -1), ("RspTms_SF", 0)]);
    for curve in 0..2 {
        page.raw(&format!("Crv[{curve}].ActPt"), 2);
        page.raw(&format!("Crv[{curve}].DeptRef"), W_MAX_PERCENT);
        page.raw(&format!("Crv[{curve}].RspTms"), 10);
        page.raw(&format!("Crv[{curve}].ReadOnly"), READ_ONLY);
        for (n, (voltage, watt)) in POINTS.into_iter().enumerate() {
            page.milli(&format!("Crv[{curve}].Pt[{n}].V"), voltage);
            page.milli(&format!("Crv[{curve}].Pt[{n}].W"), watt);
        }
    }
}

fn trip(page: &mut Page<'_>, quantity: &str, must: &[(i64, i64)]) {
    page.scales(&[("V_SF", -1), ("Hz_SF", -2), ("Tms_SF", -2)]);
    page.raw("Crv[0].ReadOnly", READ_ONLY);
    page.raw(
        "Crv[0].MustTrip.ActPt",
        i128::try_from(must.len()).unwrap_or_default(),
    );
    page.raw("Crv[0].MayTrip.ActPt", 0);
    page.raw("Crv[0].MomCess.ActPt", 0);
    for (n, (level, centiseconds)) in must.iter().enumerate() {
        page.milli(&format!("Crv[0].MustTrip.Pt[{n}].{quantity}"), *level);
        page.raw(&format!("Crv[0].MustTrip.Pt[{n}].Tms"), *centiseconds);
    }
}

fn droop(page: &mut Page<'_>) {
    page.scales(&[("Db_SF", -3), ("K_SF", -3), ("RspTms_SF", 0)]);
    for dead_band in ["Ctl[0].DbOf", "Ctl[0].DbUf"] {
        page.milli(dead_band, 36);
    }
    for slope in ["Ctl[0].KOf", "Ctl[0].KUf"] {
        page.milli(slope, 50);
    }
    page.raw("Ctl[0].RspTms", 5);
    page.raw("Ctl[0].PMin", 0);
    page.raw("Ctl[0].ReadOnly", READ_ONLY);
}

fn watt_var(page: &mut Page<'_>) {
    const VAR_MAX_PERCENT: i64 = 1;
    const POINTS: [(i64, i64); 6] = [
        (-100_000, 44_000),
        (-50_000, 0),
        (-20_000, 0),
        (20_000, 0),
        (50_000, 0),
        (100_000, -44_000),
    ];
    page.scales(&[("W_SF", -1), ("DeptRef_SF", -1)]);
    page.raw("Crv[0].ActPt", 6);
    page.raw("Crv[0].DeptRef", VAR_MAX_PERCENT);
    page.raw("Crv[0].ReadOnly", READ_ONLY);
    for (n, (watt, var)) in POINTS.into_iter().enumerate() {
        page.milli(&format!("Crv[0].Pt[{n}].W"), watt);
        page.milli(&format!("Crv[0].Pt[{n}].Var"), var);
    }
}

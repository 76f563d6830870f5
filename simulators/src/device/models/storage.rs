//! Models 124, 713 and 802: what a battery is and does.

use super::Ratings;
use super::inverter::direct_current;
use crate::device::snapshot::{CELL_MILLIVOLTS, Inverter};
use crate::device::spec::DeviceSpec;
use crate::registers::Page;

/// Model 124. Its percentages are of `WChaMax`, in hundredths.
pub(super) fn describe_basic(page: &mut Page<'_>, spec: &DeviceSpec, ratings: &Ratings) {
    page.scales(&[
        ("WChaMax_SF", 0),
        ("WChaDisChaGra_SF", 0),
        ("MinRsvPct_SF", -2),
        ("ChaState_SF", spec.soc_scale),
        ("InBatV_SF", -1),
        ("InOutWRte_SF", -2),
    ]);
    for (name, value) in [
        ("WChaMax", ratings.charge_watts),
        ("WChaGra", 100),
        ("WDisChaGra", 100),
        ("StorCtl_Mod", 0),
        ("MinRsvPct", ratings.reserve_permille * 10),
        ("OutWRte", 10_000),
        ("InWRte", 10_000),
        ("InOutWRte_WinTms", 0),
        ("InOutWRte_RvrtTms", 0),
        ("InOutWRte_RmpTms", 0),
        ("ChaGriSet", 0),
    ] {
        page.raw(name, value);
    }
    page.milli("InBatV", CELL_MILLIVOLTS);
}

pub(super) fn publish_basic(page: &mut Page<'_>, inverter: &Inverter) {
    if let Some(storage) = inverter.storage {
        page.milli("ChaState", storage.soc_basis_points * 10);
        page.raw("ChaSt", storage.status);
    }
}

/// Model 713.
pub(super) fn describe_capacity(page: &mut Page<'_>, ratings: &Ratings) {
    const OK: i64 = 0;
    page.scales(&[("WH_SF", 0), ("Pct_SF", -2)]);
    page.raw("WHRtg", ratings.capacity_watt_hours);
    page.milli("SoH", 100_000);
    page.raw("Sta", OK);
}

pub(super) fn publish_capacity(page: &mut Page<'_>, inverter: &Inverter) {
    if let Some(storage) = inverter.storage {
        page.milli("SoC", storage.soc_basis_points * 10);
        page.milli("WHAvail", storage.stored.milliwatt_hours());
    }
}

/// Model 802.
pub(super) fn describe_battery(page: &mut Page<'_>, spec: &DeviceSpec, ratings: &Ratings) {
    const REMOTE: i64 = 0;
    const LITHIUM_ION: i64 = 4;
    const CONNECTED: i64 = 3;
    const CONNECT: i64 = 1;
    const INVERTER_STARTED: i64 = 3;
    page.scales(&[
        ("AHRtg_SF", -1),
        ("WHRtg_SF", 0),
        ("WChaDisChaMax_SF", 0),
        ("SoC_SF", spec.soc_scale),
        ("SoH_SF", 0),
        ("V_SF", -1),
        ("CellV_SF", -3),
        ("A_SF", -1),
        ("AMax_SF", -1),
        ("W_SF", spec.power_scale),
    ]);
    page.milli(
        "AHRtg",
        direct_current(ratings.capacity_watt_hours * 1_000, CELL_MILLIVOLTS),
    );
    page.milli("SoCMax", ratings.soc_max_permille * 100);
    page.milli("SoCMin", ratings.soc_min_permille * 100);
    for (name, value) in [
        ("WHRtg", ratings.capacity_watt_hours),
        ("WChaRteMax", ratings.charge_watts),
        ("WDisChaRteMax", ratings.discharge_watts),
        ("SoH", 100),
        ("LocRemCtl", REMOTE),
        ("AlmRst", 0),
        ("Typ", LITHIUM_ION),
        ("State", CONNECTED),
        ("Evt1", 0),
        ("Evt2", 0),
        ("EvtVnd1", 0),
        ("EvtVnd2", 0),
        ("SetOp", CONNECT),
        ("SetInvState", INVERTER_STARTED),
    ] {
        page.raw(name, value);
    }
    page.milli("V", CELL_MILLIVOLTS);
}

pub(super) fn publish_battery(page: &mut Page<'_>, inverter: &Inverter) {
    if let Some(storage) = inverter.storage {
        page.milli("SoC", storage.soc_basis_points * 10);
        page.milli("SoCRsvMin", storage.reserve_basis_points * 10);
        page.raw("ChaSt", storage.status);
        page.milli("W", storage.dc);
        page.milli("A", direct_current(storage.dc, CELL_MILLIVOLTS));
    }
}

//! Models 1, 120 to 123: who the device is, what it is built for, how it is set, what it does.

use super::Ratings;
use crate::device::snapshot::{Inverter, State};
use crate::device::spec::DeviceSpec;
use crate::registers::Page;

/// 2000-01-01T00:00:00Z, from which model 122 counts its seconds.
const SECONDS_ORIGIN: i64 = 946_684_800;

pub(super) fn common(page: &mut Page<'_>, spec: &DeviceSpec) {
    page.text("Mn", &spec.manufacturer);
    page.text("Md", &spec.model);
    page.text("Opt", "simulated");
    page.text("Vr", env!("CARGO_PKG_VERSION"));
    page.text("SN", &spec.serial_number);
    page.raw("DA", i64::from(spec.unit));
}

pub(super) fn nameplate(page: &mut Page<'_>, ratings: &Ratings) {
    const PV: i64 = 4;
    const PV_AND_STORAGE: i64 = 82;
    page.scales(&[
        ("WRtg_SF", 0),
        ("VARtg_SF", 0),
        ("VArRtg_SF", 0),
        ("ARtg_SF", -1),
        ("PFRtg_SF", -2),
        ("WHRtg_SF", 0),
        ("MaxChaRte_SF", 0),
        ("MaxDisChaRte_SF", 0),
    ]);
    page.raw("DERTyp", if ratings.stores { PV_AND_STORAGE } else { PV });
    page.raw("WRtg", ratings.watts);
    page.raw("VARtg", ratings.watts);
    page.milli("ARtg", ratings.milliamperes());
    for quadrant in ["VArRtgQ1", "VArRtgQ2", "VArRtgQ3", "VArRtgQ4"] {
        page.raw(quadrant, 0);
    }
    for quadrant in ["PFRtgQ1", "PFRtgQ2", "PFRtgQ3", "PFRtgQ4"] {
        page.raw(quadrant, 100);
    }
    if ratings.stores {
        page.raw("WHRtg", ratings.capacity_watt_hours);
        page.raw("MaxChaRte", ratings.charge_watts);
        page.raw("MaxDisChaRte", ratings.discharge_watts);
    }
}

pub(super) fn settings(page: &mut Page<'_>, ratings: &Ratings) {
    page.scales(&[
        ("WMax_SF", 0),
        ("VRef_SF", -1),
        ("VRefOfs_SF", -1),
        ("ECPNomHz_SF", -2),
    ]);
    page.raw("WMax", ratings.watts);
    page.milli("VRef", ratings.nominal_millivolts);
    page.raw("VRefOfs", 0);
    page.milli("ECPNomHz", ratings.nominal_millihertz);
}

/// Model 122.
pub(super) fn publish_status(page: &mut Page<'_>, spec: &DeviceSpec, inverter: &Inverter, clock: i64) {
    const CONNECTED: i64 = 1;
    const AVAILABLE: i64 = 2;
    const OPERATING: i64 = 4;
    let connected = i64::from(inverter.connected);
    let operating = if inverter.power == 0 { 0 } else { OPERATING };
    let conn = (CONNECTED | AVAILABLE | operating) * connected;
    page.raw(
        "PVConn",
        if inverter.ports.iter().any(|port| !port.storage) {
            conn
        } else {
            0
        },
    );
    page.raw("StorConn", if inverter.storage.is_some() { conn } else { 0 });
    page.raw("ECPConn", connected);
    page.energy("ActWh", inverter.injected, spec.counter_bits);
    page.scales(&[("WAval_SF", 0)]);
    page.milli("WAval", inverter.available);
    let limited = inverter.state == State::Throttled;
    page.raw("StActCtl", i64::from(limited));
    page.raw("Tms", clock.saturating_sub(SECONDS_ORIGIN).max(0));
}

/// Model 123: no control in force.
pub(super) fn controls(page: &mut Page<'_>) {
    page.scales(&[("WMaxLimPct_SF", -2), ("OutPFSet_SF", -4)]);
    for (name, value) in [
        ("Conn_WinTms", 0),
        ("Conn_RvrtTms", 0),
        ("Conn", 1),
        ("WMaxLimPct", 10_000),
        ("WMaxLimPct_WinTms", 0),
        ("WMaxLimPct_RvrtTms", 0),
        ("WMaxLimPct_RmpTms", 0),
        ("WMaxLim_Ena", 0),
        ("OutPFSet", 10_000),
        ("OutPFSet_Ena", 0),
        ("VArPct_Ena", 0),
    ] {
        page.raw(name, value);
    }
}

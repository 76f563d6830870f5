//! What each SunSpec model says: what never changes ([`describe`]) and what does ([`publish`]).

mod curves;
mod der;
mod information;
mod inverter;
mod meter;
mod storage;

use super::snapshot::{Grid, Inverter, Metered};
use super::spec::{DeviceSpec, Phases};
use crate::registers::Page;
use crate::spec::HomeSpec;

/// What a device is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratings {
    /// AC nameplate, in watts.
    pub(crate) watts: i64,
    pub(crate) charge_watts: i64,
    pub(crate) discharge_watts: i64,
    pub(crate) capacity_watt_hours: i64,
    pub(crate) soc_min_permille: i64,
    pub(crate) soc_max_permille: i64,
    pub(crate) reserve_permille: i64,
    pub(crate) nominal_millivolts: i64,
    pub(crate) nominal_millihertz: i64,
    pub(crate) stores: bool,
    pub(crate) generates: bool,
    pub(crate) phases: Phases,
}

impl Ratings {
    pub(crate) fn of(device: &DeviceSpec, home: &HomeSpec) -> Self {
        use super::spec::Role;
        let battery = i64::from(home.battery.power_watts);
        let (watts, stores, generates) = match device.role {
            Role::Inverter | Role::Meter => (i64::from(home.pv.nameplate_watts), false, true),
            Role::Battery => (battery, true, false),
            Role::Hybrid => (i64::from(home.pv.nameplate_watts).max(battery), true, true),
        };
        Self {
            watts,
            charge_watts: battery,
            discharge_watts: battery,
            capacity_watt_hours: i64::from(home.battery.capacity_watt_hours),
            soc_min_permille: i64::from(home.battery.soc_min_permille),
            soc_max_permille: i64::from(home.battery.soc_max_permille),
            reserve_permille: i64::from(home.battery.reserve_permille),
            nominal_millivolts: i64::from(home.grid.nominal_millivolts),
            nominal_millihertz: i64::from(home.grid.nominal_millihertz),
            stores,
            generates,
            phases: device.phases,
        }
    }

    fn milliamperes(&self) -> i64 {
        self.watts * 1_000_000 / self.nominal_millivolts.max(1) / self.phases.lines()
    }
}

/// How often the groups of a model repeat in these devices.
pub(crate) fn counts(id: u16, ratings: &Ratings) -> Vec<(&'static str, u16)> {
    let inputs = u16::from(ratings.stores) + u16::from(ratings.generates);
    match id {
        160 => vec![("N", inputs)],
        714 => vec![("NPrt", inputs)],
        705..=712 => curves::counts(id),
        _ => Vec::new(),
    }
}

/// Fills in what never changes by itself.
pub(crate) fn describe(page: &mut Page<'_>, spec: &DeviceSpec, ratings: &Ratings) {
    match page.id() {
        1 => information::common(page, spec),
        101..=113 => inverter::describe(page, spec),
        120 => information::nameplate(page, ratings),
        121 => information::settings(page, ratings),
        122 => page.text("TmSrc", "NTP"),
        123 => information::controls(page),
        124 => storage::describe_basic(page, spec, ratings),
        160 => inverter::describe_inputs(page, spec, ratings),
        201..=214 => meter::describe(page, spec),
        701 => der::describe_measurement(page, spec),
        702 => der::describe_capacity(page, ratings),
        703 => der::describe_enter_service(page, ratings),
        704 => der::describe_controls(page),
        705..=712 => curves::describe(page, ratings),
        713 => storage::describe_capacity(page, ratings),
        714 => der::describe_ports(page, spec, ratings),
        715 => der::describe_control(page),
        802 => storage::describe_battery(page, spec, ratings),
        _ => {}
    }
}

/// Fills in what an inverter measures.
pub(crate) fn publish(page: &mut Page<'_>, spec: &DeviceSpec, grid: Grid, inverter: &Inverter, clock: i64) {
    match page.id() {
        101..=113 => inverter::publish(page, spec, grid, inverter),
        122 => information::publish_status(page, spec, inverter, clock),
        124 => storage::publish_basic(page, inverter),
        160 => inverter::publish_inputs(page, spec, inverter),
        701 => der::publish_measurement(page, spec, grid, inverter),
        713 => storage::publish_capacity(page, inverter),
        714 => der::publish_ports(page, spec, inverter),
        715 => der::publish_control(page, clock),
        802 => storage::publish_battery(page, inverter),
        _ => {}
    }
}

/// Fills in what a meter measures.
pub(crate) fn publish_meter(page: &mut Page<'_>, spec: &DeviceSpec, grid: Grid, metered: Metered) {
    if (201..=214).contains(&page.id()) {
        meter::publish(page, spec, grid, metered);
    }
}

/// A whole that is shared by the lines: the n-th part, so that the parts sum to the whole exactly.
pub(super) fn part(whole: i64, lines: i64, n: i64) -> i64 {
    (whole + n).div_euclid(lines)
}

//! What a device can know of its site at an instant: the truth that its registers show.

use super::commands::Commands;
use super::spec::{Branch, DeviceSpec, Role};
use crate::energy::Energy;
use crate::physics::Site;

/// What an inverter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Off,
    Sleeping,
    Running,
    Throttled,
    Standby,
}

/// A DC input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) storage: bool,
    /// Into the inverter, in milliwatts.
    pub(crate) power: i64,
    pub(crate) millivolts: i64,
    /// Given to the inverter, and taken from it.
    pub(crate) injected: Energy,
    pub(crate) absorbed: Energy,
}

/// What a battery does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) soc_basis_points: i64,
    pub(crate) stored: Energy,
    /// Out of the cells, in milliwatts.
    pub(crate) dc: i64,
    /// `ChaSt` of models 124 and 802.
    pub(crate) status: i64,
    /// The reserve in force.
    pub(crate) reserve_basis_points: i64,
}

/// What an inverter knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inverter {
    /// Into the grid, in milliwatts.
    pub(crate) power: i64,
    /// What it could give now, in milliwatts.
    pub(crate) available: i64,
    pub(crate) injected: Energy,
    pub(crate) absorbed: Energy,
    pub(crate) state: State,
    pub(crate) connected: bool,
    pub(crate) cabinet_millicelsius: i64,
    pub(crate) air_millicelsius: i64,
    pub(crate) ports: Vec<Port>,
    pub(crate) storage: Option<Storage>,
}

/// What a meter knows of one branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metered {
    /// Import, in milliwatts.
    pub(crate) power: i64,
    pub(crate) import: Energy,
    pub(crate) export: Energy,
}

/// The grid where a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) millivolts: i64,
    pub(crate) millihertz: i64,
}

impl Grid {
    pub(crate) fn of(site: &Site) -> Self {
        Self {
            millivolts: site.grid_millivolts(),
            millihertz: site.grid_millihertz(),
        }
    }

    /// The current of a power, in milliamperes.
    pub(crate) fn milliamperes(self, milliwatts: i64) -> i64 {
        milliwatts * 1_000 / self.millivolts.max(1)
    }
}

/// The cells' nominal voltage.
pub(crate) const CELL_MILLIVOLTS: i64 = 51_200;
/// A string of panels at its maximum power point.
const STRING_MILLIVOLTS: i64 = 380_000;

impl Inverter {
    pub(crate) fn of(spec: &DeviceSpec, site: &Site, commands: &Commands) -> Self {
        let connected = commands.connected;
        let (flow, energies) = (site.flow(), site.energies());
        let pv = Port {
            storage: false,
            power: flow.pv_dc,
            millivolts: if flow.pv_dc == 0 { 0 } else { STRING_MILLIVOLTS },
            injected: energies.pv_dc,
            absorbed: Energy::ZERO,
        };
        let cells = Port {
            storage: true,
            power: flow.battery_dc,
            millivolts: CELL_MILLIVOLTS,
            injected: energies.battery_dc_discharge,
            absorbed: energies.battery_dc_charge,
        };
        let reach = site.battery_reach();
        let (power, available, injected, absorbed, ports) = match spec.role {
            Role::Battery => {
                let (injected, absorbed) = (energies.battery_discharge, energies.battery_charge);
                (flow.battery, reach, injected, absorbed, vec![cells])
            }
            Role::Hybrid => {
                let (injected, absorbed) = (energies.inverter_injected, energies.inverter_absorbed);
                let available = site.pv_available().saturating_add(reach);
                (
                    flow.pv + flow.battery,
                    available,
                    injected,
                    absorbed,
                    vec![pv, cells],
                )
            }
            Role::Inverter | Role::Meter => {
                (flow.pv, site.pv_available(), energies.pv, Energy::ZERO, vec![pv])
            }
        };
        let stores = matches!(spec.role, Role::Battery | Role::Hybrid);
        let air_millicelsius = site.air_decicelsius() * 100;
        Self {
            power,
            available,
            injected,
            absorbed,
            state: state(spec.role, connected, site, power),
            connected,
            cabinet_millicelsius: air_millicelsius + power.abs() / 200,
            air_millicelsius,
            ports,
            storage: stores.then(|| Storage {
                soc_basis_points: site.battery().soc_basis_points(),
                stored: site.battery().stored(),
                dc: flow.battery_dc,
                status: charge_status(site),
                reserve_basis_points: commands.reserve_basis_points,
            }),
        }
    }
}

fn state(role: Role, connected: bool, site: &Site, power: i64) -> State {
    match role {
        _ if !connected => State::Off,
        Role::Battery | Role::Hybrid if power == 0 => State::Standby,
        Role::Battery => State::Running,
        _ if site.curtailed() => State::Throttled,
        _ if power == 0 => State::Sleeping,
        _ => State::Running,
    }
}

/// `ChaSt` of models 124 and 802.
fn charge_status(site: &Site) -> i64 {
    const EMPTY: i64 = 2;
    const DISCHARGING: i64 = 3;
    const CHARGING: i64 = 4;
    const FULL: i64 = 5;
    const HOLDING: i64 = 6;
    let spec = site.battery().spec();
    let soc = site.battery().soc_basis_points();
    match site.flow().battery {
        1.. => DISCHARGING,
        ..=-1 => CHARGING,
        0 if soc >= i64::from(spec.soc_max_permille) * 10 => FULL,
        0 if soc <= i64::from(spec.soc_min_permille) * 10 => EMPTY,
        0 => HOLDING,
    }
}

impl Metered {
    pub(crate) fn of(branch: Branch, site: &Site) -> Self {
        let (flow, energies) = (site.flow(), site.energies());
        let (power, import, export) = match branch {
            Branch::Grid => (flow.grid, energies.grid_import, energies.grid_export),
            Branch::Pv => (-flow.pv, Energy::ZERO, energies.pv),
            Branch::Battery => (-flow.battery, energies.battery_charge, energies.battery_discharge),
            Branch::Load => (flow.load, energies.load, Energy::ZERO),
        };
        Self {
            power,
            import,
            export,
        }
    }
}

//! Everything behind one grid meter, and Kirchhoff's law between its parts.

use super::battery::{Battery, Power, PowerWindow, Request};
use super::clouds::Clouds;
use super::load::Load;
use super::pv::Available;
use super::sun;
use crate::energy::Energy;
use crate::spec::HomeSpec;

/// Constant powers of a site in milliwatts: `grid = load - pv - battery`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// What the household uses.
    pub load: i64,
    /// What the PV inverter produces, after curtailment.
    pub pv: i64,
    /// AC power of the battery, discharge positive.
    pub battery: i64,
    /// What comes from the grid; negative when the site feeds in.
    pub grid: i64,
    /// What the panels give to the PV inverter.
    pub pv_dc: i64,
    /// What the cells give to the battery inverter, standby loss included; negative when they take.
    pub battery_dc: i64,
}

/// Energies of a site since its devices were new:
/// `grid_import - grid_export = load + battery_charge - battery_discharge - pv`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Energies {
    /// Taken from the grid.
    pub grid_import: Energy,
    /// Given to the grid.
    pub grid_export: Energy,
    /// Used by the household.
    pub load: Energy,
    /// Produced by the PV inverter (AC).
    pub pv: Energy,
    /// Taken by the battery inverter (AC).
    pub battery_charge: Energy,
    /// Given by the battery inverter (AC).
    pub battery_discharge: Energy,
    /// Given by the panels (DC).
    pub pv_dc: Energy,
    /// Taken by the cells (DC).
    pub battery_dc_charge: Energy,
    /// Given by the cells (DC), standby loss included.
    pub battery_dc_discharge: Energy,
    /// Given by the AC side of a hybrid inverter with both panels and battery: PV and battery
    /// together, wherever their sum is positive.
    pub inverter_injected: Energy,
    /// Taken by the AC side of such an inverter: wherever the sum is negative.
    pub inverter_absorbed: Energy,
}

impl Energies {
    fn add(&mut self, flow: Flow, seconds: i64) {
        let positive = |milliwatts: i64| Energy::of_power(milliwatts.max(0), seconds);
        let inverter = flow.pv + flow.battery;
        self.grid_import += positive(flow.grid);
        self.grid_export += positive(-flow.grid);
        self.load += positive(flow.load);
        self.pv += positive(flow.pv);
        self.battery_charge += positive(-flow.battery);
        self.battery_discharge += positive(flow.battery);
        self.pv_dc += positive(flow.pv_dc);
        self.battery_dc_charge += positive(-flow.battery_dc);
        self.battery_dc_discharge += positive(flow.battery_dc);
        self.inverter_injected += positive(inverter);
        self.inverter_absorbed += positive(-inverter);
    }
}

/// What the inverters' control registers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Controls {
    pub(crate) pv_connected: bool,
    pub(crate) pv_limit_milliwatts: i64,
    pub(crate) window: PowerWindow,
    pub(crate) reserve_basis_points: i64,
    pub(crate) grid_charging: bool,
    /// The most that panels and battery may give together (a hybrid inverter's AC side).
    pub(crate) inverter_limit: Option<i64>,
    /// What they shall give together.
    pub(crate) inverter_set_point: Option<i64>,
    /// The most that the site may give to the grid, in milliwatts.
    pub(crate) export_limit: Option<i64>,
}

impl Controls {
    /// What panels and battery may give together beside this load.
    fn export_bound(&self, load: i64) -> Option<i64> {
        self.export_limit.map(|limit| load.saturating_add(limit.max(0)))
    }

    /// What the battery may do beside so much load and production. A hybrid inverter that is held below
    /// the sun stores the surplus. An export limit holds a forced discharge back, and forces no charge.
    fn window_beside(&self, load: i64, pv: i64) -> PowerWindow {
        let mut window = self
            .window
            .narrowed(PowerWindow::up_to(self.inverter_limit.map(|limit| limit - pv)));
        if let Some(set_point) = self.inverter_set_point {
            window = window.narrowed(PowerWindow::exactly(set_point - pv));
        }
        match self.export_bound(load) {
            Some(bound) => window.capped((bound - pv).max(0)),
            None => window,
        }
    }

    /// What production has to be cut to where the battery could not take the surplus.
    fn curtailed(&self, load: i64, pv: i64, battery: i64) -> i64 {
        let most = self
            .inverter_limit
            .into_iter()
            .chain(self.inverter_set_point)
            .chain(self.export_bound(load))
            .min();
        most.map_or(pv, |most| pv.min((most - battery).max(0)))
    }
}

/// The physics of one site.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    spec: HomeSpec,
    now: i64,
    clouds: Clouds,
    load: Load,
    battery: Battery,
    minute: Option<Minute>,
    decided: Option<Decision>,
    energies: Energies,
}

/// What sun and household do in one minute.
#[derive(Debug, Clone, Copy)]
struct Minute {
    end: i64,
    load: i64,
    pv_available: Available,
    air_decicelsius: i64,
}

/// What follows from the minute and the controls.
#[derive(Debug, Clone, Copy)]
struct Decision {
    controls: Controls,
    flow: Flow,
    battery: Power,
}

const STEP_SECONDS: i64 = 60;

impl Site {
    pub(crate) fn new(spec: HomeSpec, start: i64) -> Self {
        Self {
            now: start,
            clouds: Clouds::new(spec.weather_seed, spec.seed),
            load: Load::new(spec.load.clone()),
            battery: Battery::new(spec.battery.clone()),
            minute: None,
            decided: None,
            energies: spec.lifetime,
            spec,
        }
    }

    pub(crate) fn spec(&self) -> &HomeSpec {
        &self.spec
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn energies(&self) -> Energies {
        self.energies
    }

    pub(crate) fn battery(&self) -> &Battery {
        &self.battery
    }

    /// The powers of the time just passed; all zero before the first step.
    pub(crate) fn flow(&self) -> Flow {
        self.decided.map_or_else(Flow::default, |decision| decision.flow)
    }

    /// What the sun would allow now, in milliwatts.
    pub(crate) fn pv_available(&self) -> i64 {
        self.minute.map_or(0, |minute| minute.pv_available.ac)
    }

    /// What the battery could give now, in milliwatts.
    pub(crate) fn battery_reach(&self) -> i64 {
        let battery = self.battery.spec();
        if self.battery.soc_basis_points() > i64::from(battery.soc_min_permille) * 10 {
            i64::from(battery.power_watts) * 1_000
        } else {
            0
        }
    }

    /// Temperature of the air, in tenths of a degree Celsius.
    pub(crate) fn air_decicelsius(&self) -> i64 {
        self.minute.map_or(100, |minute| minute.air_decicelsius)
    }

    /// Voltage of a phase at the connection point, in millivolts, under the flow of the time just
    /// passed.
    pub(crate) fn grid_millivolts(&self) -> i64 {
        self.spec.grid.millivolts(self.flow().grid)
    }

    /// Frequency of the grid in the present minute, in millihertz.
    pub(crate) fn grid_millihertz(&self) -> i64 {
        self.spec.grid.millihertz(self.now)
    }

    /// True when the last decision held the inverter below what the sun would give.
    pub(crate) fn curtailed(&self) -> bool {
        let available = self.minute.map_or(0, |minute| minute.pv_available.ac);
        self.flow().pv < available
    }

    /// Goes on until `until` under these controls.
    pub(crate) fn advance(&mut self, until: i64, controls: Controls) {
        while self.now < until {
            let minute = self.current_minute();
            let decision = self.decision(minute, controls);
            let end = minute.end.min(until);
            let seconds = end - self.now;
            self.energies.add(decision.flow, seconds);
            self.battery.integrate(decision.battery, seconds);
            self.now = end;
        }
    }

    /// The minute that holds `now`; a new one brings new clouds and takes back the last decision.
    fn current_minute(&mut self) -> Minute {
        if let Some(minute) = self.minute
            && self.now < minute.end
        {
            return minute;
        }
        self.clouds.step();
        self.decided = None;
        let start = self.now.div_euclid(STEP_SECONDS) * STEP_SECONDS;
        let clearness = self.clouds.clearness();
        let minute = Minute {
            end: start + STEP_SECONDS,
            load: self.load.milliwatts(start),
            pv_available: self.spec.pv.available(start, self.spec.location, clearness),
            air_decicelsius: sun::air_decicelsius(start),
        };
        *self.minute.insert(minute)
    }

    /// The decision in force. It is made anew only when the minute or the controls change: were it
    /// made at each call, the length of the caller's steps would show in the result.
    fn decision(&mut self, minute: Minute, controls: Controls) -> Decision {
        if let Some(decision) = self.decided
            && decision.controls == controls
        {
            return decision;
        }
        let pv = if controls.pv_connected {
            minute.pv_available.ac.min(controls.pv_limit_milliwatts)
        } else {
            0
        };
        let battery = self.battery.answer(Request {
            wish: minute.load - pv,
            window: controls.window_beside(minute.load, pv),
            reserve_basis_points: controls.reserve_basis_points,
            charge_max: if controls.grid_charging { i64::MAX } else { pv },
            seconds: minute.end - self.now,
        });
        let pv = controls.curtailed(minute.load, pv, battery.ac);
        let flow = Flow {
            load: minute.load,
            pv,
            battery: battery.ac,
            grid: minute.load - pv - battery.ac,
            pv_dc: minute.pv_available.dc_for(pv),
            battery_dc: battery.dc,
        };
        *self.decided.insert(Decision {
            controls,
            flow,
            battery,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physics::GridSpec;
    use proptest::prelude::*;

    const JANUARY_2026: i64 = 1_767_225_600;
    const FREE: Controls = Controls {
        pv_connected: true,
        pv_limit_milliwatts: i64::MAX,
        window: PowerWindow::OPEN,
        reserve_basis_points: 2_000,
        grid_charging: false,
        inverter_limit: None,
        inverter_set_point: None,
        export_limit: None,
    };

    fn site(seed: u64, start: i64) -> Site {
        let grid = GridSpec {
            impedance_milliohms: 300,
            swing_millihertz: 40,
            ..GridSpec::stiff(7)
        };
        Site::new(
            HomeSpec {
                grid,
                ..HomeSpec::draw(seed)
            },
            start,
        )
    }

    #[test]
    fn a_curtailed_inverter_takes_less_from_the_panels() {
        let noon = JANUARY_2026 + 170 * 86_400 + 43_200;
        let (mut free, mut held, mut off) = (site(1, noon), site(1, noon), site(1, noon));
        free.advance(noon + 60, FREE);
        held.advance(
            noon + 60,
            Controls {
                pv_limit_milliwatts: free.flow().pv / 2,
                ..FREE
            },
        );
        off.advance(
            noon + 60,
            Controls {
                pv_connected: false,
                ..FREE
            },
        );
        let (all, half) = (free.flow(), held.flow());
        assert!(all.pv > 0 && half.pv < half.pv_dc);
        assert!(half.pv_dc.abs_diff(all.pv_dc / 2) <= 2, "{half:?} of {all:?}");
        assert_eq!(off.flow().pv_dc, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_voltage_follows_the_meter_and_neighbours_share_the_frequency(
            seed: u64, start in JANUARY_2026..JANUARY_2026 + 400 * 86_400, steps in 1_i64..300,
        ) {
            let (mut one, mut neighbour) = (site(seed, start), site(seed ^ 1, start - 777));
            for step in 1..=steps {
                one.advance(start + step * 97, FREE);
                neighbour.advance(start + step * 97, FREE);
                let (grid, volts) = (one.flow().grid, one.grid_millivolts());
                prop_assert!(grid < 0 || volts <= 230_000, "{volts} mV at an import of {grid} mW");
                prop_assert!(grid > 0 || volts >= 230_000, "{volts} mV at an export of {grid} mW");
                prop_assert_eq!(one.grid_millihertz(), neighbour.grid_millihertz());
            }
        }
    }
}

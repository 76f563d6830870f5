//! A battery behind its own inverter.

use crate::energy::Energy;

/// A battery and its inverter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatterySpec {
    /// Usable and unusable together, in watt-hours.
    pub capacity_watt_hours: u32,
    /// The greatest AC power of charge and of discharge, in watts.
    pub power_watts: u32,
    /// What comes through in one direction, in tenths of a percent; 949 makes 90 % for the round trip.
    pub one_way_efficiency_permille: u32,
    /// Below this state of charge it never discharges, in tenths of a percent.
    pub soc_min_permille: u32,
    /// Above this state of charge it never charges, in tenths of a percent.
    pub soc_max_permille: u32,
    /// What the owner keeps in reserve by default, in tenths of a percent; `MinRsvPct` of model 124
    /// changes it.
    pub reserve_permille: u32,
    /// The state of charge to start with, in tenths of a percent.
    pub initial_soc_permille: u32,
}

/// Bounds on the battery's AC power in milliwatts, discharge positive, as model 124 sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PowerWindow {
    pub(crate) least: Option<i64>,
    pub(crate) greatest: Option<i64>,
}

impl PowerWindow {
    pub(crate) const OPEN: Self = Self {
        least: None,
        greatest: None,
    };

    /// This power and no other.
    pub(crate) fn exactly(power: i64) -> Self {
        Self {
            least: Some(power),
            greatest: Some(power),
        }
    }

    /// This power at most, if any is given.
    pub(crate) fn up_to(greatest: Option<i64>) -> Self {
        Self {
            least: None,
            greatest,
        }
    }

    /// What both allow.
    pub(crate) fn narrowed(self, other: Self) -> Self {
        Self {
            least: self.least.into_iter().chain(other.least).max(),
            greatest: self.greatest.into_iter().chain(other.greatest).min(),
        }
    }

    /// What becomes of the owner's wish. Bounds that contradict one another leave the battery alone.
    fn apply(self, wish: i64) -> i64 {
        let (least, greatest) = (self.least.unwrap_or(i64::MIN), self.greatest.unwrap_or(i64::MAX));
        if least > greatest {
            0
        } else {
            wish.clamp(least, greatest)
        }
    }
}

/// What the battery is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// AC power that the owner's own behaviour would choose, in milliwatts, discharge positive.
    pub(crate) wish: i64,
    pub(crate) window: PowerWindow,
    /// Kept in reserve, in hundredths of a percent.
    pub(crate) reserve_basis_points: i64,
    /// The most that it may charge with, in milliwatts (PV only, or no bound).
    pub(crate) charge_max: i64,
    /// For how long the answer has to hold.
    pub(crate) seconds: i64,
}

/// Constant power of the battery, in milliwatts, discharge positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Power {
    pub(crate) ac: i64,
    pub(crate) dc: i64,
}

/// The state of a battery.
#[derive(Debug, Clone)]
pub(crate) struct Battery {
    spec: BatterySpec,
    stored: Energy,
}

impl Battery {
    pub(crate) fn new(spec: BatterySpec) -> Self {
        let stored = share(&spec, i64::from(spec.initial_soc_permille) * 10);
        Self { spec, stored }
    }

    pub(crate) fn spec(&self) -> &BatterySpec {
        &self.spec
    }

    /// Energy in the cells.
    pub(crate) fn stored(&self) -> Energy {
        self.stored
    }

    /// State of charge in hundredths of a percent, rounded down.
    pub(crate) fn soc_basis_points(&self) -> i64 {
        let capacity = share(&self.spec, 10_000).milliwatt_seconds();
        self.stored.milliwatt_seconds() * 10_000 / capacity
    }

    /// The power that the request comes to: within the nameplate, and such that the state of charge
    /// stays within its limits until the request's seconds are over.
    pub(crate) fn answer(&self, request: Request) -> Power {
        let nameplate = i64::from(self.spec.power_watts) * 1_000;
        let target = request.window.apply(request.wish).clamp(-nameplate, nameplate);
        let efficiency = i64::from(self.spec.one_way_efficiency_permille);
        if target > 0 {
            let floor = (i64::from(self.spec.soc_min_permille) * 10).max(request.reserve_basis_points);
            let dc_max = self.above(floor) / request.seconds;
            let ac = target.min(dc_max * efficiency / 1_000);
            Power {
                ac,
                dc: (ac * 1_000).div_euclid(efficiency) + i64::from(ac * 1_000 % efficiency != 0),
            }
        } else {
            let dc_max = self.below(i64::from(self.spec.soc_max_permille) * 10) / request.seconds;
            let ac = (-target)
                .min(request.charge_max)
                .min(dc_max * 1_000 / efficiency)
                .max(0);
            Power {
                ac: -ac,
                dc: -(ac * efficiency / 1_000),
            }
        }
    }

    /// Energy above a state of charge, in milliwatt-seconds; none when it is below.
    fn above(&self, basis_points: i64) -> i64 {
        (self.stored - share(&self.spec, basis_points))
            .milliwatt_seconds()
            .max(0)
    }

    fn below(&self, basis_points: i64) -> i64 {
        (share(&self.spec, basis_points) - self.stored)
            .milliwatt_seconds()
            .max(0)
    }

    pub(crate) fn integrate(&mut self, power: Power, seconds: i64) {
        self.stored += Energy::of_power(-power.dc, seconds);
    }
}

/// A part of the capacity, given in hundredths of a percent.
fn share(spec: &BatterySpec, basis_points: i64) -> Energy {
    let capacity = Energy::from_watt_hours(i64::from(spec.capacity_watt_hours));
    Energy::from_milliwatt_seconds(capacity.milliwatt_seconds() / 10_000 * basis_points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn battery(initial_soc_permille: u32) -> Battery {
        Battery::new(BatterySpec {
            capacity_watt_hours: 10_000,
            power_watts: 4_000,
            one_way_efficiency_permille: 949,
            soc_min_permille: 50,
            soc_max_permille: 1_000,
            reserve_permille: 200,
            initial_soc_permille,
        })
    }

    fn ask(wish: i64) -> Request {
        Request {
            wish,
            window: PowerWindow::OPEN,
            reserve_basis_points: 2_000,
            charge_max: i64::MAX,
            seconds: 60,
        }
    }

    #[test]
    fn a_window_forces_discharge_and_the_reserve_ends_it() {
        let window = PowerWindow {
            least: Some(3_000_000),
            greatest: Some(3_000_000),
        };
        let request = Request { window, ..ask(0) };
        assert_eq!(battery(800).answer(request).ac, 3_000_000);
        assert_eq!(battery(200).answer(request).ac, 0);
    }

    #[test]
    fn a_round_trip_loses_a_tenth() {
        let mut battery = battery(500);
        let charge = battery.answer(ask(-2_000_000));
        assert_eq!(
            charge,
            Power {
                ac: -2_000_000,
                dc: -1_898_000
            }
        );
        battery.integrate(charge, 3_600);
        let gained = battery.stored() - share(battery.spec(), 5_000);
        let discharge = battery.answer(ask(1_000_000));
        let seconds = gained.milliwatt_seconds() / discharge.dc;
        let back = discharge.ac * seconds;
        let round_trip_permille = back * 1_000 / (2_000_000 * 3_600);
        assert!(
            (899..=901).contains(&round_trip_permille),
            "{round_trip_permille}"
        );
    }

    #[test]
    fn bounds_that_contradict_one_another_leave_the_battery_alone() {
        let window = PowerWindow {
            least: Some(2_000_000),
            greatest: Some(1_000_000),
        };
        assert_eq!(
            battery(500).answer(Request {
                window,
                ..ask(500_000)
            }),
            Power::default()
        );
    }

    proptest! {
        #[test]
        fn the_state_of_charge_stays_within_its_limits(
            soc in 50_u32..=1_000,
            wishes in prop::collection::vec((-9_000_000_i64..9_000_000, 1_i64..=60), 1..300),
        ) {
            let mut battery = battery(soc);
            for (wish, seconds) in wishes {
                let before = battery.soc_basis_points();
                let power = battery.answer(Request { seconds, ..ask(wish) });
                battery.integrate(power, seconds);
                let after = battery.soc_basis_points();
                prop_assert!(power.ac.abs() <= 4_000_000);
                prop_assert!(after <= 10_000);
                prop_assert!(after >= 2_000.min(before), "fell to {after} under the reserve");
                prop_assert!(power.ac <= power.dc || power.ac == 0, "energy from nothing: {power:?}");
            }
        }
    }
}

//! A battery behind its own inverter.

use crate::energy::Energy;

/// A battery and its inverter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatterySpec {
    /// Usable and unusable together, in watt-hours.
    pub capacity_watt_hours: u32,
    /// The greatest AC power of charge and of discharge, in watts: the inverter's nameplate.
    pub power_watts: u32,
    /// The greatest power of the cells in either direction, as a part of their capacity an hour
    /// (500 is C/2), in thousandths; 0 for no such limit.
    pub c_rate_permille: u32,
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
    /// What inverter and battery management take from the cells while the AC power is zero, in
    /// milliwatts. It is not stopped by the least state of charge, only by empty cells.
    pub standby_milliwatts: u32,
    /// Above this state of charge the greatest power of charge falls, as on the constant-voltage part
    /// of a lithium-ion charge, in tenths of a percent; from `soc_max_permille` on: no taper.
    pub taper_from_permille: u32,
    /// What the taper leaves at `soc_max_permille`, in thousandths of the nameplate; between, the
    /// power falls linearly.
    pub taper_floor_permille: u32,
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

    /// Both bounds at this power at most.
    pub(crate) fn capped(self, most: i64) -> Self {
        Self {
            least: self.least.map(|least| least.min(most)),
            greatest: Some(self.greatest.map_or(most, |greatest| greatest.min(most))),
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

    /// The power that the request comes to: within nameplate, C-rate and taper, and such that the
    /// state of charge stays within its limits until the request's seconds are over.
    pub(crate) fn answer(&self, request: Request) -> Power {
        let nameplate = self.nameplate();
        let target = request.window.apply(request.wish).clamp(-nameplate, nameplate);
        let power = if target > 0 {
            self.discharge(target, request)
        } else {
            self.charge(-target, request)
        };
        if power.ac == 0 {
            self.standby(request.seconds)
        } else {
            power
        }
    }

    fn discharge(&self, target: i64, request: Request) -> Power {
        let efficiency = i64::from(self.spec.one_way_efficiency_permille);
        let floor = (i64::from(self.spec.soc_min_permille) * 10).max(request.reserve_basis_points);
        let dc_max = (self.above(floor) / request.seconds).min(self.cells_max());
        let ac = target.min(dc_max * efficiency / 1_000);
        Power {
            ac,
            dc: (ac * 1_000).div_euclid(efficiency) + i64::from(ac * 1_000 % efficiency != 0),
        }
    }

    fn charge(&self, target: i64, request: Request) -> Power {
        let efficiency = i64::from(self.spec.one_way_efficiency_permille);
        let room = self.below(i64::from(self.spec.soc_max_permille) * 10);
        let dc_max = (room / request.seconds).min(self.cells_max());
        let ac = target
            .min(request.charge_max)
            .min(dc_max.saturating_mul(1_000) / efficiency)
            .min(self.taper())
            .max(0);
        Power {
            ac: -ac,
            dc: -(ac * efficiency / 1_000),
        }
    }

    fn standby(&self, seconds: i64) -> Power {
        let left = self.stored.milliwatt_seconds().max(0) / seconds;
        Power {
            ac: 0,
            dc: i64::from(self.spec.standby_milliwatts).min(left),
        }
    }

    fn nameplate(&self) -> i64 {
        i64::from(self.spec.power_watts) * 1_000
    }

    /// What the C-rate allows on the DC side: watt-hours by thousandths an hour are milliwatts.
    fn cells_max(&self) -> i64 {
        match self.spec.c_rate_permille {
            0 => i64::MAX / 1_000,
            rate => i64::from(self.spec.capacity_watt_hours) * i64::from(rate),
        }
    }

    /// The greatest AC power of charge at the present state of charge.
    fn taper(&self) -> i64 {
        let spec = &self.spec;
        let from = i64::from(spec.taper_from_permille) * 10;
        let span = i64::from(spec.soc_max_permille) * 10 - from;
        let nameplate = self.nameplate();
        if span <= 0 {
            return nameplate;
        }
        let into = (self.soc_basis_points() - from).clamp(0, span);
        let lost_permille = i64::from(1_000_u32.saturating_sub(spec.taper_floor_permille));
        nameplate - nameplate / 1_000 * lost_permille * into / span
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

    fn spec(initial_soc_permille: u32) -> BatterySpec {
        BatterySpec {
            capacity_watt_hours: 10_000,
            power_watts: 4_000,
            c_rate_permille: 0,
            one_way_efficiency_permille: 949,
            soc_min_permille: 50,
            soc_max_permille: 1_000,
            reserve_permille: 200,
            initial_soc_permille,
            standby_milliwatts: 0,
            taper_from_permille: 1_000,
            taper_floor_permille: 1_000,
        }
    }

    fn battery(initial_soc_permille: u32) -> Battery {
        Battery::new(spec(initial_soc_permille))
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

    #[test]
    fn the_c_rate_binds_the_cells_in_both_directions() {
        let slow = Battery::new(BatterySpec {
            c_rate_permille: 100,
            ..spec(500)
        });
        let (discharge, charge) = (slow.answer(ask(4_000_000)), slow.answer(ask(-4_000_000)));
        assert_eq!((discharge.ac, discharge.dc), (949_000, 1_000_000));
        assert!(
            (-1_000_000..-999_000).contains(&charge.dc),
            "{charge:?} is not C/10"
        );
    }

    #[test]
    fn the_charge_tapers_towards_the_top_and_the_discharge_does_not() {
        let at = |soc| {
            let battery = Battery::new(BatterySpec {
                taper_from_permille: 800,
                taper_floor_permille: 100,
                ..spec(soc)
            });
            let power = |wish| {
                battery
                    .answer(Request {
                        seconds: 1,
                        ..ask(wish)
                    })
                    .ac
            };
            (power(-4_000_000), power(4_000_000))
        };
        assert_eq!(at(800), (-4_000_000, 4_000_000));
        assert_eq!(at(900), (-2_200_000, 4_000_000));
        assert_eq!(at(999), (-418_000, 4_000_000));
    }

    #[test]
    fn standby_drains_below_the_least_state_of_charge_and_stops_at_empty() {
        let mut idle = Battery::new(BatterySpec {
            standby_milliwatts: 50_000,
            ..spec(50)
        });
        for _ in 0..10 * 60 - 1 {
            let power = idle.answer(ask(0));
            assert_eq!(power, Power { ac: 0, dc: 50_000 });
            idle.integrate(power, 60);
        }
        (0..60).for_each(|_| {
            let power = idle.answer(ask(0));
            idle.integrate(power, 60);
        });
        assert_eq!(idle.stored(), Energy::ZERO);
        assert!(idle.answer(ask(-1_000_000)).ac < 0, "empty cells take a charge");
    }

    proptest! {
        #[test]
        fn the_state_of_charge_stays_within_its_limits(
            soc in 50_u32..=1_000,
            c_rate_permille in 0_u32..1_000,
            taper_from_permille in 700_u32..=1_000,
            wishes in prop::collection::vec((-9_000_000_i64..9_000_000, 1_i64..=60), 1..300),
        ) {
            let spec = BatterySpec {
                c_rate_permille, taper_from_permille, taper_floor_permille: 50, ..spec(soc)
            };
            let mut battery = Battery::new(spec);
            for (wish, seconds) in wishes {
                let before = battery.soc_basis_points();
                let power = battery.answer(Request { seconds, ..ask(wish) });
                battery.integrate(power, seconds);
                let after = battery.soc_basis_points();
                prop_assert!(power.ac.abs() <= 4_000_000);
                prop_assert!(after <= 10_000);
                prop_assert!(
                    c_rate_permille == 0 || power.dc.abs() <= 10_000 * i64::from(c_rate_permille)
                );
                prop_assert!(after >= 2_000.min(before), "fell to {after} under the reserve");
                prop_assert!(power.ac <= power.dc || power.ac == 0, "energy from nothing: {power:?}");
            }
        }
    }
}

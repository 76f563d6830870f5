//! Which command a device is tried with: small, harmless, and far enough from what it does anyway.

use gridtally_protocol::quantity::Milliwatts;

use super::outcome::Obstacle;
use crate::control::policy::BatteryPower;
use crate::device::controls::Command;

/// A tenth of the nameplate, and at least this.
const SIZE_MIN: i64 = 200_000;
/// Less cannot be told from the noise of a house.
const SIZE_VISIBLE: i64 = 100_000;
/// So far from reserve and ceiling, in thousandths of a percent, a few minutes of it do no harm.
const CHARGE_MARGIN: i64 = 5_000;
/// So much more than the size is tried at most, where the device does the size already.
const STEPS: i64 = 4;

/// What is known of a battery before the trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Battery {
    /// What it does now.
    pub(super) power: Milliwatts,
    /// Its state of charge, in thousandths of a percent.
    pub(super) charge: i64,
    /// What nameplate and owner allow; no charge without grid charging.
    pub(super) most: BatteryPower,
    pub(super) nameplate: Milliwatts,
    /// The owner's reserve and ceiling, in thousandths of a percent.
    pub(super) reserve: i64,
    pub(super) ceiling: i64,
}

/// A power to hold: discharging where the charge allows it, otherwise charging where that is allowed.
pub(super) fn battery(known: &Battery) -> Result<Command, Obstacle> {
    let asked = (known.nameplate.get() / 10).max(SIZE_MIN);
    let can_discharge = known.charge >= known.reserve.saturating_add(CHARGE_MARGIN);
    let can_charge = known.charge <= known.ceiling.saturating_sub(CHARGE_MARGIN);
    let mut is_weak = false;
    for (can, sign, most) in [
        (can_discharge, 1, known.most.discharge.get()),
        (can_charge, -1, known.most.charge.get()),
    ] {
        let size = asked.min(most);
        if !can || most <= 0 {
            continue;
        }
        if size < SIZE_VISIBLE {
            is_weak = true;
            continue;
        }
        let told = (1..=STEPS)
            .map(|n| size.saturating_mul(n))
            .take_while(|power| *power <= most)
            .map(|power| power.saturating_mul(sign))
            .find(|power| is_apart(*power, known.power.get(), size));
        if let Some(told) = told {
            return Ok(Command::Hold(Milliwatts::new(told)));
        }
        is_weak = true;
    }
    Err(if is_weak {
        Obstacle::TooWeak
    } else {
        Obstacle::Charge {
            charge: known.charge,
            reserve: known.reserve,
            ceiling: known.ceiling,
        }
    })
}

/// Three quarters of the size away from what the battery does anyway.
const fn is_apart(told: i64, present: i64, size: i64) -> bool {
    told.abs_diff(present).saturating_mul(4) >= size.unsigned_abs().saturating_mul(3)
}

/// Half of what the panels give now.
pub(super) fn production(power: Milliwatts, nameplate: Milliwatts) -> Result<Command, Obstacle> {
    let least = (nameplate.get() / 20).max(SIZE_MIN);
    if power.get() < least {
        return Err(Obstacle::TooDark {
            power,
            least: Milliwatts::new(least),
        });
    }
    Ok(Command::LimitProduction(Milliwatts::new(power.get() / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn mw(watts: i64) -> Milliwatts {
        Milliwatts::new(watts * 1_000)
    }

    const fn known(power: i64, percent: i64) -> Battery {
        Battery {
            power: mw(power),
            charge: percent * 1_000,
            most: BatteryPower {
                discharge: mw(5_000),
                charge: mw(5_000),
            },
            nameplate: mw(5_000),
            reserve: 20_000,
            ceiling: 95_000,
        }
    }

    #[test]
    fn a_tenth_of_the_nameplate_is_discharged_where_the_charge_allows() {
        assert_eq!(battery(&known(0, 60)), Ok(Command::Hold(mw(500))));
        assert_eq!(battery(&known(0, 25)), Ok(Command::Hold(mw(500))));
        assert_eq!(battery(&known(0, 24)), Ok(Command::Hold(mw(-500))));
        assert_eq!(battery(&known(0, 100)), Ok(Command::Hold(mw(500))));
    }

    #[test]
    fn what_the_battery_does_anyway_is_not_taken_for_obedience() {
        assert_eq!(battery(&known(480, 60)), Ok(Command::Hold(mw(1_000))));
        assert_eq!(battery(&known(800, 60)), Ok(Command::Hold(mw(1_500))));
        assert_eq!(battery(&known(3_000, 60)), Ok(Command::Hold(mw(500))));
        assert_eq!(battery(&known(-480, 24)), Ok(Command::Hold(mw(-1_000))));
    }

    #[test]
    fn a_battery_at_its_reserve_that_must_not_charge_is_not_tried() {
        let mut low = known(0, 21);
        low.most.charge = Milliwatts::ZERO;
        assert!(matches!(
            battery(&low),
            Err(Obstacle::Charge { charge: 21_000, .. })
        ));
        let mut bound = known(0, 60);
        bound.most.discharge = mw(50);
        assert_eq!(battery(&bound), Ok(Command::Hold(mw(-500))));
        bound.most.charge = Milliwatts::ZERO;
        assert!(matches!(battery(&bound), Err(Obstacle::TooWeak)));
    }

    #[test]
    fn panels_are_tried_by_day_only() {
        assert_eq!(
            production(mw(1_000), mw(6_000)),
            Ok(Command::LimitProduction(mw(500)))
        );
        assert!(matches!(
            production(mw(299), mw(6_000)),
            Err(Obstacle::TooDark { .. })
        ));
        assert!(matches!(
            production(mw(199), mw(600)),
            Err(Obstacle::TooDark { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_trial_is_beyond_what_is_allowed_or_near_what_the_device_does(
            power: i64, charge in 0_i64..=100_000, discharge in 0_i64..20_000_000, into in 0_i64..20_000_000,
            nameplate in 1_i64..20_000_000,
        ) {
            let known = Battery {
                power: Milliwatts::new(power), charge,
                most: BatteryPower { discharge: Milliwatts::new(discharge), charge: Milliwatts::new(into) },
                nameplate: Milliwatts::new(nameplate), reserve: 20_000, ceiling: 95_000,
            };
            if let Ok(Command::Hold(told)) = battery(&known) {
                let told = told.get();
                prop_assert!(-into <= told && told <= discharge);
                prop_assert!(told.unsigned_abs() >= 100_000);
                prop_assert!(told < 0 || charge >= 25_000);
                prop_assert!(told > 0 || charge <= 90_000);
                prop_assert!(told.abs_diff(power) >= 75_000);
            }
        }
    }
}

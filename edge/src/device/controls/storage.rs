//! Model 124: charge and discharge bounded to percentages of `WChaMax`.
//!
//! Both rates are limits, and a limit below zero on one direction is a demand for the other: with
//! `OutWRte` at r and `InWRte` at −r the power is pinned from both sides.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use sunspec::models::model124::Model124;

use super::field::{Field, Role, Shape};
use super::scale::{Step, whole};
use super::{Command, ControlError, Controls, Draft, Plan};

/// `StorCtl_Mod` with both limits active.
const BOTH_LIMITS: i64 = 0b11;
const CHARGE_BIT: u16 = 0b01;
const DISCHARGE_BIT: u16 = 0b10;
/// `ChaGriSet`: from the grid, too.
const GRID: i64 = 1;

const WCHAMAX: Field = Field::of("WChaMax", &Model124::W_CHA_MAX, Shape::Uint16, Role::Value)
    .scaled("WChaMax_SF", &Model124::W_CHA_MAX_SF);
const MODE: Field = Field::of(
    "StorCtl_Mod",
    &Model124::STOR_CTL_MOD,
    Shape::Uint16,
    Role::Switch,
);
const OUT: Field = Field::of("OutWRte", &Model124::OUT_W_RTE, Shape::Int16, Role::Value)
    .scaled("InOutWRte_SF", &Model124::IN_OUT_W_RTE_SF)
    .switched(&Model124::STOR_CTL_MOD, DISCHARGE_BIT);
const IN: Field = Field::of("InWRte", &Model124::IN_W_RTE, Shape::Int16, Role::Value)
    .scaled("InOutWRte_SF", &Model124::IN_OUT_W_RTE_SF)
    .switched(&Model124::STOR_CTL_MOD, CHARGE_BIT);
const WINDOW: Field = Field::of(
    "InOutWRte_WinTms",
    &Model124::IN_OUT_W_RTE_WIN_TMS,
    Shape::Uint16,
    Role::Manner,
);
const TIMER: Field = Field::of(
    "InOutWRte_RvrtTms",
    &Model124::IN_OUT_W_RTE_RVRT_TMS,
    Shape::Uint16,
    Role::Timer,
)
.switched(&Model124::STOR_CTL_MOD, CHARGE_BIT | DISCHARGE_BIT);
const RAMP: Field = Field::of(
    "InOutWRte_RmpTms",
    &Model124::IN_OUT_W_RTE_RMP_TMS,
    Shape::Uint16,
    Role::Manner,
);
const GRID_CHARGE: Field = Field::of(
    "ChaGriSet",
    &Model124::CHA_GRI_SET,
    Shape::Uint16,
    Role::Permission,
);

pub(super) const FIELDS: &[Field] = &[MODE, OUT, IN, WINDOW, TIMER, RAMP, GRID_CHARGE];

/// The rates and their timers are one request where the device has all of them; the mode is another,
/// because registers that may only be read lie between.
pub(super) fn plan(
    controls: &Controls,
    command: Command,
    reversion: NonZeroU32,
) -> Result<Plan, ControlError> {
    let mut draft = Draft::of(controls);
    let scale = OUT.scale(&controls.image)?;
    match command {
        Command::LimitProduction(_) => Err(controls.unsupported(command)),
        Command::Hold(power) => {
            let (count, expressed) = rate(controls, power, scale)?;
            let (out, into) = rates(count, controls.grid_charging);
            draft.set(&OUT, out)?;
            draft.set(&IN, into)?;
            draft.set_if_there(&WINDOW, 0)?;
            draft.set_timer(&TIMER, reversion)?;
            draft.set_if_there(&RAMP, 0)?;
            if count < 0 && controls.grid_charging {
                // No timer takes it back: `Plan::stays` says so, and `Saved` has it.
                draft.set_if_there(&GRID_CHARGE, GRID)?;
            }
            draft.set(&MODE, BOTH_LIMITS)?;
            Ok(draft.finish(expressed))
        }
        Command::Release => {
            draft.set(&MODE, 0)?;
            if let Some(full) = whole(scale, OUT.shape.max()) {
                draft.set_if_there(&OUT, full)?;
                draft.set_if_there(&IN, full)?;
            }
            Ok(draft.finish(Milliwatts::ZERO))
        }
    }
}

/// `OutWRte` and `InWRte` for a discharge above zero or a charge below. A charge that may not come from the
/// grid is a limit and no demand.
const fn rates(count: i64, grid_charging: bool) -> (i64, i64) {
    let into = count.saturating_neg();
    if count < 0 && !grid_charging {
        (0, into)
    } else {
        (count, into)
    }
}

/// The rate for a power, and what it is worth.
///
/// The model has `WChaMax` alone, and calls the base of `OutWRte` `WDisChaMax`: where the rating in that
/// direction is known and greater, the rate is of the greater, so that it is never more than what was asked,
/// whichever the device means.
fn rate(controls: &Controls, power: Milliwatts, scale: i16) -> Result<(i64, Milliwatts), ControlError> {
    let no_rating = ControlError::NoRating { rating: "charge" };
    let charge_max = WCHAMAX
        .number(&controls.image)
        .ok_or_else(|| ControlError::NoRegister {
            register: "WChaMax".to_owned(),
        })?;
    let charge_max = Step::watts(WCHAMAX.scale(&controls.image)?)
        .and_then(|step| step.power(charge_max))
        .filter(|max| *max > Milliwatts::ZERO)
        .ok_or(no_rating.clone())?;
    let rating = if power > Milliwatts::ZERO {
        controls.ratings.discharge
    } else {
        controls.ratings.charge
    };
    let max = rating
        .map_or(charge_max, |rating| rating.min(charge_max))
        .get()
        .max(0);
    let base = rating.map_or(charge_max, |rating| rating.max(charge_max));
    let power = Milliwatts::new(power.get().clamp(max.saturating_neg(), max));
    Step::percent_of(base, scale)
        .and_then(|step| step.express(power, OUT.shape.max()))
        .ok_or(no_rating)
}

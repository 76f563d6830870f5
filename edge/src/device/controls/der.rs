//! Model 704: the set-point and the limit of IEEE 1547-2018.
//!
//! A set-point is given in watts: of what `WSetPct` is a percentage differs between devices. Each control has
//! a value and a switch for after the reversion; both are the owner's where they are known, and off where
//! not, because what the device shows may be the agent's own.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use sunspec::models::model704::{Model704, WSetMod};
use sunspec::{EnumValue, Group, Point, Value};

use super::field::{Field, Role, Shape};
use super::scale::{Step, whole};
use super::{Command, ControlError, Controls, Draft, Plan};

const SET_SF: &Point<Model704, Option<i16>> = &Model704::W_SET_SF;
const SET_PCT_SF: &Point<Model704, Option<i16>> = &Model704::W_SET_PCT_SF;
const LIMIT_SF: &Point<Model704, Option<i16>> = &Model704::W_MAX_LIM_PCT_SF;

const fn of_set<G: Group, T: Value>(
    name: &'static str,
    point: &Point<G, T>,
    shape: Shape,
    role: Role,
) -> Field {
    Field::of(name, point, shape, role).switched(&Model704::W_SET_ENA, 1)
}

const fn of_limit<G: Group, T: Value>(
    name: &'static str,
    point: &Point<G, T>,
    shape: Shape,
    role: Role,
) -> Field {
    Field::of(name, point, shape, role).switched(&Model704::W_MAX_LIM_PCT_ENA, 1)
}

const SET_ENABLE: Field = of_set("WSetEna", &Model704::W_SET_ENA, Shape::Uint16, Role::Switch);
const SET_MODE: Field = of_set("WSetMod", &Model704::W_SET_MOD, Shape::Uint16, Role::Value);
const SET: Field = of_set("WSet", &Model704::W_SET, Shape::Int32, Role::Value).scaled("WSet_SF", SET_SF);
const SET_AFTER: Field =
    of_set("WSetRvrt", &Model704::W_SET_RVRT, Shape::Int32, Role::Fallback).scaled("WSet_SF", SET_SF);
const SET_PCT: Field =
    of_set("WSetPct", &Model704::W_SET_PCT, Shape::Int16, Role::Value).scaled("WSetPct_SF", SET_PCT_SF);
const SET_PCT_AFTER: Field = of_set(
    "WSetPctRvrt",
    &Model704::W_SET_PCT_RVRT,
    Shape::Int16,
    Role::Fallback,
)
.scaled("WSetPct_SF", SET_PCT_SF);
const SET_ENABLE_AFTER: Field = of_set(
    "WSetEnaRvrt",
    &Model704::W_SET_ENA_RVRT,
    Shape::Uint16,
    Role::Manner,
);
const SET_TIMER: Field = of_set(
    "WSetRvrtTms",
    &Model704::W_SET_RVRT_TMS,
    Shape::Uint32,
    Role::Timer,
);
const SET_REMAINING: Field = of_set(
    "WSetRvrtRem",
    &Model704::W_SET_RVRT_REM,
    Shape::Uint32,
    Role::Timer,
);
const LIMIT_ENABLE: Field = of_limit(
    "WMaxLimPctEna",
    &Model704::W_MAX_LIM_PCT_ENA,
    Shape::Uint16,
    Role::Switch,
);
const LIMIT: Field = of_limit("WMaxLimPct", &Model704::W_MAX_LIM_PCT, Shape::Uint16, Role::Value)
    .scaled("WMaxLimPct_SF", LIMIT_SF);
const LIMIT_AFTER: Field = of_limit(
    "WMaxLimPctRvrt",
    &Model704::W_MAX_LIM_PCT_RVRT,
    Shape::Uint16,
    Role::Fallback,
)
.scaled("WMaxLimPct_SF", LIMIT_SF);
const LIMIT_ENABLE_AFTER: Field = of_limit(
    "WMaxLimPctEnaRvrt",
    &Model704::W_MAX_LIM_PCT_ENA_RVRT,
    Shape::Uint16,
    Role::Manner,
);
const LIMIT_TIMER: Field = of_limit(
    "WMaxLimPctRvrtTms",
    &Model704::W_MAX_LIM_PCT_RVRT_TMS,
    Shape::Uint32,
    Role::Timer,
);
const LIMIT_REMAINING: Field = of_limit(
    "WMaxLimPctRvrtRem",
    &Model704::W_MAX_LIM_PCT_RVRT_REM,
    Shape::Uint32,
    Role::Timer,
);

pub(super) const FIELDS: &[Field] = &[
    LIMIT_ENABLE,
    LIMIT,
    LIMIT_AFTER,
    LIMIT_ENABLE_AFTER,
    LIMIT_TIMER,
    SET_ENABLE,
    SET_MODE,
    SET,
    SET_AFTER,
    SET_PCT,
    SET_PCT_AFTER,
    SET_ENABLE_AFTER,
    SET_TIMER,
];

/// Whether a command writes that register.
pub(super) fn concerns(command: Command, field: &Field) -> bool {
    match command {
        Command::Hold(_) => field.switch == SET_ENABLE.switch,
        Command::LimitProduction(_) => field.switch == LIMIT_ENABLE.switch,
        Command::Release => true,
    }
}

/// The switches come first in this map, so each is a request of its own, after value and timer.
pub(super) fn plan(
    controls: &Controls,
    command: Command,
    reversion: NonZeroU32,
) -> Result<Plan, ControlError> {
    match command {
        Command::Hold(power) => hold(controls, power, reversion),
        Command::LimitProduction(limit) => limit_production(controls, limit, reversion),
        Command::Release => release(controls),
    }
}

fn hold(controls: &Controls, power: Milliwatts, reversion: NonZeroU32) -> Result<Plan, ControlError> {
    controls.check_grid_charging(power)?;
    let power = controls.within_ratings(power)?;
    let in_watts = SET.is_there(&controls.image);
    let (mode, value, after) = if in_watts {
        (WSetMod::Watts, &SET, &SET_AFTER)
    } else {
        (WSetMod::WMaxPct, &SET_PCT, &SET_PCT_AFTER)
    };
    let scale = value.scale(&controls.image)?;
    let step = if in_watts {
        Step::watts(scale)
    } else {
        Step::percent_of(greatest_rating(controls)?, scale)
    };
    let (count, mut expressed) = step
        .and_then(|step| step.express(power, value.shape.max()))
        .ok_or(ControlError::NoRating { rating: "discharge" })?;
    if let Some(limit) = active_limit(controls) {
        expressed = expressed.min(limit);
    }
    let mut draft = Draft::of(controls);
    draft.set(value, count)?;
    // A device without a choice of mode takes what it has; one with a choice must be told.
    let mode = i64::from(mode.to_repr());
    let _ = draft.set_if_there(&SET_MODE, mode)?;
    draft.set_if_there(after, controls.owners(value).unwrap_or(0))?;
    set_return(&mut draft, controls, &SET_ENABLE_AFTER, &SET_ENABLE)?;
    draft.set_timer(&SET_TIMER, reversion)?;
    draft.set(&SET_ENABLE, 1)?;
    Ok(draft.finish(expressed))
}

/// Of what a percentage may be: of the greatest, it is not too much whichever the device means.
fn greatest_rating(controls: &Controls) -> Result<Milliwatts, ControlError> {
    let ratings = controls.ratings;
    [ratings.charge, ratings.discharge, ratings.production]
        .into_iter()
        .flatten()
        .max()
        .filter(|max| *max > Milliwatts::ZERO)
        .ok_or(ControlError::NoRating { rating: "discharge" })
}

/// The limit that is on beside a set-point and outranks it.
fn active_limit(controls: &Controls) -> Option<Milliwatts> {
    let is_on = LIMIT_ENABLE.number(&controls.image) == Some(1);
    let (_, max) = controls.within_production(Milliwatts::ZERO).ok()?;
    let count = LIMIT.number(&controls.image).filter(|_| is_on)?;
    Step::percent_of(max, LIMIT.scale(&controls.image).ok()?)?.power(count)
}

fn limit_production(
    controls: &Controls,
    limit: Milliwatts,
    reversion: NonZeroU32,
) -> Result<Plan, ControlError> {
    let (limit, max) = controls.within_production(limit)?;
    let scale = LIMIT.scale(&controls.image)?;
    let (count, expressed) = Step::percent_of(max, scale)
        .and_then(|step| step.express(limit, LIMIT.shape.max()))
        .ok_or(ControlError::NoRating { rating: "production" })?;
    let mut draft = Draft::of(controls);
    draft.set(&LIMIT, count)?;
    if let Some(after) = controls
        .owners(&LIMIT)
        .or_else(|| whole(scale, LIMIT.shape.max()))
    {
        draft.set_if_there(&LIMIT_AFTER, after)?;
    }
    set_return(&mut draft, controls, &LIMIT_ENABLE_AFTER, &LIMIT_ENABLE)?;
    draft.set_timer(&LIMIT_TIMER, reversion)?;
    draft.set(&LIMIT_ENABLE, 1)?;
    Ok(draft.finish(expressed))
}

/// Whether the control is on after the reversion: as the owner had it.
fn set_return(
    draft: &mut Draft<'_>,
    controls: &Controls,
    after: &Field,
    enable: &Field,
) -> Result<(), ControlError> {
    let owners = controls.owners(enable).unwrap_or(0);
    draft.set_if_there(after, owners).map(|_| ())
}

fn release(controls: &Controls) -> Result<Plan, ControlError> {
    let mut draft = Draft::of(controls);
    let set = draft.set_if_there(&SET_ENABLE, 0)?;
    let limit = draft.set_if_there(&LIMIT_ENABLE, 0)?;
    if !set && !limit {
        let register = "WSetEna".to_owned();
        return Err(ControlError::NoRegister { register });
    }
    if LIMIT.is_there(&controls.image)
        && let Some(full) = whole(LIMIT.scale(&controls.image)?, LIMIT.shape.max())
    {
        draft.set_if_there(&LIMIT, full)?;
    }
    Ok(draft.finish(Milliwatts::ZERO))
}

pub(super) fn remaining(controls: &Controls) -> Option<u32> {
    [(&SET_ENABLE, &SET_REMAINING), (&LIMIT_ENABLE, &LIMIT_REMAINING)]
        .into_iter()
        .filter(|(enable, _)| enable.number(&controls.image) == Some(1))
        .filter_map(|(_, remaining)| u32::try_from(remaining.number(&controls.image)?).ok())
        .min()
}

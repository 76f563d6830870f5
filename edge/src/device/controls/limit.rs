//! Model 123: production limited to a percentage of `WMax`.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use sunspec::models::model123::Model123;

use super::field::{Field, Role, Shape};
use super::scale::{Step, whole};
use super::{Command, ControlError, Controls, Draft, Plan};

const LIMIT: Field = Field::of("WMaxLimPct", &Model123::W_MAX_LIM_PCT, Shape::Uint16, Role::Value)
    .scaled("WMaxLimPct_SF", &Model123::W_MAX_LIM_PCT_SF)
    .switched(&Model123::W_MAX_LIM_ENA, 1);
const WINDOW: Field = Field::of(
    "WMaxLimPct_WinTms",
    &Model123::W_MAX_LIM_PCT_WIN_TMS,
    Shape::Uint16,
    Role::Manner,
);
const TIMER: Field = Field::of(
    "WMaxLimPct_RvrtTms",
    &Model123::W_MAX_LIM_PCT_RVRT_TMS,
    Shape::Uint16,
    Role::Timer,
)
.switched(&Model123::W_MAX_LIM_ENA, 1);
const RAMP: Field = Field::of(
    "WMaxLimPct_RmpTms",
    &Model123::W_MAX_LIM_PCT_RMP_TMS,
    Shape::Uint16,
    Role::Manner,
);
const ENABLE: Field = Field::of(
    "WMaxLim_Ena",
    &Model123::W_MAX_LIM_ENA,
    Shape::Uint16,
    Role::Switch,
);

pub(super) const FIELDS: &[Field] = &[LIMIT, WINDOW, TIMER, RAMP, ENABLE];

/// Where the device has all of it, one request of five registers.
pub(super) fn plan(
    controls: &Controls,
    command: Command,
    reversion: NonZeroU32,
) -> Result<Plan, ControlError> {
    let mut draft = Draft::of(controls);
    match command {
        Command::Hold(_) => Err(controls.unsupported(command)),
        Command::LimitProduction(limit) => {
            let (limit, max) = controls.within_production(limit)?;
            let step = Step::percent_of(max, LIMIT.scale(&controls.image)?);
            let (count, expressed) = step
                .and_then(|step| step.express(limit, LIMIT.shape.max()))
                .ok_or(ControlError::NoRating { rating: "production" })?;
            draft.set(&LIMIT, count)?;
            draft.set_if_there(&WINDOW, 0)?;
            draft.set_timer(&TIMER, reversion)?;
            draft.set_if_there(&RAMP, 0)?;
            draft.set(&ENABLE, 1)?;
            Ok(draft.finish(expressed))
        }
        // Disabling does not lift the limit of every device: 100 % is written, too. The timers are written
        // as they are, because some devices refuse 0.
        Command::Release => {
            if let Some(full) = whole(LIMIT.scale(&controls.image)?, LIMIT.shape.max()) {
                draft.set(&LIMIT, full)?;
            }
            for field in [&WINDOW, &TIMER, &RAMP] {
                if let Some(shown) = field.number(&controls.image) {
                    draft.set_if_there(field, shown)?;
                }
            }
            draft.set(&ENABLE, 0)?;
            Ok(draft.finish(Milliwatts::ZERO))
        }
    }
}

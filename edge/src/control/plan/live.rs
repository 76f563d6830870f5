//! Of the accepted instructions, those to follow now, and the power that they want of the battery.

use gridtally_protocol::acknowledgement::Declined;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::{Charge, Level, Target, TargetKind};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;

use super::{Bounds, Limits, Measured};
use crate::control::policy::negated;
use crate::outbox::{Dispatch, Progress};

/// A state of charge within so many thousandths of a percent of the one asked for is reached.
pub const CHARGE_TOLERANCE: i64 = 200;

/// The instructions to follow at an instant: of each kind the one with the highest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Live {
    simple: Option<Dispatch>,
    set_point: Option<Dispatch>,
    import_limit: Option<Dispatch>,
    export_limit: Option<Dispatch>,
    charge_state: Option<Dispatch>,
}

/// What the battery shall do, before limits and bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing is asked of its power.
    Nothing,
    /// This power.
    Power(Milliwatts),
    /// The instruction cannot be followed any further.
    Spent(Digest, Declined),
}

impl Live {
    /// Those of `dispatches` whose time it is.
    #[must_use]
    pub fn of(dispatches: &[Dispatch], now: Timestamp) -> Self {
        let mut live = Self::default();
        for dispatch in dispatches.iter().filter(|d| is_live(d, now)) {
            let place = match dispatch.target.kind() {
                TargetKind::Simple => &mut live.simple,
                TargetKind::SetPoint => &mut live.set_point,
                TargetKind::ImportLimit => &mut live.import_limit,
                TargetKind::ExportLimit => &mut live.export_limit,
                TargetKind::ChargeState => &mut live.charge_state,
            };
            if place.is_none_or(|earlier| earlier.sequence < dispatch.sequence) {
                *place = Some(*dispatch);
            }
        }
        live
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Dispatch> {
        [
            self.import_limit,
            self.export_limit,
            self.set_point,
            self.charge_state,
            self.simple,
        ]
        .into_iter()
        .flatten()
    }

    /// The limits at the meter.
    pub(super) fn limits(&self) -> Limits {
        let limit = |dispatch: Option<Dispatch>| match dispatch?.target {
            Target::ImportLimit(limit) | Target::ExportLimit(limit) => Some(limit),
            _ => None,
        };
        Limits {
            import: limit(self.import_limit),
            export: limit(self.export_limit),
        }
    }

    /// What the battery shall do at `charge`, in thousandths of a percent.
    pub(super) fn wanted(&self, charge: i64, bounds: &Bounds, now: Timestamp) -> Wanted {
        let of_kinds = [self.set_point, self.charge_state, self.simple];
        let Some(dispatch) = of_kinds.into_iter().flatten().next() else {
            return Wanted::Nothing;
        };
        let power = match dispatch.target {
            Target::SetPoint(power) => power,
            Target::ChargeState(target) => towards(target, charge, dispatch, bounds.capacity, now),
            Target::Simple(Level::Normal) => return Wanted::Nothing,
            Target::Simple(level) => share(level, dispatch.power),
            Target::ImportLimit(_) | Target::ExportLimit(_) => return Wanted::Nothing,
        };
        if power > Milliwatts::ZERO && charge <= bounds.reserve.thousandths() {
            return Wanted::Spent(dispatch.instruction, Declined::ReserveReached);
        }
        if power < Milliwatts::ZERO && charge >= bounds.ceiling.thousandths() {
            return Wanted::Spent(dispatch.instruction, Declined::BatteryFull);
        }
        Wanted::Power(power)
    }
}

fn is_live(dispatch: &Dispatch, now: Timestamp) -> bool {
    let may_begin = dispatch.progress > Progress::Waiting || now <= dispatch.expires_at;
    dispatch.start <= now && now < dispatch.end && dispatch.progress < Progress::Stopped && may_begin
}

/// `SIMPLE` levels as shares of the power that the owner leaves:
///
/// | level | | the battery discharges with |
/// |---|---|---|
/// | 0 | normal | nothing is asked: it stays with its owner |
/// | 1 | moderate | a third |
/// | 2 | high | two thirds |
/// | 3 | special | all |
fn share(level: Level, power: Milliwatts) -> Milliwatts {
    let thirds = i128::from(power.get()).saturating_mul(level.number().into());
    // At most the power itself, which fits.
    Milliwatts::new(i64::try_from(thirds.div_euclid(3)).unwrap_or(0))
}

/// The power that brings the battery from `charge` to `target` just at the end, rounded up so that it gets
/// there; all the power there is where the capacity is unknown. Losses show as a charge that lags, and
/// raise the power with each step.
fn towards(
    target: Charge,
    charge: i64,
    dispatch: Dispatch,
    capacity: Option<MilliwattHours>,
    now: Timestamp,
) -> Milliwatts {
    let missing = target.thousandths().saturating_sub(charge);
    if missing.abs() <= CHARGE_TOLERANCE {
        return Milliwatts::ZERO;
    }
    let most = i128::from(dispatch.power.get());
    let size = capacity.map_or(most, |capacity| {
        let seconds = i128::from(dispatch.end.seconds_since(now).max(1));
        // 63 + 17 + 12 bits in the numerator, 17 + 17 in the divisor.
        let numerator = i128::from(capacity.get().max(0))
            .saturating_mul(missing.abs().into())
            .saturating_mul(3_600);
        let divisor = seconds.saturating_mul(100_000);
        let floor = numerator.div_euclid(divisor);
        floor
            .saturating_add((numerator.rem_euclid(divisor) > 0).into())
            .min(most)
    });
    let size = Milliwatts::new(i64::try_from(size).unwrap_or(0));
    if missing > 0 { negated(size) } else { size }
}

impl Measured {
    /// Whether what the live instructions need was measured; the reason to wait where it was not.
    pub(super) fn is_enough_for(&self, bounds: &Bounds, limits: Limits) -> Result<(), Declined> {
        if bounds.power.is_some() && self.battery.is_none() && limits.any() {
            return Err(Declined::DeviceFault);
        }
        if limits.any() && self.grid.is_none() {
            return Err(Declined::NoMeter);
        }
        Ok(())
    }
}

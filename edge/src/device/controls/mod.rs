//! What is wanted of a device as Modbus writes, and what it shows as a judgement. No I/O.
//!
//! A [`Controls`] is one read of the registers of a control: of SunSpec model 123 (limit of production),
//! 124 (storage), 704 (set-point and limit of IEEE 1547-2018), or of what the recipes of a register-map
//! profile write. It makes of a [`Command`] a [`Plan`]: writes, what they express, and what must be read back.
//!
//! Laws, each with a test of its name:
//! - nothing expresses more than what was asked, nor more than the rating; numbers are rounded towards zero;
//! - a register that shows "not implemented" is not there and is not written, and nothing is enabled
//!   without its value;
//! - nothing becomes active before its value and its timer;
//! - values and scale factors are of the same read;
//! - what an obedient device then shows is [`Kept::Yes`], and [`Saved::restore`] brings back what was
//!   there before, bit by bit.
//!
//! ```text
//! read ─▶ Controls ─ saved() ─▶ Saved, made durable before the first write
//!            └─ plan(command) ─▶ Plan ─▶ writes ─▶ read ─▶ plan.is_kept_by(later)
//!                                        refresh: later.was_changed_since(plan)? then stop
//! the end: read ─▶ saved.restore(now) ─▶ writes ─▶ read ─▶ saved.is_kept_by(later)
//! ```

mod der;
mod error;
mod field;
mod image;
mod limit;
mod plan;
mod recipe;
mod reserve;
mod round;
mod saved;
mod scale;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use serde::{Deserialize, Serialize};

pub use self::error::ControlError;
use self::field::Field;
use self::image::Image;
use self::plan::Draft;
pub use self::plan::{Expectation, Judgement, Kept, Plan, Write};
use self::recipe::Recipes;
pub use self::saved::{Changes, Saved};

/// What is wanted of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Hold the AC power of a battery there: above zero it discharges, below it charges, at zero it rests.
    Hold(Milliwatts),
    /// Produce at most this much.
    LimitProduction(Milliwatts),
    /// Do as the owner has set.
    Release,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(power) => write!(f, "hold {power} W"),
            Self::LimitProduction(power) => write!(f, "limit production to {power} W"),
            Self::Release => f.write_str("release"),
        }
    }
}

/// What a device can do at most, from its nameplate or its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ratings {
    /// The greatest charge.
    pub charge: Option<Milliwatts>,
    /// The greatest discharge.
    pub discharge: Option<Milliwatts>,
    /// The greatest production: what the percentages of a limit are of.
    pub production: Option<Milliwatts>,
}

/// Of which map registers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A SunSpec model.
    Model(u16),
    /// The reserve register of a SunSpec model.
    Reserve(u16),
    /// The register-map profile of this name.
    Profile(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(model) => write!(f, "model {model}"),
            Self::Reserve(model) => write!(f, "the reserve of model {model}"),
            Self::Profile(name) => write!(f, "profile {name}"),
        }
    }
}

/// The registers of a control as one read showed them.
#[derive(Debug, Clone)]
pub struct Controls {
    source: Source,
    family: Family,
    image: Image,
    /// The registers that commands write, be they there or not.
    fields: Vec<Field>,
    ratings: Ratings,
    grid_charging: bool,
    owner: Option<Saved>,
}

#[derive(Debug, Clone)]
enum Family {
    Limit,
    Storage,
    Der,
    Reserve(Field),
    Recipes(Recipes),
}

impl Controls {
    /// The controls of model 123, 124 or 704: its registers from its ID on, read in one request.
    ///
    /// # Errors
    /// [`ControlError::Header`] where they are of something else.
    pub fn of_model(words: &[u16], ratings: Ratings) -> Result<Self, ControlError> {
        let (family, fields) = match words.first() {
            Some(123) => (Family::Limit, limit::FIELDS),
            Some(124) => (Family::Storage, storage::FIELDS),
            Some(704) => (Family::Der, der::FIELDS),
            _ => return Err(wrong_header("123, 124 or 704", words)),
        };
        let model = words.first().copied().unwrap_or_default();
        Ok(Self::new(
            Source::Model(model),
            family,
            Image::of_model(words),
            fields,
            ratings,
        ))
    }

    fn new(source: Source, family: Family, image: Image, fields: &[Field], ratings: Ratings) -> Self {
        Self {
            fields: fields.to_vec(),
            source,
            family,
            image,
            ratings,
            grid_charging: false,
            owner: None,
        }
    }

    /// Whether the owner allows that the battery is charged from the grid. Without it, model 124 permits a
    /// charge up to the power that was asked and does not demand it; the other maps know demands only, and a
    /// plan to charge is refused.
    #[must_use]
    pub fn allowing_grid_charging(mut self, allowed: bool) -> Self {
        self.grid_charging = allowed;
        self
    }

    /// The SunSpec model that it is of; `None` for a profile, whose offsets are addresses.
    #[must_use]
    pub const fn model(&self) -> Option<u16> {
        match self.source {
            Source::Model(model) | Source::Reserve(model) => Some(model),
            Source::Profile(_) => None,
        }
    }

    /// What the owner had set before the event: where the device can return to more than "off", it returns
    /// to this, and a release restores it.
    #[must_use]
    pub fn with_owner(mut self, owner: &Saved) -> Self {
        self.owner = (owner.source == self.source).then(|| owner.clone());
        self
    }

    /// The writes that bring the command about, to be given up by the device after so many seconds of
    /// silence. Planning again and writing again is the refresh.
    ///
    /// # Errors
    /// [`ControlError`]; then nothing may be written.
    pub fn plan(&self, command: Command, reversion: NonZeroU32) -> Result<Plan, ControlError> {
        if let (Command::Release, Some(owner)) = (command, &self.owner) {
            return owner.plan(self);
        }
        match &self.family {
            Family::Limit => limit::plan(self, command, reversion),
            Family::Storage => storage::plan(self, command, reversion),
            Family::Der => der::plan(self, command, reversion),
            Family::Recipes(recipes) => recipes.plan(self, command, reversion),
            Family::Reserve(_) => Err(self.unsupported(command)),
        }
    }

    /// The registers as they stand, to be written back at the end.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved::of(self, |_| true)
    }

    /// As [`Controls::saved`], of those registers only that the command writes: what the owner changes
    /// elsewhere meanwhile stays.
    #[must_use]
    pub fn saved_for(&self, command: Command) -> Saved {
        Saved::of(self, |field| match self.family {
            Family::Der => der::concerns(command, field),
            _ => true,
        })
    }

    /// How many seconds the device says are left until it returns by itself: of the control that is on, and
    /// the lesser where two are. Devices are known that show 0 and stay as they are.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        match self.family {
            Family::Der => der::remaining(self),
            _ => None,
        }
    }

    /// Whether somebody else has changed the setting since the plan was written and read back: then the
    /// agent stops and does not overrule the owner.
    ///
    /// Registers cannot tell an owner who switches off from a device whose timer ran out. Whoever was late
    /// with the refresh, or sees the saved setting ([`Saved::is_reverted_by`]), may take it for the latter.
    #[must_use]
    pub fn was_changed_since(&self, plan: &Plan) -> bool {
        plan.expects
            .iter()
            .filter(|expectation| expectation.judgement == Judgement::Exact)
            .any(|expectation| {
                let len = u16::try_from(expectation.words.len()).unwrap_or(u16::MAX);
                self.image
                    .get(expectation.offset, len)
                    .is_some_and(|shown| shown != expectation.words)
            })
    }

    fn unsupported(&self, command: Command) -> ControlError {
        ControlError::Unsupported {
            source_map: self.source.clone(),
            command,
        }
    }

    fn check_grid_charging(&self, power: Milliwatts) -> Result<(), ControlError> {
        if self.grid_charging || power >= Milliwatts::ZERO {
            return Ok(());
        }
        Err(ControlError::GridCharging { power })
    }

    /// The power cut to the ratings, which must be known on the side that it is on.
    fn within_ratings(&self, power: Milliwatts) -> Result<Milliwatts, ControlError> {
        let (rating, known) = match power.get() {
            0 => return Ok(power),
            1.. => ("discharge", self.ratings.discharge),
            _ => ("charge", self.ratings.charge),
        };
        let max = known.ok_or(ControlError::NoRating { rating })?.get().max(0);
        Ok(Milliwatts::new(power.get().clamp(max.saturating_neg(), max)))
    }

    /// The limit cut to what the device can produce.
    fn within_production(&self, limit: Milliwatts) -> Result<(Milliwatts, Milliwatts), ControlError> {
        if limit < Milliwatts::ZERO {
            return Err(ControlError::BelowZero { limit });
        }
        let rating = "production";
        let known = self.ratings.production.filter(|max| *max > Milliwatts::ZERO);
        let max = known.ok_or(ControlError::NoRating { rating })?;
        Ok((limit.min(max), max))
    }

    /// What the owner had in a register, in the scale of this read.
    fn owners(&self, field: &Field) -> Option<i64> {
        let owner = self.owner.as_ref()?;
        field.decode(&owner.words_of(field, &self.image)?)
    }
}

fn wrong_header(expected: &'static str, words: &[u16]) -> ControlError {
    let found = words.iter().copied().take(2).collect();
    ControlError::Header { expected, found }
}

//! The charge that a battery keeps back: `SoCRsvMin` of model 802, `MinRsvPct` of model 124.

use gridtally_protocol::quantity::Milliwatts;
use sunspec::models::model124::Model124;
use sunspec::models::model802::Model802;

use super::field::{Field, Role, Shape};
use super::image::Image;
use super::plan::Draft;
use super::{ControlError, Controls, Family, Plan, Ratings, Source, wrong_header};

const OF_STORAGE: Field = Field::of(
    "MinRsvPct",
    &Model124::MIN_RSV_PCT,
    Shape::Uint16,
    Role::Permission,
)
.scaled("MinRsvPct_SF", &Model124::MIN_RSV_PCT_SF);
const OF_BATTERY: Field = Field::of(
    "SoCRsvMin",
    &Model802::SOC_RSV_MIN,
    Shape::Uint16,
    Role::Permission,
)
.scaled("SoC_SF", &Model802::SOC_SF);

/// 100 % in thousandths of a percent.
const FULL: i64 = 100_000;
/// Decimals of a thousandth.
const DECIMALS: i16 = 3;

impl Controls {
    /// The reserve register alone, of model 124 or 802: its registers from its ID on.
    ///
    /// It is saved and restored apart from the storage controls, so that a reserve that the owner changes
    /// during an event stays.
    ///
    /// # Errors
    /// [`ControlError::Header`] where the registers are of something else.
    pub fn of_reserve(words: &[u16]) -> Result<Self, ControlError> {
        let (model, field) = match words.first() {
            Some(124) => (124, OF_STORAGE),
            Some(802) => (802, OF_BATTERY),
            _ => return Err(wrong_header("124 or 802", words)),
        };
        let family = Family::Reserve(field.clone());
        Ok(Self::new(
            Source::Reserve(model),
            family,
            Image::of_model(words),
            &[field],
            Ratings::default(),
        ))
    }

    /// The reserve in thousandths of a percent; `None` where the device has none.
    ///
    /// # Errors
    /// [`ControlError::Scale`], or [`ControlError::DoesNotFit`] for more than 100 %.
    pub fn reserve(&self) -> Result<Option<i64>, ControlError> {
        let Family::Reserve(field) = &self.family else {
            return Ok(None);
        };
        let Some(count) = field.number(&self.image) else {
            return Ok(None);
        };
        let scale = field.scale(&self.image)?;
        let worth = worth(count, scale).filter(|worth| *worth <= FULL);
        worth.map(Some).ok_or_else(|| ControlError::DoesNotFit {
            register: field.name.to_string(),
            value: count,
        })
    }

    /// Raises the reserve to the owner's for an event, where it is lower: what the agent holds back by its own
    /// rule, the device then holds back without it. Rounded up: a reserve is a promise. `None` where the device
    /// has no such register, or keeps as much already.
    ///
    /// # Errors
    /// [`ControlError`]; then nothing may be written.
    pub fn plan_reserve(&self, thousandths: i64) -> Result<Option<Plan>, ControlError> {
        if !(0..=FULL).contains(&thousandths) {
            return Err(ControlError::Reserve { thousandths });
        }
        let (Family::Reserve(field), Some(shown)) = (&self.family, self.reserve()?) else {
            return Ok(None);
        };
        if shown >= thousandths {
            return Ok(None);
        }
        let scale = field.scale(&self.image)?;
        let count = count_for(thousandths, scale)
            .filter(|count| worth(*count, scale).is_some_and(|worth| worth <= FULL))
            .ok_or(ControlError::Reserve { thousandths })?;
        let mut draft = Draft::of(self);
        draft.set(field, count)?;
        Ok(Some(draft.finish(Milliwatts::ZERO)))
    }
}

/// Thousandths of a percent, rounded down.
fn worth(count: i64, scale: i16) -> Option<i64> {
    let exponent = scale.checked_add(DECIMALS)?;
    let power = 10_i64.checked_pow(u32::from(exponent.unsigned_abs()))?;
    if exponent >= 0 {
        count.checked_mul(power)
    } else {
        count.checked_div(power)
    }
}

/// The least count that is worth that much.
fn count_for(thousandths: i64, scale: i16) -> Option<i64> {
    let exponent = scale.checked_add(DECIMALS)?;
    let power = 10_i64.checked_pow(u32::from(exponent.unsigned_abs()))?;
    if exponent < 0 {
        return thousandths.checked_mul(power);
    }
    let whole = thousandths.checked_div(power)?;
    let rest = thousandths.checked_rem(power)?;
    whole.checked_add(i64::from(rest > 0))
}

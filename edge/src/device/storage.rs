//! The storage controls of SunSpec model 124, as words that can be saved, compared and written back.

use gridtally_protocol::quantity::Milliwatts;
use serde::{Deserialize, Serialize};
use sunspec::Model as _;
use sunspec::models::model124::Model124;

use super::sunspec::{Image, SunSpecError, Unusable};

/// `StorCtl_Mod` with both limits active: charge (bit 0) and discharge (bit 1).
pub const BOTH_LIMITS: u16 = 0b11;
/// "Not implemented" of an unsigned register.
const ABSENT: u16 = 0xffff;

/// What the controls are set to, in the device's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// `StorCtl_Mod`: which limits are active.
    pub mode: u16,
    /// `OutWRte`: the greatest discharge, in percent of `WChaMax` by `InOutWRte_SF`.
    pub out_rate: i16,
    /// `InWRte`: the greatest charge, likewise; below zero it demands a discharge.
    pub in_rate: i16,
    /// `InOutWRte_WinTms`, 0xFFFF where the device has none.
    pub window: u16,
    /// `InOutWRte_RvrtTms`: after how many seconds without a write the device goes back to its default.
    pub reversion: u16,
    /// `InOutWRte_RmpTms`, 0xFFFF where the device has none.
    pub ramp: u16,
}

impl Setting {
    /// The writes that bring it about, as offsets into model 124 and words: the rates with their timers
    /// (in one request where the device has all of them), then what is active, so that nothing becomes
    /// active before its value.
    #[must_use]
    pub fn writes(&self) -> Vec<(u16, Vec<u16>)> {
        let rates = Model124::OUT_W_RTE.offset;
        let timers = [self.window, self.reversion, self.ramp];
        let values = [self.out_rate.cast_unsigned(), self.in_rate.cast_unsigned()];
        let mut runs = vec![(rates, values.to_vec())];
        for (offset, word) in (Model124::IN_OUT_W_RTE_WIN_TMS.offset..).zip(timers) {
            if word == ABSENT {
                continue;
            }
            match runs.last_mut() {
                Some((start, words)) if usize::from(offset) == usize::from(*start) + words.len() => {
                    words.push(word)
                }
                _ => runs.push((offset, vec![word])),
            }
        }
        runs.push((Model124::STOR_CTL_MOD.offset, vec![self.mode]));
        runs
    }

    /// Whether the device shows this setting: the same limits active, at the same rates. What is not active
    /// is not compared, and the timer is not either: some devices count it down, clamp it or have none.
    #[must_use]
    pub const fn is_kept_by(&self, shown: &Self) -> bool {
        let charge_matters = self.mode & 0b01 != 0;
        let discharge_matters = self.mode & 0b10 != 0;
        self.mode == shown.mode
            && (!charge_matters || self.in_rate == shown.in_rate)
            && (!discharge_matters || self.out_rate == shown.out_rate)
    }
}

/// The controls with what their percentages refer to, of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageState {
    /// What is set.
    pub setting: Setting,
    /// `WChaMax`: what 100 % is.
    pub charge_max: Milliwatts,
    /// `InOutWRte_SF`.
    pub rate_scale: i16,
}

impl StorageState {
    /// Takes the controls out of model 124.
    ///
    /// # Errors
    /// [`SunSpecError::Point`] where the device lacks what it takes to be controlled.
    pub fn of(image: &Image<'_>) -> Result<Self, SunSpecError> {
        let words = image.words();
        let body = words.get(2..).unwrap_or(&[]);
        let absent = |point: &str, why| SunSpecError::Point {
            model: Model124::ID,
            point: point.to_owned(),
            why,
        };
        let word = |name: &str, offset: u16| {
            body.get(usize::from(offset))
                .copied()
                .ok_or_else(|| absent(name, Unusable::Absent))
        };
        let implemented = |name: &str, offset: u16, sentinel: u16| match word(name, offset)? {
            value if value == sentinel => Err(absent(name, Unusable::NotImplemented)),
            value => Ok(value),
        };
        let signed = |name: &str, offset: u16| implemented(name, offset, 0x8000).map(u16::cast_signed);
        let charge_max = image.milli("WChaMax")?;
        if charge_max <= 0 {
            return Err(absent("WChaMax", Unusable::Value(format!("{charge_max} mW"))));
        }
        let rate_scale = signed("InOutWRte_SF", Model124::IN_OUT_W_RTE_SF.offset)?;
        if !(-10..=10).contains(&rate_scale) {
            return Err(absent("InOutWRte_SF", Unusable::Scale(rate_scale)));
        }
        Ok(Self {
            setting: Setting {
                mode: implemented("StorCtl_Mod", Model124::STOR_CTL_MOD.offset, ABSENT)?,
                out_rate: signed("OutWRte", Model124::OUT_W_RTE.offset)?,
                in_rate: signed("InWRte", Model124::IN_W_RTE.offset)?,
                window: word("InOutWRte_WinTms", Model124::IN_OUT_W_RTE_WIN_TMS.offset)?,
                reversion: word("InOutWRte_RvrtTms", Model124::IN_OUT_W_RTE_RVRT_TMS.offset)?,
                ramp: word("InOutWRte_RmpTms", Model124::IN_OUT_W_RTE_RMP_TMS.offset)?,
            },
            charge_max: Milliwatts::new(charge_max),
            rate_scale,
        })
    }

    /// The setting that demands a discharge of `power` (or the greatest that the controls can express
    /// below it), to be given up by the device after `reversion` seconds of silence; and that power.
    ///
    /// Rounded down, and never above 100 % of `WChaMax`. `None` where the numbers are absurd.
    #[must_use]
    pub fn discharge(&self, power: Milliwatts, reversion: u16) -> Option<(Setting, Milliwatts)> {
        let max = i128::from(self.charge_max.get());
        let power = i128::from(power.get()).clamp(0, max);
        let step = 10_i128.checked_pow(u32::from(self.rate_scale.unsigned_abs()))?;
        let percent = power.checked_mul(100)?;
        let rate = if self.rate_scale < 0 {
            percent.checked_mul(step)?.checked_div(max)?
        } else {
            percent.checked_div(max.checked_mul(step)?)?
        };
        let rate = rate.min(i128::from(i16::MAX));
        let expressed = if self.rate_scale < 0 {
            rate.checked_mul(max)?.checked_div(step.checked_mul(100)?)?
        } else {
            rate.checked_mul(max)?.checked_mul(step)?.checked_div(100)?
        };
        let rate = i16::try_from(rate).ok()?;
        let present = |shown: u16, wanted: u16| if shown == ABSENT { ABSENT } else { wanted };
        let setting = Setting {
            mode: BOTH_LIMITS,
            out_rate: rate,
            in_rate: rate.checked_neg()?,
            window: present(self.setting.window, 0),
            reversion: present(self.setting.reversion, reversion),
            ramp: present(self.setting.ramp, 0),
        };
        Some((setting, Milliwatts::new(i64::try_from(expressed).ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWNERS: Setting = Setting {
        mode: 0,
        out_rate: 10_000,
        in_rate: 10_000,
        window: 0,
        reversion: 0,
        ramp: 0,
    };

    fn state(watts: i64, rate_scale: i16) -> StorageState {
        StorageState {
            setting: OWNERS,
            charge_max: Milliwatts::new(watts * 1000),
            rate_scale,
        }
    }

    #[test]
    fn a_discharge_pins_the_power_from_both_sides_with_a_timer() {
        let (setting, power) = state(4_000, -2)
            .discharge(Milliwatts::new(3_000_000), 900)
            .unwrap();
        assert_eq!(
            (setting.mode, setting.out_rate, setting.in_rate),
            (3, 7_500, -7_500)
        );
        assert_eq!((setting.window, setting.reversion, setting.ramp), (0, 900, 0));
        assert_eq!(power, Milliwatts::new(3_000_000));
    }

    #[test]
    fn value_timer_and_ramp_are_one_request_and_the_enable_comes_last() {
        let (setting, _) = state(4_000, -2)
            .discharge(Milliwatts::new(3_000_000), 900)
            .unwrap();
        let rate = 7_500_i16;
        let words = vec![rate.cast_unsigned(), (-rate).cast_unsigned(), 0, 900, 0];
        assert_eq!(setting.writes(), [(10, words), (3, vec![3])]);
    }

    #[test]
    fn registers_that_the_device_does_not_have_are_not_written() {
        let mut shown = state(4_000, 0);
        shown.setting.window = ABSENT;
        shown.setting.ramp = ABSENT;
        let (setting, _) = shown.discharge(Milliwatts::new(1_000_000), 900).unwrap();
        let rates = vec![25, (-25_i16).cast_unsigned()];
        assert_eq!(setting.writes(), [(10, rates), (13, vec![900]), (3, vec![3])]);
        shown.setting.reversion = ABSENT;
        let (setting, _) = shown.discharge(Milliwatts::new(1_000_000), 900).unwrap();
        assert_eq!(setting.writes().len(), 2);
        assert_eq!(setting.reversion, ABSENT);
    }

    #[test]
    fn rates_count_only_where_their_limit_is_active() {
        let other = Setting {
            out_rate: 5,
            in_rate: 6,
            ..OWNERS
        };
        assert!(OWNERS.is_kept_by(&other));
        for (mode, kept) in [(0b01, false), (0b10, false), (0b11, false)] {
            assert_eq!(
                Setting { mode, ..OWNERS }.is_kept_by(&Setting { mode, ..other }),
                kept
            );
        }
        let (charge_only, rate) = (Setting { mode: 1, ..OWNERS }, OWNERS.in_rate);
        assert!(charge_only.is_kept_by(&Setting {
            mode: 1,
            in_rate: rate,
            ..other
        }));
        assert!(!OWNERS.is_kept_by(&Setting { mode: 3, ..OWNERS }));
    }

    proptest! {
        #[test]
        fn what_is_set_is_never_more_than_what_was_asked_nor_than_all(
            watts in 1_i64..100_000,
            asked in 0_i64..1_000_000_000,
            rate_scale in -4_i16..=2,
        ) {
            let (setting, power) = state(watts, rate_scale).discharge(Milliwatts::new(asked), 900).unwrap();
            prop_assert!(power.get() <= asked.min(watts * 1000));
            prop_assert_eq!(setting.in_rate, -setting.out_rate);
            let full = 100 * 10_i128.pow(4) / 10_i128.pow(u32::try_from(rate_scale + 4).unwrap());
            prop_assert!(i128::from(setting.out_rate) <= full.max(0));
            if rate_scale == -2 {
                // Within one step, 0.01 % of WChaMax.
                prop_assert!(asked.min(watts * 1000) - power.get() <= watts / 10 + 1);
            }
        }
    }
}

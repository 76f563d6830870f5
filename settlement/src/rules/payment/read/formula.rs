//! Each kind of formula.

use gridtally_protocol::quantity::{Asset, TokenAmount};

use super::value::{read_amount, read_ratio, read_share};
use crate::rules::document::{Found, Section};
use crate::rules::exact::Ratio;
use crate::rules::payment::pool::LeftOver;
use crate::rules::payment::round::{Rounding, Step};
use crate::rules::payment::terms::{
    BelowZero, Capacity, DataBonus, Energy, Fee, FeePayer, FeeRounding, Points, Pool, RoundPer,
    SeasonAverage, Shortfall, Uncounted, Weight,
};

/// The greatest factor.
const FACTOR_MAX: Ratio = Ratio::whole(1_000);
/// A bonus for data is small: at most one part in so many of what deliveries are paid.
const BONUS_PART_MIN: i128 = 10;

/// Reads formulas whose amounts are of one asset.
pub(super) struct Reader<'a> {
    pub asset: &'a Asset,
}

impl Reader<'_> {
    pub fn energy(&self, s: &mut Section<'_, '_>) -> Option<Energy> {
        let price = s.required("price").and_then(|v| self.price(&v));
        let round_per = match s.optional("round_per") {
            None => Some(RoundPer::Interval),
            Some(v) => v.one_of(&[("interval", RoundPer::Interval), ("event", RoundPer::Event)]),
        };
        let below_zero = match s.optional("below_zero") {
            None => Some(BelowZero::Nothing),
            Some(v) => v.one_of(&[("nothing", BelowZero::Nothing), ("owed", BelowZero::Owed)]),
        };
        Some(Energy {
            price: price?,
            round_per: round_per?,
            below_zero: below_zero?,
        })
    }

    pub fn capacity(&self, s: &mut Section<'_, '_>) -> Option<Capacity> {
        let rate = s.required("rate_per_kw").and_then(|v| self.amount(&v));
        let floor = factor(s, "floor", Ratio::ZERO);
        let cap = factor(s, "cap", Ratio::ONE);
        let threshold = factor(s, "threshold", Ratio::ZERO);
        let claw_back = s.optional("claw_back").map(|v| v.read_with(read_share));
        let shortfall = match s.optional("shortfall") {
            None => Some(Shortfall::Nothing),
            Some(v) => v.one_of(&[
                ("nothing", Shortfall::Nothing),
                ("claw_back", Shortfall::ClawBack(Ratio::ONE)),
            ]),
        };
        let shortfall = match (shortfall?, claw_back) {
            (Shortfall::ClawBack(_), Some(share)) => share.map(Shortfall::ClawBack),
            (Shortfall::Nothing, Some(_)) => {
                s.mistake("claw_back", "has no meaning without shortfall = \"claw_back\"");
                None
            }
            (shortfall, None) => Some(shortfall),
        };
        let (floor, cap, threshold) = (floor?, cap?, threshold?);
        if floor > cap {
            s.mistake("floor", "is above cap");
        }
        if threshold > cap {
            s.mistake("threshold", "is above cap: nobody would be paid in between");
        }
        if floor > Ratio::ZERO && threshold == Ratio::ZERO {
            s.mistake(
                "floor",
                "would pay who delivers nothing: a floor needs a threshold above 0",
            );
        }
        Some(Capacity {
            rate: rate?,
            floor,
            cap,
            threshold,
            shortfall: shortfall?,
        })
    }

    pub fn season_average(&self, s: &mut Section<'_, '_>) -> Option<SeasonAverage> {
        const RULES: [(&str, Uncounted); 2] = [("zero", Uncounted::Zero), ("left_out", Uncounted::LeftOut)];
        let rate = s.required("rate_per_kw").and_then(|v| self.amount(&v));
        let opted_out = s.required("opted_out").and_then(|v| v.one_of(&RULES));
        let not_measured = match s.optional("not_measured") {
            None => Some(Uncounted::Zero),
            Some(v) => v.one_of(&RULES),
        };
        Some(SeasonAverage {
            rate: rate?,
            opted_out: opted_out?,
            not_measured: not_measured?,
        })
    }

    pub fn points(&self, s: &mut Section<'_, '_>) -> Option<Points> {
        let per_kwh = s.required("per_kwh").and_then(|v| self.amount(&v));
        let rounding = s.required("rounding").and_then(|v| {
            v.one_of(&[
                ("ceil_to_multiple", Rounding::Ceil),
                ("half_up", Rounding::HalfUp),
                ("half_even", Rounding::HalfEven),
                ("down", Rounding::Down),
            ])
        });
        let multiple = match s.optional("multiple") {
            None => Some(TokenAmount::new(1).ok()?),
            Some(v) => self.amount(&v).and_then(|multiple| {
                let of_nothing = multiple == TokenAmount::ZERO;
                if of_nothing {
                    v.mistake("is 0")
                } else {
                    Some(multiple)
                }
            }),
        };
        if rounding == Some(Rounding::Ceil) && s.optional("multiple").is_none() {
            s.mistake("rounding", "ceil_to_multiple needs a multiple");
        }
        let ceiling = |found: Option<Found<'_, '_>>| match found {
            None => Some(None),
            Some(v) => self.amount(&v).map(Some),
        };
        let event_ceiling = ceiling(s.optional("event_ceiling"));
        let season_ceiling = ceiling(s.optional("season_ceiling"));
        Some(Points {
            per_kwh: per_kwh?,
            step: Step {
                rounding: rounding?,
                multiple: multiple?,
            },
            event_ceiling: event_ceiling?,
            season_ceiling: season_ceiling?,
        })
    }

    pub fn pool(&self, s: &mut Section<'_, '_>) -> Option<Pool> {
        let amount = s.required("amount").and_then(|v| self.amount(&v));
        let weight = match s.optional("weight") {
            None => Some(Weight::Energy),
            Some(v) => v.one_of(&[("energy", Weight::Energy), ("equal_shares", Weight::EqualShares)]),
        };
        let left_over = match s.optional("left_over") {
            None => Some(LeftOver::Carried),
            Some(v) => v.one_of(&[
                ("carried", LeftOver::Carried),
                ("largest_remainder", LeftOver::LargestRemainder),
            ]),
        };
        Some(Pool {
            amount: amount?,
            weight: weight?,
            left_over: left_over?,
        })
    }

    pub fn data_bonus(&self, s: &mut Section<'_, '_>) -> Option<DataBonus> {
        let amount = s.required("amount").and_then(|v| self.amount(&v));
        let most = s.required("most_of_rest").and_then(|v| {
            let most = v.read_with(read_share)?;
            let small = Ratio::new(1, BONUS_PART_MIN).is_ok_and(|max| most <= max);
            if small {
                Some(most)
            } else {
                v.mistake("is above 1/10: a bonus for data is small beside what deliveries are paid")
            }
        });
        Some(DataBonus {
            amount: amount?,
            most: most?,
        })
    }

    pub fn fee(&self, s: &mut Section<'_, '_>) -> Option<Fee> {
        let share = s.required("share").and_then(|v| v.read_with(read_share));
        let paid_by = s
            .required("paid_by")
            .and_then(|v| v.one_of(&[("site", FeePayer::Site), ("escrow", FeePayer::Escrow)]));
        let rounding_paid_by = s.required("rounding_paid_by").and_then(|v| {
            v.one_of(&[
                ("fee_account", FeeRounding::FeeAccount),
                ("payer", FeeRounding::Payer),
            ])
        });
        Some(Fee {
            share: share?,
            paid_by: paid_by?,
            rounding_paid_by: rounding_paid_by?,
        })
    }

    pub(super) fn amount(&self, found: &Found<'_, '_>) -> Option<TokenAmount> {
        found.read_with(|text| read_amount(self.asset, text))
    }
}

fn factor(s: &mut Section<'_, '_>, key: &'static str, default: Ratio) -> Option<Ratio> {
    match s.optional(key) {
        None => Some(default),
        Some(v) => v.read_with(|text| read_ratio(text, FACTOR_MAX)),
    }
}

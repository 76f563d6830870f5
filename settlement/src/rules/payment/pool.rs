//! Shares of a fixed pool.
//!
//! ```text
//! share = floor(weight × pool / total)       left = pool − Σ share        0 ≤ left < sites with a weight
//! ```
//!
//! What is left is kept in the program's rounding account and added to its next pool, so equal work is always paid
//! equally. Where the rules ask for it, the largest remainders have it instead, one base unit each, ties in the
//! order of ids: then all is paid, and equal work differs by at most one unit.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::TokenAmount;
use serde::{Deserialize, Serialize};

use super::round::{mul_div, overflow};
use crate::rules::statement::AmountError;

/// Who has what whole shares leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOver {
    /// The next settlement.
    Carried,
    /// Those with the largest remainders.
    LargestRemainder,
}

/// One share of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The work that it is for.
    pub weight: u64,
    /// `floor(weight × pool / total)`.
    pub floor: TokenAmount,
    /// Whether it has one of the units that were left.
    pub extra: bool,
    /// What is paid.
    pub amount: TokenAmount,
}

/// A pool that was shared out: `drawn + carry_in = Σ amount + left`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shares<K: Ord> {
    /// What the escrow gives to it: nothing where nobody has a weight.
    pub drawn: TokenAmount,
    /// What the last pool left.
    pub carry_in: TokenAmount,
    /// The sum of all weights.
    pub total_weight: i128,
    /// Each share, those of no weight included.
    pub shares: BTreeMap<K, Share>,
    /// What this pool leaves to the next.
    pub left: TokenAmount,
}

/// One share with the pool that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPart {
    /// What was shared out.
    pub pool: TokenAmount,
    /// The sum of all weights.
    pub total_weight: i128,
    /// The share.
    pub share: Share,
}

impl<K: Ord> Shares<K> {
    /// The part of `key`; `None` where it was not among the weights.
    ///
    /// # Errors
    /// [`AmountError`] never in practice: the pool fitted when it was shared out.
    pub fn part(&self, key: &K) -> Result<Option<PoolPart>, AmountError> {
        let pool = self.drawn.checked_add(self.carry_in)?;
        let part = |share: &Share| PoolPart {
            pool,
            total_weight: self.total_weight,
            share: *share,
        };
        Ok(self.shares.get(key).map(part))
    }
}

/// Shares out `pool + carry_in`, neither of them below zero.
///
/// # Errors
/// [`AmountError`] where the pool or the sum of weights does not fit, or the pool is below zero.
pub fn share_out<K: Ord + Clone>(
    pool: TokenAmount,
    carry_in: TokenAmount,
    weights: &BTreeMap<K, u64>,
    left_over: LeftOver,
) -> Result<Shares<K>, AmountError> {
    let total = weights
        .values()
        .try_fold(0_i128, |sum, w| sum.checked_add(i128::from(*w)));
    let total_weight = total.ok_or(overflow("sum"))?;
    let drawn = if total_weight > 0 { pool } else { TokenAmount::ZERO };
    let whole = drawn.checked_add(carry_in)?;
    let units = u128::try_from(whole.base_units()).map_err(|_| overflow("pool"))?;
    let mut shares = BTreeMap::new();
    let mut remainders = Vec::new();
    let mut left = whole;
    for (key, weight) in weights {
        let (floor, remainder) = match u128::from(*weight) {
            0 => (0, 0),
            weight => mul_div(weight, units, total_weight.unsigned_abs()).ok_or(overflow("share"))?,
        };
        let amount = TokenAmount::new(i128::try_from(floor).map_err(|_| overflow("share"))?)?;
        left = left.checked_sub(amount)?;
        let share = Share {
            weight: *weight,
            floor: amount,
            extra: false,
            amount,
        };
        shares.insert(key.clone(), share);
        if remainder > 0 {
            remainders.push((remainder, key));
        }
    }
    if left_over == LeftOver::LargestRemainder && total_weight > 0 {
        // The largest first; the keys come in their order, and the sort is stable.
        remainders.sort_by(|(a, _), (b, _)| b.cmp(a));
        let one = TokenAmount::new(1)?;
        for (_, key) in remainders {
            if left == TokenAmount::ZERO {
                break;
            }
            if let Some(share) = shares.get_mut(key) {
                share.extra = true;
                share.amount = share.amount.checked_add(one)?;
                left = left.checked_sub(one)?;
            }
        }
    }
    Ok(Shares {
        drawn,
        carry_in,
        total_weight,
        shares,
        left,
    })
}

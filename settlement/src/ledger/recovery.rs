//! What was paid too much, and how it comes back.
//!
//! A later statement may say that an owner earned less than was paid. What the owner still holds is taken back at
//! once. The rest is owed: `receivable:PROGRAM:OWNER` goes below nothing by it, and `claim:PROGRAM` shows that the
//! program has it coming. No payout is ever blocked for it: out of each later credit at most a stated share is kept
//! until nothing is owed.

use core::num::NonZeroU32;

use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;

use super::{AccountName, Debt, Entry, Transaction, TransactionError, TransactionKey};

/// A part of a whole, from none (0/1) to all (1/1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    numerator: u32,
    denominator: NonZeroU32,
}

/// A share of more than all, or of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{numerator}/{denominator} is no share; take one from 0/1 to 1/1")]
pub struct ShareError {
    numerator: u32,
    denominator: u32,
}

impl Share {
    /// All of it.
    pub const ALL: Self = Self {
        numerator: 1,
        denominator: NonZeroU32::MIN,
    };

    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`ShareError`] where that is more than one, or nothing at all.
    pub const fn new(numerator: u32, denominator: u32) -> Result<Self, ShareError> {
        match NonZeroU32::new(denominator) {
            Some(whole) if numerator <= denominator => Ok(Self {
                numerator,
                denominator: whole,
            }),
            _ => Err(ShareError {
                numerator,
                denominator,
            }),
        }
    }

    /// The share of an amount, rounded down: for the owner.
    fn of(self, amount: u128) -> u128 {
        let (n, d) = (u128::from(self.numerator), u128::from(self.denominator.get()));
        // amount = q·d + r, so that ⌊amount·n/d⌋ = q·n + ⌊r·n/d⌋: each part fits, where amount·n might not.
        let (q, r) = (amount.checked_div(d), amount.checked_rem(d));
        let (q, r) = (q.unwrap_or(0), r.unwrap_or(0));
        let rest = r.saturating_mul(n).checked_div(d).unwrap_or(0);
        q.saturating_mul(n).saturating_add(rest)
    }
}

/// How an overpayment comes back: `taken + owed = overpaid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overpayment {
    /// At once, out of what the owner holds.
    pub taken: TokenAmount,
    /// Later.
    pub owed: TokenAmount,
}

/// Takes back what is there; the rest is owed. Amounts below nothing count as nothing.
///
/// # Errors
/// [`Overflow`], which amounts within their bounds do not cause.
pub fn overpayment(held: TokenAmount, overpaid: TokenAmount) -> Result<Overpayment, Overflow> {
    let overpaid = overpaid.max(TokenAmount::ZERO);
    let taken = held.max(TokenAmount::ZERO).min(overpaid);
    Ok(Overpayment {
        taken,
        owed: overpaid.checked_sub(taken)?,
    })
}

/// How much of what is owed comes back out of a credit: no more than is owed, and no more than the share.
///
/// # Errors
/// [`Overflow`], which amounts within their bounds do not cause.
pub fn recovered(credit: TokenAmount, owed: TokenAmount, share: Share) -> Result<TokenAmount, Overflow> {
    let credit = credit.max(TokenAmount::ZERO).base_units().unsigned_abs();
    let most = i128::try_from(share.of(credit)).map_err(|_| Overflow {
        operation: "share",
        unit: "token base units",
    })?;
    Ok(TokenAmount::new(most)?.min(owed.max(TokenAmount::ZERO)))
}

/// The entries by which an overpayment is taken back and owed.
///
/// # Errors
/// [`super::AccountNameError`] where the program's name can hold no account.
pub fn overpayment_entries(
    debt: &Debt,
    asset: &Asset,
    overpayment: Overpayment,
) -> Result<Vec<Entry>, super::AccountNameError> {
    let program: super::Holder = debt.program().as_str().parse()?;
    let entries = [
        (
            AccountName::Beneficiary(debt.owner().clone()),
            overpayment.taken.negated(),
        ),
        (AccountName::Escrow(program.clone()), overpayment.taken),
        (AccountName::Receivable(debt.clone()), overpayment.owed.negated()),
        (AccountName::Claim(program), overpayment.owed),
    ];
    Ok(of_something(asset, entries))
}

/// The entries by which a part of what is owed comes back.
///
/// # Errors
/// [`super::AccountNameError`] where the program's name can hold no account.
pub fn recovery_entries(
    debt: &Debt,
    asset: &Asset,
    recovered: TokenAmount,
) -> Result<Vec<Entry>, super::AccountNameError> {
    let program: super::Holder = debt.program().as_str().parse()?;
    let entries = [
        (
            AccountName::Beneficiary(debt.owner().clone()),
            recovered.negated(),
        ),
        (AccountName::Escrow(program.clone()), recovered),
        (AccountName::Claim(program), recovered.negated()),
        (AccountName::Receivable(debt.clone()), recovered),
    ];
    Ok(of_something(asset, entries))
}

fn of_something(asset: &Asset, entries: [(AccountName, TokenAmount); 4]) -> Vec<Entry> {
    let entry = |(account, amount)| Entry {
        account,
        asset: asset.clone(),
        amount,
    };
    let moves = |(_, amount): &(AccountName, TokenAmount)| *amount != TokenAmount::ZERO;
    entries.into_iter().filter(moves).map(entry).collect()
}

/// One transaction out of the entries for many owners: those for one account are added up. None where nothing moves.
///
/// # Errors
/// [`TransactionError`].
pub fn together(
    key: TransactionKey,
    booked_at: Timestamp,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<Option<Transaction>, TransactionError> {
    let mut sums = std::collections::BTreeMap::new();
    for entry in entries {
        let sum = sums
            .entry((entry.account, entry.asset))
            .or_insert(TokenAmount::ZERO);
        *sum = sum
            .checked_add(entry.amount)
            .map_err(|source| TransactionError::Overflow {
                key: key.clone(),
                source,
            })?;
    }
    sums.retain(|_, amount| *amount != TokenAmount::ZERO);
    if sums.is_empty() {
        return Ok(None);
    }
    let entry = |((account, asset), amount)| Entry {
        account,
        asset,
        amount,
    };
    Transaction::new(key, booked_at, sums.into_iter().map(entry).collect()).map(Some)
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::quantity::TOKEN_AMOUNT_MAX;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn amount() -> impl Strategy<Value = TokenAmount> {
        prop_oneof![
            0..=TOKEN_AMOUNT_MAX,
            0..1_000_i128,
            Just(TOKEN_AMOUNT_MAX),
            TOKEN_AMOUNT_MAX - 5..=TOKEN_AMOUNT_MAX
        ]
        .prop_map(|units| TokenAmount::new(units).unwrap())
    }

    fn share() -> impl Strategy<Value = Share> {
        (1_u32..=u32::MAX).prop_flat_map(|d| (0..=d).prop_map(move |n| Share::new(n, d).unwrap()))
    }

    #[test]
    fn a_share_is_from_none_to_all() {
        assert!(Share::new(2, 1).is_err());
        assert!(Share::new(0, 0).is_err());
        assert!(Share::new(0, 1).is_ok() && Share::new(1, 1).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_taken_and_what_is_owed_make_up_what_was_overpaid(held in amount(), overpaid in amount()) {
            let Overpayment { taken, owed } = overpayment(held, overpaid).unwrap();
            prop_assert_eq!(taken.checked_add(owed).unwrap(), overpaid);
            prop_assert!(taken <= held && (owed == TokenAmount::ZERO || taken == held));
        }

        #[test]
        fn no_more_comes_back_than_is_owed_nor_than_the_share(credit in amount(), owed in amount(), share in share()) {
            let back = recovered(credit, owed, share).unwrap();
            prop_assert!(back <= owed && back <= credit);
            let exact = BigInt::from(credit.base_units()) * share.numerator / share.denominator.get();
            prop_assert_eq!(BigInt::from(back.base_units()), exact.min(BigInt::from(owed.base_units())));
        }

        #[test]
        fn whatever_comes_back_balances(taken in 0..1_000_i128, owed in 0..1_000_i128, back in 0..1_000_i128) {
            let tokens = |units| TokenAmount::new(units).unwrap();
            let debt = Debt::new("evening-flex".parse().unwrap(), "owner-1".parse().unwrap());
            let asset = Asset::new("FLEX", 18).unwrap();
            let over = Overpayment { taken: tokens(taken), owed: tokens(owed) };
            let event: gridtally_protocol::instruction::EventId = "e".parse().unwrap();
            let entries = overpayment_entries(&debt, &asset, over).unwrap();
            let key = TransactionKey::Overpayment(event.clone(), 2);
            let booked = together(key, Timestamp::EPOCH, entries).unwrap();
            prop_assert_eq!(booked.is_some(), taken + owed > 0);
            let entries = recovery_entries(&debt, &asset, tokens(back)).unwrap();
            let booked = together(TransactionKey::Recovery(event, 3), Timestamp::EPOCH, entries).unwrap();
            prop_assert_eq!(booked.is_some(), back > 0);
        }
    }
}

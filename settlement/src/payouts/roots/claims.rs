//! What is published: cumulative totals that never fall.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::quantity::{Overflow, TokenAmount};
use serde::Serialize;

use super::{Address, Leaf, Tree, TreeError};
use crate::ledger::Holder;

/// The addresses that beneficiaries have now.
pub type Bindings = BTreeMap<Holder, Address>;

/// What was published for a beneficiary, by address: also for those that it had before.
pub type Published = BTreeMap<Address, TokenAmount>;

/// A beneficiary of a program in one of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// What it was credited in all, less what was taken back or is owed.
    pub credited: TokenAmount,
    /// What its addresses may claim in all.
    pub published: Published,
}

impl Line {
    /// What all of its addresses may claim together.
    ///
    /// # Errors
    /// [`Overflow`] where the sum does not fit the ledger.
    pub fn claimable(&self) -> Result<TokenAmount, Overflow> {
        TokenAmount::checked_sum(self.published.values().copied())
    }

    /// What can be claimed beyond what is credited: it was published before a correction downwards.
    ///
    /// # Errors
    /// As [`Self::claimable`].
    pub fn over_claimable(&self) -> Result<TokenAmount, Overflow> {
        let over = self.claimable()?.checked_sub(self.credited)?;
        Ok(over.max(TokenAmount::ZERO))
    }

    /// What is credited and cannot be claimed yet, because there is no address for it.
    ///
    /// # Errors
    /// As [`Self::claimable`].
    pub fn not_claimable_yet(&self) -> Result<TokenAmount, Overflow> {
        let rest = self.credited.checked_sub(self.claimable()?)?;
        Ok(rest.max(TokenAmount::ZERO))
    }

    /// What an address got published before stays there, whether it was claimed or not; whatever was credited
    /// beyond that can be claimed by the address of now.
    fn raised(&mut self, address: Address) -> Result<(), Overflow> {
        let elsewhere = self.published.iter().filter(|(other, _)| **other != address);
        let elsewhere = TokenAmount::checked_sum(elsewhere.map(|(_, amount)| *amount))?;
        let due = self.credited.checked_sub(elsewhere)?;
        let before = self.published.get(&address).copied().unwrap_or_default();
        if due > before {
            self.published.insert(address, due);
        }
        Ok(())
    }
}

/// What all beneficiaries of a program were credited in one token, and what of it is published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// By beneficiary.
    pub lines: BTreeMap<Holder, Line>,
}

/// Why claims make no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// A sum is too large.
    #[error(
        "the amounts of address {0} add up to more than 38 digits; give its beneficiaries addresses of their own"
    )]
    TooMuch(Address),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Claims {
    /// The claims after these, where `credited` is now in the ledger. No address may ever claim less than before.
    ///
    /// # Errors
    /// [`Overflow`] where a sum does not fit the ledger.
    pub fn next(
        &self,
        credited: &BTreeMap<Holder, TokenAmount>,
        bindings: &Bindings,
    ) -> Result<Self, Overflow> {
        let beneficiaries: BTreeSet<&Holder> = self.lines.keys().chain(credited.keys()).collect();
        let mut lines = BTreeMap::new();
        for beneficiary in beneficiaries {
            let before = self.lines.get(beneficiary);
            let mut line = Line {
                credited: credited.get(beneficiary).copied().unwrap_or_default(),
                published: before.map(|line| line.published.clone()).unwrap_or_default(),
            };
            if let Some(address) = bindings.get(beneficiary) {
                line.raised(*address)?;
            }
            lines.insert(beneficiary.clone(), line);
        }
        Ok(Self { lines })
    }

    /// The tree of what every address may claim; several beneficiaries may share one.
    ///
    /// # Errors
    /// [`ClaimsError`], as where nothing can be claimed by anybody.
    pub fn tree(&self) -> Result<Tree, ClaimsError> {
        let mut by_address: BTreeMap<Address, TokenAmount> = BTreeMap::new();
        for (address, amount) in self.lines.values().flat_map(|line| &line.published) {
            let sum = by_address.entry(*address).or_default();
            *sum = sum
                .checked_add(*amount)
                .map_err(|_| ClaimsError::TooMuch(*address))?;
        }
        let leaf = |(address, amount): (Address, TokenAmount)| {
            let amount = u128::try_from(amount.base_units()).ok()?;
            (amount > 0).then_some(Leaf { address, amount })
        };
        Ok(Tree::of(by_address.into_iter().filter_map(leaf))?)
    }

    /// Sums over all lines.
    ///
    /// # Errors
    /// [`Overflow`] where a sum does not fit the ledger.
    pub fn sums(&self) -> Result<Sums, Overflow> {
        let sum = |of: fn(&Line) -> Result<TokenAmount, Overflow>| {
            self.lines
                .values()
                .try_fold(TokenAmount::ZERO, |sum, line| sum.checked_add(of(line)?))
        };
        Ok(Sums {
            credited: sum(|line| Ok(line.credited))?,
            claimable: sum(Line::claimable)?,
            not_claimable_yet: sum(Line::not_claimable_yet)?,
            over_claimable: sum(Line::over_claimable)?,
        })
    }
}

/// `credited = claimable + not_claimable_yet − over_claimable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// What the ledger credited.
    pub credited: TokenAmount,
    /// What addresses may claim.
    pub claimable: TokenAmount,
    /// What waits for an address.
    pub not_claimable_yet: TokenAmount,
    /// What was published beyond what is credited now.
    pub over_claimable: TokenAmount,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(n: u8) -> Address {
        Address::from_bytes([n; 20]).unwrap()
    }

    fn owner(n: u8) -> Holder {
        format!("owner-{n}").parse().unwrap()
    }

    fn tokens(amount: i128) -> TokenAmount {
        TokenAmount::new(amount).unwrap()
    }

    fn state(owners: &[(u8, i128, Option<u8>)]) -> (BTreeMap<Holder, TokenAmount>, Bindings) {
        let credited = owners.iter().map(|(n, amount, _)| (owner(*n), tokens(*amount)));
        let bound = owners
            .iter()
            .filter_map(|(n, _, to)| Some((owner(*n), address((*to)?))));
        (credited.collect(), bound.collect())
    }

    fn after(claims: &Claims, owners: &[(u8, i128, Option<u8>)]) -> Claims {
        let (credited, bindings) = state(owners);
        claims.next(&credited, &bindings).unwrap()
    }

    fn amount(claims: &Claims, n: u8) -> Option<u128> {
        claims.tree().ok()?.amount(&address(n))
    }

    #[test]
    fn a_correction_downwards_leaves_the_claim_and_shows_the_difference() {
        let first = after(&Claims::default(), &[(1, 100, Some(1))]);
        let corrected = after(&first, &[(1, 70, Some(1))]);
        assert_eq!(amount(&corrected, 1), Some(100));
        assert_eq!(corrected.sums().unwrap().over_claimable, tokens(30));
        let later = after(&corrected, &[(1, 90, Some(1))]);
        assert_eq!(amount(&later, 1), Some(100));
        assert_eq!(amount(&after(&later, &[(1, 130, Some(1))]), 1), Some(130));
    }

    #[test]
    fn who_has_no_address_loses_nothing() {
        let first = after(&Claims::default(), &[(1, 100, None), (2, 5, Some(2))]);
        assert_eq!(first.sums().unwrap().not_claimable_yet, tokens(100));
        let bound = after(&first, &[(1, 100, Some(1)), (2, 5, Some(2))]);
        assert_eq!(amount(&bound, 1), Some(100));
        assert_eq!(bound.sums().unwrap().not_claimable_yet, TokenAmount::ZERO);
    }

    #[test]
    fn another_address_gets_what_comes_after_and_never_the_same_again() {
        let first = after(&Claims::default(), &[(1, 100, Some(1))]);
        let moved = after(&first, &[(1, 140, Some(2))]);
        assert_eq!((amount(&moved, 1), amount(&moved, 2)), (Some(100), Some(40)));
        let back = after(&moved, &[(1, 150, Some(1))]);
        assert_eq!((amount(&back, 1), amount(&back, 2)), (Some(110), Some(40)));
    }

    #[test]
    fn beneficiaries_that_share_an_address_share_a_leaf() {
        let claims = after(&Claims::default(), &[(1, 100, Some(9)), (2, 11, Some(9))]);
        assert_eq!(amount(&claims, 9), Some(111));
    }

    #[test]
    fn where_nothing_can_be_claimed_there_is_no_tree() {
        for owners in [&[][..], &[(1, 0, Some(1))], &[(1, 5, None)]] {
            let claims = after(&Claims::default(), owners);
            assert_eq!(claims.tree(), Err(ClaimsError::Tree(TreeError::Empty)));
        }
    }

    #[test]
    fn a_sum_beyond_38_digits_is_an_error() {
        let most = gridtally_protocol::quantity::TOKEN_AMOUNT_MAX;
        let claims = after(&Claims::default(), &[(1, most, Some(9)), (2, 1, Some(9))]);
        assert_eq!(claims.tree(), Err(ClaimsError::TooMuch(address(9))));
    }

    fn history() -> impl Strategy<Value = Vec<Vec<(u8, i128, Option<u8>)>>> {
        let owner = (1_u8..5, 0_i128..1_000, proptest::option::of(1_u8..5));
        proptest::collection::vec(proptest::collection::vec(owner, 0..6), 1..8)
    }

    proptest! {
        #[test]
        fn no_address_may_ever_claim_less(history in history()) {
            let mut claims = Claims::default();
            for owners in history {
                let next = after(&claims, &owners);
                for n in 1..5 {
                    prop_assert!(amount(&next, n) >= amount(&claims, n));
                }
                claims = next;
            }
        }

        #[test]
        fn everything_credited_is_claimable_or_waits(history in history()) {
            let mut claims = Claims::default();
            for owners in history {
                claims = after(&claims, &owners);
                for line in claims.lines.values() {
                    let there = line.claimable().unwrap().checked_add(line.not_claimable_yet().unwrap()).unwrap();
                    prop_assert_eq!(there.checked_sub(line.over_claimable().unwrap()).unwrap(), line.credited);
                }
                let tree = claims.tree().ok();
                let leaves = tree.iter().flat_map(Tree::leaves);
                let in_tree: u128 = leaves.map(|(leaf, _)| leaf.amount).sum();
                let claimable = claims.sums().unwrap().claimable.base_units();
                prop_assert_eq!(in_tree, u128::try_from(claimable).unwrap());
            }
        }

        #[test]
        fn nobody_can_claim_more_than_was_ever_credited(history in history()) {
            let (mut claims, mut most) = (Claims::default(), BTreeMap::new());
            for owners in history {
                let (credited, _) = state(&owners);
                for (owner, amount) in credited {
                    let highest = most.entry(owner).or_insert(amount);
                    *highest = amount.max(*highest);
                }
                claims = after(&claims, &owners);
                for (owner, line) in &claims.lines {
                    prop_assert!(line.claimable().unwrap() <= most.get(owner).copied().unwrap_or_default());
                }
            }
        }

        #[test]
        fn the_same_again_changes_nothing(history in history()) {
            let mut claims = Claims::default();
            for owners in history {
                claims = after(&claims, &owners);
                prop_assert_eq!(&after(&claims, &owners), &claims);
            }
        }
    }
}

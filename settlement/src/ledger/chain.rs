//! The journal as a chain: each transaction's hash covers everything that was posted before it.
//!
//! `hash(n) = SHA-256("gridtally journal 1\n" ‖ n in eight bytes, big-endian ‖ hash(n − 1) ‖ digest(n))`, where
//! `hash(0)` is 32 zeros and `digest` is [`Transaction::digest`](super::Transaction::digest). PostgreSQL computes the
//! same when it takes a transaction; this is the second opinion. Whoever keeps a place and its hash outside can tell
//! later that nothing up to there was changed.

use gridtally_protocol::identity::Digest;

use super::Transaction;

const LABEL: &[u8] = b"gridtally journal 1\n";

/// A place in the journal: how many transactions there are, and the hash over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Head {
    /// The place, from 1 on; 0 is before the first transaction.
    pub place: u64,
    /// The hash up to it.
    pub hash: Digest,
}

/// Why a journal is not the chain that it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A place is missing or comes twice.
    #[error("after place {expected_after} of the journal comes place {found}; a transaction is missing")]
    Gap {
        /// The last place that was in order.
        expected_after: u64,
        /// The place that came next.
        found: u64,
    },
    /// A hash is not that of the content.
    #[error(
        "the hash at place {place} of the journal is {found}, but its content gives {expected}; something was changed"
    )]
    Hash {
        /// Where.
        place: u64,
        /// What stands there.
        found: Digest,
        /// What follows from the content.
        expected: Digest,
    },
}

impl Head {
    /// Before the first transaction.
    #[must_use]
    pub const fn start() -> Self {
        Self {
            place: 0,
            hash: Digest::from_bytes([0; 32]),
        }
    }

    /// The head after one more transaction.
    #[must_use]
    pub fn after(self, transaction: &Transaction) -> Self {
        let place = self.place.saturating_add(1);
        let mut bytes = LABEL.to_vec();
        bytes.extend_from_slice(&place.to_be_bytes());
        bytes.extend_from_slice(self.hash.as_bytes());
        bytes.extend_from_slice(transaction.digest().as_bytes());
        Self {
            place,
            hash: Digest::of(&bytes),
        }
    }

    /// The head after a transaction that claims a place and a hash.
    ///
    /// # Errors
    /// [`ChainError`] where it has neither.
    pub fn check(self, claimed: Self, transaction: &Transaction) -> Result<Self, ChainError> {
        let next = self.after(transaction);
        if claimed.place != next.place {
            return Err(ChainError::Gap {
                expected_after: self.place,
                found: claimed.place,
            });
        }
        if claimed.hash != next.hash {
            return Err(ChainError::Hash {
                place: next.place,
                found: claimed.hash,
                expected: next.hash,
            });
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::quantity::{Asset, TokenAmount};
    use gridtally_protocol::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{AccountName, TransactionKey};

    fn deposit(reference: usize, amount: i128) -> Transaction {
        let key = TransactionKey::deposit("grid", &reference.to_string()).unwrap();
        let escrow = AccountName::escrow("p").unwrap();
        let (asset, amount) = (Asset::new("FLEX", 6).unwrap(), TokenAmount::new(amount).unwrap());
        Transaction::deposit(key, Timestamp::EPOCH, escrow, &asset, amount).unwrap()
    }

    #[test]
    fn a_missing_place_is_found() {
        let first = deposit(1, 5);
        let second = Head::start().after(&first).after(&deposit(2, 5));
        assert_eq!(
            Head::start().check(second, &first),
            Err(ChainError::Gap {
                expected_after: 0,
                found: 2
            })
        );
    }

    proptest! {
        #[test]
        fn any_change_anywhere_changes_every_hash_after_it(
            amounts in prop::collection::vec(1_i128..1_000, 2..10), changed: prop::sample::Index,
        ) {
            let heads = |amounts: &[i128]| amounts.iter().enumerate().scan(Head::start(), |head, (i, amount)| {
                *head = head.after(&deposit(i, *amount));
                Some(*head)
            }).collect::<Vec<_>>();
            let before = heads(&amounts);
            let at = changed.index(amounts.len());
            let mut other = amounts;
            other[at] += 1;
            for (place, (one, two)) in before.iter().zip(heads(&other)).enumerate() {
                prop_assert_eq!(*one == two, place < at);
            }
        }
    }
}

//! Transactions: balanced from the moment they exist.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountName, Kind, TransactionKey};

/// At most this many entries in one transaction.
pub const ENTRIES_MAX: usize = 1_000_000;

/// What one account receives (positive) or gives (negative).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which account.
    pub account: AccountName,
    /// Of what.
    pub asset: Asset,
    /// How much, never nothing.
    pub amount: TokenAmount,
}

/// Why entries are no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Nothing is moved.
    #[error("transaction {key} has no entries; book only what moves something")]
    Empty {
        /// Of which transaction.
        key: TransactionKey,
    },
    /// More entries than [`ENTRIES_MAX`].
    #[error("transaction {key} has {count} entries; at most {ENTRIES_MAX} are allowed, split it by key")]
    TooMany {
        /// Of which transaction.
        key: TransactionKey,
        /// How many there are.
        count: usize,
    },
    /// An entry moves nothing.
    #[error("transaction {key} has an entry of nothing for {account}; leave it out")]
    Nothing {
        /// Of which transaction.
        key: TransactionKey,
        /// The account that would get nothing.
        account: AccountName,
    },
    /// A deposit of less than something.
    #[error(
        "transaction {key} would deposit {amount} base units; a deposit is more than nothing, take one back by its reversal"
    )]
    NotADeposit {
        /// Of which transaction.
        key: TransactionKey,
        /// The amount in base units.
        amount: i128,
    },
    /// Two entries for the same account and asset.
    #[error("transaction {key} has two entries of {asset} for {account}; add them up first")]
    Twice {
        /// Of which transaction.
        key: TransactionKey,
        /// The account that stands there twice.
        account: Box<AccountName>,
        /// The asset's code.
        asset: String,
    },
    /// One code with two different numbers of decimals.
    #[error("transaction {key} uses {asset} with different numbers of decimals")]
    Decimals {
        /// Of which transaction.
        key: TransactionKey,
        /// The asset's code.
        asset: String,
    },
    /// The amounts of an asset do not add up to nothing.
    #[error(
        "transaction {key} is off by {difference} base units of {asset}; its entries must add up to nothing"
    )]
    Unbalanced {
        /// Of which transaction.
        key: TransactionKey,
        /// The asset's code.
        asset: String,
        /// The sum, in base units.
        difference: i128,
    },
    /// A reservation without an end, or an end of something else.
    #[error("transaction {key}: a reservation has an end after its beginning, and nothing else has one")]
    Expiry {
        /// Of which transaction.
        key: TransactionKey,
    },
    /// It cannot be taken back.
    #[error(
        "transaction {key} cannot be taken back; resolve what is pending, and what is confirmed is final"
    )]
    Final {
        /// Which transaction.
        key: TransactionKey,
    },
    /// The sum does not fit.
    #[error("transaction {key}: {source}")]
    Overflow {
        /// Of which transaction.
        key: TransactionKey,
        /// Which sum.
        source: Overflow,
    },
}

/// A set of entries that add up to nothing for each asset, under a key that says what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawTransaction", into = "RawTransaction")]
pub struct Transaction {
    key: TransactionKey,
    booked_at: Timestamp,
    expires_at: Option<Timestamp>,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTransaction {
    key: TransactionKey,
    booked_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    entries: Vec<Entry>,
}

impl TryFrom<RawTransaction> for Transaction {
    type Error = TransactionError;
    fn try_from(raw: RawTransaction) -> Result<Self, TransactionError> {
        Self::assemble(raw.key, raw.booked_at, raw.expires_at, raw.entries)
    }
}

impl From<Transaction> for RawTransaction {
    fn from(transaction: Transaction) -> Self {
        let Transaction {
            key,
            booked_at,
            expires_at,
            entries,
        } = transaction;
        Self {
            key,
            booked_at,
            expires_at,
            entries,
        }
    }
}

impl Transaction {
    /// Checks the laws and puts the entries in order; the order in which they are given never matters.
    ///
    /// # Errors
    /// [`TransactionError`] that names the law which is broken and where.
    pub fn new(
        key: TransactionKey,
        booked_at: Timestamp,
        entries: Vec<Entry>,
    ) -> Result<Self, TransactionError> {
        Self::assemble(key, booked_at, None, entries)
    }

    /// As [`Transaction::new`], with the end that a reservation has and nothing else.
    ///
    /// # Errors
    /// As [`Transaction::new`]; [`TransactionError::Expiry`].
    pub fn assemble(
        key: TransactionKey,
        booked_at: Timestamp,
        expires_at: Option<Timestamp>,
        mut entries: Vec<Entry>,
    ) -> Result<Self, TransactionError> {
        let ends_well = match expires_at {
            Some(end) => key.kind() == Kind::Reserve && end > booked_at,
            None => key.kind() != Kind::Reserve,
        };
        if !ends_well {
            return Err(TransactionError::Expiry { key });
        }
        if entries.is_empty() {
            return Err(TransactionError::Empty { key });
        }
        if entries.len() > ENTRIES_MAX {
            return Err(TransactionError::TooMany {
                key,
                count: entries.len(),
            });
        }
        entries.sort();
        check_each(&key, &entries)?;
        check_balanced(&key, &entries)?;
        Ok(Self {
            key,
            booked_at,
            expires_at,
            entries,
        })
    }

    /// An operator pays `amount` into a program's escrow; it is issued for the purpose.
    ///
    /// # Errors
    /// [`TransactionError::NotADeposit`] unless the amount is more than nothing.
    pub fn deposit(
        key: TransactionKey,
        booked_at: Timestamp,
        escrow: AccountName,
        asset: &Asset,
        amount: TokenAmount,
    ) -> Result<Self, TransactionError> {
        if amount <= TokenAmount::ZERO {
            return Err(TransactionError::NotADeposit {
                key,
                amount: amount.base_units(),
            });
        }
        let entry = |account, amount| Entry {
            account,
            asset: asset.clone(),
            amount,
        };
        let entries = vec![
            entry(AccountName::Issuance, amount.negated()),
            entry(escrow, amount),
        ];
        Self::new(key, booked_at, entries)
    }

    /// Takes this transaction back: the same entries with their signs turned.
    ///
    /// # Errors
    /// [`TransactionError::Final`] where it is pending, resolves what was pending, or is itself a reversal.
    pub fn reversal(&self, booked_at: Timestamp) -> Result<Self, TransactionError> {
        if !self.key.kind().is_reversible() {
            return Err(TransactionError::Final {
                key: self.key.clone(),
            });
        }
        let turned = |e: &Entry| Entry {
            amount: e.amount.negated(),
            ..e.clone()
        };
        let key = TransactionKey::Reversal(Box::new(self.key.clone()));
        Self::new(key, booked_at, self.entries.iter().map(turned).collect())
    }

    /// What it is for.
    #[must_use]
    pub const fn key(&self) -> &TransactionKey {
        &self.key
    }

    /// When it counts.
    #[must_use]
    pub const fn booked_at(&self) -> Timestamp {
        self.booked_at
    }

    /// Of a reservation: from when on it can only be given back.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What moves, in the order of accounts and assets.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// SHA-256 of the content: two transactions are the same exactly where their digests are.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = format!("gridtally transaction 1\n{}\n{}\n", self.key, self.booked_at);
        if let Some(end) = self.expires_at {
            text.push_str(&format!("expires {end}\n"));
        }
        for Entry {
            account,
            asset,
            amount,
        } in &self.entries
        {
            let line = format!(
                "{account} {} {} {}\n",
                asset.code(),
                asset.decimals(),
                amount.base_units()
            );
            text.push_str(&line);
        }
        Digest::of(text.as_bytes())
    }
}

fn check_each(key: &TransactionKey, entries: &[Entry]) -> Result<(), TransactionError> {
    let mut decimals: BTreeMap<&str, u8> = BTreeMap::new();
    for entry in entries {
        if entry.amount == TokenAmount::ZERO {
            return Err(TransactionError::Nothing {
                key: key.clone(),
                account: entry.account.clone(),
            });
        }
        if *decimals
            .entry(entry.asset.code())
            .or_insert(entry.asset.decimals())
            != entry.asset.decimals()
        {
            return Err(TransactionError::Decimals {
                key: key.clone(),
                asset: entry.asset.code().to_owned(),
            });
        }
    }
    for (one, other) in entries.iter().zip(entries.iter().skip(1)) {
        if one.account == other.account && one.asset == other.asset {
            return Err(TransactionError::Twice {
                key: key.clone(),
                account: Box::new(one.account.clone()),
                asset: one.asset.code().to_owned(),
            });
        }
    }
    Ok(())
}

fn check_balanced(key: &TransactionKey, entries: &[Entry]) -> Result<(), TransactionError> {
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for entry in entries {
        let sum = sums.entry(entry.asset.code()).or_insert(0);
        *sum = sum
            .checked_add(entry.amount.base_units())
            .ok_or_else(|| TransactionError::Overflow {
                key: key.clone(),
                source: Overflow {
                    operation: "sum",
                    unit: "token base units",
                },
            })?;
    }
    match sums.into_iter().find(|(_, sum)| *sum != 0) {
        Some((asset, difference)) => Err(TransactionError::Unbalanced {
            key: key.clone(),
            asset: asset.to_owned(),
            difference,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asset(code: &str) -> Asset {
        Asset::new(code, 6).unwrap()
    }

    fn entry(account: &str, code: &str, amount: i128) -> Entry {
        Entry {
            account: account.parse().unwrap(),
            asset: asset(code),
            amount: TokenAmount::new(amount).unwrap(),
        }
    }

    fn book(entries: Vec<Entry>) -> Result<Transaction, TransactionError> {
        let key = TransactionKey::settlement("evening".parse().unwrap(), 1);
        Transaction::new(key, Timestamp::EPOCH, entries)
    }

    #[test]
    fn each_asset_balances_by_itself() {
        let crossed = vec![entry("escrow:p", "FLEX", -5), entry("beneficiary:a", "WATT", 5)];
        assert!(matches!(book(crossed), Err(TransactionError::Unbalanced { .. })));
        let straight = vec![
            entry("escrow:p", "FLEX", -5),
            entry("beneficiary:a", "FLEX", 5),
            entry("beneficiary:a", "WATT", 7),
            entry("escrow:p", "WATT", -7),
        ];
        assert_eq!(book(straight).unwrap().entries().len(), 4);
    }

    #[test]
    fn nothing_twice_and_empty_are_refused() {
        assert!(matches!(book(vec![]), Err(TransactionError::Empty { .. })));
        let nothing = vec![entry("escrow:p", "FLEX", 0)];
        assert!(matches!(book(nothing), Err(TransactionError::Nothing { .. })));
        let twice = vec![
            entry("beneficiary:a", "FLEX", 2),
            entry("escrow:p", "FLEX", -5),
            entry("beneficiary:a", "FLEX", 3),
        ];
        assert!(matches!(book(twice), Err(TransactionError::Twice { .. })));
    }

    #[test]
    fn one_code_has_one_number_of_decimals() {
        let mut other = entry("escrow:p", "FLEX", -5);
        other.asset = Asset::new("FLEX", 9).unwrap();
        let mixed = vec![other, entry("beneficiary:a", "FLEX", 5)];
        assert!(matches!(book(mixed), Err(TransactionError::Decimals { .. })));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error() {
        let all = gridtally_protocol::quantity::TOKEN_AMOUNT_MAX;
        let entries = vec![
            entry("beneficiary:a", "FLEX", all),
            entry("beneficiary:b", "FLEX", all),
        ];
        assert!(matches!(book(entries), Err(TransactionError::Overflow { .. })));
    }

    #[test]
    fn a_deposit_is_more_than_nothing() {
        for amount in [0, -1] {
            let key = TransactionKey::deposit("grid", "1").unwrap();
            let escrow = AccountName::escrow("p").unwrap();
            let amount = TokenAmount::new(amount).unwrap();
            let booked = Transaction::deposit(key, Timestamp::EPOCH, escrow, &asset("FLEX"), amount);
            assert!(matches!(booked, Err(TransactionError::NotADeposit { .. })));
        }
    }

    proptest! {
        #[test]
        fn the_order_of_entries_never_matters(amounts in prop::collection::vec(1_i128..1_000_000, 1..20), seed: u64) {
            let mut entries: Vec<_> =
                (0_u32..).zip(&amounts).map(|(i, a)| entry(&format!("beneficiary:{i}"), "FLEX", *a)).collect();
            entries.push(entry("escrow:p", "FLEX", -amounts.iter().sum::<i128>()));
            let one = book(entries.clone()).unwrap();
            let turn = usize::try_from(seed).unwrap() % entries.len();
            entries.rotate_left(turn);
            let other = book(entries).unwrap();
            prop_assert_eq!(one.digest(), other.digest());
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(serde_json::from_str::<Transaction>(&json).unwrap(), one);
        }

        #[test]
        fn a_reversal_takes_everything_back(amount in 1_i128..1_000_000) {
            let one = book(vec![entry("escrow:p", "FLEX", -amount), entry("beneficiary:a", "FLEX", amount)]).unwrap();
            let back = one.reversal(Timestamp::EPOCH).unwrap();
            for (there, back) in one.entries().iter().zip(back.entries()) {
                prop_assert_eq!(there.amount.checked_add(back.amount).unwrap(), TokenAmount::ZERO);
            }
            prop_assert_ne!(one.digest(), back.digest());
        }
    }
}

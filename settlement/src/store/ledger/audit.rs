//! Checking the whole ledger again, from the first transaction on.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::Asset;
use postgres::GenericClient;

use super::{LedgerError, journal, read};
use crate::ledger::chain::Head;
use crate::ledger::{AccountName, TrialBalance};

/// How many transactions are read at a time.
const PAGE: u32 = 1_000;

/// What a whole look at the ledger found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Audit {
    /// The end of the journal: keep it outside, and nothing up to it can be changed unseen.
    pub head: Head,
    /// The proof by addition of each asset.
    pub trial: Vec<TrialBalance>,
    /// Accounts whose kept balance is not the sum of the journal as it was read here.
    pub accounts_off: Vec<AccountName>,
    /// Transactions without a place in the chain, or places without a transaction.
    pub unchained: u64,
}

impl Audit {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.accounts_off.is_empty() && self.unchained == 0 && self.trial.iter().all(TrialBalance::holds)
    }
}

/// Reads the whole journal, checks every transaction, recomputes the chain and every balance. Other writers are kept
/// out for that long.
///
/// # Errors
/// [`LedgerError::Chain`] at the first place that does not follow from what is before it, [`LedgerError::Corrupt`] at
/// the first transaction that is not what was posted.
pub fn verify(client: &mut impl GenericClient) -> Result<Audit, LedgerError> {
    let mut tx = client.transaction()?;
    super::lock_journal(&mut tx)?;
    let mut head = Head::start();
    let mut sums: BTreeMap<(AccountName, Asset), i128> = BTreeMap::new();
    loop {
        let after = i64::try_from(head.place).unwrap_or(i64::MAX);
        let page = journal(&mut tx, after, PAGE)?;
        if page.is_empty() {
            break;
        }
        for recorded in page {
            head = head.check(recorded.head(), &recorded.transaction)?;
            for entry in recorded.transaction.entries() {
                let sum = sums
                    .entry((entry.account.clone(), entry.asset.clone()))
                    .or_default();
                *sum = sum
                    .checked_add(entry.amount.base_units())
                    .ok_or_else(|| LedgerError::Corrupt {
                        what: format!(
                            "more {} for {} than there can be",
                            entry.asset.code(),
                            entry.account
                        ),
                    })?;
            }
        }
    }
    let mut accounts_off = Vec::new();
    for balance in read::balances(&mut tx)? {
        let sum = sums
            .remove(&(balance.account.clone(), balance.asset.clone()))
            .unwrap_or_default();
        if sum != balance.amount.base_units() {
            accounts_off.push(balance.account);
        }
    }
    accounts_off.extend(sums.into_keys().map(|(account, _)| account));
    let unchained: i64 = tx
        .query_one(
            "SELECT count(*) FROM ledger.transaction t FULL JOIN ledger.link l USING (transaction_id)
             WHERE t.key IS NULL OR l.sequence IS NULL",
            &[],
        )?
        .get(0);
    let trial = read::trial_balance(&mut tx)?;
    tx.commit()?;
    Ok(Audit {
        head,
        trial,
        accounts_off,
        unchained: u64::try_from(unchained).unwrap_or(u64::MAX),
    })
}

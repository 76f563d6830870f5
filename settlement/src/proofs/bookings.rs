//! What the ledger books for a statement.
//!
//! ```text
//! settlement/EVENT/VERSION    the escrow pays who is due more, and what rounding left over goes to its account
//! overpayment/EVENT/VERSION   who was paid too much before gives back what he holds; the rest he owes
//! recovery/EVENT/VERSION      out of what was just credited, what is owed from before, up to the program's share
//! ```

use std::collections::BTreeMap;

use gridtally_protocol::quantity::TokenAmount;

use super::derive::{DeriveError, DeriveProblem, at};
use super::evidence::{Balance, Case};
use crate::ledger::recovery::{overpayment, overpayment_entries, recovered, recovery_entries, together};
use crate::ledger::{AccountName, Debt, Entry, Holder, Transaction, TransactionKey};
use crate::rules::program::Program;
use crate::rules::statement::{BeneficiaryId, Statement};

/// The transactions of a settlement, in the order of booking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bookings {
    /// The payment; none where nobody is due more, and nothing is left of rounding.
    pub settlement: Option<Transaction>,
    /// What is taken back.
    pub overpayment: Option<Transaction>,
    /// What comes back of what was owed.
    pub recovery: Option<Transaction>,
}

impl Bookings {
    /// All that there are, in the order of booking.
    pub fn all(&self) -> impl Iterator<Item = &Transaction> {
        let Self {
            settlement,
            overpayment,
            recovery,
        } = self;
        [settlement, overpayment, recovery].into_iter().flatten()
    }
}

/// Books what moves: amounts above zero are credited, amounts below taken back.
///
/// # Errors
/// [`DeriveError`] where a name is no account's, or a sum does not fit.
pub(super) fn book<'e>(
    case: &Case,
    program: &Program,
    statement: &Statement,
    moved: impl IntoIterator<Item = (&'e BeneficiaryId, TokenAmount)>,
) -> Result<Bookings, DeriveError> {
    let books = Books { case, program };
    let (mut credits, mut debits) = (Vec::new(), Vec::new());
    for (who, amount) in moved {
        let owner = books.owner(who)?;
        if amount > TokenAmount::ZERO {
            credits.push((who, owner, amount));
        } else if amount < TokenAmount::ZERO {
            debits.push((who, owner, amount.negated()));
        }
    }
    Ok(Bookings {
        settlement: books.settlement(statement, &credits)?,
        overpayment: books.overpayment(&debits)?,
        recovery: books.recovery(&credits)?,
    })
}

type Moved<'e> = (&'e BeneficiaryId, Holder, TokenAmount);

struct Books<'c> {
    case: &'c Case,
    program: &'c Program,
}

impl Books<'_> {
    fn owner(&self, who: &BeneficiaryId) -> Result<Holder, DeriveError> {
        let record = || format!("beneficiary/{who}");
        who.as_str()
            .parse()
            .map_err(|e: crate::ledger::AccountNameError| at(record())(e))
    }

    fn settlement(
        &self,
        statement: &Statement,
        credits: &[Moved<'_>],
    ) -> Result<Option<Transaction>, DeriveError> {
        let program = self.program.id.as_str();
        let escrow = AccountName::escrow(program).map_err(at("program"))?;
        let rounding = AccountName::rounding(program).map_err(at("program"))?;
        let fees = AccountName::Fee(program.parse().map_err(at("program"))?);
        let sums = || {
            // A pool leaves something in the rounding account, and begins with what the last one left there; a
            // correction leaves that as it is.
            let left = match (&statement.pool, &statement.resettled) {
                (Some(pool), None) => pool.left.checked_sub(pool.carry_in)?,
                _ => TokenAmount::ZERO,
            };
            let rounded = statement.rounding.posted.checked_add(left)?;
            let credited = TokenAmount::checked_sum(credits.iter().map(|(_, _, amount)| *amount))?;
            let debit = TokenAmount::checked_sum([credited, rounded, statement.fee])?;
            Ok::<_, gridtally_protocol::quantity::Overflow>((rounded, debit))
        };
        let (rounded, debit) = sums().map_err(at("case"))?;
        let credited = credits
            .iter()
            .map(|(_, owner, amount)| (AccountName::Beneficiary(owner.clone()), *amount));
        let entries = [
            (escrow, debit.negated()),
            (rounding, rounded),
            (fees, statement.fee),
        ]
        .into_iter()
        .chain(credited);
        let entries = entries.map(|(account, amount)| Entry {
            account,
            asset: statement.asset.clone(),
            amount,
        });
        let key = TransactionKey::settlement(self.case.event.id.clone(), self.case.version);
        together(key, self.case.settled_at, entries).map_err(at("case"))
    }

    fn overpayment(&self, debits: &[Moved<'_>]) -> Result<Option<Transaction>, DeriveError> {
        let held = by_name(&self.case.held);
        let mut entries = Vec::new();
        for (who, owner, amount) in debits {
            let there = held.get(who).copied();
            let back = overpayment(there.unwrap_or_default(), *amount).map_err(at("case"))?;
            let debt = Debt::new(self.program.id.clone(), owner.clone());
            entries.extend(overpayment_entries(&debt, &self.program.asset, back).map_err(at("program"))?);
        }
        let key = TransactionKey::Overpayment(self.case.event.id.clone(), self.case.version);
        together(key, self.case.settled_at, entries).map_err(at("case"))
    }

    fn recovery(&self, credits: &[Moved<'_>]) -> Result<Option<Transaction>, DeriveError> {
        let owed = by_name(&self.case.owed);
        let share = self.program.resettlement.recovery;
        let mut entries = Vec::new();
        for (who, owner, credit) in credits {
            let Some(owed) = owed.get(who) else {
                continue;
            };
            let back = recovered(*credit, *owed, share).map_err(at("case"))?;
            let debt = Debt::new(self.program.id.clone(), owner.clone());
            entries.extend(recovery_entries(&debt, &self.program.asset, back).map_err(at("program"))?);
        }
        let key = TransactionKey::Recovery(self.case.event.id.clone(), self.case.version);
        together(key, self.case.settled_at, entries).map_err(at("case"))
    }
}

fn by_name(balances: &[Balance]) -> BTreeMap<&BeneficiaryId, TokenAmount> {
    balances
        .iter()
        .map(|balance| (&balance.beneficiary, balance.amount))
        .collect()
}

impl From<crate::ledger::KeyError> for DeriveProblem {
    fn from(error: crate::ledger::KeyError) -> Self {
        Self::Mismatch(error.to_string())
    }
}

//! The names of accounts: what an account is for stands in its name, and so do its limits.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use gridtally_protocol::instruction::ProgramId;
use serde::{Deserialize, Serialize};

const HOLDER_LEN_MAX: usize = 100;
/// Roundings to the nearest may add up to less than nothing, but never to a million base units.
const ROUNDING_MAX: i128 = 1_000_000;

/// Whose account it is, or for which program: 1 to 100 of `A-Z a-z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(String);

impl Holder {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// An account of this kind does not exist.
    #[error(
        "{text:?} is no account; accounts are named escrow:, reserved:, fee:, rounding: or claim:PROGRAM, beneficiary:, vesting: or payable:OWNER, receivable:PROGRAM:OWNER, clearing and issuance"
    )]
    Kind {
        /// The text as given, cut to 128 characters.
        text: String,
    },
    /// The holder is not well formed.
    #[error("{text:?} cannot hold an account; a holder is 1 to 100 characters of A-Z a-z 0-9 . _ : and -")]
    Holder {
        /// The text as given, cut to 128 characters.
        text: String,
    },
}

impl FromStr for Holder {
    type Err = AccountNameError;
    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
        if (1..=HOLDER_LEN_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccountNameError::Holder {
                text: text.chars().take(128).collect(),
            })
        }
    }
}

/// A program that overpaid, and the owner who owes it: `PROGRAM:OWNER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Debt {
    program: ProgramId,
    owner: Holder,
}

impl Debt {
    /// What an owner owes to a program.
    #[must_use]
    pub const fn new(program: ProgramId, owner: Holder) -> Self {
        Self { program, owner }
    }

    /// To whom it is owed.
    #[must_use]
    pub const fn program(&self) -> &ProgramId {
        &self.program
    }

    /// Who owes it.
    #[must_use]
    pub const fn owner(&self) -> &Holder {
        &self.owner
    }
}

impl fmt::Display for Debt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.program, self.owner)
    }
}

impl Ord for Debt {
    /// As their texts, which is how the database orders them.
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for Debt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What an account is for. Its text, `escrow:evening-flex` say, is its name everywhere.
///
/// The order of the variants, then of the holders' bytes, is the order of the entries in a transaction's digest;
/// the database knows it as `ledger.account.rank`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountName {
    /// What an operator has paid in for a program, and what its settlements draw on.
    Escrow(Holder),
    /// What an owner has earned.
    Beneficiary(Holder),
    /// What the shares of a program's settlements left over; carried into its next one.
    Rounding(Holder),
    /// The counterpart of every deposit and of every confirmed payout: minus what is out.
    Issuance,
    /// What is set aside out of a program's escrow, until it is posted, voided or expires.
    Reserved(Holder),
    /// What an owner has earned and will get later.
    Vesting(Holder),
    /// What an owner can be paid out.
    Payable(Holder),
    /// What the operation of a program keeps.
    Fee(Holder),
    /// Minus what an overpaid owner owes to a program.
    Receivable(Debt),
    /// What is owed to a program by those whom it overpaid; not to be spent before it comes back.
    Claim(Holder),
    /// What is on its way out.
    Clearing,
}

impl AccountName {
    /// The escrow of a program.
    ///
    /// # Errors
    /// [`AccountNameError::Holder`] where the program's name cannot hold an account.
    pub fn escrow(program: &str) -> Result<Self, AccountNameError> {
        program.parse().map(Self::Escrow)
    }

    /// The earnings of an owner.
    ///
    /// # Errors
    /// [`AccountNameError::Holder`] where the owner's id cannot hold an account.
    pub fn beneficiary(owner: &str) -> Result<Self, AccountNameError> {
        owner.parse().map(Self::Beneficiary)
    }

    /// The roundings of a program.
    ///
    /// # Errors
    /// [`AccountNameError::Holder`] where the program's name cannot hold an account.
    pub fn rounding(program: &str) -> Result<Self, AccountNameError> {
        program.parse().map(Self::Rounding)
    }

    /// No balance below this, in base units; `None` is no bound. The database derives the same from the name.
    #[must_use]
    pub const fn lowest(&self) -> Option<i128> {
        match self {
            Self::Issuance | Self::Receivable(_) => None,
            Self::Rounding(_) => Some(-ROUNDING_MAX),
            _ => Some(0),
        }
    }

    /// No balance above this, in base units; `None` is no bound. The database derives the same from the name.
    #[must_use]
    pub const fn highest(&self) -> Option<i128> {
        match self {
            Self::Receivable(_) => Some(0),
            _ => None,
        }
    }

    /// The first part of its name.
    #[must_use]
    pub const fn purpose(&self) -> &'static str {
        match self {
            Self::Escrow(_) => "escrow",
            Self::Beneficiary(_) => "beneficiary",
            Self::Rounding(_) => "rounding",
            Self::Issuance => "issuance",
            Self::Reserved(_) => "reserved",
            Self::Vesting(_) => "vesting",
            Self::Payable(_) => "payable",
            Self::Fee(_) => "fee",
            Self::Receivable(_) => "receivable",
            Self::Claim(_) => "claim",
            Self::Clearing => "clearing",
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = self.purpose();
        match self {
            Self::Escrow(holder)
            | Self::Beneficiary(holder)
            | Self::Rounding(holder)
            | Self::Reserved(holder)
            | Self::Vesting(holder)
            | Self::Payable(holder)
            | Self::Fee(holder)
            | Self::Claim(holder) => f.pad(&format!("{purpose}:{holder}")),
            Self::Receivable(debt) => f.pad(&format!("{purpose}:{debt}")),
            Self::Issuance | Self::Clearing => f.pad(purpose),
        }
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;
    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let no_kind = || AccountNameError::Kind {
            text: text.chars().take(128).collect(),
        };
        let Some((purpose, holder)) = text.split_once(':') else {
            return match text {
                "issuance" => Ok(Self::Issuance),
                "clearing" => Ok(Self::Clearing),
                _ => Err(no_kind()),
            };
        };
        Ok(match purpose {
            "escrow" => Self::Escrow(holder.parse()?),
            "beneficiary" => Self::Beneficiary(holder.parse()?),
            "rounding" => Self::Rounding(holder.parse()?),
            "reserved" => Self::Reserved(holder.parse()?),
            "vesting" => Self::Vesting(holder.parse()?),
            "payable" => Self::Payable(holder.parse()?),
            "fee" => Self::Fee(holder.parse()?),
            "claim" => Self::Claim(holder.parse()?),
            "receivable" => {
                let (program, owner) = holder.split_once(':').ok_or_else(no_kind)?;
                let program = program.parse().map_err(|_| no_kind())?;
                Self::Receivable(Debt::new(program, owner.parse()?))
            }
            _ => return Err(no_kind()),
        })
    }
}

impl TryFrom<String> for AccountName {
    type Error = AccountNameError;
    fn try_from(text: String) -> Result<Self, AccountNameError> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for text in [
            "escrow:evening-flex",
            "beneficiary:did:key:z6Mk",
            "rounding:evening-flex",
            "issuance",
            "reserved:evening-flex",
            "vesting:owner-1",
            "payable:owner-1",
            "fee:evening-flex",
            "receivable:evening-flex:did:key:z6Mk",
            "claim:evening-flex",
            "clearing",
        ] {
            assert_eq!(text.parse::<AccountName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_of_no_kind_or_holder_is_refused() {
        for text in [
            "",
            "escrow",
            "escrow:",
            "issuance:x",
            "Issuance",
            "treasury:x",
            "receivable:owner-1",
            "receivable:A:owner-1",
            "receivable::owner-1",
            "clearing:x",
            "escrow:a b",
            "escrow:a\n",
        ] {
            assert!(text.parse::<AccountName>().is_err(), "{text:?}");
        }
        assert!(AccountName::escrow(&"x".repeat(101)).is_err());
    }
}

//! The names of accounts: what an account is for stands in its name, and so do its limits.

use core::fmt;
use core::str::FromStr;

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
        "{text:?} is no account; accounts are named escrow:PROGRAM, beneficiary:OWNER, rounding:PROGRAM and issuance"
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

/// What an account is for. Its text, `escrow:evening-flex` say, is its name everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountName {
    /// What an operator has paid in for a program, and what its settlements draw on.
    Escrow(Holder),
    /// What an owner has earned.
    Beneficiary(Holder),
    /// What the shares of a program's settlements left over; carried into its next one.
    Rounding(Holder),
    /// The counterpart of every deposit: minus what was ever issued.
    Issuance,
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
            Self::Issuance => None,
            Self::Rounding(_) => Some(-ROUNDING_MAX),
            Self::Escrow(_) | Self::Beneficiary(_) => Some(0),
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Escrow(program) => format!("escrow:{program}"),
            Self::Beneficiary(owner) => format!("beneficiary:{owner}"),
            Self::Rounding(program) => format!("rounding:{program}"),
            Self::Issuance => "issuance".to_owned(),
        })
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;
    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        match text.split_once(':') {
            Some(("escrow", program)) => Self::escrow(program),
            Some(("beneficiary", owner)) => Self::beneficiary(owner),
            Some(("rounding", program)) => Self::rounding(program),
            None if text == "issuance" => Ok(Self::Issuance),
            _ => Err(AccountNameError::Kind {
                text: text.chars().take(128).collect(),
            }),
        }
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
            "escrow:a b",
            "escrow:a\n",
        ] {
            assert!(text.parse::<AccountName>().is_err(), "{text:?}");
        }
        assert!(AccountName::escrow(&"x".repeat(101)).is_err());
    }
}

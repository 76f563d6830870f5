//! Keys of transactions: derived from what a transaction is for, so that doing it twice books it once.

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::instruction::EventId;
use serde::{Deserialize, Serialize};

use super::Holder;

const REFERENCE_LEN_MAX: usize = 100;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of a known form.
    #[error(
        "{text:?} is no transaction key; keys are deposit/OPERATOR/REFERENCE, settlement/EVENT/VERSION and reversal/KEY"
    )]
    Form {
        /// The text as given, cut to 128 characters.
        text: String,
    },
    /// A reference is not well formed.
    #[error("{text:?} is no reference; a reference is 1 to 100 characters of A-Z a-z 0-9 . _ : and -")]
    Reference {
        /// The text as given, cut to 128 characters.
        text: String,
    },
}

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An operator pays into a program's escrow.
    Deposit,
    /// An event is paid for.
    Settlement,
    /// An earlier transaction is taken back.
    Reversal,
}

impl Kind {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Settlement => "settlement",
            Self::Reversal => "reversal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a transaction is for, exactly once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TransactionKey {
    /// `deposit/<operator>/<reference>`: a payment, by the operator's own reference of it.
    Deposit(Holder, Holder),
    /// `settlement/<event>/<version>`: the payment of an event by one version of its statement.
    Settlement(EventId, u32),
    /// `reversal/<key>`: takes back the transaction of that key; it can be taken back once.
    Reversal(Box<Self>),
}

impl TransactionKey {
    /// The key of an operator's payment.
    ///
    /// # Errors
    /// [`KeyError::Reference`] where the operator's name or the reference is not well formed.
    pub fn deposit(operator: &str, reference: &str) -> Result<Self, KeyError> {
        let part = |text: &str| match text.parse() {
            Ok(part) if text.len() <= REFERENCE_LEN_MAX => Ok(part),
            _ => Err(KeyError::Reference {
                text: text.chars().take(128).collect(),
            }),
        };
        Ok(Self::Deposit(part(operator)?, part(reference)?))
    }

    /// The key of a settlement.
    #[must_use]
    pub const fn settlement(event: EventId, version: u32) -> Self {
        Self::Settlement(event, version)
    }

    /// What a transaction of this key does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Deposit(..) => Kind::Deposit,
            Self::Settlement(..) => Kind::Settlement,
            Self::Reversal(_) => Kind::Reversal,
        }
    }
}

impl fmt::Display for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Deposit(operator, reference) => format!("deposit/{operator}/{reference}"),
            Self::Settlement(event, version) => format!("settlement/{event}/{version}"),
            Self::Reversal(key) => format!("reversal/{key}"),
        })
    }
}

impl FromStr for TransactionKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = || KeyError::Form {
            text: text.chars().take(128).collect(),
        };
        let (kind, rest) = text.split_once('/').ok_or_else(form)?;
        let key = match kind {
            "deposit" => {
                let (operator, reference) = rest.split_once('/').ok_or_else(form)?;
                Self::deposit(operator, reference)?
            }
            "settlement" => {
                let (event, version) = rest.split_once('/').ok_or_else(form)?;
                let event = event.parse().map_err(|_| form())?;
                Self::Settlement(event, version.parse().map_err(|_| form())?)
            }
            // A reversal is itself taken back by booking the original anew under a key of its own.
            "reversal" if !rest.starts_with("reversal/") => Self::Reversal(Box::new(rest.parse()?)),
            _ => return Err(form()),
        };
        // `settlement/e/01` and the like: one key, one text.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(form())
        }
    }
}

impl TryFrom<String> for TransactionKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<TransactionKey> for String {
    fn from(key: TransactionKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for text in [
            "deposit/oslo-grid/INV-2026.04",
            "settlement/2026-04-23-evening/1",
            "reversal/settlement/e/2",
        ] {
            assert_eq!(text.parse::<TransactionKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        for text in [
            "",
            "deposit/a",
            "deposit//x",
            "deposit/a/b/c",
            "settlement/e/01",
            "settlement/e/-1",
            "settlement/E/1",
            "reversal/reversal/settlement/e/1",
            "gift/a/b",
        ] {
            assert!(text.parse::<TransactionKey>().is_err(), "{text:?}");
        }
    }
}

//! Keys of transactions: derived from what a transaction is for, so that doing it twice books it once.

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::instruction::{EventId, ProgramId};
use serde::{Deserialize, Serialize};

use super::Holder;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of a known form.
    #[error(
        "{text:?} is no transaction key; keys are deposit/OPERATOR/REFERENCE, settlement/, overpayment/ and recovery/EVENT/VERSION, reserve/, post/, void/ and expire/PROGRAM/REFERENCE, mature/REFERENCE, payout/, confirm/ and fail/BATCH/OWNER/ATTEMPT, and reversal/KEY"
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
    /// A part of an escrow is set aside.
    Reserve,
    /// What was set aside is paid, wholly or partly; the rest returns to the escrow.
    Post,
    /// What was set aside returns to the escrow.
    Void,
    /// What was set aside returns to the escrow, because its time is over.
    Expire,
    /// Earnings become vesting or payable.
    Mature,
    /// What is payable goes on its way out.
    Payout,
    /// It arrived, and has left the ledger.
    Confirm,
    /// It did not arrive, and is payable again.
    Fail,
    /// What was paid too much is taken back, or is owed from now on.
    Overpayment,
    /// What is owed comes back out of a later credit.
    Recovery,
}

impl Kind {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Settlement => "settlement",
            Self::Reversal => "reversal",
            Self::Reserve => "reserve",
            Self::Post => "post",
            Self::Void => "void",
            Self::Expire => "expire",
            Self::Mature => "mature",
            Self::Payout => "payout",
            Self::Confirm => "confirm",
            Self::Fail => "fail",
            Self::Overpayment => "overpayment",
            Self::Recovery => "recovery",
        }
    }

    /// Whether a transaction of this kind can be taken back. What is pending is resolved instead, and what was
    /// confirmed is final.
    #[must_use]
    pub const fn is_reversible(self) -> bool {
        matches!(
            self,
            Self::Deposit | Self::Settlement | Self::Mature | Self::Overpayment | Self::Recovery
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A reservation out of a program's escrow: `PROGRAM/REFERENCE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationName {
    /// Out of whose escrow.
    pub program: ProgramId,
    /// What it is for: an event, say.
    pub reference: Holder,
}

/// A payout: `BATCH/OWNER/ATTEMPT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayoutName {
    /// In which batch.
    pub batch: Holder,
    /// To whom.
    pub owner: Holder,
    /// 1, or one more than the attempt that failed.
    pub attempt: u32,
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
    /// `reserve/<program>/<reference>`: sets a part of an escrow aside.
    Reserve(ReservationName),
    /// `post/<program>/<reference>`: pays what was set aside.
    Post(ReservationName),
    /// `void/<program>/<reference>`: gives it back.
    Void(ReservationName),
    /// `expire/<program>/<reference>`: gives it back, because its time is over.
    Expire(ReservationName),
    /// `mature/<reference>`: makes earnings vesting or payable.
    Mature(Holder),
    /// `payout/<batch>/<owner>/<attempt>`: takes what is payable on its way out.
    Payout(PayoutName),
    /// `confirm/<batch>/<owner>/<attempt>`: it arrived.
    Confirm(PayoutName),
    /// `fail/<batch>/<owner>/<attempt>`: it did not arrive.
    Fail(PayoutName),
    /// `overpayment/<event>/<version>`: takes back what that version of the statement pays less.
    Overpayment(EventId, u32),
    /// `recovery/<event>/<version>`: recovers what is owed out of that payment.
    Recovery(EventId, u32),
}

impl TransactionKey {
    /// The key of an operator's payment.
    ///
    /// # Errors
    /// [`KeyError::Reference`] where the operator's name or the reference is not well formed.
    pub fn deposit(operator: &str, reference: &str) -> Result<Self, KeyError> {
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
            Self::Reserve(_) => Kind::Reserve,
            Self::Post(_) => Kind::Post,
            Self::Void(_) => Kind::Void,
            Self::Expire(_) => Kind::Expire,
            Self::Mature(_) => Kind::Mature,
            Self::Payout(_) => Kind::Payout,
            Self::Confirm(_) => Kind::Confirm,
            Self::Fail(_) => Kind::Fail,
            Self::Overpayment(..) => Kind::Overpayment,
            Self::Recovery(..) => Kind::Recovery,
        }
    }
}

fn part(text: &str) -> Result<Holder, KeyError> {
    text.parse().map_err(|_| KeyError::Reference {
        text: text.chars().take(128).collect(),
    })
}

impl fmt::Display for ReservationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.program, self.reference)
    }
}

impl fmt::Display for PayoutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.batch, self.owner, self.attempt)
    }
}

impl fmt::Display for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        f.pad(&match self {
            Self::Deposit(operator, reference) => format!("{kind}/{operator}/{reference}"),
            Self::Settlement(event, version)
            | Self::Overpayment(event, version)
            | Self::Recovery(event, version) => format!("{kind}/{event}/{version}"),
            Self::Reversal(key) => format!("{kind}/{key}"),
            Self::Reserve(name) | Self::Post(name) | Self::Void(name) | Self::Expire(name) => {
                format!("{kind}/{name}")
            }
            Self::Mature(reference) => format!("{kind}/{reference}"),
            Self::Payout(name) | Self::Confirm(name) | Self::Fail(name) => format!("{kind}/{name}"),
        })
    }
}

impl Serialize for ReservationName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for ReservationName {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (program, reference) = text.split_once('/').ok_or_else(|| no_key(text))?;
        Ok(Self {
            program: program.parse().map_err(|_| no_key(text))?,
            reference: part(reference)?,
        })
    }
}

impl Serialize for PayoutName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for PayoutName {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(batch), Some(owner), Some(attempt), None) => Ok(Self {
                batch: part(batch)?,
                owner: part(owner)?,
                attempt: attempt.parse().map_err(|_| no_key(text))?,
            }),
            _ => Err(no_key(text)),
        }
    }
}

fn no_key(text: &str) -> KeyError {
    KeyError::Form {
        text: text.chars().take(128).collect(),
    }
}

fn event_and_version(text: &str) -> Result<(EventId, u32), KeyError> {
    let (event, version) = text.split_once('/').ok_or_else(|| no_key(text))?;
    let event = event.parse().map_err(|_| no_key(text))?;
    Ok((event, version.parse().map_err(|_| no_key(text))?))
}

impl FromStr for TransactionKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = || no_key(text);
        let (kind, rest) = text.split_once('/').ok_or_else(form)?;
        let key = match kind {
            "deposit" => {
                let (operator, reference) = rest.split_once('/').ok_or_else(form)?;
                Self::deposit(operator, reference)?
            }
            "settlement" => {
                let (event, version) = event_and_version(rest)?;
                Self::Settlement(event, version)
            }
            "overpayment" => {
                let (event, version) = event_and_version(rest)?;
                Self::Overpayment(event, version)
            }
            "recovery" => {
                let (event, version) = event_and_version(rest)?;
                Self::Recovery(event, version)
            }
            "reserve" => Self::Reserve(rest.parse()?),
            "post" => Self::Post(rest.parse()?),
            "void" => Self::Void(rest.parse()?),
            "expire" => Self::Expire(rest.parse()?),
            "mature" => Self::Mature(part(rest)?),
            "payout" => Self::Payout(rest.parse()?),
            "confirm" => Self::Confirm(rest.parse()?),
            "fail" => Self::Fail(rest.parse()?),
            // A reversal is itself taken back by booking the original anew under a key of its own. One level,
            // so that a text of many does not nest.
            "reversal" if !rest.starts_with("reversal/") => {
                let key: Self = rest.parse()?;
                if !key.kind().is_reversible() {
                    return Err(form());
                }
                Self::Reversal(Box::new(key))
            }
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
            "reserve/evening-flex/2026-04-23-evening",
            "post/evening-flex/e",
            "void/evening-flex/e",
            "expire/evening-flex/e",
            "mature/2026-04",
            "payout/2026-04/did:key:z6Mk/1",
            "confirm/2026-04/owner-1/2",
            "fail/2026-04/owner-1/2",
            "overpayment/e/2",
            "recovery/e/2",
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
            "reserve/Evening/e",
            "payout/b/o",
            "payout/b/o/01",
            "payout/b/o/1/2",
            "reversal/confirm/b/o/1",
            "reversal/reserve/p/e",
        ] {
            assert!(text.parse::<TransactionKey>().is_err(), "{text:?}");
        }
    }
}

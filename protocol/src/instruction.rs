//! Instructions: what the engine asks of one gateway's battery during an event (OpenADR 3 `DISPATCH_SETPOINT`).

use core::fmt;
use core::str::FromStr;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Identity;
use crate::message::{self, Message};
use crate::quantity::Milliwatts;
use crate::receipt::read_identity;
use crate::report::read_instant;
use crate::time::Timestamp;

const EVENT_ID_LEN_MAX: usize = 64;

/// The name of an event: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

/// A text that is no event's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event's name is 1 to 64 characters of a-z, 0-9 and -")]
pub struct EventIdError;

impl EventId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = EventIdError;
    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let well_formed = (1..=EVENT_ID_LEN_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(EventIdError)
        }
    }
}
impl TryFrom<String> for EventId {
    type Error = EventIdError;
    fn try_from(text: String) -> Result<Self, EventIdError> {
        text.parse()
    }
}
impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The engine asks a gateway to let its battery discharge at a set-point from `start` to `end`.
///
/// It is a request: the gateway bounds it by its owner's policy, and says in its acknowledgement what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The engine's counter for this gateway: a later instruction has a higher number, from 1 to
    /// [`message::SEQUENCE_MAX`].
    pub sequence: u64,
    /// For whom it is; no other gateway may obey.
    pub gateway: Identity,
    /// Which event it belongs to.
    pub event: EventId,
    /// When the engine signed.
    pub issued_at: Timestamp,
    /// After this instant it must not be begun.
    pub expires_at: Timestamp,
    /// When the battery shall begin.
    pub start: Timestamp,
    /// When the owner's setting shall be back.
    pub end: Timestamp,
    /// The AC power to discharge with, more than nothing.
    pub discharge: Milliwatts,
}

/// No event is longer than a day.
pub const EVENT_SECONDS_MAX: i64 = 86_400;

impl Message for Instruction {
    const PURPOSE: Purpose = Purpose::Instruction;

    fn check(&self) -> Result<(), &'static str> {
        message::check_sequence(self.sequence)?;
        if self.start >= self.end || self.end.seconds_since(self.start) > EVENT_SECONDS_MAX {
            return Err("an event ends after its start, within a day");
        }
        if self.expires_at <= self.issued_at || self.expires_at > self.end {
            return Err("an instruction expires after it was issued, and no later than the event ends");
        }
        if self.discharge <= Milliwatts::ZERO {
            return Err("the discharge set-point is more than nothing");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(9)?
            .u8(message::VERSION)?
            .u64(self.sequence)?
            .bytes(self.gateway.as_bytes())?;
        e.str(self.event.as_str())?;
        e.i64(self.issued_at.unix())?.i64(self.expires_at.unix())?;
        e.i64(self.start.unix())?
            .i64(self.end.unix())?
            .i64(self.discharge.get())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(9), "an instruction is an array of nine")?;
        message::read_version(d)?;
        Ok(Self {
            sequence: d.u64()?,
            gateway: read_identity(d)?,
            event: d.str()?.parse().map_err(decode::Error::message)?,
            issued_at: read_instant(d)?,
            expires_at: read_instant(d)?,
            start: read_instant(d)?,
            end: read_instant(d)?,
            discharge: Milliwatts::new(d.i64()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SigningIdentity;

    fn instant(unix: i64) -> Timestamp {
        Timestamp::from_unix(unix).unwrap()
    }

    fn instruction() -> Instruction {
        Instruction {
            sequence: 1,
            gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
            event: "evening-peak".parse().unwrap(),
            issued_at: instant(1_000_000),
            expires_at: instant(1_003_600),
            start: instant(1_002_000),
            end: instant(1_009_200),
            discharge: Milliwatts::new(3_000_000),
        }
    }

    #[test]
    fn every_rule_of_an_instruction_is_checked() {
        type Break = fn(&mut Instruction);
        let breaks: [(Break, &str); 9] = [
            (|i| i.sequence = 0, "sequence numbers"),
            (|i| i.sequence = message::SEQUENCE_MAX + 1, "sequence numbers"),
            (|i| i.end = i.start, "ends after its start"),
            (
                |i| i.end = instant(i.start.unix() + EVENT_SECONDS_MAX + 1),
                "within a day",
            ),
            (|i| i.start = instant(i.end.unix() + 1), "ends after its start"),
            (|i| i.expires_at = i.issued_at, "expires after it was issued"),
            (
                |i| i.expires_at = instant(i.end.unix() + 1),
                "no later than the event ends",
            ),
            (|i| i.discharge = Milliwatts::ZERO, "more than nothing"),
            (|i| i.discharge = Milliwatts::new(i64::MIN), "more than nothing"),
        ];
        for (break_it, rule) in breaks {
            let mut broken = instruction();
            break_it(&mut broken);
            assert!(
                broken.check().is_err_and(|said| said.contains(rule)),
                "{rule}: {:?}",
                broken.check()
            );
        }
        assert_eq!(instruction().check(), Ok(()));
    }

    #[test]
    fn the_name_of_an_event_is_bounded() {
        for text in ["", "Evening", "a b", "a_b", "\u{e4}", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<EventId>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<EventId>(text.into()).is_err());
        }
        let longest = "a".repeat(64);
        assert_eq!(longest.parse::<EventId>().unwrap().as_str(), longest);
    }
}

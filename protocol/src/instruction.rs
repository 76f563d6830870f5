//! Instructions: what the engine asks of one gateway during an event, in the terms of OpenADR 3 event payloads.

mod name;
mod target;

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Identity;
use crate::message::{self, Message};
use crate::price::Price;
use crate::receipt::read_identity;
use crate::report::read_instant;
use crate::time::Timestamp;

pub use self::name::{EventId, EventIdError, NAME_LEN_MAX, ProgramId, ProgramIdError};
pub(crate) use self::target::check_power;
pub use self::target::{Charge, Level, Target, TargetKind};

/// The engine asks a gateway to follow a target from `start` to `end`.
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
    /// When the home shall begin.
    pub start: Timestamp,
    /// When the owner's setting shall be back.
    pub end: Timestamp,
    /// What is asked for.
    pub target: Target,
    /// The program that the event is one of, where the engine says it.
    pub program: Option<ProgramId>,
    /// What the program offers for a kilowatt-hour, where the engine says it.
    pub price: Option<Price>,
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
        self.target.check()
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(11)?
            .u8(message::VERSION)?
            .u64(self.sequence)?
            .bytes(self.gateway.as_bytes())?;
        e.str(self.event.as_str())?;
        e.i64(self.issued_at.unix())?.i64(self.expires_at.unix())?;
        e.i64(self.start.unix())?.i64(self.end.unix())?;
        self.target.write(e)?;
        match &self.program {
            Some(program) => e.str(program.as_str())?,
            None => e.null()?,
        };
        match self.price {
            Some(price) => price.write(e)?,
            None => drop(e.null()?),
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(11), "an instruction is an array of eleven")?;
        message::read_version(d)?;
        Ok(Self {
            sequence: d.u64()?,
            gateway: read_identity(d)?,
            event: d.str()?.parse().map_err(decode::Error::message)?,
            issued_at: read_instant(d)?,
            expires_at: read_instant(d)?,
            start: read_instant(d)?,
            end: read_instant(d)?,
            target: Target::read(d)?,
            program: cbor::nullable(d, |d| d.str()?.parse().map_err(decode::Error::message))?,
            price: cbor::nullable(d, Price::read)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SigningIdentity;
    use crate::quantity::Milliwatts;

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
            target: Target::SetPoint(Milliwatts::new(3_000_000)),
            program: None,
            price: None,
        }
    }

    #[test]
    fn every_rule_of_an_instruction_is_checked() {
        type Break = fn(&mut Instruction);
        let breaks: [(Break, &str); 10] = [
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
            (
                |i| i.target = Target::SetPoint(Milliwatts::new(i64::MIN)),
                "more than -2^63",
            ),
            (
                |i| i.target = Target::ImportLimit(Milliwatts::new(-1)),
                "not negative",
            ),
            (
                |i| i.target = Target::ExportLimit(Milliwatts::new(-1)),
                "not negative",
            ),
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
}

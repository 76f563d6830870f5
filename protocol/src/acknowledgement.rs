//! Acknowledgements: what a gateway did about an instruction, stage by stage, signed.

use core::fmt;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::message::{self, Message};
use crate::quantity::Milliwatts;
use crate::receipt::read_digest;
use crate::report::read_instant;
use crate::time::Timestamp;

/// Why a gateway does not take part, or stopped before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// The owner opted out of this event or program.
    OwnerOptOut,
    /// The battery is at the owner's reserve.
    ReserveReached,
    /// There is no battery that could be set.
    NoBattery,
    /// The instruction came after it had expired.
    Expired,
    /// The device did not take or did not keep the set-point.
    DeviceFault,
}

impl Declined {
    /// Every reason there is.
    pub const ALL: [Self; 5] = [
        Self::OwnerOptOut,
        Self::ReserveReached,
        Self::NoBattery,
        Self::Expired,
        Self::DeviceFault,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OwnerOptOut => 1,
            Self::ReserveReached => 2,
            Self::NoBattery => 3,
            Self::Expired => 4,
            Self::DeviceFault => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnerOptOut => "owner_opt_out",
            Self::ReserveReached => "reserve_reached",
            Self::NoBattery => "no_battery",
            Self::Expired => "expired",
            Self::DeviceFault => "device_fault",
        }
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a gateway has come with an instruction. A later stage never takes back an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The gateway will take part, with at most this power after its owner's limits.
    OptedIn(Milliwatts),
    /// It will not.
    OptedOut(Declined),
    /// The set-point was written to the device.
    Written(Milliwatts),
    /// The device gave the same set-point back when it was read.
    ReadBack(Milliwatts),
    /// It ended before the event did.
    Stopped(Declined),
    /// The owner's setting from before the event is back, and was read back.
    Restored,
}

impl Stage {
    /// Its number on the wire, and its place in the order of stages.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OptedIn(_) => 1,
            Self::OptedOut(_) => 2,
            Self::Written(_) => 3,
            Self::ReadBack(_) => 4,
            Self::Stopped(_) => 5,
            Self::Restored => 6,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OptedIn(_) => "opted_in",
            Self::OptedOut(_) => "opted_out",
            Self::Written(_) => "written",
            Self::ReadBack(_) => "read_back",
            Self::Stopped(_) => "stopped",
            Self::Restored => "restored",
        }
    }

    /// The number that goes with it: a power in milliwatts, the code of a reason, or zero.
    const fn argument(self) -> i64 {
        match self {
            Self::OptedIn(power) | Self::Written(power) | Self::ReadBack(power) => power.get(),
            Self::OptedOut(why) | Self::Stopped(why) => {
                #[expect(clippy::as_conversions, reason = "u8 to i64 is lossless; From is not const")]
                let code = why.code() as i64;
                code
            }
            Self::Restored => 0,
        }
    }

    fn from_parts(code: u8, argument: i64) -> Option<Self> {
        let power = Milliwatts::new(argument);
        let why = || Declined::from_code(u8::try_from(argument).ok()?);
        match code {
            1 => Some(Self::OptedIn(power)),
            2 => why().map(Self::OptedOut),
            3 => Some(Self::Written(power)),
            4 => Some(Self::ReadBack(power)),
            5 => why().map(Self::Stopped),
            6 => Some(Self::Restored),
            _ => None,
        }
    }
}

/// What a gateway did about an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The digest of the instruction's envelope: there is no doubt which one is meant.
    pub instruction: Digest,
    /// When the stage was reached, by the gateway's clock.
    pub at: Timestamp,
    /// Which stage.
    pub stage: Stage,
}

impl Message for Acknowledgement {
    const PURPOSE: Purpose = Purpose::Acknowledgement;

    fn check(&self) -> Result<(), &'static str> {
        match self.stage {
            Stage::OptedIn(power) | Stage::Written(power) | Stage::ReadBack(power)
                if power < Milliwatts::ZERO =>
            {
                Err("a set-point is not negative")
            }
            _ => Ok(()),
        }
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(5)?
            .u8(message::VERSION)?
            .bytes(self.instruction.as_bytes())?
            .i64(self.at.unix())?;
        e.u8(self.stage.code())?.i64(self.stage.argument())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(5), "an acknowledgement is an array of five")?;
        message::read_version(d)?;
        let instruction = read_digest(d)?;
        let at = read_instant(d)?;
        let (code, argument) = (d.u8()?, d.i64()?);
        let stage =
            Stage::from_parts(code, argument).ok_or_else(|| decode::Error::message("an unknown stage"))?;
        Ok(Self {
            instruction,
            at,
            stage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWER: Milliwatts = Milliwatts::new(3_000_000);

    #[test]
    fn codes_and_names_of_stages_are_unique_and_never_change() {
        let why = Declined::ReserveReached;
        let stages = [
            (Stage::OptedIn(POWER), 1, "opted_in"),
            (Stage::OptedOut(why), 2, "opted_out"),
            (Stage::Written(POWER), 3, "written"),
            (Stage::ReadBack(POWER), 4, "read_back"),
            (Stage::Stopped(why), 5, "stopped"),
            (Stage::Restored, 6, "restored"),
        ];
        for (stage, code, name) in stages {
            assert_eq!((stage.code(), stage.name()), (code, name));
            assert_eq!(Stage::from_parts(code, stage.argument()), Some(stage));
        }
        assert!(
            (7..=u8::MAX)
                .chain([0])
                .all(|code| Stage::from_parts(code, 1).is_none())
        );
    }

    #[test]
    fn codes_and_names_of_reasons_are_unique_and_never_change() {
        let table = Declined::ALL.map(|d| (d.code(), d.name()));
        let expected = [
            (1, "owner_opt_out"),
            (2, "reserve_reached"),
            (3, "no_battery"),
            (4, "expired"),
            (5, "device_fault"),
        ];
        assert_eq!(table, expected);
        for declined in Declined::ALL {
            assert_eq!(serde_json::to_value(declined).unwrap(), declined.name());
        }
    }

    #[test]
    fn a_reason_out_of_range_is_refused_and_not_cut_to_eight_bits() {
        for argument in [0, 6, 257, -1, -255, i64::MIN, i64::MAX] {
            assert_eq!(Stage::from_parts(2, argument), None, "{argument}");
        }
    }

    #[test]
    fn a_negative_set_point_is_refused() {
        let at = Timestamp::EPOCH;
        for stage in [Stage::OptedIn, Stage::Written, Stage::ReadBack].map(|s| s(Milliwatts::new(-1))) {
            assert!(
                Acknowledgement {
                    instruction: Digest::NONE,
                    at,
                    stage
                }
                .encode()
                .is_err()
            );
        }
    }
}

//! Acknowledgements: what a gateway did about an instruction, stage by stage, signed.

use core::fmt;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::instruction::check_power;
use crate::message::{self, Message};
use crate::quantity::Milliwatts;
use crate::receipt::read_digest;
use crate::report::read_instant;
use crate::time::Timestamp;

/// Why a gateway does not take part, or stopped before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// The owner opted out, of this event or of all for now.
    OwnerOptOut,
    /// The battery is at the owner's reserve.
    ReserveReached,
    /// There is no battery that could be set.
    NoBattery,
    /// The instruction came, or could be begun, only after it had expired.
    Expired,
    /// The device did not take or did not keep the set-point.
    DeviceFault,
    /// The event lies in hours in which the owner wants quiet.
    QuietHours,
    /// The owner takes no part in the event's program, or the event names none.
    ProgramNotOptedIn,
    /// Less is offered than the owner asks for, or nothing is said.
    PriceTooLow,
    /// A limit at the grid meter was asked for, and there is no meter that answers.
    NoMeter,
    /// The device has not shown that it obeys and reverts, and the owner has not accepted the risk.
    NotCommissioned,
    /// The device, or this gateway, cannot do what is asked.
    Unsupported,
    /// The device accepted it, but what is measured does not show it.
    ObservedOtherwise,
    /// The state of charge cannot be read, so the reserve cannot be kept.
    ChargeUnknown,
    /// The battery holds as much as its owner lets it.
    BatteryFull,
    /// What the owner's limits leave is less than he moves the battery for.
    BeyondOwnerLimits,
    /// A later instruction of the same kind took its place.
    Superseded,
    /// The gateway does not trust its clock, so it cannot keep times.
    ClockUnsure,
    /// The gateway was ended in an orderly way, and gave the battery back.
    GatewayStopping,
}

impl Declined {
    /// Every reason there is.
    pub const ALL: [Self; 18] = [
        Self::OwnerOptOut,
        Self::ReserveReached,
        Self::NoBattery,
        Self::Expired,
        Self::DeviceFault,
        Self::QuietHours,
        Self::ProgramNotOptedIn,
        Self::PriceTooLow,
        Self::NoMeter,
        Self::NotCommissioned,
        Self::Unsupported,
        Self::ObservedOtherwise,
        Self::ChargeUnknown,
        Self::BatteryFull,
        Self::BeyondOwnerLimits,
        Self::Superseded,
        Self::ClockUnsure,
        Self::GatewayStopping,
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
            Self::QuietHours => 6,
            Self::ProgramNotOptedIn => 7,
            Self::PriceTooLow => 8,
            Self::NoMeter => 9,
            Self::NotCommissioned => 10,
            Self::Unsupported => 11,
            Self::ObservedOtherwise => 12,
            Self::ChargeUnknown => 13,
            Self::BatteryFull => 14,
            Self::BeyondOwnerLimits => 15,
            Self::Superseded => 16,
            Self::ClockUnsure => 17,
            Self::GatewayStopping => 18,
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
            Self::QuietHours => "quiet_hours",
            Self::ProgramNotOptedIn => "program_not_opted_in",
            Self::PriceTooLow => "price_too_low",
            Self::NoMeter => "no_meter",
            Self::NotCommissioned => "not_commissioned",
            Self::Unsupported => "unsupported",
            Self::ObservedOtherwise => "observed_otherwise",
            Self::ChargeUnknown => "charge_unknown",
            Self::BatteryFull => "battery_full",
            Self::BeyondOwnerLimits => "beyond_owner_limits",
            Self::Superseded => "superseded",
            Self::ClockUnsure => "clock_unsure",
            Self::GatewayStopping => "gateway_stopping",
        }
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a gateway has come with an instruction. A later stage never takes back an earlier one.
///
/// ```text
/// received ─▶ opted in ─▶ written ─▶ read back ─▶ observed ─▶ completed ─▶ restored
///          └▶ opted out         └──────────┴──────────┴─────▶ stopped ───┘
/// ```
///
/// Powers are signed as [`crate::instruction::Target`] has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The gateway holds the instruction durably, and will answer it.
    Received,
    /// The gateway will take part, with what its owner's limits leave: for a set-point that set-point, for a
    /// limit that limit at the meter, for a level and a charge state the greatest power of the battery.
    OptedIn(Milliwatts),
    /// It will not.
    OptedOut(Declined),
    /// The set-point was written to the device.
    Written(Milliwatts),
    /// The device gave the same set-point back when it was read.
    ReadBack(Milliwatts),
    /// What was asked for shows: at the site's meter, or where there is none, in the device's own measurement.
    Observed {
        /// The power that was measured; of the grid (import is positive) for a limit, else of the battery.
        power: Milliwatts,
        /// The whole seconds since the set-point was written.
        after_seconds: u32,
    },
    /// It ended before the event did.
    Stopped(Declined),
    /// It was followed to the end of the event.
    Completed,
    /// The owner's setting from before the event is back, and was read back.
    Restored,
}

impl Stage {
    /// Its number on the wire. The numbers do not tell the order.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OptedIn(_) => 1,
            Self::OptedOut(_) => 2,
            Self::Written(_) => 3,
            Self::ReadBack(_) => 4,
            Self::Stopped(_) => 5,
            Self::Restored => 6,
            Self::Received => 7,
            Self::Observed { .. } => OBSERVED,
            Self::Completed => 9,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::OptedIn(_) => "opted_in",
            Self::OptedOut(_) => "opted_out",
            Self::Written(_) => "written",
            Self::ReadBack(_) => "read_back",
            Self::Observed { .. } => "observed",
            Self::Stopped(_) => "stopped",
            Self::Completed => "completed",
            Self::Restored => "restored",
        }
    }

    /// The power that goes with it, where there is one.
    #[must_use]
    pub const fn power(self) -> Option<Milliwatts> {
        match self {
            Self::OptedIn(power)
            | Self::Written(power)
            | Self::ReadBack(power)
            | Self::Observed { power, .. } => Some(power),
            Self::Received | Self::OptedOut(_) | Self::Stopped(_) | Self::Completed | Self::Restored => None,
        }
    }

    /// The number that goes with it: a power in milliwatts, the code of a reason, or zero.
    fn argument(self) -> i64 {
        match self {
            Self::OptedOut(why) | Self::Stopped(why) => why.code().into(),
            _ => self.power().map_or(0, Milliwatts::get),
        }
    }

    /// The stage of a number and its argument, `seconds` where that stage has them.
    fn from_parts(code: u8, argument: i64, seconds: Option<u32>) -> Option<Self> {
        let power = Milliwatts::new(argument);
        let why = || Declined::from_code(u8::try_from(argument).ok()?);
        match (code, seconds) {
            (1, None) => Some(Self::OptedIn(power)),
            (2, None) => why().map(Self::OptedOut),
            (3, None) => Some(Self::Written(power)),
            (4, None) => Some(Self::ReadBack(power)),
            (5, None) => why().map(Self::Stopped),
            (6, None) => Some(Self::Restored),
            (7, None) => Some(Self::Received),
            (OBSERVED, Some(after_seconds)) => Some(Self::Observed { power, after_seconds }),
            (9, None) => Some(Self::Completed),
            _ => None,
        }
    }
}

/// The one stage with a second number.
const OBSERVED: u8 = 8;

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
        self.stage.power().map_or(Ok(()), check_power)
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        let seconds = match self.stage {
            Stage::Observed { after_seconds, .. } => Some(after_seconds),
            _ => None,
        };
        e.array(if seconds.is_some() { 6 } else { 5 })?
            .u8(message::VERSION)?
            .bytes(self.instruction.as_bytes())?
            .i64(self.at.unix())?;
        e.u8(self.stage.code())?.i64(self.stage.argument())?;
        if let Some(seconds) = seconds {
            e.u32(seconds)?;
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let len = cbor::array_len(d, 5, 6, "an acknowledgement is an array of five or six")?;
        message::read_version(d)?;
        let instruction = read_digest(d)?;
        let at = read_instant(d)?;
        let (code, argument) = (d.u8()?, d.i64()?);
        let seconds = if len == 6 { Some(d.u32()?) } else { None };
        let stage = Stage::from_parts(code, argument, seconds)
            .ok_or_else(|| decode::Error::message("an unknown stage, or not the numbers that go with it"))?;
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
            (Stage::Received, 7, "received"),
            (Stage::Completed, 9, "completed"),
        ];
        for (stage, code, name) in stages {
            assert_eq!((stage.code(), stage.name()), (code, name));
            assert_eq!(Stage::from_parts(code, stage.argument(), None), Some(stage));
            assert_eq!(Stage::from_parts(code, stage.argument(), Some(0)), None);
        }
        let observed = Stage::Observed {
            power: POWER,
            after_seconds: 4,
        };
        assert_eq!((observed.code(), observed.name()), (8, "observed"));
        assert_eq!(Stage::from_parts(8, POWER.get(), Some(4)), Some(observed));
        assert_eq!(Stage::from_parts(8, POWER.get(), None), None);
        assert!((10..=u8::MAX).chain([0]).all(|code| {
            [None, Some(1)]
                .into_iter()
                .all(|s| Stage::from_parts(code, 1, s).is_none())
        }));
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
            (6, "quiet_hours"),
            (7, "program_not_opted_in"),
            (8, "price_too_low"),
            (9, "no_meter"),
            (10, "not_commissioned"),
            (11, "unsupported"),
            (12, "observed_otherwise"),
            (13, "charge_unknown"),
            (14, "battery_full"),
            (15, "beyond_owner_limits"),
            (16, "superseded"),
            (17, "clock_unsure"),
            (18, "gateway_stopping"),
        ];
        assert_eq!(table, expected);
        for declined in Declined::ALL {
            assert_eq!(serde_json::to_value(declined).unwrap(), declined.name());
        }
    }

    #[test]
    fn a_reason_out_of_range_is_refused_and_not_cut_to_eight_bits() {
        for argument in [0, 19, 257, -1, -255, i64::MIN, i64::MAX] {
            assert_eq!(Stage::from_parts(2, argument, None), None, "{argument}");
        }
    }

    #[test]
    fn a_power_whose_sign_cannot_be_turned_is_refused() {
        let encoded = |power, stage: fn(Milliwatts) -> Stage| {
            let message = Acknowledgement {
                instruction: Digest::NONE,
                at: Timestamp::EPOCH,
                stage: stage(Milliwatts::new(power)),
            };
            message.encode().is_ok()
        };
        let observed = |power| Stage::Observed {
            power,
            after_seconds: 0,
        };
        for stage in [Stage::OptedIn, Stage::Written, Stage::ReadBack, observed] {
            assert!(encoded(-i64::MAX, stage));
            assert!(!encoded(i64::MIN, stage));
        }
    }
}

//! Commissioning records: what a device showed, on itself, of one of its controls: that it obeys, and that it
//! goes back to its owner's setting when its gateway falls silent. Signed by the gateway.

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::channel::DeviceNumber;
use crate::envelope::Purpose;
use crate::instruction::check_power;
use crate::message::{self, Message};
use crate::quantity::Milliwatts;
use crate::report::read_instant;
use crate::time::Timestamp;

/// The longest version of an agent, in characters.
pub const AGENT_LEN_MAX: usize = 32;

/// Of which control a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The power of the battery.
    Battery,
    /// The greatest production of the panels.
    Production,
}

impl Control {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Battery, Self::Production];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Battery => 1,
            Self::Production => 2,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Production => "production",
        }
    }
}

/// A step of a commissioning, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The device was measured before anything was written.
    Measure,
    /// The owner's setting was read and kept durably.
    Save,
    /// The command was written.
    Write,
    /// It was read back.
    ReadBack,
    /// The device's own measurement shows it.
    Observe,
    /// The meter at the grid connection shows it.
    Meter,
    /// Counters move in the direction of the powers.
    Direction,
    /// Left alone, the device's registers go back.
    Revert,
    /// And so does its power.
    Return,
    /// The owner's setting is back, and was read back.
    Restore,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Measure,
        Self::Save,
        Self::Write,
        Self::ReadBack,
        Self::Observe,
        Self::Meter,
        Self::Direction,
        Self::Revert,
        Self::Return,
        Self::Restore,
    ];

    /// Those that must have been passed: the others cannot always be taken.
    const NEEDED: [Self; 7] = [
        Self::Measure,
        Self::Save,
        Self::Write,
        Self::ReadBack,
        Self::Observe,
        Self::Revert,
        Self::Restore,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Measure => 1,
            Self::Save => 2,
            Self::Write => 3,
            Self::ReadBack => 4,
            Self::Observe => 5,
            Self::Meter => 6,
            Self::Direction => 7,
            Self::Revert => 8,
            Self::Return => 9,
            Self::Restore => 10,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measure => "measure",
            Self::Save => "save",
            Self::Write => "write",
            Self::ReadBack => "read_back",
            Self::Observe => "observe",
            Self::Meter => "meter",
            Self::Direction => "direction",
            Self::Revert => "revert",
            Self::Return => "return",
            Self::Restore => "restore",
        }
    }
}

/// Why a device failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It refuses what is written, or has nothing that could express it.
    RefusesWrites,
    /// It takes what is written, and shows something else.
    IgnoresWrites,
    /// It shows what was written, and goes on as before.
    DoesNotObey,
    /// It says that it obeys, and nothing of it arrives at the meter.
    MeterDoesNotShow,
    /// A power, a counter or the command has the other direction.
    WrongSign,
    /// It has no timer that takes a command back.
    NoTimer,
    /// Its timer does not take the command back in good time.
    DoesNotRevert,
    /// Its timer counts in another unit than seconds.
    RevertsInOtherUnit,
    /// The owner's setting could not be put back.
    NotRestored,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RefusesWrites,
        Self::IgnoresWrites,
        Self::DoesNotObey,
        Self::MeterDoesNotShow,
        Self::WrongSign,
        Self::NoTimer,
        Self::DoesNotRevert,
        Self::RevertsInOtherUnit,
        Self::NotRestored,
    ];

    /// Its number on the wire; 0 and 1 are those of a step that did not fail.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::RefusesWrites => 2,
            Self::IgnoresWrites => 3,
            Self::DoesNotObey => 4,
            Self::MeterDoesNotShow => 5,
            Self::WrongSign => 6,
            Self::NoTimer => 7,
            Self::DoesNotRevert => 8,
            Self::RevertsInOtherUnit => 9,
            Self::NotRestored => 10,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefusesWrites => "refuses_writes",
            Self::IgnoresWrites => "ignores_writes",
            Self::DoesNotObey => "does_not_obey",
            Self::MeterDoesNotShow => "meter_does_not_show",
            Self::WrongSign => "wrong_sign",
            Self::NoTimer => "no_timer",
            Self::DoesNotRevert => "does_not_revert",
            Self::RevertsInOtherUnit => "reverts_in_other_unit",
            Self::NotRestored => "not_restored",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepResult {
    /// As it should.
    Passed,
    /// It could not be taken, or says nothing: there is no meter, or too little energy for the counters.
    Skipped,
    /// Otherwise.
    Failed(Failure),
}

impl StepResult {
    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Skipped => 1,
            Self::Failed(why) => why.code(),
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed(why) => why.name(),
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Passed),
            1 => Some(Self::Skipped),
            _ => Failure::ALL
                .into_iter()
                .find(|why| why.code() == code)
                .map(Self::Failed),
        }
    }
}

/// A step that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepRecord {
    /// Which one.
    pub step: Step,
    /// When it ended, by the gateway's clock.
    pub at: Timestamp,
    /// How.
    pub result: StepResult,
    /// The power that goes with it: what was measured at the device or, for [`Step::Meter`], what of the
    /// change arrived at the meter; for [`Step::Write`] what was written.
    pub power: Option<Milliwatts>,
}

/// What a device showed of one of its controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommissionRecord {
    /// Which device of the gateway.
    pub device: DeviceNumber,
    /// Which one it is in truth: a number made of what it says of its maker, model and serial number.
    pub fingerprint: Option<u64>,
    /// Of which control.
    pub control: Control,
    /// The version of the agent that tried it.
    pub agent: String,
    /// What the device was told: the power of the battery (discharge is positive), or the limit.
    pub told: Milliwatts,
    /// After how many seconds of silence it was to go back; 0 where it has no timer.
    pub reversion_seconds: u32,
    /// The steps that were taken, in their order, each once.
    pub steps: Vec<StepRecord>,
}

impl CommissionRecord {
    /// Whether the device obeys and goes back by itself: nothing failed, and nothing that is needed is missing.
    #[must_use]
    pub fn passed(&self) -> bool {
        let is_passed = |step: Step| {
            self.steps
                .iter()
                .any(|taken| taken.step == step && taken.result == StepResult::Passed)
        };
        self.failure().is_none() && Step::NEEDED.into_iter().all(is_passed)
    }

    /// The first step that failed, and why.
    #[must_use]
    pub fn failure(&self) -> Option<(Step, Failure)> {
        self.steps.iter().find_map(|taken| match taken.result {
            StepResult::Failed(why) => Some((taken.step, why)),
            StepResult::Passed | StepResult::Skipped => None,
        })
    }
}

fn is_version(text: &str) -> bool {
    (1..=AGENT_LEN_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
}

impl Message for CommissionRecord {
    const PURPOSE: Purpose = Purpose::Commission;

    fn check(&self) -> Result<(), &'static str> {
        check_power(self.told)?;
        if !is_version(&self.agent) {
            return Err("the agent's version has 1 to 32 letters, digits, points, plus and minus signs");
        }
        if self.steps.is_empty() || self.steps.len() > Step::ALL.len() {
            return Err("there are 1 to 10 steps");
        }
        for taken in &self.steps {
            taken.power.map_or(Ok(()), check_power)?;
        }
        let in_order = |pair: &[StepRecord]| match pair {
            [one, next] => one.step < next.step && one.at <= next.at,
            _ => true,
        };
        if !self.steps.windows(2).all(in_order) {
            return Err("steps stand in their order, each once, and none is earlier than the one before");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(8)?.u8(message::VERSION)?.u8(self.device.0)?;
        match self.fingerprint {
            Some(fingerprint) => e.u64(fingerprint)?,
            None => e.null()?,
        };
        e.u8(self.control.code())?
            .str(&self.agent)?
            .i64(self.told.get())?
            .u32(self.reversion_seconds)?
            .array(u64::try_from(self.steps.len()).unwrap_or(u64::MAX))?;
        for taken in &self.steps {
            e.array(4)?
                .u8(taken.step.code())?
                .i64(taken.at.unix())?
                .u8(taken.result.code())?;
            match taken.power {
                Some(power) => e.i64(power.get())?,
                None => e.null()?,
            };
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(
            d.array()? == Some(8),
            "a commissioning record is an array of eight",
        )?;
        message::read_version(d)?;
        let device = DeviceNumber(d.u8()?);
        let fingerprint = cbor::nullable(d, Decoder::u64)?;
        let code = d.u8()?;
        let control = Control::ALL
            .into_iter()
            .find(|control| control.code() == code)
            .ok_or_else(|| decode::Error::message("an unknown control"))?;
        let agent = d.str()?;
        cbor::expect(is_version(agent), "not an agent's version")?;
        let (agent, told, reversion_seconds) = (agent.to_owned(), Milliwatts::new(d.i64()?), d.u32()?);
        let count = cbor::array_len(d, 1, Step::ALL.len(), "there are 1 to 10 steps")?;
        let steps = (0..count).map(|_| read_step(d)).collect::<Result<_, _>>()?;
        Ok(Self {
            device,
            fingerprint,
            control,
            agent,
            told,
            reversion_seconds,
            steps,
        })
    }
}

fn read_step(d: &mut Decoder<'_>) -> Result<StepRecord, decode::Error> {
    cbor::expect(d.array()? == Some(4), "a step is an array of four")?;
    let code = d.u8()?;
    let step = Step::ALL
        .into_iter()
        .find(|step| step.code() == code)
        .ok_or_else(|| decode::Error::message("an unknown step"))?;
    let at = read_instant(d)?;
    let result =
        StepResult::from_code(d.u8()?).ok_or_else(|| decode::Error::message("an unknown end of a step"))?;
    let power = cbor::nullable(d, Decoder::i64)?.map(Milliwatts::new);
    Ok(StepRecord {
        step,
        at,
        result,
        power,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(results: impl Fn(Step) -> Option<StepResult>) -> CommissionRecord {
        let taken = |step| {
            Some(StepRecord {
                step,
                at: Timestamp::EPOCH,
                result: results(step)?,
                power: None,
            })
        };
        CommissionRecord {
            device: DeviceNumber(3),
            fingerprint: None,
            control: Control::Battery,
            agent: "0.1.0".to_owned(),
            told: Milliwatts::new(500_000),
            reversion_seconds: 60,
            steps: Step::ALL.into_iter().filter_map(taken).collect(),
        }
    }

    #[test]
    fn a_device_passes_when_nothing_failed_and_nothing_needed_is_missing() {
        assert!(record(|_| Some(StepResult::Passed)).passed());
        for step in Step::ALL {
            let needed = Step::NEEDED.contains(&step);
            let skipped = record(|s| {
                Some(if s == step {
                    StepResult::Skipped
                } else {
                    StepResult::Passed
                })
            });
            assert_eq!(skipped.passed(), !needed, "{step:?} skipped");
            let missing = record(|s| (s != step).then_some(StepResult::Passed));
            assert_eq!(missing.passed(), !needed, "{step:?} missing");
            for why in Failure::ALL {
                let failed = record(|s| {
                    Some(if s == step {
                        StepResult::Failed(why)
                    } else {
                        StepResult::Passed
                    })
                });
                assert!(!failed.passed(), "{step:?} {why:?}");
                assert_eq!(failed.failure(), Some((step, why)));
            }
        }
    }

    #[test]
    fn codes_and_names_are_unique_and_never_change() {
        let steps = Step::ALL.map(|s| (s.code(), s.name()));
        let expected = [
            (1, "measure"),
            (2, "save"),
            (3, "write"),
            (4, "read_back"),
            (5, "observe"),
            (6, "meter"),
            (7, "direction"),
            (8, "revert"),
            (9, "return"),
            (10, "restore"),
        ];
        assert_eq!(steps, expected);
        let failures = Failure::ALL.map(|f| (f.code(), f.name()));
        let expected = [
            (2, "refuses_writes"),
            (3, "ignores_writes"),
            (4, "does_not_obey"),
            (5, "meter_does_not_show"),
            (6, "wrong_sign"),
            (7, "no_timer"),
            (8, "does_not_revert"),
            (9, "reverts_in_other_unit"),
            (10, "not_restored"),
        ];
        assert_eq!(failures, expected);
        for code in 0..=u8::MAX {
            let read = StepResult::from_code(code);
            assert_eq!(read.map(StepResult::code), (code <= 10).then_some(code));
        }
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut twice = record(|_| Some(StepResult::Passed));
        assert!(twice.encode().is_ok());
        twice.steps.swap(0, 1);
        assert!(twice.encode().is_err());
        let mut late = record(|_| Some(StepResult::Passed));
        late.steps[0].at = Timestamp::from_unix(1).unwrap();
        assert!(late.encode().is_err());
        assert!(record(|_| None).encode().is_err());
    }
}

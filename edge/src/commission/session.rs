//! A device is tried: step by step, and whatever happens, its owner's setting is put back.

mod device;
mod silent;
mod steps;
mod verdicts;

use std::num::NonZeroU32;

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::commission::{CommissionRecord, Control, Failure, Step, StepRecord, StepResult};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use super::outcome::{CommissionError, Obstacle, Outcome};
use super::time::{Interrupted, Time};
use crate::config::{AgentConfig, DeviceConfig};
use crate::device::controls::{Command, Plan, Saved};
use crate::device::{Device, Hand};
use crate::home;
use crate::outbox::{Outbox, OutboxError, Progress};

/// An event that begins within so many seconds is not disturbed.
const EVENT_NEAR_SECONDS: i64 = 1_800;

/// What is tried, and how.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Which device.
    pub device: DeviceNumber,
    /// Which of its controls.
    pub hand: Hand,
    /// After how many seconds of silence it shall go back.
    pub timer: NonZeroU32,
}

/// Why an attempt ended before its last step.
enum End {
    Failed(Step, Failure, Option<Milliwatts>),
    NotTried(Obstacle),
    Outbox(OutboxError),
}

impl From<OutboxError> for End {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

impl From<Interrupted> for End {
    fn from(_: Interrupted) -> Self {
        Self::NotTried(Obstacle::Interrupted)
    }
}

impl From<Obstacle> for End {
    fn from(why: Obstacle) -> Self {
        Self::NotTried(why)
    }
}

/// What is on the device by our hand.
struct Held {
    command: Command,
    plan: Plan,
    written_at: Timestamp,
}

/// A device that is being tried.
struct Session<'s, T> {
    config: &'s AgentConfig,
    subject: Subject,
    outbox: &'s mut Outbox,
    devices: &'s mut [Device],
    time: &'s mut T,
    tell: &'s mut dyn FnMut(&str),
    saved: Option<Saved>,
    held: Option<Held>,
    fingerprint: Option<u64>,
    steps: Vec<StepRecord>,
}

/// Tries a control of a device, keeps the signed result, and puts the owner's setting back in any case. Each
/// step is told as a sentence.
///
/// # Errors
/// [`CommissionError`]; what the device does wrong is no error, but the outcome.
pub async fn commission<T: Time>(
    config: &AgentConfig,
    key: &SigningIdentity,
    outbox: &mut Outbox,
    devices: &mut [Device],
    subject: Subject,
    time: &mut T,
    tell: &mut dyn FnMut(&str),
) -> Result<Outcome, CommissionError> {
    let configured = devices
        .iter()
        .map(Device::config)
        .find(|device| device.number == subject.device);
    let has_control = |device: &DeviceConfig| home::hands(device).any(|hand| hand == subject.hand);
    if !configured.is_some_and(has_control) {
        return Err(CommissionError::NoControl {
            device: configured.map_or_else(|| subject.device.to_string(), |device| device.name.clone()),
        });
    }
    let now = time.now();
    if let Some(start) = near_event(outbox, now)? {
        return Ok(Outcome::NotTried {
            why: Obstacle::Event(start),
            is_restored: true,
        });
    }
    let mut session = Session {
        config,
        subject,
        outbox,
        devices,
        time,
        tell,
        saved: None,
        held: None,
        fingerprint: None,
        steps: Vec::new(),
    };
    session.run(key).await
}

/// When an event that must not be disturbed begins, or began.
fn near_event(outbox: &Outbox, now: Timestamp) -> Result<Option<Timestamp>, OutboxError> {
    let is_near = |progress: Progress, start: Timestamp| {
        progress > Progress::Waiting || start.seconds_since(now) < EVENT_NEAR_SECONDS
    };
    let dispatches = outbox.dispatches()?;
    let mut near = dispatches
        .iter()
        .filter(|d| d.progress < Progress::Stopped && d.end > now && is_near(d.progress, d.start));
    Ok(near.next().map(|d| d.start))
}

impl<T: Time> Session<'_, T> {
    async fn run(&mut self, key: &SigningIdentity) -> Result<Outcome, CommissionError> {
        let attempt = self.attempt().await;
        if let Err(End::Failed(step, why, power)) = &attempt {
            self.record(*step, StepResult::Failed(*why), *power);
        }
        let is_displaced = self.saved.is_some();
        let is_restored = !is_displaced || self.restore().await;
        if is_displaced && is_restored {
            // Where the disk takes nothing, the agent restores once more what stands already.
            self.outbox.forget_owner_setting(self.subject.hand)?;
        }
        match attempt {
            Err(End::Outbox(error)) => return Err(error.into()),
            Err(End::NotTried(why)) => return Ok(Outcome::NotTried { why, is_restored }),
            Ok(()) | Err(End::Failed(..)) => {}
        }
        let restored = if is_restored {
            StepResult::Passed
        } else {
            StepResult::Failed(Failure::NotRestored)
        };
        if is_displaced {
            self.record(Step::Restore, restored, None);
        }
        let record = self.finish();
        let envelope = record.seal(key)?;
        let Subject { device, hand, .. } = self.subject;
        self.outbox
            .keep_commission(device, hand, record.passed(), &envelope, self.time.now())?;
        Ok(Outcome::Tried(record))
    }

    fn finish(&mut self) -> CommissionRecord {
        let plan = self.held.as_ref().map(|held| &held.plan);
        CommissionRecord {
            device: self.subject.device,
            fingerprint: self.fingerprint,
            control: match self.subject.hand {
                Hand::Battery => Control::Battery,
                Hand::Production => Control::Production,
            },
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            told: plan.map_or(Milliwatts::ZERO, |plan| plan.expressed),
            reversion_seconds: plan.and_then(|plan| plan.reversion_seconds).unwrap_or(0),
            steps: std::mem::take(&mut self.steps),
        }
    }

    /// Notes a step. A clock that goes back meanwhile does not turn the order of the steps.
    fn record(&mut self, step: Step, result: StepResult, power: Option<Milliwatts>) {
        let now = self.time.now();
        let at = self.steps.last().map_or(now, |last| last.at.max(now));
        // What was passed and then failed has failed.
        self.steps.retain(|taken| taken.step < step);
        self.steps.push(StepRecord {
            step,
            at,
            result,
            power,
        });
    }

    fn passed(&mut self, step: Step, power: Option<Milliwatts>, sentence: &str) {
        self.record(step, StepResult::Passed, power);
        (self.tell)(&format!("✓ {sentence}"));
    }

    fn skipped(&mut self, step: Step, sentence: &str) {
        self.record(step, StepResult::Skipped, None);
        (self.tell)(&format!("– {sentence}"));
    }

    /// A step that failed, with the sentence for the owner.
    fn failed(&mut self, step: Step, why: Failure, sentence: &str) -> End {
        self.failed_at(step, why, None, sentence)
    }

    /// As [`Session::failed`], with the power that was measured.
    fn failed_at(&mut self, step: Step, why: Failure, power: Option<Milliwatts>, sentence: &str) -> End {
        (self.tell)(&format!("✗ {sentence}"));
        End::Failed(step, why, power)
    }

    fn say(&mut self, sentence: &str) {
        (self.tell)(sentence);
    }

    fn device_config(&self) -> Option<&DeviceConfig> {
        self.config
            .devices
            .iter()
            .find(|device| device.number == self.subject.device)
    }
}

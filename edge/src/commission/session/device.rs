//! What a session reads from the device and writes to it.

use gridtally_protocol::commission::{Failure, Step};

use super::{End, Held, Session};
use crate::commission::outcome::Obstacle;
use crate::commission::time::Time;
use crate::commission::watch::{Sample, look};
use crate::device::controls::{Command, Controls, Kept, Plan, Saved};
use crate::device::{Device, DeviceError, DriverError, SunSpecError};

/// The owner's setting is tried to be put back so often, with a pause of so many seconds.
const RESTORE_TRIES: u32 = 5;
const RESTORE_PAUSE: u32 = 2;

/// A device without the model that holds the control refuses as well: this is the time to say so.
fn is_refusal(error: &DeviceError) -> bool {
    let has_no_model = matches!(
        error,
        DeviceError::Driver(DriverError::SunSpec(SunSpecError::NoModel { .. }))
    );
    has_no_model || error.is_refusal()
}

impl<T: Time> Session<'_, T> {
    /// The device that is tried; it was there when the session began.
    fn device(&mut self) -> Result<&mut Device, Obstacle> {
        let number = self.subject.device;
        self.devices
            .iter_mut()
            .find(|device| device.config().number == number)
            .ok_or_else(|| Obstacle::Unanswered("it is not in the config any more".to_owned()))
    }

    /// One look at the whole home.
    pub(super) async fn look(&mut self) -> Sample {
        let (number, hand, now) = (self.subject.device, self.subject.hand, self.time.now());
        let sample = look(self.devices, number, hand, now).await;
        self.fingerprint = self.fingerprint.or(sample.fingerprint);
        sample
    }

    /// Ends the attempt: the device refuses, or did not answer.
    fn sort(&mut self, step: Step, error: &DeviceError) -> End {
        if is_refusal(error) {
            return self.failed(
                step,
                Failure::RefusesWrites,
                &format!("the device refuses: {error}"),
            );
        }
        Obstacle::Unanswered(error.to_string()).into()
    }

    pub(super) async fn read(&mut self) -> Result<Controls, DeviceErrorOr> {
        let (hand, now) = (self.subject.hand, self.time.now());
        let device = self.device().map_err(DeviceErrorOr::Gone)?;
        device.controls(hand, now).await.map_err(DeviceErrorOr::Device)
    }

    /// The controls as they stand, for a step that cannot do without.
    pub(super) async fn controls(&mut self, step: Step) -> Result<Controls, End> {
        match self.read().await {
            Ok(controls) => Ok(controls),
            Err(DeviceErrorOr::Device(error)) => Err(self.sort(step, &error)),
            Err(DeviceErrorOr::Gone(why)) => Err(why.into()),
        }
    }

    /// Plans the command on what the device shows, and writes it; where it cannot be, that step has failed.
    pub(super) async fn write(
        &mut self,
        step: Step,
        command: Command,
        shown: &Controls,
        timer: u32,
    ) -> Result<(), End> {
        let planning = match &self.saved {
            Some(saved) => shown.clone().with_owner(saved),
            None => shown.clone(),
        };
        let timer = std::num::NonZeroU32::new(timer).unwrap_or(self.subject.timer);
        let plan = match planning.plan(command, timer) {
            Ok(plan) => plan,
            Err(error) => {
                let sentence = format!("the device has nothing that expresses this: {error}");
                return Err(self.failed(step, Failure::RefusesWrites, &sentence));
            }
        };
        let (writes, now) = (plan.writes.clone(), self.time.now());
        let written = self.device()?.write(shown, writes, now).await;
        self.held = Some(Held {
            command,
            plan,
            written_at: now,
        });
        written.map_err(|error| self.sort(step, &error))
    }

    /// Writes the command once more, as the agent does well before the timer runs out.
    pub(super) async fn refresh(&mut self, step: Step, timer: u32) -> Result<(), End> {
        let Some(Held { command, plan, .. }) = &self.held else {
            return Ok(());
        };
        let (command, plan) = (*command, plan.clone());
        let shown = self.controls(step).await?;
        self.check_undisturbed(&plan, &shown)?;
        self.write(step, command, &shown, timer).await
    }

    /// The command still stands: neither did the device go back too early, nor did somebody else set it.
    fn check_undisturbed(&mut self, plan: &Plan, shown: &Controls) -> Result<(), End> {
        if !shown.was_changed_since(plan) {
            return Ok(());
        }
        let is_reverted = self.saved.as_ref().is_some_and(|saved| is_reverted(saved, shown));
        if is_reverted && plan.has_timer {
            let sentence = "the device went back to its owner's setting long before its timer was to run out: \
                            the timer seems to count in another unit than seconds";
            return Err(self.failed(Step::Revert, Failure::RevertsInOtherUnit, sentence));
        }
        // Whoever sets the device is its owner: he is not overruled.
        self.saved = None;
        self.outbox.forget_owner_setting(self.subject.hand)?;
        Err(Obstacle::Overruled.into())
    }

    /// Puts the owner's setting back; returns whether it was read back.
    pub(super) async fn restore(&mut self) -> bool {
        let Some(saved) = self.saved.clone() else {
            return true;
        };
        let mut last = String::new();
        for _ in 0..RESTORE_TRIES {
            match self.put_back(&saved).await {
                Ok(kept) if kept.is_kept() => {
                    self.say("✓ the owner's setting is back, and was read back");
                    return true;
                }
                Ok(kept) => last = kept.to_string(),
                Err(why) => last = why,
            }
            // Whoever interrupts waits for this all the same.
            drop(self.time.pass(RESTORE_PAUSE).await);
        }
        self.say(&format!(
            "✗ the owner's setting could not be put back ({last}); it is kept, and the agent goes on trying when \
             it runs: start it, or set the device by hand"
        ));
        false
    }

    async fn put_back(&mut self, saved: &Saved) -> Result<Kept, String> {
        let now = self.time.now();
        let shown = self.read().await.map_err(|error| error.to_string())?;
        let writes = saved.restore(&shown).map_err(|error| error.to_string())?;
        if !writes.is_empty() {
            let device = self.device().map_err(|error| error.to_string())?;
            device
                .write(&shown, writes, now)
                .await
                .map_err(|error| error.to_string())?;
        }
        let later = self.read().await.map_err(|error| error.to_string())?;
        saved.is_kept_by(&later).map_err(|error| error.to_string())
    }
}

/// Whether the registers that a timer takes back show the owner's setting.
pub(super) fn is_reverted(saved: &Saved, shown: &Controls) -> bool {
    saved.is_reverted_by(shown).is_ok_and(|kept| kept.is_kept())
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceErrorOr {
    #[error(transparent)]
    Device(DeviceError),
    #[error(transparent)]
    Gone(Obstacle),
}

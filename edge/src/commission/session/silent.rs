//! The agent falls silent, and the device shows whether it goes back.

use gridtally_protocol::commission::{Failure, Step};

use super::device::is_reverted;
use super::{End, Session};
use crate::commission::judge::is_at;
use crate::commission::silence::{self, Power, Registers, Silence};
use crate::commission::time::Time;
use crate::device::controls::Command;

impl<T: Time> Session<'_, T> {
    /// Leaves the device alone, and watches whether it goes back.
    pub(super) async fn fall_silent(&mut self, command: Command) -> Result<(), End> {
        let timer = self.subject.timer.get();
        self.refresh(Step::Revert, timer).await?;
        let plan = self.held.as_ref().map(|held| held.plan.clone());
        let Some(plan) = plan.filter(|plan| plan.has_timer) else {
            let sentence = "the device has no timer: it would keep a command for good if the agent died; events \
                            take it only if you write accept_unproven_control = true in [owner]";
            return Err(self.failed(Step::Revert, Failure::NoTimer, sentence));
        };
        let timer = plan.reversion_seconds.unwrap_or(timer);
        self.say(&format!(
            "Falling silent: the device should go back by itself after {timer} s …"
        ));
        match self.watch_silence(command, timer).await? {
            silence::End::Reverted { after, power_is_back } => {
                let sentence = format!("its registers went back by themselves within {after} s");
                self.passed(Step::Revert, None, &sentence);
                if power_is_back {
                    self.passed(Step::Return, None, "and so did its power");
                } else {
                    let sentence = "whether its power went back cannot be told from what the sun does";
                    self.skipped(Step::Return, sentence);
                }
                Ok(())
            }
            silence::End::TooEarly { after } => {
                let sentence = format!(
                    "the device went back within {after} s, and was told {timer} s: its timer counts in another \
                     unit than seconds"
                );
                Err(self.failed(Step::Revert, Failure::RevertsInOtherUnit, &sentence))
            }
            silence::End::PowerStays => {
                let sentence =
                    "its registers went back, and its power stays as it was told: it did not go back";
                Err(self.failed(Step::Return, Failure::DoesNotRevert, sentence))
            }
            silence::End::Never { counts_longer } => {
                Err(self.diagnose(command, timer, counts_longer).await?)
            }
        }
    }

    async fn watch_silence(&mut self, command: Command, timer: u32) -> Result<silence::End, End> {
        let (told, since) = (self.told(), self.time.now());
        let mut silence = Silence::since(since, timer);
        loop {
            self.time.pass(self.sample_seconds()).await?;
            let (registers, remaining) = match self.read().await {
                Err(_) => (Registers::Unknown, None),
                Ok(shown) => {
                    let is_back = self
                        .saved
                        .as_ref()
                        .is_some_and(|saved| is_reverted(saved, &shown));
                    let registers = if is_back {
                        Registers::Reverted
                    } else {
                        Registers::Otherwise
                    };
                    (registers, shown.remaining())
                }
            };
            let power = match (command, self.look().await.power) {
                (_, None) => Power::Unknown,
                (_, Some(power)) if is_at(command, told, power) => Power::Held,
                (Command::LimitProduction(_), Some(power)) if power < told => Power::Unknown,
                (_, Some(_)) => Power::Back,
            };
            if let Some(end) = silence.look(self.time.now(), registers, power, remaining) {
                return Ok(end);
            }
        }
    }

    /// A device did not go back in time. With a timer of one, one that counts minutes goes back within two.
    async fn diagnose(&mut self, command: Command, timer: u32, counts_longer: bool) -> Result<End, End> {
        let mut is_other_unit = counts_longer;
        if !is_other_unit {
            self.say("It did not go back. Trying whether its timer counts minutes …");
            self.refresh(Step::Revert, 1).await?;
            // Until a minute's timer must have run out, and not longer than one of a second would take.
            let end = self.watch_silence(command, 60).await?;
            is_other_unit = matches!(end, silence::End::Reverted { .. } | silence::End::PowerStays);
        }
        Ok(if is_other_unit {
            let sentence = format!(
                "after {timer} s the device had not gone back: its timer counts in another unit than seconds"
            );
            self.failed(Step::Revert, Failure::RevertsInOtherUnit, &sentence)
        } else {
            let sentence = format!(
                "the device was told to go back after {timer} s and did not: if the agent died during an event, \
                 it would stay as it was told"
            );
            self.failed(Step::Revert, Failure::DoesNotRevert, &sentence)
        })
    }
}

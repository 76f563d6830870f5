//! The steps of a trial, in their order.

use gridtally_protocol::commission::{Failure, Step};
use gridtally_protocol::quantity::Milliwatts;

use super::verdicts::{DIRECTED, Watched, change_at_meter, direction_of};
use super::{End, Session};
use crate::commission::judge::{Arrived, Shown, shown};
use crate::commission::outcome::Obstacle;
use crate::commission::time::Time;
use crate::commission::trial;
use crate::commission::watch::Window;
use crate::device::Hand;
use crate::device::controls::{Command, Kept};
use crate::home;

/// Samples before the first write.
const SAMPLES: u32 = 5;
/// Between two samples, in seconds, where the timer is not shorter.
const SAMPLE_SECONDS: u32 = 5;
/// A command is watched for so long at least, so that counters move.
const OBSERVE_MIN: i64 = 60;
/// Ramps are over by then.
const OBSERVE_MAX: i64 = 180;
impl<T: Time> Session<'_, T> {
    pub(super) async fn attempt(&mut self) -> Result<(), End> {
        self.heal().await?;
        let (before, command) = self.measure().await?;
        self.save(command).await?;
        self.write_and_read_back(command).await?;
        let watched = self.observe(command, before).await?;
        self.judge_meter(&watched)?;
        self.judge_direction(&watched)?;
        self.fall_silent(command).await
    }

    /// What an earlier death left behind is put back first.
    async fn heal(&mut self) -> Result<(), End> {
        let hand = self.subject.hand;
        let Some(saved) = self.outbox.owner_setting(hand)? else {
            return Ok(());
        };
        self.say("An earlier command was never taken back; the owner's setting is put back first.");
        self.saved = Some(saved);
        if !self.restore().await {
            return Err(Obstacle::Unanswered("the owner's setting cannot be put back".to_owned()).into());
        }
        self.outbox.forget_owner_setting(hand)?;
        self.saved = None;
        Ok(())
    }

    pub(super) fn sample_seconds(&self) -> u32 {
        SAMPLE_SECONDS.min(self.subject.timer.get() / 6).max(1)
    }

    /// Measures the home as it is, and chooses the command.
    async fn measure(&mut self) -> Result<(Window, Command), End> {
        self.say("Measuring the home as it is …");
        let mut before = Window::default();
        let first = self.look().await;
        if let (None, Some(why)) = (first.power, &first.complaint) {
            return Err(Obstacle::Unanswered(why.clone()).into());
        }
        before.push(first);
        for _ in 1..SAMPLES {
            self.time.pass(self.sample_seconds()).await?;
            before.push(self.look().await);
        }
        let power = before.power().ok_or(Obstacle::Unmeasured)?;
        let command = self.choose(power, before.last().and_then(|sample| sample.charge))?;
        self.passed(
            Step::Measure,
            Some(power),
            &format!("the device answers; its power is {power} W"),
        );
        Ok((before, command))
    }

    fn choose(&mut self, power: Milliwatts, charge: Option<i64>) -> Result<Command, End> {
        let owner = &self.config.owner;
        let Some(nameplate) = self.device_config().map(|device| device.nameplate) else {
            return Err(Obstacle::Unmeasured.into());
        };
        match self.subject.hand {
            Hand::Battery => {
                let most = home::bounds(self.config).power.ok_or(Obstacle::TooWeak)?;
                let known = trial::Battery {
                    power,
                    charge: charge.ok_or(Obstacle::ChargeUnknown)?,
                    most,
                    nameplate,
                    reserve: owner.reserve.thousandths(),
                    ceiling: owner.ceiling.thousandths(),
                };
                Ok(trial::battery(&known)?)
            }
            Hand::Production if power.get() < 0 && power.get().unsigned_abs() > DIRECTED => {
                let sentence = format!(
                    "the panels show {power} W: they cannot consume as much; the sign of the device's power is \
                     turned, which its register map (the profile) has to mend"
                );
                Err(self.failed_at(Step::Measure, Failure::WrongSign, Some(power), &sentence))
            }
            Hand::Production => Ok(trial::production(power, nameplate)?),
        }
    }

    async fn save(&mut self, command: Command) -> Result<(), End> {
        let shown = self.controls(Step::Save).await?;
        let saved = shown.saved_for(command);
        let now = self.time.now();
        self.outbox.keep_owner_setting(self.subject.hand, &saved, now)?;
        self.saved = Some(saved);
        self.passed(
            Step::Save,
            None,
            "the owner's setting is kept, and will be put back",
        );
        Ok(())
    }

    async fn write_and_read_back(&mut self, command: Command) -> Result<(), End> {
        let timer = self.subject.timer.get();
        let shown = self.controls(Step::Write).await?;
        self.write(Step::Write, command, &shown, timer).await?;
        let Some(plan) = self.held.as_ref().map(|held| held.plan.clone()) else {
            return Ok(());
        };
        let expressed = plan.expressed;
        self.passed(
            Step::Write,
            Some(expressed),
            &format!("the device took the command to {command} (as {expressed} W)"),
        );
        let later = self.controls(Step::ReadBack).await?;
        match plan.is_kept_by(&later) {
            kept @ Kept::No { .. } => {
                let sentence = format!("the device takes what is written and does not keep it: {kept}");
                return Err(self.failed(Step::ReadBack, Failure::IgnoresWrites, &sentence));
            }
            kept @ Kept::ButTimer { .. } => self.say(&format!("  {kept}: the silence will show")),
            Kept::Yes => {}
        }
        self.passed(
            Step::ReadBack,
            Some(expressed),
            "it shows the same when it is read back",
        );
        Ok(())
    }

    pub(super) fn told(&self) -> Milliwatts {
        self.held
            .as_ref()
            .map_or(Milliwatts::ZERO, |held| held.plan.expressed)
    }

    /// Watches the device under the command, refreshing it as the agent would.
    async fn observe(&mut self, command: Command, before: Window) -> Result<Watched, End> {
        let (timer, told, begun) = (self.subject.timer.get(), self.told(), self.time.now());
        self.say(&format!(
            "Watching the device under the command for {OBSERVE_MIN} s or more …"
        ));
        let mut during = Window::default();
        let first = self.look().await;
        let mut grid_sign = None;
        let last = loop {
            self.time.pass(self.sample_seconds()).await?;
            let written_at = self.held.as_ref().map_or(begun, |held| held.written_at);
            let now = self.time.now();
            if now.seconds_since(written_at).saturating_mul(3) >= i64::from(timer) {
                self.refresh(Step::Observe, timer).await?;
            }
            let last = self.look().await;
            let sign = last.grid.map_or(0, direction_of);
            grid_sign = Some(grid_sign.map_or(sign, |known: i64| if known == sign { sign } else { 0 }));
            during.push(last.clone());
            let age = now.seconds_since(begun);
            let is_seen = during.is_full()
                && during
                    .power()
                    .is_some_and(|power| shown(command, told, power) == Shown::Obeys)
                && !matches!(
                    change_at_meter(&before, &during),
                    Arrived::No(_) | Arrived::Opposite(_)
                );
            if age >= OBSERVE_MAX || (is_seen && age >= OBSERVE_MIN) {
                break last;
            }
        };
        let watched = Watched {
            before,
            during,
            first,
            last,
            grid_sign: grid_sign.unwrap_or(0),
        };
        self.judge_device(command, told, &watched)?;
        Ok(watched)
    }
}

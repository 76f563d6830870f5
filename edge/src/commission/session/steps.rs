//! The steps of a trial, in their order.

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::commission::{Failure, Step};
use gridtally_protocol::quantity::Milliwatts;

use super::device::is_reverted;
use super::{End, Session};
use crate::commission::direction::{Direction, direction, moved};
use crate::commission::judge::{Arrived, Shown, arrived, is_at, shown};
use crate::commission::outcome::Obstacle;
use crate::commission::silence::{self, Power, Registers, Silence};
use crate::commission::time::Time;
use crate::commission::trial;
use crate::commission::watch::{Sample, Window};
use crate::config::DeviceKind;
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
/// A power below this has no direction that its counters would show.
const DIRECTED: u64 = 100_000;

/// What was measured before, and while the command stood.
struct Watched {
    before: Window,
    during: Window,
    /// The first and the last sample under the command.
    first: Sample,
    last: Sample,
    /// Whether power at the grid kept its direction: 1 for import, -1 for export, 0 where it turned.
    grid_sign: i64,
}

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

    fn sample_seconds(&self) -> u32 {
        SAMPLE_SECONDS.min(self.subject.timer.get() / 6).max(1)
    }

    /// Measures the home as it is, and chooses the command.
    async fn measure(&mut self) -> Result<(Window, Command), End> {
        self.say("Measuring the home as it is …");
        let mut before = Window::default();
        before.push(self.look().await);
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
                    reserve: i64::from(owner.reserve.thousandths()),
                    ceiling: i64::from(owner.ceiling.thousandths()),
                };
                Ok(trial::battery(&known)?)
            }
            Hand::Production if power.get() < 0 && power.get().unsigned_abs() > DIRECTED => {
                let sentence = format!(
                    "the panels show {power} W: they cannot consume as much; the sign of the device's power is \
                     turned, which its register map (the profile) has to mend"
                );
                Err(self.failed(Step::Measure, Failure::WrongSign, &sentence))
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
        self.write(command, &shown, timer).await?;
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

    fn told(&self) -> Milliwatts {
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
        let (mut last, mut grid_sign) = (first.clone(), None);
        loop {
            self.time.pass(self.sample_seconds()).await?;
            let written_at = self.held.as_ref().map_or(begun, |held| held.written_at);
            let now = self.time.now();
            if now.seconds_since(written_at).saturating_mul(3) >= i64::from(timer) {
                self.refresh(timer).await?;
            }
            last = self.look().await;
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
                break;
            }
        }
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

    fn judge_device(&mut self, command: Command, told: Milliwatts, watched: &Watched) -> Result<(), End> {
        let power = watched.during.power().ok_or(Obstacle::Unmeasured)?;
        match shown(command, told, power) {
            Shown::Obeys => {
                let sentence = format!("the device obeys: {power} W");
                self.passed(Step::Observe, Some(power), &sentence);
                Ok(())
            }
            Shown::Opposite => {
                let was = watched.before.power().unwrap_or(Milliwatts::ZERO);
                let given = told.get().saturating_sub(was.get().saturating_neg());
                let cause = match arrived(given, watched.before.rest(), watched.during.rest()) {
                    Arrived::Yes(_) => {
                        "the meter shows that it obeys, so the sign of its own power is turned: mend it in its \
                         profile"
                    }
                    Arrived::Opposite(_) => {
                        "and so does the meter, so the command is turned: mend it in its profile"
                    }
                    Arrived::No(_) | Arrived::Unknown => {
                        "either its power or the command has a turned sign: mend it in its profile"
                    }
                };
                let sentence = format!("the device was told {told} W and shows {power} W; {cause}");
                Err(self.failed(Step::Observe, Failure::WrongSign, &sentence))
            }
            Shown::Otherwise => {
                let sentence = format!(
                    "the device shows what it was told and does not do it: {power} W instead of {told} W; is its \
                     external control switched on?"
                );
                Err(self.failed(Step::Observe, Failure::DoesNotObey, &sentence))
            }
        }
    }

    fn judge_meter(&mut self, watched: &Watched) -> Result<(), End> {
        match change_at_meter(&watched.before, &watched.during) {
            Arrived::Yes(power) => {
                let sentence = format!("the meter at the grid connection shows it: {power} W of it arrived");
                self.passed(Step::Meter, Some(power), &sentence);
                Ok(())
            }
            Arrived::Unknown => {
                self.skipped(
                    Step::Meter,
                    "there is no meter at the grid connection that could show it",
                );
                Ok(())
            }
            Arrived::Opposite(power) => {
                let meter = self.meter();
                let (name, line) = meter.map_or(("the meter", "positive_power"), |(_, name, is_export)| {
                    let line = if is_export { "\"import\"" } else { "\"export\"" };
                    (name, line)
                });
                let sentence = format!(
                    "the meter shows the opposite ({power} W): its power has the other sign; write positive_power \
                     = {line} in the [[device]] section of {name:?} and try again"
                );
                Err(self.failed(Step::Meter, Failure::WrongSign, &sentence))
            }
            Arrived::No(power) => {
                let sentence = format!(
                    "the device says that it obeys, and at the meter {power} W of it arrived: either it does not \
                     do what it shows, or something large was switched in the house; try again while it is quiet"
                );
                Err(self.failed(Step::Meter, Failure::MeterDoesNotShow, &sentence))
            }
        }
    }

    /// The meter's number and name, and whether it is configured to show export as positive.
    fn meter(&self) -> Option<(DeviceNumber, &'static str, bool)> {
        let meter = self
            .config
            .devices
            .iter()
            .find(|device| device.kind == DeviceKind::GridMeter)?;
        Some((meter.number, "the meter", meter.export_is_positive))
    }

    /// Compares the counters of the meter and of the battery with their powers.
    fn judge_direction(&mut self, watched: &Watched) -> Result<(), End> {
        let between = |device, quantity| {
            moved(
                watched.first.counter(device, quantity)?,
                watched.last.counter(device, quantity)?,
            )
        };
        let judged = |device, sign: i64, [positive, negative]: [Quantity; 2]| {
            let (positive, negative) = (between(device, positive), between(device, negative));
            match sign {
                1.. => direction(positive, negative),
                0 => Direction::Undetermined,
                _ => direction(negative, positive),
            }
        };
        let mut seen = Vec::new();
        if let Some((meter, _, _)) = self.meter() {
            let counters = [Quantity::GridImport, Quantity::GridExport];
            match judged(meter, watched.grid_sign, counters) {
                Direction::Agrees => seen.push("the meter's counters"),
                Direction::Disagrees => {
                    let sentence = "the meter's counters move against its power: write counters_swapped = true in \
                                    its [[device]] section, or take it out where it stands, and try again";
                    return Err(self.failed(Step::Direction, Failure::WrongSign, sentence));
                }
                Direction::Undetermined => {}
            }
        }
        if self.subject.hand == Hand::Battery {
            let sign = watched.during.power().map_or(0, direction_of);
            let counters = [Quantity::BatteryDischarge, Quantity::BatteryCharge];
            match judged(self.subject.device, sign, counters) {
                Direction::Agrees => seen.push("the battery's counters"),
                Direction::Disagrees => {
                    let sentence = "the battery's counters move against its power: what it discharges would be \
                                    counted as charged; mend it in its profile";
                    return Err(self.failed(Step::Direction, Failure::WrongSign, sentence));
                }
                Direction::Undetermined => {}
            }
        }
        if seen.is_empty() {
            let sentence = "too little energy moved for the counters: their direction is not determined";
            self.skipped(Step::Direction, sentence);
        } else {
            let sentence = format!("{} move in the direction of the power", seen.join(" and "));
            self.passed(Step::Direction, None, &sentence);
        }
        Ok(())
    }

    /// Leaves the device alone, and watches whether it goes back.
    async fn fall_silent(&mut self, command: Command) -> Result<(), End> {
        let timer = self.subject.timer.get();
        self.refresh(timer).await?;
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
            self.refresh(1).await?;
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

/// What of the device's change arrived at the meter.
fn change_at_meter(before: &Window, during: &Window) -> Arrived {
    let (Some(was), Some(is)) = (before.power(), during.power()) else {
        return Arrived::Unknown;
    };
    let given = is.get().saturating_sub(was.get());
    arrived(given, before.rest(), during.rest())
}

/// 1 above zero, -1 below, 0 where the power is too small.
const fn direction_of(power: Milliwatts) -> i64 {
    if power.get().unsigned_abs() < DIRECTED {
        0
    } else {
        power.get().signum()
    }
}

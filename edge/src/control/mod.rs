//! From accepted instructions to devices, and back to their owner.
//!
//! ```text
//!  waiting ──▶ begun ──▶ written ──▶ held ──▶ observed ──┐ the event ends
//!     │          │          │          │         │       ▼
//!     │          └──────────┴──────────┴─────────┴──▶ stopped ──▶ done: the owner's setting is back
//!     └── its time passed ───────────────────────────────▶      and was read back
//! ```
//!
//! [`policy`] says whether the owner takes part, [`plan`] what the devices are told, a grip brings it about
//! and takes it back, and what is measured shows whether it is obeyed.
//!
//! The owner's setting is kept durably *before* anything is written over it, and forgotten only after the
//! device has shown it again; so whenever the agent dies, its next start finishes or takes back what it
//! had begun. Meanwhile the device's own timer runs, which the agent restarts only as long as it knows the
//! state of charge: a battery that cannot be watched is left to go back by itself. Whoever changes the
//! setting meanwhile is the owner: he is not overruled.

mod grip;
mod observe;
pub mod plan;
pub mod policy;

use std::num::NonZeroU32;

use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::time::Timestamp;

use self::grip::{Grip, Outcome};
use self::observe::{Seen, seen};
use self::plan::{Bounds, Command as Told, Live, Measured, State, plan};
use self::policy::{Home, Moment};
use crate::config::OwnerConfig;
use crate::device::controls::Command;
use crate::device::{Device, Hand};
use crate::outbox::{Dispatch, Outbox, OutboxError, Progress};

/// A device that goes on as before for so long after a command, and for two looks at least, does not obey.
const PATIENCE_SECONDS: i64 = 120;

/// What a step of control goes by.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What the owner allows.
    pub owner: &'a OwnerConfig,
    /// What the home has.
    pub home: &'a Home,
    /// Nameplates and the owner's bounds.
    pub bounds: &'a Bounds,
    /// What is measured now.
    pub measured: Measured,
    /// The time, the clock, and the owner's one tap.
    pub moment: Moment,
}

/// The hands on the devices.
#[derive(Debug)]
pub struct Control {
    state: State,
    battery: Grip,
    production: Grip,
    /// Since when what is wanted does not come about.
    failing_since: Option<Timestamp>,
    /// How often the command in force was looked at and did not show at all.
    ignored: u32,
}

/// What of the devices is within reach: that with the battery, and that whose production can be limited.
struct Reach<'d>(&'d mut [Device]);

impl Reach<'_> {
    fn of(&mut self, hand: Hand) -> Option<&mut Device> {
        self.0.iter_mut().find(|device| match hand {
            Hand::Battery => device.config().kind.has_battery(),
            Hand::Production => device.config().limits_production,
        })
    }
}

impl Control {
    /// Hands that set the devices' timers to `reversion` seconds.
    #[must_use]
    pub fn new(reversion: NonZeroU32) -> Self {
        Self {
            state: State::default(),
            battery: Grip::new(Hand::Battery, reversion),
            production: Grip::new(Hand::Production, reversion),
            failing_since: None,
            ignored: 0,
        }
    }

    /// Does what is due at the moment.
    ///
    /// # Errors
    /// [`OutboxError`]; what devices do wrong is no error here, but told to the engine.
    pub async fn tick(
        &mut self,
        outbox: &mut Outbox,
        devices: &mut [Device],
        mut scene: Scene<'_>,
    ) -> Result<(), OutboxError> {
        let now = scene.moment.now;
        let mut reach = Reach(devices);
        close(outbox, now)?;
        let mut live = Live::of(&outbox.dispatches()?, now);
        if let Some(why) = policy::interrupts(scene.owner, scene.home, scene.moment) {
            self.end_all(outbox, &live, why, now)?;
            live = Live::of(&outbox.dispatches()?, now);
        }
        let is_asked = live.iter().next().is_some();
        if is_asked
            && scene.measured.charge.is_none()
            && let Some(battery) = reach.of(Hand::Battery)
        {
            scene.measured.charge = battery.charge(now).await.ok();
        }
        self.observe(outbox, &live, &scene.measured, now)?;
        live = Live::of(&outbox.dispatches()?, now);
        let (told, next) = plan(self.state, &live, scene.bounds, &scene.measured, now);
        if let Some((instruction, why)) = told.spent {
            for spent in live.iter().filter(|d| d.instruction == instruction) {
                end(outbox, spent, why, now)?;
            }
            live = Live::of(&outbox.dispatches()?, now);
        }
        let is_done = match told.battery {
            Told::Wait(why) => {
                self.wait(outbox, &live, why.name(), why, now)?;
                let is_given_up = Live::of(&outbox.dispatches()?, now).iter().next().is_none();
                if is_given_up {
                    self.release(outbox, &mut reach, Hand::Battery, now).await?;
                    self.release(outbox, &mut reach, Hand::Production, now).await?;
                }
                false
            }
            Told::Hold(power) => {
                let command = Command::Hold(power);
                self.bring_about(
                    outbox,
                    &mut reach,
                    &live,
                    Hand::Battery,
                    command,
                    &scene.measured,
                    now,
                )
                .await?
            }
            Told::Release => {
                begin(outbox, &live, now)?;
                self.release(outbox, &mut reach, Hand::Battery, now).await?
            }
        };
        if is_done {
            self.state = next;
        }
        match told.production {
            Some(limit) => {
                let command = Command::LimitProduction(limit);
                self.bring_about(
                    outbox,
                    &mut reach,
                    &live,
                    Hand::Production,
                    command,
                    &scene.measured,
                    now,
                )
                .await?;
            }
            None if matches!(told.battery, Told::Wait(_)) => {}
            None => drop(self.release(outbox, &mut reach, Hand::Production, now).await?),
        }
        outbox.close_stopped()
    }

    /// Gives everything back at once, whatever is under way; for an orderly end of the agent.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn stop(
        &mut self,
        outbox: &mut Outbox,
        devices: &mut [Device],
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let mut reach = Reach(devices);
        for under_way in outbox
            .dispatches()?
            .into_iter()
            .filter(|d| d.progress > Progress::Waiting)
        {
            end(outbox, under_way, Declined::GatewayStopping, now)?;
        }
        for hand in [Hand::Battery, Hand::Production] {
            self.release(outbox, &mut reach, hand, now).await?;
        }
        outbox.close_stopped()
    }

    const fn grip(&mut self, hand: Hand) -> &mut Grip {
        match hand {
            Hand::Battery => &mut self.battery,
            Hand::Production => &mut self.production,
        }
    }

    /// Brings a command about and tells of each stage once; returns whether the device has it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the command, whose it is, and what it is measured by"
    )]
    async fn bring_about(
        &mut self,
        outbox: &mut Outbox,
        reach: &mut Reach<'_>,
        live: &Live,
        hand: Hand,
        command: Command,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        let Some(device) = reach.of(hand) else {
            return Ok(true);
        };
        begin(outbox, live, now)?;
        let grip = self.grip(hand);
        match grip.bring_about(command, outbox, device, measured, now).await? {
            Outcome::Held => {
                self.failing_since = None;
                if let Some(power) = self.grip(hand).holding.as_ref().map(grip::Holding::expressed) {
                    step(outbox, live, Progress::Written, Stage::Written(power), now)?;
                    step(outbox, live, Progress::Held, Stage::ReadBack(power), now)?;
                }
                return Ok(true);
            }
            Outcome::Written(error) => {
                if let Some(power) = self.grip(hand).holding.as_ref().map(grip::Holding::expressed) {
                    step(outbox, live, Progress::Written, Stage::Written(power), now)?;
                }
                self.wait(outbox, live, &error.to_string(), Declined::DeviceFault, now)?;
            }
            Outcome::Unknown(error) => {
                self.wait(outbox, live, &error.to_string(), Declined::DeviceFault, now)?;
            }
            Outcome::Refused { written, reason } => {
                if let Some(power) = written {
                    step(outbox, live, Progress::Written, Stage::Written(power), now)?;
                }
                self.grip(hand)
                    .complain(&format!("the device does not do what it is told: {reason}"));
                self.end_all(outbox, live, Declined::DeviceFault, now)?;
                self.release(outbox, reach, hand, now).await?;
            }
            Outcome::Overruled => {
                tracing::warn!(
                    ?hand,
                    "somebody set the device by hand during an event; it stays as he set it"
                );
                self.end_all(outbox, live, Declined::OwnerOptOut, now)?;
                // What is still ours among the registers, its timer above all, must not outlive the event.
                self.release(outbox, reach, hand, now).await?;
            }
        }
        Ok(false)
    }

    /// Puts the owner's setting back; returns whether it is there.
    async fn release(
        &mut self,
        outbox: &mut Outbox,
        reach: &mut Reach<'_>,
        hand: Hand,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        let Some(device) = reach.of(hand) else {
            return Ok(true);
        };
        let is_displaced = outbox.owner_setting(hand)?.is_some();
        let is_back = self.grip(hand).restore(outbox, device, now).await?;
        if is_displaced && is_back {
            outbox.restored(hand, now)?;
        }
        Ok(is_back)
    }

    /// Looks whether what was written shows, and tells so once; a device that goes on as before ends the event.
    fn observe(
        &mut self,
        outbox: &mut Outbox,
        live: &Live,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        // A home without a battery keeps its limit by the roof.
        let holding = self.battery.holding.as_ref().or(self.production.holding.as_ref());
        let Some(holding) = holding.filter(|holding| now > holding.since).cloned() else {
            self.ignored = 0;
            return Ok(());
        };
        let age = now.seconds_since(holding.since);
        let mut is_ignored = false;
        for dispatch in live.iter().filter(|d| d.progress == Progress::Held) {
            match seen(dispatch.target, holding.expressed(), &holding.before, measured) {
                Seen::Obeyed(power) => {
                    let after_seconds = u32::try_from(age).unwrap_or(u32::MAX);
                    let stage = Stage::Observed { power, after_seconds };
                    outbox.advance(dispatch.instruction, Progress::Observed, Some(stage), now)?;
                }
                Seen::Ignored => is_ignored = true,
                Seen::Partly | Seen::Unknown => {}
            }
        }
        self.ignored = if is_ignored {
            self.ignored.saturating_add(1)
        } else {
            0
        };
        if self.ignored >= 2 && age >= PATIENCE_SECONDS {
            self.battery
                .complain("the device shows what it was told and goes on as before");
            self.end_all(outbox, live, Declined::ObservedOtherwise, now)?;
        }
        Ok(())
    }

    /// Nothing could be done this time. When the device's timer must have run out, the event is over.
    fn wait(
        &mut self,
        outbox: &mut Outbox,
        live: &Live,
        reason: &str,
        why: Declined,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.battery
            .complain(&format!("what is asked cannot be brought about: {reason}"));
        let refreshed = self.battery.holding.as_ref().map(|holding| holding.refreshed_at);
        let since = refreshed.unwrap_or_else(|| *self.failing_since.get_or_insert(now));
        if now.seconds_since(since) < self.battery.reversion_seconds() {
            return Ok(());
        }
        self.end_all(outbox, live, why, now)
    }

    fn end_all(
        &mut self,
        outbox: &mut Outbox,
        live: &Live,
        why: Declined,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.failing_since = None;
        self.ignored = 0;
        for dispatch in live.iter() {
            end(outbox, dispatch, why, now)?;
        }
        Ok(())
    }
}

/// An instruction ends before its time.
fn end(outbox: &mut Outbox, dispatch: Dispatch, why: Declined, now: Timestamp) -> Result<(), OutboxError> {
    if dispatch.progress >= Progress::Stopped {
        return Ok(());
    }
    tracing::info!(instruction = %dispatch.instruction, %why, "the event ends early");
    outbox.advance(
        dispatch.instruction,
        Progress::Stopped,
        Some(Stage::Stopped(why)),
        now,
    )
}

/// The time of these has come, and the agent is there for them.
fn begin(outbox: &mut Outbox, live: &Live, now: Timestamp) -> Result<(), OutboxError> {
    // As it stands now: with a second hand of the same tick it may be further already.
    let current = outbox.dispatches()?;
    let is_live = |d: &&Dispatch| live.iter().any(|live| live.instruction == d.instruction);
    for dispatch in current
        .iter()
        .filter(is_live)
        .filter(|d| d.progress == Progress::Waiting)
    {
        outbox.advance(dispatch.instruction, Progress::Begun, None, now)?;
    }
    Ok(())
}

fn step(
    outbox: &mut Outbox,
    live: &Live,
    progress: Progress,
    stage: Stage,
    now: Timestamp,
) -> Result<(), OutboxError> {
    let current = outbox.dispatches()?;
    let is_live = |d: &&Dispatch| live.iter().any(|live| live.instruction == d.instruction);
    for dispatch in current.iter().filter(is_live).filter(|d| d.progress < progress) {
        outbox.advance(dispatch.instruction, progress, Some(stage), now)?;
    }
    Ok(())
}

/// Says of what is over how it ended: its time has passed, or a later one of its kind took its place. It is
/// done when nothing is displaced any more.
fn close(outbox: &mut Outbox, now: Timestamp) -> Result<(), OutboxError> {
    let dispatches = outbox.dispatches()?;
    let live = Live::of(&dispatches, now);
    let is_live = |d: &&Dispatch| live.iter().any(|live| live.instruction == d.instruction);
    for over in dispatches.iter().filter(|d| d.start <= now && !is_live(d)) {
        let is_superseded = now < over.end && live.iter().any(|d| d.target.kind() == over.target.kind());
        let (progress, stage) = match over.progress {
            Progress::Stopped | Progress::Done => continue,
            _ if is_superseded => (Progress::Done, Stage::Stopped(Declined::Superseded)),
            Progress::Waiting => (Progress::Done, Stage::Stopped(Declined::Expired)),
            _ => (Progress::Stopped, Stage::Completed),
        };
        outbox.advance(over.instruction, progress, Some(stage), now)?;
    }
    Ok(())
}

//! One hand on one control of one device: the owner's setting is saved before anything is written over it,
//! value, timer and enable are written, read back, refreshed, and in the end the owner's setting is restored.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use super::plan::Measured;
use crate::device::controls::{Changes, Command, Controls, Kept, Plan, Saved, Write};
use crate::device::{Device, DeviceError, DriverError, Hand};
use crate::outbox::{Outbox, OutboxError};

/// How often a command that stands is looked at: whoever sets the device by hand is not to wait for the next
/// restart of its timer.
const WATCH_SECONDS: i64 = 15;
/// So often a control is read again until two pictures in a row agree.
const PICTURES_MAX: u8 = 4;

/// What is on the device by our hand.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    command: Command,
    plan: Plan,
    /// When this command was first written.
    pub(super) since: Timestamp,
    /// When it was last written and read back.
    pub(super) refreshed_at: Timestamp,
    /// What was measured before our first write of the event.
    pub(super) before: Measured,
}

impl Holding {
    /// What the device's registers express.
    pub(super) const fn expressed(&self) -> Milliwatts {
        self.plan.expressed
    }
}

/// What is known of the registers since they were last read: by it an owner's hand is told from ours.
#[derive(Debug)]
struct Trace {
    /// What they showed.
    shown: Controls,
    /// When that was.
    seen_at: Timestamp,
    /// What was sent to them since. Where the answer was lost, none of it, a part or all may have arrived.
    sent: Vec<Write>,
    /// When the device last took a write for certain. When its timer has run from then, it may have gone back.
    at: Timestamp,
}

/// A hand on a control.
#[derive(Debug)]
pub(super) struct Grip {
    hand: Hand,
    /// The device's timer, in seconds.
    reversion: NonZeroU32,
    pub(super) holding: Option<Holding>,
    trace: Option<Trace>,
    /// The last complaint, so that a lasting one is logged once.
    complaint: Option<String>,
}

/// What came of one attempt to bring a command about.
pub(super) enum Outcome {
    /// The device has it.
    Held,
    /// The device took it, and what it shows cannot be read.
    Written(DeviceError),
    /// Nothing is known; try again.
    Unknown(DeviceError),
    /// The device does not do it.
    Refused {
        /// What it took, where it took the write.
        written: Option<Milliwatts>,
        /// Why.
        reason: String,
    },
    /// Somebody else has set something: the owner.
    Overruled,
}

impl Grip {
    pub(super) const fn new(hand: Hand, reversion: NonZeroU32) -> Self {
        Self {
            hand,
            reversion,
            holding: None,
            trace: None,
            complaint: None,
        }
    }

    /// How long the device holds a command without being asked again, in seconds.
    pub(super) fn reversion_seconds(&self) -> i64 {
        i64::from(self.reversion.get())
    }

    /// Whether the command stands already, and its timer need not be restarted yet.
    fn stands(&self, command: Command, now: Timestamp) -> bool {
        self.holding.as_ref().is_some_and(|holding| {
            let age = now.seconds_since(holding.refreshed_at);
            holding.command == command && (0..self.reversion_seconds() / 3).contains(&age)
        })
    }

    /// Brings a command about: at once where it is new, otherwise when a third of the timer has run.
    pub(super) async fn bring_about(
        &mut self,
        command: Command,
        outbox: &mut Outbox,
        device: &mut Device,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Outcome, OutboxError> {
        if self.stands(command, now) {
            return self.watch(outbox, device, now).await;
        }
        let mut shown = match device.controls(self.hand, now).await {
            Ok(shown) => shown,
            Err(error) => return Ok(sort(error, None)),
        };
        let mut saved = outbox.owner_setting(self.hand)?;
        if let Some(kept) = &saved {
            // What was saved of one map is no use to another, which nobody has saved.
            if let Err(error) = kept.check(&shown) {
                return Ok(sort(DriverError::from(error).into(), None));
            }
            let changes;
            (shown, changes) = match self.changes(kept, shown, device, now).await {
                Ok(found) => found,
                Err(error) => return Ok(sort(error, None)),
            };
            if let Some(changes) = changes {
                if self.is_overruled_by(&changes, &shown, outbox, now)? {
                    return Ok(Outcome::Overruled);
                }
                saved = Some(changes.saved);
            }
        } else {
            // What is kept as his for good is not taken from one odd picture.
            shown = match self
                .settled(shown, |shown| shown.saved_for(command), device, now)
                .await
            {
                Ok(shown) => shown,
                Err(error) => return Ok(sort(error, None)),
            };
        }
        // What the device goes back to by itself is the owner's setting from the first write on.
        let owners = saved.clone().unwrap_or_else(|| shown.saved_for(command));
        let plan = match shown.clone().with_owner(&owners).plan(command, self.reversion) {
            Ok(plan) => plan,
            Err(error) => {
                let reason = error.to_string();
                return Ok(Outcome::Refused {
                    written: None,
                    reason,
                });
            }
        };
        if saved.is_none() {
            outbox.keep_owner_setting(self.hand, &owners, now)?;
        }
        if let Err(error) = self.write(shown, plan.writes.clone(), device, now).await {
            return Ok(sort(error, None));
        }
        let written = Some(plan.expressed);
        let later = match device.controls(self.hand, now).await {
            Ok(later) => {
                self.saw(later.clone(), now);
                later
            }
            Err(error) => {
                self.hold(command, plan, measured, now);
                return Ok(match sort(error, written) {
                    Outcome::Unknown(error) => Outcome::Written(error),
                    refused => refused,
                });
            }
        };
        match plan.is_kept_by(&later) {
            kept @ Kept::No { .. } => {
                let reason = kept.to_string();
                return Ok(Outcome::Refused { written, reason });
            }
            kept @ Kept::ButTimer { .. } => self.complain(&kept.to_string()),
            Kept::Yes => self.complaint = None,
        }
        self.hold(command, plan, measured, now);
        Ok(Outcome::Held)
    }

    /// While the command stands: looks whether somebody else has set something.
    async fn watch(
        &mut self,
        outbox: &mut Outbox,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<Outcome, OutboxError> {
        let seen_at = self.trace.as_ref().map_or(now, |trace| trace.seen_at);
        let is_due = !(0..WATCH_SECONDS).contains(&now.seconds_since(seen_at));
        let Some(saved) = outbox.owner_setting(self.hand)?.filter(|_| is_due) else {
            return Ok(Outcome::Held);
        };
        // What cannot be read now is read when the timer is restarted, which tells of it.
        let Ok(shown) = device.controls(self.hand, now).await else {
            return Ok(Outcome::Held);
        };
        if saved.check(&shown).is_err() {
            return Ok(Outcome::Held);
        }
        match self.changes(&saved, shown, device, now).await {
            Ok((shown, Some(changes))) if self.is_overruled_by(&changes, &shown, outbox, now)? => {
                return Ok(Outcome::Overruled);
            }
            Ok((shown, None)) => self.saw(shown, now),
            Ok(_) | Err(_) => {}
        }
        Ok(Outcome::Held)
    }

    /// Keeps what somebody else has changed as the owner's setting; returns whether it is in the way of ours.
    fn is_overruled_by(
        &mut self,
        changes: &Changes,
        shown: &Controls,
        outbox: &mut Outbox,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        outbox.replace_owner_setting(self.hand, &changes.saved)?;
        let held = self.holding.as_ref().map(|holding| &holding.plan.writes);
        let sent = self.trace.as_ref().map(|trace| &trace.sent);
        let is_overruled = held.into_iter().chain(sent).any(|writes| changes.concern(writes));
        self.saw(shown.clone(), now);
        Ok(is_overruled)
    }

    /// What somebody else has changed while the device's timer still ran: he is the owner. It is believed where
    /// two pictures in a row say so.
    async fn changes(
        &self,
        saved: &Saved,
        shown: Controls,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<(Controls, Option<Changes>), DeviceError> {
        if self.changes_in(saved, &shown, now).is_none() {
            return Ok((shown, None));
        }
        let change = |shown: &Controls| self.changes_in(saved, shown, now);
        let shown = self.settled(shown, change, device, now).await?;
        let changes = self.changes_in(saved, &shown, now);
        Ok((shown, changes))
    }

    fn changes_in(&self, saved: &Saved, shown: &Controls, now: Timestamp) -> Option<Changes> {
        let trace = self.trace.as_ref()?;
        let age = now.seconds_since(trace.at);
        let in_time = (0..self.reversion_seconds()).contains(&age);
        in_time
            .then(|| saved.changes(shown, &trace.shown, &trace.sent))
            .flatten()
    }

    /// Reads the control again until two pictures in a row tell the same of what matters.
    async fn settled<T: PartialEq>(
        &self,
        mut shown: Controls,
        told: impl Fn(&Controls) -> T,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<Controls, DeviceError> {
        for _ in 0..PICTURES_MAX {
            let again = device.controls(self.hand, now).await?;
            if told(&again) == told(&shown) {
                return Ok(again);
            }
            shown = again;
        }
        Err(DeviceError::Unsettled(self.hand))
    }

    /// The registers were read.
    fn saw(&mut self, shown: Controls, now: Timestamp) {
        let at = self.trace.as_ref().map_or(now, |trace| trace.at);
        self.trace = Some(Trace {
            shown,
            seen_at: now,
            sent: Vec::new(),
            at,
        });
    }

    /// Writes to the registers that were just read.
    async fn write(
        &mut self,
        shown: Controls,
        writes: Vec<Write>,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<(), DeviceError> {
        let at = self.trace.as_ref().map_or(now, |trace| trace.at);
        let trace = self.trace.insert(Trace {
            shown,
            seen_at: now,
            sent: writes.clone(),
            at,
        });
        device.write(&trace.shown, writes, now).await?;
        trace.at = now;
        Ok(())
    }

    fn hold(&mut self, command: Command, plan: Plan, measured: &Measured, now: Timestamp) {
        let (since, before) = match &self.holding {
            Some(holding) if holding.command == command => (holding.since, holding.before),
            Some(holding) => (now, holding.before),
            None => (now, *measured),
        };
        self.holding = Some(Holding {
            command,
            plan,
            since,
            refreshed_at: now,
            before,
        });
    }

    /// Puts the owner's setting back, where one is saved; returns whether nothing is displaced any more.
    pub(super) async fn restore(
        &mut self,
        outbox: &mut Outbox,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        self.holding = None;
        let Some(saved) = outbox.owner_setting(self.hand)? else {
            self.trace = None;
            return Ok(true);
        };
        let put_back = match device.controls(self.hand, now).await {
            Ok(shown) => {
                // An odd picture that does not settle must not keep the owner's setting from coming back.
                let (shown, changes) = match self.changes(&saved, shown.clone(), device, now).await {
                    Ok(found) => found,
                    Err(DeviceError::Unsettled(_)) => (shown, None),
                    Err(error) => return Ok(self.not_yet(&error)),
                };
                let saved = match changes {
                    Some(changes) => {
                        outbox.replace_owner_setting(self.hand, &changes.saved)?;
                        changes.saved
                    }
                    None => saved,
                };
                self.put_back(&saved, shown, device, now).await
            }
            Err(error) => Err(error),
        };
        match put_back {
            Ok(Kept::No { .. }) => {
                self.complain("the device does not show its owner's setting yet; trying again");
                Ok(false)
            }
            Ok(_) => {
                self.complaint = None;
                self.trace = None;
                tracing::info!(device = %device.config().name, "the owner's setting is back");
                Ok(true)
            }
            Err(error) => Ok(self.not_yet(&error)),
        }
    }

    fn not_yet(&mut self, error: &DeviceError) -> bool {
        self.complain(&format!(
            "the owner's setting cannot be put back yet, trying again: {error}"
        ));
        false
    }

    async fn put_back(
        &mut self,
        saved: &Saved,
        shown: Controls,
        device: &mut Device,
        now: Timestamp,
    ) -> Result<Kept, DeviceError> {
        let writes = saved.restore(&shown).map_err(DriverError::from)?;
        if writes.is_empty() {
            self.saw(shown, now);
        } else {
            self.write(shown, writes, device, now).await?;
        }
        let later = device.controls(self.hand, now).await?;
        self.saw(later.clone(), now);
        Ok(saved.is_kept_by(&later).map_err(DriverError::from)?)
    }

    pub(super) fn complain(&mut self, complaint: &str) {
        if self.complaint.as_deref() != Some(complaint) {
            tracing::error!(hand = self.hand.name(), "{complaint}");
            self.complaint = Some(complaint.to_owned());
        }
    }
}

/// What the device refuses is final; what did not come through may come through later.
fn sort(error: DeviceError, written: Option<Milliwatts>) -> Outcome {
    if error.is_refusal() {
        let reason = error.to_string();
        Outcome::Refused { written, reason }
    } else {
        Outcome::Unknown(error)
    }
}

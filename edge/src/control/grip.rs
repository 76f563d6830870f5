//! One hand on one control of one device: the owner's setting is saved before anything is written over it,
//! value, timer and enable are written, read back, refreshed, and in the end the owner's setting is restored.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use tokio_modbus::ExceptionCode;

use super::plan::Measured;
use crate::device::bus::BusError;
use crate::device::controls::{Changes, Command, Controls, Kept, Plan, Saved, Write};
use crate::device::{Device, DeviceError, DriverError, Hand, SunSpecError};
use crate::outbox::{Outbox, OutboxError};

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
            return Ok(Outcome::Held);
        }
        let shown = match device.controls(self.hand, now).await {
            Ok(shown) => shown,
            Err(error) => return Ok(sort(error, None)),
        };
        let mut saved = outbox.owner_setting(self.hand)?;
        if let Some(kept) = &saved {
            // What was saved of one map is no use to another, which nobody has saved.
            if let Err(error) = kept.check(&shown) {
                return Ok(sort(DriverError::from(error).into(), None));
            }
            if let Some(changes) = self.changes(kept, &shown, now) {
                outbox.replace_owner_setting(self.hand, &changes.saved)?;
                let held = self.holding.as_ref().map(|holding| &holding.plan.writes);
                let sent = self.trace.as_ref().map(|trace| &trace.sent);
                let is_overruled = held.into_iter().chain(sent).any(|writes| changes.concern(writes));
                self.saw(shown.clone(), now);
                if is_overruled {
                    return Ok(Outcome::Overruled);
                }
                saved = Some(changes.saved);
            }
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

    /// What somebody else has changed while the device's timer still ran: he is the owner.
    fn changes(&self, saved: &Saved, shown: &Controls, now: Timestamp) -> Option<Changes> {
        let trace = self.trace.as_ref()?;
        let age = now.seconds_since(trace.at);
        let in_time = (0..self.reversion_seconds()).contains(&age);
        in_time
            .then(|| saved.changes(shown, &trace.shown, &trace.sent))
            .flatten()
    }

    /// The registers were read.
    fn saw(&mut self, shown: Controls, now: Timestamp) {
        let at = self.trace.as_ref().map_or(now, |trace| trace.at);
        let sent = Vec::new();
        self.trace = Some(Trace { shown, sent, at });
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
                let saved = match self.changes(&saved, &shown, now) {
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
            Err(error) => {
                self.complain(&format!(
                    "the owner's setting cannot be put back yet, trying again: {error}"
                ));
                Ok(false)
            }
        }
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

/// What the device refuses by the standard's reasons is final (Modbus Application Protocol 1.1b3, §7), and
/// so is a control that it does not have; what did not come through, or met a busy device or gateway, may
/// come through later.
fn sort(error: DeviceError, written: Option<Milliwatts>) -> Outcome {
    let is_final = match &error {
        DeviceError::Driver(DriverError::Control(_) | DriverError::NotInProfile { .. }) => true,
        DeviceError::Driver(DriverError::SunSpec(SunSpecError::Bus(BusError::Exception(exception)))) => {
            matches!(
                exception,
                ExceptionCode::IllegalFunction
                    | ExceptionCode::IllegalDataAddress
                    | ExceptionCode::IllegalDataValue
                    | ExceptionCode::ServerDeviceFailure
            )
        }
        _ => false,
    };
    if is_final {
        let reason = error.to_string();
        Outcome::Refused { written, reason }
    } else {
        Outcome::Unknown(error)
    }
}

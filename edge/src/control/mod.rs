//! From an accepted instruction to the battery, and back to its owner.
//!
//! ```text
//!  waiting ──▶ begun ──▶ written ──▶ held ──────────┐ the event ends
//!     │          │          │          │            ▼
//!     │          └──────────┴──────────┴──▶ stopped ──▶ done: the owner's setting is back
//!     └── its time passed ──────────────────────────▶      and was read back
//! ```
//!
//! The owner's setting is kept durably *before* anything is written over it, and forgotten only after the
//! device has shown it again; so whenever the agent dies, its next start finishes or takes back what it
//! had begun. Meanwhile the device's own timer runs, which the agent restarts only as long as it knows the
//! state of charge: a battery that cannot be watched is left to go back by itself.

pub mod plan;
pub mod policy;

use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::time::Timestamp;
use tokio_modbus::ExceptionCode;

use self::plan::{due, reserve_is_reached};
use crate::config::Percent;
use crate::device::bus::BusError;
use crate::device::{Device, DeviceError, DriverError, SunSpecError};
use crate::outbox::{Dispatch, Outbox, OutboxError, Progress};

/// The hand on the battery.
#[derive(Debug)]
pub struct Control {
    reserve: Percent,
    /// The device's timer, in seconds.
    reversion: u16,
    /// When the set-point was last written and read back; the first time it is written at once.
    refreshed_at: Option<Timestamp>,
    /// Since when the first set-point of an event does not come about.
    failing_since: Option<Timestamp>,
    /// The last complaint, so that a lasting one is logged once.
    complaint: Option<String>,
}

/// What came of one attempt to bring a set-point about.
enum Outcome {
    /// The device has it.
    Held,
    /// Nothing is known; try again.
    Unknown(DeviceError),
    /// The device does not do it.
    Refused(String),
}

impl Control {
    /// A hand that keeps to the owner's reserve and sets the device's timer to `reversion` seconds.
    #[must_use]
    pub const fn new(reserve: Percent, reversion: u16) -> Self {
        Self {
            reserve,
            reversion,
            refreshed_at: None,
            failing_since: None,
            complaint: None,
        }
    }

    /// Does what is due at `now`. `charge` is the state of charge where it was just read.
    ///
    /// # Errors
    /// [`OutboxError`]; what devices do wrong is no error here, but told to the engine.
    pub async fn tick(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        charge: Option<i64>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let due = due(&outbox.dispatches()?, now);
        if let Some(current) = due.current {
            for superseded in &due.over {
                let is_news = superseded.progress < Progress::Stopped;
                let stage = is_news.then_some(Stage::Stopped(Declined::Expired));
                outbox.advance(superseded.instruction, Progress::Done, stage, now)?;
            }
            if !self.obey(outbox, battery, current, charge, now).await? {
                return Ok(());
            }
        }
        self.give_back(outbox, battery, now).await
    }

    /// Gives the battery back at once, whatever is under way; for an orderly end of the agent.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn stop(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let touched: Vec<_> = outbox
            .dispatches()?
            .into_iter()
            .filter(|d| d.progress > Progress::Waiting)
            .map(|d| d.instruction)
            .collect();
        self.restore(outbox, battery, &touched, now).await
    }

    /// Holds the set-point of the current instruction; returns whether it was stopped.
    async fn obey(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        current: Dispatch,
        charge: Option<i64>,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        if current.progress == Progress::Waiting && now > current.expires_at {
            return self.end(outbox, current, Declined::Expired, now);
        }
        let charge = match charge {
            Some(charge) => Ok(charge),
            None => battery.charge(now).await,
        };
        match charge {
            Ok(charge) if reserve_is_reached(charge, self.reserve) => {
                return self.end(outbox, current, Declined::ReserveReached, now);
            }
            Ok(_) if !self.refresh_is_due(now) => return Ok(false),
            Ok(_) => {}
            Err(error) => return self.wait(outbox, current, &error, now),
        }
        match self.set(outbox, battery, current, now).await? {
            Outcome::Held => {
                self.refreshed_at = Some(now);
                self.failing_since = None;
                self.complaint = None;
                Ok(false)
            }
            Outcome::Unknown(error) => self.wait(outbox, current, &error, now),
            Outcome::Refused(reason) => {
                tracing::error!(%reason, "the battery does not keep the set-point; the event ends here");
                self.end(outbox, current, Declined::DeviceFault, now)
            }
        }
    }

    /// After a third of the time in which the device would give up.
    fn refresh_is_due(&self, now: Timestamp) -> bool {
        let third = i64::from(self.reversion / 3);
        self.refreshed_at
            .is_none_or(|at| now.seconds_since(at) >= third || now < at)
    }

    /// Nothing could be done this time. When the device's timer must have run out, the event is over.
    fn wait(
        &mut self,
        outbox: &mut Outbox,
        current: Dispatch,
        error: &DeviceError,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        self.complain(&format!("the set-point cannot be looked after: {error}"));
        let since = self
            .refreshed_at
            .unwrap_or_else(|| *self.failing_since.get_or_insert(now));
        if now.seconds_since(since) < i64::from(self.reversion) {
            return Ok(false);
        }
        self.end(outbox, current, Declined::DeviceFault, now)
    }

    fn end(
        &mut self,
        outbox: &mut Outbox,
        current: Dispatch,
        why: Declined,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        tracing::info!(instruction = %current.instruction, %why, "the event ends early");
        outbox.advance(
            current.instruction,
            Progress::Stopped,
            Some(Stage::Stopped(why)),
            now,
        )?;
        self.forget();
        Ok(true)
    }

    /// Saves the owner's setting, writes value, timer and enable, reads them back; tells each stage once.
    async fn set(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        current: Dispatch,
        now: Timestamp,
    ) -> Result<Outcome, OutboxError> {
        let Dispatch {
            instruction,
            power,
            progress,
            ..
        } = current;
        let shown = match battery.storage(now).await {
            Ok(shown) => shown,
            Err(error) => return Ok(sort(error)),
        };
        let Some((setting, expressed)) = shown.discharge(power, self.reversion) else {
            return Ok(Outcome::Refused("its storage controls make no sense".to_owned()));
        };
        if progress == Progress::Waiting {
            outbox.keep_owner_setting(shown.setting, now)?;
            outbox.advance(instruction, Progress::Begun, None, now)?;
        }
        if let Err(error) = battery.write_storage(now, setting).await {
            return Ok(sort(error));
        }
        if progress < Progress::Written {
            outbox.advance(
                instruction,
                Progress::Written,
                Some(Stage::Written(expressed)),
                now,
            )?;
        }
        match battery.storage(now).await {
            Ok(shown) if !setting.is_kept_by(&shown.setting) => {
                return Ok(Outcome::Refused(format!(
                    "it was given {setting:?} and shows {:?}",
                    shown.setting
                )));
            }
            Ok(_) => {}
            Err(error) => return Ok(sort(error)),
        }
        if progress < Progress::Held {
            outbox.advance(instruction, Progress::Held, Some(Stage::ReadBack(expressed)), now)?;
        }
        Ok(Outcome::Held)
    }

    /// No instruction is current: whatever was displaced is put back, and what is over is closed.
    async fn give_back(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let over = due(&outbox.dispatches()?, now).over;
        for missed in over.iter().filter(|d| d.progress == Progress::Waiting) {
            let stage = Stage::Stopped(Declined::Expired);
            outbox.advance(missed.instruction, Progress::Done, Some(stage), now)?;
        }
        let touched: Vec<_> = over
            .iter()
            .filter(|d| d.progress > Progress::Waiting)
            .map(|d| d.instruction)
            .collect();
        self.restore(outbox, battery, &touched, now).await
    }

    async fn restore(
        &mut self,
        outbox: &mut Outbox,
        battery: &mut Device,
        touched: &[Digest],
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.forget();
        let Some(setting) = outbox.owner_setting()? else {
            for &instruction in touched {
                outbox.advance(instruction, Progress::Done, None, now)?;
            }
            return Ok(());
        };
        let shown = match battery.write_storage(now, setting).await {
            Ok(()) => battery.storage(now).await,
            Err(error) => Err(error),
        };
        match shown {
            Ok(shown) if setting.is_kept_by(&shown.setting) => {
                self.complaint = None;
                tracing::info!("the battery is back at its owner's setting");
                outbox.restored(touched, now)?;
            }
            Ok(shown) => self.complain(&format!(
                "the battery shows {:?} instead of its owner's {setting:?}; trying again",
                shown.setting
            )),
            Err(error) => self.complain(&format!(
                "the owner's setting cannot be put back yet, trying again: {error}"
            )),
        }
        Ok(())
    }

    const fn forget(&mut self) {
        self.refreshed_at = None;
        self.failing_since = None;
    }

    fn complain(&mut self, complaint: &str) {
        if self.complaint.as_deref() != Some(complaint) {
            tracing::error!("{complaint}");
            self.complaint = Some(complaint.to_owned());
        }
    }
}

/// What the device refuses by the standard's reasons is final (Modbus Application Protocol 1.1b3, §7);
/// what did not come through, or met a busy device or gateway, may come through later.
fn sort(error: DeviceError) -> Outcome {
    match error {
        DeviceError::Driver(DriverError::SunSpec(SunSpecError::Bus(BusError::Exception(
            ExceptionCode::IllegalFunction
            | ExceptionCode::IllegalDataAddress
            | ExceptionCode::IllegalDataValue
            | ExceptionCode::ServerDeviceFailure,
        )))) => Outcome::Refused(error.to_string()),
        _ => Outcome::Unknown(error),
    }
}

//! One step of the agent's life, the same in real and in stepped time: read what ended, count it, keep it,
//! sign what is due, look after the battery, send.

use std::time::Duration;

use gridtally_link::{ConfigError as LinkConfigError, LinkEvent};
use gridtally_protocol::channel::{Missing, Quantity};
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::{Interval, Timestamp};
use tokio::time::Instant;

use crate::config::{AgentConfig, DeviceKind};
use crate::control::Control;
use crate::control::plan::reversion_seconds;
use crate::device::{Device, Observations, Observed};
use crate::meter::{Meters, Sample};
use crate::outbox::{Outbox, OutboxError, Pending};
use crate::uplink::Uplink;
use crate::uplink::inbox::Judge;

/// A boundary that was missed by more than this is no boundary: the energy would be of another interval.
const LATENESS_SECONDS_MAX: i64 = 10;
/// A gap of the agent is told interval by interval up to a day of five minutes; a longer one speaks for itself.
const GAP_INTERVALS_MAX: i64 = 288;

/// Why an agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its memory failed. Without it nothing may be signed or set.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The broker's address can never work.
    #[error(transparent)]
    Link(#[from] LinkConfigError),
}

/// How an agent lives.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most so many seconds lie between two ticks, in the agent's time.
    pub tick_seconds: u32,
    /// How long to wait for a receipt before sending again, in real time.
    pub resend_after: Duration,
}

/// The agent.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    outbox: Outbox,
    meters: Meters,
    /// The last boundary that was read.
    boundary: Option<Timestamp>,
    devices: Vec<Device>,
    control: Control,
    uplink: Uplink,
    /// How many intervals wait for their report, and the end of the last one.
    pending: (usize, Option<Timestamp>),
    clock_complaint: bool,
}

impl Agent {
    /// Opens the memory and starts the tasks of devices and link on the current runtime. Nothing is read,
    /// set or judged before the first [`Agent::tick`].
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn start(config: AgentConfig, key: SigningIdentity, pace: Pace) -> Result<Self, AgentError> {
        let outbox = Outbox::open(&config.gateway.data, key, config.gateway.sync)?;
        let (boundary, meters) = match outbox.meters()? {
            Some((boundary, meters)) => (Some(boundary), meters),
            None => (None, Meters::default()),
        };
        let waiting = outbox.pending()?;
        let pending = (waiting.len(), waiting.last().map(|p| p.interval.end()));
        let judge = Judge {
            engine: config.gateway.engine,
            owner: config.owner.clone(),
            battery: config.battery().map(|b| b.nameplate),
        };
        let uplink = Uplink::start(&config.broker, outbox.identity(), judge, pace.resend_after)?;
        let control = Control::new(config.owner.reserve, reversion_seconds(pace.tick_seconds));
        let devices = config.devices.iter().cloned().map(Device::start).collect();
        Ok(Self {
            config,
            outbox,
            meters,
            boundary,
            devices,
            control,
            uplink,
            pending,
            clock_complaint: false,
        })
    }

    /// Whose agent it is.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.outbox.identity()
    }

    /// How many signed messages the engine has not signed for.
    #[must_use]
    pub const fn outbox_depth(&self) -> u64 {
        self.outbox.depth()
    }

    /// The start of the next interval after `now`.
    #[must_use]
    pub fn next_boundary(&self, now: Timestamp) -> Timestamp {
        let interval = self.config.gateway.interval;
        now.floor_to(interval)
            .checked_add(i64::from(interval.seconds()))
            .unwrap_or(now)
    }

    /// Does what is due at `now`. The same instant twice has no second effect.
    ///
    /// # Errors
    /// [`AgentError`] where the memory fails; what devices and the broker do wrong is no error.
    pub async fn tick(&mut self, now: Timestamp, clock: ClockState) -> Result<(), AgentError> {
        let charge = match self.boundary_due(now) {
            Some(boundary) => {
                let observations = self.observe(now).await;
                self.count(boundary, &observations)?;
                charge_in(&observations)
            }
            None => None,
        };
        self.seal(now, clock)?;
        let battery = self
            .devices
            .iter_mut()
            .find(|d| d.config().kind == DeviceKind::BatteryInverter);
        if let Some(battery) = battery {
            self.control.tick(&mut self.outbox, battery, charge, now).await?;
        }
        self.uplink.pump(&self.outbox)?;
        Ok(())
    }

    /// The boundary to read at `now`, if there is one that was not read.
    fn boundary_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let boundary = now.floor_to(self.config.gateway.interval);
        let goes_back = self.boundary.is_some_and(|last| now < last);
        if goes_back && !self.clock_complaint {
            tracing::error!(%now, last = ?self.boundary, "the clock went back; nothing is measured until it has caught up");
        }
        self.clock_complaint = goes_back;
        let is_new = self.boundary.is_none_or(|last| last < boundary);
        (is_new && now.seconds_since(boundary) <= LATENESS_SECONDS_MAX).then_some(boundary)
    }

    /// Reads all devices at once.
    async fn observe(&mut self, now: Timestamp) -> Observations {
        let observing: Vec<_> = self
            .devices
            .iter_mut()
            .map(|device| device.observe(now))
            .collect();
        let mut observations = Observations::new();
        for device in observing {
            observations.extend(device.finish().await);
        }
        observations
    }

    /// Turns a boundary's readings into the samples of the interval that ends there, and keeps them.
    fn count(&mut self, boundary: Timestamp, observations: &Observations) -> Result<(), OutboxError> {
        let samples = self.meters.observe(&self.config, boundary, observations);
        let ended = self.ended_intervals(boundary, samples);
        self.outbox.keep_intervals(boundary, &self.meters, &ended)?;
        self.boundary = Some(boundary);
        if let Some(last) = ended.last() {
            self.pending = (
                self.pending.0.saturating_add(ended.len()),
                Some(last.interval.end()),
            );
        }
        Ok(())
    }

    /// The intervals that ended since the last boundary: those that the agent missed, without values, and
    /// the last one with its samples. None at the very first boundary.
    fn ended_intervals(&self, boundary: Timestamp, samples: Vec<Sample>) -> Vec<Pending> {
        let Some(last) = self.boundary else {
            return Vec::new();
        };
        let length = self.config.gateway.interval;
        let seconds = i64::from(length.seconds());
        let gap = boundary.seconds_since(last).div_euclid(seconds);
        let told = if gap > GAP_INTERVALS_MAX { 1 } else { gap };
        let missed: Vec<Sample> = samples
            .iter()
            .map(|sample| Sample {
                channel: sample.channel,
                value: Err(Missing::NoStart),
                quality: None,
            })
            .collect();
        let starts = (1..=told).rev().filter_map(|back| {
            let start = boundary.checked_add(back.checked_mul(seconds)?.checked_neg()?)?;
            Interval::new(start, length).ok()
        });
        let mut ended: Vec<Pending> = starts
            .map(|interval| Pending {
                interval,
                samples: missed.clone(),
            })
            .collect();
        if let Some(present) = ended.last_mut() {
            present.samples = samples;
        }
        ended
    }

    /// Signs what is due: at whole multiples of the report's length, or when as many intervals wait.
    fn seal(&mut self, now: Timestamp, clock: ClockState) -> Result<(), OutboxError> {
        let (waiting, end) = self.pending;
        let per_report = usize::from(self.config.gateway.intervals_per_report);
        let report_seconds = i64::from(self.config.gateway.interval.seconds())
            .saturating_mul(i64::from(self.config.gateway.intervals_per_report));
        let at_a_multiple = end.is_some_and(|end| end.unix().rem_euclid(report_seconds) == 0);
        // A clock that went back must not sign what lies ahead of it.
        if waiting == 0 || end.is_some_and(|end| end > now) || !(at_a_multiple || waiting >= per_report) {
            return Ok(());
        }
        while self.outbox.seal_report(per_report, now, clock)? {}
        self.pending = (0, None);
        let expired = self.outbox.expire(self.config.gateway.keep_days, now)?;
        if !expired.is_empty() {
            tracing::error!(
                count = expired.len(),
                "messages were not delivered in {} days and are dropped",
                self.config.gateway.keep_days
            );
        }
        Ok(())
    }

    /// Waits for the next event of the link.
    pub async fn next_event(&mut self) -> Option<LinkEvent> {
        self.uplink.next().await
    }

    /// Takes an event of the link.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn take(&mut self, event: LinkEvent, now: Timestamp) -> Result<(), AgentError> {
        Ok(self.uplink.take(event, &mut self.outbox, now)?)
    }

    /// When something is to be sent again; [`Agent::resend`] does it.
    #[must_use]
    pub fn resend_at(&self) -> Option<Instant> {
        self.uplink.resend_at()
    }

    /// Sends again what waits too long for its receipt.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn resend(&mut self) -> Result<(), AgentError> {
        Ok(self.uplink.pump(&self.outbox)?)
    }

    /// Ends in good order: the battery goes back to its owner, the broker is told goodbye.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn stop(mut self, now: Option<Timestamp>) -> Result<(), AgentError> {
        let battery = self
            .devices
            .iter_mut()
            .find(|d| d.config().kind == DeviceKind::BatteryInverter);
        if let (Some(battery), Some(now)) = (battery, now) {
            self.control.stop(&mut self.outbox, battery, now).await?;
            self.uplink.pump(&self.outbox)?;
        }
        self.uplink.stop().await;
        Ok(())
    }
}

/// The state of charge among the observations, in thousandths of a percent.
fn charge_in(observations: &Observations) -> Option<i64> {
    observations
        .iter()
        .find_map(|(channel, observed)| match (channel.quantity, observed) {
            (Quantity::StateOfCharge, Ok(Observed::Level(level))) => Some(*level),
            _ => None,
        })
}

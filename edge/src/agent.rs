//! One step of the agent's life, the same in real and in stepped time: read what ended, count it, keep it,
//! sign what is due, look after the battery, send.

use std::time::Duration;

use gridtally_link::LinkEvent;
use gridtally_protocol::channel::Missing;
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::{Interval, Timestamp};
use tokio::time::Instant;

use crate::at_home::{self, AtHome, AtHomeError, Facts};
use crate::config::{AgentConfig, BrokerError};
use crate::control::plan::{Bounds, reversion_seconds};
use crate::control::policy::{Home, Moment, Proof};
use crate::control::{Control, Scene};
use crate::device::bus::tls::TlsError;
use crate::device::{self, Device, Observations, Snapshot};
use crate::home::{self, Fingerprints};
use crate::identity::KeyError;
use crate::meter::{Boundary, Meters, Sample, Shown, power_of};
use crate::outbox::{Keep, Outbox, OutboxError, Pending, Status};
use crate::page::OwnerRequest;
use crate::proxy::{Proxy, ProxyError};
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
    /// The broker's address, or a file for it, can never work.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The certificates of a device cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The owner's page cannot be served.
    #[error(transparent)]
    AtHome(#[from] AtHomeError),
    /// A door for other software cannot be opened.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// How an agent lives.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most so many seconds lie between two ticks, in the agent's time.
    pub tick_seconds: u32,
    /// How long to wait for a receipt before sending again, in real time.
    pub resend_after: Duration,
}

/// What comes between two steps.
#[derive(Debug)]
pub enum Event {
    /// Something of the link.
    Link(LinkEvent),
    /// The owner's word.
    Owner(OwnerRequest),
}

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the next step is due at its time.
    Wait,
    /// A step at once.
    Tick,
}

/// The agent.
#[derive(Debug)]
pub struct Agent {
    at_home: Option<AtHome>,
    config: AgentConfig,
    outbox: Outbox,
    meters: Meters,
    /// The last boundary that was read.
    boundary: Option<Timestamp>,
    devices: Vec<Device>,
    _proxies: Vec<Proxy>,
    home: Home,
    /// Who the devices say that they are.
    seen: Fingerprints,
    bounds: Bounds,
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
        let home = home::home(&config, &outbox)?;
        let judge = Judge {
            engine: config.gateway.engine,
            owner: config.owner.clone(),
            home: home.clone(),
            clock: ClockState::FreeRunning,
        };
        let uplink = Uplink::start(&config.broker, outbox.identity(), judge, pace.resend_after)?;
        let reversion = reversion_seconds(pace.tick_seconds);
        let control = Control::new(reversion);
        let devices = device::start(&config.devices)?;
        for line in
            device::overloaded_lines(&config.devices, Duration::from_secs(u64::from(pace.tick_seconds)))
        {
            tracing::warn!("{line}");
        }
        let bounds = home::bounds(&config);
        let mut proxies = Vec::new();
        for proxy in &config.proxies {
            if let Some(device) = devices.iter().find(|device| device.config().name == proxy.device) {
                proxies.push(Proxy::open(proxy, device)?);
            }
        }
        Ok(Self {
            at_home: AtHome::start(&config, outbox.identity().to_string())?,
            _proxies: proxies,
            config,
            outbox,
            meters,
            boundary,
            devices,
            home,
            seen: Fingerprints::new(),
            bounds,
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

    /// The least that a control of the devices that are there has shown.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.home.proof
    }

    /// How many signed messages the engine has not signed for.
    #[must_use]
    pub const fn outbox_depth(&self) -> u64 {
        self.outbox.depth()
    }

    /// How full the outbox is, and what it had to drop.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn outbox_status(&self) -> Result<Status, AgentError> {
        Ok(self.outbox.status()?)
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
        self.uplink.trust_clock(clock);
        let boundary = self.boundary_due(now);
        let snapshots = self.observe(now, boundary.is_some()).await;
        self.recognise(&snapshots)?;
        let integrated = self.integrate(now, boundary, &snapshots);
        if let Some(boundary) = boundary {
            let mut observations = integrated;
            observations.extend(snapshots.iter().flat_map(|s| s.channels.clone()));
            self.count(boundary, &observations)?;
        }
        self.seal(now, clock)?;
        let shown = self.config.devices.iter().zip(&snapshots);
        let scene = Scene {
            owner: &self.config.owner,
            home: &self.home,
            bounds: &self.bounds,
            measured: home::measured(shown.map(|(device, snapshot)| (device, snapshot.live))),
            moment: Moment {
                now,
                clock,
                opted_out_until: self.outbox.opted_out_until()?,
            },
        };
        match self
            .control
            .tick(&mut self.outbox, &mut self.devices, scene)
            .await
        {
            // The next tick tries again; what is on the device reverts by itself.
            Err(error) if error.is_storage() => self.outbox.complain(&error),
            done => done?,
        }
        self.show(now, clock, &snapshots)?;
        self.uplink.pump(&self.outbox)?;
        Ok(())
    }

    /// A device that was put in another's place has to prove itself before events may move it.
    fn recognise(&mut self, snapshots: &[Snapshot]) -> Result<(), OutboxError> {
        let mut is_new = false;
        for snapshot in snapshots {
            is_new |= home::recognise(&mut self.seen, &snapshot.channels);
        }
        if !is_new {
            return Ok(());
        }
        let proof = home::proof(&self.config, &self.outbox, &self.seen)?;
        if proof != self.home.proof {
            tracing::warn!(
                "a device is another than the one that proved that it obeys: events are declined until \
                 `gridtally edge commission` has tried it"
            );
            self.home.proof = proof;
            self.uplink.know_home(self.home.clone());
        }
        Ok(())
    }

    fn show(&self, now: Timestamp, clock: ClockState, snapshots: &[Snapshot]) -> Result<(), OutboxError> {
        let Some(at_home) = &self.at_home else {
            return Ok(());
        };
        let facts = Facts {
            now,
            clock,
            config: &self.config,
            snapshots,
            link: self.uplink.state(),
            last_receipt: self.uplink.last_receipt(),
        };
        at_home.show(&facts, &self.outbox)
    }

    /// Where the owner's page listens.
    #[must_use]
    pub fn page_address(&self) -> Option<std::net::SocketAddr> {
        self.at_home.as_ref()?.address()
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

    /// Reads all devices at once, in the order of the config. At a boundary those are asked too that were
    /// silent.
    async fn observe(&mut self, now: Timestamp, must: bool) -> Vec<Snapshot> {
        let observing: Vec<_> = self
            .devices
            .iter_mut()
            .map(|device| device.observe(now, must))
            .collect();
        let mut snapshots = Vec::with_capacity(observing.len());
        for device in observing {
            snapshots.push(device.finish().await);
        }
        snapshots
    }

    /// Sums up the powers of the devices that have no counters, and holds those of the others against theirs. What is found for a channel comes before what
    /// its device showed of it, which is nothing.
    fn integrate(
        &mut self,
        now: Timestamp,
        boundary: Option<Timestamp>,
        snapshots: &[Snapshot],
    ) -> Observations {
        let length = i64::from(self.config.gateway.interval.seconds());
        let boundary = boundary.map(|at| Boundary {
            at,
            follows: self.boundary.is_some_and(|last| at.seconds_since(last) == length),
        });
        let mut observations = Observations::new();
        for (device, Snapshot { live, .. }) in self.config.devices.iter().zip(snapshots) {
            if device.integrates_power {
                let power = live.grid.or(live.battery).or(live.pv);
                let shown = Shown {
                    device,
                    at: now,
                    power,
                };
                observations.extend(self.meters.integrate(shown, boundary));
            } else {
                let shown = Shown {
                    device,
                    at: now,
                    power: power_of(device, *live),
                };
                self.meters.watch(shown, boundary);
            }
        }
        observations
    }

    /// Turns a boundary's readings into the samples of the interval that ends there, and keeps them.
    fn count(&mut self, boundary: Timestamp, observations: &Observations) -> Result<(), OutboxError> {
        let samples = self.meters.observe(&self.config, boundary, observations);
        let ended = self.ended_intervals(boundary, samples);
        self.outbox.keep_intervals(boundary, &self.meters, &ended)?;
        if let Some(at_home) = &self.at_home {
            at_home.record(&ended);
        }
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
        let keep = Keep::new(self.config.gateway.keep_days, self.config.gateway.keep_mib);
        self.outbox.tidy(keep, now, clock)?;
        Ok(())
    }

    /// Waits for what comes next, from the link or from the owner.
    pub async fn next_event(&mut self) -> Option<Event> {
        let of_owner = async {
            match &mut self.at_home {
                Some(at_home) => at_home.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.uplink.next() => event.map(Event::Link),
            request = of_owner => request.map(Event::Owner),
        }
    }

    /// Takes an event of the link.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn take(&mut self, event: Event, now: Timestamp) -> Result<Next, AgentError> {
        match event {
            Event::Link(event) => {
                self.uplink.take(event, &mut self.outbox, now)?;
                Ok(Next::Wait)
            }
            Event::Owner(request) => {
                let answer = at_home::obey(&request.command, &mut self.outbox)?;
                // He may have gone.
                drop(request.answer.send(answer));
                Ok(Next::Tick)
            }
        }
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

    /// Says goodbye to the broker and gives up the memory; what is under way stays as it is, for the agent that
    /// starts next.
    pub async fn leave(self) {
        self.uplink.stop().await;
    }

    /// Ends in good order: the battery goes back to its owner, the broker is told goodbye.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn stop(mut self, now: Option<Timestamp>) -> Result<(), AgentError> {
        if let Some(now) = now {
            self.control
                .stop(&mut self.outbox, &mut self.devices, now)
                .await?;
            self.uplink.pump(&self.outbox)?;
        }
        self.uplink.stop().await;
        Ok(())
    }
}

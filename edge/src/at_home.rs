//! What the owner sees of the agent, and what he tells it: the page, Home Assistant and the history behind
//! them, told by the agent after each step. Nothing here can hold the agent up.

use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};

use gridtally_protocol::acknowledgement::Declined;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::instruction::Target;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{AgentConfig, DeviceConfig, DeviceKind, Zone};
use crate::device::Snapshot;
use crate::history::{Energies, Entry, History, HistoryError};
use crate::outbox::{EventRecord, Outbox, OutboxError, Pending, Progress};
use crate::page::command::COMMANDS_MAX;
use crate::page::earned::Earned;
use crate::page::metrics::Registry;
use crate::page::state::{
    BatteryState, ClockHealth, Decision, DeviceRole, DeviceState, EnergyTotals, EventStage, EventState,
    EventTarget, LinkState, OptOutScope, OutboxState, PowerFlows,
};
use crate::page::{self, HomeState, OwnerCommand, OwnerRequest, Page, PasswordStore, SharedHistory};

const HISTORY: &str = "history.sqlite";
/// So many events are shown.
const EVENTS: u16 = 14;

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AtHomeError {
    /// The socket cannot be had.
    #[error("the page cannot listen on {listen}: {source}; choose another address in [page]")]
    Listen {
        /// Where.
        listen: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The history behind the charts.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The tasks of page and Home Assistant, and the ends of their lines.
#[derive(Debug)]
pub struct AtHome {
    state: watch::Sender<HomeState>,
    commands: mpsc::Receiver<OwnerRequest>,
    history: SharedHistory,
    tasks: Vec<JoinHandle<()>>,
    /// Where the page listens.
    address: Option<std::net::SocketAddr>,
}

impl Drop for AtHome {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What the agent knows after a step.
#[derive(Debug)]
pub struct Facts<'a> {
    /// When.
    pub now: Timestamp,
    /// How far the clock is trusted.
    pub clock: ClockState,
    /// The config.
    pub config: &'a AgentConfig,
    /// What each device showed, in the order of the config.
    pub snapshots: &'a [Snapshot],
    /// The link to the engine's broker.
    pub link: LinkState,
    /// When the engine last signed for something.
    pub last_receipt: Option<Timestamp>,
}

impl AtHome {
    /// Starts what the config wants on the current runtime; `None` where it wants nothing.
    ///
    /// # Errors
    /// [`AtHomeError`].
    pub fn start(config: &AgentConfig, gateway: String) -> Result<Option<Self>, AtHomeError> {
        if config.page.is_none() && config.home_assistant.is_none() {
            return Ok(None);
        }
        let zone = config
            .page
            .as_ref()
            .map_or_else(Zone::utc, |page| page.zone.clone());
        let history = History::open(&config.gateway.data.join(HISTORY), zone)?;
        let history = Arc::new(Mutex::new(history));
        let (state, watched) = watch::channel(HomeState::unknown(Timestamp::EPOCH, gateway));
        let (to_agent, commands) = mpsc::channel(COMMANDS_MAX);
        let mut tasks = Vec::new();
        let mut address = None;
        if let Some(page) = &config.page {
            let listen = page.listen;
            let refused = |source| AtHomeError::Listen { listen, source };
            let socket = StdListener::bind(listen).map_err(refused)?;
            socket.set_nonblocking(true).map_err(refused)?;
            let listener = TcpListener::from_std(socket).map_err(refused)?;
            address = Some(listener.local_addr().map_err(refused)?);
            let page = Page {
                config: page.clone(),
                state: watched.clone(),
                commands: to_agent.clone(),
                history: Arc::clone(&history),
                passwords: PasswordStore::new(&config.gateway.data),
                metrics: Arc::new(Registry::default()),
            };
            tasks.push(tokio::spawn(
                async move { match page::serve(listener, page).await {} },
            ));
        }
        if let Some(home_assistant) = config.home_assistant.clone() {
            tasks.push(tokio::spawn(async move {
                if let Err(error) = crate::home_assistant::run(home_assistant, watched, to_agent).await {
                    tracing::error!(%error, "Home Assistant's broker cannot be used");
                }
            }));
        }
        Ok(Some(Self {
            state,
            commands,
            history,
            tasks,
            address,
        }))
    }

    /// Where the page listens.
    #[must_use]
    pub const fn address(&self) -> Option<std::net::SocketAddr> {
        self.address
    }

    /// Waits for the owner's next word.
    pub async fn next(&mut self) -> Option<OwnerRequest> {
        self.commands.recv().await
    }

    /// Keeps intervals that ended. A history that fails costs charts, nothing else.
    pub fn record(&self, ended: &[Pending]) {
        let entries: Vec<Entry> = ended.iter().filter_map(entry).collect();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = history.record(&entries) {
            tracing::warn!(%error, "the charts miss an interval");
        }
        drop(history);
    }

    /// Shows what is known.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn show(&self, facts: &Facts<'_>, outbox: &Outbox) -> Result<(), OutboxError> {
        let before = self.state.borrow().clone();
        let state = portrait(facts, outbox, before, self.totals())?;
        self.state.send_replace(state);
        Ok(())
    }

    fn totals(&self) -> EnergyTotals {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = history.totals().unwrap_or_default();
        EnergyTotals {
            grid_import: totals.grid_import,
            grid_export: totals.grid_export,
            solar: totals.solar,
            battery_charge: totals.battery_charge,
            battery_discharge: totals.battery_discharge,
        }
    }
}

/// Does what the owner says, and answers him with a sentence where it cannot be done.
///
/// # Errors
/// [`OutboxError`] where his word cannot be kept.
pub fn obey(command: &OwnerCommand, outbox: &mut Outbox) -> Result<Result<(), String>, OutboxError> {
    let until = match command {
        OwnerCommand::OptIn => None,
        OwnerCommand::OptOut(OptOutScope::Until(until)) => Some(*until),
        OwnerCommand::OptOut(OptOutScope::Event(id)) => {
            let events = outbox.events(EVENTS)?;
            match events.iter().find(|event| event.event == *id) {
                Some(event) => Some(event.end),
                None => return Ok(Err(format!("there is no event {id} any more"))),
            }
        }
    };
    outbox.opt_out(until)?;
    Ok(Ok(()))
}

fn portrait(
    facts: &Facts<'_>,
    outbox: &Outbox,
    before: HomeState,
    totals: EnergyTotals,
) -> Result<HomeState, OutboxError> {
    let now = facts.now;
    let shown = || facts.config.devices.iter().zip(facts.snapshots);
    let power = flows(shown());
    let events: Vec<(EventRecord, EventState)> = outbox
        .events(EVENTS)?
        .into_iter()
        .map(|record| {
            let state = event(&record, &power);
            (record, state)
        })
        .collect();
    let of = |wanted: fn(&EventRecord, Timestamp) -> bool| {
        let found = events.iter().filter(move |(record, _)| wanted(record, now));
        found.map(|(_, state)| state.clone())
    };
    let status = outbox.status()?;
    Ok(HomeState {
        time: now,
        devices: shown()
            .enumerate()
            .map(|(index, (config, snapshot))| {
                let seen = before.devices.get(index).and_then(|device| device.last_seen);
                device(config, snapshot, now, seen)
            })
            .collect(),
        totals,
        battery: facts.config.battery().map(|battery| BatteryState {
            state_of_charge: shown()
                .filter(|(config, _)| config.kind.has_battery())
                .find_map(|(_, snapshot)| u32::try_from(snapshot.live.charge?).ok()),
            reserve: u32::try_from(facts.config.owner.reserve.thousandths()).unwrap_or(0),
            capacity: battery.capacity,
        }),
        participates: facts.config.owner.participate && facts.config.battery().is_some(),
        opt_out: outbox
            .opted_out_until()?
            .filter(|until| now < *until)
            .map(OptOutScope::Until),
        current_event: of(|event, now| event.start <= now && now < event.end).next(),
        next_event: of(|event, now| now < event.start).next_back(),
        past_events: of(|event, now| event.end <= now).collect(),
        earned: earned(outbox, before.earned)?,
        link: facts.link.clone(),
        outbox: OutboxState {
            messages: status.waiting,
            oldest: status.oldest,
            bytes: status.file_bytes,
        },
        last_receipt: facts.last_receipt,
        clock: match facts.clock {
            ClockState::Synchronised => ClockHealth::Trusted,
            ClockState::FreeRunning => {
                ClockHealth::Doubtful("nothing says that the network sets it".to_owned())
            }
            ClockState::Unknown => {
                ClockHealth::Doubtful("it cannot be trusted, so the battery takes part in nothing".to_owned())
            }
        },
        power,
        gateway: before.gateway,
    })
}

/// What statements say, read anew only where it changed.
fn earned(outbox: &Outbox, before: Arc<Earned>) -> Result<Arc<Earned>, OutboxError> {
    let revision = outbox.statements_revision();
    if before.revision == revision {
        return Ok(before);
    }
    Ok(Arc::new(Earned::of(revision, outbox.statements()?)))
}

fn flows<'a>(shown: impl Iterator<Item = (&'a DeviceConfig, &'a Snapshot)>) -> PowerFlows {
    let mut flows = PowerFlows::default();
    let part = |power: Milliwatts, sign: i64| Milliwatts::new(power.get().saturating_mul(sign).max(0));
    for (device, Snapshot { live, .. }) in shown {
        if let Some(grid) = live.grid.filter(|_| device.kind == DeviceKind::GridMeter) {
            flows.grid_import = Some(part(grid, 1));
            flows.grid_export = Some(part(grid, -1));
        }
        if let Some(pv) = live.pv {
            let sum = flows
                .solar
                .unwrap_or_default()
                .get()
                .saturating_add(pv.get().max(0));
            flows.solar = Some(Milliwatts::new(sum));
        }
        if let Some(battery) = live.battery {
            flows.battery_discharge = Some(part(battery, 1));
            flows.battery_charge = Some(part(battery, -1));
        }
    }
    flows
}

fn device(
    config: &DeviceConfig,
    snapshot: &Snapshot,
    now: Timestamp,
    seen: Option<Timestamp>,
) -> DeviceState {
    let reachable = snapshot.channels.iter().any(|(_, value)| value.is_ok());
    DeviceState {
        name: config.name.clone(),
        role: match config.kind {
            DeviceKind::GridMeter => DeviceRole::GridMeter,
            DeviceKind::PvInverter => DeviceRole::Solar,
            DeviceKind::BatteryInverter | DeviceKind::HybridInverter => DeviceRole::Battery,
        },
        reachable,
        last_seen: if reachable { Some(now) } else { seen },
        complaint: snapshot.complaint.clone(),
    }
}

fn event(record: &EventRecord, power: &PowerFlows) -> EventState {
    let is_under_way = (Progress::Written..Progress::Stopped).contains(&record.progress);
    let moved = match record.target {
        Target::SetPoint(asked) if asked < Milliwatts::ZERO => power.battery_charge,
        _ => power.battery_discharge,
    };
    EventState {
        id: record.event.clone(),
        name: record.event.replace('-', " "),
        start: record.start,
        end: record.end,
        target: target(record.target),
        decision: match (&record.because, record.is_accepted) {
            (Some(why), false) => Decision::Declined(sentence(*why).to_owned()),
            (None, false) => Decision::Declined("the agent declined it".to_owned()),
            (Some(why), true) => Decision::EndedEarly(sentence(*why).to_owned()),
            (None, true) => Decision::TakesPart("it is within what you allow".to_owned()),
        },
        stage: match record.progress {
            Progress::Waiting | Progress::Begun => EventStage::Announced,
            Progress::Written => EventStage::Written,
            Progress::Held => EventStage::ReadBack,
            Progress::Observed => EventStage::Observed,
            Progress::Stopped => EventStage::Completed,
            Progress::Done => EventStage::Restored,
        },
        power: moved.filter(|_| is_under_way),
    }
}

fn target(target: Target) -> EventTarget {
    match target {
        Target::Simple(level) => EventTarget::Simple(level.number()),
        Target::SetPoint(power) if power < Milliwatts::ZERO => {
            EventTarget::Charge(Milliwatts::new(power.get().saturating_neg()))
        }
        Target::SetPoint(power) => EventTarget::Discharge(power),
        Target::ImportLimit(limit) => EventTarget::ImportLimit(limit),
        Target::ExportLimit(limit) => EventTarget::ExportLimit(limit),
        Target::ChargeState(charge) => {
            EventTarget::ChargeTo(u32::try_from(charge.thousandths()).unwrap_or(0))
        }
    }
}

/// A reason as the owner reads it.
const fn sentence(why: Declined) -> &'static str {
    match why {
        Declined::OwnerOptOut => "you opted out",
        Declined::ReserveReached => "the battery is at your reserve",
        Declined::NoBattery => "there is no battery that could be set",
        Declined::Expired => "it came too late",
        Declined::DeviceFault => "the device did not do what it was told",
        Declined::QuietHours => "it touches your quiet hours",
        Declined::ProgramNotOptedIn => "you take no part in its program",
        Declined::PriceTooLow => "it offers less than you ask for",
        Declined::NoMeter => "there is no meter that answers",
        Declined::NotCommissioned => "the device has not been commissioned: run gridtally edge commission",
        Declined::Unsupported => "your devices cannot do what it asks for",
        Declined::ObservedOtherwise => "the device accepted it and went on as before",
        Declined::ChargeUnknown => "the charge of the battery cannot be read",
        Declined::BatteryFull => "the battery is as full as you let it be",
        Declined::BeyondOwnerLimits => "your limits leave too little of it",
        Declined::Superseded => "a later instruction took its place",
        Declined::ClockUnsure => "the clock of the box cannot be trusted",
        Declined::GatewayStopping => "the agent was stopped",
    }
}

/// The energies of an interval by what they are in the house; those of several devices are added.
fn entry(pending: &Pending) -> Option<Entry> {
    let mut energies = Energies::default();
    let mut state_of_charge = None;
    for sample in &pending.samples {
        let Ok(value) = sample.value else { continue };
        let sum = match sample.channel.quantity {
            Quantity::StateOfCharge => {
                state_of_charge = u32::try_from(value.get()).ok();
                continue;
            }
            Quantity::GridImport => &mut energies.grid_import,
            Quantity::GridExport => &mut energies.grid_export,
            Quantity::PvProduction => &mut energies.solar,
            Quantity::BatteryCharge => &mut energies.battery_charge,
            Quantity::BatteryDischarge => &mut energies.battery_discharge,
        };
        *sum = Some(MilliwattHours::new(
            sum.unwrap_or_default().get().checked_add(value.get())?,
        ));
    }
    Some(Entry {
        interval: pending.interval,
        energies,
        state_of_charge,
    })
}

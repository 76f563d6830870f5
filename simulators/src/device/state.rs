//! One device from the inside.

use super::commands::{Commands, Panel};
use super::control::TimerHabit;
use super::models::{self, Ratings};
use super::profiled::{self, Recipes};
use super::snapshot::{Grid, Inverter, Metered};
use super::spec::{DeviceSpec, Role};
use super::view::{Remembered, distorted};
use super::{Answer, BuildError, build, clock};
use crate::fault::{Active, Fault, FaultPlan, Layer, Nonsense, Schedule};
use crate::physics::Site;
use crate::random::Random;
use crate::registers::{RegisterMap, Table};
use crate::replay::Replay;
use crate::spec::HomeSpec;
use gridtally_registers::profile::Profile;
use tokio_modbus::{ExceptionCode, Request, Response};

/// FC 3 and 4 carry at most 125 registers, FC 16 at most 123 (*MODBUS Application Protocol* 1.1b3,
/// §6.3, §6.4 and §6.12).
const MAX_READ: u16 = 125;
const MAX_WRITE: usize = 123;
/// What the byte count of a reply can say at most.
const MAX_REPLY_WORDS: usize = 127;

/// Where a device's registers come from.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a device has one of them")]
enum Nature {
    /// From the physics of a site.
    Simulated { spec: Box<DeviceSpec>, ratings: Ratings },
    /// From a recording of a real device.
    Replayed(Replay),
}

/// Registers, rules, timers and faults of a device.
#[derive(Debug)]
pub(crate) struct DeviceState {
    name: String,
    unit: u8,
    nature: Nature,
    map: RegisterMap,
    panel: Panel,
    recipes: Option<Recipes>,
    faults: FaultPlan,
    remembered: Remembered,
    seed: u64,
    now: i64,
    /// The day of the device's own clock.
    day: i64,
}

impl DeviceState {
    pub(crate) fn new(spec: DeviceSpec, home: &HomeSpec, seed: u64) -> Result<Self, BuildError> {
        let ratings = Ratings::of(&spec, home);
        let map = build::registers(&spec, &ratings)?;
        let mut panel = Panel::new(&map, &ratings, spec.heartbeat_seconds);
        let recipes = spec.profile.as_ref().map(|profile| {
            panel.writable = profiled::writable(profile);
            Recipes::new(profile, &map)
        });
        Ok(Self {
            name: spec.name.clone(),
            unit: spec.unit,
            nature: Nature::Simulated {
                spec: Box::new(spec),
                ratings,
            },
            map,
            panel,
            recipes,
            faults: FaultPlan::default(),
            remembered: Remembered::new(),
            seed,
            now: i64::MIN,
            day: 0,
        })
    }

    /// A device that says again what a real one said. It has no control: a write meets exception 2.
    pub(crate) fn replayed(name: String, unit: u8, map: RegisterMap, replay: Replay, seed: u64) -> Self {
        Self {
            name,
            unit,
            nature: Nature::Replayed(replay),
            map,
            panel: Panel::default(),
            recipes: None,
            faults: FaultPlan::default(),
            remembered: Remembered::new(),
            seed,
            now: i64::MIN,
            day: 0,
        }
    }

    /// The instant that it was moved to.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn unit(&self) -> u8 {
        self.unit
    }

    /// What the device is; `None` of a replayed one.
    pub(crate) fn role(&self) -> Option<Role> {
        match &self.nature {
            Nature::Simulated { spec, .. } => Some(spec.role),
            Nature::Replayed(_) => None,
        }
    }

    /// The profile of a device without SunSpec.
    fn profile(&self) -> Option<&Profile> {
        match &self.nature {
            Nature::Simulated { spec, .. } => spec.profile.as_deref(),
            Nature::Replayed(_) => None,
        }
    }

    pub(crate) fn map(&self) -> &RegisterMap {
        &self.map
    }

    /// The faults in force; none at no cost when none was ever planned.
    pub(crate) fn active(&self) -> Vec<Active> {
        if self.faults.is_empty() {
            Vec::new()
        } else {
            self.faults.active(self.now)
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.active().iter().any(|active| active.fault == fault)
    }

    /// Whether it is off.
    pub(crate) fn is_offline(&self) -> bool {
        !self.faults.is_empty() && self.has(Fault::Offline)
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        self.faults.inject(fault, self.now);
        if matches!(fault, Fault::Frozen | Fault::CounterReset) {
            // Injected over itself, it begins anew.
            self.remembered.remove(fault.name());
        }
        self.settle();
    }

    /// Switches a live fault off, from this instant on; whether there was one.
    pub(crate) fn eject(&mut self, name: &str) -> bool {
        let was_on = self.faults.eject(name);
        self.settle();
        was_on
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
        self.settle();
    }

    pub(crate) fn plan(&mut self, fault: Fault, schedule: Schedule) {
        self.faults.schedule(fault, schedule, self.now);
        self.settle();
    }

    /// Faults have begun or ended, or time has moved on.
    fn settle(&mut self) {
        let day = self.clock_at(self.now).div_euclid(clock::SECONDS_PER_DAY);
        if day != self.day {
            self.day = day;
            self.remembered.remove(Fault::CounterResetsDaily.name());
        }
        if !self.faults.is_empty() || !self.remembered.is_empty() {
            self.remember();
        }
        let obeyed = self.remembered.get(Fault::WritesNotObeyed.name());
        self.panel.jump(obeyed.unwrap_or(&self.map));
    }

    /// What a client sees now, value and map faults included.
    pub(crate) fn seen(&self) -> RegisterMap {
        self.distorted(&self.active()).unwrap_or_else(|| self.map.clone())
    }

    fn distorted(&self, active: &[Active]) -> Option<RegisterMap> {
        distorted(&self.map, active, &self.remembered, self.profile())
    }

    /// The device's own clock, in Unix seconds.
    fn clock_at(&self, now: i64) -> i64 {
        clock::reading(&self.faults.active(now), now)
    }

    /// Moves the device's time on: timers run out, faults begin and end.
    pub(crate) fn tick(&mut self, now: i64) {
        self.now = now;
        if let Nature::Replayed(replay) = &mut self.nature {
            replay.play(now, &mut self.map);
        }
        self.settle();
        let (deaf, stopped) = (self.has(Fault::HeartbeatIgnored), self.has(Fault::NeverReverts));
        let heart = self.panel.heartbeat.as_mut();
        let missed = !deaf && heart.is_some_and(|heart| heart.is_missed(now));
        for reversion in &mut self.panel.reversions {
            if stopped {
                reversion.stop();
            }
            if missed || reversion.is_due(now) {
                // What a device goes on to obey reverts, too, though nothing that is written is obeyed.
                if let Some(obeyed) = self.remembered.get_mut(Fault::WritesNotObeyed.name()) {
                    reversion.take_back(obeyed);
                }
                reversion.take_back(&mut self.map);
            }
            reversion.count_down(&mut self.map, now);
        }
        if let Some(recipes) = &mut self.recipes {
            recipes.expire(&mut self.map, now, deaf);
        }
        self.settle();
    }

    /// Keeps the registers of the instant at which a fault began, for those that go back to it.
    fn remember(&mut self) {
        let active = self.active();
        self.remembered
            .retain(|name, _| active.iter().any(|active| active.fault.name() == *name));
        for Active { fault, .. } in active {
            let keeps = matches!(
                fault,
                Fault::Frozen | Fault::CounterReset | Fault::CounterResetsDaily | Fault::WritesNotObeyed
            );
            if keeps && !self.remembered.contains_key(fault.name()) {
                self.remembered.insert(fault.name(), self.map.clone());
            }
        }
    }

    /// When something changes by itself next: a timer, a ramp, a fault, a midnight that matters.
    pub(crate) fn next_change(&self) -> Option<i64> {
        let midnight = self
            .faults
            .plans(Fault::CounterResetsDaily.name())
            .then(|| clock::midnight(&self.active(), self.now));
        let fault = self.faults.next_boundary(self.now);
        let heart = self.panel.heartbeat.as_ref();
        let missed = heart.and_then(|heart| heart.deadline());
        let missed = missed.filter(|_| !self.has(Fault::HeartbeatIgnored));
        let recipes = self.recipes.as_ref().and_then(Recipes::next_change);
        [self.panel.next_change(self.now), missed, recipes, fault, midnight]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the control registers of a simulated device ask for now.
    pub(crate) fn commands(&self) -> Option<(Role, Commands)> {
        let Nature::Simulated { spec, ratings } = &self.nature else {
            return None;
        };
        let obeyed = self
            .remembered
            .get(Fault::WritesNotObeyed.name())
            .unwrap_or(&self.map);
        let commands = match &self.recipes {
            Some(recipes) => recipes.commands(obeyed, ratings),
            None => self.panel.commands(obeyed, ratings, self.now),
        };
        Some((spec.role, commands))
    }

    /// Writes what the device measures into its registers.
    pub(crate) fn publish(&mut self, site: &Site) {
        let (grid, clock) = (Grid::of(site), self.clock_at(site.now()));
        let commands = self.commands();
        let (Nature::Simulated { spec, ratings }, Some((_, commands))) = (&self.nature, commands) else {
            return;
        };
        if let Some(profile) = &spec.profile {
            profiled::publish(&mut self.map, profile, spec, ratings, site, &commands);
            return;
        }
        if spec.role == Role::Meter {
            // Model 1 comes first.
            for n in 1..self.map.models().len() {
                if let Some(mut page) = self.map.page(n) {
                    models::publish_meter(&mut page, spec, grid, Metered::of(spec.branch(n - 1), site));
                }
            }
            return;
        }
        let inverter = Inverter::of(spec, site, &commands);
        for n in 0..self.map.models().len() {
            if let Some(mut page) = self.map.page(n) {
                models::publish(&mut page, spec, grid, &inverter, clock);
            }
        }
    }

    pub(crate) fn answer(&mut self, request: &Request<'_>) -> Answer {
        let active = self.active();
        let fault = |wanted: Fault| active.iter().any(|active| active.fault == wanted);
        if fault(Fault::Offline) || fault(Fault::Silent) {
            return Answer::Silence;
        }
        if let Some(exception) = exception_of(&active) {
            return Answer::Exception(exception);
        }
        let outcome = match request {
            _ if fault(Fault::Nonsense) => self.talk_nonsense(request),
            Request::ReadHoldingRegisters(address, count) => self
                .read(Table::Holding, *address, *count, &active)
                .map(Response::ReadHoldingRegisters),
            Request::ReadInputRegisters(address, count) => self
                .read(Table::Input, *address, *count, &active)
                .map(Response::ReadInputRegisters),
            Request::WriteSingleRegister(address, word) => self
                .take(*address, &[*word], &active)
                .map(|()| Response::WriteSingleRegister(*address, *word)),
            Request::WriteMultipleRegisters(address, words) => {
                let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
                self.take(*address, words, &active)
                    .map(|()| Response::WriteMultipleRegisters(*address, count))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        };
        let reading = matches!(
            request,
            Request::ReadHoldingRegisters(..) | Request::ReadInputRegisters(..)
        );
        match outcome {
            Ok(_) if !reading && fault(Fault::WriteAppliedUnanswered) => Answer::Silence,
            Ok(response) => Answer::Reply(response),
            Err(exception) => Answer::Exception(exception),
        }
    }

    /// A read, with what faults make of it.
    fn read(
        &self,
        table: Table,
        address: u16,
        count: u16,
        active: &[Active],
    ) -> Result<Vec<u16>, ExceptionCode> {
        let most = self.profile().map_or(MAX_READ, |profile| profile.max_registers);
        if !(1..=most.min(MAX_READ)).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let seen = self.distorted(active);
        let map = seen.as_ref().unwrap_or(&self.map);
        let words = map
            .read(table, address, count)
            .map_err(|_| ExceptionCode::IllegalDataAddress)?;
        let mut words = words.to_vec();
        for Active { fault, .. } in active {
            match *fault {
                Fault::SmallReads { registers } if i64::from(count) > registers => {
                    return Err(ExceptionCode::IllegalDataValue);
                }
                Fault::NoReadAcrossModels if self.crosses_models(address, count) => {
                    return Err(ExceptionCode::IllegalDataAddress);
                }
                Fault::ShortReply { by } => {
                    let by = usize::try_from(by.max(0)).unwrap_or(usize::MAX);
                    words.truncate(words.len().saturating_sub(by));
                }
                Fault::LongReply { by } => {
                    let by = usize::try_from(by.max(0)).unwrap_or(usize::MAX);
                    let length = words.len().saturating_add(by).min(MAX_REPLY_WORDS);
                    words.resize(length, 0);
                }
                _ => {}
            }
        }
        Ok(words)
    }

    /// Whether a read takes in registers of more than one model, marker and end model counted as such.
    fn crosses_models(&self, address: u16, count: u16) -> bool {
        let last = address.saturating_add(count - 1);
        let starts = self.map.models().iter().map(|model| model.address);
        let end = self
            .map
            .models()
            .last()
            .map(|model| model.address + 2 + model.layout.length());
        starts.chain(end).any(|start| address < start && start <= last)
    }

    /// A write, with what faults make of it.
    fn take(&mut self, address: u16, words: &[u16], active: &[Active]) -> Result<(), ExceptionCode> {
        let fault = |wanted: Fault| active.iter().any(|active| active.fault == wanted);
        if fault(Fault::WritesRefused) {
            return Err(ExceptionCode::ServerDeviceFailure);
        }
        let touched = self.check_write(address, words)?;
        if fault(Fault::WritesIgnored) {
            return Ok(());
        }
        let obeys = !fault(Fault::WritesNotObeyed);
        if let (true, Some(recipes)) = (obeys, &mut self.recipes) {
            recipes.expect(&self.map, &touched);
        }
        self.write(address, words, &touched)?;
        if obeys {
            self.obey(&touched, active);
        }
        Ok(())
    }

    fn check_write(&self, address: u16, words: &[u16]) -> Result<Vec<u16>, ExceptionCode> {
        if !(1..=MAX_WRITE).contains(&words.len()) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let touched: Vec<u16> = (address..=u16::MAX).take(words.len()).collect();
        let known = touched.len() == words.len()
            && touched.iter().all(|&address| {
                self.panel
                    .writable
                    .iter()
                    .any(|writable| writable.covers(address))
            });
        if known {
            Ok(touched)
        } else {
            Err(ExceptionCode::IllegalDataAddress)
        }
    }

    /// All or nothing: no register changes unless each point accepts what it would hold.
    fn write(&mut self, address: u16, words: &[u16], touched: &[u16]) -> Result<(), ExceptionCode> {
        let count = u16::try_from(words.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
        let before = self.map.read(Table::Holding, address, count);
        let before = before.map_err(|_| ExceptionCode::IllegalDataAddress)?.to_vec();
        self.map.put(Table::Holding, address, words.iter().copied());
        let touches = |place: &super::control::Writable| touched.iter().any(|&address| place.covers(address));
        let accepted = self
            .panel
            .writable
            .iter()
            .filter(|place| touches(place))
            .all(|place| place.may_be_written_by(touched) && place.accepts(&self.map));
        if !accepted {
            self.map.put(Table::Holding, address, before);
            return Err(ExceptionCode::IllegalDataValue);
        }
        Ok(())
    }

    /// Starts timers and ramps after a write.
    fn obey(&mut self, touched: &[u16], active: &[Active]) {
        let mut habit = TimerHabit {
            counts: true,
            unit_seconds: 1,
        };
        for Active { fault, .. } in active {
            match fault {
                Fault::NeverReverts => habit.counts = false,
                Fault::ReversionUnit { seconds } => habit.unit_seconds = (*seconds).max(1),
                _ => {}
            }
        }
        for reversion in &mut self.panel.reversions {
            if reversion.is_touched_by(touched) {
                reversion.restart(&self.map, self.now, habit);
            }
        }
        if let Some(recipes) = &mut self.recipes {
            recipes.obey(&self.map, touched, self.now, habit);
        }
        if let Some(heart) = &mut self.panel.heartbeat {
            heart.listen(&self.map, touched, self.now);
        }
        let mut random = Random::nth(self.seed, "window", self.now.cast_unsigned());
        self.panel.steer(&self.map, self.now, &mut random);
        for reversion in &self.panel.reversions {
            reversion.count_down(&mut self.map, self.now);
        }
    }

    /// Nonsense depends on the instant and the registers, not on what was asked before: a client
    /// that is killed and comes back hears the same.
    fn talk_nonsense(&self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        let Request::ReadHoldingRegisters(address, count) = *request else {
            return Err(Nonsense::any_exception(&mut self.randomness(0, 0)));
        };
        if !(1..=MAX_READ).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let healthy = self.map.read(Table::Holding, address, count);
        let healthy = healthy.map_err(|_| ExceptionCode::IllegalDataAddress)?;
        let mut random = self.randomness(address, count);
        let how = Nonsense::any(&mut random);
        how.spoil(&self.map, address, healthy, &mut random)
            .map(Response::ReadHoldingRegisters)
    }

    fn randomness(&self, address: u16, count: u16) -> Random {
        let moment = self.now.cast_unsigned() << 32 | u64::from(address) << 16 | u64::from(count);
        Random::nth(self.seed, "nonsense", moment)
    }
}

/// The exception that every request meets, if a fault says so.
fn exception_of(active: &[Active]) -> Option<ExceptionCode> {
    let replies = active
        .iter()
        .filter(|active| active.fault.layer() == Layer::Reply);
    replies
        .filter_map(|active| match active.fault {
            Fault::IllegalAddress => Some(ExceptionCode::IllegalDataAddress),
            Fault::DeviceFailure => Some(ExceptionCode::ServerDeviceFailure),
            Fault::Busy => Some(ExceptionCode::ServerDeviceBusy),
            Fault::GatewayTargetSilent => Some(ExceptionCode::GatewayTargetDevice),
            _ => None,
        })
        .next()
}

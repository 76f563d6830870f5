//! One device from the inside: what it is, how its time passes, what it measures. How it answers is in
//! [`requests`].

mod requests;

use super::commands::{Commands, Panel};
use super::models::{self, Ratings};
use super::profiled::{self, Recipes};
use super::snapshot::{Grid, Inverter, Metered};
use super::spec::{DeviceSpec, Role};
use super::view::{Remembered, distorted};
use super::{BuildError, build, clock};
use crate::fault::{Active, Fault, FaultPlan, Schedule};
use crate::physics::Site;
use crate::registers::RegisterMap;
use crate::replay::Replay;
use crate::spec::HomeSpec;
use gridtally_registers::profile::Profile;

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
            // Faults may be put on before time begins, and count from here.
            now: 0,
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
}

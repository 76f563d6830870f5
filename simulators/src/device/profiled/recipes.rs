//! Controls of a profile that act, and go back by themselves.
//!
//! A recipe is in force while all its fixed values stand in the registers and a client has written one of
//! its registers since the device last went back. What stands in the place of `{watts}` or `{percent}` is
//! how much. Where charge and discharge are both in force, the one that was written last holds.
//!
//! | action | what the physics makes of it |
//! |---|---|
//! | `limit_export` | the site gives at most so much to the grid: first a discharge is held back, then the panels |
//! | `limit_production` | the inverter gives at most so much; a hybrid stores the surplus |
//! | `force_charge`, `force_discharge` | the battery's power at its AC terminals, as far as it can |
//!
//! A percentage is one of the inverter's nameplate, of charge and discharge one of the battery's. A recipe
//! without an amount means 0 for a limit and the nameplate for charge and discharge.

use super::number_in;
use crate::device::commands::Commands;
use crate::device::control::TimerHabit;
use crate::device::models::Ratings;
use crate::physics::PowerWindow;
use crate::registers::{RegisterMap, Table};
use gridtally_registers::profile::{
    Access, Action, Argument, Control, Point, Profile, Quantity, Reversion, Write, Written,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// The recipes of a device.
#[derive(Debug)]
pub(crate) struct Recipes {
    recipes: Vec<Recipe>,
    release: Option<Control>,
    reserve: Option<Reserve>,
    /// What each register of a recipe goes back to.
    rest: BTreeMap<u16, u16>,
    /// How many writes there have been.
    writes: u64,
}

/// The point by which the owner sets the battery's reserve, and what it says at first.
#[derive(Debug)]
struct Reserve {
    point: Point,
    at_first: Option<Decimal>,
}

#[derive(Debug)]
struct Recipe {
    action: Action,
    control: Control,
    /// The point that holds the time, where the device counts one.
    timer: Option<Point>,
    /// The number of the last write that touched it; `None` since the device has gone back.
    touched: Option<u64>,
    expires: Option<i64>,
}

fn holds(write: &Write, address: u16) -> bool {
    address
        .checked_sub(write.address)
        .is_some_and(|offset| offset < write.encoding().length())
}

fn touches(control: &Control, addresses: &[u16]) -> bool {
    let mut writes = control.writes.iter();
    writes.any(|write| addresses.iter().any(|&address| holds(write, address)))
}

/// The writes whose values stay: a recipe may write one register twice.
fn lasting(control: &Control) -> impl Iterator<Item = &Write> {
    control.writes.iter().enumerate().filter_map(|(n, write)| {
        let later = &control.writes[n + 1..];
        let overwritten = later.iter().any(|other| other.address == write.address);
        (!overwritten).then_some(write)
    })
}

fn value(write: &Write, map: &RegisterMap) -> Option<Decimal> {
    let encoding = write.encoding();
    let words = map.read(Table::Holding, write.address, encoding.length()).ok()?;
    number_in(encoding, words)
}

/// Whether each fixed value stands in its registers, and in the place of each other one an amount: what is
/// negative asks for the other direction, of which another recipe speaks.
fn stands(control: &Control, map: &RegisterMap) -> bool {
    lasting(control).all(|write| match write.value {
        Written::Literal(literal) => value(write, map) == Some(literal),
        Written::Argument(_) => value(write, map).is_some_and(|amount| !amount.is_sign_negative()),
    })
}

impl Recipe {
    fn is_in_force(&self, map: &RegisterMap) -> bool {
        self.touched.is_some() && stands(&self.control, map)
    }

    /// How much is asked for, in milliwatts, where all of it is so many watts.
    fn milliwatts(&self, map: &RegisterMap, whole_watts: i64) -> Option<i64> {
        let amount = lasting(&self.control).find_map(|write| match write.value {
            Written::Argument(argument @ (Argument::Watts | Argument::Percent)) => Some((argument, write)),
            _ => None,
        });
        let (argument, write) = amount?;
        let value = value(write, map)?;
        let base = write.unit().map_or(Some(value), |unit| unit.to_base(value))?;
        let milliwatts = match argument {
            Argument::Percent => base
                .checked_mul(Decimal::from(whole_watts))?
                .checked_mul(Decimal::TEN)?,
            _ => base.checked_mul(Decimal::ONE_THOUSAND)?,
        };
        // Beyond 64 bits it is beyond every home.
        Some(milliwatts.to_i64().unwrap_or(i64::MAX / 4).clamp(0, i64::MAX / 4))
    }

    /// After how many seconds the device goes back; a timer at 0 does not count, as in SunSpec.
    fn seconds(&self, map: &RegisterMap) -> Option<i64> {
        match self.control.reverts_after.as_ref()? {
            Reversion::Never => None,
            Reversion::KeepAlive { seconds } => Some(i64::from(*seconds)),
            Reversion::Timer(_) => {
                let timer = self.timer.as_ref()?;
                let value = number_in(&timer.encoding, super::read(map, timer)?)?;
                let seconds = timer.unit.map_or(Some(value), |unit| unit.to_base(value))?;
                seconds.to_i64().filter(|seconds| *seconds > 0)
            }
        }
    }

    fn is_kept_alive(&self) -> bool {
        matches!(self.control.reverts_after, Some(Reversion::KeepAlive { .. }))
    }
}

impl Recipes {
    pub(crate) fn new(profile: &Profile, map: &RegisterMap) -> Self {
        let acting = profile
            .controls
            .iter()
            .filter(|(action, _)| **action != Action::Release);
        let recipes = acting.map(|(action, control)| Recipe {
            action: *action,
            control: control.clone(),
            timer: match &control.reverts_after {
                Some(Reversion::Timer(name)) => profile.point(name).cloned(),
                _ => None,
            },
            touched: None,
            expires: None,
        });
        let settable = |point: &&Point| point.access != Access::ReadOnly;
        let reserve = profile
            .quantity(Quantity::BatteryReserve)
            .filter(settable)
            .map(|point| Reserve {
                point: point.clone(),
                at_first: super::read(map, point).and_then(|words| number_in(&point.encoding, words)),
            });
        let mut recipes = Self {
            recipes: recipes.collect(),
            release: profile.controls.get(&Action::Release).cloned(),
            reserve,
            rest: BTreeMap::new(),
            writes: 0,
        };
        let writes = profile.controls.values().flat_map(|control| &control.writes);
        let addresses: Vec<u16> = writes
            .flat_map(|write| (write.address..=u16::MAX).take(usize::from(write.encoding().length())))
            .collect();
        recipes.expect(map, &addresses);
        recipes
    }

    /// A client is about to write: keeps what the registers go back to, but not what a recipe in force has
    /// put there.
    pub(crate) fn expect(&mut self, map: &RegisterMap, touched: &[u16]) {
        for &address in touched {
            let mut holding = self
                .recipes
                .iter()
                .filter(|recipe| touches(&recipe.control, &[address]))
                .peekable();
            if holding.peek().is_some()
                && holding.all(|recipe| !recipe.is_in_force(map))
                && let Ok(&[word]) = map.read(Table::Holding, address, 1)
            {
                self.rest.insert(address, word);
            }
        }
    }

    /// A client has written.
    pub(crate) fn obey(&mut self, map: &RegisterMap, touched: &[u16], now: i64, habit: TimerHabit) {
        self.writes += 1;
        for recipe in &mut self.recipes {
            if touches(&recipe.control, touched) {
                recipe.touched = Some(self.writes);
            }
        }
        if let Some(release) = &self.release
            && touches(release, touched)
            && stands(release, map)
        {
            for recipe in &mut self.recipes {
                (recipe.touched, recipe.expires) = (None, None);
            }
        }
        for recipe in &mut self.recipes {
            if !recipe.is_in_force(map) {
                recipe.expires = None;
            } else if recipe.touched == Some(self.writes) {
                let seconds = recipe.seconds(map).filter(|_| habit.counts);
                recipe.expires =
                    seconds.map(|seconds| now.saturating_add(seconds.saturating_mul(habit.unit_seconds)));
            }
        }
    }

    /// When the device goes back by itself next.
    pub(crate) fn next_change(&self) -> Option<i64> {
        self.recipes.iter().filter_map(|recipe| recipe.expires).min()
    }

    /// Takes back what has run out, but not from the hands of another recipe in force; a device that is
    /// deaf to its controller's heartbeat does not miss it either.
    pub(crate) fn expire(&mut self, map: &mut RegisterMap, now: i64, deaf: bool) {
        for n in 0..self.recipes.len() {
            let recipe = &mut self.recipes[n];
            if recipe.expires.is_none_or(|at| at > now) {
                continue;
            }
            recipe.expires = None;
            if deaf && recipe.is_kept_alive() {
                continue;
            }
            recipe.touched = None;
            let writes = self.recipes[n].control.writes.clone();
            let mut back = BTreeMap::new();
            for (&address, &word) in &self.rest {
                let held = self
                    .recipes
                    .iter()
                    .any(|other| touches(&other.control, &[address]) && other.is_in_force(map));
                if !held && writes.iter().any(|write| holds(write, address)) {
                    back.insert(address, word);
                }
            }
            for (address, word) in back {
                map.put(Table::Holding, address, [word]);
            }
        }
    }

    /// What is asked for now.
    pub(crate) fn commands(&self, map: &RegisterMap, ratings: &Ratings) -> Commands {
        let mut commands = Commands {
            connected: true,
            limit: None,
            export_limit: None,
            set_point: None,
            window: PowerWindow::OPEN,
            reserve_basis_points: self.reserve(map).unwrap_or(ratings.reserve_permille * 10),
            grid_charging: true,
        };
        let mut in_force: Vec<&Recipe> = self
            .recipes
            .iter()
            .filter(|recipe| recipe.is_in_force(map))
            .collect();
        in_force.sort_by_key(|recipe| recipe.touched);
        for recipe in in_force {
            let amount = |whole| recipe.milliwatts(map, whole);
            match recipe.action {
                Action::LimitExport => commands.export_limit = Some(amount(ratings.watts).unwrap_or(0)),
                Action::LimitProduction => commands.limit = Some(amount(ratings.watts).unwrap_or(0)),
                Action::ForceCharge => {
                    let nameplate = ratings.charge_watts;
                    let power = amount(nameplate).unwrap_or(nameplate * 1_000);
                    commands.window = PowerWindow::exactly(-power);
                }
                Action::ForceDischarge => {
                    let nameplate = ratings.discharge_watts;
                    let power = amount(nameplate).unwrap_or(nameplate * 1_000);
                    commands.window = PowerWindow::exactly(power);
                }
                Action::Release => {}
            }
        }
        commands
    }

    /// The reserve that a client has set, in hundredths of a percent.
    fn reserve(&self, map: &RegisterMap) -> Option<i64> {
        let Reserve { point, at_first } = self.reserve.as_ref()?;
        let percent = number_in(&point.encoding, super::read(map, point)?)?;
        let basis_points = percent.checked_mul(Decimal::ONE_HUNDRED)?.to_i64()?;
        (Some(percent) != *at_first).then_some(basis_points.clamp(0, 10_000))
    }
}

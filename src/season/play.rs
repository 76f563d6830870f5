//! Playing a home twice: as it was dispatched, and as it would have been if nobody had ever asked.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_simulators::{Device, Energies, Home, HomeSpec};

use super::home::{Kind, SeasonHome};
use super::plan::{Answer, Conduct, EventPlan, HOUR, Plan, SLOT, SLOTS_PER_DAY};

/// What people without a battery switch on to look better, in milliwatt-hours an interval.
const GAMING: i64 = 600_000;
/// What was left off is made up for by half, over so many intervals after the event.
const REBOUND_SLOTS: usize = 4;
/// From when until when before an event it is gamed: the hours by which most baselines are adjusted.
const GAMED: (i64, i64) = (4 * HOUR, HOUR);

/// What a home's meter counted, and what it would have counted, in milliwatt-hours by interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Taken from the grid.
    pub import: Vec<i64>,
    /// Given to the grid.
    pub export: Vec<i64>,
    /// Import less export, if nobody had ever asked.
    pub without: Vec<i64>,
}

impl Trace {
    /// Import less export.
    #[must_use]
    pub fn net(&self, slot: usize) -> Option<i64> {
        self.import.get(slot)?.checked_sub(*self.export.get(slot)?)
    }
}

/// What is asked of a battery.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    /// To give this power for so many seconds.
    Give(Milliwatts, i64),
    /// To charge from the grid with half of its power for so many seconds.
    Charge(i64),
}

/// Commands by the Unix second at which they are given.
type Commands = BTreeMap<i64, Command>;

/// What passes a home in an interval.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    import: i64,
    export: i64,
    load: i64,
}

/// Plays a home through the season.
///
/// # Errors
/// Where its specification is impossible, or its battery refuses a command.
pub fn play(plan: &Plan, home: &SeasonHome, conduct: &Conduct) -> anyhow::Result<Trace> {
    let events: Vec<EventPlan> = plan.events();
    let usual = usual(plan, home.kind);
    let without = run(plan, &home.spec, &usual)?;
    let taken: Vec<&EventPlan> = events
        .iter()
        .zip(&conduct.answers)
        .filter(|(_, answer)| **answer == Answer::In)
        .map(|(event, _)| event)
        .collect();
    let with = if home.kind.has_battery() {
        run(plan, &home.spec, &dispatched(home, &taken, usual))?
    } else {
        by_hand(plan, home, &taken, without.clone())
    };
    Ok(Trace {
        import: with.iter().map(|slot| slot.import).collect(),
        export: with.iter().map(|slot| slot.export).collect(),
        without: without
            .iter()
            .map(|slot| slot.import.saturating_sub(slot.export))
            .collect(),
    })
}

/// What an owner does with his battery of his own accord.
fn usual(plan: &Plan, kind: Kind) -> Commands {
    if kind != Kind::NightBattery {
        return Commands::new();
    }
    let nights = (0..plan.days()).map(|day| plan.after(day, HOUR).unix());
    nights.map(|night| (night, Command::Charge(4 * HOUR))).collect()
}

fn dispatched(home: &SeasonHome, taken: &[&EventPlan], mut commands: Commands) -> Commands {
    for event in taken {
        let start = event.start.unix();
        let seconds = event.end.seconds_since(event.start);
        commands.insert(start, Command::Give(Plan::discharge(), seconds));
        if home.gamer {
            let (from, until) = GAMED;
            commands.insert(
                start.saturating_sub(from),
                Command::Charge(from.saturating_sub(until)),
            );
        }
    }
    commands
}

/// People who leave something off, and use half of it afterwards; gamers switch something on before.
fn by_hand(plan: &Plan, home: &SeasonHome, taken: &[&EventPlan], mut slots: Vec<Slot>) -> Vec<Slot> {
    for event in taken {
        let (first, after) = (plan.slot(event.start), plan.slot(event.end));
        let mut shed = 0_i64;
        for slot in slots.get_mut(first..after).unwrap_or_default() {
            let less = slot.load.saturating_mul(home.shed_permille).div_euclid(1_000);
            slot.add(less.saturating_neg());
            shed = shed.saturating_add(less);
        }
        let each = shed
            .div_euclid(2)
            .div_euclid(i64::try_from(REBOUND_SLOTS).unwrap_or(1));
        let rebound = after..after.saturating_add(REBOUND_SLOTS);
        slots
            .get_mut(rebound)
            .unwrap_or_default()
            .iter_mut()
            .for_each(|slot| slot.add(each));
        if home.gamer {
            let before =
                |seconds: i64| usize::try_from(seconds / SLOT).map_or(first, |n| first.saturating_sub(n));
            let window = before(GAMED.0)..before(GAMED.1);
            slots
                .get_mut(window)
                .unwrap_or_default()
                .iter_mut()
                .for_each(|slot| slot.add(GAMING));
        }
    }
    slots
}

impl Slot {
    /// More use, or less: of less import what is left goes to the grid.
    fn add(&mut self, use_of: i64) {
        let import = self.import.saturating_add(use_of);
        self.import = import.max(0);
        self.export = self.export.saturating_add(import.min(0).saturating_neg());
    }
}

fn run(plan: &Plan, spec: &HomeSpec, commands: &Commands) -> anyhow::Result<Vec<Slot>> {
    let count = plan.days().saturating_mul(SLOTS_PER_DAY);
    let mut now = plan.start().unix();
    let mut home = Home::try_new(spec.clone(), now)?;
    if let Some(battery) = home.devices().first() {
        // Who is told to charge may take it from the grid.
        write(battery, "ChaGriSet", &[1])?;
    }
    let mut before = home.energies();
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        if let (Some(command), Some(battery)) = (commands.get(&now), home.devices().first()) {
            command.give(battery, i64::from(spec.battery.power_watts))?;
        }
        now = now.saturating_add(SLOT);
        home.advance_to(now);
        let energies = home.energies();
        slots.push(Slot::between(&before, &energies));
        before = energies;
    }
    Ok(slots)
}

impl Slot {
    fn between(before: &Energies, after: &Energies) -> Self {
        let counted = |of: fn(&Energies) -> i64| of(after).saturating_sub(of(before));
        Self {
            import: counted(|e| e.grid_import.milliwatt_hours()),
            export: counted(|e| e.grid_export.milliwatt_hours()),
            load: counted(|e| e.load.milliwatt_hours()),
        }
    }
}

impl Command {
    /// Writes it as an agent would: rates in hundredths of a percent with the device's own timer, then the mode.
    pub(crate) fn give(self, battery: &Device, power_watts: i64) -> anyhow::Result<()> {
        let (rate, seconds, mode) = match self {
            Self::Give(power, seconds) => {
                let rate = power
                    .get()
                    .saturating_mul(10)
                    .checked_div(power_watts)
                    .unwrap_or(0);
                (rate.clamp(0, 10_000), seconds, 3)
            }
            Self::Charge(seconds) => (-5_000, seconds, 2),
        };
        let words = [rate, rate.saturating_neg(), 0, seconds, 0];
        write(battery, "OutWRte", &words)?;
        write(battery, "StorCtl_Mod", &[mode])
    }
}

/// Function code 16.
fn write(battery: &Device, point: &str, values: &[i64]) -> anyhow::Result<()> {
    let address = battery
        .address(124, point)
        .with_context(|| format!("the battery has no {point}"))?;
    let count = u8::try_from(values.len())?;
    let mut request = vec![16];
    request.extend(address.to_be_bytes());
    request.extend([0, count, count.saturating_mul(2)]);
    for value in values {
        request.extend(i16::try_from(*value)?.to_be_bytes());
    }
    let reply = battery.answer_pdu(&request);
    ensure!(
        reply.as_ref().and_then(|reply| reply.first()) == Some(&16),
        "the battery does not take {values:?} for {point}: {reply:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(gamer: bool) -> SeasonHome {
        let mut home = SeasonHome::draw(&Plan::small(), 0);
        (home.gamer, home.shed_permille) = (gamer, 500);
        home
    }

    #[test]
    fn who_leaves_something_off_makes_up_for_half_of_it_and_who_games_uses_more_before() {
        let plan = Plan::small();
        let event = plan.events().remove(0);
        let slot = Slot {
            import: 800_000,
            export: 0,
            load: 800_000,
        };
        let before = vec![slot; plan.days() * SLOTS_PER_DAY];
        let after = by_hand(&plan, &home(true), &[&event], before);
        let (first, end) = (plan.slot(event.start), plan.slot(event.end));
        for (number, slot) in after.iter().enumerate() {
            let shed = i64::try_from(end - first).unwrap() * 400_000;
            let expected = match number {
                n if (first..end).contains(&n) => 400_000,
                n if (end..end + 4).contains(&n) => 800_000 + shed / 8,
                n if (first - 8..first - 2).contains(&n) => 1_400_000,
                _ => 800_000,
            };
            assert_eq!((slot.import, slot.export), (expected, 0), "interval {number}");
        }
    }

    #[test]
    fn less_than_nothing_from_the_grid_goes_to_the_grid() {
        let mut slot = Slot {
            import: 100,
            export: 30,
            load: 500,
        };
        slot.add(-250);
        assert_eq!((slot.import, slot.export), (0, 180));
    }

    #[test]
    fn a_battery_that_is_asked_gives_and_the_same_home_without_is_as_if_nobody_had() {
        let plan = Plan {
            events: 1,
            history_weeks: 1,
            ..Plan::small()
        };
        let home = (0..)
            .map(|number| SeasonHome::draw(&plan, number))
            .find(|home| home.kind == Kind::SolarBattery && !home.gamer)
            .unwrap();
        let asked = |answer| Conduct {
            answers: vec![answer],
            ..Conduct::default()
        };
        let with = play(&plan, &home, &asked(Answer::In)).unwrap();
        let silent = play(&plan, &home, &asked(Answer::Silent)).unwrap();
        assert_eq!(with.without, silent.without);
        let event = plan.events().remove(0);
        let sum = |of: &dyn Fn(usize) -> i64| {
            (plan.slot(event.start)..plan.slot(event.end))
                .map(of)
                .sum::<i64>()
        };
        let reduced = sum(&|slot| with.without[slot] - with.net(slot).unwrap());
        assert!(reduced > 500_000, "only {reduced} mWh");
        assert_eq!(sum(&|slot| silent.without[slot] - silent.net(slot).unwrap()), 0);
    }
}

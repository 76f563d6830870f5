//! What happens in a season, and when: plain data that follows from a seed.

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};

use super::draw::Dice;

pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3_600;
/// The season's metering interval, in seconds.
pub(super) const SLOT: i64 = 1_800;
/// Metering intervals of a day.
pub(super) const SLOTS_PER_DAY: usize = 48;
/// Readings go on so long after the last event, so that everybody who was offline is back.
const DAYS_AFTER: i64 = 12;
/// Reports are late by at most so many days.
const OFFLINE_DAYS_MAX: i64 = 9;
/// The network reads its own meters after every so many-th event; of other meters nobody knows that they fail.
const AUDITED: usize = 3;
/// Monday 2026-04-13.
const FIRST_DAY: i64 = 1_776_038_400;

/// A season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Homes, weather, keys and everything that happens follow from it.
    pub seed: u64,
    /// How many homes.
    pub homes: usize,
    /// How many events, two a week.
    pub events: usize,
    /// So many weeks of readings come before the first week with events.
    pub history_weeks: i64,
    /// How often of a thousand times a home that takes part is offline when it counts, and how often its meter fails.
    pub trouble_permille: i64,
}

/// An event of the season.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlan {
    /// Its name.
    pub id: String,
    /// When the homes are asked.
    pub announced_at: Timestamp,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

/// What a home says to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It takes part.
    In,
    /// It does not.
    Out,
    /// Nothing.
    Silent,
}

/// What is wrong with what a home's meter says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The meter did not answer: the reports have no readings of the event.
    Lost,
    /// The meter counted too little in each interval of the event.
    Understated,
}

/// What a home does in the season.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conduct {
    /// By event.
    pub answers: Vec<Answer>,
    /// By event.
    pub faults: Vec<Option<Fault>>,
    /// From when until when nothing that it signs arrives; all of it arrives then.
    pub offline: Vec<(Timestamp, Timestamp)>,
}

impl Plan {
    /// The season of `docs/season.md`.
    #[must_use]
    pub const fn whole() -> Self {
        Self {
            seed: 2026,
            homes: 500,
            events: 30,
            history_weeks: 8,
            trouble_permille: 30,
        }
    }

    /// One that a test plays.
    #[must_use]
    pub const fn small() -> Self {
        Self {
            seed: 7,
            homes: 24,
            events: 5,
            history_weeks: 3,
            trouble_permille: 120,
        }
    }

    /// What each battery is asked to give.
    #[must_use]
    pub const fn discharge() -> Milliwatts {
        Milliwatts::new(3_000_000)
    }

    /// The first instant.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        instant(FIRST_DAY)
    }

    /// So many days of readings there are.
    #[must_use]
    pub fn days(&self) -> usize {
        let last = self.events().last().map_or(0, |event| event.end.unix());
        let days = last
            .saturating_sub(FIRST_DAY)
            .saturating_add(DAY - 1)
            .div_euclid(DAY);
        usize::try_from(days.saturating_add(DAYS_AFTER)).unwrap_or(0)
    }

    /// The first instant after its readings.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.after(self.days(), 0)
    }

    /// The instant so many days and seconds after the first.
    #[must_use]
    pub(super) fn after(&self, days: usize, seconds: i64) -> Timestamp {
        let days = i64::try_from(days).unwrap_or(i64::MAX);
        instant(
            days.saturating_mul(DAY)
                .saturating_add(seconds)
                .saturating_add(FIRST_DAY),
        )
    }

    /// Which interval of the season begins at an instant, or holds it; the first for what was before.
    #[must_use]
    pub fn slot(&self, instant: Timestamp) -> usize {
        let seconds = instant.unix().saturating_sub(FIRST_DAY);
        usize::try_from(seconds.div_euclid(SLOT)).unwrap_or(0)
    }

    /// The `slot`-th interval.
    #[must_use]
    pub(super) fn interval(&self, slot: usize) -> Option<Interval> {
        let seconds = i64::try_from(slot).ok()?.checked_mul(SLOT)?;
        Interval::new(self.start().checked_add(seconds)?, IntervalLength::HALF_HOUR).ok()
    }

    pub(super) const fn dice(&self) -> Dice {
        Dice(self.seed)
    }

    /// The events, in order of time: in each week one from Monday to Wednesday and one from Thursday to Saturday,
    /// announced at noon in London, from 17:00 to 18:30 on, for one to two hours.
    #[must_use]
    pub fn events(&self) -> Vec<EventPlan> {
        (0..self.events).map(|number| self.event(number)).collect()
    }

    fn event(&self, number: usize) -> EventPlan {
        let dice = self.dice();
        let place = (0, number);
        let week = i64::try_from(number / 2)
            .unwrap_or(0)
            .saturating_add(self.history_weeks);
        let half = i64::try_from(number % 2).unwrap_or(0).saturating_mul(3);
        let weekday = half.saturating_add(dice.between("weekday", place, 0, 2));
        let day = week
            .saturating_mul(7)
            .saturating_add(weekday)
            .saturating_mul(DAY)
            .saturating_add(FIRST_DAY);
        // London is an hour ahead of UTC all season.
        let start = day
            .saturating_add(16 * HOUR)
            .saturating_add(dice.between("start", place, 0, 3).saturating_mul(SLOT));
        let slots = dice.between("length", place, 2, 4);
        EventPlan {
            id: format!("season-{:02}", number.saturating_add(1)),
            announced_at: instant(day.saturating_add(11 * HOUR)),
            start: instant(start),
            end: instant(start.saturating_add(slots.saturating_mul(SLOT))),
        }
    }

    /// What a home does; homes are numbered from 0.
    #[must_use]
    pub fn conduct(&self, home: usize) -> Conduct {
        let dice = self.dice();
        let mut conduct = Conduct::default();
        for (number, event) in self.events().iter().enumerate() {
            let place = (home, number);
            let reachable = conduct
                .offline
                .last()
                .is_none_or(|(_, until)| *until < event.announced_at);
            let answer = match dice.between("answer", place, 0, 999) {
                _ if !reachable => Answer::Silent,
                0..80 => Answer::Out,
                80..120 => Answer::Silent,
                _ => Answer::In,
            };
            let takes_part = answer == Answer::In;
            if takes_part && dice.happens("offline", place, self.trouble_permille) {
                let days = usize::try_from(dice.between("back", place, 4, OFFLINE_DAYS_MAX)).unwrap_or(4);
                let day = self.slot(event.start) / SLOTS_PER_DAY;
                conduct
                    .offline
                    .push((event.start, self.after(day.saturating_add(days), 0)));
            }
            let audited = number.is_multiple_of(AUDITED);
            let fault = match audited && dice.happens("fault", place, self.trouble_permille) {
                true if dice.happens("lost", place, 500) => Some(Fault::Lost),
                true => Some(Fault::Understated),
                false => None,
            };
            conduct.faults.push(fault.filter(|_| takes_part));
            conduct.answers.push(answer);
        }
        conduct
    }
}

/// The nearest instant that the calendar has.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_follow_one_another_on_different_days_and_begin_with_an_interval() {
        let events = Plan::whole().events();
        assert_eq!(events.len(), 30);
        let first = Plan::whole().start();
        let day = |instant: Timestamp| instant.seconds_since(first).div_euclid(DAY);
        for event in &events {
            assert!(event.announced_at < event.start && event.start < event.end);
            assert_eq!(event.start.floor_to(IntervalLength::HALF_HOUR), event.start);
            assert!(day(event.start) >= 8 * 7, "there is history before {}", event.id);
        }
        let days: Vec<i64> = events.iter().map(|event| day(event.start)).collect();
        assert!(days.is_sorted_by(|a, b| a < b), "{days:?}");
        let names: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert!(
            names.is_sorted_by(|a, b| a < b),
            "in the order of names, too: {names:?}"
        );
    }

    #[test]
    fn who_is_offline_says_nothing_and_is_back_before_the_season_ends_and_is_settled_anew() {
        let plan = Plan::small();
        let (events, end) = (plan.events(), plan.end());
        let mut troubled = 0;
        for home in 0..200 {
            let conduct = plan.conduct(home);
            assert_eq!((conduct.answers.len(), conduct.faults.len()), (5, 5));
            for (from, until) in &conduct.offline {
                troubled += 1;
                assert!(until.seconds_since(*from) < 14 * DAY && *until < end);
                for (event, answer) in events.iter().zip(&conduct.answers) {
                    let reached = event.announced_at <= *from || *until <= event.announced_at;
                    assert!(
                        reached || *answer == Answer::Silent,
                        "{} was heard offline",
                        event.id
                    );
                }
            }
            for (answer, fault) in conduct.answers.iter().zip(&conduct.faults) {
                assert!(*answer == Answer::In || fault.is_none());
            }
        }
        assert!(troubled > 50, "{troubled}");
    }
}

//! A household drawn from a seed: a base, a fridge, what people do by the hour, and appliances.

use crate::random::Random;

const MINUTES_PER_DAY: i64 = 1_440;
/// Beyond this nothing that began yesterday goes on.
const LONGEST_USE_MINUTES: i64 = MINUTES_PER_DAY;

/// Light, screens and cooking hobs by the hour (UTC), in watts, at the beginning of each hour.
const WEEKDAY: [i64; 24] = [
    30, 20, 20, 20, 20, 40, 130, 260, 180, 80, 70, 70, 80, 80, 70, 90, 160, 280, 390, 420, 400, 340, 220, 90,
];
const WEEKEND: [i64; 24] = [
    50, 30, 20, 20, 20, 20, 30, 70, 160, 260, 270, 250, 300, 280, 230, 220, 240, 290, 350, 370, 360, 320,
    250, 140,
];

/// One home's load, built from the bottom up: the sum of appliances whose uses are drawn by time of
/// day and kind of day, minute by minute. The idea is that of I. Richardson, M. Thomson, D. Infield
/// and C. Clifford, *Domestic electricity use: a high-resolution energy demand model*, Energy and
/// Buildings 42(10), 2010; the habits here are few and round, and not fitted to a survey.
///
/// The power of a minute follows from seed and minute alone; the plan of a day is only remembered.
#[derive(Debug, Clone)]
pub(super) struct Household {
    seed: u64,
    habits: Habits,
    day: Option<i64>,
    uses: Vec<Use>,
}

/// What does not change from day to day.
#[derive(Debug, Clone)]
struct Habits {
    base_milliwatts: i64,
    lively_permille: i64,
    fridge: Fridge,
    kettle_watts: i64,
    oven_watts: i64,
    ev_charger_watts: i64,
}

/// A compressor that runs for a third of its cycle.
#[derive(Debug, Clone)]
struct Fridge {
    milliwatts: i64,
    period_minutes: i64,
    phase_minutes: i64,
}

/// An appliance at work, from one minute since 1970 to another.
#[derive(Debug, Clone)]
struct Use {
    start: i64,
    end: i64,
    watts: i64,
    /// A thermostat: after the first `warm_up` minutes it is on for every other five minutes.
    warm_up: Option<i64>,
}

impl Household {
    pub(super) fn new(seed: u64, ev_charger_watts: u32) -> Self {
        Self {
            seed,
            habits: Habits::draw(seed, ev_charger_watts),
            day: None,
            uses: Vec::new(),
        }
    }

    /// Power in a minute, counted from 1970, in milliwatts.
    pub(super) fn milliwatts(&mut self, minute: i64) -> i64 {
        let day = minute.div_euclid(MINUTES_PER_DAY);
        if self.day != Some(day) {
            self.day = Some(day);
            self.uses = [day - 1, day].map(|day| self.plan(day)).concat();
        }
        let appliances: i64 = self.uses.iter().map(|appliance| appliance.watts_in(minute)).sum();
        self.habits.base_milliwatts
            + self.habits.fridge.milliwatts_in(minute)
            + self.people(minute)
            + appliances * 1_000
    }

    /// What people switch on and off all the time: the hour's figure, restless by a seventh.
    fn people(&self, minute: i64) -> i64 {
        let (day, of_day) = (
            minute.div_euclid(MINUTES_PER_DAY),
            minute.rem_euclid(MINUTES_PER_DAY),
        );
        let figure = |day, hour: i64| {
            let hours = if is_weekend(day) { &WEEKEND } else { &WEEKDAY };
            usize::try_from(hour).map_or(0, |hour| hours[hour])
        };
        let (hour, past) = (of_day / 60, of_day % 60);
        let next = if hour == 23 {
            figure(day + 1, 0)
        } else {
            figure(day, hour + 1)
        };
        let milliwatts = (figure(day, hour) * (60 - past) + next * past) * 1_000 / 60;
        let restless = Random::nth(self.seed, "minute", minute.cast_unsigned()).between(860, 1_140);
        milliwatts * self.habits.lively_permille / 1_000 * restless / 1_000
    }

    /// What begins on a day, counted from 1970.
    fn plan(&self, day: i64) -> Vec<Use> {
        let mut diary = Diary {
            random: Random::nth(self.seed, "day", day.cast_unsigned()),
            midnight: day * MINUTES_PER_DAY,
            uses: Vec::new(),
        };
        let habits = &self.habits;
        diary.kettles(habits.kettle_watts, is_weekend(day));
        diary.oven(habits.oven_watts, is_weekend(day));
        diary.washing(is_weekend(day));
        diary.car(habits.ev_charger_watts, is_weekend(day));
        diary.uses
    }
}

impl Habits {
    fn draw(seed: u64, ev_charger_watts: u32) -> Self {
        let mut random = Random::new(seed, "household");
        let period_minutes = random.between(38, 62);
        Self {
            base_milliwatts: random.between(60_000, 140_000),
            lively_permille: random.between(700, 1_300),
            fridge: Fridge {
                milliwatts: random.between(80_000, 130_000),
                period_minutes,
                phase_minutes: random.between(0, period_minutes - 1),
            },
            kettle_watts: random.between(22, 29) * 100,
            oven_watts: random.between(19, 24) * 100,
            ev_charger_watts: i64::from(ev_charger_watts),
        }
    }
}

impl Fridge {
    fn milliwatts_in(&self, minute: i64) -> i64 {
        let into = (minute + self.phase_minutes).rem_euclid(self.period_minutes);
        if into < self.period_minutes / 3 {
            self.milliwatts
        } else {
            0
        }
    }
}

impl Use {
    fn watts_in(&self, minute: i64) -> i64 {
        let into = minute - self.start;
        let resting = self
            .warm_up
            .is_some_and(|warm_up| into >= warm_up && (into - warm_up) / 5 % 2 == 0);
        if resting || !(self.start..self.end).contains(&minute) {
            0
        } else {
            self.watts
        }
    }
}

/// A day's plan while it is made. Every draw happens on every day, whatever comes of it, so that one
/// appliance does not move the others.
struct Diary {
    random: Random,
    midnight: i64,
    uses: Vec<Use>,
}

impl Diary {
    /// A number of minutes of day, somewhere between two hours.
    fn between_hours(&mut self, from: i64, to: i64) -> i64 {
        self.random.between(from * 60, to * 60 - 1)
    }

    fn happens(&mut self, permille: i64) -> bool {
        self.random.between(0, 999) < permille
    }

    fn enter(&mut self, minute_of_day: i64, minutes: i64, watts: i64, warm_up: Option<i64>) {
        debug_assert!(
            minutes <= LONGEST_USE_MINUTES,
            "a use ends by the next midnight but one"
        );
        let start = self.midnight + minute_of_day;
        self.uses.push(Use {
            start,
            end: start + minutes,
            watts,
            warm_up,
        });
    }

    fn kettles(&mut self, watts: i64, weekend: bool) {
        let cups = if weekend {
            [(8, 10), (10, 12), (13, 16), (16, 18), (19, 22)]
        } else {
            [(6, 8), (7, 9), (17, 19), (18, 20), (19, 22)]
        };
        for (from, to) in cups {
            let (start, minutes) = (self.between_hours(from, to), self.random.between(2, 4));
            if self.happens(850) {
                self.enter(start, minutes, watts, None);
            }
        }
    }

    fn oven(&mut self, watts: i64, weekend: bool) {
        let (lunch, dinner) = (self.between_hours(12, 13), self.between_hours(17, 19));
        let minutes = self.random.between(30, 55);
        let at_noon = self.happens(500);
        if self.happens(if weekend { 800 } else { 650 }) {
            let start = if weekend && at_noon { lunch } else { dinner };
            self.enter(start, minutes, watts, Some(10));
        }
    }

    /// Heating, an hour of turning, and the spin.
    fn washing(&mut self, weekend: bool) {
        let (morning, evening) = (self.between_hours(9, 15), self.between_hours(17, 20));
        let heating = self.random.between(14, 22);
        if self.happens(if weekend { 600 } else { 250 }) {
            let start = if weekend { morning } else { evening };
            self.enter(start, heating, 2_000, None);
            self.enter(start + heating, 60, 180, None);
            self.enter(start + heating + 60, 8, 450, None);
        }
    }

    fn car(&mut self, watts: i64, weekend: bool) {
        let (day, evening) = (self.between_hours(12, 18), self.between_hours(18, 23));
        let minutes = self.random.between(60, 300);
        if self.happens(if weekend { 300 } else { 500 }) && watts > 0 {
            self.enter(if weekend { day } else { evening }, minutes, watts, None);
        }
    }
}

/// 1 January 1970 was a Thursday.
fn is_weekend(day: i64) -> bool {
    matches!(day.rem_euclid(7), 2 | 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 5 January 2026, a Monday.
    const MONDAY: i64 = 20_458;

    /// Mean power of some hours of a day, in milliwatts.
    fn mean(household: &mut Household, day: i64, hours: std::ops::Range<i64>) -> i64 {
        let minutes = hours.start * 60..hours.end * 60;
        let count = minutes.end - minutes.start;
        let sum: i64 = minutes
            .map(|minute| household.milliwatts(day * MINUTES_PER_DAY + minute))
            .sum();
        sum / count
    }

    /// The same over the weekdays, or the weekends, of eight weeks.
    fn mean_of(household: &mut Household, weekend: bool, hours: std::ops::Range<i64>) -> i64 {
        let days: Vec<_> = (MONDAY..MONDAY + 56)
            .filter(|&day| is_weekend(day) == weekend)
            .collect();
        let sum: i64 = days.iter().map(|&day| mean(household, day, hours.clone())).sum();
        sum * 7 / if weekend { 2 * 56 } else { 5 * 56 }
    }

    #[test]
    fn the_week_begins_on_monday() {
        let weekend: Vec<_> = (MONDAY..MONDAY + 7).map(is_weekend).collect();
        assert_eq!(weekend, [false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_fridge_and_a_base_go_on_at_night() {
        let mut household = Household::new(4, 0);
        let night: Vec<_> = (120..240)
            .map(|minute| household.milliwatts(MONDAY * MINUTES_PER_DAY + minute))
            .collect();
        let (least, greatest) = (night.iter().min().unwrap(), night.iter().max().unwrap());
        assert!(*least >= 60_000, "{least}");
        assert!(greatest - least >= 75_000, "the fridge does not show");
        let switches = night
            .windows(2)
            .filter(|pair| pair[0].abs_diff(pair[1]) > 60_000)
            .count();
        assert!((3..=8).contains(&switches), "{switches} switches in two hours");
    }

    #[test]
    fn a_car_charges_on_some_evenings_and_changes_nothing_else() {
        let (mut without, mut with) = (Household::new(9, 0), Household::new(9, 7_400));
        let mut minutes = 0;
        for minute in MONDAY * MINUTES_PER_DAY..(MONDAY + 14) * MINUTES_PER_DAY {
            let more = with.milliwatts(minute) - without.milliwatts(minute);
            assert!(more == 0 || more == 7_400_000, "{more}");
            minutes += i64::from(more > 0);
        }
        assert!(
            (120..4_000).contains(&minutes),
            "{minutes} minutes of charge in two weeks"
        );
    }

    #[test]
    fn an_oven_holds_its_temperature_by_switching() {
        let oven = Use {
            start: 0,
            end: 30,
            watts: 2_000,
            warm_up: Some(10),
        };
        let on: Vec<_> = (-1..31).filter(|&minute| oven.watts_in(minute) > 0).collect();
        assert_eq!(on, (0..10).chain(15..20).chain(25..30).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn weekday_evenings_are_busier_than_nights_and_weekends_are_different(seed: u64) {
            let mut household = Household::new(seed, 0);
            let evening = mean_of(&mut household, false, 17..21);
            let night = mean_of(&mut household, false, 1..5);
            let morning = mean_of(&mut household, false, 6..8);
            prop_assert!(evening > 2 * night, "{evening} and {night}");
            prop_assert!(morning > night, "{morning} and {night}");
            let noon = mean_of(&mut household, false, 10..15);
            let noon_of_weekend = mean_of(&mut household, true, 10..15);
            prop_assert!(noon_of_weekend * 10 > noon * 13, "{noon_of_weekend} and {noon}");
        }

        #[test]
        fn a_minute_follows_from_seed_and_minute_alone(
            seed: u64,
            ev_charger_watts in 0_u32..12_000,
            minutes in prop::collection::vec(-100_000_i64..40_000_000, 1..50),
        ) {
            let mut one = Household::new(seed, ev_charger_watts);
            for &minute in &minutes {
                let power = one.milliwatts(minute);
                prop_assert!(power >= 0);
                prop_assert_eq!(power, Household::new(seed, ev_charger_watts).milliwatts(minute));
            }
        }

        #[test]
        fn a_day_uses_what_a_home_uses(seed: u64, day in 0_i64..40_000) {
            let mut household = Household::new(seed, 0);
            let watt_hours = mean(&mut household, day, 0..24) * 24 / 1_000;
            prop_assert!((3_000..20_000).contains(&watt_hours), "{watt_hours} Wh");
        }
    }
}

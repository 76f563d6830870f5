//! Half-hourly readings of a London home, shifted and scaled.

use super::LoadSpec;
use crate::random::Random;
use chrono::{Datelike, NaiveDate};
use std::sync::OnceLock;

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_SLOT: i64 = 1_800;
const MINUTES_PER_SLOT: usize = 30;
/// 52 weeks: goes round the year without losing the weekday.
const CYCLE_DAYS: i64 = 364;

/// The readings as one home's load; remembers the half-hour that it is in.
#[derive(Debug, Clone)]
pub(super) struct London {
    spec: LoadSpec,
    slot: i64,
    minutes_milliwatts: [i64; MINUTES_PER_SLOT],
}

impl London {
    pub(super) fn new(spec: LoadSpec) -> Self {
        Self {
            spec,
            slot: i64::MIN,
            minutes_milliwatts: [0; MINUTES_PER_SLOT],
        }
    }

    /// Power in milliwatts during the minute that holds this second.
    pub(super) fn milliwatts(&mut self, unix_seconds: i64) -> i64 {
        let slot = unix_seconds.div_euclid(SECONDS_PER_SLOT);
        if slot != self.slot {
            self.slot = slot;
            let watt_hours = Readings::london().watt_hours(slot, self.spec.shift_weeks);
            self.spread(watt_hours);
        }
        let minute = unix_seconds.rem_euclid(SECONDS_PER_SLOT) / 60;
        usize::try_from(minute).map_or(0, |minute| self.minutes_milliwatts[minute])
    }

    /// Spreads a slot's energy over its minutes by seeded weights (a restless base, sometimes an
    /// appliance for a few minutes). The minutes sum to the slot's energy exactly.
    fn spread(&mut self, watt_hours: i64) {
        let weights = self.weights();
        let weight_sum: i64 = weights.iter().sum();
        // A minute at p milliwatts is 60 p mWs, and a watt-hour at 1/1000 is 3600 mWs.
        let milliwatt_minutes = watt_hours * i64::from(self.spec.scale_permille) * 60;
        let (mut weight_so_far, mut given) = (0, 0);
        for (minute, weight) in self.minutes_milliwatts.iter_mut().zip(weights) {
            weight_so_far += weight;
            let due = milliwatt_minutes * weight_so_far / weight_sum;
            *minute = due - given;
            given = due;
        }
    }

    fn weights(&self) -> [i64; MINUTES_PER_SLOT] {
        let mut random = Random::nth(self.spec.seed, "half-hour", self.slot.cast_unsigned());
        let mut weights = [0; MINUTES_PER_SLOT];
        weights.fill_with(|| random.between(8, 12));
        if random.between(0, 2) == 0 {
            let start = random.between(0, 26);
            let end = start + random.between(2, 8);
            for (minute, weight) in (0..).zip(&mut weights) {
                *weight += if (start..end).contains(&minute) { 24 } else { 0 };
            }
        }
        weights
    }
}

/// Days of 48 half-hours in watt-hours; days with a gap are missing.
struct Readings {
    first_day: i64,
    days: Vec<Option<[i64; 48]>>,
}

impl Readings {
    fn london() -> &'static Self {
        static LONDON: OnceLock<Readings> = OnceLock::new();
        LONDON.get_or_init(|| {
            Self::parse(include_str!("../../../data/london-home.csv"))
                .expect("a test reads every line of the embedded extract")
        })
    }

    fn parse(csv: &str) -> Option<Self> {
        let lines = csv.lines().filter(|line| !line.starts_with('#'));
        let days: Vec<_> = lines.map(parse_day).collect::<Option<_>>()?;
        let (first_day, last_day) = (days.first()?.0, days.last()?.0);
        let mut slots = vec![None; usize::try_from(last_day - first_day + 1).ok()?];
        for (day, watt_hours) in days {
            *slots.get_mut(usize::try_from(day - first_day).ok()?)? = Some(watt_hours);
        }
        Some(Self {
            first_day,
            days: slots,
        })
    }

    /// Energy of a half-hour, counted from 1970, after a shift of the readings by whole weeks.
    fn watt_hours(&self, slot: i64, shift_weeks: i64) -> i64 {
        let slots_per_day = SECONDS_PER_DAY / SECONDS_PER_SLOT;
        let day = slot.div_euclid(slots_per_day);
        let offset = (day - self.first_day + 7 * shift_weeks).rem_euclid(CYCLE_DAYS);
        let slot_of_day = usize::try_from(slot.rem_euclid(slots_per_day)).unwrap_or_default();
        self.day_like(offset).map_or(0, |day| day[slot_of_day])
    }

    /// That day, or for a missing one the same weekday of the nearest week that has it.
    fn day_like(&self, offset: i64) -> Option<&[i64; 48]> {
        (0..CYCLE_DAYS / 7)
            .flat_map(|weeks| [offset - 7 * weeks, offset + 7 * weeks])
            .filter_map(|candidate| usize::try_from(candidate).ok())
            .find_map(|candidate| self.days.get(candidate)?.as_ref())
    }
}

fn parse_day(line: &str) -> Option<(i64, [i64; 48])> {
    let (date, values) = line.split_once(',')?;
    let date: NaiveDate = date.parse().ok()?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let day = i64::from(date.num_days_from_ce() - epoch.num_days_from_ce());
    let watt_hours: Vec<i64> = values
        .split(',')
        .map(|value| value.parse().ok())
        .collect::<Option<_>>()?;
    Some((day, watt_hours.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physics::LoadProfile;
    use proptest::prelude::*;

    const JANUARY_9_2013: i64 = 1_357_689_600;

    fn spec(shift_weeks: i64, scale_permille: u32, seed: u64) -> LoadSpec {
        LoadSpec {
            profile: LoadProfile::London,
            shift_weeks,
            scale_permille,
            seed,
            ev_charger_watts: 0,
        }
    }

    fn slot_energy(load: &mut London, start: i64) -> i64 {
        (0..30)
            .map(|minute| load.milliwatts(start + minute * 60) * 60)
            .sum()
    }

    #[test]
    fn every_line_of_the_extract_is_read() {
        let readings = Readings::london();
        assert_eq!(readings.days.iter().flatten().count(), 464);
        assert_eq!(readings.days.len(), 469);
    }

    #[test]
    fn unshifted_readings_are_those_of_the_file() {
        let mut load = London::new(spec(0, 1_000, 7));
        let line = include_str!("../../../data/london-home.csv")
            .lines()
            .find(|line| line.starts_with("2013-01-09"))
            .unwrap();
        for (slot, value) in (0..).zip(line.split(',').skip(1)) {
            let watt_hours: i64 = value.parse().unwrap();
            assert_eq!(
                slot_energy(&mut load, JANUARY_9_2013 + slot * 1_800),
                watt_hours * 3_600_000
            );
        }
    }

    #[test]
    fn a_missing_day_is_that_weekday_of_another_week() {
        let readings = Readings::london();
        let missing: Vec<usize> = (0..364).filter(|&day| readings.days[day].is_none()).collect();
        assert!(!missing.is_empty());
        for day in missing {
            let found = readings.day_like(i64::try_from(day).unwrap()).unwrap();
            let place = readings
                .days
                .iter()
                .position(|candidate| candidate.as_ref() == Some(found));
            assert_eq!(place.unwrap().abs_diff(day) % 7, 0);
        }
    }

    proptest! {
        #[test]
        fn the_minutes_of_a_half_hour_sum_to_its_energy(
            seed: u64, slot in 0_i64..2_000_000, weeks in -60_i64..60, permille in 100_u32..3_000,
        ) {
            let mut load = London::new(spec(weeks, permille, seed));
            let watt_hours = Readings::london().watt_hours(slot, weeks);
            let energy = slot_energy(&mut load, slot * 1_800);
            prop_assert_eq!(energy, watt_hours * i64::from(permille) * 3_600);
        }

        #[test]
        fn a_shift_keeps_the_weekday(day in 0_i64..40_000, weeks in -60_i64..60) {
            let readings = Readings::london();
            let offset = (day - readings.first_day + 7 * weeks).rem_euclid(CYCLE_DAYS);
            prop_assert_eq!((readings.first_day + offset - day).rem_euclid(7), 0);
        }
    }
}

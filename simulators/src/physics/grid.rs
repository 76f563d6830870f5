//! Voltage and frequency where a home meets the grid.

use crate::random::Random;

/// The grid at a home's connection point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridSpec {
    /// The voltage of a phase without any flow, in millivolts.
    pub nominal_millivolts: u32,
    /// What lies between the home and a stiff grid, in milliohms: import lowers the voltage, export
    /// lifts it. 0 for a constant voltage.
    pub impedance_milliohms: u32,
    /// The frequency about which the grid swings, in millihertz.
    pub nominal_millihertz: u32,
    /// How far it swings at most to either side, in millihertz; 0 for a constant frequency. Some tens
    /// are usual on the continent, up to 200 in Great Britain.
    pub swing_millihertz: u32,
    /// Decides how it swings. Homes on one grid share it.
    pub seed: u64,
}

/// One of the waves that the frequency is made of.
struct Octave {
    stream: &'static str,
    period_minutes: i64,
    /// Its part of the swing; together the whole.
    permille: i64,
}

const OCTAVES: [Octave; 3] = [
    Octave {
        stream: "frequency by the hour",
        period_minutes: 60,
        permille: 500,
    },
    Octave {
        stream: "frequency by the quarter",
        period_minutes: 15,
        permille: 300,
    },
    Octave {
        stream: "frequency by three minutes",
        period_minutes: 3,
        permille: 200,
    },
];

impl GridSpec {
    /// 230 V and 50 Hz, always.
    #[must_use]
    pub fn stiff(seed: u64) -> Self {
        Self {
            nominal_millivolts: 230_000,
            impedance_milliohms: 0,
            nominal_millihertz: 50_000,
            swing_millihertz: 0,
            seed,
        }
    }

    /// Voltage in millivolts while so many milliwatts come from the grid (negative: go into it).
    ///
    /// The drop along a resistive feeder at unity power factor, `R × P / V` at the nominal voltage:
    /// the first-order form of the approximate voltage drop in W. H. Kersting, *Distribution System
    /// Modeling and Analysis*, 2002. It stays between nothing and twice the nominal voltage.
    pub(crate) fn millivolts(&self, import_milliwatts: i64) -> i64 {
        let nominal = i64::from(self.nominal_millivolts);
        // Milliwatts by millivolts are amperes, and amperes in milliohms are millivolts.
        let drop =
            i128::from(import_milliwatts) * i128::from(self.impedance_milliohms) / i128::from(nominal.max(1));
        let drop = drop.clamp(-i128::from(nominal), i128::from(nominal));
        nominal - i64::try_from(drop).unwrap_or_default()
    }

    /// Frequency in millihertz during the minute that holds this second.
    ///
    /// Value noise in three octaves, an hour, a quarter and three minutes, after K. Perlin, *An image
    /// synthesizer*, 1985, with straight lines between the knots: it follows from seed and time
    /// alone, so that homes that began at different times agree.
    pub(crate) fn millihertz(&self, unix_seconds: i64) -> i64 {
        let nominal = i64::from(self.nominal_millihertz);
        if self.swing_millihertz == 0 {
            return nominal;
        }
        let minute = unix_seconds.div_euclid(60);
        let millionths: i64 = OCTAVES
            .iter()
            .map(|octave| octave.noise_permille(self.seed, minute) * octave.permille)
            .sum();
        nominal + i64::from(self.swing_millihertz) * millionths / 1_000_000
    }
}

impl Octave {
    /// On the straight line between two knots, from −1000 to 1000.
    fn noise_permille(&self, seed: u64, minute: i64) -> i64 {
        let (knot, into) = (
            minute.div_euclid(self.period_minutes),
            minute.rem_euclid(self.period_minutes),
        );
        let value = |knot: i64| Random::nth(seed, self.stream, knot.cast_unsigned()).between(-1_000, 1_000);
        (value(knot) * (self.period_minutes - into) + value(knot + 1) * into) / self.period_minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JANUARY_2026: i64 = 1_767_225_600;

    fn village(seed: u64) -> GridSpec {
        GridSpec {
            impedance_milliohms: 400,
            swing_millihertz: 40,
            ..GridSpec::stiff(seed)
        }
    }

    #[test]
    fn ten_amperes_through_four_tenths_of_an_ohm_are_four_volts() {
        assert_eq!(village(1).millivolts(0), 230_000);
        assert_eq!(village(1).millivolts(2_300_000), 226_000);
        assert_eq!(village(1).millivolts(-2_300_000), 234_000);
    }

    #[test]
    fn a_stiff_grid_does_not_move() {
        for minute in 0..3_000 {
            assert_eq!(GridSpec::stiff(5).millihertz(JANUARY_2026 + minute * 60), 50_000);
        }
        assert_eq!(GridSpec::stiff(5).millivolts(9_000_000), 230_000);
    }

    #[test]
    fn the_frequency_wanders_to_both_sides() {
        let day: Vec<_> = (0..1_440)
            .map(|minute| village(3).millihertz(JANUARY_2026 + minute * 60))
            .collect();
        let (least, greatest) = (day.iter().min().unwrap(), day.iter().max().unwrap());
        assert!(*least < 49_985 && *greatest > 50_015, "{least} to {greatest}");
    }

    proptest! {
        #[test]
        fn the_frequency_is_slow_bounded_and_shared_by_a_seed(seed: u64, minute in 0_i64..40_000_000) {
            let at = |minute: i64| village(seed).millihertz(minute * 60);
            prop_assert!((49_960..=50_040).contains(&at(minute)));
            prop_assert!(at(minute).abs_diff(at(minute + 1)) <= 12, "a jump");
            prop_assert_eq!(village(seed).millihertz(minute * 60 + 59), at(minute));
        }

        #[test]
        fn more_import_never_lifts_the_voltage(
            impedance_milliohms: u32, import: i64, more in 0..i64::MAX / 2,
        ) {
            let grid = GridSpec { impedance_milliohms, ..village(1) };
            let (less, more) = (grid.millivolts(import), grid.millivolts(import.saturating_add(more)));
            prop_assert!(more <= less);
            prop_assert!((0..=460_000).contains(&more));
        }
    }
}

//! What a household uses, minute by minute, in whole milliwatts.

mod household;
mod london;
mod series;

use household::Household;
use london::London;
use std::sync::Arc;

pub use series::{ProfileError, ProfileSeries};

/// How a home's load is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSpec {
    /// Where it comes from.
    pub profile: LoadProfile,
    /// Moves the profile by whole weeks, so that a Sunday stays a Sunday.
    pub shift_weeks: i64,
    /// Scales it, in thousandths.
    pub scale_permille: u32,
    /// Decides how London's half-hours are spread over their minutes, and everything about a seeded
    /// household.
    pub seed: u64,
    /// The power of an electric car's charger, in watts; 0 for no car. Only the seeded household
    /// drives.
    pub ev_charger_watts: u32,
}

/// Where a load comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LoadProfile {
    /// Half-hourly readings of a London home, spread over their minutes.
    #[default]
    London,
    /// A model of a household and its appliances, drawn from the seed.
    Seeded,
    /// Readings from a file, over and over.
    File(Arc<ProfileSeries>),
}

const SECONDS_PER_WEEK: i64 = 7 * 86_400;

/// The load of one home.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    shift_seconds: i64,
    scale_permille: i64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    London(Box<London>),
    Seeded(Household),
    File(Arc<ProfileSeries>),
}

impl Load {
    pub(crate) fn new(spec: LoadSpec) -> Self {
        Self {
            shift_seconds: spec.shift_weeks * SECONDS_PER_WEEK,
            scale_permille: i64::from(spec.scale_permille),
            source: match spec.profile.clone() {
                LoadProfile::London => Source::London(Box::new(London::new(spec))),
                LoadProfile::Seeded => Source::Seeded(Household::new(spec.seed, spec.ev_charger_watts)),
                LoadProfile::File(series) => Source::File(series),
            },
        }
    }

    /// Power in milliwatts during the minute that holds this second; never negative.
    pub(crate) fn milliwatts(&mut self, unix_seconds: i64) -> i64 {
        let shifted = unix_seconds + self.shift_seconds;
        let scale = |milliwatts: i64| milliwatts * self.scale_permille / 1_000;
        match &mut self.source {
            // Shifts and scales a half-hour as a whole, so that its minutes sum to it exactly.
            Source::London(london) => london.milliwatts(unix_seconds),
            Source::Seeded(household) => scale(household.milliwatts(shifted.div_euclid(60))),
            Source::File(series) => scale(series.milliwatts(shifted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_shifted_by_weeks_and_scaled() {
        let csv = "instant,watts\n2026-01-05T00:00:00Z,100\n2026-01-05T01:00:00Z,300\n";
        let series = Arc::new(ProfileSeries::parse("two.csv", csv).unwrap());
        for profile in [LoadProfile::Seeded, LoadProfile::File(series)] {
            let load = |shift_weeks, scale_permille| {
                Load::new(LoadSpec {
                    profile: profile.clone(),
                    shift_weeks,
                    scale_permille,
                    seed: 3,
                    ev_charger_watts: 0,
                })
            };
            let monday = 1_767_571_200;
            let (mut plain, mut half, mut moved) = (load(0, 1_000), load(0, 500), load(-2, 1_000));
            for minute in 0..1_440 {
                let now = monday + minute * 60;
                let power = plain.milliwatts(now);
                assert_eq!(half.milliwatts(now), power / 2);
                assert_eq!(moved.milliwatts(now + 2 * SECONDS_PER_WEEK), power);
            }
        }
    }
}

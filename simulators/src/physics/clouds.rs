//! Clouds that remember: the next minute looks like this one.

use crate::random::Random;
use libm::exp;

/// Two first-order autoregressive processes, one step a minute: weather that a whole region shares
/// and that changes over hours, and the passing clouds over one roof.
#[derive(Debug, Clone)]
pub(crate) struct Clouds {
    region: Drift,
    roof: Drift,
}

impl Clouds {
    const REGION_MEMORY_MINUTES: f64 = 360.0;
    const ROOF_MEMORY_MINUTES: f64 = 15.0;

    /// Homes with the same `weather_seed` lie under the same weather.
    pub(crate) fn new(weather_seed: u64, seed: u64) -> Self {
        Self {
            region: Drift::new(Random::new(weather_seed, "weather"), Self::REGION_MEMORY_MINUTES),
            roof: Drift::new(Random::new(seed, "clouds"), Self::ROOF_MEMORY_MINUTES),
        }
    }

    /// Goes on by one minute.
    pub(crate) fn step(&mut self) {
        self.region.step();
        self.roof.step();
    }

    /// The part of the clear-sky irradiance that comes through, between 0.12 and 1.
    pub(crate) fn clearness(&self) -> f64 {
        let mood = 1.4 * self.region.value + 0.7 * self.roof.value;
        0.12 + 0.88 / (1.0 + exp(-mood))
    }
}

#[derive(Debug, Clone)]
struct Drift {
    random: Random,
    keep: f64,
    shock: f64,
    value: f64,
}

impl Drift {
    fn new(mut random: Random, memory_minutes: f64) -> Self {
        let keep = exp(-1.0 / memory_minutes);
        let value = random.normal();
        Self {
            random,
            keep,
            shock: libm::sqrt(1.0 - keep * keep),
            value,
        }
    }

    fn step(&mut self) {
        self.value = self.keep * self.value + self.shock * self.random.normal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_stay_in_bounds_and_change_slowly() {
        let mut clouds = Clouds::new(1, 2);
        let mut before = clouds.clearness();
        let (mut least, mut greatest) = (before, before);
        for _ in 0..20_000 {
            clouds.step();
            let now = clouds.clearness();
            assert!((0.12..=1.0).contains(&now));
            assert!((now - before).abs() < 0.25, "a jump from {before} to {now}");
            (least, greatest, before) = (least.min(now), greatest.max(now), now);
        }
        assert!(
            least < 0.3 && greatest > 0.85,
            "{least} to {greatest}: weather has to vary"
        );
    }

    #[test]
    fn neighbours_share_the_weather_but_not_every_cloud() {
        let (mut one, mut other) = (Clouds::new(1, 2), Clouds::new(1, 3));
        (0..100).for_each(|_| {
            one.step();
            other.step();
        });
        assert_eq!(one.region.value.to_bits(), other.region.value.to_bits());
        assert_ne!(one.roof.value.to_bits(), other.roof.value.to_bits());
    }
}

//! Panels and their inverter.

use super::sun::{self, Irradiance, Location};

/// A PV plant.
#[derive(Debug, Clone, PartialEq)]
pub struct PvSpec {
    /// What the panels give at 1000 W/m² and 25 °C, in watts.
    pub peak_watts: u32,
    /// The inverter's AC nameplate, in watts: production is clipped there.
    pub nameplate_watts: u32,
    /// From the horizontal, in degrees.
    pub tilt_degrees: f64,
    /// Where the panels look, in degrees from north over east (180 is south).
    pub azimuth_degrees: f64,
}

impl PvSpec {
    /// AC power that the sun allows, in milliwatts, before any curtailment.
    pub(crate) fn available_milliwatts(&self, unix_seconds: i64, place: Location, clearness: f64) -> i64 {
        let sun = sun::direction(unix_seconds, place);
        let sky = sun::irradiance(unix_seconds, sun, clearness);
        if sky.global <= 0.0 {
            return 0;
        }
        let on_panel = self.on_panel(sun, sky);
        let dc = self.dc_watts(on_panel, sun::air_temperature(unix_seconds));
        let nameplate = i64::from(self.nameplate_watts) * 1_000;
        whole_milliwatts(self.ac_watts(dc)).clamp(0, nameplate)
    }

    /// Irradiance on the tilted plane under an isotropic sky (Liu and Jordan, 1963), with a ground
    /// that reflects a fifth.
    fn on_panel(&self, sun: sun::Direction, sky: Irradiance) -> f64 {
        let (tilt, azimuth) = (self.tilt_degrees.to_radians(), self.azimuth_degrees.to_radians());
        let (sin_tilt, cos_tilt) = (libm::sin(tilt), libm::cos(tilt));
        let incidence = sun.east * sin_tilt * libm::sin(azimuth)
            + sun.north * sin_tilt * libm::cos(azimuth)
            + sun.up * cos_tilt;
        sky.beam * incidence.max(0.0)
            + sky.diffuse * (1.0 + cos_tilt) / 2.0
            + sky.global * 0.2 * (1.0 - cos_tilt) / 2.0
    }

    /// Crystalline silicon: −0.38 % a kelvin, cells 31 K above the air at 1000 W/m², 4 % lost to dirt
    /// and wires.
    fn dc_watts(&self, on_panel: f64, air_celsius: f64) -> f64 {
        let cell_celsius = air_celsius + 31.0 * on_panel / 1000.0;
        let heat = 1.0 - 0.0038 * (cell_celsius - 25.0);
        f64::from(self.peak_watts) * on_panel / 1000.0 * heat * 0.96
    }

    /// An inverter's loss: its own supply, a part of the power, and a part of its square.
    fn ac_watts(&self, dc: f64) -> f64 {
        let nameplate = f64::from(self.nameplate_watts);
        dc - 0.004 * nameplate - 0.012 * dc - 0.014 * dc * dc / nameplate
    }
}

/// The one door from the physics of the sky into the integers.
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to what an i64 carries; NaN becomes 0"
)]
fn whole_milliwatts(watts: f64) -> i64 {
    libm::round((watts * 1000.0).clamp(-1e15, 1e15)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
    const ROOF: PvSpec = PvSpec {
        peak_watts: 4_000,
        nameplate_watts: 3_600,
        tilt_degrees: 35.0,
        azimuth_degrees: 180.0,
    };

    #[test]
    fn a_clear_noon_gives_most_of_the_peak_and_midnight_nothing() {
        let noon = ROOF.available_milliwatts(NOON, Location::LONDON, 1.0);
        assert!((3_000_000..=3_600_000).contains(&noon), "{noon}");
        assert_eq!(ROOF.available_milliwatts(NOON + 43_200, Location::LONDON, 1.0), 0);
    }

    #[test]
    fn production_is_clipped_at_the_nameplate() {
        let oversized = PvSpec {
            peak_watts: 9_000,
            ..ROOF
        };
        assert_eq!(
            oversized.available_milliwatts(NOON, Location::LONDON, 1.0),
            3_600_000
        );
    }

    #[test]
    fn an_east_roof_has_its_best_hour_in_the_morning() {
        let east = PvSpec {
            azimuth_degrees: 90.0,
            ..ROOF
        };
        let morning = east.available_milliwatts(NOON - 4 * 3_600, Location::LONDON, 1.0);
        let evening = east.available_milliwatts(NOON + 4 * 3_600, Location::LONDON, 1.0);
        assert!(morning > 3 * evening, "{morning} and {evening}");
    }

    #[test]
    fn no_sky_breaks_the_door_to_integers() {
        assert_eq!(whole_milliwatts(f64::NAN), 0);
        assert_eq!(whole_milliwatts(1.2345), 1_235);
    }
}

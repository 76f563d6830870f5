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

/// What a plant could give in a minute, in milliwatts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Available {
    /// After the inverter, clipped at its nameplate.
    pub(crate) ac: i64,
    /// What the panels give for that, at their maximum power point or, when clipped, beside it.
    pub(crate) dc: i64,
}

impl Available {
    /// What the panels give when the inverter is held at this AC power: a held inverter moves off the
    /// maximum power point, at the efficiency that it has. One that gives nothing takes nothing.
    pub(crate) fn dc_for(self, ac: i64) -> i64 {
        share_rounded_up(self.dc, ac, self.ac)
    }
}

impl PvSpec {
    /// Power that the sun allows, before any curtailment.
    pub(crate) fn available(&self, unix_seconds: i64, place: Location, clearness: f64) -> Available {
        if self.peak_watts == 0 {
            // A home without panels, which need not follow the sun.
            return Available { ac: 0, dc: 0 };
        }
        let sun = sun::direction(unix_seconds, place);
        let sky = sun::irradiance(unix_seconds, sun, clearness);
        if sky.global <= 0.0 {
            return Available { ac: 0, dc: 0 };
        }
        let on_panel = self.on_panel(sun, sky);
        let dc = self.dc_watts(on_panel, sun::air_temperature(unix_seconds));
        let unclipped = Available {
            ac: whole_milliwatts(self.ac_watts(dc)).max(0),
            dc: whole_milliwatts(dc).max(0),
        };
        let ac = unclipped.ac.min(i64::from(self.nameplate_watts) * 1_000);
        Available {
            ac,
            dc: unclipped.dc_for(ac),
        }
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

/// `whole × part / of`, rounded up; nothing of nothing.
fn share_rounded_up(whole: i64, part: i64, of: i64) -> i64 {
    if of == 0 {
        return 0;
    }
    let negated = -i128::from(whole) * i128::from(part);
    i64::try_from(-negated.div_euclid(i128::from(of))).unwrap_or(i64::MAX)
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
        let noon = ROOF.available(NOON, Location::LONDON, 1.0).ac;
        assert!((3_000_000..=3_600_000).contains(&noon), "{noon}");
        assert_eq!(
            ROOF.available(NOON + 43_200, Location::LONDON, 1.0),
            Available { ac: 0, dc: 0 }
        );
    }

    #[test]
    fn production_is_clipped_at_the_nameplate() {
        let oversized = PvSpec {
            peak_watts: 9_000,
            ..ROOF
        };
        assert_eq!(oversized.available(NOON, Location::LONDON, 1.0).ac, 3_600_000);
    }

    #[test]
    fn the_panels_give_more_than_the_inverter_and_less_when_it_is_held() {
        for hour in -8..=8 {
            let sun = ROOF.available(NOON + hour * 3_600, Location::LONDON, 0.9);
            assert!(sun.ac <= sun.dc && sun.dc <= 4_800_000, "{sun:?}");
            assert_eq!(sun.dc_for(sun.ac), sun.dc);
            let held = sun.dc_for(sun.ac / 2);
            assert!(held >= sun.ac / 2 && held <= sun.dc / 2 + 2, "{held} of {sun:?}");
            assert_eq!(sun.dc_for(0), 0);
        }
        let clipped = PvSpec {
            peak_watts: 9_000,
            ..ROOF
        }
        .available(NOON, Location::LONDON, 1.0);
        assert!((3_600_001..3_800_000).contains(&clipped.dc), "{clipped:?}");
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(share_rounded_up(10, 1, 3), 4);
        assert_eq!(share_rounded_up(9, 1, 3), 3);
        assert_eq!(share_rounded_up(5, 5, 0), 0);
    }

    #[test]
    fn an_east_roof_has_its_best_hour_in_the_morning() {
        let east = PvSpec {
            azimuth_degrees: 90.0,
            ..ROOF
        };
        let morning = east.available(NOON - 4 * 3_600, Location::LONDON, 1.0).ac;
        let evening = east.available(NOON + 4 * 3_600, Location::LONDON, 1.0).ac;
        assert!(morning > 3 * evening, "{morning} and {evening}");
    }

    #[test]
    fn no_sky_breaks_the_door_to_integers() {
        assert_eq!(whole_milliwatts(f64::NAN), 0);
        assert_eq!(whole_milliwatts(1.2345), 1_235);
    }
}

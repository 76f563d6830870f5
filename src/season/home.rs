//! The homes: what each has, and how its people take part.

use gridtally_simulators::{HomeSpec, LoadProfile, Role};

use super::plan::Plan;

/// What a home has behind its meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Panels and a battery that stores what they give.
    SolarBattery,
    /// A battery that its owner charges at night.
    NightBattery,
    /// Panels only.
    Solar,
    /// Neither.
    Load,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::SolarBattery, Self::NightBattery, Self::Solar, Self::Load];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SolarBattery => "panels and battery",
            Self::NightBattery => "battery, charged at night",
            Self::Solar => "panels",
            Self::Load => "neither",
        }
    }

    /// Whether it has a battery that can be dispatched.
    #[must_use]
    pub const fn has_battery(self) -> bool {
        matches!(self, Self::SolarBattery | Self::NightBattery)
    }

    /// Whether it feeds in at times, even where nobody dispatches it.
    #[must_use]
    pub const fn has_panels(self) -> bool {
        matches!(self, Self::SolarBattery | Self::Solar)
    }
}

/// A home of the season.
#[derive(Debug, Clone)]
pub struct SeasonHome {
    /// Its number, from 0.
    pub number: usize,
    /// What it has.
    pub kind: Kind,
    /// Its physics.
    pub spec: HomeSpec,
    /// Whether its people use more on purpose in the hours before an event, of which they know that some baselines
    /// are adjusted by them.
    pub gamer: bool,
    /// What people without a battery leave off in an event, in thousandths of what they would have used.
    pub shed_permille: i64,
}

impl SeasonHome {
    /// The `number`-th home.
    #[must_use]
    pub fn draw(plan: &Plan, number: usize) -> Self {
        let dice = plan.dice();
        let place = (number, 0);
        let kind = match dice.between("kind", place, 0, 99) {
            0..45 => Kind::SolarBattery,
            45..60 => Kind::NightBattery,
            60..75 => Kind::Solar,
            _ => Kind::Load,
        };
        let mut spec = HomeSpec::draw(dice.seed("home", number));
        spec.weather_seed = plan.seed;
        if !kind.has_panels() {
            (spec.pv.peak_watts, spec.pv.nameplate_watts) = (0, 0);
        }
        if !kind.has_battery() {
            spec.battery.power_watts = 0;
        }
        if !dice.happens("london", place, 333) {
            spec.load.profile = LoadProfile::Seeded;
        }
        // What is metered is taken from the truth; of the devices only the one that is commanded is played.
        spec.devices
            .retain(|device| device.role == Role::Battery && kind.has_battery());
        let sheds = dice.happens("sheds", place, 700);
        Self {
            number,
            kind,
            spec,
            gamer: dice.happens("gamer", place, 60),
            shed_permille: if sheds {
                dice.between("shed", place, 150, 600)
            } else {
                0
            },
        }
    }

    /// Its name as a site.
    #[must_use]
    pub fn site(number: usize) -> String {
        format!("home-{:03}", number.saturating_add(1))
    }
}

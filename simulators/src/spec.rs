//! What a home is made from, and how one is drawn from a seed.

use crate::device::{DeviceSpec, Role};
use crate::energy::Energy;
use crate::physics::{BatterySpec, Energies, GridSpec, LoadProfile, LoadSpec, Location, PvSpec};
use crate::random::Random;
use thiserror::Error;

/// Everything that makes one home differ from another.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeSpec {
    /// Decides about this home's clouds and about what its devices say when they talk nonsense.
    pub seed: u64,
    /// Homes with the same number lie under the same weather.
    pub weather_seed: u64,
    /// Where it is.
    pub location: Location,
    /// The roof.
    pub pv: PvSpec,
    /// The battery.
    pub battery: BatterySpec,
    /// The household.
    pub load: LoadSpec,
    /// The connection point.
    pub grid: GridSpec,
    /// What the devices have counted before the simulation begins.
    pub lifetime: Energies,
    /// Its devices, and how they present themselves. Two of one role show the same panels or battery.
    pub devices: Vec<DeviceSpec>,
}

impl HomeSpec {
    /// A home near London, drawn from the seed: PV of 3 to 6 kW, a battery of 8 to 14 kWh and 3 to
    /// 5 kW, and a household that uses 60 to 140 % of the one whose readings it follows.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        Self::draw_under(seed, seed)
    }

    pub(crate) fn draw_under(weather_seed: u64, seed: u64) -> Self {
        let mut random = Random::new(seed, "home");
        let random = &mut random;
        let serial = format!("{:08X}", random.next() >> 32);
        Self {
            seed,
            weather_seed,
            location: draw_location(random),
            pv: draw_pv(random),
            battery: draw_battery(random),
            load: LoadSpec {
                profile: LoadProfile::London,
                shift_weeks: random.between(-8, 8),
                scale_permille: below_u32(random.between(600, 1_400)),
                seed,
                ev_charger_watts: 0,
            },
            grid: GridSpec::stiff(weather_seed),
            lifetime: draw_lifetime(random),
            devices: vec![
                DeviceSpec::new(Role::Inverter, format!("PV{serial}")),
                DeviceSpec::new(Role::Battery, format!("BA{serial}")),
                DeviceSpec::new(Role::Meter, format!("GM{serial}")),
            ],
        }
    }

    /// The first device of that role, to change how it presents itself.
    pub fn device_mut(&mut self, role: Role) -> Option<&mut DeviceSpec> {
        self.devices.iter_mut().find(|device| device.role == role)
    }

    /// What is more than any home has, so far that the integers of its physics carry it for years.
    fn greatest(&self) -> [(&'static str, u32, u32); 15] {
        let Self {
            pv,
            battery,
            load,
            grid,
            ..
        } = self;
        [
            ("peak_watts", pv.peak_watts, 10_000_000),
            ("nameplate_watts", pv.nameplate_watts, 10_000_000),
            ("capacity_watt_hours", battery.capacity_watt_hours, 100_000_000),
            ("power_watts", battery.power_watts, 10_000_000),
            ("c_rate_permille", battery.c_rate_permille, 1_000_000),
            ("standby_milliwatts", battery.standby_milliwatts, 1_000_000_000),
            ("reserve_permille", battery.reserve_permille, 1_000),
            ("taper_from_permille", battery.taper_from_permille, 1_000),
            ("taper_floor_permille", battery.taper_floor_permille, 1_000),
            ("scale_permille", load.scale_permille, 100_000),
            ("ev_charger_watts", load.ev_charger_watts, 1_000_000),
            ("nominal_millivolts", grid.nominal_millivolts, 1_000_000),
            ("impedance_milliohms", grid.impedance_milliohms, 100_000),
            ("nominal_millihertz", grid.nominal_millihertz, 1_000_000),
            ("swing_millihertz", grid.swing_millihertz, 1_000_000),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), Impossible> {
        let battery = &self.battery;
        if battery.capacity_watt_hours == 0 {
            return Err(Impossible::NoCapacity);
        }
        if !(1..=1_000).contains(&battery.one_way_efficiency_permille) {
            return Err(Impossible::Efficiency(battery.one_way_efficiency_permille));
        }
        let limits = battery.soc_min_permille..=battery.soc_max_permille;
        if !limits.contains(&battery.initial_soc_permille) || battery.soc_max_permille > 1_000 {
            return Err(Impossible::StateOfCharge);
        }
        if self.grid.nominal_millivolts == 0 {
            return Err(Impossible::NoVoltage);
        }
        for (what, number, greatest) in self.greatest() {
            if number > greatest {
                return Err(Impossible::Beyond {
                    what,
                    number,
                    greatest,
                });
            }
        }
        let weeks = self.load.shift_weeks;
        if !(-5_200..=5_200).contains(&weeks) {
            return Err(Impossible::Shift(weeks));
        }
        for device in &self.devices {
            for (key, scale) in [
                ("energy_scale", device.energy_scale),
                ("power_scale", device.power_scale),
                ("soc_scale", device.soc_scale),
            ] {
                if !(-10..=10).contains(&scale) {
                    let device = device.name.clone();
                    return Err(Impossible::ScaleFactor { device, key, scale });
                }
            }
            if device.counter_bits.is_some_and(|bits| !(1..=64).contains(&bits)) {
                return Err(Impossible::CounterBits(device.name.clone()));
            }
        }
        Ok(())
    }
}

/// A home that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Impossible {
    /// A battery without capacity.
    #[error("a battery has to have a capacity; for a home without one, give it a power of 0")]
    NoCapacity,
    /// More out than in, or nothing.
    #[error("an efficiency of {0} in 1000 is impossible: write 1 to 1000")]
    Efficiency(u32),
    /// A state of charge outside of its limits.
    #[error("a battery starts between its least and its greatest state of charge, which is at most 100 %")]
    StateOfCharge,
    /// A grid without voltage.
    #[error("a grid has to have a voltage")]
    NoVoltage,
    /// A number like a power station's.
    #[error("{what}: {number} is more than any home has; write {greatest} at most")]
    Beyond {
        /// Which key of which part.
        what: &'static str,
        /// What was given.
        number: u32,
        /// The greatest that is taken.
        greatest: u32,
    },
    /// A load moved by more than a century.
    #[error("a load is moved by 5200 weeks at most, not by {0}")]
    Shift(i64),
    /// SunSpec has no such scale factor.
    #[error("{device}: SunSpec has no scale factor {scale}: write -10 to 10")]
    ScaleFactor {
        /// The device's name.
        device: String,
        /// Which of its scale factors.
        key: &'static str,
        /// What was given.
        scale: i16,
    },
    /// No counter has that many bits.
    #[error("{0}: a counter has 1 to 64 bits")]
    CounterBits(String),
}

impl Impossible {
    /// The key of a home's file by which it can be mended.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::NoCapacity => "capacity_watt_hours",
            Self::Efficiency(_) => "one_way_efficiency_permille",
            Self::StateOfCharge => "initial_soc_permille",
            Self::NoVoltage => "nominal_millivolts",
            Self::Beyond { what, .. } => what,
            Self::Shift(_) => "shift_weeks",
            Self::ScaleFactor { key, .. } => key,
            Self::CounterBits(_) => "counter_bits",
        }
    }
}

fn below_u32(value: i64) -> u32 {
    u32::try_from(value).expect("drawn from a range of small positive numbers")
}

fn draw_location(random: &mut Random) -> Location {
    Location {
        latitude: Location::LONDON.latitude + (random.unit() - 0.5) * 0.2,
        longitude: Location::LONDON.longitude + (random.unit() - 0.5) * 0.3,
    }
}

fn draw_pv(random: &mut Random) -> PvSpec {
    let peak_watts = below_u32(random.between(30, 60)) * 100;
    PvSpec {
        peak_watts,
        nameplate_watts: peak_watts / 1_000 * 900 + peak_watts % 1_000,
        tilt_degrees: 20.0 + 25.0 * random.unit(),
        azimuth_degrees: 130.0 + 100.0 * random.unit(),
    }
}

fn draw_battery(random: &mut Random) -> BatterySpec {
    BatterySpec {
        capacity_watt_hours: below_u32(random.between(16, 28)) * 500,
        power_watts: below_u32(random.between(30, 50)) * 100,
        c_rate_permille: 0,
        one_way_efficiency_permille: 949,
        soc_min_permille: 50,
        soc_max_permille: 1_000,
        reserve_permille: 200,
        initial_soc_permille: below_u32(random.between(300, 700)),
        standby_milliwatts: 0,
        taper_from_permille: 1_000,
        taper_floor_permille: 1_000,
    }
}

/// Some years of counting, in balance.
fn draw_lifetime(random: &mut Random) -> Energies {
    let mut kilowatt_hours =
        |least, greatest| Energy::from_watt_hours(random.between(least, greatest) * 1_000);
    let (grid_import, grid_export) = (kilowatt_hours(4_000, 9_000), kilowatt_hours(1_000, 3_000));
    let pv = kilowatt_hours(6_000, 12_000);
    let (battery_charge, battery_discharge) = (kilowatt_hours(2_500, 3_000), kilowatt_hours(2_000, 2_500));
    let load = grid_import - grid_export + pv + battery_discharge - battery_charge;
    Energies {
        grid_import,
        grid_export,
        load,
        pv,
        battery_charge,
        battery_discharge,
        pv_dc: part(pv, 1_000, 960),
        battery_dc_charge: part(battery_charge, 949, 1_000),
        battery_dc_discharge: part(battery_discharge, 1_000, 949),
        inverter_injected: pv + battery_discharge - battery_charge,
        inverter_absorbed: Energy::ZERO,
    }
}

fn part(energy: Energy, numerator: i64, denominator: i64) -> Energy {
    Energy::from_milliwatt_seconds(energy.milliwatt_seconds() / denominator * numerator)
}

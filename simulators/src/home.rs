//! A home: one site's physics and the three devices through which the world sees it.

use crate::device::{Device, DeviceSpec, battery_inverter, grid_meter, pv_inverter};
use crate::energy::{Counter, Energy};
use crate::physics::{BatterySpec, Controls, Energies, Flow, LoadSpec, Location, PvSpec, Site};
use crate::random::Random;
use crate::server::Server;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

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
    /// What the devices have counted before the simulation begins.
    pub lifetime: Energies,
    /// How the PV inverter presents itself.
    pub pv_inverter: DeviceSpec,
    /// How the battery inverter presents itself.
    pub battery_inverter: DeviceSpec,
    /// How the grid meter presents itself.
    pub grid_meter: DeviceSpec,
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
                shift_weeks: random.between(-8, 8),
                scale_permille: below_u32(random.between(600, 1_400)),
                seed,
            },
            lifetime: draw_lifetime(random),
            pv_inverter: DeviceSpec::new(format!("PV{serial}")),
            battery_inverter: DeviceSpec::new(format!("BA{serial}")),
            grid_meter: DeviceSpec::new(format!("GM{serial}")),
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
        one_way_efficiency_permille: 949,
        soc_min_permille: 50,
        soc_max_permille: 1_000,
        reserve_permille: 200,
        initial_soc_permille: below_u32(random.between(300, 700)),
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
    }
}

/// The accumulators that a client can read, one for each channel of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Model 203 `TotWhImp` of the grid meter.
    pub grid_import: Counter,
    /// Model 203 `TotWhExp` of the grid meter.
    pub grid_export: Counter,
    /// Model 103 `WH` of the PV inverter.
    pub pv_production: Counter,
    /// Model 103 `WH` of the battery inverter.
    pub battery_discharge: Counter,
}

/// A simulated home.
///
/// It has no clock: [`advance_to`](Self::advance_to) moves it. What clients have written into the
/// devices until then acts from then on; timers run out at their second, wherever in a step it lies.
#[derive(Debug)]
pub struct Home {
    site: Site,
    pv_inverter: Device,
    battery_inverter: Device,
    grid_meter: Device,
}

impl Home {
    /// A home at this instant, in Unix seconds. Its powers are zero until it is advanced.
    #[must_use]
    pub fn new(spec: HomeSpec, start: i64) -> Self {
        let pv = pv_inverter::build(&spec.pv_inverter, spec.pv.nameplate_watts, spec.seed);
        let battery = battery_inverter::build(&spec.battery_inverter, &spec.battery, spec.seed ^ 1);
        let meter = grid_meter::build(&spec.grid_meter, spec.seed ^ 2);
        let home = Self {
            site: Site::new(spec, start),
            pv_inverter: Device::new(pv),
            battery_inverter: Device::new(battery),
            grid_meter: Device::new(meter),
        };
        home.tick();
        home.publish();
        home
    }

    /// Moves the home to this instant, in Unix seconds. A time that has passed already does nothing.
    pub fn advance_to(&mut self, unix_seconds: i64) {
        while self.site.now() < unix_seconds {
            let (controls, expiry) = self.commands();
            let until = expiry.map_or(unix_seconds, |expiry| expiry.min(unix_seconds));
            self.site.advance(until, controls);
            self.tick();
        }
        self.publish();
    }

    /// What the control registers ask for now, and until when at the latest.
    fn commands(&self) -> (Controls, Option<i64>) {
        let spec = self.site.spec();
        let pv = self.pv_inverter.lock();
        let (pv_connected, pv_limit_milliwatts) = pv_inverter::commands(pv.map(), spec.pv.nameplate_watts);
        let battery = self.battery_inverter.lock();
        let storage = battery_inverter::commands(battery.map(), spec.battery.power_watts);
        let controls = Controls {
            pv_connected,
            pv_limit_milliwatts,
            window: storage.window,
            reserve_basis_points: storage.reserve_basis_points,
            grid_charging: storage.grid_charging,
        };
        (
            controls,
            pv.next_expiry().into_iter().chain(battery.next_expiry()).min(),
        )
    }

    fn tick(&self) {
        for device in self.devices() {
            device.lock().tick(self.site.now());
        }
    }

    fn publish(&self) {
        let spec = self.site.spec();
        pv_inverter::publish(&mut self.pv_inverter.lock(), &spec.pv_inverter, &self.site);
        battery_inverter::publish(
            &mut self.battery_inverter.lock(),
            &spec.battery_inverter,
            &self.site,
        );
        grid_meter::publish(&mut self.grid_meter.lock(), &spec.grid_meter, &self.site);
    }

    /// The instant up to which everything has happened, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.site.now()
    }

    /// What the home was made from.
    #[must_use]
    pub fn spec(&self) -> &HomeSpec {
        self.site.spec()
    }

    /// The PV inverter: models 1, 103, 120, 121, 123.
    #[must_use]
    pub fn pv_inverter(&self) -> &Device {
        &self.pv_inverter
    }

    /// The battery inverter: models 1, 103, 120, 121, 124, 802.
    #[must_use]
    pub fn battery_inverter(&self) -> &Device {
        &self.battery_inverter
    }

    /// The grid meter: models 1, 203.
    #[must_use]
    pub fn grid_meter(&self) -> &Device {
        &self.grid_meter
    }

    /// All three, PV inverter first, grid meter last.
    #[must_use]
    pub fn devices(&self) -> [&Device; 3] {
        [&self.pv_inverter, &self.battery_inverter, &self.grid_meter]
    }

    /// The true powers of the time just passed.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.site.flow()
    }

    /// The true energies, exact; the load among them, from which a test knows what would have been
    /// without a battery's help.
    #[must_use]
    pub fn energies(&self) -> Energies {
        self.site.energies()
    }

    /// The accumulators as the devices show them.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (spec, energies) = (self.spec(), self.energies());
        Counters {
            grid_import: energies.grid_import.counter(spec.grid_meter.energy_scale),
            grid_export: energies.grid_export.counter(spec.grid_meter.energy_scale),
            pv_production: energies.pv.counter(spec.pv_inverter.energy_scale),
            battery_discharge: energies
                .battery_discharge
                .counter(spec.battery_inverter.energy_scale),
        }
    }

    /// The true state of charge, in hundredths of a percent.
    #[must_use]
    pub fn soc_basis_points(&self) -> i64 {
        self.site.battery().soc_basis_points()
    }

    /// Energy in the battery's cells.
    #[must_use]
    pub fn stored(&self) -> Energy {
        self.site.battery().stored()
    }

    /// Serves each device on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn serve(&self) -> io::Result<ServedHome> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(ServedHome {
            pv_inverter: self.pv_inverter.serve(any).await?,
            battery_inverter: self.battery_inverter.serve(any).await?,
            grid_meter: self.grid_meter.serve(any).await?,
        })
    }
}

/// A home's sockets; dropping it closes them.
#[derive(Debug)]
pub struct ServedHome {
    /// The PV inverter's socket.
    pub pv_inverter: Server,
    /// The battery inverter's socket.
    pub battery_inverter: Server,
    /// The grid meter's socket.
    pub grid_meter: Server,
}

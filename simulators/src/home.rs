//! A home: one site's physics and the three devices through which the world sees it.

use crate::device::{Device, battery_inverter, grid_meter, pv_inverter};
use crate::energy::{Counter, Energy};
use crate::physics::{Controls, Energies, Flow, Site};
use crate::server::Server;
use crate::spec::HomeSpec;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

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
    ///
    /// # Panics
    /// If the spec describes no possible home: a battery without capacity, an efficiency beyond
    /// 100 %, a scale factor beyond ±10. The message says which.
    #[must_use]
    pub fn new(spec: HomeSpec, start: i64) -> Self {
        spec.assert_possible();
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

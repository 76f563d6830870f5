//! A home from a file. Errors name the file, the line and the key.

mod tables;

use super::plan::{Place, Plan, PlannedDevice};
use crate::bounded;
use crate::device::{DeviceSpec, Role};
use crate::physics::{LoadProfile, Location, ProfileSeries};
use crate::spec::HomeSpec;
use crate::wire::{Line, StopBits};
use gridtally_registers::profile::Profile;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tables::{DeviceTable, HomeFile, LoadName, LoadTable, LocationTable, SerialTable};
use thiserror::Error;
use toml::Spanned;

/// A config file longer than this is none.
const LONGEST: usize = 1 << 20;

/// What is wrong with a config file.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is read, and wrong.
    #[error("{}, line {line}{}: {problem}", file.display(), key.as_ref().map(|key| format!(", {key}")).unwrap_or_default())]
    Wrong {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which key, if the line has one.
        key: Option<String>,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// What it says cannot be beside what it leaves to the seed.
    #[error("{}: {problem}", file.display())]
    Impossible {
        /// Which file.
        file: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// The home of a file.
///
/// # Errors
/// If the file cannot be read, or says something that cannot be.
pub fn load(path: &Path) -> Result<Plan, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        file: path.to_owned(),
        source,
    };
    let text = bounded::read(path, LONGEST).map_err(unreadable)?;
    parse(&text, path)
}

/// The home of a text; `path` is for the errors, and what the text names lies beside it.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Plan, ConfigError> {
    let file: HomeFile = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        wrong(
            path,
            text,
            offset,
            error.message().lines().collect::<Vec<_>>().join("; "),
        )
    })?;
    let plan = file
        .plan(path)
        .map_err(|(offset, problem)| wrong(path, text, offset, problem))?;
    if let Err(error) = crate::Home::try_new(plan.home_spec(), 0) {
        return Err(match place_of(text, error.key()) {
            Some(offset) => wrong(path, text, offset, error.to_string()),
            None => ConfigError::Impossible {
                file: path.to_owned(),
                problem: error.to_string(),
            },
        });
    }
    Ok(plan)
}

/// Where a key is set first.
fn place_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| line.split_once('=').is_some_and(|(found, _)| found.trim() == key);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if sets(line) {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}

fn wrong(path: &Path, text: &str, offset: usize, problem: String) -> ConfigError {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let key = text.lines().nth(line - 1).and_then(|line| line.split_once('='));
    ConfigError::Wrong {
        file: path.to_owned(),
        line,
        key: key.map(|(key, _)| key.trim().to_owned()),
        problem,
    }
}

impl HomeFile {
    fn plan(self, path: &Path) -> Result<Plan, (usize, String)> {
        let mut home = HomeSpec::draw_under(self.weather_seed.unwrap_or(self.seed), self.seed);
        if let Some(LocationTable { latitude, longitude }) = self.location {
            home.location = Location { latitude, longitude };
        }
        self.pv.apply(&mut home.pv);
        self.battery.apply(&mut home.battery);
        self.grid.apply(&mut home.grid);
        self.load.apply(&mut home, path)?;
        let devices = if self.device.is_empty() {
            usual_devices(&home)
        } else {
            plan_devices(&self.device, &home, path)?
        };
        Ok(Plan {
            home,
            devices,
            start: self.start.map(|start| start.timestamp()),
            pace: self.time,
            control: self.control,
        })
    }
}

impl LoadTable {
    fn apply(&self, home: &mut HomeSpec, path: &Path) -> Result<(), (usize, String)> {
        let load = &mut home.load;
        load.shift_weeks = self.shift_weeks.unwrap_or(load.shift_weeks);
        load.scale_permille = self.scale_permille.unwrap_or(load.scale_permille);
        load.ev_charger_watts = self.ev_charger_watts.unwrap_or(load.ev_charger_watts);
        if self.profile == Some(LoadName::Seeded) {
            load.profile = LoadProfile::Seeded;
        }
        if let Some(file) = &self.file {
            let beside = path.parent().unwrap_or(Path::new("")).join(file.get_ref());
            let series =
                ProfileSeries::read(&beside).map_err(|error| (file.span().start, error.to_string()))?;
            load.profile = LoadProfile::File(Arc::new(series));
            // What a file says is meant as it stands.
            load.scale_permille = self.scale_permille.unwrap_or(1_000);
            load.shift_weeks = self.shift_weeks.unwrap_or(0);
        }
        Ok(())
    }
}

/// PV inverter, battery inverter and grid meter on ports 5020 to 5022.
fn usual_devices(home: &HomeSpec) -> Vec<PlannedDevice> {
    let ports = 5_020..;
    let devices = home.devices.iter().zip(ports);
    devices
        .map(|(spec, port)| PlannedDevice {
            spec: spec.clone(),
            place: Place::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            faults: Vec::new(),
        })
        .collect()
}

fn plan_devices(
    tables: &[Spanned<DeviceTable>],
    home: &HomeSpec,
    path: &Path,
) -> Result<Vec<PlannedDevice>, (usize, String)> {
    let mut planned: Vec<PlannedDevice> = Vec::new();
    for (n, table) in tables.iter().enumerate() {
        let at = table.span().start;
        let device = table
            .get_ref()
            .plan(n, home, path)
            .map_err(|problem| (at, problem))?;
        if planned.iter().any(|other| other.spec.name == device.spec.name) {
            let problem = format!(
                "{:?} is the name of an earlier device: choose another",
                device.spec.name
            );
            return Err((at, problem));
        }
        let same = |other: &&PlannedDevice| {
            other.place.is_shared_with(&device.place) && other.spec.unit == device.spec.unit
        };
        if let Some(other) = planned.iter().find(same) {
            let problem = format!(
                "{:?} answers to unit {} in the same place: choose another unit or another place",
                other.spec.name, other.spec.unit
            );
            return Err((at, problem));
        }
        planned.push(device);
    }
    Ok(planned)
}

impl DeviceTable {
    fn plan(&self, n: usize, home: &HomeSpec, path: &Path) -> Result<PlannedDevice, String> {
        let mut spec = self.beginning(n, home, path)?;
        let mut texts = [
            (&mut spec.name, &self.name),
            (&mut spec.manufacturer, &self.manufacturer),
            (&mut spec.model, &self.model),
        ];
        for (field, given) in &mut texts {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        spec.models = self.models.clone().unwrap_or(spec.models);
        spec.measures = self.measures.clone().unwrap_or(spec.measures);
        if self.role == Some(Role::Meter) && self.models.is_none() && spec.measures.len() > 1 {
            let model = spec.models.clone();
            spec.models = spec.measures.iter().flat_map(|_| model.clone()).collect();
        }
        spec.unit = self.unit.unwrap_or(spec.unit);
        spec.base = self.base.unwrap_or(spec.base);
        spec.energy_scale = self.energy_scale.unwrap_or(spec.energy_scale);
        spec.power_scale = self.power_scale.unwrap_or(spec.power_scale);
        spec.soc_scale = self.soc_scale.unwrap_or(spec.soc_scale);
        spec.counter_bits = self.counter_bits;
        spec.heartbeat_seconds = self.heartbeat_seconds.unwrap_or(spec.heartbeat_seconds);
        Ok(PlannedDevice {
            spec,
            place: self.place(n)?,
            faults: self.fault.iter().map(|fault| fault.0.clone()).collect(),
        })
    }

    /// What role or profile make of it.
    fn beginning(&self, n: usize, home: &HomeSpec, path: &Path) -> Result<DeviceSpec, String> {
        let serial_number = |role: Option<Role>| {
            self.serial_number.clone().unwrap_or_else(|| {
                let drawn = home.devices.iter().find(|device| Some(device.role) == role);
                drawn.map_or_else(|| format!("SIM{n:04}"), |device| device.serial_number.clone())
            })
        };
        match (self.role, &self.profile) {
            (Some(role), None) => {
                let mut spec = DeviceSpec::new(role, serial_number(Some(role)));
                spec.speak(self.generation, self.phases);
                Ok(spec)
            }
            (None, Some(profile)) => {
                let beside = path.parent().unwrap_or(Path::new("")).join(profile);
                let mut spec = DeviceSpec::profiled(load_profile(&beside)?, serial_number(None));
                spec.phases = self.phases;
                Ok(spec)
            }
            _ => Err(
                "a device has a role (inverter, battery, hybrid, meter) or a profile: write one of them"
                    .to_owned(),
            ),
        }
    }

    fn place(&self, n: usize) -> Result<Place, String> {
        match (self.listen, &self.pty, &self.serial) {
            (Some(address), None, None) => Ok(Place::Socket(address)),
            (None, Some(link), None) => Ok(Place::Line(Line::Pty {
                link: Some(link.clone()),
            })),
            (None, None, Some(serial)) => Ok(Place::Line(serial.line()?)),
            (None, None, None) => {
                let port = u16::try_from(n).ok().and_then(|n| n.checked_add(5_020));
                let port =
                    port.ok_or("there are more devices than ports: give this one an address to listen on")?;
                Ok(Place::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
            }
            _ => Err("a device is in one place: write listen, pty or serial".to_owned()),
        }
    }
}

/// A register-map profile (`docs/device-profiles.md`), or everything that is wrong with it.
pub(crate) fn load_profile(path: &Path) -> Result<Arc<Profile>, String> {
    let text =
        bounded::read(path, LONGEST).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let profile = Profile::parse(&text, &path.display().to_string()).map_err(|errors| errors.to_string())?;
    Ok(Arc::new(profile))
}

impl SerialTable {
    fn line(&self) -> Result<Line, String> {
        let stop_bits = match self.stop_bits {
            1 => StopBits::One,
            2 => StopBits::Two,
            other => return Err(format!("a serial line has 1 or 2 stop bits, not {other}")),
        };
        Ok(Line::Serial {
            path: self.path.clone(),
            baud: self.baud,
            parity: self.parity,
            stop_bits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Schedule};
    use crate::lab::Pace;

    fn complaint(text: &str) -> String {
        parse(text, Path::new("home.toml"))
            .expect_err("it is wrong")
            .to_string()
    }

    #[test]
    fn an_empty_file_is_a_home_with_three_devices() {
        let plan = parse("", Path::new("home.toml")).unwrap();
        assert_eq!(plan.devices.len(), 3);
        assert_eq!(plan.pace, Pace::Scaled(1));
        assert_eq!(plan.home, HomeSpec::draw(1));
    }

    #[test]
    fn a_gateway_with_two_meters_and_a_planned_fault_is_read() {
        let text = r#"
            seed = 9
            time = "x60"
            start = "2026-06-21T10:00:00Z"
            [battery]
            capacity_watt_hours = 7_000
            [[device]]
            name = "meters"
            role = "meter"
            measures = ["grid", "pv"]
            listen = "127.0.0.1:5502"
            unit = 3
            [[device.fault]]
            fault = "late-reply"
            millis = 700
            from = "14:00"
            for = "10m"
            [[device]]
            role = "hybrid"
            generation = "ieee-1547"
            listen = "127.0.0.1:5502"
            unit = 4
        "#;
        let plan = parse(text, Path::new("home.toml")).unwrap();
        assert_eq!(plan.home.battery.capacity_watt_hours, 7_000);
        let [meters, hybrid] = plan.devices.as_slice() else {
            panic!("{plan:?}")
        };
        assert_eq!(meters.spec.models, [203, 203]);
        assert_eq!(meters.faults[0].fault, Fault::LateReply { millis: 700 });
        assert_eq!(
            meters.faults[0].schedule,
            Some(Schedule::read("14:00", "10m").unwrap())
        );
        assert!(hybrid.spec.models.contains(&713));
    }

    #[test]
    fn every_complaint_names_the_file_the_line_and_the_key() {
        for (text, expected) in [
            ("sed = 1", "home.toml, line 1, sed: unknown field `sed`"),
            ("\n[pv]\npeak_watts = \"many\"", "home.toml, line 3, peak_watts: "),
            ("time = \"fast\"", "line 1, time: \"fast\" is no pace of time"),
            (
                "[[device]]\nrole = \"toaster\"",
                "line 2, role: unknown variant `toaster`",
            ),
            (
                "[[device]]\nrole = \"meter\"\n[[device.fault]]\nfault = \"late\"",
                "line 4, fault: there is no fault \"late\"; is it \"late-reply\"?",
            ),
            (
                "[[device]]\nrole = \"meter\"\n[[device]]\nrole = \"meter\"",
                "line 3: \"meter\" is the name of an earlier device",
            ),
            (
                "[battery]\ncapacity_watt_hours = 0",
                "a battery has to have a capacity",
            ),
            (
                "seed = 1\n\n[battery]\npower_watts = 3_000\ncapacity_watt_hours = 0",
                "line 5, capacity_watt_hours: a battery has to have a capacity",
            ),
            (
                "seed = 1\n[load]\nshift_weeks = 6_000",
                "line 3, shift_weeks: a load is moved",
            ),
            (
                "seed = 1\n[battery]\nsoc_max_permille = 100",
                "home.toml: a battery starts between",
            ),
            (
                "seed = 1\n[[device]]\nrole = \"meter\"\nmodels = [999]",
                "line 4, models: meter: the simulators do not know",
            ),
            ("[[device]]\nname = \"x\"", "line 1: a device has a role"),
            (
                "[[device]]\nprofile = \"nowhere.toml\"",
                "line 1: cannot read nowhere.toml",
            ),
            (
                "[[device]]\nrole = \"meter\"\nmodels = [999]",
                "do not know model 999",
            ),
            ("[load]\nfile = \"nowhere.csv\"", "line 2, file: "),
        ] {
            let complaint = complaint(text);
            assert!(complaint.contains(expected), "{text}\n{complaint}");
        }
    }
}

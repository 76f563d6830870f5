//! `gridtally simulate …`: devices for whoever needs one to talk to.

mod options;

use options::{DeviceOptions, LabOptions, Options, RecordArgs, ReplayArgs};

use crate::bounded;
use crate::device::{Device, DeviceSpec, Role};
use crate::fault::{Fault, FaultError, Layer, Schedule};
use crate::lab::config::{self, ConfigError};
use crate::lab::{Lab, LabError, Pace, Place, Plan, PlannedDevice, PlannedFault, explain};
use crate::record::{RecordError, RecordOptions, Recorded, Recording, RecordingError, record, redact};
use crate::spec::HomeSpec;
use crate::wire::{Line, Parity, StopBits};
use clap::{Args, Subcommand};
use gridtally_registers::profile::Profile;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Simulated Modbus devices, over TCP or on a serial line, until Ctrl-C.
///
/// They have physics behind them (sun, clouds, a battery, a household) and faults in them. Try
/// `gridtally simulate inverter --port 5020`, or a whole home with `gridtally simulate home`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A home: what its file says, or PV inverter, battery inverter and grid meter on three ports.
    Home {
        /// A file of config/homes/, or one of your own.
        file: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
    /// A PV inverter.
    Inverter(Options),
    /// A battery inverter.
    Battery(Options),
    /// A hybrid inverter, with panels and battery.
    Hybrid(Options),
    /// A grid meter.
    Meter(Options),
    /// A device without SunSpec, by its register-map profile.
    Profile {
        /// A file of config/device-profiles/, or one of your own.
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Records what a real device answers into a file; nothing is written to the device.
    Record(RecordArgs),
    /// Serves a recording as a live device.
    Replay(ReplayArgs),
    /// Lists all faults that a device can have.
    Faults,
}

/// Why a simulation does not run.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// A config file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A fault is none.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A register-map profile is wrong.
    #[error("{0}")]
    Profile(String),
    /// A device cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The lab does not run.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The file of a home and the command line contradict one another.
    #[error("{} says which devices there are and where: change it there, or leave the file away", .0.display())]
    SaidTwice(PathBuf),
    /// Three ports do not fit.
    #[error("a home takes three ports from --port on; {port} leaves too few below 65536")]
    NoPortLeft {
        /// The first port.
        port: u16,
    },
}

/// Runs the simulation until Ctrl-C.
///
/// # Errors
/// If the command line or a config file is wrong, or a port or line cannot be had.
pub async fn run(args: SimulateArgs) -> Result<(), SimulateError> {
    let (title, plan, options) = match args.what {
        What::Faults => {
            print!("{}", fault_list());
            return Ok(());
        }
        What::Record(args) => return record_device(&args).await,
        What::Replay(args) => return replay(&args).await,
        What::Home {
            file: Some(file),
            options,
        } => {
            if options.device != DeviceOptions::default() {
                return Err(SimulateError::SaidTwice(file));
            }
            (stem(&file), config::load(&file)?, options.lab)
        }
        What::Home { file: None, options } => {
            let roles = [Role::Inverter, Role::Battery, Role::Meter];
            ("home".to_owned(), plan(&roles, &options.device)?, options.lab)
        }
        What::Profile { file, options } => {
            let profile = config::load_profile(&file).map_err(SimulateError::Profile)?;
            let title = profile.name.clone();
            (title, plan_profile(profile, &options.device)?, options.lab)
        }
        What::Inverter(options) => (
            "inverter".to_owned(),
            plan(&[Role::Inverter], &options.device)?,
            options.lab,
        ),
        What::Battery(options) => (
            "battery".to_owned(),
            plan(&[Role::Battery], &options.device)?,
            options.lab,
        ),
        What::Hybrid(options) => (
            "hybrid".to_owned(),
            plan(&[Role::Hybrid], &options.device)?,
            options.lab,
        ),
        What::Meter(options) => (
            "meter".to_owned(),
            plan(&[Role::Meter], &options.device)?,
            options.lab,
        ),
    };
    let lab = Lab::start(&title, &with(plan, &options)?).await?;
    print!("{}", explain(&lab));
    Ok(lab.run(options.watch).await?)
}

async fn record_device(args: &RecordArgs) -> Result<(), SimulateError> {
    let options = RecordOptions {
        spans: args.registers.clone(),
        snapshots: args.snapshots,
        every: Duration::from_secs(u64::from(args.every)),
        deadline: Duration::from_millis(args.timeout),
        pause: Duration::from_millis(args.pause),
    };
    let mut holes = 0;
    let source = args.device.to_string();
    let mut recording = record(&args.device, &source, &options, |progress| match progress {
        Recorded::Model { id, address } => eprintln!("model {id} at {address}"),
        Recorded::Hole { address, count } => {
            holes += 1;
            eprintln!("registers from {address}, {count} of them: refused, left out");
        }
        Recorded::Snapshot(n) => eprintln!("picture {n} of {}", args.snapshots),
        Recorded::Missed { snapshot, problem } => eprintln!("picture {snapshot} is missed: {problem}"),
        Recorded::Full => eprintln!("the recording is as long as one may be, and ends here"),
    })
    .await?;
    if args.redact || !args.redact_text.is_empty() {
        let redaction = redact(&mut recording, &args.redact_text);
        eprintln!("{} registers redacted", redaction.registers);
        for text in redaction.too_short {
            eprintln!("{text:?} is too short to be searched for: look through the file yourself");
        }
    }
    write_whole(&args.out, &recording.to_json())?;
    println!(
        "{}: {} registers, {} pictures after the first, {holes} refused.\nServe it with: gridtally simulate replay {}",
        args.out.display(),
        recording.registers(),
        recording.snapshots.len(),
        args.out.display()
    );
    Ok(())
}

/// The file is whole or not there.
fn write_whole(path: &Path, text: &str) -> Result<(), SimulateError> {
    let unwritable = |source| SimulateError::Unwritable {
        file: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, text).map_err(unwritable)?;
    std::fs::rename(&part, path).map_err(unwritable)
}

async fn replay(args: &ReplayArgs) -> Result<(), SimulateError> {
    let unreadable = |source| SimulateError::Unreadable {
        file: args.file.clone(),
        source,
    };
    let text = bounded::read(&args.file, Recording::MAX_BYTES).map_err(unreadable)?;
    let mut recording = Recording::parse(&text, &args.file.display().to_string())?;
    recording.unit = args.device.unit.unwrap_or(recording.unit);
    let name = stem(&args.file);
    let device = Device::replay(&recording, name.clone());
    let place = place(&args.device, 0)?;
    let lab = Lab::start_devices(&name, vec![(device, place)], args.time, args.control).await?;
    print!("{}", explain(&lab));
    Ok(lab.run(false).await?)
}

/// A file's name without its ending.
fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What the command line says about the lab goes over what the file says.
fn with(mut plan: Plan, options: &LabOptions) -> Result<Plan, SimulateError> {
    plan.control = options.control.or(plan.control);
    plan.start = options.start.map(|start| start.timestamp()).or(plan.start);
    plan.pace = options.time.unwrap_or(plan.pace);
    let faults = planned_faults(&options.faults)?;
    plan.devices
        .iter_mut()
        .for_each(|device| device.faults.extend(faults.clone()));
    Ok(plan)
}

fn plan(roles: &[Role], options: &DeviceOptions) -> Result<Plan, SimulateError> {
    let seed = options.seed.unwrap_or(1);
    let home = HomeSpec::draw(seed);
    let mut devices = Vec::new();
    for (n, &role) in (0_u8..).zip(roles) {
        let drawn = home.devices.iter().find(|device| device.role == role);
        let serial_number =
            drawn.map_or_else(|| format!("HY{seed:08X}"), |device| device.serial_number.clone());
        let mut spec = DeviceSpec::new(role, serial_number);
        spec.speak(
            options.generation.unwrap_or_default(),
            options.phases.unwrap_or_default(),
        );
        spec.base = options.base.unwrap_or(spec.base);
        let place = place(options, n)?;
        let shared = if matches!(place, Place::Line(_)) { n } else { 0 };
        spec.unit = options.unit.unwrap_or(1).saturating_add(shared);
        devices.push(PlannedDevice {
            spec,
            place,
            faults: Vec::new(),
        });
    }
    Ok(Plan {
        home,
        devices,
        start: None,
        pace: Pace::Scaled(1),
        control: None,
    })
}

fn plan_profile(profile: Arc<Profile>, options: &DeviceOptions) -> Result<Plan, SimulateError> {
    let mut plan = plan(&[], options)?;
    let mut spec = DeviceSpec::profiled(profile, format!("SIM{:08X}", options.seed.unwrap_or(1)));
    spec.unit = options.unit.unwrap_or(spec.unit);
    spec.phases = options.phases.unwrap_or(spec.phases);
    plan.devices.push(PlannedDevice {
        spec,
        place: place(options, 0)?,
        faults: Vec::new(),
    });
    Ok(plan)
}

fn place(options: &DeviceOptions, n: u8) -> Result<Place, SimulateError> {
    if let Some(link) = &options.pty {
        return Ok(Place::Line(Line::Pty {
            link: Some(link.clone()),
        }));
    }
    if let Some(path) = &options.serial {
        return Ok(Place::Line(Line::Serial {
            path: path.clone(),
            baud: options.baud.unwrap_or(9_600),
            parity: Parity::None,
            stop_bits: StopBits::One,
        }));
    }
    let port = match options.port.unwrap_or(5_020) {
        0 => 0,
        port => port
            .checked_add(u16::from(n))
            .ok_or(SimulateError::NoPortLeft { port })?,
    };
    let listen = options.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(Place::Socket(SocketAddr::from((listen, port))))
}

/// `late-reply:millis=500` or `late-reply:millis=500@14:00/10m`.
fn planned_faults(texts: &[String]) -> Result<Vec<PlannedFault>, FaultError> {
    texts
        .iter()
        .map(|text| {
            let (fault, schedule) = match text.split_once('@') {
                None => (text.as_str(), None),
                Some((fault, when)) => {
                    let (from, duration) = when
                        .split_once('/')
                        .ok_or_else(|| FaultError::NoTime(when.to_owned()))?;
                    (fault, Some(Schedule::read(from, duration)?))
                }
            };
            let fault: Fault = fault.parse()?;
            Ok(PlannedFault { fault, schedule })
        })
        .collect()
}

fn fault_list() -> String {
    let mut text = String::new();
    for layer in Layer::ALL {
        text.push_str(&format!("Faults of the {}:\n", layer.name()));
        for line in Fault::ALL.iter().filter(|line| line.layer == layer) {
            text.push_str(&format!("  {}\n      {}\n", line.fault, line.summary));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    fn options(arguments: &[&str]) -> DeviceOptions {
        let words = ["simulate", "meter"].iter().chain(arguments);
        let program = Program::try_parse_from(words).expect("the arguments parse");
        let What::Meter(options) = program.simulate.what else {
            panic!("a meter")
        };
        options.device
    }

    #[tokio::test]
    async fn a_home_has_three_sockets_and_says_what_to_read() {
        let roles = [Role::Inverter, Role::Battery, Role::Meter];
        let plan = plan(&roles, &options(&["--port", "0"])).unwrap();
        let lab = Lab::start("home", &plan).await.unwrap();
        assert_eq!(lab.places(), 3);
        let text = explain(&lab);
        assert!(
            text.contains("meter") && text.contains("-r 40088 "),
            "W of model 203 behind model 1:\n{text}"
        );
    }

    #[tokio::test]
    async fn devices_on_a_pseudo_terminal_share_it() {
        let folder = std::env::temp_dir().join(format!("gridtally-pty-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let link = folder.join("line");
        let roles = [Role::Inverter, Role::Meter];
        let plan = plan(&roles, &options(&["--pty", link.to_str().unwrap()])).unwrap();
        let lab = Lab::start("home", &plan).await.unwrap();
        assert_eq!(lab.places(), 1);
        assert!(explain(&lab).contains("-m rtu"));
        drop(lab);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_way_out() {
        let free = plan(&[Role::Meter], &options(&["--port", "0"])).unwrap();
        let taken = Lab::start("one", &free).await.unwrap();
        let text = explain(&taken);
        let port = text
            .split("127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap();
        let again = plan(&[Role::Meter], &options(&["--port", port])).unwrap();
        let error = Lab::start("two", &again)
            .await
            .expect_err("the port is taken")
            .to_string();
        assert!(error.contains(port) && error.contains("--port"), "{error}");
    }

    #[test]
    fn faults_are_planned_with_parameters_and_times() {
        let texts = ["frozen", "late-reply:millis=5@14:00/10m"].map(str::to_owned);
        let planned = planned_faults(&texts).unwrap();
        assert_eq!(planned[0].schedule, None);
        assert_eq!(planned[1].fault, Fault::LateReply { millis: 5 });
        assert!(planned[1].schedule.is_some());
        assert!(planned_faults(&["frozen@14:00".to_owned()]).is_err());
        let list = fault_list();
        assert!(Fault::ALL.iter().all(|line| list.contains(line.name)));
    }
}

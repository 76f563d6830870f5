//! The options of the commands.

use crate::device::{Generation, Phases};
use crate::lab::Pace;
use crate::record::{Span, Target};
use chrono::{DateTime, Utc};
use clap::Args;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// The device: tcp://host:port?unit=1 or rtu:/dev/ttyUSB0?baud=9600&unit=1; base=N says where
    /// its SunSpec map begins, if not at 40000, 0 or 50000.
    pub(super) device: Target,
    /// The file to write.
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Pictures after the first one.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(super) snapshots: u32,
    /// Seconds from one picture to the next.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) every: u32,
    /// More registers, or those of a device without SunSpec: holding:0-99 or input:5000-5100
    #[arg(long, value_name = "SPAN")]
    pub(super) registers: Vec<Span>,
    /// Takes out the serial number that the device tells in model 1.
    #[arg(long)]
    pub(super) redact: bool,
    /// Takes out this text too, wherever it stands.
    #[arg(long, value_name = "TEXT")]
    pub(super) redact_text: Vec<String>,
    /// Milliseconds that an answer may take.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub(super) timeout: u64,
    /// Milliseconds between two requests.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(super) pause: u64,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The recording.
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) device: DeviceOptions,
    /// Serves the control API here, as 127.0.0.1:5019.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) control: Option<SocketAddr>,
    /// How time passes: real or x60.
    #[arg(long, default_value_t = Pace::Scaled(1))]
    pub(super) time: Pace,
}

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) device: DeviceOptions,
    #[command(flatten)]
    pub(super) lab: LabOptions,
}

/// What a file of a home says instead.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(super) struct DeviceOptions {
    /// Decides about roof, battery, household and clouds [default: 1]
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Address to listen on; 0.0.0.0 lets other machines in [default: 127.0.0.1]
    #[arg(long)]
    pub(super) listen: Option<IpAddr>,
    /// TCP port; a home takes this one and the next two; 0 takes free ones [default: 5020]
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Modbus RTU on a pseudo-terminal instead, with a symbolic link to it at this path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["serial", "port", "listen"])]
    pub(super) pty: Option<PathBuf>,
    /// Modbus RTU on this serial port instead, 8 data bits, no parity
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["port", "listen"])]
    pub(super) serial: Option<PathBuf>,
    /// Speed of the serial port [default: 9600]
    #[arg(long, requires = "serial")]
    pub(super) baud: Option<u32>,
    /// Modbus unit; the devices of a home on one serial line count up from here [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=247))]
    pub(super) unit: Option<u8>,
    /// Address of the SunSpec marker: 0, 40000 and 50000 are those that clients look at [default: 40000]
    #[arg(long)]
    pub(super) base: Option<u16>,
    /// Generation of SunSpec models [default: integer]
    #[arg(long, value_enum)]
    pub(super) generation: Option<Generation>,
    /// Connection to the grid [default: three]
    #[arg(long, value_enum)]
    pub(super) phases: Option<Phases>,
}

#[derive(Debug, Args)]
pub(super) struct LabOptions {
    /// How time passes: real, x60 (sixty times as fast) or stepped (by the control API) [default: real]
    #[arg(long)]
    pub(super) time: Option<Pace>,
    /// The instant to begin at, as 2026-06-21T10:00:00Z [default: now]
    #[arg(long)]
    pub(super) start: Option<DateTime<Utc>>,
    /// A fault, as late-reply:millis=5000, always or frozen@14:00/10m on a schedule (each day, UTC).
    /// Several are allowed; all devices have them. `gridtally simulate faults` lists what there is
    #[arg(long = "fault", value_name = "FAULT")]
    pub(super) faults: Vec<String>,
    /// Serves the control API here, as 127.0.0.1:5019; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(super) control: Option<SocketAddr>,
    /// Shows the power flows live
    #[arg(long)]
    pub(super) watch: bool,
}

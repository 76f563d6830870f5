//! `gridtally edge read` and `gridtally edge dump`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CONFIG, EdgeError, runtime, write_whole};
use crate::show::{self, Named, Target, TargetError};

/// Which device.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// A device of the config by its name, or a place: 192.0.2.10:502, tcp://192.0.2.10:502?unit=1&base=40000,
    /// tls://inverter.local:802, rtutcp://192.0.2.11:4196?unit=3 or rtu:///dev/ttyUSB0?baud=9600&unit=1
    #[arg(value_name = "DEVICE")]
    device: String,
    /// The owner's config, for the names of devices [default: agent.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The register map of a device without SunSpec: one that comes along, or a file of your own
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Whose certificates are believed (PEM), for a place that begins with tls://
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate that is shown to a device that asks for one (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

impl Which {
    fn find(self) -> Result<Target, TargetError> {
        Named {
            device: self.device,
            config: self.config,
            profile: self.profile,
            ca: self.ca,
            client: self.certificate.zip(self.key),
        }
        .find(Path::new(CONFIG))
    }
}

/// What is to be shown.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    which: Which,
    /// A JSON list of model, instance, point, raw registers, exact decimal value and unit, or null and the
    /// reason
    #[arg(long)]
    json: bool,
}

/// What is to be taken down.
#[derive(Debug, Clone, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    which: Which,
    /// The file to write; `gridtally simulate replay` serves it
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Leave serial numbers in
    #[arg(long)]
    keep_serial: bool,
}

/// Shows all points of a device.
pub(super) fn read(args: ReadArgs) -> Result<(), EdgeError> {
    let target = args.which.find()?;
    let sight = runtime()?.block_on(show::look(&target))?;
    let text = if args.json {
        show::json(&sight)
    } else {
        show::table(&target.to_string(), &sight)
    };
    // Whoever reads may have seen enough, and closed the pipe.
    drop(std::io::stdout().write_all(text.as_bytes()));
    Ok(())
}

/// Writes all registers of a device into a file.
pub(super) fn dump(args: DumpArgs) -> Result<(), EdgeError> {
    let target = args.which.find()?;
    let dump = runtime()?.block_on(show::dump(&target, args.keep_serial))?;
    write_whole(&args.output, &dump.text)?;
    let (requests, failed) = dump.requests;
    println!(
        "{}: {} registers, by {requests} requests, {failed} of them without success.",
        args.output.display(),
        dump.registers
    );
    if !args.keep_serial {
        println!(
            "Serial numbers are taken out ({} registers). Look through the file before you publish it.",
            dump.redacted
        );
    }
    for text in dump.too_short {
        println!(
            "{text:?} is too short to be searched for elsewhere in the registers; look for it yourself."
        );
    }
    println!(
        "Serve it with: gridtally simulate replay {}",
        args.output.display()
    );
    Ok(())
}

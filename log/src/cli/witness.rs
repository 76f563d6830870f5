//! `gridtally witness init|cosign|show`.

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use gridtally_protocol::time::Timestamp;

use super::CommandError;
use crate::files::{Place, replace_file};
use crate::note::{KeyName, VerifierKey};
use crate::witness::Witness;

/// A witness: remembers how far a log had come, and cosigns only what continues it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub struct WitnessArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: WitnessCommand,
}

const EXAMPLE: &str = "\
Example:
  gridtally witness init ./my-witness --name witness.example/w1
  gridtally witness cosign ./my-witness http://operator.example/log \\
      --origin-key operator.example/log+1a2b3c4d+AQ… --output checkpoint.cosigned
  gridtally witness show ./my-witness

Run `cosign` from cron or a timer, and send what it writes to the operator, or serve it yourself.
It needs no trust in the operator, the web server or the network: see docs/log.md.";

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Make a witness's directory with a new key, and print the public one.
    Init {
        /// The directory
        directory: PathBuf,
        /// What the witness is called: like a URL without its scheme, such as witness.example/w1
        #[arg(long)]
        name: KeyName,
    },
    /// Look at a log, and cosign its checkpoint if it continues what was cosigned before.
    Cosign(Box<CosignArgs>),
    /// Print the public key, and how far each log had come.
    Show {
        /// The directory
        directory: PathBuf,
    },
}

/// `gridtally witness cosign …`
#[derive(Debug, Args)]
pub struct CosignArgs {
    /// The witness's directory
    pub directory: PathBuf,
    /// The log's directory, or the http:// URL before /checkpoint
    pub log: Place,
    /// The log's public key: NAME+HASH+BASE64
    #[arg(long, value_name = "KEY")]
    pub origin_key: VerifierKey,
    /// Write to this file instead of the standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the line of the cosignature only, not the checkpoint above it
    #[arg(long)]
    pub line: bool,
}

/// Does what was typed.
///
/// # Errors
/// [`CommandError`]; what was not cosigned, and why.
pub fn run(args: &WitnessArgs, out: &mut impl Write) -> Result<(), CommandError> {
    match &args.command {
        WitnessCommand::Init { directory, name } => {
            let witness = Witness::init(directory, name)?;
            Ok(writeln!(out, "{}", witness.verifier())?)
        }
        WitnessCommand::Cosign(args) => cosign(args, out),
        WitnessCommand::Show { directory } => show(&Witness::open(directory)?, out),
    }
}

fn cosign(args: &CosignArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let witness = Witness::open(&args.directory)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| CommandError::Clock)?;
    let cosigned = witness.cosign(&args.log.open(), &args.origin_key, now.as_secs())?;
    let text = if args.line {
        format!("{}\n", cosigned.line)
    } else {
        cosigned.checkpoint.to_string()
    };
    let Some(file) = &args.output else {
        return Ok(write!(out, "{text}")?);
    };
    let mut incoming = file.clone().into_os_string();
    incoming.push(".incoming");
    replace_file(file, &PathBuf::from(incoming), text.as_bytes())?;
    let before = cosigned.before.map_or(0, |before| before.size);
    let size = cosigned.checkpoint.checkpoint.head.size;
    Ok(writeln!(
        out,
        "Cosigned {} leaves of {}, which continue the {before} known before: {}",
        size,
        args.origin_key.name(),
        file.display()
    )?)
}

fn show(witness: &Witness, out: &mut impl Write) -> Result<(), CommandError> {
    writeln!(out, "{}", witness.verifier())?;
    for known in witness.known()? {
        let head = known.checkpoint.head;
        let seconds = known.signed_by(witness.verifier())?;
        writeln!(
            out,
            "{}: {} leaves, root {}, cosigned at {}",
            known.checkpoint.origin,
            head.size,
            head.root,
            instant(seconds)
        )?;
    }
    Ok(())
}

/// Seconds of Unix time as people read them.
pub(super) fn instant(seconds: u64) -> String {
    let instant = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_unix(seconds).ok());
    instant.map_or_else(|| format!("second {seconds}"), |instant| instant.to_string())
}

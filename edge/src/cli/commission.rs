//! `gridtally edge commission`.

use std::fs;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::message::Message as _;

use super::owner::{OwnerError, open, say};
use super::{CONFIG, EdgeError, runtime};
use crate::commission::{Outcome, RealTime, Subject, commission};
use crate::config::{AgentConfig, DeviceConfig};
use crate::device::{self, Hand};
use crate::home;
use crate::identity;
use crate::outbox::Outbox;

/// Which device shall prove what.
#[derive(Debug, Clone, Args)]
pub struct CommissionArgs {
    /// Its name or number in the config
    #[arg(value_name = "DEVICE")]
    device: String,
    /// The owner's config
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Only this control of it [default: all that events may set]
    #[arg(long)]
    control: Option<ControlName>,
    /// After how many seconds of silence the device shall go back by itself
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=3_600))]
    seconds: u32,
    /// Do not ask before the device is set
    #[arg(long)]
    yes: bool,
    /// Show the last result instead
    #[arg(long)]
    show: bool,
    /// Write the last signed record into this file
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

/// A control, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ControlName {
    Battery,
    Production,
}

impl ControlName {
    const fn hand(self) -> Hand {
        match self {
            Self::Battery => Hand::Battery,
            Self::Production => Hand::Production,
        }
    }
}

/// Tries a device, or shows how it did.
pub(super) fn run(args: &CommissionArgs) -> Result<(), EdgeError> {
    let config = AgentConfig::load(&args.config)?;
    let device = find(&config, &args.device)?.clone();
    let wanted = args.control.map(ControlName::hand);
    let hands: Vec<Hand> = home::hands(&device)
        .filter(|hand| wanted.is_none_or(|wanted| wanted == *hand))
        .collect();
    if hands.is_empty() {
        return Err(OwnerError::NothingToTry { device: device.name }.into());
    }
    if args.export.is_some() && hands.len() > 1 {
        return Err(OwnerError::WhichControl.into());
    }
    let mut outbox = open(&config)?;
    let is_to_try = !args.show && args.export.is_none();
    if is_to_try {
        if !args.yes && !ask(&device.name, args.seconds) {
            return Err(OwnerError::Refused.into());
        }
        let key = identity::load(&config.gateway.key)?;
        runtime()?.block_on(try_all(&config, &key, &mut outbox, &device, &hands, args.seconds))?;
    }
    let mut is_proven = true;
    for &hand in &hands {
        let envelope = outbox.commission(device.number, hand).map_err(OwnerError::from)?;
        let Some(envelope) = envelope else {
            say(&format!("{} ({}): not tried yet", device.name, hand.name()));
            is_proven = false;
            continue;
        };
        if let Some(path) = &args.export {
            fs::write(path, &envelope).map_err(|source| EdgeError::Make {
                path: path.clone(),
                source,
            })?;
            say(&format!("{}: {} bytes", path.display(), envelope.len()));
        }
        let record = CommissionRecord::open(&envelope)
            .map_err(OwnerError::from)?
            .message;
        say(&result(&device.name, hand, &record));
        if args.show {
            steps(&record).iter().for_each(|line| say(line));
        }
        is_proven &= record.passed();
    }
    if is_to_try && !is_proven {
        return Err(OwnerError::Unproven.into());
    }
    Ok(())
}

async fn try_all(
    config: &AgentConfig,
    key: &SigningIdentity,
    outbox: &mut Outbox,
    device: &DeviceConfig,
    hands: &[Hand],
    seconds: u32,
) -> Result<(), OwnerError> {
    let mut time = RealTime::new().map_err(OwnerError::Signals)?;
    let mut devices = device::start(&config.devices)?;
    for &hand in hands {
        say(&format!("{}: {}", device.name, hand.name()));
        let subject = Subject {
            device: device.number,
            hand,
            timer: NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN),
        };
        let mut tell = |line: &str| say(&format!("  {line}"));
        let tried = commission(config, key, outbox, &mut devices, subject, &mut time, &mut tell);
        if let Outcome::NotTried { why, is_restored } = tried.await? {
            say(&format!("  – not tried to the end: {why}"));
            if !is_restored {
                say("  ✗ start the agent, so that it puts the owner's setting back");
            }
            return Err(OwnerError::NotTried(why));
        }
    }
    Ok(())
}

fn find<'c>(config: &'c AgentConfig, wanted: &str) -> Result<&'c DeviceConfig, OwnerError> {
    let is_wanted = |device: &&DeviceConfig| device.name == wanted || device.number.to_string() == wanted;
    config
        .devices
        .iter()
        .find(is_wanted)
        .ok_or_else(|| OwnerError::NoDevice {
            wanted: wanted.to_owned(),
            known: config.devices.iter().map(|device| device.name.clone()).collect(),
        })
}

/// Whether the owner wants it, where there is somebody to ask.
fn ask(device: &str, seconds: u32) -> bool {
    let minutes = seconds.saturating_mul(3).saturating_add(180).div_ceil(60);
    let mut out = std::io::stdout();
    let asked = write!(
        out,
        "For about {minutes} minutes {device:?} is set to a small power of its own, then left alone, then put back \
         as it was. Go on? [y/N] "
    );
    let mut answer = String::new();
    asked.and_then(|()| out.flush()).is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn result(device: &str, hand: Hand, record: &CommissionRecord) -> String {
    let hand = hand.name();
    let at = record
        .steps
        .last()
        .map(|step| format!(" at {}", step.at))
        .unwrap_or_default();
    match record.failure() {
        None if record.passed() => {
            format!("{device} ({hand}): passed{at}: it obeys, and goes back by itself")
        }
        None => format!("{device} ({hand}): not tried to the end{at}"),
        Some((step, why)) => format!(
            "{device} ({hand}): failed{at}: {} at step {}",
            why.name(),
            step.name()
        ),
    }
}

fn steps(record: &CommissionRecord) -> Vec<String> {
    let line = |step: &gridtally_protocol::commission::StepRecord| {
        let power = step.power.map(|power| format!("  {power} W")).unwrap_or_default();
        format!(
            "  {}  {:<10} {}{power}",
            step.at,
            step.step.name(),
            step.result.name()
        )
    };
    record.steps.iter().map(line).collect()
}

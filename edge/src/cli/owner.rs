//! `gridtally edge opt-out`, `opt-in` and `status`: the owner's word, and how it stands, while no agent runs.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use gridtally_protocol::message::MessageError;
use gridtally_protocol::time::Timestamp;

use super::{CONFIG, EdgeError};
use crate::commission::{CommissionError, Obstacle};
use crate::config::AgentConfig;
use crate::control::policy::Proof;
use crate::device::Hand;
use crate::device::bus::tls::TlsError;
use crate::home;
use crate::identity;
use crate::outbox::{Outbox, OutboxError};
use crate::page::earned::Earned;

/// "Until I say otherwise": nobody waits for the end of it.
const FOR_GOOD_SECONDS: i64 = 100 * 366 * 86_400;

/// For how long the owner takes no part.
#[derive(Debug, Clone, Args)]
pub struct OptOutArgs {
    /// The owner's config
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// For how long, as 30m, 4h or 2d [default: until opt-in]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    seconds: Option<i64>,
}

/// Whose home.
#[derive(Debug, Clone, Args)]
pub struct HomeArgs {
    /// The owner's config
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// Why what the owner asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The agent runs.
    #[error("the agent runs and holds its memory: use its page for this, or stop it before")]
    AgentRuns,
    /// The memory.
    #[error(transparent)]
    Outbox(OutboxError),
    /// A device could not be tried.
    #[error(transparent)]
    Commission(#[from] CommissionError),
    /// The certificates of a device.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A record that is no record.
    #[error("the stored record cannot be read: {0}")]
    Record(#[from] MessageError),
    /// The signals.
    #[error("the signals of the system cannot be listened to: {0}")]
    Signals(std::io::Error),
    /// No such device.
    #[error("the config has no device {wanted:?}; it has {}", known.join(", "))]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A meter, say.
    #[error(
        "there is nothing at {device:?} that events may set (see kind and production_limit in the config)"
    )]
    NothingToTry {
        /// Its name.
        device: String,
    },
    /// One file, two records.
    #[error("the device has two controls; say with --control battery or production whose record is wanted")]
    WhichControl,
    /// The owner said no.
    #[error("nothing was done; with --yes it is not asked")]
    Refused,
    /// It was not tried, or not to the end.
    #[error("{0}")]
    NotTried(Obstacle),
    /// It failed.
    #[error(
        "the device is not proven: events do not use it, unless you accept the risk with accept_unproven_control = \
         true in [owner]"
    )]
    Unproven,
}

impl From<OutboxError> for OwnerError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Held { .. } => Self::AgentRuns,
            other => Self::Outbox(other),
        }
    }
}

/// The memory, while no agent holds it.
pub(super) fn open(config: &AgentConfig) -> Result<Outbox, EdgeError> {
    let key = identity::load(&config.gateway.key)?;
    let outbox = Outbox::open(&config.gateway.data, key, config.gateway.sync);
    Ok(outbox.map_err(OwnerError::from)?)
}

/// Whoever reads may have closed the pipe.
pub(super) fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH)
}

/// `30m`, `4h`, `2d`: whole seconds up to ten years.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time: write a number and m, h or d, as 30m, 4h or 2d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let length = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let count: u16 = number.parse().map_err(|_| wrong())?;
    let seconds = i64::from(count).saturating_mul(length);
    if (1..=3_660 * 86_400).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("{text:?} is nothing, or more than ten years"))
    }
}

/// Takes the owner's word that he is out.
pub(super) fn opt_out(args: &OptOutArgs) -> Result<(), EdgeError> {
    let config = AgentConfig::load(&args.config)?;
    let mut outbox = open(&config)?;
    let until = now().checked_add(args.seconds.unwrap_or(FOR_GOOD_SECONDS));
    let until = until.unwrap_or_else(now);
    outbox.opt_out(Some(until)).map_err(OwnerError::from)?;
    match args.seconds {
        Some(_) => say(&format!("This home takes no part in events until {until}.")),
        None => say("This home takes no part in events until `gridtally edge opt-in`."),
    }
    Ok(())
}

/// Takes the owner's word that he is in again.
pub(super) fn opt_in(args: &HomeArgs) -> Result<(), EdgeError> {
    let config = AgentConfig::load(&args.config)?;
    let mut outbox = open(&config)?;
    outbox.opt_out(None).map_err(OwnerError::from)?;
    say("This home takes part in events again, as its [owner] section says.");
    Ok(())
}

/// Says how everything stands.
pub(super) fn status(args: &HomeArgs) -> Result<(), EdgeError> {
    let config = AgentConfig::load(&args.config)?;
    let outbox = open(&config)?;
    for line in lines(&config, &outbox, now()).map_err(OwnerError::from)? {
        say(&line);
    }
    Ok(())
}

fn lines(config: &AgentConfig, outbox: &Outbox, now: Timestamp) -> Result<Vec<String>, OutboxError> {
    let mut lines = vec![format!("gateway   {}", outbox.identity())];
    let status = outbox.status()?;
    let oldest = status
        .oldest
        .map(|at| format!(", the oldest of {at}"))
        .unwrap_or_default();
    lines.push(format!(
        "outbox    {} messages wait for the engine ({} bytes{oldest}), {} delivered ones are kept; the file has {} bytes",
        status.waiting, status.waiting_bytes, status.delivered, status.file_bytes
    ));
    for dropped in &status.dropped {
        let (kind, why) = (dropped.kind, dropped.reason.name());
        lines.push(format!(
            "          {} of {kind:?} were dropped undelivered ({why})",
            dropped.count
        ));
    }
    lines.push(match outbox.last_receipt()? {
        Some(at) => format!("receipt   the engine last signed for something at {at}"),
        None => "receipt   the engine has not signed for anything that is kept".to_owned(),
    });
    lines.push(match outbox.opted_out_until()?.filter(|until| *until > now) {
        Some(until) => format!("owner     takes no part until {until}"),
        None if config.owner.participate => "owner     takes part in events".to_owned(),
        None => "owner     takes no part (participate = false)".to_owned(),
    });
    let dispatches = outbox.dispatches()?;
    if dispatches.is_empty() {
        lines.push("events    none accepted that is not over".to_owned());
    }
    for event in dispatches {
        let (start, end, progress) = (event.start, event.end, event.progress);
        lines.push(format!(
            "event     {start} to {end}: {:?}, {progress:?}",
            event.target
        ));
    }
    let earned = Earned::of(outbox.statements_revision(), outbox.statements()?);
    if earned.statements.is_empty() {
        lines.push("earned    no statement of the engine has come yet".to_owned());
    }
    let events = match earned.statements.len() {
        1 => "one settled event".to_owned(),
        count => format!("{count} settled events"),
    };
    lines.extend(
        earned
            .shown_totals()
            .map(|total| format!("earned    {total} in {events}")),
    );
    for hand in [Hand::Battery, Hand::Production] {
        if outbox.owner_setting(hand)?.is_some() {
            lines.push(format!(
                "setting   the owner's {} setting is displaced; the agent puts it back when it starts",
                hand.name()
            ));
        }
    }
    for device in &config.devices {
        for hand in home::hands(device) {
            let proof = match outbox.proof(device.number, hand)? {
                Proof::Passed => "obeys, and goes back by itself",
                Proof::Failed => "failed: see `gridtally edge commission --show`",
                Proof::Untried => "not tried: `gridtally edge commission` does",
            };
            lines.push(format!("proof     {} ({}): {proof}", device.name, hand.name()));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(seconds("30m"), Ok(1_800));
        assert_eq!(seconds("4h"), Ok(14_400));
        assert_eq!(seconds("2d"), Ok(172_800));
        for wrong in [
            "",
            "4",
            "h",
            "4w",
            "-4h",
            "0h",
            "4.5h",
            "65535d",
            "4ħ",
            "99999999h",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fresh_home_says_that_nothing_was_tried_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let config =
            AgentConfig::parse(crate::config::EXAMPLE, &directory.path().join("agent.toml")).unwrap();
        let key = identity::load_or_create(&directory.path().join("gateway.key")).unwrap();
        let outbox = Outbox::open(&config.gateway.data, key, true).unwrap();
        let told = lines(&config, &outbox, Timestamp::EPOCH).unwrap().join("\n");
        assert!(told.contains("outbox    0 messages wait"), "{told}");
        assert!(told.contains("not tried"), "{told}");
    }
}

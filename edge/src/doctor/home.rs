//! The machine: config, key, disk and clock.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::finding::{Finding, Health};
use crate::config::AgentConfig;
use crate::device::overloaded_lines;
use crate::identity::{self, KeyError};
use crate::real_time::TICK_SECONDS;
use crate::show::now;

/// A month of reports takes less.
const SPACE_GOOD: u64 = 200 << 20;
const SPACE_NEEDED: u64 = 20 << 20;
/// Reports that span more are rather late.
const REPORT_SECONDS_MAX: u32 = 6 * 3_600;
/// 2026-01-01: no clock that is right shows less.
const EARLIEST: i64 = 1_767_225_600;

/// What the config says that may not be meant.
pub(super) fn config(config: &AgentConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tick = Duration::from_secs(u64::from(TICK_SECONDS));
    for line in overloaded_lines(&config.devices, tick) {
        findings.push(Finding::odd("config", line.to_string()));
    }
    let gateway = &config.gateway;
    let span = gateway
        .interval
        .seconds()
        .saturating_mul(u32::from(gateway.intervals_per_report));
    if span > REPORT_SECONDS_MAX {
        findings.push(Finding::odd(
            "config",
            format!(
                "a report spans {} hours ({} intervals of {} s), so the engine hears of your energy as late as that; \
                 lower intervals_per_report",
                span / 3_600,
                gateway.intervals_per_report,
                gateway.interval.seconds()
            ),
        ));
    }
    if !gateway.sync {
        findings.push(Finding::odd(
            "config",
            "sync is off: after a power cut two reports of one number may be signed, and neither is paid; set sync = true",
        ));
    }
    if let (Some(limit), Some(battery)) = (config.owner.discharge_limit, config.battery())
        && limit > battery.nameplate
    {
        findings.push(Finding::odd(
            "config",
            format!(
                "discharge_limit_watts is more than the nameplate of {:?}; the nameplate is what holds",
                battery.name
            ),
        ));
    }
    findings
}

/// The gateway's key.
pub(super) fn key(path: &Path) -> Finding {
    match identity::load(path) {
        Ok(key) => Finding::well("key", key.identity().to_string()),
        Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Finding::odd(
            "key",
            format!(
                "there is none at {}; the agent makes one at its first start, and the operator must enrol it \
                 (gridtally edge identity prints it)",
                path.display()
            ),
        ),
        Err(error) => Finding::bad("key", error.to_string()),
    }
}

/// The directory of the durable state: can it be written to, and is there room?
pub(super) fn data(directory: &Path) -> Vec<Finding> {
    let mut findings = vec![match try_to_write(directory) {
        Ok(()) => Finding::well("data", format!("{} can be written to", directory.display())),
        Err(error) => Finding::bad(
            "data",
            format!(
                "{} cannot be written to ({error}); it must belong to the user that the agent runs as",
                directory.display()
            ),
        ),
    }];
    if let Ok(free) = free_bytes(directory) {
        findings.push(space(free));
    }
    findings
}

fn space(free: u64) -> Finding {
    let text = format!("{} MiB are free", free >> 20);
    match free {
        SPACE_GOOD.. => Finding::well("disk", text),
        SPACE_NEEDED.. => Finding::odd("disk", format!("{text}; 200 MiB last for any outage, make room")),
        _ => Finding::bad("disk", format!("only {text}; reports cannot be kept, make room")),
    }
}

fn free_bytes(directory: &Path) -> io::Result<u64> {
    let shown = rustix::fs::statvfs(directory)?;
    Ok(shown.f_bavail.saturating_mul(shown.f_frsize))
}

/// Makes the directory as the agent would, and a file in it for a moment.
fn try_to_write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let probe = directory.join(format!(".doctor-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// The clock. How far it is from the broker's or the engine's is not known here: neither tells its own.
pub(super) fn clock(synchronised: &Path) -> Finding {
    judge_clock(now().unix(), synchronised.exists())
}

fn judge_clock(unix: i64, is_synchronised: bool) -> Finding {
    let (health, text) = match (unix >= EARLIEST, is_synchronised) {
        (false, _) => (
            Health::Bad,
            "it shows a year that has passed; set it (timedatectl set-ntp true), for reports with wrong times are refused",
        ),
        (true, true) => (Health::Well, "it is set by the network"),
        (true, false) => (
            Health::Odd,
            "nothing tells that it is set by the network (systemd-timesyncd does), so reports say that it runs free; \
             switch it on with: timedatectl set-ntp true",
        ),
    };
    Finding::of(health, "clock", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged_by_what_an_outage_needs() {
        let health = |mebibytes: u64| space(mebibytes << 20).health;
        assert_eq!(
            [health(1), health(20), health(199), health(200)],
            [Health::Bad, Health::Odd, Health::Odd, Health::Well]
        );
    }

    #[test]
    fn a_clock_of_a_past_year_is_bad_even_where_it_says_that_it_is_set() {
        assert_eq!(judge_clock(0, true).health, Health::Bad);
        assert_eq!(judge_clock(EARLIEST, true).health, Health::Well);
        assert_eq!(judge_clock(EARLIEST, false).health, Health::Odd);
    }

    #[test]
    fn a_directory_is_made_as_the_agent_would_and_nothing_is_left_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        assert_eq!(data(&directory)[0].health, Health::Well);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data(&file)[0].health, Health::Bad);
    }
}

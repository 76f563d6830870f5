//! One device: does it answer, as what it is configured to be, with values that can be believed?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::quantity::Milliwatts;
use rust_decimal::Decimal;
use rustix::fs::{Mode, OFlags};
use tokio::time::sleep;

use super::finding::Finding;
use crate::config::{DeviceConfig, DeviceKind};
use crate::device::bus::{Bus, BusError};
use crate::device::endpoint::Endpoint;
use crate::device::reading::Count;
use crate::device::{Driver, Observed, Snapshot, SunSpecError};
use crate::find::guess;
use crate::show::{MapName, ShowError, Sight, Target, look_on, now};

/// Long enough for a counter to move at a power that is worth a look.
const BETWEEN_TWO_LOOKS: Duration = Duration::from_secs(2);
/// In milliwatts: below this the counters need too long.
const WORTH_A_LOOK: u64 = 300_000;

/// Looks at a device on its connection.
pub(super) async fn examine(config: &DeviceConfig, target: &Target, bus: &Bus) -> Vec<Finding> {
    let name = config.name.as_str();
    let mut reader = target.reader_on(bus);
    let sight = match look_on(&mut reader, target).await {
        Ok(sight) => sight,
        Err(error) => return vec![Finding::bad(name, silence(config, &error))],
    };
    drop(reader);
    let mut findings = vec![answers(config, &sight)];
    if findings
        .iter()
        .any(|finding| finding.health == super::Health::Bad)
    {
        return findings;
    }
    let mut driver = Driver::new(Arc::new(config.clone()), bus);
    let first = driver.observe(now(), true).await;
    findings.push(channels(config, &first));
    findings.extend(nameplate(config, &sight));
    if config.kind == DeviceKind::GridMeter {
        let is_worth_a_look = first
            .live
            .grid
            .is_some_and(|power| power.get().unsigned_abs() >= WORTH_A_LOOK);
        let second = if is_worth_a_look {
            sleep(BETWEEN_TWO_LOOKS).await;
            Some(driver.observe(now(), true).await)
        } else {
            None
        };
        findings.extend(meter(config, &first, second.as_ref()));
    }
    if config.kind.has_battery() {
        findings.extend(battery(config, &sight));
    }
    findings
}

/// Why a device does not answer, by what came of asking it.
fn silence(config: &DeviceConfig, error: &ShowError) -> String {
    let ShowError::Device { why, .. } = error else {
        return error.to_string();
    };
    let (endpoint, unit) = (&config.endpoint, config.unit);
    let scan = "`gridtally edge scan` shows who answers";
    match why {
        SunSpecError::Bus(BusError::Connect { source, .. }) => match endpoint {
            Endpoint::Serial(line) => no_line(endpoint, source, trouble_of(&line.path)),
            _ => format!(
                "{endpoint} cannot be reached ({source}); is the device on, is Modbus switched on in it, is the \
                 address still the same? {scan}"
            ),
        },
        SunSpecError::Bus(BusError::Timeout { .. }) => format!(
            "{endpoint} takes the connection, but unit {unit} does not answer; is the unit right, and is no other \
             program connected to the device? {scan}"
        ),
        SunSpecError::Bus(error @ BusError::Exception(_)) if !error.is_answer() => format!(
            "the gateway {endpoint} answers, but unit {unit} does not ({error}); is the unit right, and is the device \
             on? {scan}"
        ),
        SunSpecError::NoMap { bases } => format!(
            "{endpoint} unit {unit} answers, but there is no SunSpec map at {bases:?}; is SunSpec switched on in it, \
             does its map begin elsewhere (base = …), or is there a profile for it (profile = …)? {scan}"
        ),
        other => format!("{endpoint} unit {unit}: {other}. {scan}"),
    }
}

/// Why the system does not open a serial port; `None` where it does. (The library that sets the port up calls
/// everything a missing device.)
fn trouble_of(path: &std::path::Path) -> Option<io::ErrorKind> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    opened.err().map(|errno| io::Error::from(errno).kind())
}

fn no_line(endpoint: &Endpoint, said: &io::Error, trouble: Option<io::ErrorKind>) -> String {
    match trouble {
        Some(io::ErrorKind::PermissionDenied) => format!(
            "{endpoint} may not be opened by this user; put the user that the agent runs as into the group dialout: \
             sudo usermod -aG dialout USER, and log in anew"
        ),
        Some(io::ErrorKind::NotFound) => {
            format!("{endpoint} is not there; is the adapter plugged in, and does it have this name?")
        }
        Some(io::ErrorKind::ResourceBusy) => {
            format!("{endpoint} is held by another program; one program at a time can use a serial line")
        }
        _ => {
            format!("{endpoint} cannot be set up ({said}); is it a serial port, and does it take this speed?")
        }
    }
}

/// Who it is, and whether its map is one that its kind needs.
fn answers(config: &DeviceConfig, sight: &Sight) -> Finding {
    let name = config.name.as_str();
    let valued = |it: &crate::show::ModelSight| it.points.iter().any(|point| point.value.is_ok());
    if !sight.models.iter().any(valued) {
        return Finding::bad(
            name,
            "it answers, but no point of its map can be read; is the profile that of this device?",
        );
    }
    let identity = sight.identity();
    let parts = [identity.maker, identity.model, identity.version, identity.serial];
    let mut who = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if who.is_empty() {
        who = "a device that does not say who it is".to_owned();
    }
    let unread = sight
        .models
        .iter()
        .filter(|model| model.problem.is_some() && !model.label.is_empty());
    let unread: Vec<String> = unread
        .filter_map(|model| match &model.name {
            MapName::Model(number) => Some(number.to_string()),
            MapName::Profile(_) => None,
        })
        .collect();
    if unread.is_empty() {
        Finding::well(name, who)
    } else {
        Finding::odd(
            name,
            format!(
                "{who}; its models {} could not be read: gridtally edge read shows why",
                unread.join(", ")
            ),
        )
    }
}

/// Whether everything that is to be measured at it has a value that can be believed.
fn channels(config: &DeviceConfig, snapshot: &Snapshot) -> Finding {
    let missing = snapshot.channels.iter().filter(|(_, seen)| seen.is_err());
    let missing: Vec<&str> = missing.map(|(channel, _)| channel.quantity.name()).collect();
    if missing.is_empty() {
        let all: Vec<&str> = config.measures.iter().map(|quantity| quantity.name()).collect();
        return Finding::well(&config.name, format!("can be metered: {}", all.join(", ")));
    }
    Finding::bad(
        &config.name,
        format!(
            "no credible value of {}; is it a {}? `gridtally edge read` shows what it says, and why",
            missing.join(", "),
            guess::word(config.kind)
        ),
    )
}

/// The nameplate of the config beside the device's own.
fn nameplate(config: &DeviceConfig, sight: &Sight) -> Option<Finding> {
    let rated = guess::guess(&sight.numbers(), sight).nameplate?;
    if config.kind == DeviceKind::GridMeter {
        return None;
    }
    let configured = Decimal::new(config.nameplate.get(), 3);
    let (rated_text, text) = (rated.normalize(), configured.normalize());
    let what_to_do = format!("write nameplate_watts = \"{rated_text}\", or what its plate says");
    Some(if configured < rated {
        Finding::odd(
            &config.name,
            format!(
                "nameplate_watts is {text}, the device says {rated_text} W: energy that it moves faster does not \
                 count; {what_to_do}"
            ),
        )
    } else if configured > rated.checked_mul(Decimal::new(15, 1)).unwrap_or(rated) {
        Finding::odd(
            &config.name,
            format!("nameplate_watts is {text}, the device says {rated_text} W; {what_to_do}"),
        )
    } else {
        Finding::well(&config.name, format!("its nameplate says {rated_text} W"))
    })
}

/// Which way the counters of a meter went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Import,
    Export,
    Neither,
}

fn meter(config: &DeviceConfig, first: &Snapshot, second: Option<&Snapshot>) -> Option<Finding> {
    let power = first.live.grid?;
    let moved = second.map_or(Moved::Neither, |second| moved(first, second));
    Some(sign(config, power, moved))
}

fn moved(first: &Snapshot, second: &Snapshot) -> Moved {
    let rose = |quantity: Quantity| {
        let count = |snapshot: &Snapshot| {
            let mut channels = snapshot.channels.iter();
            channels.find_map(|(channel, seen)| match (channel.quantity == quantity, seen) {
                (true, Ok(Observed::Counter(counter))) => match counter.count {
                    Count::Integer { count, .. } => Some(count),
                    Count::Float { energy, .. } => u64::try_from(energy).ok(),
                },
                _ => None,
            })
        };
        count(first)
            .zip(count(second))
            .is_some_and(|(before, after)| after > before)
    };
    match (rose(Quantity::GridImport), rose(Quantity::GridExport)) {
        (true, false) => Moved::Import,
        (false, true) => Moved::Export,
        _ => Moved::Neither,
    }
}

/// Whether the sign of the meter's power goes with its counters.
fn sign(config: &DeviceConfig, power: Milliwatts, moved: Moved) -> Finding {
    let name = config.name.as_str();
    let watts = Decimal::new(power.get(), 3).normalize();
    if power.get().unsigned_abs() > config.nameplate.get().unsigned_abs() {
        return Finding::odd(
            name,
            format!("its power is {watts} W, more than nameplate_watts; is that the main fuse of the house?"),
        );
    }
    let is_importing = power.get() > 0;
    match (moved, is_importing) {
        (Moved::Import, false) | (Moved::Export, true) => {
            let (sign, counter) = if is_importing {
                ("import", "export")
            } else {
                ("export", "import")
            };
            Finding::bad(
                name,
                format!(
                    "its power says {sign} ({watts} W) while its counter of {counter} rises: one of them is turned \
                     round. If the power is, write positive_power = \"{}\"; if the counters are, counters_swapped = {}",
                    if config.export_is_positive {
                        "import"
                    } else {
                        "export"
                    },
                    !config.counters_are_swapped
                ),
            )
        }
        (Moved::Neither, _) => Finding::well(
            name,
            format!("its power is {watts} W; whether its sign is right shows when more flows for longer"),
        ),
        (Moved::Import, true) => Finding::well(name, format!("it imports {watts} W, and its counter agrees")),
        (Moved::Export, false) => {
            Finding::well(name, format!("it exports {watts} W, and its counter agrees"))
        }
    }
}

/// Whether a battery can be moved, and whether it returns by itself.
fn battery(config: &DeviceConfig, sight: &Sight) -> Vec<Finding> {
    let name = config.name.as_str();
    if let Some(profile) = &config.profile {
        return vec![if profile.controls.is_empty() {
            Finding::odd(
                name,
                "its profile has no recipe to control it; it is metered, and takes part in no event",
            )
        } else {
            Finding::well(name, "its profile has recipes to control it")
        }];
    }
    let timers = [(124, "InOutWRte_RvrtTms"), (704, "WSetRvrtTms")];
    let present: Vec<_> = timers
        .iter()
        .filter_map(|(model, timer)| {
            Some((
                model,
                sight
                    .model(&[*model])?
                    .point(timer)
                    .is_some_and(|it| it.value.is_ok()),
            ))
        })
        .collect();
    if present.is_empty() {
        return vec![Finding::odd(
            name,
            "it has none of the models 124 and 704, so it cannot be controlled; it is metered, and takes part in no event",
        )];
    }
    present
        .into_iter()
        .map(|(model, has_timer)| {
            if has_timer {
                Finding::well(name, format!("model {model} controls it, with a timer that returns it to you"))
            } else {
                Finding::odd(
                    name,
                    format!(
                        "model {model} controls it, but has no timer: should the agent fall silent during an event, \
                         the battery stays as it was set until the agent is back"
                    ),
                )
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;

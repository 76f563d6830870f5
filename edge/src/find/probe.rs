//! Asking at one place.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use gridtally_registers::sunspec::SUNS;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::places::Place;
use super::{Event, Find, Plan, family, guess};
use crate::config::profiles;
use crate::device::bus::{Bus, BusError, BusSettings, READ_MAX, Table};
use crate::device::endpoint::Endpoint;
use crate::device::sunspec::{HEADER_LEN, Reader};
use crate::show::{Identity, look_at, map_of, now};

/// Modbus/TCP Security: told, and not asked without certificates.
const TLS_PORT: u16 = 802;

/// Devices are known that swallow what comes within their first seconds on a connection. Where an open
/// connection brings nothing at all, the likeliest units are asked once more after so long.
const DEAF: Duration = Duration::from_millis(2_500);
/// How long a host may take to see that a connection was closed.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(100);
const LIKELY_UNITS: usize = 3;

/// What became of the connection to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// Nobody is there.
    Nobody,
    /// Somebody is there and does not take the connection.
    Closed,
    /// Somebody took the connection, and perhaps no unit answered.
    Open,
    /// At least one unit answered.
    Answered,
}

pub(super) async fn place(plan: &Plan, place: &Place, events: &Sender<Event>) {
    match place {
        Place::Host {
            host,
            ports,
            is_named,
        } => hosted(plan, host, ports, *is_named, events).await,
        Place::Endpoint(endpoint, unit) => {
            let units = unit.map_or_else(|| plan.units.clone(), |unit| vec![unit]);
            if ask(plan, endpoint, &units, events).await < Reached::Answered {
                tell(events, format!("{endpoint}: nothing answers")).await;
            }
        }
        Place::Line(settings) => {
            for line in settings {
                let endpoint = Endpoint::Serial(line.clone());
                match ask(plan, &endpoint, &plan.units, events).await {
                    Reached::Answered => return,
                    Reached::Open => {}
                    Reached::Nobody | Reached::Closed => return,
                }
            }
            if let Some(line) = settings.first() {
                let path = line.path.display();
                tell(
                    events,
                    format!("{path}: nothing answers, at any of the speeds that were tried"),
                )
                .await;
            }
        }
    }
}

async fn hosted(plan: &Plan, host: &str, ports: &[u16], is_named: bool, events: &Sender<Event>) {
    let mut is_there = false;
    for (n, port) in ports.iter().enumerate() {
        if n > 0 {
            sleep(BETWEEN_CONNECTIONS).await;
        }
        let endpoint = Endpoint::Tcp(format!("{host}:{port}"));
        let reached = ask(plan, &endpoint, &plan.units, events).await;
        is_there |= reached > Reached::Nobody;
        // Whoever does not even refuse is not there, and would cost a deadline more for each port.
        if reached == Reached::Nobody && !is_named {
            return;
        }
        if reached == Reached::Open {
            tell(
                events,
                format!("{endpoint} is open, but no unit that was asked for answers"),
            )
            .await;
        }
    }
    if !is_there || ports.contains(&TLS_PORT) {
        if is_named && !is_there {
            tell(
                events,
                format!("{host}: nobody is there, or its firewall is silent"),
            )
            .await;
        }
        return;
    }
    let secured = TcpStream::connect(format!("{host}:{TLS_PORT}"));
    if matches!(timeout(plan.connect_within, secured).await, Ok(Ok(_))) {
        tell(
            events,
            format!(
                "{host}:{TLS_PORT} is open, the port of Modbus within TLS; with certificates of the device's maker \
                 try: gridtally edge read tls://{host}:{TLS_PORT} --ca FILE"
            ),
        )
        .await;
    }
}

async fn tell(events: &Sender<Event>, what: String) {
    drop(events.send(Event::Told(what)).await);
}

/// What a unit answered.
enum Answered {
    /// A SunSpec marker, at this register.
    Map(u16),
    /// Something else.
    Something,
    /// Nothing.
    Nothing,
    /// There is no connection, and will be none.
    Gone(Reached),
}

/// Asks all units of an endpoint, one after the other, on one connection.
async fn ask(plan: &Plan, endpoint: &Endpoint, units: &[u8], events: &Sender<Event>) -> Reached {
    let reached = ask_after(Duration::ZERO, plan, endpoint, units, events).await;
    if reached != Reached::Open || endpoint.is_rtu() {
        return reached;
    }
    // The connection before is gone by then: many devices take one only.
    sleep(BETWEEN_CONNECTIONS).await;
    let likely = units.get(..LIKELY_UNITS).unwrap_or(units);
    reached.max(ask_after(DEAF, plan, endpoint, likely, events).await)
}

async fn ask_after(
    settle: Duration,
    plan: &Plan,
    endpoint: &Endpoint,
    units: &[u8],
    events: &Sender<Event>,
) -> Reached {
    let settings = BusSettings {
        pause: plan.pause,
        settle,
        ..BusSettings::default()
    };
    let bus = Bus::start(endpoint.clone(), settings);
    let mut known: Vec<Find> = Vec::new();
    let mut reached = Reached::Nobody;
    for &unit in units {
        let mut reader = Reader::new(bus.unit(unit, plan.answer_within), READ_MAX);
        reader.begin(now(), true);
        let answered = if reached == Reached::Nobody {
            first(plan, &bus, unit, &mut reader).await
        } else {
            marker(plan, &mut reader).await
        };
        let find = match answered {
            Answered::Gone(why) => return reached.max(why),
            Answered::Nothing => {
                reached = reached.max(Reached::Open);
                continue;
            }
            Answered::Map(base) => mapped(&mut reader, endpoint, unit, base).await,
            Answered::Something => mapless(&mut reader, endpoint, unit).await,
        };
        reached = Reached::Answered;
        let alike = |earlier: &&Find| {
            let same = Find {
                unit: earlier.unit,
                ..find.clone()
            };
            same == **earlier
        };
        let event = match known.iter().find(alike) {
            Some(earlier) => Event::Also {
                endpoint: endpoint.clone(),
                known: earlier.unit,
                unit,
            },
            None => {
                known.push(find.clone());
                Event::Found(Box::new(find))
            }
        };
        if events.send(event).await.is_err() {
            return reached;
        }
    }
    reached
}

/// The first question of a connection, which has to be made within a short time; a unit that is slow to
/// answer is asked again with the longer one.
async fn first(plan: &Plan, bus: &Bus, unit: u8, reader: &mut Reader) -> Answered {
    let mut hasty = Reader::new(bus.unit(unit, plan.connect_within), READ_MAX);
    hasty.begin(now(), true);
    let base = plan.bases.first().copied().unwrap_or_default();
    match hasty.read(Table::Holding, base, HEADER_LEN).await {
        Err(BusError::Connect { source, .. }) => Answered::Gone(match source.kind() {
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Reached::Nobody
            }
            _ => Reached::Closed,
        }),
        _ => marker(plan, reader).await,
    }
}

/// Looks for the marker at each base.
async fn marker(plan: &Plan, reader: &mut Reader) -> Answered {
    let mut has_answered = false;
    for &base in &plan.bases {
        let answer = reader.read(Table::Holding, base, HEADER_LEN).await;
        match answer {
            Ok(words) if words == SUNS => return Answered::Map(base),
            Ok(_) => has_answered = true,
            Err(BusError::Connect { .. } | BusError::Ended) => return Answered::Gone(Reached::Open),
            Err(error) if error.is_answer() => has_answered = true,
            // Silence, or a gateway's word that the unit is silent: it is not asked three times.
            Err(_) if !has_answered => return Answered::Nothing,
            Err(_) => {}
        }
    }
    if has_answered {
        Answered::Something
    } else {
        Answered::Nothing
    }
}

async fn mapped(reader: &mut Reader, endpoint: &Endpoint, unit: u8, base: u16) -> Find {
    let mut find = nothing_known(endpoint, unit);
    find.base = Some(base);
    if let Ok(map) = map_of(reader, Some(base)).await {
        let sight = look_at(reader, &map, guess::is_telling).await;
        find.models = map.models.iter().map(|model| model.id).collect();
        find.identity = sight.identity();
        find.guess = guess::guess(&find.models, &sight);
    }
    find
}

/// A device without a map: perhaps one that a profile is for.
async fn mapless(reader: &mut Reader, endpoint: &Endpoint, unit: u8) -> Find {
    let mut find = nothing_known(endpoint, unit);
    for (name, _) in profiles::SHIPPED {
        let Ok(profile) = profiles::load(name, Path::new("")) else {
            continue;
        };
        let mut answers = Vec::new();
        for block in family::questions(&profile) {
            let table = crate::show::table_of(block.table);
            if let Ok(words) = reader.read(table, block.address, block.count).await {
                answers.push((block, words));
            }
        }
        find.families.extend(family::judge(name, &profile, &answers));
    }
    if let [only] = &find.families[..] {
        find.identity.serial.clone_from(&only.serial);
        find.identity.model.clone_from(&only.model);
    }
    find
}

fn nothing_known(endpoint: &Endpoint, unit: u8) -> Find {
    Find {
        endpoint: endpoint.clone(),
        unit,
        base: None,
        identity: Identity::default(),
        models: Vec::new(),
        guess: guess::Guess::default(),
        families: Vec::new(),
    }
}

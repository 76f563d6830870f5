//! A home with everything in it, its page on a free port, and a client that speaks HTTP byte by byte.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod browser;
#[path = "../support/statement.rs"]
mod statement;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gridtally_edge::config::{PageConfig, Zone};
use gridtally_edge::history::{Energies, Entry, History};
use gridtally_edge::page::earned::Earned;
use gridtally_edge::page::metrics::Registry;
use gridtally_edge::page::state::{
    BatteryState, ClockHealth, Decision, DeviceRole, DeviceState, EventStage, EventState, EventTarget,
    LinkState, OutboxState, PowerFlows,
};
use gridtally_edge::page::{HomeState, OwnerRequest, Page, PasswordStore, serve};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::statement::{SiteStatement, ZeroReason};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Long enough for a machine under load; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const PASSWORD: &str = "correct horse battery";

fn berlin() -> Zone {
    Zone::load("Europe/Berlin").unwrap()
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub const fn watts(watts: i64) -> Option<Milliwatts> {
    Some(Milliwatts::new(watts * 1000))
}

/// A home in the middle of an event, with one device that is away.
pub fn busy_home() -> HomeState {
    let now = at("2026-04-09T16:20:00Z");
    let device = |name: &str, role, reachable| DeviceState {
        name: name.to_owned(),
        role,
        reachable,
        last_seen: Some(if reachable {
            now
        } else {
            at("2026-04-09T15:00:00Z")
        }),
        complaint: (!reachable)
            .then(|| "no answer within 1 s from 192.0.2.14:502; is it switched on?".to_owned()),
    };
    let event = |id: &str, name: &str, start: &str, end: &str, decision, stage, power| EventState {
        id: id.to_owned(),
        name: name.to_owned(),
        start: at(start),
        end: at(end),
        target: EventTarget::Discharge(Milliwatts::new(2_500_000)),
        decision,
        stage,
        power,
    };
    let yes = || Decision::TakesPart("The battery has enough above your reserve.".to_owned());
    HomeState {
        power: PowerFlows {
            grid_import: watts(0),
            grid_export: watts(3120),
            solar: watts(1940),
            battery_charge: watts(0),
            battery_discharge: watts(2500),
        },
        battery: Some(BatteryState {
            state_of_charge: Some(73_400),
            reserve: 20_000,
            capacity: Some(MilliwattHours::new(10_000_000)),
        }),
        devices: vec![
            device("grid meter", DeviceRole::GridMeter, true),
            device("roof <south>", DeviceRole::Solar, true),
            device("battery", DeviceRole::Battery, true),
            device("heat pump", DeviceRole::Other, false),
        ],
        participates: true,
        current_event: Some(event(
            "01JEVENING",
            "Evening peak",
            "2026-04-09T16:00:00Z",
            "2026-04-09T18:00:00Z",
            yes(),
            EventStage::Observed,
            watts(2500),
        )),
        past_events: vec![
            event(
                "01JONE",
                "Evening peak",
                "2026-04-08T16:00:00Z",
                "2026-04-08T18:00:00Z",
                yes(),
                EventStage::Restored,
                None,
            ),
            event(
                "01JTWO",
                "Frost morning",
                "2026-04-07T04:00:00Z",
                "2026-04-07T06:00:00Z",
                Decision::Declined("The battery was at your reserve.".to_owned()),
                EventStage::Restored,
                None,
            ),
        ],
        earned: Arc::new(earned()),
        link: LinkState {
            broker: "mqtt.example:8883".to_owned(),
            connected_since: Some(at("2026-04-09T06:12:00Z")),
            complaint: None,
        },
        outbox: OutboxState {
            messages: 2,
            oldest: Some(at("2026-04-09T16:05:00Z")),
            bytes: 262_144,
        },
        last_receipt: Some(at("2026-04-09T16:06:00Z")),
        clock: ClockHealth::Trusted,
        ..HomeState::unknown(
            now,
            "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        )
    }
}

/// Of eleven events: one with all sorts of intervals, one that earned nothing, and earlier ones.
fn earned() -> Earned {
    use statement::{line, nothing, statement};
    let gateway = SigningIdentity::from_secret(&[1; 32]).unwrap().identity();
    let mut evening = vec![line(102_500, -100_000); 21];
    evening.extend([line(98_000, 120_000), nothing(ZeroReason::MissingReading)]);
    evening.push(line(55_001, 55_000));
    let out = vec![nothing(ZeroReason::OptedOut); 24];
    let mut statements = vec![
        statement(gateway, "evening-peak", 2, at("2026-04-08T16:00:00Z"), evening),
        statement(gateway, "frost-morning", 1, at("2026-04-07T04:00:00Z"), out),
    ];
    let earlier = |day: i64| {
        let start = at("2026-04-06T16:00:00Z").checked_add(-86_400 * day).unwrap();
        let lines = vec![line(200_000 + day, 0); 24];
        statement(gateway, &format!("evening-{day}"), 1, start, lines)
    };
    statements.extend((0..9).map(earlier));
    for statement in &statements {
        assert_eq!(
            SiteStatement::decode(&statement.encode().unwrap()).as_ref(),
            Ok(statement)
        );
    }
    Earned::of(1, statements)
}

/// Twelve days with a sun and two meals.
fn fill(history: &mut History) {
    let end = at("2026-04-09T16:20:00Z");
    let mut start = at("2026-03-28T23:00:00Z");
    let mut entries = Vec::new();
    while start < end {
        let local_hour = (start.unix() / 3600 + 2) % 24;
        let day = start.unix() / 86_400 % 5;
        let solar = (24_000 - (local_hour - 13).pow(2) * 700).max(0) * (9 + day) / 12;
        let house = 3_500
            + if matches!(local_hour, 7 | 18 | 19 | 20) {
                11_000
            } else {
                0
            };
        let (charge, discharge) = if solar > house {
            ((solar - house) / 2, 0)
        } else {
            (0, (house - solar) * 2 / 3)
        };
        let net = house + charge - solar - discharge;
        let energy = |e: i64| Some(MilliwattHours::new(e.max(0) * 10));
        entries.push(Entry {
            interval: Interval::new(start, IntervalLength::FIVE_MINUTES).unwrap(),
            energies: Energies {
                grid_import: energy(net),
                grid_export: energy(-net),
                solar: energy(solar),
                battery_charge: energy(charge),
                battery_discharge: energy(discharge),
            },
            state_of_charge: Some(60_000),
        });
        start = start.checked_add(300).unwrap();
    }
    history.record(&entries).unwrap();
}

pub struct Served {
    pub address: SocketAddr,
    pub code: String,
    pub state: watch::Sender<HomeState>,
    pub commands: mpsc::Receiver<OwnerRequest>,
    pub passwords: PasswordStore,
    _directory: tempfile::TempDir,
}

impl Served {
    pub async fn start() -> Self {
        Self::start_with("metrics = true").await
    }

    pub async fn start_with(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config: PageConfig = toml::from_str(&format!("zone = \"Europe/Berlin\"\n{settings}")).unwrap();
        let mut history = History::open(&directory.path().join("history.sqlite"), berlin()).unwrap();
        fill(&mut history);
        let passwords = PasswordStore::new(directory.path());
        let code = passwords.code().unwrap().unwrap();
        let (state, states) = watch::channel(busy_home());
        let (commands_in, commands) = mpsc::channel(gridtally_edge::page::command::COMMANDS_MAX);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(
            listener,
            Page {
                config,
                state: states,
                commands: commands_in,
                history: Arc::new(Mutex::new(history)),
                passwords: passwords.clone(),
                metrics: Arc::new(Registry::default()),
            },
        ));
        Self {
            address,
            code,
            state,
            commands,
            passwords,
            _directory: directory,
        }
    }

    pub async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
            self.address
        ))
        .await
    }

    pub async fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        self.post_with(path, cookie, form, "").await
    }

    pub async fn post_with(&self, path: &str, cookie: &str, form: &str, headers: &str) -> Answer {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        ))
        .await
    }

    /// One request on a connection of its own. A `Connection: close` is put in.
    pub async fn ask(&self, request: &str) -> Answer {
        let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let talk = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            String::from_utf8(bytes).unwrap()
        };
        Answer(timeout(DEADLINE, talk).await.expect("an answer in time"))
    }

    /// Sets the password; the cookie of the session.
    pub async fn first_use(&self) -> String {
        let answer = self
            .post(
                "/welcome",
                "",
                &format!("code={}&password={}", self.code, PASSWORD.replace(' ', "+")),
            )
            .await;
        assert_eq!(
            (answer.status(), answer.header("location")),
            (303, Some("/")),
            "{answer:?}"
        );
        answer
            .header("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    }
}

#[derive(Debug)]
pub struct Answer(pub String);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| panic!("no status in {:?}", self.0))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(n, value)| n.eq_ignore_ascii_case(name).then_some(value))
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The value of the form's hidden token.
    pub fn form_token(&self) -> &str {
        self.body()
            .split_once("name=\"token\" value=\"")
            .and_then(|(_, rest)| rest.split('"').next())
            .expect("a form")
    }
}

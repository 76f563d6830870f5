//! Programs whose baselines look at more than a site's own meter: temperatures, a control group, a second meter.
//! Through statements, bundles and a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use cluster::Database;
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{Report, Series};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::dispatch::{Announcement, announce};
use gridtally_settlement::events::revision::{Actor, Why};
use gridtally_settlement::proofs::bundle::Bundle;
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::{Evidence, Outage, Temperature};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{
    Order, SettlementOutcome, Which, carry_out, decide_dispute, raise_dispute, settle,
};
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::registry::EnrolledDevice;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{DayTemperature, Reason, SiteStatus, Statement};
use gridtally_settlement::store::{Store, temperatures};
use proptest::prelude::*;
use scenario::{EVENT_END, EVENT_START, PROGRAM, Scenario, at, engine, gateway};
use shelf::{pay_in, stored};

const SETTLED_AT: &str = "2026-04-22T06:00:00Z";
const HALF_HOUR: i64 = 1_800;

/// The scenario's program under another rule.
fn under(rule: &str) -> String {
    let terms = "[resettlement]\ndispute_days = 30\n";
    let head = PROGRAM.replace("baseline = \"unadj_10_10\"\n", "");
    format!("{head}{terms}{rule}")
}

/// What homes 1, 2 and 3 are paid, in base units.
fn paid(statement: &Statement) -> Vec<i128> {
    let sites = statement.sites.iter();
    sites.map(|s| s.totals.amount.base_units()).collect()
}

/// Changes what a home measured, and signs its chain anew.
fn measure(scenario: &mut Scenario, home: u8, change: impl Fn(&mut Report)) {
    let mut before = Digest::NONE;
    for report in scenario.reports.get_mut(&home).unwrap() {
        change(report);
        report.previous = before;
        before = Digest::of(&report.seal(&gateway(home)).unwrap());
    }
}

/// Sets a channel's samples, in watt-hours, by their instants.
fn set(report: &mut Report, quantity: Quantity, value: impl Fn(Timestamp) -> Option<i64>) {
    let start = report.start;
    let series = report
        .series
        .iter_mut()
        .find(|s| s.channel.quantity == quantity)
        .unwrap();
    for (i, sample) in (0..).zip(&mut series.samples) {
        if let Some(value) = value(start.checked_add(i * HALF_HOUR).unwrap()) {
            *sample = Ok(value);
        }
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

struct Books {
    _database: Database,
    store: Store,
    folder: tempfile::TempDir,
}

impl Books {
    fn open(scenario: &Scenario) -> Self {
        let database = Database::create();
        let mut store = stored(&database, scenario);
        pay_in(&mut store, "1", 90_000_000).unwrap();
        Self {
            _database: database,
            store,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn publish(&mut self, degrees: &[(&str, i32)], now: &str) -> u64 {
        let found: Vec<DayTemperature> = degrees
            .iter()
            .map(|(date, max)| DayTemperature {
                day: day(date),
                max_millidegrees: *max,
            })
            .collect();
        let program = "evening-flex".parse().unwrap();
        self.store
            .transact(|client| temperatures::publish(client, &program, &found, at(now)))
            .unwrap()
    }

    fn settle(&mut self) -> SettlementOutcome {
        let event: EventId = "tuesday-evening".parse().unwrap();
        let path = self.folder.path().join("first");
        let outcome = settle(
            &mut self.store,
            &engine(),
            &event,
            at(SETTLED_AT),
            Patience::None,
            &path,
        );
        checked(outcome.unwrap())
    }

    fn resettle(&mut self, now: &str) -> SettlementOutcome {
        let event: EventId = "tuesday-evening".parse().unwrap();
        let (by, why): (Actor, Why) = ("Ann".parse().unwrap(), "it was warmer than that".parse().unwrap());
        let site = "home-1".parse().unwrap();
        let number = raise_dispute(&mut self.store, &event, &site, (&by, &why), at(now)).unwrap();
        decide_dispute(&mut self.store, &event, number, true, (&by, &why), at(now)).unwrap();
        let order = Order {
            event: &event,
            which: Which::Next,
            patience: Patience::None,
            by: &by,
            preview: false,
            bundle: &self.folder.path().join("next"),
        };
        checked(carry_out(&mut self.store, &engine(), &order, at(now)).unwrap())
    }
}

/// Whoever has the bundle comes to the same.
fn checked(outcome: SettlementOutcome) -> SettlementOutcome {
    let bytes = std::fs::read(&outcome.bundle).unwrap();
    assert_eq!(verify(&bytes, None).unwrap().derived, outcome.derived);
    outcome
}

/// The records of evidence that another piece of evidence has not.
fn bundle_of(evidence: &Evidence) -> String {
    Bundle::seal(evidence.clone(), &engine()).unwrap().0.to_text()
}

// Temperatures.

const LIKE_WEATHER: &str = "[baseline]\nid = \"like_weather\"\nlookback_days = 8\nselect = \"closest_temperature\"\n\
    [baseline.weekday]\nlook_for = 8\nkeep = 1\nminimum = 1\n[baseline.other]\nlook_for = 8\nkeep = 1\nminimum = 1\n";

/// Home 1 used 2 kWh in each half hour of the evening of the 15th, on all others 1.
fn weather() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.program = under(LIKE_WEATHER);
    let evening = at("2026-04-15T18:00:00Z")..at("2026-04-15T20:00:00Z");
    measure(&mut scenario, 1, |report| {
        set(report, Quantity::GridImport, |instant| {
            evening.contains(&instant).then_some(2_000)
        });
    });
    scenario
}

const WARMTH: [(&str, i32); 4] = [
    ("2026-04-15", 25_100),
    ("2026-04-16", 10_000),
    ("2026-04-17", 12_000),
    ("2026-04-21", 25_000),
];

fn warm() -> Evidence {
    let mut evidence = weather().evidence();
    evidence.temperatures = WARMTH
        .iter()
        .map(|(date, max)| Temperature {
            day: day(date),
            number: 1,
            max_millidegrees: *max,
            published_at: at("2026-04-21T23:00:00Z"),
        })
        .collect();
    evidence
}

#[test]
fn a_program_by_weather_pays_by_the_day_that_was_as_warm_and_by_what_is_known_by_then() {
    let mut books = Books::open(&weather());
    // Nobody has said yet how warm the event's day was.
    assert_eq!(books.publish(&WARMTH[..3], "2026-04-22T05:00:00Z"), 3);
    let first = books.settle();
    assert_eq!(paid(&first.derived.statement), [0, 0, 0]);
    let lack = serde_json::to_value(&first.derived.statement.sites[0].baseline).unwrap();
    assert_eq!(lack["no_baseline"]["lacking"], "temperature");
    assert_eq!(
        first.derived.statement.sites[0].lines[0].reason,
        Some(Reason::NoBaseline)
    );

    // The same again is nothing new; 7/4 kWh an interval at 0.85.
    assert_eq!(books.publish(&WARMTH, "2026-04-22T07:00:00Z"), 1);
    let second = books.resettle("2026-04-22T08:00:00Z");
    assert_eq!(paid(&second.derived.statement)[0], 4 * 1_487_500);

    // A later word has a number of its own, and counts from then on: the 16th was as warm.
    let other = [("2026-04-16", 25_000)];
    assert_eq!(books.publish(&other, "2026-04-22T09:00:00Z"), 1);
    let third = books.resettle("2026-04-22T10:00:00Z");
    assert_eq!(paid(&third.derived.statement)[0], 4 * 637_500);
    let text = std::fs::read_to_string(&third.bundle).unwrap();
    let record = "temperature/2026-04-16 {\"day\":\"2026-04-16\",\"number\":2,\"max_millidegrees\":25000,\
        \"published_at\":\"2026-04-22T09:00:00Z\"}\n";
    assert!(text.contains(record), "{text}");
    let of_the_first = std::fs::read_to_string(&first.bundle).unwrap();
    assert!(!of_the_first.contains("temperature/2026-04-21"));
}

#[test]
fn published_temperatures_stay() {
    let mut books = Books::open(&weather());
    books.publish(&WARMTH, "2026-04-22T05:00:00Z");
    for sql in [
        "UPDATE program_temperature SET max_millidegrees = 0",
        "DELETE FROM program_temperature",
        "TRUNCATE program_temperature",
    ] {
        let refused = books.store.transact(|client| {
            client.batch_execute(sql)?;
            Ok::<_, gridtally_settlement::store::StoreError>(())
        });
        assert!(refused.is_err(), "{sql}");
    }
}

#[test]
fn a_wrong_temperature_in_a_bundle_makes_another_statement() {
    let evidence = warm();
    let text = bundle_of(&evidence);
    assert_eq!(paid(&derive(&evidence).unwrap().statement)[0], 4 * 1_487_500);
    // Every bit of it is told with its record.
    let start = text.find("\n").unwrap() + 1;
    let line = text[start..].split_inclusive('\n').scan(start, |at, line| {
        let from = *at;
        *at += line.len();
        Some((from, line))
    });
    let (from, line) = line
        .into_iter()
        .find(|(_, l)| l.contains(" temperature/2026-04-15 "))
        .unwrap();
    for place in from..from + line.len() {
        let mut flipped = text.clone().into_bytes();
        flipped[place] ^= 1;
        let error = verify(&flipped, None).unwrap_err().to_string();
        let number = 1 + text[..place].matches('\n').count();
        assert!(
            error.contains(&format!("(line {number})")),
            "byte {place}: {error}"
        );
    }
    // Who signs another one has to pay by it.
    let mut other = evidence.clone();
    other.temperatures[0].max_millidegrees = -3_000;
    let other = Bundle::seal(other, &engine()).unwrap();
    assert_eq!(paid(&other.1.statement)[0], 4 * 637_500);
    assert_ne!(other.0.run(), Bundle::parse(text.as_bytes()).unwrap().run());
}

#[test]
fn a_temperature_of_later_or_for_nothing_is_told() {
    let mut evidence = warm();
    evidence.temperatures[1].published_at = at("2026-05-01T00:00:00Z");
    let error = derive(&evidence).unwrap_err().to_string();
    assert_eq!(
        error,
        "record temperature/2026-04-16: it was published after the settlement"
    );
    let mut evidence = warm();
    evidence.program.document = PROGRAM.to_owned();
    let error = derive(&evidence).unwrap_err().to_string();
    assert_eq!(
        error,
        "record temperature/2026-04-15: the program looks at no temperatures"
    );
}

// A control group.

const CONTROLS: &str = "[baseline]\nid = \"controls\"\nmethod = \"control_group\"\ncontrols_minimum = 1\n\
    [baseline.adjustment]\nkind = \"ratio\"\nwindows = [{ anchor = \"before_start\", from_minutes = 120, to_minutes = 0 }]\n";

/// Home 3 serves for comparison: it was not asked, and used its 3 kWh in each half hour throughout.
fn compared() -> Scenario {
    let mut scenario = Scenario::new();
    let program = format!("control_group = \"controls\"\n{}", under(CONTROLS).trim_start());
    scenario.program = program;
    let control = &mut scenario.enrolments[2];
    control.membership.groups = BTreeSet::from(["controls".parse().unwrap()]);
    let gateway = control.gateway;
    scenario.instructions.retain(|i| i.gateway != gateway);
    scenario.acknowledgements.retain(|a| a.gateway != gateway);
    measure(&mut scenario, 3, |report| {
        set(report, Quantity::GridImport, |_| Some(3_000));
    });
    scenario
}

#[test]
fn homes_are_compared_with_those_that_were_not_asked_and_these_earn_nothing() {
    let mut books = Books::open(&compared());
    let outcome = books.settle();
    let statement = &outcome.derived.statement;
    // A third of the control's 3 kWh, as in the two hours before.
    assert_eq!(paid(statement), [4 * 637_500, 0, 0]);
    let control = &statement.sites[2];
    assert_eq!(control.status, SiteStatus::ControlGroup);
    assert!(
        control
            .lines
            .iter()
            .all(|line| line.reason == Some(Reason::ControlGroup))
    );
    let explained = serde_json::to_value(&statement.sites[0].baseline).unwrap();
    assert_eq!(
        explained["baseline"]["controls"],
        serde_json::json!([{ "missing": 0 }])
    );
    assert_eq!(Statement::from_bytes(&statement.to_bytes()).unwrap(), *statement);
    // The control's home is told so too.
    let told: i64 = books
        .store
        .transact(|client| {
            let row = client.query_one("SELECT count(*) FROM statement_sent", &[])?;
            Ok::<_, gridtally_settlement::store::StoreError>(row.get(0))
        })
        .unwrap();
    assert_eq!(told, 3);
}

#[test]
fn a_home_of_the_control_group_is_never_asked() {
    let mut books = Books::open(&compared());
    let announcement = Announcement {
        id: "thursday".parse().unwrap(),
        program: "evening-flex".parse().unwrap(),
        start: at("2026-04-23T18:00:00Z"),
        end: at("2026-04-23T20:00:00Z"),
        discharge: Milliwatts::new(3_000_000),
    };
    let announced = announce(
        &mut books.store,
        &engine(),
        &announcement,
        at("2026-04-23T12:00:00Z"),
    );
    assert_eq!(announced.unwrap().instructions, 2);
}

#[test]
fn a_control_site_without_a_reading_or_with_an_outage_does_not_count() {
    let derived = |scenario: &Scenario| derive(&scenario.evidence()).unwrap();
    let missing = |derived: &Derived| {
        let told = serde_json::to_value(&derived.statement.sites[0].baseline).unwrap();
        (
            told["no_baseline"]["lacking"].clone(),
            told["no_baseline"]["controls"][0]["missing"].clone(),
        )
    };
    let mut gap = compared();
    measure(&mut gap, 3, |report| {
        if report.start <= at(EVENT_START)
            && at(EVENT_START) < report.start.checked_add(12 * HALF_HOUR).unwrap()
        {
            let first = at(EVENT_START).seconds_since(report.start) / HALF_HOUR;
            report.series[0].samples[usize::try_from(first).unwrap()] = Err(Missing::Unreachable);
        }
    });
    let derived_gap = derived(&gap);
    assert_eq!(missing(&derived_gap), ("controls".into(), 1.into()));
    assert_eq!(paid(&derived_gap.statement), [0, 0, 0]);

    let mut dark = compared();
    dark.outages.push(Outage {
        site: "home-3".parse().unwrap(),
        day: day("2026-04-21"),
        by: "Ann".to_owned(),
        why: "the street was dug up".to_owned(),
        declared_at: at("2026-04-21T21:00:00Z"),
    });
    assert_eq!(missing(&derived(&dark)), ("controls".into(), 8.into()));
}

#[test]
fn who_was_asked_is_no_control_whatever_group_it_is_of() {
    let mut scenario = Scenario::new();
    scenario.program = compared().program;
    for enrolment in &mut scenario.enrolments {
        enrolment.membership.groups = BTreeSet::from(["controls".parse().unwrap()]);
    }
    let statement = derive(&scenario.evidence()).unwrap().statement;
    let lack = serde_json::to_value(&statement.sites[0].baseline).unwrap();
    assert_eq!(lack["no_baseline"]["lacking"], "controls");
    assert_eq!(lack["no_baseline"]["found"], 0);
    let status: Vec<_> = statement.sites.iter().map(|s| s.status).collect();
    assert_eq!(
        status,
        [
            SiteStatus::NoBaseline,
            SiteStatus::OptedOut,
            SiteStatus::NoBaseline
        ]
    );
}

#[test]
fn formulas_pay_a_control_site_nothing_and_its_share_goes_to_nobody_else() {
    let mut scenario = compared();
    scenario.program = scenario.program.replace("price_per_kwh = \"0.85\"\n", "");
    let formulas = "[[payment]]\nkind = \"energy\"\nprice = \"1\"\n[[payment]]\nkind = \"pool\"\namount = \"0.000010\"\n";
    scenario.program.push_str(formulas);
    let statement = derive(&scenario.evidence()).unwrap().statement;
    assert_eq!(paid(&statement), [3_000_010, 0, 0]);
    let control = &statement.sites[2];
    assert!(control.payment.is_none());
    assert_eq!(control.lines[0].reason, Some(Reason::ControlGroup));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_order_of_control_sites_never_matters(
        draws in proptest::collection::vec(1_i64..9_000, 3),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let mut inputs = derive(&compared().evidence()).unwrap().inputs;
        let control = inputs.sites[2].clone();
        inputs.sites.truncate(2);
        let controls: Vec<_> = draws.iter().enumerate().map(|(n, drawn)| {
            let mut site = control.clone();
            site.site = format!("control-{n}").parse().unwrap();
            for reading in &mut site.readings {
                let energy = gridtally_protocol::quantity::MilliwattHours::new(*drawn);
                reading.net = gridtally_settlement::rules::statement::Metered::Energy(energy);
            }
            site
        }).collect();
        let mut other = inputs.clone();
        inputs.sites.extend(controls.iter().cloned());
        other.sites.extend(order.iter().map(|n| controls[*n].clone()));
        other.sites.rotate_left(1);
        let settle = gridtally_settlement::rules::statement::settle;
        prop_assert_eq!(settle(&inputs).unwrap().to_bytes(), settle(&other).unwrap().to_bytes());
    }
}

// A second meter.

const OUTPUT: &str = "[baseline]\nid = \"output\"\nmethod = \"generator_output\"\nexports = \"excluded\"\n\
    charging = \"zero\"\nlookback_days = 8\ncompleteness = \"used_intervals\"\nselect = \"all\"\n\
    [baseline.weekday]\nlook_for = 4\nkeep = 4\nminimum = 1\n[baseline.other]\nlook_for = 4\nkeep = 4\nminimum = 1\n\
    [baseline.adjustment]\nkind = \"none\"\n";

/// Home 1 has a battery that gives 1 kWh in each half hour of the event, of which 0.4 leave the site; on other evenings
/// it gives 0.25, and at noon it charges.
fn batteries() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.program = under(OUTPUT).replace("site_meter_net", "battery_net");
    for enrolment in &mut scenario.enrolments {
        enrolment.devices.push(EnrolledDevice {
            number: DeviceNumber(3),
            meter_key: None,
            nameplate_milliwatts: Milliwatts::new(6_000_000),
            capacity_milliwatt_hours: None,
            quantities: vec![Quantity::BatteryCharge, Quantity::BatteryDischarge],
        });
    }
    let event = at(EVENT_START)..at(EVENT_END);
    for home in 1..=3 {
        measure(&mut scenario, home, |report| {
            let battery = |quantity| Series {
                channel: Channel {
                    device: DeviceNumber(3),
                    quantity,
                },
                samples: vec![Ok(0); report.series[0].samples.len()],
                ..report.series[0].clone()
            };
            let charge = [Quantity::BatteryCharge, Quantity::BatteryDischarge].map(battery);
            report.series.extend(charge);
            report.series.sort_by_key(|series| series.channel);
            let hour = |instant: Timestamp| instant.unix().rem_euclid(86_400) / 3_600;
            set(report, Quantity::GridImport, |instant| {
                event.contains(&instant).then_some(0)
            });
            set(report, Quantity::GridExport, |instant| {
                event.contains(&instant).then_some(400)
            });
            set(report, Quantity::BatteryDischarge, |instant| {
                match hour(instant) {
                    _ if event.contains(&instant) => Some(1_000),
                    18 | 19 => Some(250),
                    _ => None,
                }
            });
            set(report, Quantity::BatteryCharge, |instant| {
                (hour(instant) == 12).then_some(900)
            });
        });
    }
    scenario
}

#[test]
fn what_a_battery_gives_beyond_its_usual_is_paid_without_what_leaves_the_site() {
    let mut books = Books::open(&batteries());
    let outcome = books.settle();
    let statement = &outcome.derived.statement;
    let line = &statement.sites[0].lines[0];
    let energies = [line.baseline, line.metered, line.delta].map(|e| e.unwrap().get());
    assert_eq!(energies, [-250_000, -600_000, 350_000]);
    assert_eq!(paid(statement), [4 * 297_500, 0, 4 * 297_500]);
}

#[test]
fn without_the_sites_meter_nobody_knows_what_left() {
    let mut scenario = batteries();
    measure(&mut scenario, 1, |report| {
        for series in &mut report.series {
            if series.channel.quantity == Quantity::GridExport {
                series.samples.fill(Err(Missing::Unreachable));
            }
        }
    });
    let statement = derive(&scenario.evidence()).unwrap().statement;
    let line = &statement.sites[0].lines[0];
    assert_eq!((line.metered, paid(&statement)[0]), (None, 0));
    let why = serde_json::to_value(line.missing).unwrap();
    assert_eq!(why["device"], serde_json::to_value(Missing::Unreachable).unwrap());
}

#[test]
fn the_second_meter_is_asked_for_only_where_a_rule_takes_exports_off() {
    let counted = OUTPUT.replace("\"excluded\"", "\"counted\"");
    let mut scenario = batteries();
    scenario.program = under(&counted).replace("site_meter_net", "battery_net");
    let derived = derive(&scenario.evidence()).unwrap();
    assert!(derived.inputs.sites.iter().all(|site| site.site_meter.is_empty()));
    assert_eq!(paid(&derived.statement)[0], 4 * 637_500);
    let program = Program::from_toml("p", &batteries().program).unwrap();
    assert!(program.wants_site_meter());
}

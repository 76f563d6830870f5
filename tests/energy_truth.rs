//! What is signed is what the device counted, interval by interval, and nothing else; and what is paid is what an
//! independent settlement in Python makes of the device's own counters.

mod support;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::scenario::Scenario;
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::store::reports::{ReadingValue, readings_of};
use gridtally_simulators::{Counter, Counters};
use serde_json::{Value, json};
use support::{Place, program, settle};

type Truth = BTreeMap<(usize, Channel, Timestamp), i64>;

fn channels(counters: &Counters) -> [(Channel, Counter); 4] {
    let channel = |device, quantity| Channel {
        device: DeviceNumber(device),
        quantity,
    };
    [
        (channel(1, Quantity::GridImport), counters.grid_import),
        (channel(1, Quantity::GridExport), counters.grid_export),
        (channel(2, Quantity::PvProduction), counters.pv_production),
        (channel(3, Quantity::BatteryDischarge), counters.battery_discharge),
    ]
}

/// Plays the scenario and writes down what every counter really did in every interval.
fn play(neighbourhood: &mut Neighbourhood) -> Truth {
    let scenario = neighbourhood.scenario.clone();
    let mut truth = Truth::new();
    let mut before: Vec<Counters> = Vec::new();
    let mut since = scenario.start;
    for now in scenario.steps() {
        neighbourhood.step(now).unwrap();
        let after: Vec<Counters> = neighbourhood
            .simulated()
            .iter()
            .map(|home| home.counters())
            .collect();
        for (number, (before, after)) in (1..).zip(before.iter().zip(&after)) {
            for ((channel, earlier), (_, later)) in channels(before).into_iter().zip(channels(after)) {
                let energy = later.milliwatt_hours_since(earlier).unwrap();
                truth.insert((number, channel, since), energy);
            }
        }
        (before, since) = (after, now);
    }
    truth
}

#[test]
fn every_signed_interval_of_a_small_week_equals_the_counters_own_difference_and_python_pays_the_same() {
    check_truth(Scenario::small(41));
}

#[test]
fn every_signed_interval_of_the_demo_equals_the_counters_own_difference_and_python_pays_the_same() {
    check_truth(Scenario::demo());
}

fn check_truth(scenario: Scenario) {
    let place = Place::new("energy-truth");
    let mut neighbourhood = Neighbourhood::start(scenario.clone(), place.path(), program()).unwrap();
    let truth = play(&mut neighbourhood);

    let mut absent: Truth = truth.clone();
    let mut signed = 0;
    let mut missing = Vec::new();
    for number in 1..=scenario.homes {
        let gateway = neighbourhood.gateway(number).unwrap();
        let readings = neighbourhood
            .store()
            .transact(|t| readings_of(t, &gateway, scenario.start, scenario.end))
            .unwrap();
        for reading in readings.iter().filter(|r| r.channel.quantity.is_energy()) {
            absent.remove(&(number, reading.channel, reading.start));
            match reading.value {
                ReadingValue::Value(value) => {
                    assert_eq!(
                        Some(&value),
                        truth.get(&(number, reading.channel, reading.start)),
                        "{reading:?}"
                    );
                    signed += 1;
                }
                _ => missing.push((number, reading.channel, reading.start)),
            }
        }
    }
    assert!(
        absent.is_empty(),
        "every interval of every channel is reported; these are not: {absent:#?}"
    );
    assert!(signed > 4_000, "almost all of them have a value; {signed} have");
    // The nonsense lasts an hour, at two boundaries; the three intervals that touch them have no value on the meter.
    let (home, span) = scenario.nonsense.unwrap();
    assert!(!missing.is_empty(), "the nonsense showed");
    for (number, channel, start) in &missing {
        assert_eq!(
            (*number, channel.device),
            (home, DeviceNumber(1)),
            "only the faulty meter lacks values"
        );
        let end = start.checked_add(i64::from(scenario.interval.seconds())).unwrap();
        assert!(
            *start < span.until && end >= span.from,
            "a value is missing at {start}, far from the nonsense"
        );
    }

    let told = settle(&mut neighbourhood, &place);
    neighbourhood.stop();
    let statement = serde_json::to_value(&told.settled.derived.statement).unwrap();
    let expected = python(&oracle_inputs(
        &scenario,
        &told.settled.derived.inputs,
        &truth,
        &missing,
    ));
    assert_eq!(expected["amount"], statement["totals"]["amount"]);
    assert_eq!(expected["escrow_debit"], statement["escrow_debit"]);
    let (sites, expected_sites) = (
        statement["sites"].as_array().unwrap(),
        expected["sites"].as_array().unwrap(),
    );
    assert_eq!(sites.len(), expected_sites.len());
    for (site, expected) in sites.iter().zip(expected_sites) {
        assert_eq!(site["site"], expected["site"]);
        assert_eq!(site["totals"]["amount"], expected["amount"]);
        for (line, expected) in site["lines"]
            .as_array()
            .unwrap()
            .iter()
            .zip(expected["lines"].as_array().unwrap())
        {
            let ours = [
                &line["start"],
                &line["baseline"],
                &line["metered"],
                &line["credited"],
                &line["amount"],
            ];
            let theirs = [
                &expected[0],
                &expected[3],
                &expected[4],
                &expected[5],
                &expected[6],
            ];
            assert_eq!(ours, theirs);
        }
    }
    assert_ne!(
        statement["totals"]["amount"],
        json!("0"),
        "somebody earned something"
    );
}

/// The settlement's inputs, with every energy replaced by what the simulated counters truly did.
fn oracle_inputs(
    scenario: &Scenario,
    inputs: &gridtally_settlement::rules::statement::SettlementInputs,
    truth: &Truth,
    missing: &[(usize, Channel, Timestamp)],
) -> Value {
    let mut inputs = serde_json::to_value(inputs).unwrap();
    let meter = |quantity| Channel {
        device: DeviceNumber(1),
        quantity,
    };
    for site in inputs["sites"].as_array_mut().unwrap() {
        let name = site["site"].as_str().unwrap().to_owned();
        let number = (1..=scenario.homes).find(|n| Scenario::site(*n) == name).unwrap();
        for reading in site["readings"].as_array_mut().unwrap() {
            let start: Timestamp = reading["interval"]["start"].as_str().unwrap().parse().unwrap();
            let (import, export) = (meter(Quantity::GridImport), meter(Quantity::GridExport));
            if missing.contains(&(number, import, start)) {
                assert!(reading["net"]["missing"] != Value::Null, "{reading}");
                continue;
            }
            let of = |channel| truth.get(&(number, channel, start));
            if let (Some(import), Some(export)) = (of(import), of(export)) {
                reading["net"] = json!({ "energy": import - export });
            }
        }
    }
    inputs
}

fn python(inputs: &Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/settle.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 has to be installed: it settles independently");
    let mut stdin = child.stdin.take().unwrap();
    let text = format!("{inputs}\n");
    let feed = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

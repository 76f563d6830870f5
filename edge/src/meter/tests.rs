use gridtally_protocol::channel::{DeviceNumber, Quantity};

use super::*;
use crate::device::{Count, Counter, Integrated, Step};

const NAMEPLATE: Milliwatts = Milliwatts::new(5_000_000);
const LENGTH: IntervalLength = IntervalLength::FIVE_MINUTES;

const fn channel(quantity: Quantity) -> Channel {
    Channel {
        device: DeviceNumber(3),
        quantity,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn counted(count: u64) -> Observed {
    Observed::Counter(Counter {
        count: Count::integer(count, 64, Step::WATT_HOUR).unwrap(),
        device: Some(u64::MAX),
    })
}

fn sample(meters: &mut Meters, quantity: Quantity, seconds: i64, seen: Observed) -> Sample {
    meters.sample(channel(quantity), NAMEPLATE, LENGTH, at(seconds), Ok(seen))
}

#[test]
fn integrated_energy_is_marked_as_such_and_missing_where_it_is_not_covered() {
    let mut meters = Meters::default();
    let mut seen = |energy, covered_seconds| {
        let integrated = Integrated {
            energy,
            covered_seconds,
        };
        let quantity = Quantity::BatteryCharge;
        sample(&mut meters, quantity, 300, Observed::Energy(integrated))
    };
    let good = seen(1_234, 290);
    assert_eq!(good.value, Ok(MilliwattHours::new(1_234)));
    assert_eq!(good.quality, Some(Quality::Integrated));
    let thin = seen(1_234, 269);
    assert_eq!((thin.value, thin.quality), (Err(Missing::NotCovered), None));
}

#[test]
fn an_energy_for_a_level_and_a_level_for_an_energy_are_bad_samples() {
    let mut meters = Meters::default();
    let level = sample(&mut meters, Quantity::StateOfCharge, 300, counted(5));
    assert_eq!(level.value, Err(Missing::BadSample));
    let energy = sample(&mut meters, Quantity::GridImport, 300, Observed::Level(5));
    assert_eq!(energy.value, Err(Missing::BadSample));
    let level = sample(&mut meters, Quantity::StateOfCharge, 600, Observed::Level(5));
    assert_eq!(level.value, Ok(MilliwattHours::new(5)));
}

#[test]
fn the_state_of_counters_is_read_back_and_goes_on() {
    let mut meters = Meters::default();
    let quantity = Quantity::GridImport;
    assert_eq!(
        sample(&mut meters, quantity, 300, counted(1_000)).value,
        Err(Missing::NoStart)
    );
    let text = serde_json::to_string(&meters).unwrap();
    let mut restarted: Meters = serde_json::from_str(&text).unwrap();
    assert_eq!(restarted, meters);
    assert!(text.len() < 200, "{} bytes a counter: {text}", text.len());
    let energy = sample(&mut restarted, quantity, 600, counted(1_007));
    assert_eq!(energy.value, Ok(MilliwattHours::new(7_000)));
}

#[test]
fn a_counter_whose_state_cannot_be_read_starts_anew_and_the_others_go_on() {
    let mut meters = Meters::default();
    for quantity in [Quantity::GridImport, Quantity::GridExport] {
        let _first = sample(&mut meters, quantity, 300, counted(1_000));
    }
    let text = serde_json::to_string(&meters).unwrap();
    let mut parts: serde_json::Value = serde_json::from_str(&text).unwrap();
    // What the first version of the agent kept of a counter; a channel of another version; nonsense.
    let before =
        r#"{"a":{"h":9,"v":9,"f":-1,"t":"1970-01-01T00:05:00Z"},"s":null,"l":["1970-01-01T00:05:00Z",null]}"#;
    parts["counters"][0][1] = serde_json::from_str(before).unwrap();
    for stranger in [serde_json::json!([[3, 99], {}]), serde_json::json!("?")] {
        parts["counters"].as_array_mut().unwrap().push(stranger);
    }
    let mut restarted: Meters = serde_json::from_value(parts).unwrap();
    let anew = sample(&mut restarted, Quantity::GridImport, 600, counted(1_007));
    assert_eq!(anew.value, Err(Missing::NoStart));
    let on = sample(&mut restarted, Quantity::GridExport, 600, counted(1_007));
    assert_eq!(on.value, Ok(MilliwattHours::new(7_000)));
}

const HOME: &str = r#"[gateway]
key = "gateway.key"
data = "state"
engine = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"

[broker]
address = "127.0.0.1:1883"

[owner]
reserve_percent = "12.5"

[[device]]
number = 3
name = "grid meter"
kind = "grid_meter"
address = "192.0.2.1:502"
nameplate_watts = 23000
"#;

/// A meter that imports 3.6 kW by its power and `watt_hours` in each five minutes by its counter; the quality of each
/// interval.
fn against_power(intervals: u64, watt_hours: u64) -> Vec<Option<Quality>> {
    let config = AgentConfig::parse(HOME, std::path::Path::new("/home/box/agent.toml")).unwrap();
    let device = &config.devices[0];
    let mut meters = Meters::default();
    let live = crate::device::Live {
        grid: Some(Milliwatts::new(3_600_000)),
        ..Default::default()
    };
    let mut qualities = Vec::new();
    for seconds in (0..=intervals * 300).step_by(10) {
        let boundary = seconds % 300 == 0;
        let now = at(i64::try_from(seconds).unwrap());
        let shown = Shown {
            device,
            at: now,
            power: power_of(device, live),
        };
        let follows = seconds > 0;
        meters.watch(shown, boundary.then_some(Boundary { at: now, follows }));
        if boundary {
            let count = 50_000 + seconds / 300 * watt_hours;
            let observations = vec![
                (channel(Quantity::GridImport), Ok(counted(count))),
                (channel(Quantity::GridExport), Ok(counted(7_000))),
            ];
            let samples = meters.observe(&config, now, &observations);
            qualities.push(samples[0].quality);
            assert_eq!(samples[1].quality, None, "nothing was exported, by either");
        }
    }
    qualities
}

#[test]
fn a_counter_that_its_power_contradicts_is_marked_from_the_end_of_an_hour_on() {
    assert_eq!(against_power(14, 300), [None; 15]);
    let told = against_power(14, 450);
    assert_eq!(told[..12], [None; 12]);
    assert_eq!(told[12..], [Some(Quality::PowerMismatch); 3]);
}

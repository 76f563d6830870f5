//! Profiles, and homes with one device of one.

use gridtally_registers::profile::{Point, Profile, Quantity, Table, Value};
use gridtally_simulators::{Answer, BatterySpec, Device, DeviceSpec, Home, HomeSpec, RegisterMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio_modbus::Request;

pub const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
pub const EVENING: i64 = NOON + 7 * 3_600;

pub fn shipped() -> &'static [Arc<Profile>] {
    static SHIPPED: OnceLock<Vec<Arc<Profile>>> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/device-profiles");
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .expect("the folder of the profiles")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        let profiles: Vec<_> = files
            .iter()
            .map(|file| {
                let text = std::fs::read_to_string(file).expect("a profile is text");
                let profile = Profile::parse(&text, &file.display().to_string());
                Arc::new(profile.unwrap_or_else(|errors| panic!("{errors}")))
            })
            .collect();
        assert!(profiles.len() >= 11, "{files:?}");
        profiles
    })
}

pub fn family(name: &str) -> Arc<Profile> {
    let found = shipped().iter().find(|profile| profile.name.starts_with(name));
    Arc::clone(found.unwrap_or_else(|| panic!("no profile {name}")))
}

pub fn parsed(text: &str) -> Arc<Profile> {
    Arc::new(Profile::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}")))
}

/// A home with this device alone, a battery that is half full, and a grid that moves.
pub fn home_with(profile: &Arc<Profile>, seed: u64, start: i64) -> Home {
    charged_home_with(profile, seed, start, 550)
}

pub fn charged_home_with(profile: &Arc<Profile>, seed: u64, start: i64, soc_permille: u32) -> Home {
    let mut spec = HomeSpec::draw(seed);
    spec.battery = BatterySpec {
        capacity_watt_hours: 12_000,
        power_watts: 4_000,
        initial_soc_permille: soc_permille,
        ..spec.battery
    };
    spec.pv.peak_watts = 6_000;
    spec.pv.nameplate_watts = 5_000;
    spec.grid.impedance_milliohms = 300;
    spec.grid.swing_millihertz = 150;
    spec.devices = vec![DeviceSpec::profiled(Arc::clone(profile), "SN-4711")];
    let mut home = Home::new(spec, start);
    home.advance_to(start + 90);
    home
}

/// A profile with every action, watts and percent, a timer, and keep-alive.
pub fn everything() -> Arc<Profile> {
    parsed(include_str!("everything.toml"))
}

pub fn write(device: &Device, address: u16, words: &[u16]) {
    let answer = device.answer(&Request::WriteMultipleRegisters(address, words.into()));
    assert!(
        matches!(answer, Answer::Reply(_)),
        "{words:?} to {address}: {answer:?}"
    );
}

/// Tells the made-up device to charge with 1 kW.
pub fn charge(home: &Home) {
    write(&home.devices()[0], 100, &[100, 0]);
    write(&home.devices()[0], 103, &[2]);
}

/// What a client sees of a quantity: of a point in its unit, of a sum in watts.
pub fn number(device: &Device, profile: &Profile, quantity: Quantity) -> Value {
    let map = device.seen_registers();
    if let Some(sum) = profile.sum(quantity) {
        let watts = sum.watts(profile, |point| Some(seen(&map, point)));
        return watts.map_or(Value::NotAvailable, Value::Number);
    }
    seen(&map, profile.quantity(quantity).expect("a point"))
}

fn seen(map: &RegisterMap, point: &Point) -> Value {
    let table = match point.table {
        Table::Holding => gridtally_simulators::Table::Holding,
        Table::Input => gridtally_simulators::Table::Input,
    };
    let words = map
        .read(table, point.address, point.length())
        .expect("in the map");
    point.decode(words).expect("a value")
}

//! A reader that shares no code with the library: the files as plain TOML, Modbus as bytes, numbers by its own
//! arithmetic. What it reads is what the physics says.

use crate::homes::{EVENING, NOON, home_with, shipped};
use crate::{decimal, truth, within};
use gridtally_registers::profile::Quantity;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use toml::{Table, Value};

/// One request of Modbus TCP and its answer, byte by byte.
async fn ask(stream: &mut TcpStream, unit: u8, function: u8, address: u16, count: u16) -> Vec<u16> {
    let ([a, b], [c, d]) = (address.to_be_bytes(), count.to_be_bytes());
    let request = [0, 7, 0, 0, 0, 6, unit, function, a, b, c, d];
    within(stream.write_all(&request)).await.expect("a connection");
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.expect("an answer");
    assert_eq!(
        (head[1], head[6], head[7], u16::from(head[8])),
        (7, unit, function, count * 2),
        "{count} from {address}"
    );
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(within(stream.read_u16()).await.expect("a register"));
    }
    words
}

fn text<'v>(point: &'v Table, key: &str, without: &'v str) -> &'v str {
    point
        .get(key)
        .map_or(without, |value| value.as_str().expect("a text"))
}

fn whole(table: &Table, key: &str) -> i64 {
    table[key].as_integer().expect("a whole number")
}

fn registers(kind: &str) -> u16 {
    match kind {
        "u16" | "i16" | "bits" => 1,
        "u32" | "i32" | "f32" => 2,
        "u64" | "i64" => 4,
        string => string[7..string.len() - 1].parse().expect("string(n)"),
    }
}

/// What the registers of a point say in watts, watt-hours and so on, and the worth of one step.
fn number(point: &Table, words: &[u16]) -> (Decimal, Decimal) {
    let kind = text(point, "type", "");
    let little = text(point, "word_order", "big") == "little";
    let mut ordered = words.to_vec();
    if little {
        ordered.reverse();
    }
    let raw = ordered
        .iter()
        .fold(0_u64, |raw, word| raw << 16 | u64::from(*word));
    let raw = match kind {
        "f32" => {
            let bits = u32::try_from(raw).expect("32 bits");
            Decimal::from_f32_retain(f32::from_bits(bits)).expect("a number")
        }
        _ if kind.starts_with('i') => {
            let above = 64 - 16 * u32::try_from(words.len()).expect("few");
            Decimal::from((raw << above).cast_signed() >> above)
        }
        _ => Decimal::from(raw),
    };
    let per_unit = match text(point, "unit", "") {
        "kW" | "kWh" => 1_000,
        "MWh" => 1_000_000,
        _ => 1,
    };
    let scale: Decimal = text(point, "scale", "1").parse().expect("a decimal");
    let step = scale * decimal(per_unit);
    let sign = if text(point, "sign", "normal") == "inverted" {
        -1
    } else {
        1
    };
    (raw * step * decimal(sign), step)
}

#[tokio::test]
async fn a_reader_that_knows_only_the_file_reads_what_the_physics_says() {
    let mut compared = 0;
    for profile in shipped() {
        for start in [NOON, EVENING] {
            let home = home_with(profile, 13, start);
            let file = file_of(&profile.name);
            let unit = file
                .get("unit")
                .map_or(1, |unit| unit.as_integer().expect("a unit"));
            let unit = u8::try_from(unit).expect("a unit");
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let server = home.devices()[0].serve(any).await.expect("a free port");
            let mut stream = within(TcpStream::connect(server.address()))
                .await
                .expect("it listens");
            let mut powers: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
            for point in file["point"].as_array().expect("points") {
                let point = point.as_table().expect("a table");
                let (name, kind) = (text(point, "name", ""), text(point, "type", ""));
                let function = if text(point, "table", "") == "input" { 4 } else { 3 };
                let address = u16::try_from(whole(point, "address")).expect("an address");
                let count = registers(kind);
                assert!(i64::from(count) <= whole(&file, "max_registers"), "{name}");
                let words = ask(&mut stream, unit, function, address, count).await;
                if kind.starts_with("string") {
                    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                    let said = String::from_utf8(bytes).expect("text");
                    assert!(name != "serial_number" || said.trim_end_matches('\0') == "SN-4711");
                    continue;
                }
                let (shown, step) = number(point, &words);
                powers.insert(name.to_owned(), (shown, step));
                let known = Quantity::ALL.iter().find(|quantity| quantity.word() == name);
                let said = known.and_then(|quantity| truth(*quantity, &home, home.flow(), home.energies()));
                if let Some(said) = said {
                    // The voltage has whole millivolts; a float has 24 bits.
                    let near = if kind == "f32" {
                        Decimal::new(2, 3) + said.abs() / decimal(1 << 23)
                    } else {
                        step
                    };
                    assert!(
                        (shown - said).abs() < near,
                        "{}: {name} shows {shown} in place of {said}",
                        profile.name
                    );
                    compared += 1;
                }
            }
            for sum in file.get("sum").and_then(Value::as_array).into_iter().flatten() {
                let sum = sum.as_table().expect("a table");
                let side = |key: &str| {
                    let names = sum.get(key).and_then(Value::as_array).into_iter().flatten();
                    names.fold((Decimal::ZERO, Decimal::ZERO), |(shown, steps), name| {
                        let (part, step) = powers[name.as_str().expect("a name")];
                        (shown + part, steps + step)
                    })
                };
                let ((plus, up), (minus, down)) = (side("plus"), side("minus"));
                let name = text(sum, "name", "");
                let quantity = Quantity::ALL.iter().find(|quantity| quantity.word() == name);
                let said = truth(
                    *quantity.expect("a quantity"),
                    &home,
                    home.flow(),
                    home.energies(),
                );
                let said = said.expect("a power");
                assert!(
                    (plus - minus - said).abs() < up + down,
                    "{}: {name} is {plus} less {minus} in place of {said}",
                    profile.name
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 250, "{compared} values");
}

fn file_of(name: &str) -> Table {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/device-profiles");
    let files = std::fs::read_dir(folder).expect("the folder of the profiles");
    let tables = files.map(|file| {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a text");
        // Sentinels of 64 bits are beyond plain TOML, and nothing is missing here.
        let lines = text.lines().filter(|line| !line.starts_with("not_available"));
        let lines: Vec<&str> = lines.collect();
        lines.join("\n").parse::<Table>().expect("TOML")
    });
    let mut named = tables.filter(|table| table["name"].as_str() == Some(name));
    named.next().expect("its file")
}

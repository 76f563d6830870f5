//! What the README says of devices, faults and examples is what the code says.
//!
//! `UPDATE_README=1 cargo test -p gridtally-simulators --test readme` writes it anew.

use gridtally_simulators::{
    Answer, Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Layer, ModelAt, Phases, Role, Table,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use tokio_modbus::Request;

#[test]
fn the_readme_is_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let rust = std::fs::read_to_string(folder.join("tests/example.rs")).unwrap();
    let rust = rust
        .split("// README begins\n")
        .nth(1)
        .and_then(|rest| rest.split("// README ends").next());
    let python = std::fs::read_to_string(folder.join("examples/test_inverter.py")).unwrap();
    let mut renewed = readme.clone();
    for (name, verb, text) in [
        ("rust", "s", format!("\n```rust\n{}```\n\n", rust.unwrap())),
        ("python", "s", format!("\n```python\n{python}```\n\n")),
        ("devices", "", devices()),
        ("faults", "", faults()),
    ] {
        let (begin, end) = (
            format!("<!-- {name} begin{verb} -->\n"),
            format!("<!-- {name} end{verb} -->"),
        );
        let (before, rest) = renewed.split_once(&begin).expect("the README has the marker");
        let (_, after) = rest.split_once(&end).expect("the README has the marker");
        renewed = format!("{before}{begin}{text}{end}{after}");
    }
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, &renewed).unwrap();
    } else {
        assert!(
            readme == renewed,
            "simulators/README.md differs from the code: UPDATE_README=1 cargo test -p gridtally-simulators --test readme"
        );
    }
}

/// Roles and generations with their models, then what can be written.
fn devices() -> String {
    let mut text = String::from("\n| Device | Generation | Models |\n|---|---|---|\n");
    for (role, name) in ROLES {
        for (generation, generation_name) in GENERATIONS {
            let mut spec = DeviceSpec::new(role, "README");
            spec.speak(generation, Phases::Three);
            let models: Vec<String> = spec.models.iter().map(u16::to_string).collect();
            let _ = writeln!(
                text,
                "| {name} | `{generation_name}` | 1, {} |",
                models.join(", ")
            );
        }
    }
    text.push_str("\n| Model | Points that can be written |\n|---|---|\n");
    for (model, points) in writable() {
        let points: Vec<String> = points.iter().map(|point| format!("`{point}`")).collect();
        let _ = writeln!(text, "| {model} | {} |", points.join(", "));
    }
    text.push('\n');
    text
}

const ROLES: [(Role, &str); 4] = [
    (Role::Inverter, "PV inverter"),
    (Role::Battery, "Battery inverter"),
    (Role::Hybrid, "Hybrid inverter"),
    (Role::Meter, "Meter"),
];

const GENERATIONS: [(Generation, &str); 3] = [
    (Generation::Integer, "integer"),
    (Generation::Float, "float"),
    (Generation::Ieee1547, "ieee-1547"),
];

/// The points that take their own value when it is written to them, by model.
fn writable() -> BTreeMap<u16, Vec<String>> {
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let mut home = HomeSpec::draw(1);
    home.devices = ROLES
        .iter()
        .map(|(role, _)| DeviceSpec::new(*role, "README"))
        .collect();
    home.devices
        .iter_mut()
        .for_each(|device| device.speak(Generation::All, Phases::Three));
    for device in Home::new(home, 0).devices() {
        let map = device.registers();
        for (model, point) in map.points() {
            let points = found.entry(model.id()).or_default();
            if takes(device, model, point) && !points.contains(&point.path) {
                points.push(point.path.clone());
            }
        }
    }
    found.retain(|_, points| !points.is_empty());
    found
}

fn takes(device: &Device, model: &ModelAt, point: &gridtally_registers::sunspec::Placed) -> bool {
    let (address, count) = (model.address_of(point), point.kind().words());
    let words = device
        .registers()
        .read(Table::Holding, address, count)
        .unwrap()
        .to_vec();
    let answer = device.answer(&Request::WriteMultipleRegisters(address, words.into()));
    matches!(answer, Answer::Reply(_))
}

fn faults() -> String {
    let mut text = String::from("\n| Fault | Where | Parameters | What a client sees |\n|---|---|---|---|\n");
    for layer in Layer::ALL {
        for line in Fault::ALL.iter().filter(|line| line.layer == layer) {
            let parameters: Vec<String> = line
                .parameters
                .iter()
                .map(|parameter| format!("`{}` = {}", parameter.name, parameter.default))
                .collect();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                line.name,
                layer.name(),
                parameters.join(", "),
                line.summary
            );
        }
    }
    text.push('\n');
    text
}

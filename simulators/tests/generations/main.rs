//! Every role in every generation and on every kind of grid: the chain can be walked, mandatory points
//! are there, and models that say the same thing agree, with one another and with the physics.

mod agreement;

use gridtally_registers::sunspec::Kind;
use gridtally_simulators::{Answer, Device, DeviceSpec, Generation, Home, HomeSpec, Phases, Role};
use tokio_modbus::{Request, Response};

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z

const ROLES: [Role; 4] = [Role::Inverter, Role::Battery, Role::Hybrid, Role::Meter];
const GENERATIONS: [Generation; 4] = [
    Generation::Integer,
    Generation::Float,
    Generation::Ieee1547,
    Generation::All,
];
const PHASES: [Phases; 4] = [Phases::Single, Phases::Split, Phases::Three, Phases::Delta];

fn every_kind() -> impl Iterator<Item = (Role, Generation, Phases)> {
    ROLES.into_iter().flat_map(|role| {
        GENERATIONS
            .into_iter()
            .flat_map(move |generation| PHASES.map(|phases| (role, generation, phases)))
    })
}

fn spec(seed: u64, role: Role, generation: Generation, phases: Phases) -> HomeSpec {
    let mut device = DeviceSpec::new(role, "KIND");
    device.speak(generation, phases);
    HomeSpec {
        devices: vec![device],
        ..HomeSpec::draw(seed)
    }
}

/// A home with one such device, an hour after noon.
fn home(role: Role, generation: Generation, phases: Phases) -> Home {
    let mut home = Home::new(spec(5, role, generation, phases), NOON);
    home.advance_to(NOON + 3_600);
    home
}

/// Model numbers that the issue asks for, behind model 1.
fn expected_models(role: Role, generation: Generation, phases: Phases) -> Vec<u16> {
    // Of a delta an inverter's model is that of three phases.
    let (line, meter) = match phases {
        Phases::Single => (1, 1),
        Phases::Split => (2, 2),
        Phases::Three => (3, 3),
        Phases::Delta => (3, 4),
    };
    if role == Role::Meter {
        return match generation {
            Generation::Integer | Generation::Ieee1547 => vec![200 + meter],
            Generation::Float => vec![210 + meter],
            Generation::All => vec![200 + meter, 210 + meter],
        };
    }
    let stores = role != Role::Inverter;
    let old = |first: &[u16]| {
        let storage = if stores { vec![124] } else { vec![] };
        [first, &[120, 121, 122, 123], &storage, &[160]].concat()
    };
    let storage = if stores { vec![713] } else { vec![] };
    let new = [(701..=712).collect(), storage, vec![714, 715]].concat();
    let mut models = match generation {
        Generation::Integer => old(&[100 + line]),
        Generation::Float => old(&[110 + line]),
        Generation::Ieee1547 => new,
        Generation::All => [old(&[100 + line, 110 + line]), new].concat(),
    };
    models.extend(stores.then_some(802));
    models
}

fn read(device: &Device, address: u16, count: u16) -> Vec<u16> {
    match device.answer(&Request::ReadHoldingRegisters(address, count)) {
        Answer::Reply(Response::ReadHoldingRegisters(words)) => words,
        other => panic!("{other:?} to a read of {count} from {address}"),
    }
}

#[test]
fn each_chain_leads_from_the_marker_to_the_end_model_at_any_base() {
    for (role, generation, phases) in every_kind() {
        for base in [0, 40_000, 50_000] {
            let mut spec = spec(5, role, generation, phases);
            spec.devices[0].base = base;
            let home = Home::new(spec, NOON);
            let device = &home.devices()[0];
            assert_eq!(read(device, base, 2), [0x5375, 0x6E53], "SunS");
            let (mut models, mut address) = (Vec::new(), base + 2);
            loop {
                let header = read(device, address, 2);
                if header == [0xFFFF, 0] {
                    break;
                }
                models.push(header[0]);
                // Each model can be read as a whole, in as few requests as it takes.
                for offset in (0..header[1]).step_by(125) {
                    read(device, address + 2 + offset, (header[1] - offset).min(125));
                }
                address += header[1] + 2;
            }
            let expected = [vec![1], expected_models(role, generation, phases)].concat();
            assert_eq!(models, expected, "{role:?} {generation:?} {phases:?} at {base}");
            let behind = device.answer(&Request::ReadHoldingRegisters(address + 2, 1));
            assert!(
                matches!(behind, Answer::Exception(_)),
                "nothing behind the end model"
            );
        }
    }
}

/// Mandatory points that a device leaves out, and why.
const LEFT_OUT: [(u16, &str, &str); 1] = [(
    202,
    "AphC",
    "a split phase has two lines; the model asks for a third",
)];

#[test]
fn mandatory_points_are_implemented_in_every_model() {
    let mut left_out = std::collections::BTreeSet::new();
    for (role, generation, phases) in every_kind() {
        let home = home(role, generation, phases);
        let map = home.devices()[0].registers();
        for (at, point) in map.points().filter(|(_, point)| point.definition.mandatory) {
            let words = map.point_words(at, point).unwrap();
            let silent = match point.kind() {
                Kind::Pad => false,
                // These homes have counted for years, both ways.
                Kind::Acc16 | Kind::Acc32 | Kind::Acc64 => words.iter().all(|word| *word == 0),
                kind => kind.is_sentinel(words),
            };
            if silent {
                let known = LEFT_OUT
                    .iter()
                    .find(|(id, name, _)| (*id, *name) == (at.id(), point.path.as_str()));
                let known = known
                    .unwrap_or_else(|| panic!("{role:?} {phases:?}: {}.{} is missing", at.id(), point.path));
                left_out.insert(known);
            }
        }
    }
    assert_eq!(
        left_out.len(),
        LEFT_OUT.len(),
        "a point is there that the list leaves out"
    );
}

#[test]
fn no_point_lies_outside_of_what_its_type_can_say() {
    for (role, generation, phases) in every_kind() {
        let home = home(role, generation, phases);
        let map = home.devices()[0].registers();
        for (at, point) in map.points() {
            let (kind, words) = (point.kind(), map.point_words(at, point).unwrap());
            let (least, greatest) = kind.range();
            let name = format!("{role:?} {generation:?} {phases:?}: {}.{}", at.id(), point.path);
            match kind {
                Kind::Pad => assert_eq!(words, [0x8000], "{name}"),
                Kind::Text(_) | Kind::Float64 => {}
                Kind::Float32 => {
                    let value = f32::from_bits(u32::from(words[0]) << 16 | u32::from(words[1]));
                    assert!(!value.is_infinite(), "{name}");
                }
                _ if kind.is_sentinel(words) => {}
                _ => {
                    let value = kind.integer(words).unwrap();
                    assert!((least..=greatest).contains(&value), "{name}: {value}");
                }
            }
            if let Some(offset) = point
                .scale_offset
                .filter(|_| kind.is_integer() && !kind.is_sentinel(words))
            {
                let scale = map
                    .read(gridtally_simulators::Table::Holding, at.address + offset, 1)
                    .unwrap()[0];
                let accumulates_nothing = kind.is_accumulator() && words.iter().all(|word| *word == 0);
                assert!(
                    scale != 0x8000 || accumulates_nothing,
                    "{name} is scaled by nothing"
                );
            }
        }
    }
}

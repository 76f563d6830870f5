//! Chains of models that are wrong.

use crate::lab::{BEGIN, chain, from_until, on_and_off, read, seen};
use gridtally_simulators::{Device, Fault, RegisterMap, Table};
use tokio_modbus::ExceptionCode::{self, IllegalDataAddress};

/// How a walk along the chain ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Model(u16),
    Zeros(u16),
    Exception(u16, ExceptionCode),
}

/// The models that a client finds when it goes from L to L, and what it meets behind them.
fn walk(device: &Device) -> (Vec<(u16, u16, u16)>, End) {
    walk_from(device, device.registers().base())
}

fn walk_from(device: &Device, base: u16) -> (Vec<(u16, u16, u16)>, End) {
    assert_eq!(read(device, base, 2), Ok(vec![0x5375, 0x6E53]), "SunS");
    let (mut models, mut address) = (Vec::new(), base + 2);
    loop {
        match read(device, address, 2).as_deref() {
            Ok([0xFFFF, 0]) => return (models, End::Model(address)),
            Ok([0, 0]) => return (models, End::Zeros(address)),
            Ok(&[id, length]) => {
                models.push((address, id, length));
                address += length + 2;
            }
            Err(exception) => return (models, End::Exception(address, *exception)),
            Ok(other) => panic!("two registers asked for: {other:?}"),
        }
    }
}

/// Where the end model stands in a healthy map.
fn end_of(map: &RegisterMap) -> u16 {
    let (address, _, length) = *chain(map).last().unwrap();
    address + length + 2
}

/// A model's registers, ID and L among them.
fn whole(map: &RegisterMap, address: u16, length: u16) -> &[u16] {
    map.read(Table::Holding, address, length + 2).unwrap()
}

/// The same, as a client reads it from somewhere.
fn whole_from(device: &Device, address: u16, length: u16) -> Vec<u16> {
    let mut words = Vec::new();
    for offset in (0..length + 2).step_by(100) {
        words.extend(read(device, address + offset, (length + 2 - offset).min(100)).unwrap());
    }
    words
}

fn assert_chain_ends(fault: Fault, end: impl Fn(u16) -> End) {
    on_and_off(fault, |lab| {
        for device in lab.failing.devices() {
            let truth = device.registers();
            let at = end_of(&truth);
            assert_eq!(walk(device), (chain(&truth), end(at)));
            for (address, id, length) in chain(&truth) {
                let words = whole_from(device, address, length);
                assert_eq!(words, whole(&truth, address, length), "model {id}");
            }
            assert_eq!(
                read(device, at + 2, 1),
                Err(IllegalDataAddress),
                "nothing behind the end"
            );
            assert_eq!(
                read(device, at - 1, 4),
                Err(IllegalDataAddress),
                "not even in part"
            );
        }
    });
}

pub fn an_exception_stands_where_the_end_model_should() {
    assert_chain_ends(Fault::ExceptionAtChainEnd, |at| {
        End::Exception(at, IllegalDataAddress)
    });
    on_and_off(Fault::ExceptionAtChainEnd, |lab| {
        for device in lab.failing.devices() {
            let at = end_of(&device.registers());
            assert_eq!(read(device, at, 1), Err(IllegalDataAddress));
        }
    });
}

pub fn zeros_stand_where_the_end_model_should() {
    assert_chain_ends(Fault::NoEndModel, End::Zeros);
}

pub fn a_wrong_length_misleads_to_the_middle_of_something() {
    for (model, by, length) in [(1, -1, 65), (1, 7, 73), (103, 3, 53), (103, -1_000, 0)] {
        on_and_off(Fault::WrongModelLength { model, by }, |lab| {
            let (hybrid, _) = lab.hybrids();
            let truth = hybrid.registers();
            let at = truth.model(u16::try_from(model).unwrap()).unwrap().address + 1;
            assert_eq!(read(hybrid, at, 1), Ok(vec![length]));
            assert_ne!(
                walk_ids_until(hybrid, 20),
                chain(&truth)[..20],
                "the walk goes astray"
            );
            let mut words = truth.words().to_vec();
            words[usize::from(at - truth.base())] = length;
            assert_eq!(seen(hybrid).words(), words, "nothing else has moved");
        });
    }
    on_and_off(Fault::WrongModelLength { model: 999, by: 1 }, |lab| {
        lab.assert_alike("a device without that model has nothing to be wrong");
    });
}

/// So many steps of a walk at most: a wrong length can lead anywhere.
fn walk_ids_until(device: &Device, steps: usize) -> Vec<(u16, u16, u16)> {
    let (mut models, mut address) = (Vec::new(), device.registers().base() + 2);
    while models.len() < steps {
        let Ok(&[id, length]) = read(device, address, 2).as_deref() else {
            break;
        };
        models.push((address, id, length));
        let Some(next) = address.checked_add(2).and_then(|body| body.checked_add(length)) else {
            break;
        };
        address = next;
    }
    models
}

pub fn behind_the_marker_are_zeros_up_to_the_last_register() {
    from_until(BEGIN, 60, Fault::ZeroFilledMap, |lab| {
        for device in lab.failing.devices() {
            assert_eq!(read(device, 40_000, 4), Ok(vec![0x5375, 0x6E53, 0, 0]));
            for address in [40_002, 40_127, 50_000, 65_411] {
                assert_eq!(read(device, address, 125), Ok(vec![0; 125]));
            }
            assert_eq!(read(device, 65_535, 1), Ok(vec![0]));
            assert_eq!(read(device, 65_535, 2), Err(IllegalDataAddress));
            assert_eq!(read(device, 39_999, 1), Err(IllegalDataAddress));
        }
    });
}

pub fn the_models_behind_the_first_stand_there_twice() {
    on_and_off(Fault::DuplicateModels, |lab| {
        for device in lab.failing.devices() {
            let truth = device.registers();
            let once = chain(&truth);
            let shift = end_of(&truth) - once[1].0;
            let again = once[1..]
                .iter()
                .map(|&(address, id, length)| (address + shift, id, length));
            let twice: Vec<_> = once.iter().copied().chain(again).collect();
            assert_eq!(walk(device), (twice, End::Model(end_of(&truth) + shift)));
            for &(address, id, length) in &once[1..] {
                let first = whole_from(device, address, length);
                assert_eq!(first, whole(&truth, address, length), "model {id}");
                assert_eq!(
                    first,
                    whole_from(device, address + shift, length),
                    "model {id} again"
                );
            }
        }
    });
}

pub fn the_models_behind_the_first_have_moved_up() {
    for (by, up) in [(1, 1), (13, 13)] {
        on_and_off(Fault::ShiftedMap { by }, |lab| {
            for device in lab.failing.devices() {
                let truth = device.registers();
                let mut moved = chain(&truth);
                moved[0].2 += up;
                for (address, _, _) in &mut moved[1..] {
                    *address += up;
                }
                assert_eq!(walk(device), (moved, End::Model(end_of(&truth) + up)));
                let (first, rest) = (chain(&truth)[0], &chain(&truth)[1..]);
                assert_eq!(
                    whole_from(device, first.0, first.2)[2..],
                    whole(&truth, first.0, first.2)[2..],
                    "the points of model 1 stay"
                );
                for &(address, id, length) in rest {
                    let words = whole_from(device, address + up, length);
                    assert_eq!(words, whole(&truth, address, length), "model {id}");
                }
            }
        });
    }
}

/// Several at once: each acts on what the others left.
#[test]
fn faults_of_the_chain_act_together() {
    let home = gridtally_simulators::Home::new(crate::lab::spec(), crate::lab::NOON);
    let meter = home.grid_meter();
    let truth = chain(&meter.registers());
    let [(one, _, _), (two, ..), (three, ..)] = truth[..] else {
        panic!("{truth:?}")
    };
    let end = end_of(&meter.registers()) + 5;
    let moved = [(one, 1, 71), (two + 5, 203, 105), (three + 5, 213, 124)];
    for order in [[0_usize, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let faults = [
            Fault::ShiftedMap { by: 5 },
            Fault::NoEndModel,
            Fault::WrongModelLength { model: 213, by: -1 },
        ];
        for n in order {
            meter.inject(faults[n]);
        }
        assert_eq!(read(meter, three + 6, 1), Ok(vec![123]), "{order:?}");
        meter.eject("wrong-model-length");
        assert_eq!(walk(meter), (moved.to_vec(), End::Zeros(end)), "{order:?}");
        meter.clear_faults();
    }
}

/// A recorded device as many are: model 1 of 65 registers, a vendor's model at the end, and registers of
/// the vendor before the chain, behind it and in the other table.
fn recorded() -> Device {
    let meter = gridtally_simulators::Home::new(crate::lab::spec(), crate::lab::NOON);
    let meter = meter.grid_meter().registers();
    let model = |id| {
        let (address, _, length) = *chain(&meter).iter().find(|model| model.1 == id).unwrap();
        whole(&meter, address, length).to_vec()
    };
    let mut common = model(1);
    common[1] = 65;
    common.pop();
    let chain = [
        vec![9; 10],
        vec![0x5375, 0x6E53],
        common,
        model(203),
        vec![64_001, 4, 1, 2, 3, 4],
    ]
    .concat();
    let chain = [chain, vec![0xFFFF, 0]].concat();
    let block = |table, address, words| gridtally_simulators::record::Block {
        table,
        address,
        words,
    };
    let recording = gridtally_simulators::record::Recording {
        recorded_at: "2026-06-21T12:00:00Z".parse().unwrap(),
        source: "a test".to_owned(),
        unit: 1,
        base: Some(40_000),
        redacted: false,
        period: 1,
        blocks: vec![
            block(Table::Holding, 100, vec![5, 6, 7]),
            block(Table::Holding, 39_990, chain),
            block(Table::Holding, 39_000, vec![1]),
            block(Table::Input, 5, vec![8]),
        ],
        snapshots: Vec::new(),
    };
    Device::replay(&recording, "recorded")
}

#[test]
fn the_chain_of_a_recorded_device_goes_wrong_as_any_other() {
    const MODELS: [(u16, u16, u16); 3] = [(40_002, 1, 65), (40_069, 203, 105), (40_176, 64_001, 4)];
    const END: u16 = 40_182;
    let device = recorded();
    assert_eq!(walk_from(&device, 40_000), (MODELS.to_vec(), End::Model(END)));
    let moved = |first_longer: u16| {
        MODELS.map(|(at, id, length)| {
            if id == 1 {
                (at, id, length + first_longer)
            } else {
                (at + first_longer, id, length)
            }
        })
    };
    let twice = [MODELS.to_vec(), vec![(40_182, 203, 105), (40_289, 64_001, 4)]].concat();
    let cases = [
        (
            Fault::ExceptionAtChainEnd,
            MODELS.to_vec(),
            End::Exception(END, IllegalDataAddress),
        ),
        (Fault::NoEndModel, MODELS.to_vec(), End::Zeros(END)),
        (Fault::DuplicateModels, twice, End::Model(40_295)),
        (
            Fault::ShiftedMap { by: 5 },
            moved(5).to_vec(),
            End::Model(END + 5),
        ),
        (Fault::ZeroFilledMap, vec![], End::Zeros(40_002)),
    ];
    let lengths = [(1, 3, 40_003, 68), (203, -5, 40_070, 100), (64_001, 1, 40_177, 5)];
    for (fault, models, end) in cases {
        device.inject(fault);
        assert_eq!(walk_from(&device, 40_000), (models, end), "{fault}");
        assert_vendor_registers(&device);
        device.clear_faults();
    }
    for (model, by, address, length) in lengths {
        device.inject(Fault::WrongModelLength { model, by });
        assert_eq!(read(&device, address, 1), Ok(vec![length]), "model {model}");
        assert_vendor_registers(&device);
        device.clear_faults();
    }
    assert_eq!(walk_from(&device, 40_000), (MODELS.to_vec(), End::Model(END)));
}

/// What is no part of the chain stays as it is.
fn assert_vendor_registers(device: &Device) {
    use gridtally_simulators::Answer;
    use tokio_modbus::{Request, Response};
    assert_eq!(read(device, 100, 3), Ok(vec![5, 6, 7]));
    assert_eq!(read(device, 39_000, 1), Ok(vec![1]));
    assert_eq!(read(device, 39_990, 10), Ok(vec![9; 10]));
    let input = device.answer(&Request::ReadInputRegisters(5, 1));
    assert_eq!(input, Answer::Reply(Response::ReadInputRegisters(vec![8])));
}

//! Replies that are well framed and wrong.

use crate::lab::{chain, on_and_off, read, seen, set, write};
use gridtally_simulators::{Answer, Device, Fault};
use std::collections::BTreeSet;
use tokio_modbus::ExceptionCode::{
    self, GatewayTargetDevice, IllegalDataAddress, IllegalDataValue, ServerDeviceBusy, ServerDeviceFailure,
};
use tokio_modbus::Request;

/// The right words of a block.
fn truth(device: &Device, address: u16, count: u16) -> Vec<u16> {
    let map = device.registers();
    map.read(gridtally_simulators::Table::Holding, address, count)
        .unwrap()
        .to_vec()
}

/// The limit of model 123 is where no client has written.
fn assert_unwritten(device: &Device) {
    assert_eq!(device.value(123, "WMaxLimPct"), Some(10_000));
}

pub fn nonsense_is_never_right_and_takes_no_write() {
    on_and_off(Fault::Nonsense, |lab| {
        let mut kinds = BTreeSet::new();
        for second in 0..200 {
            lab.advance_to(second);
            let (hybrid, _) = lab.hybrids();
            let at = hybrid.address(103, "A").unwrap();
            let answer = read(hybrid, at, 50);
            assert_ne!(answer, Ok(truth(hybrid, at, 50)), "right at second {second}");
            kinds.insert(match answer {
                Ok(words) if words == [0; 50] => "zeros".to_owned(),
                Ok(words) => format!("{:?}", words.len().cmp(&50)),
                Err(exception) => format!("{exception:?}"),
            });
            assert!(matches!(set(hybrid, 123, "WMaxLimPct", 5_000), Some(Err(_))));
            assert_unwritten(hybrid);
        }
        let expected = [
            "Equal",
            "GatewayTargetDevice",
            "Greater",
            "Less",
            "ServerDeviceBusy",
            "ServerDeviceFailure",
            "zeros",
        ];
        assert_eq!(kinds, expected.map(str::to_owned).into(), "a mixture");
    });
}

pub fn a_short_reply_lacks_its_last_registers() {
    for (by, missing) in [(1, 1), (7, 7), (50, 50), (1_000, 50)] {
        on_and_off(Fault::ShortReply { by }, |lab| {
            for device in lab.failing.devices() {
                let words = read(device, 40_002, 50).unwrap();
                assert_eq!(words, truth(device, 40_002, 50)[..50 - missing]);
                assert_eq!(
                    write(device, 40_002, &[1]),
                    Some(Err(IllegalDataAddress)),
                    "no read"
                );
            }
            assert_eq!(
                set(lab.hybrids().0, 123, "WMaxLimPct", 10_000),
                Some(Ok(())),
                "a write is no read"
            );
        });
    }
}

pub fn a_long_reply_has_registers_that_nobody_asked_for() {
    for (by, length) in [(1, 51), (20, 70), (1_000, 127)] {
        on_and_off(Fault::LongReply { by }, |lab| {
            for device in lab.failing.devices() {
                let words = read(device, 40_002, 50).unwrap();
                assert_eq!(words.len(), length, "at most what a byte count can say");
                assert_eq!(words[..50], truth(device, 40_002, 50));
            }
        });
    }
}

fn every_request_meets(fault: Fault, exception: ExceptionCode) {
    on_and_off(fault, |lab| {
        let (hybrid, _) = lab.hybrids();
        assert_eq!(read(hybrid, 40_000, 2), Err(exception));
        assert_eq!(read(hybrid, 40_070, 10), Err(exception));
        let input = hybrid.answer(&Request::ReadInputRegisters(40_000, 2));
        assert_eq!(input, Answer::Exception(exception));
        assert_eq!(set(hybrid, 123, "WMaxLimPct", 5_000), Some(Err(exception)));
        let single = hybrid.answer(&Request::WriteSingleRegister(
            hybrid.address(123, "Conn").unwrap(),
            0,
        ));
        assert_eq!(single, Answer::Exception(exception));
        assert_unwritten(hybrid);
        assert_eq!(hybrid.value(123, "Conn"), Some(1));
    });
}

pub fn an_illegal_address_is_exception_2() {
    every_request_meets(Fault::IllegalAddress, IllegalDataAddress);
}

pub fn a_device_failure_is_exception_4() {
    every_request_meets(Fault::DeviceFailure, ServerDeviceFailure);
}

pub fn busy_is_exception_6() {
    every_request_meets(Fault::Busy, ServerDeviceBusy);
}

pub fn a_silent_target_is_exception_11() {
    every_request_meets(Fault::GatewayTargetSilent, GatewayTargetDevice);
}

pub fn small_reads_are_answered_and_greater_ones_are_exception_3() {
    for (registers, most) in [(50, 50), (2, 2), (0, 0)] {
        on_and_off(Fault::SmallReads { registers }, |lab| {
            for device in lab.failing.devices() {
                if most > 0 {
                    assert_eq!(read(device, 40_002, most), Ok(truth(device, 40_002, most)));
                }
                assert_eq!(read(device, 40_002, most + 1), Err(IllegalDataValue));
            }
        });
    }
}

pub fn no_read_crosses_the_end_of_a_model() {
    on_and_off(Fault::NoReadAcrossModels, |lab| {
        for device in lab.failing.devices() {
            let models = chain(&device.registers());
            assert!(models.len() >= 3);
            for (address, id, length) in models {
                let (all, next) = (length + 2, address + length + 2);
                assert_eq!(
                    read(device, address, all.min(125)),
                    Ok(truth(device, address, all.min(125))),
                    "model {id} from its beginning"
                );
                assert_eq!(
                    read(device, next - 1, 1),
                    Ok(truth(device, next - 1, 1)),
                    "model {id}'s last"
                );
                for (from, count) in [(next - 1, 2), (next - 2, 4)] {
                    assert_eq!(
                        read(device, from, count),
                        Err(IllegalDataAddress),
                        "over model {id}'s end"
                    );
                }
                assert_eq!(
                    read(device, next, 2),
                    Ok(truth(device, next, 2)),
                    "what follows model {id}"
                );
            }
        }
        // A healthy device does not mind.
        assert_eq!(seen(lab.hybrids().1).words(), lab.hybrids().1.registers().words());
    });
}

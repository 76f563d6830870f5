//! What holds whatever is asked.

use crate::homes::{NOON, charged_home_with, everything, home_with, shipped, write};
use gridtally_registers::profile::{Access, Profile};
use gridtally_simulators::{Answer, Fault};
use proptest::prelude::*;
use rust_decimal::Decimal;
use tokio_modbus::Request;

fn any_request() -> impl Strategy<Value = Request<'static>> {
    let near = prop_oneof![
        any::<u16>(),
        0_u16..210,
        0x1110_u16..0x1190,
        4_980_u16..13_110,
        35_000_u16..36_030,
        47_080_u16..47_520,
        Just(u16::MAX)
    ];
    let words = prop::collection::vec(prop_oneof![any::<u16>(), 0_u16..4], 0..130);
    (0..6, near, any::<u16>(), words).prop_map(|(kind, address, count, words)| match kind {
        0 => Request::ReadHoldingRegisters(address, count % 130),
        1 => Request::ReadInputRegisters(address, count % 130),
        2 => Request::ReadInputRegisters(address, count),
        3 => Request::WriteSingleRegister(address, count % 300),
        4 => Request::WriteMultipleRegisters(address, words.into()),
        _ => Request::ReadCoils(address, count),
    })
}

/// A write that one of the profile's points accepts.
fn any_setting(profile: &Profile, pick: usize, share: u32) -> Option<Request<'static>> {
    let settable: Vec<_> = profile
        .points
        .iter()
        .filter_map(|point| match point.access {
            Access::ReadWrite { min, max } => Some((point, min, max)),
            Access::ReadOnly => None,
        })
        .collect();
    let (point, min, max) = settable.get(pick % settable.len().max(1))?;
    let value = (min + (max - min) * Decimal::new(i64::from(share % 1_001), 3)).trunc();
    let words = point.encode_write(value.clamp(*min, *max)).ok()?;
    Some(Request::WriteMultipleRegisters(point.address, words.into()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_request_makes_a_profiled_device_panic_or_break_the_balance(
        which in 0..shipped().len() + 1,
        seed: u64,
        fault in 0..Fault::ALL.len(),
        steps in prop::collection::vec((any_request(), any::<usize>(), any::<u32>(), 0_i64..4_000), 1..40),
    ) {
        let made = everything();
        let profile = shipped().get(which).unwrap_or(&made);
        let mut home = home_with(profile, seed, NOON);
        let device = home.devices()[0].clone();
        for (n, (request, pick, share, seconds)) in steps.into_iter().enumerate() {
            if n == 10 {
                device.inject(Fault::ALL[fault].fault);
            }
            let answer = device.answer(&request);
            if let (Request::ReadInputRegisters(_, count), Answer::Reply(_)) = (&request, &answer) {
                prop_assert!(*count <= profile.max_registers || n >= 10);
            }
            if let Some(setting) = any_setting(profile, pick, share) {
                let answer = device.answer(&setting);
                prop_assert!(n >= 10 || matches!(answer, Answer::Reply(_)), "{setting:?}: {answer:?}");
            }
            home.advance_to(home.now() + seconds);
            let _ = device.seen_registers();
            let flow = home.flow();
            prop_assert_eq!(flow.grid, flow.load - flow.pv - flow.battery);
            prop_assert!((500..=10_000).contains(&home.soc_basis_points()));
        }
    }

    #[test]
    fn an_export_limit_holds_at_the_meter_whatever_else_is_asked(
        seed: u64, soc in 100_u32..=1_000, limit in 0_u16..6_000, discharge in 0_u16..=100, hour in 0_i64..24,
    ) {
        let mut home = charged_home_with(&everything(), seed, NOON + hour * 3_600, soc);
        write(&home.devices()[0], 200, &[0, limit]);
        write(&home.devices()[0], 102, &[discharge, 3]);
        for _ in 0..60 {
            home.advance_to(home.now() + 47);
            let flow = home.flow();
            prop_assert!(flow.grid >= -1_000 * i64::from(limit), "{flow:?}");
        }
    }
}

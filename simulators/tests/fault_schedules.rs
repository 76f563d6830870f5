//! Faults by schedule: what a device says does not depend on the steps in which time is moved.

use gridtally_simulators::{
    Answer, Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Layer, Phases, Role, Schedule,
};
use proptest::prelude::*;
use tokio_modbus::Request;

const JANUARY_2026: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

fn spec(seed: u64) -> HomeSpec {
    let mut spec = HomeSpec::draw(seed);
    spec.devices = [Role::Hybrid, Role::Meter]
        .map(|role| {
            let mut device = DeviceSpec::new(role, "S");
            device.speak(Generation::All, Phases::Three);
            device
        })
        .to_vec();
    spec
}

/// Any fault of the catalogue, with parameters about those that it has by default.
fn any_fault() -> impl Strategy<Value = Fault> {
    (0..Fault::ALL.len(), -2_i64..=4).prop_map(|(n, factor)| {
        let mut fault = Fault::ALL[n].fault;
        for (name, value) in fault.parameters() {
            fault.set(name, value * factor + i64::from(factor == 0)).unwrap();
        }
        fault
    })
}

/// Faults that remember, count or write: those in which the length of steps could show.
fn any_lasting_fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Frozen,
        Fault::CounterReset,
        Fault::CounterResetsDaily,
        Fault::WritesNotObeyed,
        Fault::NeverReverts,
        Fault::ReversionUnit { seconds: 60 },
        Fault::HeartbeatIgnored,
        Fault::ClockDrifts { seconds: 7_000 },
        Fault::ClockDrifts { seconds: -7_000 },
        Fault::ClockSteps { seconds: 40_000 },
        Fault::ClockSteps { seconds: -40_000 },
    ])
}

fn any_schedule(start: i64) -> impl Strategy<Value = Schedule> {
    prop_oneof![
        (0..3 * DAY, 1..DAY).prop_map(move |(from, seconds)| {
            let from = start + from;
            Schedule::Once(from..from + seconds)
        }),
        (0..DAY, 1..DAY + 3_600).prop_map(|(from, seconds)| Schedule::Daily { from, seconds }),
    ]
}

/// Writes to the controls that move by themselves, before time moves.
#[derive(Debug, Clone)]
struct Written {
    point: (u16, &'static str),
    value: i128,
}

fn any_write() -> impl Strategy<Value = Written> {
    let points = vec![
        ((123, "WMaxLimPct"), 10_000),
        ((123, "WMaxLimPct_WinTms"), 4_000),
        ((123, "WMaxLimPct_RvrtTms"), 60_000),
        ((123, "WMaxLimPct_RmpTms"), 4_000),
        ((123, "WMaxLim_Ena"), 1),
        ((123, "Conn_RvrtTms"), 60_000),
        ((123, "Conn"), 1),
        ((124, "StorCtl_Mod"), 3),
        ((124, "InWRte"), 10_000),
        ((124, "OutWRte"), 10_000),
        ((124, "InOutWRte_RvrtTms"), 60_000),
        ((124, "InOutWRte_RmpTms"), 4_000),
        ((704, "WMaxLimPct"), 10_000),
        ((704, "WMaxLimPctRvrt"), 10_000),
        ((704, "WMaxLimPctEnaRvrt"), 1),
        ((704, "WMaxLimPctRvrtTms"), 200_000),
        ((704, "WMaxLimPctEna"), 1),
        ((704, "WSet"), 3_000),
        ((704, "WSetRvrtTms"), 200_000),
        ((704, "WSetEna"), 1),
        ((715, "ControllerHb"), 100),
    ];
    (prop::sample::select(points), 0_i128..=1_000_000).prop_map(|((point, greatest), draw)| Written {
        point,
        value: draw % (greatest + 1),
    })
}

fn apply(device: &Device, written: &Written) -> Answer {
    let map = device.registers();
    let (at, point) = map.find(written.point.0, 0, written.point.1).unwrap();
    let words: Vec<u16> = point.kind().encode(written.value).collect();
    device.answer(&Request::WriteMultipleRegisters(
        at.address_of(point),
        words.into(),
    ))
}

/// What a client gets for the whole map, in blocks, marker and what lies behind the end among them.
fn answers(device: &Device) -> Vec<Answer> {
    (0..30)
        .map(|n| device.answer(&Request::ReadHoldingRegisters(40_000 + n * 53, 53)))
        .collect()
}

fn assert_same(a: &Home, b: &Home) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.energies(), b.energies());
    prop_assert_eq!(a.stored(), b.stored());
    prop_assert_eq!(a.flow(), b.flow());
    for (a, b) in a.devices().iter().zip(b.devices()) {
        prop_assert_eq!(a.active_faults(), b.active_faults());
        let (mine, others) = (a.registers(), b.registers());
        for (at, point) in mine.points() {
            prop_assert_eq!(
                mine.point_words(at, point),
                others.point_words(at, point),
                "{}.{}",
                at.id(),
                &point.path
            );
        }
        prop_assert_eq!(&mine, &others);
        prop_assert!(answers(a) == answers(b), "what a client reads differs");
        prop_assert_eq!(a.seen_registers(), b.seen_registers());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_great_step_and_many_small_ones_lead_to_the_same_registers(
        seed: u64,
        day in 0_i64..365,
        second in 0..DAY,
        faults in prop::collection::vec(
            (0..2_usize, prop_oneof![any_fault(), any_lasting_fault()], any::<bool>(), any_schedule(0)), 1..7,
        ),
        writes in prop::collection::vec(any_write(), 0..12),
        steps in prop::collection::vec(prop_oneof![1_i64..90, 1_i64..9_000, 1..DAY], 1..60),
        late in any_lasting_fault(),
    ) {
        let start = JANUARY_2026 + day * DAY + second;
        let make = || {
            let home = Home::new(spec(seed), start);
            let mut answered = Vec::new();
            for (n, fault, live, schedule) in &faults {
                // A live fault of the reply layer would keep the writes away.
                if *live && fault.layer() != Layer::Reply {
                    home.devices()[*n].inject(*fault);
                } else {
                    let schedule = match schedule {
                        Schedule::Once(span) => Schedule::Once(span.start + start..span.end + start),
                        daily => daily.clone(),
                    };
                    home.devices()[*n].plan(*fault, schedule);
                }
            }
            for written in &writes {
                answered.push(apply(&home.devices()[0], written));
            }
            (home, answered)
        };
        let ((mut small, mine), (mut great, others)) = (make(), make());
        prop_assert_eq!(mine, others);
        for half in [&steps[..steps.len() / 2], &steps[steps.len() / 2..]] {
            for step in half {
                small.advance_to(small.now() + step);
            }
            if !half.is_empty() {
                great.advance_to(small.now());
            }
            assert_same(&small, &great)?;
            // By hand in the middle: one on, and all live ones off.
            for home in [&small, &great] {
                let device = &home.devices()[0];
                for (_, fault, _, _) in &faults {
                    device.eject(fault.name());
                }
                device.inject(late);
                assert!(device.active_faults().contains(&late));
            }
            assert_same(&small, &great)?;
        }
    }

    #[test]
    fn a_daily_fault_is_in_force_for_its_seconds_of_each_day_and_no_other(
        seed: u64, from in 0..DAY, seconds in 1..DAY, days in 0_i64..5, into in 0..DAY,
    ) {
        let mut home = Home::new(spec(seed), JANUARY_2026);
        let meter = home.device(Role::Meter).unwrap().clone();
        meter.plan(Fault::Busy, Schedule::Daily { from, seconds });
        home.advance_to(JANUARY_2026 + days * DAY + into);
        let busy = matches!(meter.answer(&Request::ReadHoldingRegisters(40_000, 2)), Answer::Exception(_));
        // In force since today's beginning, or still since yesterday's.
        let today = into >= from && into < from + seconds;
        let yesterday = into + DAY < from + seconds;
        prop_assert_eq!(busy, today || yesterday);
        prop_assert_eq!(meter.active_faults().is_empty(), !busy);
    }
}

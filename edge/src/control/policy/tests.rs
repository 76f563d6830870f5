use gridtally_protocol::identity::SigningIdentity;
use proptest::prelude::*;

use super::*;
use crate::config::{GridBounds, Percent, QuietHours, QuietRange, Zone};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_775_692_800 + seconds).unwrap() // 2026-04-09T00:00:00Z
}

fn mw(power: i64) -> Milliwatts {
    Milliwatts::new(power)
}

fn asks(target: Target) -> Instruction {
    Instruction {
        sequence: 1,
        gateway: SigningIdentity::from_secret(&[7; 32]).unwrap().identity(),
        event: "evening".parse().unwrap(),
        issued_at: at(1_000),
        expires_at: at(3_000),
        start: at(2_000),
        end: at(4_000),
        target,
        program: Some("evening_flex".parse().unwrap()),
        price: Some("0.85".parse().unwrap()),
    }
}

fn discharge(power: i64) -> Target {
    Target::SetPoint(mw(power))
}

fn charge(thousandths: i64) -> Target {
    Target::ChargeState(Charge::from_thousandths(thousandths).unwrap())
}

fn owner() -> OwnerConfig {
    OwnerConfig::with_reserve(Percent::from_thousandths(20_000).unwrap())
}

fn home() -> Home {
    Home {
        battery: Some(BatteryPower {
            discharge: mw(5_000),
            charge: mw(4_000),
        }),
        limits_production: false,
        has_meter: true,
        kinds: TargetKind::ALL.to_vec(),
        proof: Proof::Passed,
    }
}

fn moment() -> Moment {
    Moment {
        now: at(1_500),
        clock: ClockState::Synchronised,
        opted_out_until: None,
    }
}

fn opted_in(target: Target, power: i64) -> Decision {
    Decision::OptedIn {
        target,
        power: mw(power),
    }
}

fn quiet(from: u16, to: u16) -> QuietHours {
    QuietHours::new(
        Zone::load("UTC").unwrap(),
        vec![QuietRange::from_minutes(from, to).unwrap()],
    )
}

/// The instruction, owner, home and moment of a case, each sound until it is changed.
struct Case {
    asked: Instruction,
    owner: OwnerConfig,
    home: Home,
    moment: Moment,
}

impl Case {
    fn decide(&self) -> Decision {
        decide(&self.asked, &self.owner, &self.home, self.moment)
    }
}

fn case(target: Target, change: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case {
        asked: asks(target),
        owner: owner(),
        home: home(),
        moment: moment(),
    };
    change(&mut case);
    case
}

#[test]
fn every_refusal_has_its_reason() {
    let export = Target::ExportLimit(Milliwatts::ZERO);
    let import = Target::ImportLimit(Milliwatts::ZERO);
    let level = Target::Simple(Level::High);
    let no_charge = |c: &mut Case| c.home.battery.as_mut().unwrap().charge = Milliwatts::ZERO;
    let cases = [
        (
            case(discharge(1), |c| {
                c.owner.export.never_above = Some(mw(1));
                c.home.has_meter = false;
            }),
            Declined::NoMeter,
        ),
        (
            case(discharge(1), |c| c.moment.now = at(3_001)),
            Declined::Expired,
        ),
        (
            case(discharge(1), |c| c.owner.participate = false),
            Declined::OwnerOptOut,
        ),
        (
            case(discharge(1), |c| c.moment.opted_out_until = Some(at(2_001))),
            Declined::OwnerOptOut,
        ),
        (
            case(discharge(1), |c| c.moment.clock = ClockState::Unknown),
            Declined::ClockUnsure,
        ),
        (case(discharge(1), |c| c.home.battery = None), Declined::NoBattery),
        (case(export, |c| c.home.battery = None), Declined::NoBattery),
        (case(import, |c| c.home.has_meter = false), Declined::NoMeter),
        (case(export, |c| c.home.has_meter = false), Declined::NoMeter),
        (
            case(level, |c| c.home.kinds = vec![TargetKind::SetPoint]),
            Declined::Unsupported,
        ),
        (case(discharge(-1), no_charge), Declined::Unsupported),
        (case(discharge(0), no_charge), Declined::Unsupported),
        (case(charge(50_000), no_charge), Declined::Unsupported),
        (case(export, no_charge), Declined::Unsupported),
        (
            case(discharge(1), |c| c.home.proof = Proof::Untried),
            Declined::NotCommissioned,
        ),
        (
            case(discharge(1), |c| c.home.proof = Proof::Failed),
            Declined::NotCommissioned,
        ),
        (
            case(discharge(1), |c| {
                c.owner.programs = Some(["other".parse().unwrap()].into())
            }),
            Declined::ProgramNotOptedIn,
        ),
        (
            case(discharge(1), |c| {
                c.owner.programs = Some(["evening_flex".parse().unwrap()].into());
                c.asked.program = None;
            }),
            Declined::ProgramNotOptedIn,
        ),
        (
            case(discharge(1), |c| {
                c.owner.price_min = Some("0.8500001".parse().unwrap())
            }),
            Declined::PriceTooLow,
        ),
        (
            case(discharge(1), |c| {
                c.owner.price_min = Some("0".parse().unwrap());
                c.asked.price = None;
            }),
            Declined::PriceTooLow,
        ),
        // The event is from 00:33:20 to 01:06:40.
        (
            case(discharge(1), |c| c.owner.quiet = quiet(66, 67)),
            Declined::QuietHours,
        ),
        (
            case(discharge(9_999), |c| c.owner.power_min = mw(5_001)),
            Declined::BeyondOwnerLimits,
        ),
        (
            case(level, |c| c.owner.power_min = mw(5_001)),
            Declined::BeyondOwnerLimits,
        ),
    ];
    for (index, (case, why)) in cases.iter().enumerate() {
        assert_eq!(case.decide(), Decision::OptedOut(*why), "case {index}");
    }
}

#[test]
fn what_is_allowed_just_so_is_taken() {
    let cases = [
        case(discharge(1), |c| c.moment.now = at(3_000)),
        case(discharge(1), |c| c.moment.opted_out_until = Some(at(2_000))),
        case(discharge(1), |c| c.moment.clock = ClockState::FreeRunning),
        case(discharge(1), |c| {
            c.home.proof = Proof::Failed;
            c.owner.accept_unproven_control = true;
        }),
        case(discharge(1), |c| {
            c.owner.programs = Some(["evening_flex".parse().unwrap()].into());
        }),
        case(discharge(1), |c| {
            c.owner.price_min = Some("0.85".parse().unwrap())
        }),
        case(discharge(1), |c| c.owner.quiet = quiet(67, 33)),
        case(discharge(1), |c| c.home.has_meter = false),
        case(discharge(1), |c| c.owner.power_min = mw(1)),
    ];
    for (index, case) in cases.iter().enumerate() {
        assert_eq!(case.decide(), opted_in(discharge(1), 1), "case {index}");
    }
}

#[test]
fn each_kind_is_cut_to_what_the_owner_leaves() {
    let bounds = |always| GridBounds {
        always: mw(always),
        never_above: None,
    };
    let tight = |c: &mut Case| {
        c.owner.discharge_limit = Some(mw(3_000));
        c.owner.charge_limit = Some(mw(2_000));
        c.owner.import = bounds(700);
        c.owner.export = bounds(300);
        c.owner.ceiling = Percent::from_thousandths(90_000).unwrap();
    };
    let import = |limit| Target::ImportLimit(mw(limit));
    let export = |limit| Target::ExportLimit(mw(limit));
    for (asked, left, power) in [
        (discharge(i64::MAX), discharge(3_000), 3_000),
        (discharge(-i64::MAX), discharge(-2_000), -2_000),
        (discharge(0), discharge(0), 0),
        (import(0), import(700), 700),
        (import(701), import(701), 701),
        (export(0), export(300), 300),
        (export(i64::MAX), export(i64::MAX), i64::MAX),
        (charge(0), charge(20_000), 3_000),
        (charge(100_000), charge(90_000), 3_000),
        (Target::Simple(Level::Normal), Target::Simple(Level::Normal), 0),
        (
            Target::Simple(Level::Special),
            Target::Simple(Level::Special),
            3_000,
        ),
    ] {
        assert_eq!(case(asked, tight).decide(), opted_in(left, power), "{asked:?}");
    }
}

#[test]
fn an_export_can_be_limited_at_the_roof_without_a_battery() {
    let export = Target::ExportLimit(mw(1));
    let roof = case(export, |c| {
        c.home.battery = None;
        c.home.limits_production = true;
    });
    assert_eq!(roof.decide(), opted_in(export, 1));
}

#[test]
fn an_event_under_way_is_interrupted_by_what_the_owner_changed_and_by_the_clock() {
    let told = |change: fn(&mut Case)| {
        let case = case(discharge(1), change);
        interrupts(&case.owner, &case.home, case.moment)
    };
    assert_eq!(told(|_| {}), None);
    assert_eq!(told(|c| c.moment.opted_out_until = Some(c.moment.now)), None);
    for (change, why) in [
        (
            (|c| c.moment.opted_out_until = Some(at(1_501))) as fn(&mut Case),
            Declined::OwnerOptOut,
        ),
        (|c| c.owner.participate = false, Declined::OwnerOptOut),
        (|c| c.home.proof = Proof::Failed, Declined::NotCommissioned),
        (|c| c.owner.quiet = quiet(25, 26), Declined::QuietHours),
        (|c| c.moment.clock = ClockState::Unknown, Declined::ClockUnsure),
    ] {
        assert_eq!(told(change), Some(why));
    }
}

fn target() -> impl Strategy<Value = Target> {
    let power = prop_oneof![-20_000_i64..20_000, Just(i64::MAX), Just(-i64::MAX)];
    let limit = prop_oneof![0_i64..20_000, Just(i64::MAX)];
    prop_oneof![
        prop::sample::select(&Level::ALL).prop_map(Target::Simple),
        power.prop_map(|p| Target::SetPoint(mw(p))),
        limit.clone().prop_map(|p| Target::ImportLimit(mw(p))),
        limit.prop_map(|p| Target::ExportLimit(mw(p))),
        (0_i64..=100_000).prop_map(charge),
    ]
}

prop_compose! {
    fn owners()(
        participate in prop::bool::weighted(0.9), reserve in 0_i64..50_000, ceiling in 50_000_i64..=100_000,
        limits in prop::array::uniform2(prop::option::of(1_i64..10_000)), power_min in 0_i64..500,
        always in prop::array::uniform2(0_i64..10_000), quiet in prop::option::of((0_u16..1_440, 0_u16..1_440)),
    ) -> OwnerConfig {
        let bounds = |always| GridBounds { always: mw(always), never_above: None };
        OwnerConfig {
            participate,
            ceiling: Percent::from_thousandths(ceiling).unwrap(),
            discharge_limit: limits[0].map(mw),
            charge_limit: limits[1].map(mw),
            power_min: mw(power_min),
            import: bounds(always[0]),
            export: bounds(always[1]),
            quiet: quiet
                .and_then(|(from, to)| QuietRange::from_minutes(from, to))
                .map_or(QuietHours::NONE, |range| QuietHours::new(Zone::load("UTC").unwrap(), vec![range])),
            ..OwnerConfig::with_reserve(Percent::from_thousandths(reserve).unwrap())
        }
    }
}

proptest! {
    #[test]
    fn what_is_accepted_is_never_beyond_the_owner_the_nameplate_the_reserve_or_what_was_asked(
        asked in target(), owner in owners(), plate in prop::array::uniform2(0_i64..10_000),
    ) {
        let mut home = home();
        home.battery = Some(BatteryPower { discharge: mw(plate[0]), charge: mw(plate[1]) });
        let instruction = asks(asked);
        let Decision::OptedIn { target, power } = decide(&instruction, &owner, &home, moment()) else {
            return Ok(());
        };
        prop_assert!(owner.participate && !owner.quiet.touch(instruction.start, instruction.end));
        prop_assert_eq!(target.kind(), asked.kind());
        let most = |limit: Option<Milliwatts>, plate: i64| limit.map_or(plate, |l| l.get().min(plate));
        let (out, into) = (most(owner.discharge_limit, plate[0]), most(owner.charge_limit, plate[1]));
        match (asked, target) {
            (Target::SetPoint(asked), Target::SetPoint(left)) => {
                prop_assert_eq!(power, left);
                prop_assert_eq!(left.get(), asked.get().clamp(-into, out));
                prop_assert!(asked == Milliwatts::ZERO || left.get().abs() >= owner.power_min.get());
            }
            (Target::ImportLimit(asked), Target::ImportLimit(left)) => {
                prop_assert!(left == asked.max(owner.import.always) && power == left);
            }
            (Target::ExportLimit(asked), Target::ExportLimit(left)) => {
                prop_assert!(left == asked.max(owner.export.always) && power == left);
            }
            (Target::ChargeState(asked), Target::ChargeState(left)) => {
                let bounds = owner.reserve.thousandths()..=owner.ceiling.thousandths();
                prop_assert!(bounds.contains(&left.thousandths()));
                prop_assert!(left == asked || !bounds.contains(&asked.thousandths()));
                prop_assert_eq!(power.get(), out.max(into));
            }
            (Target::Simple(Level::Normal), _) => prop_assert_eq!(power, Milliwatts::ZERO),
            (Target::Simple(_), _) => prop_assert_eq!(power.get(), out),
            _ => prop_assert!(false, "another kind"),
        }
    }
}

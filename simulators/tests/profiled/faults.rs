//! Faults of values and of control on a profile's points.

use crate::homes::{EVENING, charge, charged_home_with, everything, home_with, number, shipped};
use gridtally_registers::profile::{Point, Profile, Quantity, RegisterType, Value};
use gridtally_simulators::Fault;
use rust_decimal::Decimal;

#[test]
fn faults_of_control_act_on_recipes() {
    let end_of = |fault: Fault, after: i64| {
        let mut home = home_with(&everything(), 3, EVENING);
        home.devices()[0].inject(fault);
        charge(&home);
        home.advance_to(home.now() + after);
        home.flow().battery == -1_000_000
    };
    assert!(
        end_of(Fault::ReversionUnit { seconds: 1 }, 60) && !end_of(Fault::ReversionUnit { seconds: 1 }, 61)
    );
    assert!(end_of(Fault::ReversionUnit { seconds: 60 }, 3_600));
    assert!(!end_of(Fault::ReversionUnit { seconds: 60 }, 3_601));
    assert!(end_of(Fault::NeverReverts, 7_000));
    assert!(end_of(Fault::HeartbeatIgnored, 7_000));
    assert!(!end_of(Fault::WritesIgnored, 30));
    assert!(!end_of(Fault::WritesNotObeyed, 30));
}

#[test]
fn faults_of_values_act_on_the_points_of_a_profile() {
    for profile in shipped() {
        // A battery at its reserve, after sunset: the house lives from the grid.
        let mut home = charged_home_with(profile, 5, EVENING + 3 * 3_600, 200);
        let device = home.devices()[0].clone();
        let (power, import) = (Quantity::GridPower, Quantity::GridImportEnergy);
        let shown = |quantity| match number(&device, profile, quantity) {
            Value::Number(number) => number,
            other => panic!("{}: {other:?}", profile.name),
        };
        let (watts, counted) = (shown(power), shown(import));
        assert!(!watts.is_zero() && counted > Decimal::ZERO);

        device.inject(Fault::SwappedSign);
        assert_eq!(shown(power), -watts, "{}", profile.name);
        assert_eq!(shown(import), counted);
        device.clear_faults();

        let counter = profile.quantity(import).expect("a counter");
        let step = match counter.encoding.kind() {
            // A watt-hour.
            RegisterType::F32 => Decimal::ONE / Decimal::from(counter.unit.expect("a unit").base().1),
            _ => counter.encoding.scale(),
        };
        device.inject(Fault::CounterBackstep { counts: 10 });
        let back = (counted - shown(import)) / step;
        assert!(
            (back - Decimal::TEN).abs() <= Decimal::ONE,
            "{}: {back} counts",
            profile.name
        );
        device.clear_faults();

        device.inject(Fault::CountersAtZero);
        assert_eq!((shown(import), shown(power)), (Decimal::ZERO, watts));
        device.clear_faults();

        device.inject(Fault::CounterReset);
        assert!(shown(import) <= step);
        device.clear_faults();

        device.inject(Fault::ZeroFrame);
        assert_eq!((shown(import), shown(power)), (Decimal::ZERO, Decimal::ZERO));
        device.clear_faults();

        device.inject(Fault::Sentinels);
        // A device whose numbers have no sentinel goes on showing them.
        let expected = if has_sentinels(profile, power) {
            Value::NotAvailable
        } else {
            Value::Number(watts)
        };
        assert_eq!(number(&device, profile, power), expected, "{}", profile.name);
        device.clear_faults();

        device.inject(Fault::Frozen);
        let frozen = device.seen_registers();
        home.advance_to(home.now() + 7_200);
        assert_eq!(device.seen_registers(), frozen);
        assert_ne!(device.registers(), frozen);
        device.clear_faults();
        assert!(shown(import) >= counted);
    }
}

/// Whether a client can be told that the quantity is not available.
fn has_sentinels(profile: &Profile, quantity: Quantity) -> bool {
    let can = |point: &Point| {
        point.encoding.kind() == RegisterType::F32 || !point.encoding.not_available().is_empty()
    };
    match profile.sum(quantity) {
        Some(sum) => sum
            .parts()
            .any(|(name, _)| can(profile.point(name).expect("a part"))),
        None => can(profile.quantity(quantity).expect("a power")),
    }
}

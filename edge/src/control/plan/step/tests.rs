use gridtally_protocol::instruction::{Charge, Level, Target};
use proptest::prelude::*;

use super::*;
use crate::outbox::{Dispatch, Progress};

const W: i64 = 1_000;
const END: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn watts(watts: i64) -> Milliwatts {
    Milliwatts::new(watts * W)
}

fn dispatch(sequence: u64, target: Target) -> Dispatch {
    Dispatch {
        instruction: Digest::of(&sequence.to_be_bytes()),
        sequence,
        start: at(0),
        end: at(END),
        expires_at: at(END),
        target,
        power: watts(5_000),
        progress: Progress::Waiting,
    }
}

fn live(targets: &[Target]) -> Live {
    let numbered = targets.iter().zip(1..).map(|(target, n)| dispatch(n, *target));
    Live::of(&numbered.collect::<Vec<_>>(), at(0))
}

fn set_point(power: i64) -> Target {
    Target::SetPoint(watts(power))
}

fn import(limit: i64) -> Target {
    Target::ImportLimit(watts(limit))
}

fn export(limit: i64) -> Target {
    Target::ExportLimit(watts(limit))
}

fn charge(thousandths: i64) -> Target {
    Target::ChargeState(Charge::from_thousandths(thousandths).unwrap())
}

fn percent(thousandths: i64) -> Percent {
    Percent::from_thousandths(thousandths).unwrap()
}

fn bounds() -> Bounds {
    Bounds {
        power: Some(BatteryPower {
            discharge: watts(5_000),
            charge: watts(4_000),
        }),
        reserve: percent(20_000),
        ceiling: percent(90_000),
        capacity: Some(MilliwattHours::new(10_000_000)),
        ramp_per_second: None,
        production: None,
        never_above: Limits::default(),
    }
}

fn measured(grid: i64, battery: i64) -> Measured {
    Measured {
        charge: Some(50_000),
        grid: Some(watts(grid)),
        battery: Some(watts(battery)),
        production: None,
    }
}

fn once(live: &Live, bounds: &Bounds, measured: &Measured) -> Plan {
    plan(State::default(), live, bounds, measured, at(0)).0
}

fn command(targets: &[Target], change: impl FnOnce(&mut Bounds, &mut Measured)) -> Command {
    let (mut bounds, mut measured) = (bounds(), measured(1_000, 0));
    change(&mut bounds, &mut measured);
    once(&live(targets), &bounds, &measured).battery
}

#[test]
fn nothing_asked_leaves_the_battery_to_its_owner() {
    assert_eq!(command(&[], |_, _| {}), Command::Release);
    assert_eq!(
        command(&[Target::Simple(Level::Normal)], |_, _| {}),
        Command::Release
    );
    let over = Live::of(&[dispatch(1, set_point(1))], at(END));
    assert_eq!(once(&over, &bounds(), &measured(0, 0)).battery, Command::Release);
}

#[test]
fn set_points_and_levels_become_powers_within_the_battery_s() {
    for (target, power) in [
        (set_point(3_000), watts(3_000)),
        (set_point(0), watts(0)),
        (set_point(-9_000), watts(-4_000)),
        (set_point(9_000), watts(5_000)),
        (Target::Simple(Level::Moderate), Milliwatts::new(1_666_666)),
        (Target::Simple(Level::High), Milliwatts::new(3_333_333)),
        (Target::Simple(Level::Special), watts(5_000)),
    ] {
        assert_eq!(command(&[target], |_, _| {}), Command::Hold(power), "{target:?}");
    }
}

#[test]
fn a_charge_is_reached_just_at_the_end() {
    for (target, power) in [
        (charge(70_000), Milliwatts::new(-2_000_000)), // 2 kWh in an hour
        (charge(30_000), Milliwatts::new(2_000_000)),
        (charge(50_000 + 7_001), Milliwatts::new(-700_100)),
        (charge(50_200), Milliwatts::ZERO),
        (charge(49_800), Milliwatts::ZERO),
        (charge(100_000), Milliwatts::new(-4_000_000)), // as fast as it can
    ] {
        assert_eq!(command(&[target], |_, _| {}), Command::Hold(power), "{target:?}");
    }
    let unknown = command(&[charge(30_000)], |bounds, _| bounds.capacity = None);
    assert_eq!(unknown, Command::Hold(watts(5_000)));
}

#[test]
fn a_charge_is_reached_by_its_end_in_a_battery_that_loses_a_tenth() {
    let live = live(&[charge(80_000)]);
    let (mut state, mut stored) = (State::default(), 5_000_000_i64);
    for second in (0..END).step_by(5) {
        let mut now = measured(0, 0);
        now.charge = Some(stored / 100);
        let (planned, next) = plan(state, &live, &bounds(), &now, at(second));
        let Command::Hold(power) = planned.battery else {
            panic!("{planned:?}")
        };
        stored -= power.get() * 5 / 3_600 * 9 / 10;
        state = next;
    }
    assert!((stored / 100 - 80_000).abs() <= 300, "{stored}");
}

#[test]
fn a_later_instruction_outranks_an_earlier_one_of_its_kind() {
    assert_eq!(
        command(&[set_point(1_000), set_point(2_000)], |_, _| {}),
        Command::Hold(watts(2_000))
    );
    // Written in another order, the number decides.
    let dispatches = [dispatch(9, set_point(1_000)), dispatch(3, set_point(2_000))];
    let live = Live::of(&dispatches, at(0));
    assert_eq!(live.iter().collect::<Vec<_>>(), [dispatches[0]]);
}

#[test]
fn what_is_stopped_done_or_expired_before_it_began_is_not_live() {
    let is_live = |change: fn(&mut Dispatch), now: i64| {
        let mut dispatch = dispatch(1, set_point(1));
        change(&mut dispatch);
        Live::of(&[dispatch], at(now)) != Live::default()
    };
    assert!(is_live(|_| {}, 0) && is_live(|_| {}, END - 1));
    assert!(!is_live(|_| {}, END) && !is_live(|d| d.start = at(1), 0));
    assert!(!is_live(|d| d.progress = Progress::Stopped, 0) && !is_live(|d| d.progress = Progress::Done, 0));
    assert!(!is_live(|d| d.expires_at = at(9), 10));
    assert!(is_live(
        |d| (d.expires_at, d.progress) = (at(9), Progress::Held),
        10
    ));
}

#[test]
fn kinds_outrank_each_other_in_the_documented_order() {
    let all = [
        Target::Simple(Level::Special),
        charge(60_000),
        set_point(500),
        export(0),
        import(5_000),
    ];
    // The set-point would export 500 W beyond the house's 300 W: the limit cuts it to 300 W less the margin.
    let cut = command(&all, |_, m| m.grid = Some(watts(300)));
    assert_eq!(cut, Command::Hold(watts(250)));
    assert_eq!(command(&all[..3], |_, _| {}), Command::Hold(watts(500)));
    assert_eq!(command(&all[..2], |_, _| {}), Command::Hold(watts(-1_000)));
}

#[test]
fn the_reserve_and_a_full_battery_end_an_instruction_with_the_reason() {
    for (target, charge, why) in [
        (set_point(1), 20_000, Declined::ReserveReached),
        (set_point(1), 0, Declined::ReserveReached),
        (Target::Simple(Level::Moderate), 20_000, Declined::ReserveReached),
        (set_point(-1), 90_000, Declined::BatteryFull),
    ] {
        let mut measured = measured(0, 0);
        measured.charge = Some(charge);
        let planned = once(&live(&[target]), &bounds(), &measured);
        let digest = dispatch(1, target).instruction;
        assert_eq!(
            (planned.battery, planned.spent),
            (Command::Release, Some((digest, why)))
        );
    }
    let just_above = command(&[set_point(1)], |_, m| m.charge = Some(20_001));
    assert_eq!(just_above, Command::Hold(watts(1)));
}

#[test]
fn an_import_limit_at_the_reserve_rests_the_battery_and_does_not_take_from_it() {
    let resting = command(&[import(500)], |_, m| m.charge = Some(20_000));
    assert_eq!(resting, Command::Hold(watts(0)));
}

#[test]
fn what_cannot_be_measured_is_waited_for_with_the_reason() {
    let no_charge = command(&[set_point(1)], |_, m| m.charge = None);
    assert_eq!(no_charge, Command::Wait(Declined::ChargeUnknown));
    let no_meter = command(&[import(1)], |_, m| m.grid = None);
    assert_eq!(no_meter, Command::Wait(Declined::NoMeter));
    let no_power = command(&[import(1)], |_, m| m.battery = None);
    assert_eq!(no_power, Command::Wait(Declined::DeviceFault));
    let needs_neither = command(&[set_point(1)], |_, m| (m.grid, m.battery) = (None, None));
    assert_eq!(needs_neither, Command::Hold(watts(1)));
}

#[test]
fn a_limit_that_is_in_no_danger_leaves_the_battery_to_its_owner() {
    assert_eq!(command(&[import(2_000)], |_, _| {}), Command::Release);
    assert_eq!(command(&[export(0)], |_, _| {}), Command::Release);
    assert_eq!(command(&[import(1_049)], |_, _| {}), Command::Hold(watts(1)));
}

#[test]
fn a_limit_alone_moves_the_battery_no_further_than_it_must_and_keeps_it_until_its_end() {
    let live = live(&[import(500), export(200)]);
    let (planned, state) = plan(State::default(), &live, &bounds(), &measured(1_000, 0), at(0));
    assert_eq!(planned.battery, Command::Hold(watts(550)));
    let calm = measured(100, 0);
    let (planned, state) = plan(state, &live, &bounds(), &calm, at(5));
    assert_eq!(
        planned.battery,
        Command::Hold(watts(0)),
        "at rest, not handed back"
    );
    let (planned, state) = plan(state, &Live::default(), &bounds(), &calm, at(10));
    assert_eq!((planned.battery, state.held()), (Command::Release, None));
}

#[test]
fn the_owner_s_own_limits_bound_a_set_point() {
    let bounded = command(&[set_point(5_000)], |bounds, _| {
        bounds.never_above.export = Some(watts(1_000));
    });
    assert_eq!(
        bounded,
        Command::Hold(watts(1_950)),
        "1 kW of the house, 1 kW out, the margin"
    );
    let alone = command(&[], |bounds, _| bounds.never_above.import = Some(watts(0)));
    assert_eq!(alone, Command::Release);
}

#[test]
fn a_ramp_is_kept_from_what_the_battery_does_and_by_the_time_that_passed() {
    let mut bounds = bounds();
    bounds.ramp_per_second = Some(watts(100));
    let live = live(&[set_point(3_000)]);
    let (planned, state) = plan(State::default(), &live, &bounds, &measured(0, 200), at(0));
    assert_eq!(planned.battery, Command::Hold(watts(300)));
    let (planned, state) = plan(state, &live, &bounds, &measured(0, 250), at(5));
    assert_eq!(planned.battery, Command::Hold(watts(800)));
    let (planned, _) = plan(state, &live, &bounds, &measured(0, 250), at(4));
    assert_eq!(
        planned.battery,
        Command::Hold(watts(800)),
        "a clock that goes back moves nothing"
    );
}

#[test]
fn the_roof_is_limited_by_what_the_battery_cannot_take() {
    let sunny = |battery: i64, charge: i64| {
        let mut bounds = bounds();
        bounds.production = Some(watts(10_000));
        let mut now = measured(-7_000 - battery, battery);
        (now.production, now.charge) = (Some(watts(8_000)), Some(charge));
        once(&live(&[export(1_000)]), &bounds, &now)
    };
    // The house uses 1 kW. The battery does not charge yet: 1 kW and 1 kW out, less the margin.
    let planned = sunny(0, 50_000);
    assert_eq!(
        (planned.battery, planned.production),
        (Command::Hold(watts(-4_000)), Some(watts(1_950)))
    );
    // It charges: so much more.
    assert_eq!(sunny(-4_000, 50_000).production, Some(watts(5_950)));
    // It is full.
    assert_eq!(sunny(0, 90_000).production, Some(watts(1_950)));
    // Without a battery.
    let mut roof = bounds();
    (roof.power, roof.production) = (None, Some(watts(10_000)));
    let mut now = measured(-7_000, 0);
    (now.production, now.battery, now.charge) = (Some(watts(8_000)), None, None);
    let planned = once(&live(&[export(1_000)]), &roof, &now);
    assert_eq!(
        (planned.battery, planned.production),
        (Command::Release, Some(watts(1_950)))
    );
}

/// A house whose battery follows a command `delay` samples later, and gives so many thousandths of it.
struct House {
    loads: Vec<i64>,
    delay: usize,
    thousandths: i64,
}

impl House {
    /// What the meter shows at each second, in milliwatts, and what the battery was told.
    fn run(&self, live: &Live, bounds: &Bounds) -> Vec<(i64, i64)> {
        let mut state = State::default();
        let mut told = vec![0_i64; self.delay];
        let mut shown = Vec::new();
        for (second, load) in self.loads.iter().enumerate() {
            let battery = told[told.len() - self.delay] * self.thousandths / 1_000;
            let grid = load - battery;
            let now = Measured {
                charge: Some(50_000),
                grid: Some(Milliwatts::new(grid)),
                battery: Some(Milliwatts::new(battery)),
                production: None,
            };
            let (planned, next) = plan(state, live, bounds, &now, at(i64::try_from(second).unwrap()));
            let command = match planned.battery {
                Command::Hold(power) => power.get(),
                Command::Release => 0,
                Command::Wait(why) => panic!("{why}"),
            };
            shown.push((grid, command));
            told.push(command);
            state = next;
        }
        shown
    }
}

/// Loads that stay for `hold` seconds each, within what the battery can answer for.
fn steps(hold: usize) -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-4_500 * W..6_000 * W, 1..6)
        .prop_map(move |levels| levels.iter().flat_map(|level| vec![*level; hold]).collect())
}

const HOLD: usize = 12;

proptest! {
    #[test]
    fn a_limit_is_overshot_for_two_samples_after_a_load_step_at_most_and_the_battery_comes_to_rest(
        loads in steps(HOLD), delay in 1_usize..=2,
    ) {
        let limits = live(&[import(1_500), export(1_000)]);
        let house = House { loads, delay, thousandths: 1_000 };
        let shown = house.run(&limits, &bounds());
        for (second, (grid, _)) in shown.iter().enumerate().filter(|(second, _)| second % HOLD >= 2) {
            prop_assert!((-1_000 * W..=1_500 * W).contains(grid), "{second}: {grid} in {shown:?}");
        }
        for step in shown.chunks(HOLD) {
            let last = &step[HOLD / 2..];
            prop_assert!(last.iter().all(|(_, told)| *told == last[0].1), "it swings: {shown:?}");
        }
    }

    #[test]
    fn a_battery_that_gives_less_or_more_than_it_is_told_still_keeps_the_limit_after_a_few_samples(
        loads in steps(2 * HOLD), delay in 1_usize..=2, thousandths in 900_i64..=1_100,
    ) {
        let limits = live(&[import(1_500), export(1_000)]);
        let loads: Vec<i64> = loads.into_iter().map(|load| load * 8 / 10).collect();
        let shown = House { loads, delay, thousandths }.run(&limits, &bounds());
        for step in shown.chunks(2 * HOLD) {
            for (grid, _) in &step[HOLD..] {
                prop_assert!((-1_000 * W..=1_500 * W).contains(grid), "{grid} in {shown:?}");
            }
            let last = &step[2 * HOLD - 4..];
            prop_assert!(last.iter().all(|(_, told)| *told == last[0].1), "it swings: {shown:?}");
        }
    }

    /// Loads that never rest, and meters that show a little else each time.
    #[test]
    fn a_restless_load_is_overshot_by_no_more_than_it_moved_in_two_samples(
        moves in prop::collection::vec(-300 * W..300 * W, 20..60),
    ) {
        let limits = live(&[import(1_500)]);
        let loads: Vec<i64> = moves
            .iter()
            .scan(3_000 * W, |load, step| {
                *load = (*load + step).clamp(0, 6_000 * W);
                Some(*load)
            })
            .collect();
        let shown = House { loads, delay: 1, thousandths: 1_000 }.run(&limits, &bounds());
        for (second, (grid, _)) in shown.iter().enumerate().skip(2) {
            prop_assert!(*grid <= 1_500 * W + 600 * W, "{second}: {grid}");
        }
    }

    #[test]
    fn no_command_is_ever_beyond_nameplate_reserve_ceiling_or_ramp(
        targets in prop::collection::vec(
            prop_oneof![
                any::<i64>().prop_map(|p| Target::SetPoint(Milliwatts::new(p.max(-i64::MAX)))),
                (0..=i64::MAX).prop_map(|p| Target::ImportLimit(Milliwatts::new(p))),
                (0..=20_000_000_i64).prop_map(|p| Target::ExportLimit(Milliwatts::new(p))),
                (0..=100_000_i64).prop_map(charge),
                prop::sample::select(&Level::ALL).prop_map(Target::Simple),
            ],
            0..4,
        ),
        plate in prop::array::uniform2(0..6_000_000_i64),
        soc in 0..=100_000_i64, grid in any::<i64>(), battery in prop_oneof![any::<i64>(), -6_000_000..6_000_000_i64],
        held in -6_000_000..6_000_000_i64, per_second in 0..1_000_000_i64, seconds in 0..100_i64,
    ) {
        let (held, now) = (Milliwatts::new(held), at(seconds));
        let bounds = Bounds {
            power: Some(BatteryPower {
                discharge: Milliwatts::new(plate[0]),
                charge: Milliwatts::new(plate[1]),
            }),
            ramp_per_second: Some(Milliwatts::new(per_second)),
            ..bounds()
        };
        let measured = Measured {
            charge: Some(soc),
            grid: Some(Milliwatts::new(grid)),
            battery: Some(Milliwatts::new(battery)),
            production: None,
        };
        let before = State { at: Some(at(0)), ..State::resumed(Some(held)) };
        let (planned, after) = plan(before, &live(&targets), &bounds, &measured, now);
        let Command::Hold(power) = planned.battery else {
            prop_assert_eq!(planned.battery, Command::Release);
            prop_assert_eq!(after.held(), None);
            return Ok(());
        };
        let power = power.get();
        prop_assert_eq!(after.held(), Some(Milliwatts::new(power)));
        prop_assert!((-plate[1]..=plate[0]).contains(&power));
        prop_assert!(soc > 20_000 || power <= 0, "below the reserve");
        prop_assert!(soc < 90_000 || power >= 0, "above the ceiling");
        // Nameplate and charge outrank the ramp; within them it is kept.
        let low = if soc < 90_000 { -plate[1] } else { 0 };
        let high = if soc > 20_000 { plate[0] } else { 0 };
        let start = held.get().clamp(low, high);
        prop_assert!(power.abs_diff(start) <= (per_second * seconds).unsigned_abs(), "{start} to {power}");
    }
}

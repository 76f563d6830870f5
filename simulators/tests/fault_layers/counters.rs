//! Energy counters that say something else than what was counted.

use crate::lab::{BEGIN, DAY, HOUR, Lab, NOON, from_until, number, on_and_off, seen};
use crate::points::{Point, assert_points};
use gridtally_simulators::{Device, Fault};

/// Each implemented counter is what `change` makes of its count; and the counters are those of the list.
fn assert_counters(lab: &Lab, change: impl Fn(&Point) -> Vec<u16>) {
    let different = assert_points(lab, |point| {
        (point.is_counter() && point.is_implemented()).then(|| change(point))
    });
    assert!(different > 20, "{different} counters");
}

pub fn counters_fall_to_zero_and_come_back() {
    on_and_off(Fault::CountersAtZero, |lab| {
        for second in [0, 60, 600] {
            lab.advance_to(second);
            assert_counters(lab, |point| vec![0; point.words.len()]);
        }
        assert_eq!(number(lab.meters().0, 203, "TotWhImp"), 0);
        assert_eq!(number(lab.hybrids().0, 701, "TotWhInj"), 0);
    });
}

pub fn counters_step_back() {
    for counts in [1, 25] {
        on_and_off(Fault::CounterBackstep { counts }, |lab| {
            let back = i128::from(counts);
            assert_counters(lab, |point| point.counts(|count| (count - back).max(0)));
            let (meter, healthy) = lab.meters();
            assert_eq!(
                number(meter, 203, "TotWhImp"),
                number(healthy, 203, "TotWhImp") - back
            );
        });
    }
}

pub fn counters_wrap_early() {
    for counts in [1_000_000, 997, 1] {
        on_and_off(Fault::CounterWrapsEarly { counts }, |lab| {
            assert_counters(lab, |point| point.counts(|count| count % i128::from(counts)));
            assert!(number(lab.meters().0, 203, "TotWhImp") < i128::from(counts));
        });
    }
    let until_wrap = |device: &Device| {
        let count = number(device, 203, "TotWhExp");
        i64::try_from(count + 50).unwrap()
    };
    let counts = std::cell::Cell::new(0);
    on_and_off(Fault::Frozen, |lab| counts.set(until_wrap(lab.meters().1)));
    on_and_off(Fault::CounterWrapsEarly { counts: counts.get() }, |lab| {
        let before = number(lab.meters().0, 203, "TotWhExp");
        assert_eq!(before, number(lab.meters().1, 203, "TotWhExp"), "not wrapped yet");
        lab.advance_to(600);
        let gone_on = number(lab.meters().1, 203, "TotWhExp") - before;
        assert!(gone_on > 50, "the house exports");
        assert_eq!(number(lab.meters().0, 203, "TotWhExp"), gone_on - 50, "wrapped");
    });
}

/// The healthy twin's counter of that point at an earlier instant.
fn counter_at(instant: i64, model: u16, point: &str, start: i64) -> i128 {
    let mut home = gridtally_simulators::Home::new(crate::lab::spec(), start);
    home.advance_to(instant);
    let device = home
        .devices()
        .iter()
        .find(|device| device.registers().model(model).is_some());
    number(device.unwrap(), model, point)
}

const COUNTERS: [(u16, &str); 6] = [
    (203, "TotWhImp"),
    (203, "TotWhExp"),
    (103, "WH"),
    (701, "TotWhInj"),
    (714, "DCWhInj"),
    (122, "ActWh"),
];

/// Each counter counts from that instant on.
fn assert_counts_from(lab: &Lab, instant: i64, start: i64) {
    for (model, point) in COUNTERS {
        let of = if model == 203 { lab.meters() } else { lab.hybrids() };
        let expected = number(of.1, model, point) - counter_at(instant, model, point, start);
        assert_eq!(number(of.0, model, point), expected, "{model}.{point}");
    }
    let others = assert_points_but_counters(lab);
    assert_eq!(others, 0);
}

/// How many points that count nothing differ from the truth.
fn assert_points_but_counters(lab: &Lab) -> usize {
    let mut different = 0;
    for (failing, healthy) in lab.failing.devices().iter().zip(lab.healthy.devices()) {
        let (truth, sees) = (healthy.registers(), seen(failing));
        for (at, placed) in truth.points() {
            let counts = placed.definition.name.to_lowercase().contains("wh") || at.id() == 122;
            different +=
                usize::from(!counts && sees.point_words(at, placed) != truth.point_words(at, placed));
        }
    }
    different
}

pub fn counters_begin_anew_with_the_fault() {
    on_and_off(Fault::CounterReset, |lab| {
        assert_counters(lab, |point| vec![0; point.words.len()]);
        lab.advance_to(1_800);
        assert_counts_from(lab, BEGIN, BEGIN - 300);
        assert!(number(lab.hybrids().0, 103, "WH") > 0, "it counts");
    });
}

pub fn counters_begin_anew_at_each_midnight_of_the_devices_clock() {
    let midnight = NOON + 12 * HOUR;
    let begin = midnight - 2 * HOUR;
    from_until(begin, 2 * DAY, Fault::CounterResetsDaily, |lab| {
        lab.advance_to(2 * HOUR - 1);
        assert_counts_from(lab, begin, begin - 300);
        lab.advance_to(2 * HOUR);
        assert_counters(lab, |point| vec![0; point.words.len()]);
        lab.advance_to(14 * HOUR + 77);
        assert_counts_from(lab, midnight, begin - 300);
        assert!(number(lab.hybrids().0, 103, "WH") > 0, "it counts");
        lab.advance_to(2 * HOUR + DAY + 600);
        assert_counts_from(lab, midnight + DAY, begin - 300);
    });
}

pub fn counters_count_downwards() {
    on_and_off(Fault::NegativeCounter, |lab| {
        for second in [0, 900] {
            lab.advance_to(second);
            assert_counters(lab, |point| point.counts(|count| -count));
        }
        let (meter, healthy) = lab.meters();
        assert_eq!(
            number(meter, 203, "TotWhImp"),
            (1 << 32) - number(healthy, 203, "TotWhImp"),
            "in two's complement"
        );
    });
}

/// Midnights are those of the device's clock: an hour ahead, the day ends at 23:00.
#[test]
fn a_clock_that_steps_or_drifts_moves_the_midnights_at_which_counters_begin_anew() {
    use gridtally_simulators::{Home, Role};
    let midnight = NOON + 12 * HOUR;
    for (clock, earlier) in [
        (Fault::ClockSteps { seconds: 3_600 }, 3_600),
        (Fault::ClockSteps { seconds: -600 }, -600),
        // Two hours a day from noon on: after eleven hours and a thirteenth the clock says midnight.
        (
            Fault::ClockDrifts { seconds: 7_200 },
            12 * HOUR - 12 * HOUR * 12 / 13,
        ),
    ] {
        let zero_at: Vec<Option<i64>> = [1, 60, 7 * HOUR]
            .map(|step| {
                let mut home = Home::new(crate::lab::spec(), NOON);
                let meter = home.device(Role::Meter).unwrap().clone();
                meter.inject(clock);
                meter.inject(Fault::CounterResetsDaily);
                let around = midnight - earlier;
                while home.now() < around - 60 {
                    home.advance_to((home.now() + step).min(around - 60));
                }
                let before = number(&meter, 203, "TotWhExp");
                assert!(before > 0);
                (around - 59..=around + 60).find(|second| {
                    home.advance_to(*second);
                    number(&meter, 203, "TotWhExp") < before
                })
            })
            .to_vec();
        assert!(
            zero_at.windows(2).all(|pair| pair[0] == pair[1]),
            "{clock}: {zero_at:?}"
        );
        let at = zero_at[0].expect("a midnight near to the one expected");
        assert!(
            at.abs_diff(midnight - earlier) <= 1,
            "{clock}: {at}, not {}",
            midnight - earlier
        );
    }
}

//! Scale factors, powers, states and clocks that say something else than what is.

use crate::lab::{BEGIN, DAY, Lab, NOON, assert_differences, from_until, number, on_and_off, seen};
use crate::points::{assert_points, sentinel};
use gridtally_registers::sunspec::Kind;
use gridtally_simulators::{Device, Fault};

/// What a client makes of a point, in its unit; `None` without a valid scale factor.
fn scaled(device: &Device, model: u16, point: &str, scale: &str) -> Option<f64> {
    let exponent = i32::try_from(number(device, model, scale)).ok()?;
    let value = i32::try_from(number(device, model, point)).ok()?;
    (-10..=10)
        .contains(&exponent)
        .then(|| f64::from(value) * 10_f64.powi(exponent))
}

fn moved(scale: i16, by: i16) -> i16 {
    let sum = scale + by;
    if (-10..=10).contains(&sum) {
        sum
    } else {
        scale - by
    }
}

pub fn scale_factors_and_values_change_together() {
    for by in [1, 2, -1] {
        on_and_off(Fault::ScaleFactorChanges { by: i64::from(by) }, |lab| {
            let different = assert_points(lab, |point| {
                if !point.is_implemented() {
                    return None;
                }
                if point.kind == Kind::ScaleFactor {
                    return Some(vec![moved(point.words[0].cast_signed(), by).cast_unsigned()]);
                }
                let scale = point.scale()?;
                let steps = i128::from(moved(scale, by) - scale);
                let ten = 10_i128.pow(u32::try_from(steps.abs()).unwrap());
                let value = point.integer();
                let fit = if steps > 0 { value / ten } else { value * ten };
                let (least, greatest) = point.kind.range();
                Some(if point.kind.is_accumulator() {
                    point.kind.encode(fit).collect()
                } else {
                    point.kind.encode(fit.clamp(least, greatest)).collect()
                })
            });
            assert!(different > 50, "{different} points");
            let (meter, healthy) = lab.meters();
            let watts = |device| scaled(device, 203, "W", "W_SF").unwrap();
            let quantum = 10_f64.powi(i32::from(by.max(0)));
            assert!(
                (watts(meter) - watts(healthy)).abs() < quantum,
                "a client sees the same power"
            );
        });
    }
}

pub fn scale_factors_change_alone() {
    for by in [1, -2] {
        on_and_off(Fault::ScaleFactorLies { by: i64::from(by) }, |lab| {
            let different = assert_points(lab, |point| {
                let scale = point.kind == Kind::ScaleFactor && point.is_implemented();
                scale.then(|| vec![moved(point.words[0].cast_signed(), by).cast_unsigned()])
            });
            assert!(different > 50, "{different} scale factors");
            let (meter, healthy) = lab.meters();
            let watts = |device| scaled(device, 203, "W", "W_SF").unwrap();
            let factor = watts(meter) / watts(healthy);
            assert!(
                (factor / 10_f64.powi(i32::from(by)) - 1.0).abs() < 1e-9,
                "a power of ten: {factor}"
            );
        });
    }
}

pub fn scale_factors_lie_beyond_ten() {
    for value in [40_i16, -11] {
        on_and_off(
            Fault::ScaleFactorOutOfRange {
                value: i64::from(value),
            },
            |lab| {
                let different = assert_points(lab, |point| {
                    let scale = point.kind == Kind::ScaleFactor && point.is_implemented();
                    scale.then(|| vec![value.cast_unsigned()])
                });
                assert!(different > 50, "{different} scale factors");
                assert_eq!(scaled(lab.meters().0, 203, "W", "W_SF"), None);
            },
        );
    }
}

pub fn mandatory_points_say_that_they_are_not_implemented() {
    on_and_off(Fault::Sentinels, |lab| {
        let different = assert_points(lab, |point| {
            let said = point.mandatory && point.kind != Kind::ScaleFactor;
            said.then(|| sentinel(point.kind))
        });
        assert!(different > 50, "{different} points");
        let (hybrid, meter) = (lab.hybrids().0, lab.meters().0);
        assert_eq!(number(hybrid, 103, "W"), -0x8000);
        assert_eq!(number(hybrid, 103, "St"), 0xFFFF);
        assert_eq!(number(hybrid, 113, "W"), 0x7FC0_0000);
        assert_eq!(
            number(hybrid, 103, "WH"),
            0,
            "an accumulator that does not accumulate"
        );
        assert_eq!(number(meter, 203, "W_SF"), 0, "scale factors stay");
    });
}

pub fn powers_have_the_other_sign() {
    on_and_off(Fault::SwappedSign, |lab| {
        for second in [0, 600] {
            lab.advance_to(second);
            let different = assert_points(lab, |point| {
                (point.is_power() && point.is_implemented()).then(|| match point.kind {
                    Kind::Float32 => vec![point.words[0] ^ 0x8000, point.words[1]],
                    _ => point.kind.encode(-point.integer()).collect(),
                })
            });
            assert!(different > 15, "{different} powers");
            let (meter, healthy) = lab.meters();
            let watts = number(healthy, 203, "W");
            assert!(watts < 0, "the house exports");
            assert_eq!(number(meter, 203, "W"), -watts);
        }
    });
}

pub fn no_register_changes_any_more() {
    on_and_off(Fault::Frozen, |lab| {
        let then: Vec<_> = lab.healthy.devices().iter().map(Device::registers).collect();
        for second in [1, 60, 3_000] {
            lab.advance_to(second);
            for (device, then) in lab.failing.devices().iter().zip(&then) {
                assert_differences(&seen(device), then, &[], "as at the beginning");
            }
            let (hybrid, healthy) = lab.hybrids();
            assert_ne!(
                number(hybrid, 715, "DERHb"),
                number(healthy, 715, "DERHb"),
                "not even the heart beats"
            );
        }
    });
}

/// Switched off and on in one instant, or injected over itself, it freezes at what is then.
#[test]
fn a_device_that_is_frozen_anew_shows_that_instant() {
    for eject in [true, false] {
        let mut home = gridtally_simulators::Home::new(crate::lab::spec(), NOON);
        let device = home.devices()[0].clone();
        device.inject(Fault::Frozen);
        home.advance_to(NOON + 300);
        if eject {
            device.eject("frozen");
            assert_eq!(seen(&device).words(), device.registers().words());
        }
        device.inject(Fault::Frozen);
        let then = device.registers();
        assert_eq!(seen(&device).words(), then.words());
        home.advance_to(NOON + 600);
        assert_eq!(seen(&device).words(), then.words());
    }
}

pub fn a_frame_of_zeros_says_fault() {
    on_and_off(Fault::ZeroFrame, |lab| {
        let different = assert_points(lab, |point| {
            let measuring = matches!(point.model, 101..=113 | 160 | 201..=214 | 701 | 713 | 714 | 802);
            let state = match (point.model, point.name) {
                (101..=113, "St") | (160, "DCSt") => 7,
                (701, "InvSt") => 6,
                (802, "State") => 99,
                _ => 0,
            };
            measuring.then(|| {
                let mut words = vec![0; point.words.len()];
                *words.last_mut().unwrap() = state;
                words
            })
        });
        assert!(different > 100, "{different} points");
        let hybrid = lab.hybrids().0;
        assert_eq!(
            [
                number(hybrid, 103, "W"),
                number(hybrid, 103, "WH"),
                number(hybrid, 103, "St")
            ],
            [0, 0, 7]
        );
        assert_eq!(
            number(hybrid, 121, "WMax"),
            number(lab.hybrids().1, 121, "WMax"),
            "settings stay"
        );
    });
}

/// The clock in model 122, the heartbeat that follows it, and nothing else.
fn assert_clock_is_off_by(lab: &Lab, seconds: i128) {
    let (hybrid, healthy) = lab.hybrids();
    assert_eq!(number(hybrid, 122, "Tms") - number(healthy, 122, "Tms"), seconds);
    let beat = (number(healthy, 715, "DERHb") + seconds).rem_euclid(i128::from(DAY));
    assert_eq!(number(hybrid, 715, "DERHb"), beat);
    let (truth, sees) = (healthy.registers(), seen(hybrid));
    let differ = truth
        .points()
        .filter(|(at, point)| sees.point_words(at, point) != truth.point_words(at, point));
    let named: Vec<String> = differ
        .map(|(at, point)| format!("{}.{}", at.id(), point.path))
        .collect();
    assert!(
        named.iter().all(|name| name == "122.Tms" || name == "715.DERHb"),
        "{named:?}"
    );
}

pub fn the_clock_gains() {
    for seconds in [60, 3_600, -120] {
        from_until(BEGIN, 3 * DAY, Fault::ClockDrifts { seconds }, |lab| {
            assert_clock_is_off_by(lab, 0);
            for halves in [1, 2, 3, 4] {
                lab.advance_to(halves * DAY / 2);
                assert_clock_is_off_by(lab, i128::from(seconds * halves / 2));
            }
        });
    }
}

pub fn the_clock_steps() {
    for seconds in [3_600, -60, 90_000] {
        on_and_off(Fault::ClockSteps { seconds }, |lab| {
            // What a device measures it measures at its next instant.
            for second in [1, 600] {
                lab.advance_to(second);
                assert_clock_is_off_by(lab, i128::from(seconds));
            }
        });
    }
}

//! The checks of a single message, pure: given the same bytes, enrolment and time of receipt, the same verdict.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::envelope::EnvelopeError;
use gridtally_protocol::message::{Message, MessageError, Signed};
use gridtally_protocol::original::Original;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use gridtally_protocol::topic::Topic;

use super::Beacons;
use crate::registry::Enrolment;

/// A clock may be ahead by this much.
pub const FUTURE_SECONDS_MAX: i64 = 300;
/// A report may come this long after it was issued: boxes keep what they could not deliver for 30 days.
pub const PAST_SECONDS_MAX: i64 = 35 * 86_400;
/// Whoever reports later than this after an event is not waited for.
pub const PROMPT_SECONDS_MAX: i64 = 36 * 3_600;
/// A reading of before the day of an event's announcement that comes after it counts if it comes no later than this after
/// the end of its interval: too soon for the same hours of the day before, which could be written for the event.
pub const HISTORY_SECONDS_MAX: i64 = 6 * 3_600;
const DAY: i64 = 86_400;
/// A hundred percent, in thousandths.
const FULL: MilliwattHours = MilliwattHours::new(100_000);

/// A message, or a reading of it, that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refused {
    /// The typed reason, stable on the wire.
    pub reason: Refusal,
    /// The evidence, for people.
    pub detail: String,
}

impl Refused {
    /// A refusal with its evidence.
    #[must_use]
    pub fn new(reason: Refusal, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// Form, purpose, strict signature, payload, and that the signer is the gateway of the topic.
///
/// # Errors
/// [`Refused`] as malformed, of a bad signature, or on the wrong topic.
pub fn open_report(topic: &Topic, bytes: &[u8]) -> Result<Signed<Report>, Refused> {
    open(topic, bytes)
}

/// As [`open_report`], for an acknowledgement.
///
/// # Errors
/// [`Refused`] as malformed, of a bad signature, or on the wrong topic.
pub fn open_acknowledgement(topic: &Topic, bytes: &[u8]) -> Result<Signed<Acknowledgement>, Refused> {
    open(topic, bytes)
}

/// As [`open_report`], for an original. What the meter has signed is judged apart.
///
/// # Errors
/// [`Refused`] as malformed, of a bad signature, or on the wrong topic.
pub fn open_original(topic: &Topic, bytes: &[u8]) -> Result<Signed<Original>, Refused> {
    open(topic, bytes)
}

fn open<M: Message>(topic: &Topic, bytes: &[u8]) -> Result<Signed<M>, Refused> {
    opened(topic, M::open(bytes))
}

/// As [`open_report`] or [`open_acknowledgement`], of a message that was opened with others.
///
/// # Errors
/// [`Refused`] as malformed, of a bad signature, or on the wrong topic.
pub fn opened<M: Message>(
    topic: &Topic,
    message: Result<Signed<M>, MessageError>,
) -> Result<Signed<M>, Refused> {
    let signed = message.map_err(|error| {
        let reason = match &error {
            MessageError::Envelope(EnvelopeError::BadSignature) => Refusal::BadSignature,
            _ => Refusal::Malformed,
        };
        Refused::new(reason, error.to_string())
    })?;
    if signed.signer != topic.gateway {
        let detail = format!("signed by {}, published as {}", signed.signer, topic.gateway);
        return Err(Refused::new(Refusal::WrongTopic, detail));
    }
    Ok(signed)
}

/// The clock window, the interval's length, the channels, and the beacon: when it was issued, where the report names one.
///
/// # Errors
/// [`Refused`] with the first check that fails.
pub fn check_report(
    enrolment: &Enrolment,
    report: &Report,
    received_at: Timestamp,
    beacons: &Beacons,
) -> Result<Option<Timestamp>, Refused> {
    check_window(report.issued_at, received_at)?;
    check_key(enrolment, received_at)?;
    if report.interval != enrolment.interval_seconds {
        let detail = format!(
            "intervals of {} s; enrolled are {} s",
            report.interval.seconds(),
            enrolment.interval_seconds.seconds()
        );
        return Err(Refused::new(Refusal::WrongInterval, detail));
    }
    for series in &report.series {
        if enrolment.device_of(series.channel).is_none() {
            let detail = format!(
                "channel {} is not enrolled for {}",
                series.channel, enrolment.site
            );
            return Err(Refused::new(Refusal::UnknownChannel, detail));
        }
    }
    beacons.named_by(report)
}

/// The time of receipt is authoritative: at most five minutes ahead of it, at most 35 days behind.
///
/// # Errors
/// [`Refused`] as from the future, or too late.
pub fn check_window(issued_at: Timestamp, received_at: Timestamp) -> Result<(), Refused> {
    let ahead = issued_at.seconds_since(received_at);
    if ahead > FUTURE_SECONDS_MAX {
        let detail = format!("issued {ahead} s after it was received; {FUTURE_SECONDS_MAX} s are allowed");
        return Err(Refused::new(Refusal::FromTheFuture, detail));
    }
    let behind = received_at.seconds_since(issued_at);
    if behind > PAST_SECONDS_MAX {
        let detail = format!("received {behind} s after it was issued; {PAST_SECONDS_MAX} s are allowed");
        return Err(Refused::new(Refusal::TooLate, detail));
    }
    Ok(())
}

/// Whether an interval may still be compared with an event when its reading came. Everything counts from the (UTC) day of
/// the announcement on; of before, what was known when the event was announced, or came promptly: who brings it later
/// could have written it for the event.
#[must_use]
pub fn is_in_time(interval: Interval, received_at: Timestamp, announced_at: Timestamp) -> bool {
    let end = interval.end();
    // What the announcement's own day used until then is past, and what it uses since cannot be held against time.
    let of_that_day = interval.start().unix().div_euclid(DAY) >= announced_at.unix().div_euclid(DAY);
    of_that_day || received_at <= announced_at || received_at.seconds_since(end) <= HISTORY_SECONDS_MAX
}

/// Whether anything is still taken of the gateway's key.
///
/// # Errors
/// [`Refused`] as revoked.
pub fn check_key(enrolment: &Enrolment, received_at: Timestamp) -> Result<(), Refused> {
    let standing = enrolment.agreement.as_ref();
    let Some(since) = standing
        .and_then(|s| s.compromised_at)
        .filter(|since| received_at >= *since)
    else {
        return Ok(());
    };
    let detail = format!(
        "the key of {} was revoked at {since} because somebody else may hold it",
        enrolment.site
    );
    Err(Refused::new(Refusal::Revoked, detail))
}

/// Whether the enrolment, and the key, held in the interval.
///
/// # Errors
/// [`Refused`] as not valid then, or as of a key that was not the gateway's then.
fn check_validity(enrolment: &Enrolment, reading: &Reading) -> Result<(), Refused> {
    let Some(standing) = &enrolment.agreement else {
        return Ok(());
    };
    let Some(reason) = standing.refusal(reading.interval) else {
        return Ok(());
    };
    let (what, from, until) = match reason {
        Refusal::Revoked => ("key", standing.key_from, standing.key_until),
        _ => ("agreement", Some(standing.valid_from), Some(standing.ends_at)),
    };
    let span = |name: &str, at: Option<Timestamp>| at.map(|at| format!(" {name} {at}")).unwrap_or_default();
    let detail = format!(
        "{} of {} in the interval from {}: the {what} holds{}{}",
        reading.channel,
        enrolment.site,
        reading.interval.start(),
        span("from", from),
        span("until", until)
    );
    Err(Refused::new(reason, detail))
}

/// The validity of the enrolment, then the nameplate, both ways: no energy is negative, none is more than the device could move in the interval
/// and a tenth; a state of charge is between empty and full.
///
/// # Errors
/// [`Refused`] as beyond the nameplate, or of a channel that is not enrolled.
pub fn check_reading(enrolment: &Enrolment, reading: &Reading) -> Result<(), Refused> {
    let Ok(value) = reading.value else { return Ok(()) };
    check_validity(enrolment, reading)?;
    let Some(device) = enrolment.device_of(reading.channel) else {
        return Err(Refused::new(
            Refusal::UnknownChannel,
            format!("channel {}", reading.channel),
        ));
    };
    let possible = match reading.channel.quantity {
        Quantity::StateOfCharge => value <= FULL,
        _ => within_nameplate(value, device.nameplate_milliwatts, reading.interval.length()),
    };
    if value < MilliwattHours::ZERO || !possible {
        let detail = format!(
            "{} of {} in the interval from {}: {} mWh from a device of {} W",
            reading.channel,
            enrolment.site,
            reading.interval.start(),
            value.get(),
            device.nameplate_milliwatts
        );
        return Err(Refused::new(Refusal::BeyondNameplate, detail));
    }
    Ok(())
}

/// `value ≤ 1.1 × nameplate × Δt`, exactly: `mWh × 3600 × 10 ≤ mW × s × 11`.
fn within_nameplate(value: MilliwattHours, nameplate: Milliwatts, length: IntervalLength) -> bool {
    let moved = i128::from(value.get()).checked_mul(36_000);
    let possible = i128::from(nameplate.get())
        .checked_mul(i128::from(length.seconds()))
        .and_then(|p| p.checked_mul(11));
    matches!((moved, possible), (Some(moved), Some(possible)) if moved <= possible)
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests {
    use gridtally_protocol::channel::{Channel, DeviceNumber, Missing};
    use gridtally_protocol::identity::SigningIdentity;
    use gridtally_protocol::time::Interval;
    use proptest::prelude::*;

    use super::*;
    use crate::registry::EnrolledDevice;

    fn enrolment(nameplate: i64) -> Enrolment {
        Enrolment {
            site: "home".parse().unwrap(),
            beneficiary: "owner".parse().unwrap(),
            gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
            program: "flex".parse().unwrap(),
            interval_seconds: IntervalLength::FIVE_MINUTES,
            membership: Default::default(),
            offer: Default::default(),
            location: None,
            agreement: None,
            devices: vec![EnrolledDevice {
                number: DeviceNumber(1),
                meter_key: None,
                nameplate_milliwatts: Milliwatts::new(nameplate),
                capacity_milliwatt_hours: None,
                quantities: vec![
                    Quantity::GridImport,
                    Quantity::GridExport,
                    Quantity::StateOfCharge,
                ],
            }],
        }
    }

    fn reading(quantity: Quantity, minutes: u32, value: i64) -> Reading {
        let length = IntervalLength::from_seconds(minutes * 60).unwrap();
        Reading {
            channel: Channel {
                device: DeviceNumber(1),
                quantity,
            },
            interval: Interval::new(Timestamp::EPOCH, length).unwrap(),
            value: Ok(MilliwattHours::new(value)),
            quality: None,
        }
    }

    fn taken(nameplate: i64, reading: &Reading) -> bool {
        check_reading(&enrolment(nameplate), reading).is_ok()
    }

    /// The most that 110 % of a nameplate moves in an interval: rounded down, because energies are whole.
    fn bound(nameplate: i64, minutes: u32) -> i128 {
        i128::from(nameplate) * 11 * i128::from(minutes) / 600
    }

    const LENGTHS: [u32; 12] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

    proptest! {
        #[test]
        fn the_nameplates_bound_is_exact_to_the_milliwatt_hour(
            nameplate in prop_oneof![1_i64..=i64::MAX, 1_i64..100_000_000], index in 0_usize..12,
        ) {
            let minutes = LENGTHS[index];
            let bound = bound(nameplate, minutes);
            let most = i64::try_from(bound).unwrap_or(i64::MAX);
            prop_assert!(taken(nameplate, &reading(Quantity::GridImport, minutes, most)));
            if let Ok(more) = i64::try_from(bound + 1) {
                prop_assert!(!taken(nameplate, &reading(Quantity::GridImport, minutes, more)));
            }
        }

        #[test]
        fn any_value_is_judged_as_by_wide_integers(
            nameplate in 1_i64..=i64::MAX, index in 0_usize..12, value in any::<i64>(),
        ) {
            let minutes = LENGTHS[index];
            let possible = value >= 0 && i128::from(value) <= bound(nameplate, minutes);
            prop_assert_eq!(taken(nameplate, &reading(Quantity::GridExport, minutes, value)), possible);
        }

        #[test]
        fn a_state_of_charge_lies_between_empty_and_full_whatever_the_nameplate(value in any::<i64>(), nameplate in 1_i64..) {
            let taken = taken(nameplate, &reading(Quantity::StateOfCharge, 5, value));
            prop_assert_eq!(taken, (0..=100_000).contains(&value));
        }

        #[test]
        fn the_window_is_closed_at_both_ends(received in 0_i64..4_000_000_000, age in -1_000_i64..4_000_000) {
            prop_assume!(received - age >= 0);
            let at = |seconds| Timestamp::from_unix(seconds).unwrap();
            let expected = match age {
                ..-300 => Err(Refusal::FromTheFuture),
                -300..=3_024_000 => Ok(()),
                3_024_001.. => Err(Refusal::TooLate),
            };
            prop_assert_eq!(check_window(at(received - age), at(received)).map_err(|r| r.reason), expected);
        }
    }

    #[test]
    fn history_that_comes_after_the_announcement_is_in_time_for_six_hours() {
        // Hours since a midnight; the event is announced in the fifth day.
        let at = |hours: i64| Timestamp::from_unix(1_775_692_800 + hours * 3_600).unwrap();
        let hour = IntervalLength::from_seconds(3_600).unwrap();
        let interval = |end: i64| Interval::new(at(end - 1), hour).unwrap();
        let announced = at(100);
        assert_eq!(at(96).unix() % DAY, 0);
        assert!(is_in_time(interval(96), at(102), announced));
        assert!(!is_in_time(
            interval(96),
            at(102).checked_add(1).unwrap(),
            announced
        ));
        // What is known before the announcement was not written for the event, however late it came.
        assert!(is_in_time(interval(1), at(100), announced));
        assert!(!is_in_time(interval(1), at(101), announced));
        // What happened on the day of the announcement, and since, may come late: the settlement's calendar says how late.
        assert!(is_in_time(interval(97), at(900), announced));
        assert!(is_in_time(interval(101), at(900), announced));
    }

    #[test]
    fn full_and_empty_are_states_of_charge() {
        for (value, expected) in [(-1, false), (0, true), (100_000, true), (100_001, false)] {
            assert_eq!(
                taken(1, &reading(Quantity::StateOfCharge, 5, value)),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_missing_value_is_beyond_no_nameplate_and_an_unknown_channel_has_none() {
        let missing = Reading {
            value: Err(Missing::Unreachable),
            ..reading(Quantity::GridImport, 5, 0)
        };
        assert!(taken(1, &missing));
        let unknown = reading(Quantity::PvProduction, 5, 0);
        let refused = check_reading(&enrolment(1), &unknown).unwrap_err();
        assert_eq!(refused.reason, Refusal::UnknownChannel);
    }
}

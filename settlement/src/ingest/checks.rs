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
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::Topic;

use crate::registry::Enrolment;

/// A clock may be ahead by this much.
pub const FUTURE_SECONDS_MAX: i64 = 300;
/// A report may come this long after it was issued.
pub const PAST_SECONDS_MAX: i64 = 36 * 3_600;
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

fn open<M: Message>(topic: &Topic, bytes: &[u8]) -> Result<Signed<M>, Refused> {
    let signed = M::open(bytes).map_err(|error| {
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

/// The clock window, the interval's length and the channels.
///
/// # Errors
/// [`Refused`] with the first check that fails.
pub fn check_report(enrolment: &Enrolment, report: &Report, received_at: Timestamp) -> Result<(), Refused> {
    check_window(report.issued_at, received_at)?;
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
    Ok(())
}

/// The time of receipt is authoritative: at most five minutes ahead of it, at most 36 hours behind.
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

/// The nameplate, both ways: no energy is negative, none is more than the device could move in the interval
/// and a tenth; a state of charge is between empty and full.
///
/// # Errors
/// [`Refused`] as beyond the nameplate, or of a channel that is not enrolled.
pub fn check_reading(enrolment: &Enrolment, reading: &Reading) -> Result<(), Refused> {
    let Ok(value) = reading.value else { return Ok(()) };
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

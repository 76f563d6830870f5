//! Originals: what meters sign themselves, read and verified. Pure, and of what may be hostile.
//!
//! [`parse`] reads one, [`examine`] also verifies it under the key that is enrolled for the meter, and [`tier`] says which
//! intervals verified originals prove. See `docs/originals.md`.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used
    )
)]

mod key;
pub mod ocmf;
pub mod sunspec;
pub mod tier;

use gridtally_protocol::original::{ORIGINAL_LEN_MAX, Original, OriginalFormat};
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;

use super::checks::Refused;
use crate::registry::Enrolment;

pub use key::{Curve, MeterKey, MeterKeyError, SignatureError};

/// Which of a meter's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Register {
    /// What was drawn through it (OBIS 1.8.0).
    Import,
    /// What was given through it (OBIS 2.8.0).
    Export,
}

/// The state of a total at an instant of the meter's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterReading {
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub at_millis: i64,
    /// Whether the meter knew its clock to be right.
    pub synchronised: bool,
    /// Of which total; of another quantity, or one that is not known here, nothing.
    pub register: Option<Register>,
    /// The total. Nothing where the unit is none of energy.
    pub value: Option<Total>,
    /// Whether the meter says that it works and that the energy may be counted.
    pub sound: bool,
}

/// A total, as exact as its meter gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The energy.
    pub energy: MilliwattHours,
    /// The smallest step that it could be given in.
    pub resolution: MilliwattHours,
}

/// What an original says, whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Whose totals they are: what is said of the signing device and the meter, for comparison only.
    pub meter: String,
    /// The totals.
    pub readings: Vec<RegisterReading>,
    /// The bytes that were signed, as they stand.
    pub signed: &'a [u8],
    /// The algorithm, by the format's own name.
    pub algorithm: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Why nothing can be read of an original.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than there may be.
    #[error("an original of {0} bytes; at most {ORIGINAL_LEN_MAX} are read")]
    TooLong(usize),
    /// Not of the Open Charge Metering Format.
    #[error("no OCMF text: {0}")]
    Ocmf(#[from] ocmf::OcmfError),
    /// Not the registers of the SunSpec model.
    #[error("not the registers of a SunSpec model: {0}")]
    SunSpec(#[from] sunspec::BlockError),
}

/// Why an original proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It cannot be read.
    #[error(transparent)]
    Form(#[from] FormError),
    /// There is nothing to verify it with.
    #[error("no meter_key is enrolled for the device")]
    NoKey,
    /// An algorithm that is not supported.
    #[error("signed by {algorithm}, which is not supported")]
    Algorithm {
        /// By the format's own name.
        algorithm: String,
    },
    /// A format that does not say what exactly is signed.
    #[error(
        "signed by {algorithm}, but SunSpec defines neither the bytes that are signed nor the signature's encoding"
    )]
    Undefined {
        /// By the model's own name.
        algorithm: String,
    },
    /// The key is on another curve than the algorithm.
    #[error("signed by {algorithm}; the enrolled meter_key is on {}", .curve.name())]
    Curve {
        /// By the format's own name.
        algorithm: String,
        /// The key's.
        curve: Curve,
    },
    /// The signature is none of the key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// Judges an original by the enrolment of its gateway: whether it is refused, or kept as verified (`None`), or kept although
/// there is nothing to verify it with.
///
/// # Errors
/// [`Refused`] where the device is not enrolled, where it cannot be read, or where the signature is not the meter's.
pub fn check_original(enrolment: &Enrolment, original: &Original) -> Result<Option<Unverified>, Refused> {
    let Some(device) = enrolment.devices.iter().find(|d| d.number == original.device) else {
        let detail = format!(
            "device {} is not enrolled for {}",
            original.device, enrolment.site
        );
        return Err(Refused::new(Refusal::UnknownChannel, detail));
    };
    match examine(original.format, &original.bytes, device.meter_key.as_ref()) {
        Ok(_) => Ok(None),
        Err(why @ (Unverified::NoKey | Unverified::Undefined { .. })) => Ok(Some(why)),
        Err(why) => Err(Refused::new(Refusal::OriginalUnverified, why.to_string())),
    }
}

/// Reads an original.
///
/// # Errors
/// [`FormError`].
pub fn parse(format: OriginalFormat, bytes: &[u8]) -> Result<Parsed<'_>, FormError> {
    if bytes.len() > ORIGINAL_LEN_MAX {
        return Err(FormError::TooLong(bytes.len()));
    }
    match format {
        OriginalFormat::Ocmf => Ok(ocmf::parse(bytes)?),
        OriginalFormat::SunSpec220 => Ok(sunspec::parse_220(bytes)?),
        OriginalFormat::SunSpec4 => Ok(sunspec::parse_4(bytes)?),
    }
}

/// Reads an original, and verifies it under the key of the device that it is of.
///
/// # Errors
/// [`Unverified`].
pub fn examine<'a>(
    format: OriginalFormat,
    bytes: &'a [u8],
    key: Option<&MeterKey>,
) -> Result<Parsed<'a>, Unverified> {
    let parsed = parse(format, bytes)?;
    let key = key.ok_or(Unverified::NoKey)?;
    let algorithm = || parsed.algorithm.clone();
    if format != OriginalFormat::Ocmf {
        return Err(Unverified::Undefined {
            algorithm: algorithm(),
        });
    }
    let curve = ocmf::curve_of(&parsed.algorithm).ok_or_else(|| Unverified::Algorithm {
        algorithm: algorithm(),
    })?;
    if curve != key.curve() {
        let (algorithm, curve) = (algorithm(), key.curve());
        return Err(Unverified::Curve { algorithm, curve });
    }
    key.verify(parsed.signed, &parsed.signature)?;
    Ok(parsed)
}

#[cfg(test)]
mod tests;

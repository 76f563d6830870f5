//! The Open Charge Metering Format of SAFE e.V., versions 1.0 to 1.4: `OCMF|{payload}|{signature}`.
//!
//! The payload's bytes are signed as they stand, so they are kept as they stand; values are read digit by digit.

use chrono::NaiveDate;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use gridtally_protocol::quantity::{MilliwattHours, parse_scaled};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Curve, Parsed, Register, RegisterReading, Total};

/// At most this many readings in one text.
pub const READINGS_MAX: usize = 64;
/// The algorithm where none is named.
const ALGORITHM: &str = "ECDSA-secp256r1-SHA256";
const MINUTE_MILLIS: i64 = 60_000;

/// Why a text is not of the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcmfError {
    /// Not three sections.
    #[error("there are three sections, OCMF|payload|signature, of UTF-8")]
    Sections,
    /// A section is not the JSON object that it should be.
    #[error("the {section} section: {reason}")]
    Section {
        /// Which one.
        section: &'static str,
        /// What the reader met.
        reason: String,
    },
    /// None, or too many.
    #[error("{0} readings; there are 1 to {READINGS_MAX}")]
    Readings(usize),
    /// Not `2018-07-24T13:22:04,000+0200 S`.
    #[error("{0:?} is no time of the form 2018-07-24T13:22:04,000+0200 S")]
    Time(String),
    /// An energy that cannot be exact.
    #[error("{0:?} is no energy that is whole milliwatt-hours")]
    Value(String),
    /// The signature's bytes are not to be had.
    #[error("the signature's data are not of the encoding that is named: {0:?}")]
    Signature(String),
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "GS")]
    gateway_serial: Option<String>,
    #[serde(rename = "MV")]
    vendor: Option<String>,
    #[serde(rename = "MM")]
    model: Option<String>,
    #[serde(rename = "MS")]
    serial: Option<String>,
    #[serde(rename = "RD", borrow)]
    readings: Vec<Reading<'a>>,
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(rename = "TM")]
    time: String,
    #[serde(rename = "RV", borrow)]
    value: Option<&'a RawValue>,
    #[serde(rename = "RI")]
    identifier: Option<String>,
    #[serde(rename = "RU")]
    unit: Option<String>,
    #[serde(rename = "EF")]
    errors: Option<String>,
    #[serde(rename = "ST")]
    status: Option<String>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(rename = "SA")]
    algorithm: Option<String>,
    #[serde(rename = "SE")]
    encoding: Option<String>,
    #[serde(rename = "SM")]
    form: Option<String>,
    #[serde(rename = "SD")]
    data: String,
}

/// The curve of an algorithm, where it is supported; the hash of both is SHA-256.
#[must_use]
pub fn curve_of(algorithm: &str) -> Option<Curve> {
    match algorithm {
        "ECDSA-secp256r1-SHA256" => Some(Curve::Secp256r1),
        "ECDSA-secp256k1-SHA256" => Some(Curve::Secp256k1),
        _ => None,
    }
}

/// Reads a text.
///
/// # Errors
/// [`OcmfError`].
pub fn parse(bytes: &[u8]) -> Result<Parsed<'_>, OcmfError> {
    let text = core::str::from_utf8(bytes).map_err(|_| OcmfError::Sections)?;
    let mut sections = text.split('|');
    let parts = [sections.next(), sections.next(), sections.next(), sections.next()];
    let [Some("OCMF"), Some(payload), Some(signature), None] = parts else {
        return Err(OcmfError::Sections);
    };
    let said: Payload<'_> = section("payload", payload)?;
    let count = said.readings.len();
    if !(1..=READINGS_MAX).contains(&count) {
        return Err(OcmfError::Readings(count));
    }
    let readings = said.readings.iter().map(read).collect::<Result<_, _>>()?;
    let signature: Signature = section("signature", signature)?;
    let named = [said.vendor, said.model, said.serial, said.gateway_serial];
    Ok(Parsed {
        meter: named.map(Option::unwrap_or_default).join("/"),
        readings,
        signed: payload.as_bytes(),
        signature: signature_bytes(&signature)?,
        algorithm: signature.algorithm.unwrap_or_else(|| ALGORITHM.to_owned()),
    })
}

fn section<'a, T: Deserialize<'a>>(section: &'static str, text: &'a str) -> Result<T, OcmfError> {
    serde_json::from_str(text).map_err(|error| OcmfError::Section {
        section,
        reason: error.to_string(),
    })
}

fn signature_bytes(signature: &Signature) -> Result<Vec<u8>, OcmfError> {
    let encoding = signature.encoding.as_deref().unwrap_or("hex");
    let form = signature.form.as_deref().unwrap_or("application/x-der");
    let data = signature.data.as_bytes();
    let decoded = match (encoding, form) {
        ("hex", "application/x-der") => HEXLOWER_PERMISSIVE.decode(data).ok(),
        ("base64", "application/x-der") => BASE64.decode(data).ok(),
        _ => None,
    };
    decoded.ok_or_else(|| OcmfError::Signature(shown(&format!("{encoding}, {form}"))))
}

fn read(reading: &Reading<'_>) -> Result<RegisterReading, OcmfError> {
    let (at_millis, state) = read_time(&reading.time).ok_or_else(|| OcmfError::Time(shown(&reading.time)))?;
    let decimals = match reading.unit.as_deref() {
        Some("kWh") => Some(6),
        Some("Wh") => Some(3),
        _ => None,
    };
    let total = match (decimals, reading.value) {
        (Some(decimals), Some(value)) => {
            let digits = value.get();
            Some(read_total(digits, decimals).ok_or_else(|| OcmfError::Value(shown(digits)))?)
        }
        _ => None,
    };
    let errors = reading.errors.as_deref().unwrap_or_default();
    Ok(RegisterReading {
        at_millis,
        synchronised: state == b'S',
        register: reading.identifier.as_deref().and_then(register),
        value: total,
        sound: errors.is_empty() && reading.status.as_deref() == Some("G"),
    })
}

/// Of a text that may be anything, as much as an error needs.
fn shown(text: &str) -> String {
    text.chars().take(48).collect()
}

/// The total of energy that an identifier stands for: IEC 62056-6-1 with medium 1, channel 0 or the format's own `b`; groups
/// B and C are those that the format reserves, of which the totals at the mains (0) and at the device (1) never start anew.
fn register(identifier: &str) -> Option<Register> {
    let rest = ["1-0:", "1-b:", "01-00:"]
        .iter()
        .find_map(|prefix| identifier.strip_prefix(prefix))?;
    let group = rest.split_once('*').map_or(rest, |(group, _)| group);
    match group {
        "1.8.0" | "01.08.00" | "B0.08.00" | "B1.08.00" => Some(Register::Import),
        "2.8.0" | "02.08.00" | "C0.08.00" | "C1.08.00" => Some(Register::Export),
        _ => None,
    }
}

/// A JSON number without an exponent, as energy; `decimals` make a milliwatt-hour of the unit.
fn read_total(digits: &str, decimals: u8) -> Option<Total> {
    let energy = i64::try_from(parse_scaled(digits, decimals).ok()?).ok()?;
    let given = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let finer = u32::from(decimals).saturating_sub(u32::try_from(given).ok()?);
    Some(Total {
        energy: MilliwattHours::new(energy),
        resolution: MilliwattHours::new(10_i64.checked_pow(finer)?),
    })
}

/// `YYYY-MM-DDThh:mm:ss,mmm±hhmm S`: milliseconds since 1970, and the state of the clock (`U`, `I`, `S` or `R`).
fn read_time(text: &str) -> Option<(i64, u8)> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', rest @ ..] = text.as_bytes() else {
        return None;
    };
    let [
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b',' | b'.',
        f1,
        f2,
        f3,
        rest @ ..,
    ] = rest
    else {
        return None;
    };
    let [
        sign @ (b'+' | b'-'),
        z1,
        z2,
        z3,
        z4,
        b' ',
        state @ (b'U' | b'I' | b'S' | b'R'),
    ] = rest
    else {
        return None;
    };
    let year = i32::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?);
    let local = date.and_hms_milli_opt(hour, minute, second, number(&[*f1, *f2, *f3])?)?;
    let (hours, minutes) = (number(&[*z1, *z2])?, number(&[*z3, *z4])?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let ahead = i64::from(hours).checked_mul(60)?.checked_add(minutes.into())?;
    let ahead = ahead.checked_mul(MINUTE_MILLIS)?;
    let local = local.and_utc().timestamp_millis();
    let at = match sign {
        b'+' => local.checked_sub(ahead)?,
        _ => local.checked_add(ahead)?,
    };
    Some((at, *state))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

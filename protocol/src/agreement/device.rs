//! A physical device, as its gateway claims it.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::channel::{DeviceNumber, Quantity};
use crate::quantity::{MilliwattHours, Milliwatts};

/// No claim has more devices.
pub const DEVICES_MAX: usize = 32;
/// The longest make, model or serial number, in characters; SunSpec's have 32.
pub const LABEL_LEN_MAX: usize = 64;

/// What stands on a device's plate: a make, a model or a serial number. 1 to 64 printable ASCII characters with at
/// least one letter or digit, and no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that stands on no plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a make, model or serial number is 1 to {LABEL_LEN_MAX} printable ASCII characters with a letter or a digit, and no space at either end"
)]
pub struct LabelError;

impl Label {
    /// The text as it stands there.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Letters and digits only, in upper case: what stays the same however a plate is typed.
    fn normal(&self) -> impl Iterator<Item = char> + '_ {
        let significant = self.0.chars().filter(char::is_ascii_alphanumeric);
        significant.map(|c| c.to_ascii_uppercase())
    }
}

impl FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        let printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        let bounded = (1..=LABEL_LEN_MAX).contains(&text.len()) && text.trim() == text;
        let significant = text.bytes().any(|b| b.is_ascii_alphanumeric());
        (printable && bounded && significant)
            .then(|| Self(text.to_owned()))
            .ok_or(LabelError)
    }
}
impl TryFrom<String> for Label {
    type Error = LabelError;
    fn try_from(text: String) -> Result<Self, LabelError> {
        text.parse()
    }
}
impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A device behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedDevice {
    /// Its number in the reports.
    pub number: DeviceNumber,
    /// Who made it.
    pub make: Label,
    /// Which model it is.
    pub model: Label,
    /// Which one of them.
    pub serial: Label,
    /// The most that it can draw or give (the connection's rating for a grid meter); more than nothing.
    pub nameplate_milliwatts: Milliwatts,
    /// The usable energy of a battery, where it is known; more than nothing.
    pub capacity_milliwatt_hours: Option<MilliwattHours>,
    /// What it may report, in the order of the quantities' numbers, each once.
    pub quantities: Vec<Quantity>,
}

impl ClaimedDevice {
    /// Which physical device it is: `MAKE/MODEL/SERIAL`, each in letters and digits only, in upper case. Two devices
    /// of one such text are one device.
    #[must_use]
    pub fn physical(&self) -> String {
        let mut text: String = self.make.normal().collect();
        for label in [&self.model, &self.serial] {
            text.push('/');
            text.extend(label.normal());
        }
        text
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.nameplate_milliwatts <= Milliwatts::ZERO {
            return Err("a nameplate is more than nothing");
        }
        if self
            .capacity_milliwatt_hours
            .is_some_and(|energy| energy <= MilliwattHours::ZERO)
        {
            return Err("a battery's energy is more than nothing");
        }
        let in_order = self.quantities.is_sorted_by(|a, b| a.code() < b.code());
        if self.quantities.is_empty() || !in_order {
            return Err("a device measures 1 to 6 quantities, in the order of their numbers, each once");
        }
        Ok(())
    }

    pub(super) fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(7)?
            .u8(self.number.0)?
            .str(self.make.as_str())?
            .str(self.model.as_str())?
            .str(self.serial.as_str())?
            .i64(self.nameplate_milliwatts.get())?;
        match self.capacity_milliwatt_hours {
            Some(energy) => e.i64(energy.get())?,
            None => e.null()?,
        };
        e.array(u64::try_from(self.quantities.len()).unwrap_or(u64::MAX))?;
        for quantity in &self.quantities {
            e.u8(quantity.code())?;
        }
        Ok(())
    }

    pub(super) fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(7), "a device is an array of seven")?;
        let number = DeviceNumber(d.u8()?);
        let (make, model, serial) = (read_label(d)?, read_label(d)?, read_label(d)?);
        let nameplate_milliwatts = Milliwatts::new(d.i64()?);
        let capacity_milliwatt_hours = cbor::nullable(d, Decoder::i64)?.map(MilliwattHours::new);
        let count = cbor::array_len(d, 1, Quantity::ALL.len(), "a device measures 1 to 6 quantities")?;
        let quantity = |d: &mut Decoder<'_>| {
            Quantity::from_code(d.u8()?).ok_or_else(|| decode::Error::message("an unknown quantity"))
        };
        Ok(Self {
            number,
            make,
            model,
            serial,
            nameplate_milliwatts,
            capacity_milliwatt_hours,
            quantities: (0..count).map(|_| quantity(d)).collect::<Result<_, _>>()?,
        })
    }
}

fn read_label(d: &mut Decoder<'_>) -> Result<Label, decode::Error> {
    d.str()?.parse().map_err(decode::Error::message)
}

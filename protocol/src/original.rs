//! Originals: what a meter has signed itself, byte for byte as it gave it. The gateway signs that it took it, when and
//! of which device; the meter's own signature is inside, and proves the readings without the gateway's word.

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::channel::DeviceNumber;
use crate::envelope::Purpose;
use crate::message::{self, Message};
use crate::report::read_instant;
use crate::time::Timestamp;

/// The longest original, in bytes.
pub const ORIGINAL_LEN_MAX: usize = 8 * 1024;

/// In which form a meter signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalFormat {
    /// A text of the Open Charge Metering Format: `OCMF|payload|signature`.
    Ocmf,
    /// The registers of SunSpec model 220 with its ID and length, each of two bytes, the higher first.
    #[serde(rename = "sunspec_220")]
    SunSpec220,
    /// The registers of SunSpec model 4, in the same way.
    #[serde(rename = "sunspec_4")]
    SunSpec4,
}

impl OriginalFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ocmf, Self::SunSpec220, Self::SunSpec4];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ocmf => 1,
            Self::SunSpec220 => 2,
            Self::SunSpec4 => 3,
        }
    }

    /// The format of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ocmf => "ocmf",
            Self::SunSpec220 => "sunspec_220",
            Self::SunSpec4 => "sunspec_4",
        }
    }
}

/// What a meter signed, as a gateway took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Which device of the gateway gave it.
    pub device: DeviceNumber,
    /// In which form.
    pub format: OriginalFormat,
    /// When the gateway read it, by the gateway's clock. The meter's own clock is inside.
    pub taken_at: Timestamp,
    /// What it gave, byte for byte: 1 to [`ORIGINAL_LEN_MAX`] of them.
    pub bytes: Vec<u8>,
}

fn check_bytes(bytes: &[u8]) -> Result<(), &'static str> {
    if (1..=ORIGINAL_LEN_MAX).contains(&bytes.len()) {
        Ok(())
    } else {
        Err("an original has 1 to 8192 bytes")
    }
}

impl Message for Original {
    const PURPOSE: Purpose = Purpose::Original;

    fn check(&self) -> Result<(), &'static str> {
        check_bytes(&self.bytes)
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(5)?
            .u8(message::VERSION)?
            .u8(self.device.0)?
            .u8(self.format.code())?
            .i64(self.taken_at.unix())?
            .bytes(&self.bytes)?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(5), "an original is an array of five")?;
        message::read_version(d)?;
        let device = DeviceNumber(d.u8()?);
        let format = OriginalFormat::from_code(d.u8()?)
            .ok_or_else(|| decode::Error::message("an unknown format of originals"))?;
        let taken_at = read_instant(d)?;
        let bytes = d.bytes()?;
        check_bytes(bytes).map_err(decode::Error::message)?;
        Ok(Self {
            device,
            format,
            taken_at,
            bytes: bytes.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_never_change() {
        let formats = OriginalFormat::ALL.map(|format| (format.code(), format.name()));
        assert_eq!(formats, [(1, "ocmf"), (2, "sunspec_220"), (3, "sunspec_4")]);
        for format in OriginalFormat::ALL {
            assert_eq!(OriginalFormat::from_code(format.code()), Some(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        }
    }
}

//! The owner's word: that gateway at my site, in this program.

use minicbor::{Decoder, Encoder, decode};

use super::{is_text, read_text};
use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::instruction::ProgramId;
use crate::location::CoarseLocation;
use crate::message::{self, Message};
use crate::price::Price;
use crate::quantity::Milliwatts;
use crate::receipt::read_digest;
use crate::report::read_instant;
use crate::time::Timestamp;

/// The longest name of a site or a beneficiary, in characters.
pub const NAME_LEN_MAX: usize = 128;

/// What an owner agrees to, signed by the owner's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The digest of the claim's envelope.
    pub claim: Digest,
    /// When, by the owner's clock.
    pub issued_at: Timestamp,
    /// The name of the site: 1 to 128 visible ASCII characters.
    pub site: String,
    /// Where it is, coarsely; the exact place is said to nobody.
    pub location: CoarseLocation,
    /// Who is paid, not necessarily the owner: 1 to 128 visible ASCII characters.
    pub beneficiary: String,
    /// The program.
    pub program: ProgramId,
    /// The version of its rules that the owner has read; more than 0.
    pub rules_version: u32,
    /// The power that is nominated for capacity payments; not below nothing.
    pub nominated_milliwatts: Option<Milliwatts>,
    /// What is asked for a kilowatt-hour.
    pub bid_per_kwh: Option<Price>,
    /// From when on it holds.
    pub valid_from: Timestamp,
    /// From when on it holds no more.
    pub expires_at: Timestamp,
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

impl Message for Acceptance {
    const PURPOSE: Purpose = Purpose::Acceptance;

    fn check(&self) -> Result<(), &'static str> {
        let names = [&self.site, &self.beneficiary];
        if !names
            .into_iter()
            .all(|name| is_text(name, NAME_LEN_MAX, is_visible))
        {
            return Err("the names of site and beneficiary are 1 to 128 visible ASCII characters");
        }
        if self.rules_version == 0 {
            return Err("versions of rules are counted from 1");
        }
        if self
            .nominated_milliwatts
            .is_some_and(|power| power < Milliwatts::ZERO)
        {
            return Err("no power below nothing is nominated");
        }
        if self.expires_at <= self.valid_from {
            return Err("it expires after it begins to hold");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(12)?
            .u8(message::VERSION)?
            .bytes(self.claim.as_bytes())?
            .i64(self.issued_at.unix())?
            .str(&self.site)?
            .array(2)?
            .i16(self.location.latitude_tenths())?
            .i16(self.location.longitude_tenths())?
            .str(&self.beneficiary)?
            .str(self.program.as_str())?
            .u32(self.rules_version)?;
        match self.nominated_milliwatts {
            Some(power) => e.i64(power.get())?,
            None => e.null()?,
        };
        match self.bid_per_kwh {
            Some(price) => price.write(e)?,
            None => drop(e.null()?),
        }
        e.i64(self.valid_from.unix())?.i64(self.expires_at.unix())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(12), "an acceptance is an array of twelve")?;
        message::read_version(d)?;
        let claim = read_digest(d)?;
        let issued_at = read_instant(d)?;
        let site = read_text(d, NAME_LEN_MAX, is_visible, "not a site's name")?;
        cbor::expect(d.array()? == Some(2), "a location is an array of two")?;
        let location = CoarseLocation::new(d.i16()?, d.i16()?).map_err(decode::Error::message)?;
        let beneficiary = read_text(d, NAME_LEN_MAX, is_visible, "not a beneficiary's name")?;
        Ok(Self {
            claim,
            issued_at,
            site,
            location,
            beneficiary,
            program: d.str()?.parse().map_err(decode::Error::message)?,
            rules_version: d.u32()?,
            nominated_milliwatts: cbor::nullable(d, Decoder::i64)?.map(Milliwatts::new),
            bid_per_kwh: cbor::nullable(d, Price::read)?,
            valid_from: read_instant(d)?,
            expires_at: read_instant(d)?,
        })
    }
}

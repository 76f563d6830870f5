//! The operator's word: taken in.

use minicbor::{Decoder, Encoder, decode};

use super::{is_text, read_text};
use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::message::{self, Message};
use crate::receipt::read_digest;
use crate::report::read_instant;
use crate::time::Timestamp;

/// The longest name of a zone or a group, in characters.
pub const MEMBERSHIP_LEN_MAX: usize = 64;
/// No site is in more groups.
pub const GROUPS_MAX: usize = 64;

/// That the operator takes a site in, signed by the engine's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The digest of the acceptance's envelope.
    pub acceptance: Digest,
    /// When.
    pub admitted_at: Timestamp,
    /// The part of the grid that the site lies in: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`.
    pub zone: Option<String>,
    /// The groups that it belongs to, in the order of their bytes, each once; spelt as zones are.
    pub groups: Vec<String>,
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl Message for Admission {
    const PURPOSE: Purpose = Purpose::Admission;

    fn check(&self) -> Result<(), &'static str> {
        let mut names = self.zone.iter().chain(&self.groups);
        if !names.all(|name| is_text(name, MEMBERSHIP_LEN_MAX, is_of_a_name)) {
            return Err("the names of zone and groups are 1 to 64 of A-Z, a-z, 0-9, _ and -");
        }
        if self.groups.len() > GROUPS_MAX || !self.groups.is_sorted_by(|a, b| a < b) {
            return Err("there are at most 64 groups, in order, each once");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(5)?
            .u8(message::VERSION)?
            .bytes(self.acceptance.as_bytes())?
            .i64(self.admitted_at.unix())?;
        match &self.zone {
            Some(zone) => e.str(zone)?,
            None => e.null()?,
        };
        e.array(u64::try_from(self.groups.len()).unwrap_or(u64::MAX))?;
        for group in &self.groups {
            e.str(group)?;
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(5), "an admission is an array of five")?;
        message::read_version(d)?;
        let acceptance = read_digest(d)?;
        let admitted_at = read_instant(d)?;
        let name = |d: &mut Decoder<'_>| {
            read_text(
                d,
                MEMBERSHIP_LEN_MAX,
                is_of_a_name,
                "not a zone's or group's name",
            )
        };
        let zone = cbor::nullable(d, name)?;
        let count = cbor::array_len(d, 0, GROUPS_MAX, "there are at most 64 groups")?;
        Ok(Self {
            acceptance,
            admitted_at,
            zone,
            groups: (0..count).map(|_| name(d)).collect::<Result<_, _>>()?,
        })
    }
}

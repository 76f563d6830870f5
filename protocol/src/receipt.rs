//! Receipts: the engine's signed word that it holds what a gateway sent, or refuses it and why.
//! Only a receipt lets a gateway drop a report or an acknowledgement from its outbox.

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::{Digest, Identity};
use crate::message::{self, Message};
use crate::refusal::Refusal;
use crate::report::read_instant;
use crate::time::Timestamp;

/// At most this many messages on one receipt.
pub const ENTRIES_MAX: usize = 256;

/// What became of one message.
pub type Verdict = Result<(), Refusal>;

/// The engine holds these messages durably, or refuses them for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Whose messages they are.
    pub gateway: Identity,
    /// When the engine signed.
    pub issued_at: Timestamp,
    /// The digest of each envelope, and what became of it; ordered by digest, each once.
    pub entries: Vec<(Digest, Verdict)>,
}

impl Message for Receipt {
    const PURPOSE: Purpose = Purpose::Receipt;

    fn check(&self) -> Result<(), &'static str> {
        if self.entries.is_empty() || self.entries.len() > ENTRIES_MAX {
            return Err("a receipt has 1 to 256 entries");
        }
        if !self.entries.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("entries are in the order of their digests, each once");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(4)?
            .u8(message::VERSION)?
            .bytes(self.gateway.as_bytes())?
            .i64(self.issued_at.unix())?;
        e.array(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))?;
        for (digest, verdict) in &self.entries {
            e.array(2)?
                .bytes(digest.as_bytes())?
                .u8(verdict.err().map_or(0, Refusal::code))?;
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(4), "a receipt is an array of four")?;
        message::read_version(d)?;
        let gateway = read_identity(d)?;
        let issued_at = read_instant(d)?;
        let len = cbor::array_len(d, 1, ENTRIES_MAX, "a receipt has 1 to 256 entries")?;
        let entries = (0..len).map(|_| read_entry(d)).collect::<Result<_, _>>()?;
        Ok(Self {
            gateway,
            issued_at,
            entries,
        })
    }
}

fn read_entry(d: &mut Decoder<'_>) -> Result<(Digest, Verdict), decode::Error> {
    cbor::expect(d.array()? == Some(2), "an entry is an array of two")?;
    let digest = read_digest(d)?;
    let verdict = match d.u8()? {
        0 => Ok(()),
        code => Err(Refusal::from_code(code).ok_or_else(|| decode::Error::message("an unknown refusal"))?),
    };
    Ok((digest, verdict))
}

pub(crate) fn read_identity(d: &mut Decoder<'_>) -> Result<Identity, decode::Error> {
    let bytes = cbor::fixed(d.bytes()?, "a public key is not of 32 bytes")?;
    Identity::from_bytes(&bytes).map_err(decode::Error::message)
}

pub(crate) fn read_digest(d: &mut Decoder<'_>) -> Result<Digest, decode::Error> {
    Ok(Digest::from_bytes(cbor::fixed(
        d.bytes()?,
        "a digest is not of 32 bytes",
    )?))
}

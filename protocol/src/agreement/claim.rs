//! The gateway's word: these devices are mine.

use std::collections::BTreeSet;

use minicbor::{Decoder, Encoder, decode};

use super::device::{ClaimedDevice, DEVICES_MAX};
use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::message::{self, Message};
use crate::receipt::read_digest;
use crate::report::read_instant;
use crate::time::{IntervalLength, Timestamp};

/// The length of a claim's nonce, in bytes.
pub const NONCE_LEN: usize = 16;

/// What a gateway reads, signed by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Random: two claims of the same devices are told apart.
    pub nonce: [u8; NONCE_LEN],
    /// When, by the gateway's clock.
    pub issued_at: Timestamp,
    /// How long the intervals of its reports are.
    pub interval: IntervalLength,
    /// In the order of their numbers.
    pub devices: Vec<ClaimedDevice>,
    /// The digest of the claim in whose place this one stands, where devices were replaced.
    pub replaces: Option<Digest>,
}

impl Message for Claim {
    const PURPOSE: Purpose = Purpose::Claim;

    fn check(&self) -> Result<(), &'static str> {
        let in_order = self.devices.is_sorted_by(|a, b| a.number < b.number);
        if self.devices.is_empty() || self.devices.len() > DEVICES_MAX || !in_order {
            return Err("there are 1 to 32 devices in the order of their numbers, each number once");
        }
        let mut measured = BTreeSet::new();
        for device in &self.devices {
            device.check()?;
            let physical = device.physical();
            let once = |quantity: &crate::channel::Quantity| measured.insert((physical.clone(), *quantity));
            if !device.quantities.iter().all(once) {
                return Err("one device is claimed twice for one quantity");
            }
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(6)?
            .u8(message::VERSION)?
            .bytes(&self.nonce)?
            .i64(self.issued_at.unix())?
            .u32(self.interval.seconds())?;
        match &self.replaces {
            Some(digest) => e.bytes(digest.as_bytes())?,
            None => e.null()?,
        };
        e.array(u64::try_from(self.devices.len()).unwrap_or(u64::MAX))?;
        self.devices.iter().try_for_each(|device| device.write(e))
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(6), "a claim is an array of six")?;
        message::read_version(d)?;
        let nonce = cbor::fixed(d.bytes()?, "a nonce is not of 16 bytes")?;
        let issued_at = read_instant(d)?;
        let interval = IntervalLength::from_seconds(d.u32()?).map_err(decode::Error::message)?;
        let replaces = cbor::nullable(d, read_digest)?;
        let count = cbor::array_len(d, 1, DEVICES_MAX, "there are 1 to 32 devices")?;
        Ok(Self {
            nonce,
            issued_at,
            interval,
            devices: (0..count)
                .map(|_| ClaimedDevice::read(d))
                .collect::<Result<_, _>>()?,
            replaces,
        })
    }
}

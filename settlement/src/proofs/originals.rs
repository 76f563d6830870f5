//! What the meters' own word in a bundle proves. Verified anew from the bytes and the enrolments; no payment follows from it.

use std::collections::BTreeMap;

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::original::Original;
use gridtally_protocol::report::Reading;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use super::evidence::ReceivedOriginal;
use crate::ingest::checks;
use crate::ingest::originals::{Parsed, examine, tier};
use crate::registry::Enrolment;

/// An original of a site's gateway, with what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedOriginal {
    /// The name of its record.
    pub record: String,
    /// When the engine got it.
    pub received_at: Timestamp,
    /// What the gateway signed; where that is not in order, why.
    pub original: Result<Original, String>,
    /// Whether the meter's signature is that of the key that is enrolled for the device; else why not.
    pub verdict: Result<(), String>,
}

/// All originals of a site's gateway, in the order of their records.
#[must_use]
pub fn opened(originals: &[ReceivedOriginal], enrolment: &Enrolment) -> Vec<OpenedOriginal> {
    let topic = Topic {
        gateway: enrolment.gateway,
        kind: TopicKind::Original,
    };
    let mine = originals.iter().filter(|o| o.gateway == enrolment.gateway);
    mine.map(|received| {
        let original = checks::open_original(&topic, &received.envelope)
            .map(|signed| signed.message)
            .map_err(|refused| refused.to_string());
        let verdict = original
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|original| parsed(enrolment, original).map(drop));
        OpenedOriginal {
            record: received.name(),
            received_at: received.received_at,
            original,
            verdict,
        }
    })
    .collect()
}

/// What the meters of a site have signed, verified, by device.
#[derive(Debug, Default)]
pub struct Word<'o>(BTreeMap<DeviceNumber, Vec<Parsed<'o>>>);

impl<'o> Word<'o> {
    /// What of these is in order, and of the keys that are enrolled.
    #[must_use]
    pub fn of(opened: &'o [OpenedOriginal], enrolment: &Enrolment) -> Self {
        let mut word = Self::default();
        for original in opened.iter().filter_map(|one| one.original.as_ref().ok()) {
            if let Ok(parsed) = parsed(enrolment, original) {
                word.0.entry(original.device).or_default().push(parsed);
            }
        }
        word
    }

    /// Whether the meter itself has signed a reading: see [`tier::is_meter_signed`].
    #[must_use]
    pub fn proves(&self, reading: &Reading) -> bool {
        let verified = self.0.get(&reading.channel.device);
        let (Some(verified), Ok(reported)) = (verified, reading.value) else {
            return false;
        };
        tier::is_meter_signed(verified, reading.channel.quantity, reading.interval, reported)
    }
}

fn parsed<'o>(enrolment: &Enrolment, original: &'o Original) -> Result<Parsed<'o>, String> {
    let device = enrolment.devices.iter().find(|d| d.number == original.device);
    let key = device.and_then(|device| device.meter_key.as_ref());
    examine(original.format, &original.bytes, key).map_err(|why| why.to_string())
}

//! How far a site's readings of a day are to be trusted. An annotation: it changes no score.

use std::collections::BTreeMap;

use gridtally_protocol::beacon::TrustTier;
use gridtally_protocol::time::{Interval, Timestamp};
use serde::Serialize;

use crate::proofs::judge::Judged;
use crate::proofs::originals::Word;

/// Readings with a value that stands, by tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tiers {
    /// A gateway's word, given at some time.
    pub reported: u64,
    /// A gateway's word, given at about the time of the interval.
    pub fresh: u64,
    /// The meter's own signature.
    pub meter_signed: u64,
}

impl Tiers {
    fn count(&mut self, tier: TrustTier) {
        let count = match tier {
            TrustTier::Reported => &mut self.reported,
            TrustTier::Fresh => &mut self.fresh,
            TrustTier::MeterSigned => &mut self.meter_signed,
        };
        *count = count.saturating_add(1);
    }
}

impl core::fmt::Display for Tiers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            reported,
            fresh,
            meter_signed,
        } = self;
        write!(
            f,
            "{reported} reported, {fresh} fresh, {meter_signed} meter_signed"
        )
    }
}

/// Counts the readings from `from` until before `until` that have a value which stands; `word` is what the site's meters
/// have signed.
#[must_use]
pub fn tiers(judged: &Judged, word: &Word<'_>, (from, until): (Timestamp, Timestamp)) -> Tiers {
    let mut known: BTreeMap<Interval, TrustTier> = BTreeMap::new();
    let mut tiers = Tiers::default();
    for (reading, refused) in &judged.readings {
        let start = reading.interval.start();
        if refused.is_none() && reading.value.is_ok() && from <= start && start < until {
            let interval = reading.interval;
            let gateways = *known.entry(interval).or_insert_with(|| judged.tier(interval));
            let by_meter = word.proves(reading);
            tiers.count(if by_meter {
                TrustTier::MeterSigned
            } else {
                gateways
            });
        }
    }
    tiers
}

//! Whose bid is taken: the cheapest first, until the target is reached.
//!
//! Bids are put in order by price, then by the time they were received, then by
//! `SHA-256("gridtally/v1/bid-order" 00 event's digest, bid's name)`, which nobody can aim at before the event's digest is
//! known, and last by name. They are taken in that order while power is missing. Of the last one only what is still
//! missing is taken, but not less than its bidder's least: so the target is exceeded by less than one bid's least, or
//! not at all.
//!
//! No bid is passed over for a later one that would fit better: whoever asks for less is always taken before.

use std::collections::BTreeSet;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Milliwatts, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::rules::statement::SiteId;

const ORDER_DOMAIN: &[u8] = b"gridtally/v1/bid-order\0";

/// What a bidder offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bid {
    /// Its name; a site bids once in an event.
    pub site: SiteId,
    /// What a kilowatt-hour shall cost, in base units.
    pub price_per_kwh: TokenAmount,
    /// What it gives at most.
    #[serde(rename = "power_milliwatts")]
    pub power: Milliwatts,
    /// What it gives at least, if anything: its whole power where it cannot be taken in part.
    #[serde(rename = "least_milliwatts")]
    pub least: Milliwatts,
    /// When the engine got it.
    pub received_at: Timestamp,
}

/// What those whose bid is taken are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// Everybody the price of the dearest bid that was taken.
    Uniform,
    /// Each what he asked for.
    PayAsBid,
}

/// What is bid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// How much is needed.
    pub target: Milliwatts,
    /// How it is paid.
    pub pricing: Pricing,
    /// Dearer bids are not taken, where there is a ceiling.
    pub ceiling: Option<TokenAmount>,
    /// The digest of the event as it was announced: it breaks ties.
    pub event: Digest,
}

/// A bid that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Award {
    /// Whose.
    pub site: SiteId,
    /// How much of it.
    #[serde(rename = "power_milliwatts")]
    pub power: Milliwatts,
    /// What a kilowatt-hour is paid.
    pub price_per_kwh: TokenAmount,
}

/// Why a bid was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// Bids before it reached the target.
    TargetReached,
    /// It is dearer than the ceiling.
    AboveCeiling,
    /// The program demands proof, and the site has proved no power.
    Unproven,
}

/// Every bid, taken or with the reason why not, in the order in which they were looked at; last those that were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// What was taken.
    pub awards: Vec<Award>,
    /// What was not.
    pub passed: Vec<(SiteId, Passed)>,
    /// How much was taken together.
    #[serde(rename = "total_milliwatts")]
    pub total: Milliwatts,
    /// The dearest price that was taken; none where nothing was.
    pub marginal: Option<TokenAmount>,
}

/// Why bids cannot be cleared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearingError {
    /// Two bids of one site.
    #[error("site {site} bids twice; of a site's bids only its last one is handed in")]
    Twice {
        /// Which site.
        site: SiteId,
    },
    /// A bid for nothing.
    #[error(
        "site {site} offers {power} W, at least {least} W; a power is more than nothing, and its least part within it"
    )]
    Power {
        /// Which site.
        site: SiteId,
        /// What it offers.
        power: Milliwatts,
        /// What it gives at least.
        least: Milliwatts,
    },
    /// A price below nothing.
    #[error("site {site} asks for {price} base units; a price is not negative")]
    Price {
        /// Which site.
        site: SiteId,
        /// What it asks for.
        price: i128,
    },
    /// Nothing is needed.
    #[error("the target is {0} W; it is more than nothing")]
    Target(Milliwatts),
    /// A sum.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Takes bids until the target is reached. The order in which they are handed in does not matter.
///
/// # Errors
/// [`ClearingError`] that names what makes no sense; then no bid is taken.
pub fn clear(bids: &[Bid], call: &Call) -> Result<Cleared, ClearingError> {
    check(bids, call)?;
    let mut taken: Vec<(&Bid, Milliwatts)> = Vec::new();
    let mut passed = Vec::new();
    let mut total = Milliwatts::ZERO;
    for bid in in_order(bids, &call.event) {
        let missing = call.target.checked_sub(total)?;
        if call.ceiling.is_some_and(|ceiling| bid.price_per_kwh > ceiling) {
            passed.push((bid.site.clone(), Passed::AboveCeiling));
        } else if missing <= Milliwatts::ZERO {
            passed.push((bid.site.clone(), Passed::TargetReached));
        } else {
            let power = bid.power.min(missing.max(bid.least));
            total = total.checked_add(power)?;
            taken.push((bid, power));
        }
    }
    let marginal = taken.last().map(|(bid, _)| bid.price_per_kwh);
    let price = |bid: &Bid| match (call.pricing, marginal) {
        (Pricing::Uniform, Some(marginal)) => marginal,
        _ => bid.price_per_kwh,
    };
    let awards = taken.iter().map(|(bid, power)| Award {
        site: bid.site.clone(),
        power: *power,
        price_per_kwh: price(bid),
    });
    Ok(Cleared {
        awards: awards.collect(),
        passed,
        total,
        marginal,
    })
}

fn in_order<'b>(bids: &'b [Bid], event: &Digest) -> Vec<&'b Bid> {
    let mut ordered: Vec<&Bid> = bids.iter().collect();
    ordered.sort_by_cached_key(|bid| {
        (
            bid.price_per_kwh,
            bid.received_at,
            lot(&bid.site, event),
            bid.site.clone(),
        )
    });
    ordered
}

/// What decides between bids of one price that came at the same instant.
fn lot(site: &SiteId, event: &Digest) -> [u8; 32] {
    let hash = Sha256::new()
        .chain_update(ORDER_DOMAIN)
        .chain_update(event.as_bytes())
        .chain_update(site.as_str());
    hash.finalize().into()
}

fn check(bids: &[Bid], call: &Call) -> Result<(), ClearingError> {
    if call.target <= Milliwatts::ZERO {
        return Err(ClearingError::Target(call.target));
    }
    let mut sites = BTreeSet::new();
    for bid in bids {
        let site = || bid.site.clone();
        if !sites.insert(&bid.site) {
            return Err(ClearingError::Twice { site: site() });
        }
        if bid.power <= Milliwatts::ZERO || bid.least < Milliwatts::ZERO || bid.least > bid.power {
            return Err(ClearingError::Power {
                site: site(),
                power: bid.power,
                least: bid.least,
            });
        }
        if bid.price_per_kwh < TokenAmount::ZERO {
            return Err(ClearingError::Price {
                site: site(),
                price: bid.price_per_kwh.base_units(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Clearing the standing bids of a program's homes against what is needed.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{Asset, Milliwatts};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;
use rust_decimal::Decimal;

use super::plan::DispatchError;
use super::proof::Proof;
use crate::events::clearing::{Bid, Call, Cleared, Passed, Pricing, clear};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId};
use crate::store::programs;

/// What is needed, and at what price at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// How much.
    pub target: Milliwatts,
    /// How it is paid.
    pub pricing: Pricing,
    /// Dearer bids are not taken; in whole tokens a kWh.
    pub ceiling: Option<Decimal>,
}

/// Clears the bids of the homes that the program may ask: each with the price and the power of its enrolment, from
/// when it was enrolled. Where the program demands proof, nobody offers more than he has proved at `now`. Ties are
/// broken by the event's name. Nothing is kept: who is awarded is then asked by name.
///
/// # Errors
/// [`DispatchError`] where there is no such program, or a price is no amount of its asset.
pub fn cleared(
    client: &mut impl GenericClient,
    program: &ProgramId,
    event: &EventId,
    needed: Needed,
    now: Timestamp,
) -> Result<(Cleared, Asset), DispatchError> {
    let document = programs::newest_program(client, program)?;
    let program = Program::from_toml(program.as_str(), &document)?;
    let asset = program.asset.clone();
    let in_units = |price: Decimal| asset.parse(&price.normalize().to_string());
    let proof = Proof::of(client, &program, now)?;
    let (mut bids, mut unproven) = (Vec::new(), Vec::new());
    for (home, enrolled_at) in programs::enrolments_with_times(client)? {
        if home.program != program.id || !program.may_ask(&home.membership) {
            continue;
        }
        let Some(mut bid) = bid(&home, enrolled_at, &asset)? else {
            continue;
        };
        if proof.lacking(&home.site).is_some() {
            unproven.push((home.site, Passed::Unproven));
            continue;
        }
        bid.power = proof.at_most(&home.site, bid.power);
        bid.least = bid.power;
        bids.push(bid);
    }
    unproven.sort_by(|(one, _), (other, _)| one.cmp(other));
    let call = Call {
        target: needed.target,
        pricing: needed.pricing,
        ceiling: needed.ceiling.map(in_units).transpose()?,
        event: Digest::of(event.as_str().as_bytes()),
    };
    let mut cleared = clear(&bids, &call)?;
    cleared.passed.append(&mut unproven);
    Ok((cleared, asset))
}

/// A home's bid, where it has one.
fn bid(home: &Enrolment, received_at: Timestamp, asset: &Asset) -> Result<Option<Bid>, DispatchError> {
    let offer = home.offer.in_base_units(asset)?;
    let bid = offer.bid_per_kwh.zip(offer.nominated_milliwatts);
    let bid = bid.filter(|(_, power)| *power > Milliwatts::ZERO);
    Ok(bid.map(|(price_per_kwh, power)| Bid {
        site: home.site.clone(),
        price_per_kwh,
        power,
        // Every home is asked for the same: it is taken whole, or not.
        least: power,
        received_at,
    }))
}

//! Which of several events a home follows, and which of them pays for an interval.
//!
//! A lower number wins, as in OpenADR 3; of equal numbers the event that was announced first; of those announced at
//! the same instant the one whose name comes first. So any two events have one order, whoever computes it.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::instruction::{EventId, TargetKind};
use gridtally_protocol::time::{Interval, Timestamp};
use serde::{Deserialize, Serialize};

use super::revision::Window;
use crate::rules::statement::SiteId;

/// How much an event counts beside another: 0 counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub u16);

impl Priority {
    /// That of an event for which none was given.
    pub const LOWEST: Self = Self(u16::MAX);
}

impl Default for Priority {
    fn default() -> Self {
        Self::LOWEST
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's claim on the energy of sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which event.
    pub event: EventId,
    /// How much it counts.
    pub priority: Priority,
    /// When it was first announced.
    pub announced_at: Timestamp,
    /// When it asks.
    pub window: Window,
    /// What it asks for.
    pub kind: TargetKind,
    /// Whom it asks.
    pub sites: BTreeSet<SiteId>,
}

impl Claim {
    /// Claims in the order in which they count, the strongest first.
    fn rank(&self) -> (Priority, Timestamp, &EventId) {
        (self.priority, self.announced_at, &self.event)
    }

    /// Whether this claim counts where the two meet.
    #[must_use]
    pub fn outranks(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }
}

/// The event that owns a site's energy in an interval: the strongest of those that ask this site at any time in it.
/// Nobody else pays for it.
#[must_use]
pub fn owner<'c>(
    claims: impl IntoIterator<Item = &'c Claim>,
    site: &SiteId,
    interval: Window,
) -> Option<&'c Claim> {
    claims
        .into_iter()
        .filter(|claim| claim.window.overlaps(&interval) && claim.sites.contains(site))
        .min_by_key(|claim| claim.rank())
}

/// The owner of every interval of every site that any event asks.
#[must_use]
pub fn owners(claims: &[Claim], intervals: &[Interval]) -> BTreeMap<(SiteId, Timestamp), EventId> {
    let sites: BTreeSet<&SiteId> = claims.iter().flat_map(|claim| &claim.sites).collect();
    let mut owners = BTreeMap::new();
    for interval in intervals {
        let window = Window {
            start: interval.start(),
            end: interval.end(),
        };
        for site in &sites {
            if let Some(claim) = owner(claims, site, window) {
                owners.insert(((*site).clone(), interval.start()), claim.event.clone());
            }
        }
    }
    owners
}

/// The event that a site follows at an instant, of each kind the strongest.
#[must_use]
pub fn followed<'c>(
    claims: impl IntoIterator<Item = &'c Claim>,
    site: &SiteId,
    at: Timestamp,
) -> BTreeMap<TargetKind, &'c Claim> {
    let mut followed: BTreeMap<TargetKind, &Claim> = BTreeMap::new();
    for claim in claims {
        if !claim.window.holds(at) || !claim.sites.contains(site) {
            continue;
        }
        let strongest = followed.entry(claim.kind).or_insert(claim);
        if claim.outranks(strongest) {
            *strongest = claim;
        }
    }
    followed
}

/// The sites that a new claim leaves to those before it: each of them belongs to one of `standing` in a part of its
/// window. A home is asked for the whole of an event or not at all, so that what it is asked and what it is paid for
/// are the same.
#[must_use]
pub fn left_to_others(new: &Claim, standing: &[Claim]) -> BTreeMap<SiteId, EventId> {
    let mut left = BTreeMap::new();
    for other in standing.iter().filter(|other| {
        other.event != new.event && other.window.overlaps(&new.window) && !new.outranks(other)
    }) {
        for site in new.sites.intersection(&other.sites) {
            left.entry(site.clone()).or_insert_with(|| other.event.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests;

//! One physical device, one enrolment: what a new agreement collides with.

use core::fmt;
use std::collections::BTreeSet;

use gridtally_protocol::agreement::{Accepted, Agreement};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::time::Timestamp;

use super::history::{self, Recorded};

/// What two agreements cannot both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// The same physical devices, as `MAKE/MODEL/SERIAL`.
    Devices(BTreeSet<String>),
    /// One gateway's key.
    Gateway(Identity),
    /// One site.
    Site(String),
}

/// An agreement that holds at the same time and has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The agreement that was there first: the digest of its admission.
    pub with: Digest,
    /// Its site.
    pub site: String,
    /// Its program.
    pub program: String,
    /// What both have.
    pub shared: Shared,
    /// From when on both would hold.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shared {
            Shared::Devices(devices) => {
                let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
                write!(f, "{}", devices.join(", "))?;
            }
            Shared::Gateway(gateway) => write!(f, "gateway {gateway}")?,
            Shared::Site(site) => write!(f, "site {site}")?,
        }
        write!(
            f,
            " is enrolled at site {} in program {} from {} to {}, by agreement {}",
            self.site, self.program, self.from, self.until, self.with
        )
    }
}

/// What of one of the agreements that are kept stands against a new one; nothing where the new one takes its place, by
/// its owner's word.
#[must_use]
pub fn conflict(new: &Accepted, kept: &Agreement, changes: &[Recorded]) -> Option<Conflict> {
    let (acceptance, before) = (&new.acceptance.message, &kept.accepted.acceptance.message);
    let from = acceptance.valid_from.max(before.valid_from);
    let until = acceptance.expires_at.min(history::end(kept, changes));
    if from >= until || takes_place_of(new, kept, changes) {
        return None;
    }
    let devices = |accepted: &Accepted| -> BTreeSet<String> {
        let devices = &accepted.claim.message.devices;
        devices.iter().map(|device| device.physical()).collect()
    };
    let devices: BTreeSet<String> = &devices(new) & &devices(&kept.accepted);
    let (_, key) = history::holders(kept, changes, from);
    let shared = if !devices.is_empty() {
        Shared::Devices(devices)
    } else if new.gateway() == kept.accepted.gateway() || new.gateway() == key {
        Shared::Gateway(new.gateway())
    } else if acceptance.site == before.site {
        Shared::Site(acceptance.site.clone())
    } else {
        return None;
    };
    Some(Conflict {
        with: kept.admission.digest,
        site: before.site.clone(),
        program: before.program.to_string(),
        shared,
        from,
        until,
    })
}

/// Whether the owner of a site agrees anew for the same site and gateway, by the same claim or by one that names it,
/// and from when on nothing overlaps: the old one ends where the new one begins.
fn takes_place_of(new: &Accepted, kept: &Agreement, changes: &[Recorded]) -> bool {
    let (acceptance, before) = (&new.acceptance.message, &kept.accepted.acceptance.message);
    let (owner, gateway) = history::holders(kept, changes, acceptance.valid_from);
    let claim = kept.accepted.claim.digest;
    acceptance.site == before.site
        && acceptance.valid_from > before.valid_from
        && new.owner() == owner
        && new.gateway() == gateway
        && (new.claim.digest == claim || new.claim.message.replaces == Some(claim))
}

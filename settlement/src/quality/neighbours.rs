//! What a site's sun says beside that of its neighbours. Soft: shade, directions and snow differ, and a flag is only a
//! reason to look.

use std::collections::BTreeSet;

use gridtally_protocol::location::CoarseLocation;
use serde::Serialize;

use crate::rules::statement::SiteId;

/// So many neighbours are needed to say anything.
const NEIGHBOURS_LEAST: usize = 5;
/// Cells this many tenths of a degree apart are neighbours.
const REACH_TENTHS: u16 = 1;
/// Two days agree if the cosine of their series is at least 4/5: `25 × dot² ≥ 16 × |a|² × |b|²`.
const AGREE: (i128, i128) = (25, 16);
/// So many different values, not zero, that are the same to the last digit are no chance; a set-point that many homes
/// follow is one value.
const COPIED_LEAST: usize = 6;
/// Values are compared in steps of this many milliwatt-hours, so that no product is too large.
const COARSE: i128 = 1_000;

/// A site's energy of a day: of its panels, or of its battery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The site.
    pub site: SiteId,
    /// Where it is.
    pub location: CoarseLocation,
    /// Its energy by interval, in milliwatt-hours; all sites of the same intervals.
    pub production: Vec<Option<i64>>,
}

/// What comparing says of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The site.
    pub site: SiteId,
    /// How many neighbours have a day to compare with.
    pub neighbours: usize,
    /// How many of them have a day of the same shape.
    pub agreeing: usize,
    /// Whether fewer than half of at least five neighbours agree.
    pub odd: bool,
    /// The sites that have the very same values, to the last digit.
    pub copies: Vec<SiteId>,
}

/// Compares every site with its neighbours, in the order in which they are given.
#[must_use]
pub fn compare(sites: &[Neighbour]) -> Vec<Compared> {
    sites
        .iter()
        .map(|site| {
            let others = || sites.iter().filter(|other| other.site != site.site);
            let near = others().filter(|other| near(site.location, other.location));
            let votes: Vec<bool> = near
                .filter_map(|other| agree(&site.production, &other.production))
                .collect();
            let agreeing = votes.iter().filter(|vote| **vote).count();
            let copies = others().filter(|other| copied(&site.production, &other.production));
            Compared {
                site: site.site.clone(),
                neighbours: votes.len(),
                agreeing,
                odd: votes.len() >= NEIGHBOURS_LEAST && agreeing.saturating_mul(2) < votes.len(),
                copies: copies.map(|other| other.site.clone()).collect(),
            }
        })
        .collect()
}

fn near(one: CoarseLocation, other: CoarseLocation) -> bool {
    let apart = |a: i16, b: i16| a.abs_diff(b);
    let east = apart(one.longitude_tenths(), other.longitude_tenths());
    // Around the antimeridian the short way counts.
    let east = east.min(3_600_u16.saturating_sub(east));
    apart(one.latitude_tenths(), other.latitude_tenths()) <= REACH_TENTHS && east <= REACH_TENTHS
}

/// Whether two days have the same shape; nothing where either has no sun.
fn agree(one: &[Option<i64>], other: &[Option<i64>]) -> Option<bool> {
    let (mut dot, mut of_one, mut of_other) = (0_i128, 0_i128, 0_i128);
    for (a, b) in one.iter().zip(other) {
        let (Some(a), Some(b)) = (a, b) else { continue };
        let (a, b) = (
            i128::from(*a).checked_div(COARSE)?,
            i128::from(*b).checked_div(COARSE)?,
        );
        dot = dot.checked_add(a.checked_mul(b)?)?;
        of_one = of_one.checked_add(a.checked_mul(a)?)?;
        of_other = of_other.checked_add(b.checked_mul(b)?)?;
    }
    if of_one == 0 || of_other == 0 {
        return None;
    }
    let (more, less) = AGREE;
    let squared = dot.checked_mul(dot)?.checked_mul(more)?;
    Some(squared >= of_one.checked_mul(of_other)?.checked_mul(less)?)
}

/// Whether all values that both have are the same, and enough of them say something.
fn copied(one: &[Option<i64>], other: &[Option<i64>]) -> bool {
    let both = || one.iter().zip(other).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
    let different = || {
        both()
            .map(|(a, _)| a)
            .filter(|a| *a != 0)
            .collect::<BTreeSet<i64>>()
            .len()
    };
    both().all(|(a, b)| a == b) && different() >= COPIED_LEAST
}

//! What a site shares with others that it should have alone: its place with very many, its device's serial number with
//! anyone. Soft: blocks of flats are crowded, and makers have given one number twice. A flag is only a reason to look.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::location::CoarseLocation;
use serde::Serialize;

use crate::rules::statement::SiteId;

/// More sites than this in one cell of a tenth of a degree are told.
pub const CELL_SITES_MOST: usize = 50;
/// A serial number of fewer characters is no evidence.
const SERIAL_LEN_LEAST: usize = 6;

/// Where a site is, and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The site.
    pub site: SiteId,
    /// Where it says that it is.
    pub location: Option<CoarseLocation>,
    /// Its devices as `MAKE/MODEL/SERIAL`, as far as they were signed for.
    pub devices: Vec<String>,
}

/// What a site shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crowded {
    /// The site.
    pub site: SiteId,
    /// How many sites are in its cell, itself included, where there are more than [`CELL_SITES_MOST`].
    pub cell_sites: Option<usize>,
    /// Other sites with a device of the same serial number, by site, with that number.
    pub same_serial: Vec<(SiteId, String)>,
}

/// What every site shares with the others, in the order in which they are given; those that share nothing are left out.
#[must_use]
pub fn crowded(sites: &[Placed]) -> Vec<Crowded> {
    let mut cells: BTreeMap<(i16, i16), usize> = BTreeMap::new();
    let mut serials: BTreeMap<&str, BTreeSet<&SiteId>> = BTreeMap::new();
    for placed in sites {
        if let Some(cell) = placed.location.map(cell) {
            let count = cells.entry(cell).or_default();
            *count = count.saturating_add(1);
        }
        for serial in placed.devices.iter().filter_map(|device| serial(device)) {
            serials.entry(serial).or_default().insert(&placed.site);
        }
    }
    let of = |placed: &Placed| {
        let count = placed.location.and_then(|place| cells.get(&cell(place)).copied());
        let own = placed.devices.iter().filter_map(|device| serial(device));
        let mut same: Vec<(SiteId, String)> = own
            .flat_map(|serial| {
                let sharing = serials.get(serial).into_iter().flatten();
                let others = sharing.filter(|site| ***site != placed.site);
                others.map(move |site| ((*site).clone(), serial.to_owned()))
            })
            .collect();
        same.sort();
        same.dedup();
        Crowded {
            site: placed.site.clone(),
            cell_sites: count.filter(|count| *count > CELL_SITES_MOST),
            same_serial: same,
        }
    };
    let shares = |crowded: &Crowded| crowded.cell_sites.is_some() || !crowded.same_serial.is_empty();
    sites.iter().map(of).filter(shares).collect()
}

fn cell(place: CoarseLocation) -> (i16, i16) {
    (place.latitude_tenths(), place.longitude_tenths())
}

/// The serial number of a device, where it says something: long enough, and not one character all over.
fn serial(device: &str) -> Option<&str> {
    let (_, serial) = device.rsplit_once('/')?;
    let mut characters = serial.chars();
    let first = characters.next()?;
    let says_something = serial.len() >= SERIAL_LEN_LEAST && characters.any(|other| other != first);
    says_something.then_some(serial)
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn placed(number: usize, cell: Option<i16>, devices: &[&str]) -> Placed {
        Placed {
            site: format!("home-{number:03}").parse().unwrap(),
            location: cell.map(|north| CoarseLocation::new(north, 0).unwrap()),
            devices: devices.iter().map(ToString::to_string).collect(),
        }
    }

    fn names(found: &[Crowded]) -> Vec<&str> {
        found.iter().map(|crowded| crowded.site.as_str()).collect()
    }

    #[test]
    fn one_site_more_than_a_cell_holds_flags_all_of_the_cell_and_nobody_else() {
        let mut sites: Vec<Placed> = (0..CELL_SITES_MOST).map(|n| placed(n, Some(515), &[])).collect();
        sites.push(placed(900, Some(516), &[]));
        sites.push(placed(901, None, &[]));
        assert_eq!(crowded(&sites), []);
        sites.push(placed(902, Some(515), &[]));
        let found = crowded(&sites);
        assert_eq!(found.len(), CELL_SITES_MOST + 1);
        assert!(
            found
                .iter()
                .all(|one| one.cell_sites == Some(CELL_SITES_MOST + 1))
        );
        assert!(!names(&found).contains(&"home-900") && !names(&found).contains(&"home-901"));
    }

    #[test]
    fn one_serial_number_at_two_sites_is_told_to_both_whatever_the_make_is_called() {
        let sites = [
            placed(
                1,
                None,
                &["EXAMPLEENERGY/ROOF8/R800042", "EXAMPLE/METER3/M000123"],
            ),
            placed(2, None, &["EXAMPLE/ROOF8KW/R800042"]),
            placed(3, None, &["EXAMPLE/ROOF8/R800043"]),
        ];
        let found = crowded(&sites);
        assert_eq!(names(&found), ["home-001", "home-002"]);
        assert_eq!(
            found[0].same_serial,
            [(sites[1].site.clone(), "R800042".to_owned())]
        );
        assert_eq!(
            found[1].same_serial,
            [(sites[0].site.clone(), "R800042".to_owned())]
        );
    }

    #[test]
    fn short_and_empty_serial_numbers_say_nothing() {
        for device in ["A/B/12345", "A/B/000000", "A/B/", "123456", ""] {
            let sites = [placed(1, None, &[device]), placed(2, None, &[device])];
            assert_eq!(crowded(&sites), [], "{device:?}");
        }
    }

    proptest! {
        #[test]
        fn sharing_a_serial_number_is_mutual_and_never_with_oneself(
            devices in prop::collection::vec(prop::collection::vec("[A-B]/X/[0-2]{6}", 0..4), 0..12),
        ) {
            let sites: Vec<Placed> = devices
                .iter()
                .enumerate()
                .map(|(n, devices)| placed(n, None, &devices.iter().map(String::as_str).collect::<Vec<_>>()))
                .collect();
            let found = crowded(&sites);
            for one in &found {
                for (other, serial) in &one.same_serial {
                    prop_assert_ne!(other, &one.site);
                    let back = found.iter().find(|found| found.site == *other).unwrap();
                    prop_assert!(back.same_serial.contains(&(one.site.clone(), serial.clone())));
                }
            }
        }
    }
}

//! Powers that a profile shows in several registers.
//!
//! What flows one way is shared evenly by the parts that count for it, and the parts that count against it say
//! 0; the other way round. Without parts against it, the others share the power with its sign. Parts of the
//! vocabulary, such as the three phases, say what the physics says of them.

use super::quantities::Reading;
use super::{put, read};
use crate::device::models::part;
use crate::registers::RegisterMap;
use gridtally_registers::profile::{Point, PointName, Profile, Sum};

/// The makers' own points among the parts of one side.
fn points<'p>(profile: &'p Profile, names: &[PointName]) -> Vec<&'p Point> {
    let own = names.iter().filter(|name| matches!(name, PointName::Vendor(_)));
    own.filter_map(|name| profile.point(name)).collect()
}

/// Writes a power, in milliwatts, into its parts.
pub(super) fn publish(map: &mut RegisterMap, profile: &Profile, sum: &Sum, milliwatts: i64) {
    let (plus, minus) = (points(profile, &sum.plus), points(profile, &sum.minus));
    let (forth, back) = match minus.as_slice() {
        [] => (milliwatts, 0),
        _ => (milliwatts.max(0), milliwatts.saturating_neg().max(0)),
    };
    for (side, whole) in [(plus, forth), (minus, back)] {
        for (n, point) in (0..).zip(&side) {
            let lines = i64::try_from(side.len()).unwrap_or(i64::MAX);
            let share = Reading::milliwatts(part(whole, lines, n));
            put(map, point, share.registers(point, None));
        }
    }
}

/// A device that takes one direction for the other: what counts for the sum and what counts against it change
/// places.
pub(super) fn swap(image: &mut RegisterMap, profile: &Profile, sum: &Sum) {
    let (plus, minus) = (points(profile, &sum.plus), points(profile, &sum.minus));
    for (one, other) in plus.into_iter().zip(minus) {
        if one.encoding != other.encoding {
            continue;
        }
        let (here, there) = (
            read(image, one).map(<[u16]>::to_vec),
            read(image, other).map(<[u16]>::to_vec),
        );
        put(image, one, there);
        put(image, other, here);
    }
}

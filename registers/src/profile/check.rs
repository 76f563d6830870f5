//! What only several points together can have wrong.

use std::collections::BTreeMap;

use super::mistake::{Log, Problem};
use super::point::Point;

/// A point with its place in the file.
pub(super) struct Placed {
    pub(super) point: Point,
    pub(super) at: usize,
    pub(super) path: String,
}

/// Every such mistake.
pub(super) fn all(points: &[Placed], request_max: u16, log: &mut Log) {
    names(points, log);
    ranges(points, request_max, log);
    overlaps(points, log);
}

fn names(points: &[Placed], log: &mut Log) {
    let mut first = BTreeMap::new();
    for placed in points {
        let line = log.line(placed.at);
        if let Some(line) = first.get(&placed.point.name) {
            let problem = Problem::DuplicateName {
                name: placed.point.name.to_string(),
                line: *line,
            };
            log.add(placed.at, format!("{}.name", placed.path), problem);
        } else {
            first.insert(&placed.point.name, line);
        }
    }
}

fn ranges(points: &[Placed], request_max: u16, log: &mut Log) {
    for placed in points {
        let (end, length) = (placed.point.end(), placed.point.length());
        if end > 1 << 16 {
            log.add(
                placed.at,
                format!("{}.address", placed.path),
                Problem::BeyondLastRegister { end: end - 1 },
            );
        }
        if length > request_max {
            let problem = Problem::LongerThanRequest {
                length,
                max: request_max,
            };
            log.add(placed.at, format!("{}.type", placed.path), problem);
        }
    }
}

/// Two points may show the same registers under two names; they must not tear each other or read one number
/// in two ways. Each point is compared with the one that reaches farthest before it, so that the work stays
/// linear and each clash is told once.
fn overlaps(points: &[Placed], log: &mut Log) {
    let mut sorted: Vec<&Placed> = points.iter().collect();
    sorted.sort_by_key(|placed| (placed.point.table, placed.point.address, placed.at));
    let mut farthest: Option<&Placed> = None;
    for placed in sorted {
        let Some(before) = farthest.filter(|before| before.point.table == placed.point.table) else {
            farthest = Some(placed);
            continue;
        };
        let apart = before.point.end() <= u32::from(placed.point.address);
        if !apart && !agree(&before.point, &placed.point) {
            let (other, line) = (before.point.name.to_string(), log.line(before.at));
            log.add(
                placed.at,
                format!("{}.address", placed.path),
                Problem::Overlap { other, line },
            );
        }
        if placed.point.end() > before.point.end() {
            farthest = Some(placed);
        }
    }
}

fn agree(one: &Point, other: &Point) -> bool {
    let bare = |point: &Point| {
        let mut encoding = point.encoding.clone();
        encoding.inverted = false;
        encoding
    };
    one.address == other.address && one.unit == other.unit && bare(one) == bare(other)
}

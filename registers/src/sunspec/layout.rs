//! A model as a device lays it out.

use super::{Count, Group, Kind, Model, PointDefinition, Scale};
use std::collections::HashMap;
use std::fmt::Write as _;

/// More groups of one kind than any known device has.
const GROUPS_MAX: u16 = 32;

/// A point in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name with those of its groups, as `W`, `Prt[0].DCW` or `Crv[1].MustTrip.Pt[0].V`.
    pub path: String,
    /// Registers from the model's ID register (ID is 0, L is 1, the first point 2).
    pub offset: u16,
    /// What the model says of it.
    pub definition: PointDefinition,
    /// Offset of the scale factor point that scales it.
    pub scale_offset: Option<u16>,
}

impl Placed {
    /// How it is coded.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.definition.kind
    }
}

/// A model with so many of each repeating group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    model: &'static Model,
    points: Vec<Placed>,
    by_path: HashMap<String, usize>,
    length: u16,
}

impl Layout {
    /// Lays a model out. `counts` says for each counting point (`NPrt`, `NCrv`, `NPt`, `N` …) how
    /// many there are; one that is not named counts none.
    ///
    /// `None` if the model becomes longer than its L register can say.
    #[must_use]
    pub fn new(model: &'static Model, counts: &[(&str, u16)]) -> Option<Self> {
        let mut layout = Self {
            model,
            points: Vec::new(),
            by_path: HashMap::new(),
            length: 0,
        };
        layout.place(&model.root, "", counts, &mut Vec::new())?;
        layout.by_path = layout
            .points
            .iter()
            .enumerate()
            .map(|(n, point)| (point.path.clone(), n))
            .collect();
        Some(layout)
    }

    /// Lays a model out as its registers say (those behind ID and L): so many groups as its counting
    /// points count.
    ///
    /// `None` if the registers are not as many as the model then takes, or count more than there is
    /// room for.
    #[must_use]
    pub fn fitting(model: &'static Model, body: &[u16]) -> Option<Self> {
        let flat = Self::new(model, &[])?;
        let mut counts = Vec::new();
        for point in &flat.points {
            let first = usize::from(point.offset).checked_sub(2)?;
            if let Some(&count) = body.get(first)
                && point.kind().words() == 1
                && model.root.is_counted_by(point.definition.name)
            {
                let possible = usize::from(count) <= body.len();
                counts.push((point.definition.name, if possible { count } else { 0 }));
            }
        }
        let layout = Self::new(model, &counts)?;
        (usize::from(layout.length) == body.len()).then_some(layout)
    }

    /// Lays a model out by the registers of its fixed part (those behind ID and L, before the first group),
    /// with as many groups as its counting points count and as find room in `length` registers: devices
    /// are known that count more, or say another length than they have.
    #[must_use]
    pub fn counted(model: &'static Model, fixed: &[u16], length: u16) -> Self {
        let flat = Self {
            model,
            points: Vec::new(),
            by_path: HashMap::new(),
            length: 0,
        };
        let flat = Self::new(model, &[]).unwrap_or(flat);
        let counts: Vec<(&str, u16)> = flat
            .points
            .iter()
            .filter(|point| point.kind().words() == 1 && model.root.is_counted_by(point.definition.name))
            .filter_map(|point| {
                let first = usize::from(point.offset).checked_sub(2)?;
                Some((point.definition.name, *fixed.get(first)?))
            })
            .filter(|(_, count)| *count <= length)
            .collect();
        let longest = counts
            .iter()
            .map(|(_, count)| *count)
            .max()
            .unwrap_or(0)
            .min(GROUPS_MAX);
        (0..=longest)
            .rev()
            .filter_map(|most| {
                let counts: Vec<_> = counts
                    .iter()
                    .map(|(name, count)| (*name, (*count).min(most)))
                    .collect();
                Self::new(model, &counts)
            })
            .find(|layout| layout.length <= length)
            .unwrap_or(flat)
    }

    fn place(
        &mut self,
        group: &Group,
        prefix: &str,
        counts: &[(&str, u16)],
        scales: &mut Vec<(&'static str, u16)>,
    ) -> Option<()> {
        let first = self.points.len();
        for definition in group.points {
            let offset = self.length.checked_add(2)?;
            if definition.kind == Kind::ScaleFactor {
                scales.push((definition.name, offset));
            }
            self.points.push(Placed {
                path: format!("{prefix}{}", definition.name),
                offset,
                definition: *definition,
                scale_offset: None,
            });
            self.length = self.length.checked_add(definition.kind.words())?;
        }
        // Nearest scale factor first: a group's own hides that of a group above.
        for point in &mut self.points[first..] {
            if let Scale::Point(name) = point.definition.scale {
                point.scale_offset = scales
                    .iter()
                    .rev()
                    .find(|(known, _)| *known == name)
                    .map(|(_, offset)| *offset);
            }
        }
        let outer = scales.len();
        for inner in group.groups {
            let (times, repeats) = match inner.count {
                Count::One => (1, false),
                Count::Point(name) => (
                    counts
                        .iter()
                        .find(|(known, _)| *known == name)
                        .map_or(0, |(_, n)| *n),
                    true,
                ),
            };
            for n in 0..times {
                let mut path = format!("{prefix}{}", inner.name);
                if repeats {
                    let _ = write!(path, "[{n}]");
                }
                path.push('.');
                self.place(inner, &path, counts, scales)?;
                scales.truncate(outer);
            }
        }
        Some(())
    }

    /// The definition.
    #[must_use]
    pub fn model(&self) -> &'static Model {
        self.model
    }

    /// The model's number.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.model.id
    }

    /// The model's L register: its length without ID and L.
    #[must_use]
    pub fn length(&self) -> u16 {
        self.length
    }

    /// Every point in order.
    #[must_use]
    pub fn points(&self) -> &[Placed] {
        &self.points
    }

    /// The point of that path.
    #[must_use]
    pub fn point(&self, path: &str) -> Option<&Placed> {
        self.by_path.get(path).and_then(|n| self.points.get(*n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::models;
    use super::*;

    #[test]
    fn fixed_models_have_the_length_that_the_standard_says() {
        for (id, length) in [
            (1, 66),
            (103, 50),
            (113, 60),
            (120, 26),
            (121, 30),
            (122, 44),
            (123, 24),
            (124, 24),
            (203, 105),
            (213, 124),
            (701, 153),
            (702, 50),
            (703, 17),
            (704, 65),
            (713, 7),
            (715, 7),
            (802, 62),
        ] {
            let layout = Layout::new(models::find(id).unwrap(), &[]).unwrap();
            assert_eq!(layout.length(), length, "model {id}");
        }
    }

    #[test]
    fn groups_repeat_and_take_the_scale_factors_above() {
        let ports = Layout::new(models::find(714).unwrap(), &[("NPrt", 2)]).unwrap();
        assert_eq!(ports.length(), 18 + 2 * 25);
        let first = ports.point("Prt[0].DCW").unwrap();
        let second = ports.point("Prt[1].DCW").unwrap();
        assert_eq!(second.offset - first.offset, 25);
        assert_eq!(
            first.scale_offset,
            ports.point("DCW_SF").map(|point| point.offset)
        );
        let trips = Layout::new(models::find(707).unwrap(), &[("NCrvSet", 2), ("NPt", 3)]).unwrap();
        assert!(trips.point("Crv[1].MomCess.Pt[2].Tms").is_some());
        assert!(trips.point("Crv[2].MomCess.Pt[2].Tms").is_none());
    }

    #[test]
    fn registers_say_how_many_groups_there_are() {
        let mut body = vec![0; 18 + 2 * 25];
        body[2] = 2;
        let model = models::find(714).unwrap();
        let layout = Layout::fitting(model, &body).unwrap();
        assert!(layout.point("Prt[1].DCW").is_some() && layout.point("Prt[2].DCW").is_none());
        assert_eq!(Layout::fitting(model, &body[1..]), None);
        body[2] = 0xFFFF;
        assert_eq!(Layout::fitting(model, &body), None);
    }

    #[test]
    fn groups_that_find_no_room_are_left_out() {
        let model = models::find(714).unwrap();
        let mut fixed = vec![0; 18];
        fixed[2] = 3;
        for (length, ports) in [(18 + 75, 3), (18 + 74, 2), (18 + 30, 1), (18, 0), (3, 0)] {
            let layout = Layout::counted(model, &fixed, length);
            let last = layout.points().iter().filter(|p| p.path.ends_with("DCW")).count();
            assert_eq!(last, ports + 1, "{length}: with the sum of all ports");
        }
        fixed[2] = 0xFFFF;
        assert_eq!(Layout::counted(model, &fixed, 93).length(), 18);
        assert_eq!(Layout::counted(model, &[], 93).length(), 18);
    }

    #[test]
    fn a_model_that_does_not_fit_is_none() {
        assert_eq!(Layout::new(models::find(160).unwrap(), &[("N", 5_000)]), None);
    }
}

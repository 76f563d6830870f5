//! A model definition: points, and groups of points that repeat.

use super::Kind;

/// How a point is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Not at all.
    None,
    /// By the power of ten in the scale factor point of this name, of the same group or one above.
    Point(&'static str),
}

/// A point as its model defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointDefinition {
    /// Its name, as in the model.
    pub name: &'static str,
    /// How it is coded.
    pub kind: Kind,
    /// How it is scaled.
    pub scale: Scale,
    /// Its unit, as the model writes it; empty when it has none.
    pub unit: &'static str,
    /// Whether the model lets clients write it.
    pub writable: bool,
    /// Whether the model makes it mandatory.
    pub mandatory: bool,
}

impl PointDefinition {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            scale: Scale::None,
            unit: "",
            writable: false,
            mandatory: false,
        }
    }

    pub(crate) const fn scaled(self, by: &'static str) -> Self {
        Self {
            scale: Scale::Point(by),
            ..self
        }
    }

    pub(crate) const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    pub(crate) const fn writable(self) -> Self {
        Self {
            writable: true,
            ..self
        }
    }

    pub(crate) const fn mandatory(self) -> Self {
        Self {
            mandatory: true,
            ..self
        }
    }

    /// Whether the point counts energy, apparent energy or charge over the device's life: an
    /// accumulator by type, or by its unit where the model has plain integers or floats.
    #[must_use]
    pub fn is_counter(&self) -> bool {
        let counts = matches!(self.unit, "Wh" | "WH" | "VAh" | "varh" | "VARh" | "Varh");
        let rating = self.name.contains("Rtg") || self.name.contains("Avail");
        self.kind.is_accumulator() || (counts && !rating)
    }

    /// Whether the point is an active power that flows: what a wrong sign would turn round. Curves have
    /// points of the same names, in percent.
    #[must_use]
    pub fn is_active_power(&self) -> bool {
        self.unit == "W"
            && matches!(
                self.name,
                "W" | "DCW" | "WphA" | "WphB" | "WphC" | "WL1" | "WL2" | "WL3"
            )
    }
}

/// How often a group stands in its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Once.
    One,
    /// So often as the point of this name says, which stands in a group above.
    Point(&'static str),
}

/// Points that belong together, and groups within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Its name; that of the root is the model's.
    pub name: &'static str,
    /// How often it stands there.
    pub count: Count,
    /// Its points in order; those of the root without ID and L.
    pub points: &'static [PointDefinition],
    /// Its groups, behind the points.
    pub groups: &'static [Group],
}

impl Group {
    /// Whether a group in here repeats as often as the point of that name says.
    #[must_use]
    pub fn is_counted_by(&self, point: &str) -> bool {
        self.groups
            .iter()
            .any(|group| group.count.point() == Some(point) || group.is_counted_by(point))
    }
}

impl Count {
    /// The point that counts.
    #[must_use]
    pub const fn point(self) -> Option<&'static str> {
        match self {
            Self::One => None,
            Self::Point(name) => Some(name),
        }
    }
}

/// A model definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Its number.
    pub id: u16,
    /// What it is, in the words of the model definition.
    pub label: &'static str,
    /// Its points and groups.
    pub root: Group,
}

//! What was seen of a device.

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

/// What names a map of points: a SunSpec model by its number, or a profile by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapName {
    /// A SunSpec model.
    Model(u16),
    /// A register-map profile.
    Profile(String),
}

impl Serialize for MapName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Model(number) => serializer.serialize_u16(*number),
            Self::Profile(name) => serializer.serialize_str(name),
        }
    }
}

/// One point as the device has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointSight {
    /// Its name with those of its groups, as `W` or `Prt[0].DCW`.
    pub point: String,
    /// Its registers; none where it could not be read.
    pub raw: Vec<u16>,
    /// The exact decimal or the text, or why there is none.
    pub value: Result<String, String>,
    /// Its unit; empty where it has none.
    pub unit: String,
    /// Whether it is there to fill a gap only.
    pub is_filler: bool,
}

/// One model, or a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSight {
    /// What it is called.
    pub name: MapName,
    /// Which one of those with this number, counted from 0 along the chain.
    pub instance: usize,
    /// What it is, in words; empty of a model that nobody knows.
    pub label: String,
    /// Its first register and its length without the header, where it is a model.
    pub place: Option<(u16, u16)>,
    /// Its points.
    pub points: Vec<PointSight>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

impl ModelSight {
    /// The point of a path.
    #[must_use]
    pub fn point(&self, path: &str) -> Option<&PointSight> {
        self.points.iter().find(|point| point.point == path)
    }

    /// The number of a path; `None` where there is no value.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<Decimal> {
        self.point(path)?.value.as_ref().ok()?.parse().ok()
    }

    /// The text of a path; `None` where there is none in it.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        let text = self.point(path)?.value.as_ref().ok()?;
        (!text.is_empty()).then_some(text)
    }
}

/// Who a device says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Identity {
    /// Who made it.
    pub maker: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The version of its firmware.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
}

/// All that was seen of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// The register of the SunSpec marker, where there is one.
    pub base: Option<u16>,
    /// The models in the order of the chain, or the profile.
    pub models: Vec<ModelSight>,
}

impl Sight {
    /// The first model of the first of these numbers that is there.
    #[must_use]
    pub fn model(&self, numbers: &[u16]) -> Option<&ModelSight> {
        numbers.iter().find_map(|number| {
            self.models
                .iter()
                .find(|model| model.name == MapName::Model(*number))
        })
    }

    /// The numbers of the models, in the order of the chain.
    #[must_use]
    pub fn numbers(&self) -> Vec<u16> {
        let number = |model: &ModelSight| match model.name {
            MapName::Model(number) => Some(number),
            MapName::Profile(_) => None,
        };
        self.models.iter().filter_map(number).collect()
    }

    /// Who the device says that it is: by model 1, or by the points of its profile.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let of = |model: &ModelSight, paths: [&str; 3]| {
            let [model_name, version, serial] = paths.map(|path| model.text(path).map(str::to_owned));
            Identity {
                maker: model.text("Mn").map(str::to_owned),
                model: model_name,
                version,
                serial,
            }
        };
        if let Some(common) = self.model(&[1]) {
            return of(common, ["Md", "Vr", "SN"]);
        }
        self.models.first().map_or_else(Identity::default, |profile| {
            of(profile, ["model", "firmware", "serial_number"])
        })
    }
}

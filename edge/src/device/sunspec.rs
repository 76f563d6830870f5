//! SunSpec maps (Device Information Model Specification 1.2.1): finding the models, reading a model as one
//! block, and taking numbers out of it.
//!
//! The places of points are those of the `sunspec` crate's models; the connection, the walk along the
//! chain and the judgement of values are ours, because devices in the field answer short, late, shifted,
//! and with scale factors that change (see the tests of this crate).

use sunspec::{Group, Model, Point, Value};

use super::bus::{Bus, BusError, READ_MAX};
use super::reading::{Count, Counter, Step};

/// Where maps start (§6.2.1), in the order of likelihood.
pub const BASES: [u16; 3] = [40_000, 0, 50_000];
/// `SunS`.
const MARKER: [u16; 2] = [0x5375, 0x6e53];
const END_MODEL: u16 = 0xffff;
/// More models than any device that is known has.
const MODELS_MAX: usize = 64;
/// More registers than any device that is known has.
const REGISTERS_MAX: u16 = 10_000;
/// A scale factor is a power of ten within these (§6.5.1).
const SCALE_RANGE: std::ops::RangeInclusive<i16> = -10..=10;
const HEADER_LEN: u16 = 2;

/// Why nothing could be made of a device's registers.
#[derive(Debug, thiserror::Error)]
pub enum SunSpecError {
    /// The exchange failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// There is no map.
    #[error("no SunSpec map: no register of {bases:?} holds the marker SunS")]
    NoMap {
        /// Where it was looked for.
        bases: Vec<u16>,
    },
    /// The map lacks a model.
    #[error("the device has no model {model}; its models are {found:?}")]
    NoModel {
        /// The model that is needed.
        model: u16,
        /// The models that are there.
        found: Vec<u16>,
    },
    /// The model is too short for the points that are needed.
    #[error("model {model} has {len} registers, too few for the points that are needed")]
    ShortModel {
        /// Which model.
        model: u16,
        /// Its length as the device states it.
        len: u16,
    },
    /// Where the model's header was, there is something else now.
    #[error("the map has shifted: model {model} is no longer at register {address}")]
    Shifted {
        /// Which model.
        model: u16,
        /// Where it was.
        address: u16,
    },
    /// A value that says "not implemented", or that the standard does not allow.
    #[error("{point} of model {model} has no credible value ({value})")]
    BadValue {
        /// Which model.
        model: u16,
        /// Which point.
        point: &'static str,
        /// What was there.
        value: i64,
    },
}

impl SunSpecError {
    /// Whether the device said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::Bus(error) => error.is_answer(),
            _ => true,
        }
    }
}

/// A model in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPlace {
    /// Its number.
    pub id: u16,
    /// The register of its header.
    pub address: u16,
    /// Its length without the header, as the device states it.
    pub len: u16,
}

/// The models of a device, in the order of the chain; a number may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    /// The models.
    pub models: Vec<ModelPlace>,
}

impl Map {
    /// The first model of that number.
    ///
    /// # Errors
    /// [`SunSpecError::NoModel`].
    pub fn first(&self, id: u16) -> Result<ModelPlace, SunSpecError> {
        self.models
            .iter()
            .find(|m| m.id == id)
            .copied()
            .ok_or_else(|| SunSpecError::NoModel {
                model: id,
                found: self.models.iter().map(|m| m.id).collect(),
            })
    }
}

/// Finds the map at the given base, or at one of [`BASES`].
///
/// # Errors
/// [`SunSpecError::NoMap`], or the error of the exchange.
pub async fn discover(bus: &mut Bus, base: Option<u16>) -> Result<Map, SunSpecError> {
    let bases = base.map_or_else(|| BASES.to_vec(), |base| vec![base]);
    for &base in &bases {
        match bus.read(base, HEADER_LEN).await {
            Ok(words) if words == MARKER => return walk(bus, base).await,
            Ok(_) | Err(BusError::Exception(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(SunSpecError::NoMap { bases })
}

/// Follows the chain of headers. The end model, a model without registers, an exception and the bounds
/// end it: gateways are known that leave the end model out, and maps that are all zeros after the marker.
async fn walk(bus: &mut Bus, base: u16) -> Result<Map, SunSpecError> {
    let mut map = Map::default();
    let limit = base.saturating_add(REGISTERS_MAX);
    let mut next = base.checked_add(HEADER_LEN);
    while let Some(address) = next.filter(|a| *a < limit && map.models.len() < MODELS_MAX) {
        let header = match bus.read(address, HEADER_LEN).await {
            Ok(header) => header,
            Err(BusError::Exception(_)) if !map.models.is_empty() => break,
            Err(error) => return Err(error.into()),
        };
        let [id, len] = header[..] else { break };
        if id == END_MODEL || id == 0 || len == 0 {
            break;
        }
        map.models.push(ModelPlace { id, address, len });
        next = address.checked_add(HEADER_LEN).and_then(|a| a.checked_add(len));
    }
    Ok(map)
}

/// The registers of one model, read in one request together with its header: a value and its scale
/// factor are of the same moment, and of the model that is meant.
#[derive(Debug)]
pub struct Block<M> {
    words: Vec<u16>,
    model: std::marker::PhantomData<M>,
}

impl<M: Model + Group> Block<M> {
    /// Reads the model at `place`.
    ///
    /// # Errors
    /// The error of the exchange, or [`SunSpecError::Shifted`] where the header is another one.
    pub async fn read(bus: &mut Bus, place: ModelPlace) -> Result<Self, SunSpecError> {
        let wanted = place.len.min(M::LEN).saturating_add(HEADER_LEN).min(READ_MAX);
        let words = bus.read(place.address, wanted).await?;
        match words.split_first_chunk::<2>() {
            Some(([id, len], rest)) if (*id, *len) == (place.id, place.len) => Ok(Self {
                words: rest.to_vec(),
                model: std::marker::PhantomData,
            }),
            _ => Err(SunSpecError::Shifted {
                model: place.id,
                address: place.address,
            }),
        }
    }

    /// A block of these registers (without the header).
    #[cfg(test)]
    pub fn of(words: Vec<u16>) -> Self {
        Self {
            words,
            model: std::marker::PhantomData,
        }
    }

    /// The words of a point as they stand.
    ///
    /// # Errors
    /// [`SunSpecError::ShortModel`] where the model ends before it.
    pub fn word<T: Value>(&self, point: &Point<M, T>) -> Result<u16, SunSpecError> {
        self.words
            .get(usize::from(point.offset))
            .copied()
            .ok_or_else(|| self.short())
    }

    fn short(&self) -> SunSpecError {
        SunSpecError::ShortModel {
            model: M::ID,
            len: u16::try_from(self.words.len()).unwrap_or(u16::MAX),
        }
    }

    const fn bad(point: &'static str, value: i64) -> SunSpecError {
        SunSpecError::BadValue {
            model: M::ID,
            point,
            value,
        }
    }

    /// A scale factor: within −10 to 10, or nothing that it scales can be believed.
    ///
    /// # Errors
    /// [`SunSpecError::BadValue`], [`SunSpecError::ShortModel`].
    pub fn scale<T: Value>(&self, name: &'static str, point: &Point<M, T>) -> Result<i16, SunSpecError> {
        let scale = self.word(point)?.cast_signed();
        SCALE_RANGE
            .contains(&scale)
            .then_some(scale)
            .ok_or(Self::bad(name, i64::from(scale)))
    }

    /// An accumulator of 32 bits with its scale factor. All ones is no count, whatever the standard says
    /// of accumulators: devices answer it when they have nothing to say. Zero means "not accumulated", and
    /// is left to the meter, which knows what was before.
    ///
    /// # Errors
    /// [`SunSpecError::BadValue`], [`SunSpecError::ShortModel`].
    pub fn accumulator(
        &self,
        name: &'static str,
        point: &Point<M, u32>,
        scale: i16,
    ) -> Result<Counter, SunSpecError> {
        let count = point.from_data(&self.words).map_err(|_| self.short())?;
        if count == u32::MAX {
            return Err(Self::bad(name, i64::from(count)));
        }
        let step = Step::of_scale(scale).ok_or(Self::bad(name, i64::from(scale)))?;
        Ok(Counter {
            count: Count::Integer {
                count: u64::from(count),
                bits: 32,
                step,
            },
            device: None,
        })
    }

    /// An unsigned number, all ones excepted.
    ///
    /// # Errors
    /// [`SunSpecError::BadValue`], [`SunSpecError::ShortModel`].
    pub fn unsigned<T: Value>(&self, name: &'static str, point: &Point<M, T>) -> Result<u16, SunSpecError> {
        match self.word(point)? {
            u16::MAX => Err(Self::bad(name, i64::from(u16::MAX))),
            value => Ok(value),
        }
    }

    /// A signed number, the sentinel 0x8000 excepted.
    ///
    /// # Errors
    /// [`SunSpecError::BadValue`], [`SunSpecError::ShortModel`].
    pub fn signed<T: Value>(&self, name: &'static str, point: &Point<M, T>) -> Result<i16, SunSpecError> {
        match self.word(point)?.cast_signed() {
            i16::MIN => Err(Self::bad(name, i64::from(i16::MIN))),
            value => Ok(value),
        }
    }
}

/// `value × 10^(scale + decimals)` in integers, rounded down; `None` where it does not fit.
#[must_use]
pub fn scaled(value: i64, scale: i16, decimals: u8) -> Option<i64> {
    let exponent = i32::from(scale).checked_add(i32::from(decimals))?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let value = i128::from(value);
    let result = if exponent >= 0 {
        value.checked_mul(power)?
    } else {
        value.div_euclid(power)
    };
    i64::try_from(result).ok()
}

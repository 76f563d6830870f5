//! The chain of models: ID, length, so many registers, and the next.

use gridtally_registers::sunspec::{Layout, SUNS, models};

use super::{HEADER_LEN, Reader, SunSpecError};
use crate::device::bus::{BusError, Canary, Table};

/// Where maps start (§6.2.1), in the order of likelihood.
pub const BASES: [u16; 3] = [40_000, 0, 50_000];
const END_MODEL: u16 = 0xffff;
/// More models than any device that is known has.
const MODELS_MAX: usize = 64;
/// More registers than any device that is known has.
const REGISTERS_MAX: u16 = 10_000;

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

/// The models of a device, in the order of the chain; a number may occur more than once, and may be one
/// that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    /// The register of the marker.
    pub base: u16,
    /// The models.
    pub models: Vec<ModelPlace>,
}

impl Map {
    /// The `instance`-th model, counted from 0, of the first of these numbers of which there are so many.
    ///
    /// # Errors
    /// [`SunSpecError::NoModel`].
    pub fn find(&self, wanted: &[u16], instance: usize) -> Result<ModelPlace, SunSpecError> {
        let of = |id: u16| {
            self.models
                .iter()
                .filter(move |model| model.id == id)
                .nth(instance)
        };
        wanted
            .iter()
            .find_map(|id| of(*id))
            .copied()
            .ok_or_else(|| SunSpecError::NoModel {
                wanted: wanted.to_vec(),
                found: self.models.iter().map(|model| model.id).collect(),
            })
    }

    /// What never changes on the device: the marker and the header of the first model.
    #[must_use]
    pub fn canary(&self) -> Canary {
        let first = self.models.first().map(|model| [model.id, model.len]);
        Canary {
            table: Table::Holding,
            address: self.base,
            words: SUNS.into_iter().chain(first.into_iter().flatten()).collect(),
        }
    }
}

/// Finds the map at the given base, or at one of [`BASES`].
///
/// # Errors
/// [`SunSpecError::NoMap`], or the error of the exchange.
pub async fn discover(reader: &mut Reader, base: Option<u16>) -> Result<Map, SunSpecError> {
    let bases = base.map_or_else(|| BASES.to_vec(), |base| vec![base]);
    for &base in &bases {
        match reader.read(Table::Holding, base, HEADER_LEN).await {
            Ok(words) if words == SUNS => return walk(reader, base).await,
            Ok(_) => {}
            Err(error @ BusError::Exception(_)) if error.is_answer() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(SunSpecError::NoMap { bases })
}

/// Follows the chain of headers. The end model, a model without registers, an exception and the bounds
/// end it: gateways are known that leave the end model out, and maps that are all zeros after the marker.
async fn walk(reader: &mut Reader, base: u16) -> Result<Map, SunSpecError> {
    let mut map = Map {
        base,
        models: Vec::new(),
    };
    let limit = base.saturating_add(REGISTERS_MAX);
    let mut next = base.checked_add(HEADER_LEN);
    while let Some(address) = next.filter(|a| *a < limit && map.models.len() < MODELS_MAX) {
        let Some(found) = header(reader, address, &map).await? else {
            break;
        };
        if !is_model(found) {
            break;
        }
        map.models.push(found);
        next = after(found, found.len);
        if let Some(true_len) = standard_len(found)
            && let Some(next_if_so) = next_where_length_lies(reader, found, true_len, &map).await?
        {
            next = Some(next_if_so);
        }
    }
    Ok(map)
}

/// Reads a header; `None` where the chain has come to its end with an exception.
async fn header(reader: &mut Reader, address: u16, map: &Map) -> Result<Option<ModelPlace>, SunSpecError> {
    match reader.read(Table::Holding, address, HEADER_LEN).await {
        Ok(words) => Ok(match words[..] {
            [id, len] => Some(ModelPlace { id, address, len }),
            _ => None,
        }),
        Err(error @ BusError::Exception(_)) if error.is_answer() && !map.models.is_empty() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn after(model: ModelPlace, len: u16) -> Option<u16> {
    model.address.checked_add(HEADER_LEN)?.checked_add(len)
}

const fn is_model(place: ModelPlace) -> bool {
    place.id != END_MODEL && place.id != 0 && place.len != 0
}

/// The length of a fixed model by the standard, where the device states another one.
fn standard_len(place: ModelPlace) -> Option<u16> {
    let model = models::find(place.id)?;
    let is_fixed = model.root.groups.is_empty();
    let len = Layout::new(model, &[])?.length();
    (is_fixed && len != place.len).then_some(len)
}

/// A length that is not the standard's may be true (model 1 has 65 registers on half of all devices) or a
/// lie. It is a lie where no model that anybody knows, and no end, follows at the stated place, and one does
/// where the standard's length leads.
async fn next_where_length_lies(
    reader: &mut Reader,
    model: ModelPlace,
    true_len: u16,
    map: &Map,
) -> Result<Option<u16>, SunSpecError> {
    let Some(stated) = after(model, model.len) else {
        return Ok(None);
    };
    if header(reader, stated, map).await?.is_some_and(is_known) {
        return Ok(None);
    }
    let Some(standard) = after(model, true_len) else {
        return Ok(None);
    };
    let follows = header(reader, standard, map).await?.is_some_and(is_known);
    Ok(follows.then_some(standard))
}

/// A model of the standard or the end model.
fn is_known(place: ModelPlace) -> bool {
    (place.id == END_MODEL && place.len == 0) || (place.len != 0 && models::find(place.id).is_some())
}

//! From a spec to registers.

use super::models::{self, Ratings};
use super::profiled;
use super::spec::DeviceSpec;
use crate::registers::{RegisterMap, shared_layout};
use thiserror::Error;

/// Why a device cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The simulators have no such model.
    #[error("{device}: the simulators do not know model {model}; the README lists those that they know")]
    NoModel {
        /// The device's name.
        device: String,
        /// The model asked for.
        model: u16,
    },
    /// The chain runs over the end of the register space.
    #[error("{device}: its models do not fit between base {base} and register 65535; choose a lower base")]
    NoRoom {
        /// The device's name.
        device: String,
        /// The base asked for.
        base: u16,
    },
}

impl BuildError {
    /// The key of a home's file by which it can be mended.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::NoModel { .. } => "models",
            Self::NoRoom { .. } => "base",
        }
    }
}

/// The registers of a device before anything has been measured.
pub(crate) fn registers(spec: &DeviceSpec, ratings: &Ratings) -> Result<RegisterMap, BuildError> {
    if let Some(profile) = &spec.profile {
        return Ok(profiled::registers(profile, ratings));
    }
    let ids = std::iter::once(1).chain(spec.models.iter().copied());
    let layouts = ids.map(|id| {
        shared_layout(id, &models::counts(id, ratings)).ok_or_else(|| BuildError::NoModel {
            device: spec.name.clone(),
            model: id,
        })
    });
    let layouts = layouts.collect::<Result<Vec<_>, _>>()?;
    let mut map = RegisterMap::sunspec(spec.base, layouts).ok_or_else(|| BuildError::NoRoom {
        device: spec.name.clone(),
        base: spec.base,
    })?;
    for n in 0..map.models().len() {
        if let Some(mut page) = map.page(n) {
            models::describe(&mut page, spec, ratings);
        }
    }
    Ok(map)
}

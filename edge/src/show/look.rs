//! Reading everything that a device shows, in as few requests as it takes.

use gridtally_registers::sunspec::{Kind, Layout, models};

use super::profiled;
use super::sight::{MapName, ModelSight, PointSight, Sight};
use super::{ShowError, Target, exact, now};
use crate::device::bus::{BusError, Table};
use crate::device::driver::lay_out;
use crate::device::sunspec::{HEADER_LEN, Image, Map, ModelPlace, Reader, SunSpecError, Unusable, discover};

/// After so many models in a row without an answer the device is left alone.
const SILENT_MAX: usize = 2;
/// So many connections are made to a device that keeps silent, before it is given up: the fifth is the one
/// that waits for a device that swallows its first seconds.
pub(super) const CONNECTIONS: u32 = 5;

/// Reads every point of a device.
///
/// # Errors
/// [`ShowError`]. A model that cannot be read does not hide the others: it is shown with the reason.
pub async fn look(target: &Target) -> Result<Sight, ShowError> {
    let mut reader = target.reader()?;
    look_on(&mut reader, target).await
}

/// Reads every point of a device with a reader that is there.
///
/// # Errors
/// As [`look`].
pub async fn look_on(reader: &mut Reader, target: &Target) -> Result<Sight, ShowError> {
    let seen = match &target.profile {
        Some(profile) => Ok(profiled::look(reader, profile).await),
        None => match map_of(reader, target.base).await {
            Ok(map) => Ok(look_at(reader, &map, |_| true).await),
            Err(error) => Err(error),
        },
    };
    seen.map_err(|why| ShowError::Device {
        place: target.to_string(),
        why,
    })
}

/// Finds the map. A connection that broke is made once more; a device that keeps silent is asked on a
/// few, because some swallow what comes first, and every so often the connection waits for that.
///
/// # Errors
/// [`SunSpecError`].
pub async fn map_of(reader: &mut Reader, base: Option<u16>) -> Result<Map, SunSpecError> {
    reader.begin(now(), true);
    let mut found = discover(reader, base).await;
    for attempt in 2..=CONNECTIONS {
        match &found {
            Err(SunSpecError::Bus(BusError::Timeout { .. })) => {}
            Err(SunSpecError::Bus(error)) if attempt == 2 && is_worth_another_try(error) => {}
            _ => break,
        }
        found = discover(reader, base).await;
    }
    if let Ok(map) = &found {
        reader.unit().know(map.canary());
    }
    found
}

const fn is_worth_another_try(error: &BusError) -> bool {
    matches!(
        error,
        BusError::Timeout { .. } | BusError::Transport(_) | BusError::Foreign(_) | BusError::Length { .. }
    )
}

/// Reads the models of a map whose numbers are wanted.
pub async fn look_at(reader: &mut Reader, map: &Map, wanted: impl Fn(u16) -> bool) -> Sight {
    let mut sight = Sight {
        base: Some(map.base),
        models: Vec::new(),
    };
    let mut silent = 0_usize;
    for (at, place) in map.models.iter().enumerate() {
        let before = map.models.iter().take(at);
        let mut model = ModelSight {
            name: MapName::Model(place.id),
            instance: before.filter(|other| other.id == place.id).count(),
            label: models::find(place.id).map_or("", |model| model.label).to_owned(),
            place: Some((place.address, place.len)),
            points: Vec::new(),
            problem: None,
        };
        if !wanted(place.id) {
            continue;
        }
        if models::find(place.id).is_none() {
            model.problem = Some("no model of this number is known here".to_owned());
        } else if silent >= SILENT_MAX {
            model.problem = Some("not asked: the device had fallen silent".to_owned());
        } else {
            match read(reader, place).await {
                Ok(points) => {
                    silent = 0;
                    model.points = points;
                }
                Err(error) => {
                    silent = if error.is_answer() {
                        0
                    } else {
                        silent.saturating_add(1)
                    };
                    model.problem = Some(error.to_string());
                }
            }
        }
        sight.models.push(model);
    }
    sight
}

async fn read(reader: &mut Reader, place: &ModelPlace) -> Result<Vec<PointSight>, SunSpecError> {
    match read_once(reader, place).await {
        Err(SunSpecError::Bus(error)) if is_worth_another_try(&error) => read_once(reader, place).await,
        read => read,
    }
}

/// In one request where the model fits one; else, or where the device refuses that, as it takes it.
async fn read_once(reader: &mut Reader, place: &ModelPlace) -> Result<Vec<PointSight>, SunSpecError> {
    let Some(model) = models::find(place.id) else {
        return Ok(Vec::new());
    };
    let total = place.len.saturating_add(HEADER_LEN);
    let is_fixed = model.root.groups.is_empty();
    let count = match Layout::new(model, &[]) {
        Some(layout) if is_fixed => total.min(layout.length().saturating_add(HEADER_LEN)),
        _ => total,
    };
    if count <= reader.limit() {
        match reader.read(Table::Holding, place.address, count).await {
            Ok(words) => {
                if words.get(..2) != Some(&[place.id, place.len]) {
                    return Err(SunSpecError::Shifted {
                        model: place.id,
                        address: place.address,
                    });
                }
                let body = words.get(usize::from(HEADER_LEN)..).unwrap_or_default();
                let layout = Layout::counted(model, body, place.len);
                // A fixed model that states fewer registers than it has by the standard shows those that fit.
                return Ok(points(place, &Image::of(&layout, &words)));
            }
            Err(BusError::Exception(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let layout = lay_out(reader, place).await?;
    let image = reader.whole_model(place, &layout).await?;
    Ok(points(place, &image))
}

fn points(place: &ModelPlace, image: &Image<'_>) -> Vec<PointSight> {
    let end = place.len.saturating_add(HEADER_LEN);
    let of = |point: &gridtally_registers::sunspec::Placed| {
        let fits = point.offset.saturating_add(point.kind().words()) <= end;
        let raw = if fits {
            image.raw(point)
        } else {
            Err(Unusable::Absent)
        };
        let value = raw
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|_| match point.kind() {
                Kind::Text(_) => image.text_of(point),
                Kind::Pad => Err(Unusable::NotImplemented),
                _ => image.number_of(point).map(exact),
            });
        let is_filler = point.kind() == Kind::Pad;
        PointSight {
            point: point.path.clone(),
            raw: raw.unwrap_or_default(),
            value: value.map_err(|why| match why {
                Unusable::NotImplemented if is_filler => "a filler, which has no value".to_owned(),
                why => why.to_string(),
            }),
            unit: point.definition.unit.to_owned(),
            is_filler,
        }
    };
    image.layout().points().iter().map(of).collect()
}

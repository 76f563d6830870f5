//! A device with a SunSpec map: which points of which models are its channels.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_registers::sunspec::{Layout, models};

use super::{DriverError, Found};
use crate::config::{DeviceConfig, DeviceKind};
use crate::device::bus::BusError;
use crate::device::live::Live;
use crate::device::reading::{Count, Counter, Observed, Step};
use crate::device::sunspec::{
    HEADER_LEN, Image, Map, ModelPlace, Number, Reader, SunSpecError, Unusable, discover,
};

/// Integer models before float models, whose counters lose the watt-hours from 16.8 MWh on; of several
/// generations at once (devices are known that serve 103 and 113) one is taken, never both.
const METERS: [u16; 8] = [203, 204, 202, 201, 213, 214, 212, 211];
const INVERTERS: [u16; 7] = [103, 102, 101, 701, 113, 112, 111];
/// 701 alone counts both directions.
const BATTERIES: [u16; 7] = [701, 103, 102, 101, 113, 112, 111];
const CHARGES: [u16; 3] = [713, 802, 124];
const DC_PORTS: [u16; 2] = [714, 160];
/// The kinds of a port (model 714, PrtTyp).
const PORT_PV: i128 = 0;
const PORT_STORAGE: i128 = 1;
const FULL: i64 = 100_000;

/// A device with a SunSpec map.
#[derive(Debug)]
pub(super) struct SunSpecDriver {
    kind: DeviceKind,
    base: Option<u16>,
    instance: usize,
    export_is_positive: bool,
    counters_are_swapped: bool,
    integrates_power: bool,
    known: Option<Known>,
}

/// What was learnt of the device.
#[derive(Debug)]
struct Known {
    map: Map,
    /// The connection on which it was last asked who it is, and what it said: a number made of manufacturer,
    /// model and serial number.
    identity: Option<(u64, Option<u64>)>,
    /// By the address of the model.
    layouts: BTreeMap<u16, Arc<Layout>>,
    /// The counters of the ports that a quantity is made of.
    ports: BTreeMap<Quantity, Vec<String>>,
}

/// A quantity's points in one model.
struct Place {
    quantity: Quantity,
    model: ModelPlace,
    paths: Vec<String>,
}

impl SunSpecDriver {
    pub(super) const fn new(config: &DeviceConfig) -> Self {
        Self {
            kind: config.kind,
            base: config.base,
            instance: config.instance,
            export_is_positive: config.export_is_positive,
            counters_are_swapped: config.counters_are_swapped,
            integrates_power: config.integrates_power,
            known: None,
        }
    }

    /// Reads these quantities, and the powers that their models show besides.
    pub(super) async fn read(
        &mut self,
        reader: &mut Reader,
        quantities: &[Quantity],
    ) -> Result<Found, DriverError> {
        let mut known = self.know(reader).await?;
        let found = self.read_and_identify(reader, &mut known, quantities).await;
        let errors = match &found {
            Ok(found) => found
                .values
                .iter()
                .filter_map(|(_, value)| value.as_ref().err())
                .collect(),
            Err(error) => vec![error],
        };
        if !errors.into_iter().any(is_out_of_date) {
            self.known = Some(known);
        }
        found
    }

    async fn read_and_identify(
        &self,
        reader: &mut Reader,
        known: &mut Known,
        quantities: &[Quantity],
    ) -> Result<Found, DriverError> {
        let mut found = self.read_known(reader, known, quantities).await?;
        // Whoever answers on a new connection may be another device.
        if known
            .identity
            .is_none_or(|(connection, _)| connection != reader.connection())
        {
            let identity = identity(reader, known).await?;
            known.identity = Some((reader.connection(), identity));
        }
        for (_, value) in &mut found.values {
            if let Ok(Observed::Counter(counter)) = value {
                counter.device = known.identity.and_then(|(_, identity)| identity);
            }
        }
        Ok(found)
    }

    /// The first of these models that the device has, with its layout.
    pub(super) async fn find(
        &mut self,
        reader: &mut Reader,
        wanted: &[u16],
    ) -> Result<(ModelPlace, Arc<Layout>), DriverError> {
        let mut known = self.know(reader).await?;
        let found = async {
            let place = known.map.find(wanted, 0)?;
            let layout = known.layout(reader, &place).await?;
            Ok((place, layout))
        }
        .await;
        if !found.as_ref().err().is_some_and(is_out_of_date) {
            self.known = Some(known);
        }
        found
    }

    /// What was learnt of the map is no longer true.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    async fn know(&mut self, reader: &mut Reader) -> Result<Known, DriverError> {
        if let Some(known) = self.known.take() {
            return Ok(known);
        }
        reader.unit().forget();
        let map = discover(reader, self.base).await?;
        let ids: Vec<u16> = map.models.iter().map(|model| model.id).collect();
        tracing::debug!(models = ?ids, "found the SunSpec map");
        reader.unit().know(map.canary());
        Ok(Known {
            map,
            identity: None,
            layouts: BTreeMap::new(),
            ports: BTreeMap::new(),
        })
    }

    async fn read_known(
        &self,
        reader: &mut Reader,
        known: &mut Known,
        quantities: &[Quantity],
    ) -> Result<Found, DriverError> {
        let mut found = Found::default();
        let mut wanted: BTreeMap<u16, Vec<Place>> = BTreeMap::new();
        for &quantity in quantities {
            match self.place(reader, known, quantity).await {
                Ok(place) => wanted.entry(place.model.address).or_default().push(place),
                Err(error @ DriverError::SunSpec(SunSpecError::NoModel { .. })) => {
                    found.values.push((quantity, Err(error)));
                }
                Err(error) => return Err(error),
            }
        }
        for places in wanted.into_values() {
            let Some(model) = places.first().map(|place| place.model) else {
                continue;
            };
            let layout = known.layout(reader, &model).await?;
            let powers = power_paths(&layout);
            let paths = places.iter().flat_map(|place| &place.paths).chain(&powers);
            let image = reader.model(&model, &layout, paths.map(String::as_str)).await?;
            for place in &places {
                let value = observed(&image, place).map_err(DriverError::from);
                if let Ok(Observed::Level(level)) = value {
                    found.live.charge = Some(level);
                }
                found.values.push((place.quantity, value));
            }
            found.live = self.live(&image).or(found.live);
        }
        Ok(found)
    }

    /// Where a quantity stands on this device.
    async fn place(
        &self,
        reader: &mut Reader,
        known: &mut Known,
        quantity: Quantity,
    ) -> Result<Place, DriverError> {
        let is_hybrid = self.kind == DeviceKind::HybridInverter;
        let candidates: &[u16] = match quantity {
            Quantity::GridImport | Quantity::GridExport => &METERS,
            Quantity::StateOfCharge => &CHARGES,
            _ if is_hybrid => &DC_PORTS,
            Quantity::PvProduction => &INVERTERS,
            Quantity::BatteryDischarge => &BATTERIES,
            Quantity::BatteryCharge => &[701],
        };
        let instance = if quantity == Quantity::StateOfCharge {
            0
        } else {
            self.instance
        };
        let model = known.map.find(candidates, instance)?;
        let path = |path: &str| vec![path.to_owned()];
        let paths = match (quantity, model.id) {
            _ if self.integrates_power && quantity.is_energy() => Vec::new(),
            (_, 714 | 160) if is_hybrid && quantity != Quantity::StateOfCharge => {
                if !known.ports.contains_key(&quantity) {
                    let layout = known.layout(reader, &model).await?;
                    let image = reader.whole_model(&model, &layout).await?;
                    known.ports.insert(quantity, port_paths(&image, quantity));
                }
                known.ports.get(&quantity).cloned().unwrap_or_default()
            }
            (Quantity::GridImport, _) if self.counters_are_swapped => path("TotWhExp"),
            (Quantity::GridExport, _) if self.counters_are_swapped => path("TotWhImp"),
            (Quantity::GridImport, _) => path("TotWhImp"),
            (Quantity::GridExport, _) => path("TotWhExp"),
            (Quantity::StateOfCharge, 124) => path("ChaState"),
            (Quantity::StateOfCharge, _) => path("SoC"),
            (Quantity::BatteryCharge, _) => path("TotWhAbs"),
            (_, 701) => path("TotWhInj"),
            (_, _) => path("WH"),
        };
        Ok(Place {
            quantity,
            model,
            paths,
        })
    }

    /// The powers that a model shows.
    fn live(&self, image: &Image<'_>) -> Live {
        let mut live = Live::default();
        // Model 802 has a W too, of the cells and with the other sign.
        let is_of_the_ac_side =
            METERS.contains(&image.layout().id()) || INVERTERS.contains(&image.layout().id());
        let power = is_of_the_ac_side
            .then(|| image.milli("W").ok().map(Milliwatts::new))
            .flatten();
        match self.kind {
            DeviceKind::GridMeter => {
                live.grid = if self.export_is_positive {
                    power.and_then(negative)
                } else {
                    power
                };
            }
            DeviceKind::PvInverter => live.pv = power,
            DeviceKind::BatteryInverter => live.battery = power,
            DeviceKind::HybridInverter => {
                live.pv = ports_power(image, Quantity::PvProduction);
                live.battery = ports_power(image, Quantity::BatteryDischarge);
            }
        }
        live
    }
}

/// A map that shifted, or that lacks what is needed because its walk was cut short by nonsense, or by which a
/// line cannot be brought into step, is found anew the next time.
const fn is_out_of_date(error: &DriverError) -> bool {
    matches!(
        error,
        DriverError::SunSpec(
            SunSpecError::Shifted { .. }
                | SunSpecError::NoModel { .. }
                | SunSpecError::Bus(BusError::NotInStep)
        )
    )
}

impl Known {
    async fn layout(&mut self, reader: &mut Reader, model: &ModelPlace) -> Result<Arc<Layout>, SunSpecError> {
        if let Some(layout) = self.layouts.get(&model.address) {
            return Ok(Arc::clone(layout));
        }
        let layout = Arc::new(lay_out(reader, model).await?);
        self.layouts.insert(model.address, Arc::clone(&layout));
        Ok(layout)
    }
}

/// Lays a model out as its counting points say.
pub(crate) async fn lay_out(reader: &mut Reader, place: &ModelPlace) -> Result<Layout, SunSpecError> {
    let unknown = || SunSpecError::NoModel {
        wanted: vec![place.id],
        found: Vec::new(),
    };
    let model = models::find(place.id).ok_or_else(unknown)?;
    let flat = Layout::new(model, &[]).ok_or_else(unknown)?;
    if model.root.groups.is_empty() {
        return Ok(flat);
    }
    let image = reader.whole_model(place, &flat).await?;
    let words = image.words();
    let fixed = words.get(usize::from(HEADER_LEN)..).unwrap_or(&[]);
    Ok(Layout::counted(model, fixed, place.len))
}

/// A number of 64 bits for who the device says that it is; `None` where it has no model 1, or no serial
/// number in it: two devices of one model are not told apart then.
async fn identity(reader: &mut Reader, known: &mut Known) -> Result<Option<u64>, SunSpecError> {
    let Ok(place) = known.map.find(&[1], 0) else {
        return Ok(None);
    };
    let layout = known.layout(reader, &place).await?;
    let image = reader.model(&place, &layout, ["Mn", "Md", "SN"]).await?;
    let texts = ["Mn", "Md", "SN"].map(|path| image.text(path).unwrap_or_default());
    if texts.last().is_none_or(String::is_empty) {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(texts.join("\0").as_bytes()).as_bytes();
    Ok(Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}

fn observed(image: &Image<'_>, place: &Place) -> Result<Observed, SunSpecError> {
    let absent = || SunSpecError::Point {
        model: place.model.id,
        point: place.quantity.name().to_owned(),
        why: Unusable::Absent,
    };
    let (path, others) = place.paths.split_first().ok_or_else(absent)?;
    if place.quantity == Quantity::StateOfCharge {
        let level = image.milli(path)?;
        return image.at(path, |_| {
            let fits = (0..=FULL).contains(&level);
            let beyond = || Unusable::Value(format!("a charge of {level} thousandths of a percent"));
            fits.then_some(Observed::Level(level)).ok_or_else(beyond)
        });
    }
    let first = count(image, path)?;
    let count = others
        .iter()
        .try_fold(first, |sum, path| sum_of(image, sum, count(image, path)?))?;
    Ok(Observed::Counter(Counter { count, device: None }))
}

/// A lifetime counter with the width at which it starts over.
fn count(image: &Image<'_>, path: &str) -> Result<Count, SunSpecError> {
    let number = image.number(path)?;
    image.at(path, |point| {
        let beyond = || Unusable::Value(number.to_string());
        match number {
            Number::Scaled { integer, exponent } => Ok(Count::Integer {
                count: u64::try_from(integer).map_err(|_| beyond())?,
                bits: u8::try_from(point.kind().words() * 16).map_err(|_| beyond())?,
                step: Step::of_scale(exponent).ok_or_else(beyond)?,
            }),
            Number::Single(bits) => Step::of_scale(0)
                .and_then(|step| Count::of_f32(bits, step))
                .ok_or_else(beyond),
        }
    })
}

/// Ports are counted one by one; the device's sum has no width of its own at which it starts over.
fn sum_of(image: &Image<'_>, sum: Count, next: Count) -> Result<Count, SunSpecError> {
    if let (
        Count::Integer { count: a, step, .. },
        Count::Integer {
            count: b, step: same, ..
        },
    ) = (sum, next)
        && step == same
        && let Some(count) = a.checked_add(b)
    {
        return Ok(Count::Integer {
            count,
            bits: 64,
            step,
        });
    }
    Err(SunSpecError::Point {
        model: image.layout().id(),
        point: "the sum of the ports".to_owned(),
        why: Unusable::Value("counters that cannot be added".to_owned()),
    })
}

/// The counters of the ports that a quantity is made of: by their kind in model 714, by their names in model
/// 160, where a battery stands as two modules, one for each direction.
fn port_paths(image: &Image<'_>, quantity: Quantity) -> Vec<String> {
    ports(image)
        .into_iter()
        .filter_map(|(prefix, port)| {
            let counter = match (port, quantity) {
                (Port::Pv, Quantity::PvProduction) if image.layout().id() == 160 => "DCWH",
                (Port::ChargeOnly, Quantity::BatteryCharge) => "DCWH",
                (Port::DischargeOnly, Quantity::BatteryDischarge) => "DCWH",
                (Port::Pv, Quantity::PvProduction) => "DCWhInj",
                (Port::Storage, Quantity::BatteryDischarge) => "DCWhInj",
                (Port::Storage, Quantity::BatteryCharge) => "DCWhAbs",
                _ => return None,
            };
            Some(format!("{prefix}.{counter}"))
        })
        .collect()
}

fn ports_power(image: &Image<'_>, quantity: Quantity) -> Option<Milliwatts> {
    let mut sum: Option<i64> = None;
    for (prefix, port) in ports(image) {
        let sign = match (port, quantity) {
            (Port::Pv, Quantity::PvProduction) => 1,
            (Port::Storage | Port::DischargeOnly, Quantity::BatteryDischarge) => 1,
            (Port::ChargeOnly, Quantity::BatteryDischarge) => -1,
            _ => continue,
        };
        let power = image.milli(&format!("{prefix}.DCW")).ok()?.checked_mul(sign)?;
        sum = Some(sum.unwrap_or(0).checked_add(power)?);
    }
    sum.map(Milliwatts::new)
}

#[derive(Debug, Clone, Copy)]
enum Port {
    Pv,
    Storage,
    ChargeOnly,
    DischargeOnly,
}

fn ports(image: &Image<'_>) -> Vec<(String, Port)> {
    let layout = image.layout();
    let prefixes = layout.points().iter().filter_map(|point| {
        let prefix = point.path.strip_suffix(".DCW")?;
        Some(prefix.to_owned())
    });
    prefixes
        .filter_map(|prefix| {
            let port = if layout.id() == 714 {
                match image.number(&format!("{prefix}.PrtTyp")).ok()? {
                    Number::Scaled { integer: PORT_PV, .. } => Port::Pv,
                    Number::Scaled {
                        integer: PORT_STORAGE,
                        ..
                    } => Port::Storage,
                    _ => return None,
                }
            } else {
                let name = image
                    .text(&format!("{prefix}.IDStr"))
                    .unwrap_or_default()
                    .to_lowercase();
                match name.as_str() {
                    name if name.contains("stdischa") => Port::DischargeOnly,
                    name if name.contains("stcha") => Port::ChargeOnly,
                    name if name.contains("batt") => return None,
                    _ => Port::Pv,
                }
            };
            Some((prefix, port))
        })
        .collect()
}

/// The points that [`SunSpecDriver::live`] looks at.
fn power_paths(layout: &Layout) -> Vec<String> {
    let is_power = |path: &str| {
        path == "W" || path.ends_with(".DCW") || path.ends_with(".PrtTyp") || path.ends_with(".IDStr")
    };
    let points = layout.points().iter().map(|point| point.path.clone());
    points.filter(|path| is_power(path)).collect()
}

fn negative(power: Milliwatts) -> Option<Milliwatts> {
    power.get().checked_neg().map(Milliwatts::new)
}

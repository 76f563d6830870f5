//! What a device may be, by its models. A guess: its owner decides.

use rust_decimal::Decimal;

use crate::config::DeviceKind;
use crate::show::Sight;

const METERS: [u16; 8] = [201, 202, 203, 204, 211, 212, 213, 214];
const INVERTERS: [u16; 7] = [101, 102, 103, 111, 112, 113, 701];
const STORAGE: [u16; 3] = [124, 713, 802];
/// Models whose ports or modules tell panels from batteries.
const PORTS: [u16; 2] = [714, 160];
/// Where the greatest power stands, the nameplate before the setting.
const RATINGS: [(u16, &str); 3] = [(120, "WRtg"), (702, "WMaxRtg"), (121, "WMax")];
/// `PrtTyp` of model 714.
const PORT_PV: &str = "0";
const PORT_STORAGE: &str = "1";

/// What a device may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guess {
    /// Its kinds: an inverter that shows the meter behind it as well is two devices of the config.
    pub kinds: Vec<DeviceKind>,
    /// The greatest power of the inverter, in watts.
    pub nameplate: Option<Decimal>,
    /// How many meters are in its map.
    pub meters: usize,
}

/// Whether a guess looks at the model.
#[must_use]
pub fn is_telling(model: u16) -> bool {
    model == 1 || PORTS.contains(&model) || RATINGS.iter().any(|(rating, _)| *rating == model)
}

/// The name of a kind in the config.
#[must_use]
pub const fn word(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::GridMeter => "grid_meter",
        DeviceKind::PvInverter => "pv_inverter",
        DeviceKind::BatteryInverter => "battery_inverter",
        DeviceKind::HybridInverter => "hybrid_inverter",
    }
}

/// Judges the numbers of all models and the contents of those that are [telling](is_telling).
#[must_use]
pub fn guess(models: &[u16], sight: &Sight) -> Guess {
    let has = |wanted: &[u16]| models.iter().any(|model| wanted.contains(model));
    let (mut has_pv, mut has_battery) = (false, false);
    for is_battery in ports(sight) {
        has_battery |= is_battery;
        has_pv |= !is_battery;
    }
    let stores = has(&STORAGE) || has_battery;
    let mut kinds = Vec::new();
    if has(&INVERTERS) {
        kinds.push(match (stores, has_pv) {
            (false, _) => DeviceKind::PvInverter,
            (true, true) => DeviceKind::HybridInverter,
            (true, false) => DeviceKind::BatteryInverter,
        });
    }
    let meters = models.iter().filter(|model| METERS.contains(model)).count();
    if meters > 0 {
        kinds.push(DeviceKind::GridMeter);
    }
    let nameplate = RATINGS.iter().find_map(|(model, path)| {
        let watts = sight.model(&[*model])?.number(path)?;
        (watts > Decimal::ZERO).then_some(watts)
    });
    Guess {
        kinds,
        nameplate,
        meters,
    }
}

/// Whether each DC port that is in use is a battery's.
fn ports(sight: &Sight) -> Vec<bool> {
    let Some(model) = sight.model(&PORTS) else {
        return Vec::new();
    };
    let of_port = |point: &crate::show::PointSight| {
        if point.point.ends_with(".PrtTyp") {
            return match point.value.as_deref() {
                Ok(PORT_PV) => Some(false),
                Ok(PORT_STORAGE) => Some(true),
                _ => None,
            };
        }
        if model.name == crate::show::MapName::Model(160) && point.point.ends_with(".IDStr") {
            let name = point.value.as_ref().ok()?.to_lowercase();
            return Some(["batt", "stcha", "stdischa"].iter().any(|it| name.contains(it)));
        }
        None
    };
    model.points.iter().filter_map(of_port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::{MapName, ModelSight, PointSight};

    fn model(number: u16, points: &[(&str, &str)]) -> ModelSight {
        let points = points.iter().map(|(point, value)| PointSight {
            point: (*point).to_owned(),
            raw: vec![0],
            value: Ok((*value).to_owned()),
            unit: String::new(),
            is_filler: false,
        });
        ModelSight {
            name: MapName::Model(number),
            instance: 0,
            label: String::new(),
            place: None,
            points: points.collect(),
            problem: None,
        }
    }

    fn kinds(models: &[u16], sights: Vec<ModelSight>) -> Vec<DeviceKind> {
        let sight = Sight {
            base: Some(0),
            models: sights,
        };
        guess(models, &sight).kinds
    }

    #[test]
    fn inverters_are_told_apart_by_their_storage_and_their_ports() {
        use DeviceKind::*;
        let modules = |names: &[&str]| {
            let points: Vec<String> = (0..names.len()).map(|n| format!("module[{n}].IDStr")).collect();
            let pairs: Vec<(&str, &str)> = points
                .iter()
                .map(String::as_str)
                .zip(names.iter().copied())
                .collect();
            vec![model(160, &pairs)]
        };
        assert_eq!(kinds(&[1, 103], vec![]), [PvInverter]);
        assert_eq!(kinds(&[1, 103, 124], vec![]), [BatteryInverter]);
        assert_eq!(
            kinds(&[1, 103, 160], modules(&["String 1", "String 2"])),
            [PvInverter]
        );
        assert_eq!(
            kinds(&[1, 103, 124, 160], modules(&["String", "Battery"])),
            [HybridInverter]
        );
        assert_eq!(
            kinds(&[1, 103, 124, 160], modules(&["MPPT 1", "StCha 3"])),
            [HybridInverter]
        );
        assert_eq!(
            kinds(&[1, 103, 124, 160], modules(&["Battery"])),
            [BatteryInverter]
        );
        let ports = vec![model(714, &[("Prt[0].PrtTyp", "0"), ("Prt[1].PrtTyp", "1")])];
        assert_eq!(kinds(&[1, 701, 713, 714], ports), [HybridInverter]);
        assert_eq!(kinds(&[1, 203], vec![]), [GridMeter]);
        assert_eq!(kinds(&[1, 103, 1, 203], vec![]), [PvInverter, GridMeter]);
        assert_eq!(kinds(&[1, 304], vec![]), []);
    }

    #[test]
    fn the_nameplate_is_the_rating_before_the_setting_and_never_nothing() {
        let sight = |models| Sight { base: None, models };
        let both = vec![model(121, &[("WMax", "4000")]), model(120, &[("WRtg", "5000.0")])];
        assert_eq!(guess(&[], &sight(both)).nameplate, Some(Decimal::from(5_000)));
        let zero = vec![model(120, &[("WRtg", "0")])];
        assert_eq!(guess(&[], &sight(zero)).nameplate, None);
    }
}

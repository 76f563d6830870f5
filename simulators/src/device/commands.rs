//! What the control models ask for: 123, 124, 704 and 715.

use super::control::{Fallback, Heartbeat, Place, Ramp, Reversion, Rule, Writable};
use super::models::Ratings;
use crate::physics::PowerWindow;
use crate::registers::RegisterMap;

/// 100 % in hundredths.
const FULL: i64 = 10_000;
/// Bits of model 124 `StorCtl_Mod`.
const LIMIT_CHARGE: i64 = 1;
const LIMIT_DISCHARGE: i64 = 2;

/// What is asked of an inverter now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commands {
    pub(crate) connected: bool,
    /// The most that it may give, in milliwatts.
    pub(crate) limit: Option<i64>,
    /// The most that the whole site may give to the grid, in milliwatts.
    pub(crate) export_limit: Option<i64>,
    /// What it shall give, in milliwatts.
    pub(crate) set_point: Option<i64>,
    /// Bounds of model 124 on the battery.
    pub(crate) window: PowerWindow,
    pub(crate) reserve_basis_points: i64,
    pub(crate) grid_charging: bool,
}

/// The writable points, timers, ramps and heartbeat of the models in a map.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    pub(crate) writable: Vec<Writable>,
    pub(crate) reversions: Vec<Reversion>,
    ramps: Ramps,
    pub(crate) heartbeat: Option<Heartbeat>,
}

#[derive(Debug, Default)]
struct Ramps {
    /// Model 123: 1 while connected. It has a window, but no ramp.
    connection: Option<Ramp>,
    /// Model 123: hundredths of a percent of `WMax`.
    limit: Option<Ramp>,
    /// Model 124: hundredths of a percent of `WChaMax`.
    charge: Option<Ramp>,
    discharge: Option<Ramp>,
}

impl Ramps {
    fn each(&self) -> impl Iterator<Item = &Ramp> {
        [&self.connection, &self.limit, &self.charge, &self.discharge]
            .into_iter()
            .flatten()
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Ramp> {
        [
            &mut self.connection,
            &mut self.limit,
            &mut self.charge,
            &mut self.discharge,
        ]
        .into_iter()
        .flatten()
    }
}

fn number(map: &RegisterMap, model: u16, point: &str) -> Option<i64> {
    Place::find(map, model, point)?.get(map)
}

fn connection(map: &RegisterMap) -> i64 {
    number(map, 123, "Conn").unwrap_or(1)
}

fn basic_limit(map: &RegisterMap) -> i64 {
    if number(map, 123, "WMaxLim_Ena") == Some(1) {
        number(map, 123, "WMaxLimPct").unwrap_or(FULL)
    } else {
        FULL
    }
}

fn charge_rate(map: &RegisterMap) -> i64 {
    bounded(map, LIMIT_CHARGE, "InWRte")
}

fn discharge_rate(map: &RegisterMap) -> i64 {
    bounded(map, LIMIT_DISCHARGE, "OutWRte")
}

fn bounded(map: &RegisterMap, bit: i64, rate: &str) -> i64 {
    let mode = number(map, 124, "StorCtl_Mod").unwrap_or(0);
    if mode & bit == 0 {
        FULL
    } else {
        number(map, 124, rate).unwrap_or(FULL)
    }
}

impl Panel {
    pub(crate) fn new(map: &RegisterMap, ratings: &Ratings, heartbeat_seconds: i64) -> Self {
        let mut panel = Self::default();
        panel.wire_basic(map);
        panel.wire_storage(map);
        panel.wire_der(map, ratings);
        let beat = Place::find(map, 715, "ControllerHb");
        panel.heartbeat = beat.map(|place| Heartbeat::new(place, heartbeat_seconds));
        panel
    }

    fn allow(&mut self, map: &RegisterMap, model: u16, points: &[(&str, i64, i64)]) {
        for &(point, least, greatest) in points {
            if let Some(Place { address, kind }) = Place::find(map, model, point) {
                let (least, greatest) = (i128::from(least), i128::from(greatest));
                self.writable.push(Writable {
                    address,
                    length: kind.words(),
                    rule: Rule::Integer {
                        kind,
                        least,
                        greatest,
                    },
                });
            }
        }
    }

    fn wire_basic(&mut self, map: &RegisterMap) {
        let place = |point| Place::find(map, 123, point);
        let (Some(limit), Some(enable), Some(timer)) = (
            place("WMaxLimPct"),
            place("WMaxLim_Ena"),
            place("WMaxLimPct_RvrtTms"),
        ) else {
            return;
        };
        self.allow(
            map,
            123,
            &[
                ("Conn_WinTms", 0, 0xFFFE),
                ("Conn_RvrtTms", 0, 0xFFFE),
                ("Conn", 0, 1),
                ("WMaxLimPct", 0, FULL),
                ("WMaxLimPct_WinTms", 0, 0xFFFE),
                ("WMaxLimPct_RvrtTms", 0, 0xFFFE),
                ("WMaxLimPct_RmpTms", 0, 0xFFFE),
                ("WMaxLim_Ena", 0, 1),
            ],
        );
        let fallbacks = vec![(enable, Fallback::Value(0)), (limit, Fallback::Value(FULL))];
        self.reversions
            .push(Reversion::new(timer, (enable, 0), fallbacks));
        if let (Some(connect), Some(timer)) = (place("Conn"), place("Conn_RvrtTms")) {
            let fallbacks = vec![(connect, Fallback::Value(1))];
            self.reversions
                .push(Reversion::new(timer, (connect, 1), fallbacks));
            self.ramps.connection = Some(Ramp::new(map, connection, place("Conn_WinTms"), None));
        }
        let (window, time) = (place("WMaxLimPct_WinTms"), place("WMaxLimPct_RmpTms"));
        self.ramps.limit = Some(Ramp::new(map, basic_limit, window, time));
    }

    fn wire_storage(&mut self, map: &RegisterMap) {
        let place = |point| Place::find(map, 124, point);
        let (Some(mode), Some(out), Some(into), Some(timer)) = (
            place("StorCtl_Mod"),
            place("OutWRte"),
            place("InWRte"),
            place("InOutWRte_RvrtTms"),
        ) else {
            return;
        };
        self.allow(
            map,
            124,
            &[
                ("StorCtl_Mod", 0, LIMIT_CHARGE | LIMIT_DISCHARGE),
                ("MinRsvPct", 0, FULL),
                ("OutWRte", -FULL, FULL),
                ("InWRte", -FULL, FULL),
                ("InOutWRte_WinTms", 0, 0xFFFE),
                ("InOutWRte_RvrtTms", 0, 0xFFFE),
                ("InOutWRte_RmpTms", 0, 0xFFFE),
                ("ChaGriSet", 0, 1),
            ],
        );
        let fallbacks = vec![
            (mode, Fallback::Value(0)),
            (out, Fallback::Value(FULL)),
            (into, Fallback::Value(FULL)),
        ];
        self.reversions.push(Reversion::new(timer, (mode, 0), fallbacks));
        let (window, time) = (place("InOutWRte_WinTms"), place("InOutWRte_RmpTms"));
        self.ramps.charge = Some(Ramp::new(map, charge_rate, window, time));
        self.ramps.discharge = Some(Ramp::new(map, discharge_rate, window, time));
    }

    fn wire_der(&mut self, map: &RegisterMap, ratings: &Ratings) {
        let watts = ratings.watts;
        let least = if ratings.stores { -1 } else { 0 };
        let forever = 0xFFFF_FFFE;
        self.allow(map, 703, &[("ES", 0, 1)]);
        self.allow(
            map,
            704,
            &[
                ("WMaxLimPctEna", 0, 1),
                ("WMaxLimPct", 0, FULL),
                ("WMaxLimPctRvrt", 0, FULL),
                ("WMaxLimPctEnaRvrt", 0, 1),
                ("WMaxLimPctRvrtTms", 0, forever),
                ("WSetEna", 0, 1),
                ("WSetMod", 0, 1),
                ("WSet", least * watts, watts),
                ("WSetRvrt", least * watts, watts),
                ("WSetPct", least * FULL, FULL),
                ("WSetPctRvrt", least * FULL, FULL),
                ("WSetEnaRvrt", 0, 1),
                ("WSetRvrtTms", 0, forever),
            ],
        );
        self.allow(
            map,
            715,
            &[
                ("ControllerHb", 0, forever),
                ("AlarmReset", 0, 1),
                ("OpCtl", 0, 3),
            ],
        );
        self.wire_der_control(map, &["WMaxLimPct"], "WMaxLimPctEna", "WMaxLimPct", &[]);
        self.wire_der_control(map, &["WSet", "WSetPct"], "WSetEna", "WSet", &["WSetMod"]);
    }

    /// One of model 704's controls: values with their reversion values, a switch with its own.
    fn wire_der_control(
        &mut self,
        map: &RegisterMap,
        values: &[&str],
        switch: &str,
        stem: &str,
        watched: &[&str],
    ) {
        let place = |point: &str| Place::find(map, 704, point);
        let with = |suffix: &str| place(&format!("{stem}{suffix}"));
        let (Some(enable), Some(timer)) = (place(switch), with("RvrtTms")) else {
            return;
        };
        let pairs = values
            .iter()
            .map(|value| (place(value), place(&format!("{value}Rvrt"))));
        let pairs = pairs.chain([(Some(enable), with("EnaRvrt"))]);
        let fallbacks = pairs
            .filter_map(|(to, from)| Some((to?, Fallback::Point(from?))))
            .collect();
        let mut reversion = Reversion::new(timer, (enable, 0), fallbacks);
        reversion.remaining = with("RvrtRem");
        reversion.watched = watched.iter().filter_map(|point| place(point)).collect();
        self.reversions.push(reversion);
    }

    /// A client has written into the map.
    pub(crate) fn steer(&mut self, map: &RegisterMap, now: i64, random: &mut crate::random::Random) {
        for ramp in self.ramps.each_mut() {
            ramp.steer(map, now, random);
        }
    }

    /// The device has changed its controls by itself.
    pub(crate) fn jump(&mut self, map: &RegisterMap) {
        for ramp in self.ramps.each_mut() {
            ramp.jump(map);
        }
    }

    /// When a timer runs out or a ramp moves next.
    pub(crate) fn next_change(&self, now: i64) -> Option<i64> {
        let timers = self.reversions.iter().filter_map(Reversion::expires);
        let ramps = self.ramps.each().filter_map(|ramp| ramp.next_change(now));
        timers.chain(ramps).min()
    }

    /// What is asked for at this second. Percentages of model 124 are of `WChaMax`: a negative `InWRte`
    /// forces discharge, a negative `OutWRte` forces charge, for a limit below zero on one direction is
    /// a demand for the other.
    pub(crate) fn commands(&self, map: &RegisterMap, ratings: &Ratings, now: i64) -> Commands {
        let milliwatts = |watts: i64, percent: i64| watts * 1_000 * percent / FULL;
        let ramp = |ramp: &Option<Ramp>| ramp.as_ref().map_or(FULL, |ramp| ramp.value(now));
        let mut limits = Vec::new();
        let basic = ramp(&self.ramps.limit);
        limits.extend((basic < FULL).then(|| milliwatts(ratings.watts, basic)));
        if number(map, 704, "WMaxLimPctEna") == Some(1) {
            let percent = number(map, 704, "WMaxLimPct").unwrap_or(FULL);
            limits.push(milliwatts(ratings.watts, percent));
        }
        let limit = limits.into_iter().min();
        let asked = (number(map, 704, "WSetEna") == Some(1)).then(|| {
            if number(map, 704, "WSetMod") == Some(0) {
                milliwatts(ratings.watts, number(map, 704, "WSetPct").unwrap_or(0))
            } else {
                number(map, 704, "WSet").unwrap_or(0) * 1_000
            }
        });
        // A set-point beyond the limit is held at the limit.
        let set_point = asked.map(|power| limit.map_or(power, |limit| power.min(limit)));
        let mode = number(map, 124, "StorCtl_Mod").unwrap_or(0);
        let (charge, discharge) = (ramp(&self.ramps.charge), ramp(&self.ramps.discharge));
        let window = PowerWindow {
            least: (mode & LIMIT_CHARGE != 0 || charge != FULL)
                .then(|| -milliwatts(ratings.charge_watts, charge)),
            greatest: (mode & LIMIT_DISCHARGE != 0 || discharge != FULL)
                .then(|| milliwatts(ratings.discharge_watts, discharge)),
        };
        let stopped = number(map, 715, "OpCtl").is_some_and(|op| op == 0 || op == 2);
        let enabled = number(map, 703, "ES") != Some(0);
        Commands {
            connected: self
                .ramps
                .connection
                .as_ref()
                .is_none_or(|ramp| ramp.value(now) != 0)
                && enabled
                && !stopped,
            limit,
            export_limit: None,
            set_point,
            window,
            reserve_basis_points: number(map, 124, "MinRsvPct").unwrap_or(ratings.reserve_permille * 10),
            grid_charging: number(map, 124, "ChaGriSet").is_none_or(|set| set == 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::spec::{DeviceSpec, Generation, Phases, Role};

    fn window(mode: i64, out: i64, into: i64) -> PowerWindow {
        let mut home = crate::HomeSpec::draw(1);
        home.battery.power_watts = 4_000;
        let mut spec = DeviceSpec::new(Role::Battery, "B");
        spec.speak(Generation::Integer, Phases::Single);
        let ratings = Ratings::of(&spec, &home);
        let mut map = crate::device::build::registers(&spec, &ratings).unwrap();
        for (point, value) in [("StorCtl_Mod", mode), ("OutWRte", out), ("InWRte", into)] {
            Place::find(&map, 124, point).unwrap().set(&mut map, value);
        }
        let panel = Panel::new(&map, &ratings, 60);
        panel.commands(&map, &ratings, 0).window
    }

    #[test]
    fn the_two_rates_bound_the_power_from_both_sides() {
        assert_eq!(window(0, 5_000, 5_000), PowerWindow::OPEN);
        assert_eq!(window(1, 5_000, 2_500).least, Some(-1_000_000));
        assert_eq!(window(2, 5_000, 2_500).greatest, Some(2_000_000));
        let forced = PowerWindow {
            least: Some(3_000_000),
            greatest: Some(3_000_000),
        };
        assert_eq!(window(3, 7_500, -7_500), forced);
    }
}

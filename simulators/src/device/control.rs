//! Which points a client may write, the timers that take a control back, and ramps.

use crate::random::Random;
use crate::registers::{RegisterMap, Table};
use gridtally_registers::profile::{Encoding, Value};
use gridtally_registers::sunspec::Kind;
use rust_decimal::Decimal;

/// A point that accepts values within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writable {
    pub(crate) address: u16,
    pub(crate) length: u16,
    pub(crate) rule: Rule,
}

/// What a point accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An integer of SunSpec, not scaled.
    Integer { kind: Kind, least: i128, greatest: i128 },
    /// A number of a profile, in the unit and with the sign of its point; written as a whole or not at
    /// all.
    Number {
        encoding: Encoding,
        bounds: Option<(Decimal, Decimal)>,
    },
}

impl Writable {
    pub(crate) fn covers(&self, address: u16) -> bool {
        address
            .checked_sub(self.address)
            .is_some_and(|offset| offset < self.length)
    }

    /// Whether a write of registers without a gap may be one of this point.
    pub(crate) fn may_be_written_by(&self, touched: &[u16]) -> bool {
        match &self.rule {
            Rule::Integer { .. } => true,
            Rule::Number { .. } => {
                let covered = touched.iter().filter(|&&address| self.covers(address));
                covered.count() == usize::from(self.length)
            }
        }
    }

    /// Whether what stands in the map now is allowed.
    pub(crate) fn accepts(&self, map: &RegisterMap) -> bool {
        let Ok(words) = map.read(Table::Holding, self.address, self.length) else {
            return false;
        };
        match &self.rule {
            Rule::Integer {
                kind,
                least,
                greatest,
            } => kind
                .integer(words)
                .is_some_and(|value| (*least..=*greatest).contains(&value)),
            Rule::Number { encoding, bounds } => match encoding.decode(words) {
                Ok(Value::Number(value)) => {
                    bounds.is_none_or(|(least, greatest)| (least..=greatest).contains(&value))
                }
                _ => false,
            },
        }
    }
}

/// A point's registers, and the integer in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: u16,
    pub(crate) kind: Kind,
}

impl Place {
    /// A point of the first model of that number.
    pub(crate) fn find(map: &RegisterMap, model: u16, point: &str) -> Option<Self> {
        let (at, point) = map.find(model, 0, point)?;
        Some(Self {
            address: at.address_of(point),
            kind: point.kind(),
        })
    }

    /// `None` when it says that it is not implemented.
    pub(crate) fn get(self, map: &RegisterMap) -> Option<i64> {
        let words = map.read(Table::Holding, self.address, self.kind.words()).ok()?;
        let integer = self
            .kind
            .integer(words)
            .filter(|_| !self.kind.is_sentinel(words))?;
        i64::try_from(integer).ok()
    }

    pub(crate) fn set(self, map: &mut RegisterMap, value: i64) {
        map.put(Table::Holding, self.address, self.kind.encode(i128::from(value)));
    }

    fn overlaps(self, address: u16) -> bool {
        (self.address..self.address + self.kind.words()).contains(&address)
    }
}

/// What a control goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    Value(i64),
    /// What stands in another point: 704 has a reversion value for each of its values.
    Point(Place),
}

/// A reversion timer. Each accepted write to a point that it watches starts it anew, when the control
/// is then on and the timer is not 0; when it runs out, the points go back to their fallbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reversion {
    /// The point that holds the time in seconds.
    pub(crate) timer: Place,
    /// The point that says how much of it is left, where there is one.
    pub(crate) remaining: Option<Place>,
    /// The point that switches the control, and the value that means off.
    pub(crate) switch: (Place, i64),
    /// Other points that start the timer when they are written.
    pub(crate) watched: Vec<Place>,
    pub(crate) fallbacks: Vec<(Place, Fallback)>,
    expires: Option<i64>,
}

/// How the device's timers count, faults taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerHabit {
    pub(crate) counts: bool,
    pub(crate) unit_seconds: i64,
}

impl Reversion {
    pub(crate) fn new(timer: Place, switch: (Place, i64), fallbacks: Vec<(Place, Fallback)>) -> Self {
        Self {
            timer,
            remaining: None,
            switch,
            watched: Vec::new(),
            fallbacks,
            expires: None,
        }
    }

    pub(crate) fn is_touched_by(&self, addresses: &[u16]) -> bool {
        let places = self.fallbacks.iter().map(|(place, _)| *place);
        let mut places = places
            .chain([self.timer, self.switch.0])
            .chain(self.watched.iter().copied());
        places.any(|place| addresses.iter().any(|&address| place.overlaps(address)))
    }

    pub(crate) fn restart(&mut self, map: &RegisterMap, now: i64, habit: TimerHabit) {
        let (switch, off) = self.switch;
        let on = switch.get(map).is_some_and(|value| value != off);
        let seconds = self.timer.get(map).filter(|seconds| *seconds > 0);
        self.expires = seconds
            .filter(|_| on && habit.counts)
            .map(|seconds| now.saturating_add(seconds.saturating_mul(habit.unit_seconds)));
    }

    pub(crate) fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Whether its time is over.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Forgets its time: the control stays.
    pub(crate) fn stop(&mut self) {
        self.expires = None;
    }

    /// Shows how much time is left, where there is a point for it; what it cannot carry is its greatest
    /// number.
    pub(crate) fn count_down(&self, map: &mut RegisterMap, now: i64) {
        if let Some(remaining) = self.remaining {
            let left = self.expires.map_or(0, |at| at.saturating_sub(now));
            let greatest = i64::try_from(remaining.kind.range().1).unwrap_or(i64::MAX);
            remaining.set(map, left.min(greatest));
        }
    }

    pub(crate) fn take_back(&mut self, map: &mut RegisterMap) {
        self.expires = None;
        for (place, fallback) in &self.fallbacks {
            match fallback {
                Fallback::Value(value) => place.set(map, *value),
                Fallback::Point(other) => {
                    if let Some(value) = other.get(map) {
                        place.set(map, value);
                    }
                }
            }
        }
    }
}

/// A quantity that moves to a new target after a delay and over some time, as `WinTms` and `RmpTms`
/// say.
#[derive(Debug, Clone)]
pub(crate) struct Ramp {
    /// Where it shall go, by what stands in the registers.
    target_of: fn(&RegisterMap) -> i64,
    window: Option<Place>,
    time: Option<Place>,
    from: i64,
    target: i64,
    start: i64,
    end: i64,
}

impl Ramp {
    pub(crate) fn new(
        map: &RegisterMap,
        target_of: fn(&RegisterMap) -> i64,
        window: Option<Place>,
        time: Option<Place>,
    ) -> Self {
        let target = target_of(map);
        Self {
            target_of,
            window,
            time,
            from: target,
            target,
            start: i64::MIN,
            end: i64::MIN,
        }
    }

    /// The quantity at this second.
    pub(crate) fn value(&self, now: i64) -> i64 {
        if now >= self.end {
            self.target
        } else if now <= self.start {
            self.from
        } else {
            self.from + (self.target - self.from) * (now - self.start) / (self.end - self.start)
        }
    }

    /// When the quantity changes next.
    pub(crate) fn next_change(&self, now: i64) -> Option<i64> {
        (now < self.end).then(|| (now.max(self.start) + 1).min(self.end))
    }

    /// A client has written.
    pub(crate) fn steer(&mut self, map: &RegisterMap, now: i64, random: &mut Random) {
        let target = (self.target_of)(map);
        if target == self.target {
            return;
        }
        let seconds = |place: Option<Place>| place.and_then(|place| place.get(map)).unwrap_or(0);
        self.from = self.value(now);
        self.target = target;
        self.start = now + random.between(0, seconds(self.window));
        self.end = self.start + seconds(self.time);
    }

    /// The device itself has changed the registers: at once.
    pub(crate) fn jump(&mut self, map: &RegisterMap) {
        let target = (self.target_of)(map);
        if target != self.target {
            (self.from, self.target, self.start, self.end) = (target, target, i64::MIN, i64::MIN);
        }
    }
}

/// A controller's heartbeat (model 715): begun, it has to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    place: Place,
    seconds: i64,
    last: Option<(i64, i64)>,
}

impl Heartbeat {
    pub(crate) fn new(place: Place, seconds: i64) -> Self {
        Self {
            place,
            seconds,
            last: None,
        }
    }

    /// A client has written to these registers: a new value of the heartbeat is a beat.
    pub(crate) fn listen(&mut self, map: &RegisterMap, touched: &[u16], now: i64) {
        if !touched.iter().any(|&address| self.place.overlaps(address)) {
            return;
        }
        let Some(value) = self.place.get(map) else { return };
        if self.last.map_or(value != 0, |(last, _)| last != value) {
            self.last = Some((value, now));
        }
    }

    /// When it will have been missed.
    pub(crate) fn deadline(&self) -> Option<i64> {
        self.last.map(|(_, at)| at.saturating_add(self.seconds))
    }

    /// Whether it has been missed; told once.
    pub(crate) fn is_missed(&mut self, now: i64) -> bool {
        let missed = self.deadline().is_some_and(|deadline| deadline <= now);
        if missed {
            self.last = None;
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::RegisterMap;

    fn ramp(target: fn(&RegisterMap) -> i64) -> Ramp {
        Ramp::new(&RegisterMap::plain([]), target, None, None)
    }

    #[test]
    fn a_ramp_moves_evenly_from_the_old_value_to_the_new() {
        let mut ramp = ramp(|_| 100);
        (ramp.from, ramp.target, ramp.start, ramp.end) = (0, 100, 50, 60);
        let way: Vec<i64> = [49, 50, 51, 55, 60, 70]
            .iter()
            .map(|&now| ramp.value(now))
            .collect();
        assert_eq!(way, [0, 0, 10, 50, 100, 100]);
        assert_eq!(ramp.next_change(40), Some(51));
        assert_eq!(ramp.next_change(55), Some(56));
        assert_eq!(ramp.next_change(60), None);
    }

    #[test]
    fn a_heartbeat_counts_only_once_it_has_begun() {
        let place = Place {
            address: 0,
            kind: Kind::Uint32,
        };
        let mut map = RegisterMap::plain([(Table::Holding, 0, vec![0, 0])]);
        let mut heart = Heartbeat::new(place, 60);
        heart.listen(&map, &[1], 0);
        assert_eq!(heart.deadline(), None);
        place.set(&mut map, 1);
        heart.listen(&map, &[1], 10);
        assert!(!heart.is_missed(69));
        heart.listen(&map, &[1], 69);
        assert_eq!(heart.deadline(), Some(70), "the same value again is no beat");
        place.set(&mut map, 2);
        heart.listen(&map, &[1], 69);
        assert!(!heart.is_missed(128) && heart.is_missed(129) && !heart.is_missed(130));
    }
}

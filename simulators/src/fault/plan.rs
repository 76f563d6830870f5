//! When faults are in force.

use super::{Fault, FaultError};
use chrono::{DateTime, NaiveTime, Timelike};
use std::ops::Range;

const SECONDS_PER_DAY: i64 = 86_400;

/// When a fault is in force, in simulated time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// From one Unix second up to another.
    Once(Range<i64>),
    /// Each day from this second after midnight (UTC), for so many seconds.
    Daily {
        /// Seconds after midnight, UTC.
        from: i64,
        /// How long.
        seconds: i64,
    },
}

impl Schedule {
    /// Reads what a config file says: `from` as `14:00` (each day, UTC) or an RFC 3339 instant (once),
    /// `for` as `90s`, `10m` or `2h`.
    ///
    /// # Errors
    /// If either cannot be read.
    pub fn read(from: &str, duration: &str) -> Result<Self, FaultError> {
        let seconds = read_duration(duration)?;
        if let Ok(instant) = DateTime::parse_from_rfc3339(from) {
            let from = instant.timestamp();
            return Ok(Self::Once(from..from.saturating_add(seconds)));
        }
        let time =
            NaiveTime::parse_from_str(from, "%H:%M:%S").or_else(|_| NaiveTime::parse_from_str(from, "%H:%M"));
        let time = time.map_err(|_| FaultError::NoTime(from.to_owned()))?;
        Ok(Self::Daily {
            from: i64::from(time.num_seconds_from_midnight()),
            seconds,
        })
    }

    /// Whether the fault is in force at this Unix second; and if so, since when.
    fn since(&self, now: i64) -> Option<i64> {
        match self {
            Self::Once(span) => span.contains(&now).then_some(span.start),
            Self::Daily { from, seconds } => {
                let into = (now - from).rem_euclid(SECONDS_PER_DAY);
                (into < *seconds).then_some(now - into)
            }
        }
    }

    /// The next second at which it begins or ends.
    fn next_boundary(&self, now: i64) -> Option<i64> {
        match self {
            Self::Once(span) => [span.start, span.end].into_iter().find(|at| *at > now),
            Self::Daily { from, seconds } => {
                let next = |of_day: i64| now + 1 + (of_day - now - 1).rem_euclid(SECONDS_PER_DAY);
                Some(next(*from).min(next(from.saturating_add(*seconds).rem_euclid(SECONDS_PER_DAY))))
            }
        }
    }
}

/// No fault and no step of time is longer.
const LONGEST_SECONDS: i64 = 366 * SECONDS_PER_DAY;

/// Reads `90s`, `10m` or `2h` as seconds; a leap year at most.
pub(crate) fn read_duration(text: &str) -> Result<i64, FaultError> {
    let bad = || FaultError::NoTime(text.to_owned());
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(bad()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    let seconds = number.checked_mul(seconds);
    seconds
        .filter(|seconds| (0..=LONGEST_SECONDS).contains(seconds))
        .ok_or_else(bad)
}

/// A fault in force, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    pub(crate) since: i64,
}

/// The faults of one device: any number live, any number by schedule, at most one of each name in
/// force.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultPlan {
    live: Vec<Active>,
    scheduled: Vec<(Schedule, Fault)>,
}

impl FaultPlan {
    /// Switches a fault on; one of the same name is replaced.
    pub(crate) fn inject(&mut self, fault: Fault, now: i64) {
        self.eject(fault.name());
        self.live.push(Active { fault, since: now });
    }

    /// Switches a live fault off; whether there was one.
    pub(crate) fn eject(&mut self, name: &str) -> bool {
        let before = self.live.len();
        self.live.retain(|active| active.fault.name() != name);
        before != self.live.len()
    }

    /// Plans a fault; plans that are over by now are forgotten.
    pub(crate) fn schedule(&mut self, fault: Fault, schedule: Schedule, now: i64) {
        self.scheduled
            .retain(|(schedule, _)| schedule.next_boundary(now).is_some());
        self.scheduled.push((schedule, fault));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The faults in force: the live ones, then those that are scheduled for now, each name once.
    pub(crate) fn active(&self, now: i64) -> Vec<Active> {
        let mut active = self.live.clone();
        for (schedule, fault) in &self.scheduled {
            if let Some(since) = schedule.since(now)
                && active.iter().all(|other| other.fault.name() != fault.name())
            {
                active.push(Active { fault: *fault, since });
            }
        }
        active
    }

    /// Whether a fault of that name is on or will be.
    pub(crate) fn plans(&self, name: &str) -> bool {
        let scheduled = self.scheduled.iter().map(|(_, fault)| fault);
        let live = self.live.iter().map(|active| &active.fault);
        scheduled.chain(live).any(|fault| fault.name() == name)
    }

    /// When the next scheduled fault begins or ends.
    pub(crate) fn next_boundary(&self, now: i64) -> Option<i64> {
        self.scheduled
            .iter()
            .filter_map(|(schedule, _)| schedule.next_boundary(now))
            .min()
    }

    /// No fault, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.scheduled.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &FaultPlan, now: i64) -> Vec<&'static str> {
        plan.active(now)
            .iter()
            .map(|active| active.fault.name())
            .collect()
    }

    #[test]
    fn a_scheduled_fault_begins_and_ends_on_its_second() {
        let mut plan = FaultPlan::default();
        plan.schedule(Fault::Nonsense, Schedule::Once(100..200), 0);
        assert_eq!(names(&plan, 99), [""; 0]);
        assert_eq!(names(&plan, 100), ["nonsense"]);
        assert_eq!(names(&plan, 199), ["nonsense"]);
        assert_eq!(names(&plan, 200), [""; 0]);
        plan.inject(Fault::Offline, 150);
        assert_eq!(names(&plan, 150), ["offline", "nonsense"]);
        assert_eq!(plan.next_boundary(0), Some(100));
        assert_eq!(plan.next_boundary(100), Some(200));
        assert_eq!(plan.next_boundary(200), None);
        assert!(plan.eject("offline") && !plan.eject("offline"));
        plan.clear();
        assert_eq!(names(&plan, 150), [""; 0]);
    }

    #[test]
    fn a_daily_fault_comes_back_each_day_and_knows_since_when() {
        let mut plan = FaultPlan::default();
        plan.schedule(Fault::Frozen, Schedule::read("23:55", "10m").unwrap(), 0);
        for day in [0, 3 * SECONDS_PER_DAY] {
            let from = day + 23 * 3_600 + 55 * 60;
            assert_eq!(names(&plan, from - 1), [""; 0]);
            assert_eq!(plan.active(from + 599)[0].since, from, "past midnight");
            assert_eq!(names(&plan, from + 600), [""; 0]);
            assert_eq!(plan.next_boundary(from - 1), Some(from));
            assert_eq!(plan.next_boundary(from), Some(from + 600));
        }
    }

    #[test]
    fn times_are_read_or_refused() {
        assert_eq!(
            Schedule::read("1970-01-01T00:01:00Z", "90s"),
            Ok(Schedule::Once(60..150))
        );
        for (from, duration) in [
            ("25:00", "1m"),
            ("14:00", "10"),
            ("14:00", "-1m"),
            ("noon", "1h"),
            ("14:00", ""),
        ] {
            assert!(
                matches!(Schedule::read(from, duration), Err(FaultError::NoTime(_))),
                "{from} {duration}"
            );
        }
    }
}

//! Hourly readings and events, for cases that a person can follow.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use gridtally_settlement::rules::baseline::{
    BaselineRule, EventCalendar, Explanation, Frame, NoBaseline, Outcome, Series, SiteData, Verdict, work_out,
};
use gridtally_settlement::rules::exact::Ratio;

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub fn ratio(n: i128, d: i128) -> Ratio {
    Ratio::new(n, d).unwrap()
}

pub fn hour() -> IntervalLength {
    IntervalLength::from_seconds(3600).unwrap()
}

pub fn calendar(zone: Tz, start: &str, end: &str) -> EventCalendar {
    EventCalendar {
        zone,
        length: hour(),
        start: at(start),
        end: at(end),
        notified: None,
        holidays: BTreeSet::new(),
        event_days: BTreeSet::new(),
    }
}

/// Hourly readings from `from` on, in milliwatt-hours.
pub fn readings(from: &str, values: impl IntoIterator<Item = i64>) -> Vec<(Interval, MilliwattHours)> {
    let start = |i: i64| at(from).checked_add(i * 3600).unwrap();
    (0..)
        .zip(values)
        .map(|(i, v)| (Interval::new(start(i), hour()).unwrap(), MilliwattHours::new(v)))
        .collect()
}

pub fn series(frame: &Frame, readings: &[(Interval, MilliwattHours)]) -> Series {
    Series::new(frame, readings.iter().copied()).unwrap()
}

/// A preset with some of its document's lines replaced.
pub fn preset_with(name: &str, changes: &[(&str, &str)]) -> BaselineRule {
    let presets = gridtally_settlement::rules::baseline::PRESETS;
    let (_, text) = presets.iter().find(|(known, _)| *known == name).unwrap();
    let mut text = (*text).to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from:?}");
        text = text.replace(from, to);
    }
    BaselineRule::from_toml(name, &text).unwrap_or_else(|e| panic!("{e}"))
}

pub fn explanation(outcome: Outcome) -> Explanation {
    match outcome {
        Outcome::Baseline(explanation) => explanation,
        Outcome::NoBaseline(none) => panic!("{none:?}"),
    }
}

pub fn refusal(outcome: Outcome) -> NoBaseline {
    match outcome {
        Outcome::NoBaseline(none) => none,
        Outcome::Baseline(explanation) => panic!("{explanation:?}"),
    }
}

/// Friday 2026-07-17, 17:00 to 19:00 UTC.
pub fn friday() -> EventCalendar {
    calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T19:00:00Z")
}

/// A home that uses `in_event` kWh an hour from 17:00 to 19:00 and `outside` kWh otherwise, by day of July 2026.
pub fn july(days: impl IntoIterator<Item = (u32, i64, i64)>) -> Vec<(Interval, MilliwattHours)> {
    let mut all = Vec::new();
    for (day, in_event, outside) in days {
        let values = (0..24).map(|h| if h == 17 || h == 18 { in_event } else { outside } * 1_000_000);
        all.extend(readings(&format!("2026-07-{day:02}T00:00:00Z"), values));
    }
    all
}

/// What stands in for everything that a case does not say.
#[derive(Default)]
pub struct Site {
    pub readings: Vec<(Interval, MilliwattHours)>,
    pub outage_days: BTreeSet<NaiveDate>,
    pub net_metered: bool,
    pub temperatures: Option<BTreeMap<NaiveDate, Ratio>>,
    pub others: Vec<Vec<(Interval, MilliwattHours)>>,
    pub site_meter: Option<Vec<(Interval, MilliwattHours)>>,
    pub level_kw: Option<Ratio>,
}

impl Site {
    pub fn with(readings: Vec<(Interval, MilliwattHours)>) -> Self {
        Self {
            readings,
            ..Self::default()
        }
    }

    pub fn under(&self, rule: &BaselineRule, calendar: &EventCalendar) -> Outcome {
        let frame = Frame::new(rule, calendar).unwrap_or_else(|e| panic!("{e}"));
        let own = series(&frame, &self.readings);
        let others: Vec<_> = self.others.iter().map(|r| series(&frame, r)).collect();
        let site_meter = self.site_meter.as_ref().map(|r| series(&frame, r));
        let data = SiteData {
            net_metered: self.net_metered,
            temperatures: self.temperatures.as_ref(),
            others: &others,
            site_meter: site_meter.as_ref(),
            level_kw: self.level_kw,
            ..SiteData::new(&own, &self.outage_days)
        };
        work_out(&frame, &data).unwrap().outcome
    }
}

/// What became of a day of July 2026.
pub fn verdict(explanation: &Explanation, day: u32) -> Verdict {
    let date = date(&format!("2026-07-{day:02}"));
    explanation
        .candidates
        .iter()
        .find(|c| c.date == date)
        .unwrap()
        .verdict
}

/// The days of July 2026 that were chosen, oldest first.
pub fn chosen(explanation: &Explanation) -> Vec<u32> {
    explanation
        .chosen_days()
        .into_iter()
        .map(|d| chrono::Datelike::day(&d))
        .collect()
}

/// The baseline of each interval in kWh.
pub fn kwh(explanation: &Explanation) -> Vec<Ratio> {
    let million = Ratio::whole(1_000_000);
    explanation
        .intervals
        .iter()
        .map(|i| i.exact.checked_div(million).unwrap())
        .collect()
}

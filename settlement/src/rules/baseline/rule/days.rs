//! Which days are alike to a rule, and how many of them it takes.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::rules::calendar::DayKind;
use crate::rules::exact::Ratio;

/// How many days of a type the rule takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// The search ends when so many eligible days are found.
    pub look_for: u32,
    /// So many of them are averaged.
    pub keep: u32,
    /// With fewer there is no baseline.
    pub minimum: u32,
    /// What each of the kept days counts, in the order of their selection; empty where all count the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Ratio>,
}

/// Days that are alike to a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayType {
    /// Its name.
    pub name: String,
    /// The days that are of it.
    pub on: BTreeSet<DayKind>,
    /// How many of them are taken for an event on one of them.
    #[serde(flatten)]
    pub count: DayCount,
}

const WEEKDAY: [DayKind; 5] = [
    DayKind::Monday,
    DayKind::Tuesday,
    DayKind::Wednesday,
    DayKind::Thursday,
    DayKind::Friday,
];
const OTHER: [DayKind; 3] = [DayKind::Saturday, DayKind::Sunday, DayKind::Holiday];

impl DayType {
    /// Monday to Friday, without holidays.
    #[must_use]
    pub fn weekday(count: DayCount) -> Self {
        Self {
            name: "weekday".to_owned(),
            on: BTreeSet::from(WEEKDAY),
            count,
        }
    }

    /// Saturday, Sunday and holidays.
    #[must_use]
    pub fn other(count: DayCount) -> Self {
        Self {
            name: "other".to_owned(),
            on: BTreeSet::from(OTHER),
            count,
        }
    }

    pub(super) fn is_weekday(&self) -> bool {
        self.name == "weekday" && self.on == BTreeSet::from(WEEKDAY)
    }

    pub(super) fn is_other(&self) -> bool {
        self.name == "other" && self.on == BTreeSet::from(OTHER)
    }
}

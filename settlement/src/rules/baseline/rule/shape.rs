//! A rule as JSON, which its hash is taken of.
//!
//! What a rule leaves at its default is left out, so that a rule's hash outlives parameters that came later.

use serde::{Serialize, Serializer};

use super::{
    Adjustment, BaselineRule, Clip, Completeness, DayCount, DayType, Method, Selection, Shortfall,
    Sufficiency,
};
use crate::rules::exact::Ratio;

#[derive(Serialize)]
struct Shape<'r> {
    id: &'r str,
    about: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'r Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekday: Option<&'r DayCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<&'r DayCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day_types: Option<&'r [DayType]>,
    #[serde(flatten)]
    search: Option<Search>,
    adjustment: &'r Adjustment,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortfall: Option<Shortfall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sufficiency: Option<Sufficiency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_minimum: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<Clip>,
}

#[derive(Serialize)]
struct Search {
    lookback_days: u32,
    completeness: Completeness,
    low_use_below: Option<Ratio>,
    select: Selection,
}

impl Serialize for BaselineRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let compares = self.method.compares_days();
        let standard = match self.day_types.as_slice() {
            [weekday, other] if weekday.is_weekday() && other.is_other() => {
                Some((&weekday.count, &other.count))
            }
            _ => None,
        };
        let shape = Shape {
            id: &self.id,
            about: &self.about,
            method: Some(&self.method).filter(|m| **m != Method::DayMatching),
            weekday: standard.map(|(weekday, _)| weekday),
            other: standard.map(|(_, other)| other),
            day_types: (compares && standard.is_none()).then_some(&self.day_types),
            search: compares.then_some(Search {
                lookback_days: self.lookback_days,
                completeness: self.completeness,
                low_use_below: self.low_use_below,
                select: self.select,
            }),
            adjustment: &self.adjustment,
            shortfall: Some(self.shortfall).filter(|s| *s != Shortfall::UseFewer),
            sufficiency: self.sufficiency,
            sample_minimum: self.sample_minimum,
            clip: Some(self.clip).filter(|c| *c != Clip::None),
        };
        shape.serialize(serializer)
    }
}

//! When an event is settled anew, until when a statement may be disputed, and what becomes of small differences and
//! of what was paid too much.

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use crate::ledger::recovery::Share;
use crate::rules::document::{Found, Section};
use crate::rules::exact::Ratio;

const DAY: i64 = 86_400;
/// An event is settled anew at most so often by the calendar.
const DATES_MAX: usize = 12;
/// Two years: as long as the markets correct anything.
const DAYS_MAX: u32 = 731;

/// What a program's document says in `[resettlement]`. By default nothing is settled anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resettlement {
    /// So many days after its end an event is settled anew; ascending.
    pub after_days: Vec<u32>,
    /// So many days after a statement it may be disputed; 0: not at all.
    pub dispute_days: u32,
    /// A site whose difference is less than this keeps what it has, in base units.
    pub materiality: TokenAmount,
    /// The most that is kept of a later credit until what was paid too much is back.
    pub recovery: Share,
}

impl Default for Resettlement {
    fn default() -> Self {
        Self {
            after_days: Vec::new(),
            dispute_days: 0,
            materiality: TokenAmount::ZERO,
            recovery: Share::ALL,
        }
    }
}

impl Resettlement {
    /// The instants at which an event that ended at `end` is settled anew, by the days after which they come.
    pub fn calendar(&self, end: Timestamp) -> impl Iterator<Item = (u32, Timestamp)> {
        let at = move |days: &u32| Some((*days, end.checked_add(i64::from(*days).checked_mul(DAY)?)?));
        self.after_days.iter().filter_map(at)
    }

    /// The date of the calendar for which an event is due at `now`, after it was settled at `last`: the latest of
    /// those that passed since.
    #[must_use]
    pub fn due(&self, end: Timestamp, last: Timestamp, now: Timestamp) -> Option<u32> {
        let passed = self.calendar(end).filter(|(_, at)| last < *at && *at <= now);
        passed.last().map(|(days, _)| days)
    }

    /// When the calendar next asks for it after `last`.
    #[must_use]
    pub fn next(&self, end: Timestamp, last: Timestamp) -> Option<Timestamp> {
        self.calendar(end).map(|(_, at)| at).find(|at| *at > last)
    }

    /// Until when a statement of this instant may be disputed.
    #[must_use]
    pub fn disputable_until(&self, settled_at: Timestamp) -> Timestamp {
        let window = i64::from(self.dispute_days).saturating_mul(DAY);
        settled_at.checked_add(window).unwrap_or(settled_at)
    }

    /// Reads the section; amounts are of `asset`.
    pub(super) fn read(found: &Found<'_, '_>, asset: &Asset) -> Option<Self> {
        let mut s = found.section()?;
        let standard = Self::default();
        let after_days = match s.optional("after_days") {
            None => Some(standard.after_days),
            Some(v) => read_days(&v),
        };
        let dispute_days = match s.optional("dispute_days") {
            None => Some(standard.dispute_days),
            Some(v) => v.whole(0..=DAYS_MAX),
        };
        let materiality = match s.optional("materiality") {
            None => Some(standard.materiality),
            Some(v) => v.read_with(|text| super::read_price(text, asset)),
        };
        let recovery = read_recovery(&mut s, standard.recovery);
        s.finish();
        Some(Self {
            after_days: after_days?,
            dispute_days: dispute_days?,
            materiality: materiality?,
            recovery: recovery?,
        })
    }
}

fn read_days(found: &Found<'_, '_>) -> Option<Vec<u32>> {
    let days: Vec<_> = found
        .items(DATES_MAX)?
        .iter()
        .map(|v| v.whole(1..=DAYS_MAX))
        .collect();
    let days: Option<Vec<u32>> = days.into_iter().collect();
    let days = days?;
    if days.is_sorted_by(|a, b| a < b) {
        Some(days)
    } else {
        found.mistake("is not in ascending order, each day once")
    }
}

fn read_recovery(s: &mut Section<'_, '_>, standard: Share) -> Option<Share> {
    let Some(found) = s.optional("recovery_share") else {
        return Some(standard);
    };
    found.read_with(|text| {
        let ratio = if text.contains('/') {
            text.parse::<Ratio>().map_err(|e| e.to_string())?
        } else {
            let decimal = crate::rules::exact::read_decimal(text)?;
            Ratio::of_decimal(decimal).map_err(|e| e.to_string())?
        };
        let part = |n: i128| u32::try_from(n).map_err(|_| "is not within 0 to 1, or too fine".to_owned());
        Share::new(part(ratio.numerator())?, part(ratio.denominator())?).map_err(|e| e.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::EPOCH.checked_add(day * DAY).unwrap()
    }

    #[test]
    fn the_latest_date_that_passed_since_is_due() {
        let rules = Resettlement {
            after_days: vec![7, 30, 90],
            dispute_days: 14,
            ..Resettlement::default()
        };
        let (end, last) = (day(0), day(2));
        assert_eq!(rules.due(end, last, day(6)), None);
        assert_eq!(rules.due(end, last, day(7)), Some(7));
        assert_eq!(rules.due(end, last, day(40)), Some(30));
        assert_eq!(rules.due(end, day(40), day(89)), None);
        assert_eq!(rules.next(end, last), Some(day(7)));
        assert_eq!(rules.next(end, day(90)), None);
        assert_eq!(rules.disputable_until(last), day(16));
    }
}

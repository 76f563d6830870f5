//! What the engine's statements say, as the page, the metrics and Home Assistant are told.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::statement::{PartKind, SiteStatement, StatementLine, ZeroReason};

/// Of so many events, the latest, the single intervals are held in memory.
pub const DETAILED_MAX: usize = 30;

/// What was earned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earned {
    /// A number that grows with every change.
    pub revision: u64,
    /// The sum for each asset; none where it does not fit.
    pub totals: Vec<(Asset, Option<TokenAmount>)>,
    /// The statements, the latest event first; the lines of the first [`DETAILED_MAX`] only.
    pub statements: Vec<SiteStatement>,
}

impl Earned {
    /// From the statements, the latest event first.
    #[must_use]
    pub fn of(revision: u64, mut statements: Vec<SiteStatement>) -> Self {
        let mut totals: BTreeMap<&Asset, Result<TokenAmount, Overflow>> = BTreeMap::new();
        for statement in &statements {
            let total = totals.entry(&statement.asset).or_insert(Ok(TokenAmount::ZERO));
            *total = (*total).and_then(|sum| sum.checked_add(statement.totals.amount));
        }
        let totals = totals
            .into_iter()
            .map(|(asset, total)| (asset.clone(), total.ok()))
            .collect();
        for statement in statements.iter_mut().skip(DETAILED_MAX) {
            statement.lines = Vec::new();
        }
        Self {
            revision,
            totals,
            statements,
        }
    }

    /// Each total as a person reads it, exactly: `4.830000 FLEX`.
    pub fn shown_totals(&self) -> impl Iterator<Item = String> {
        self.totals.iter().map(|(asset, total)| match total {
            Some(total) => tokens(asset, *total),
            None => format!("more {} than can be added up", asset.code()),
        })
    }
}

/// `4.830000 FLEX`, every digit.
#[must_use]
pub fn tokens(asset: &Asset, amount: TokenAmount) -> String {
    format!("{} {}", asset.show(amount), asset.code())
}

/// What a part is for, as a person reads it.
#[must_use]
pub const fn part(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Energy => "Energy",
        PartKind::Capacity => "Nominated power",
        PartKind::SeasonAverage => "Mean power of the season",
        PartKind::Points => "Points",
        PartKind::Pool => "Share of the pool",
        PartKind::DataBonus => "Bonus for good data",
        PartKind::Fee => "Fee",
    }
}

/// How many of the lines earned nothing for each reason, the commonest first.
#[must_use]
pub fn zeros(lines: &[StatementLine]) -> Vec<(ZeroReason, usize)> {
    let mut counts: BTreeMap<ZeroReason, usize> = BTreeMap::new();
    for reason in lines.iter().filter_map(|line| line.reason) {
        let count = counts.entry(reason).or_default();
        *count = count.saturating_add(1);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    counts
}

/// A reason as the owner reads it.
#[must_use]
pub const fn sentence(reason: ZeroReason) -> &'static str {
    match reason {
        ZeroReason::OptedOut => "this home took no part: you or your settings opted out",
        ZeroReason::NoAnswer => "the engine got no answer from this box to the event",
        ZeroReason::NoBaseline => "there were too few comparable days to know the usual use",
        ZeroReason::Equivocation => "the box signed two different readings, so neither counts",
        ZeroReason::MissingReading => "what the meter counted is not known",
        ZeroReason::NotReduced => "the home used no less than usual",
        ZeroReason::ZeroPrice => "it counts, but the program paid nothing for it",
        ZeroReason::RoundedToZero => "it was less than the smallest part of a token",
        ZeroReason::PaidAsAWhole => "the program pays for the event as a whole, not for single intervals",
        ZeroReason::BelowZero => "over the whole event more was used than usual, and that is not charged",
        ZeroReason::NoPrice => "the price is not known yet; it is paid when it is",
        ZeroReason::NoBid => "this home never said what it asks for",
        ZeroReason::NothingNominated => "this home nominated no power",
        ZeroReason::Shortfall => "it delivered too little of the power that was nominated",
        ZeroReason::Excused => "it delivered too little, and is excused",
        ZeroReason::AlreadyPaid => "as much was paid before",
        ZeroReason::NoEventCounts => "no event of the season counts so far",
        ZeroReason::CeilingReached => "the most that there is was paid before",
        ZeroReason::NoQuality => "nothing is known of how good the data was",
        ZeroReason::NothingElsePaid => "it is a share of the rest, and the rest is nothing",
        ZeroReason::ControlGroup => "this home was not asked: others are compared with it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<_> = ZeroReason::ALL.map(sentence).into_iter().collect();
        assert_eq!(sentences.len(), ZeroReason::ALL.len());
    }
}

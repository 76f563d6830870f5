//! Statements: one home's part of the settlement of an event, as the engine signs it for that home. For each
//! interval what the home would have used, what it used, what was credited and earned, or why nothing.

mod codec;
mod part;
mod reason;

use minicbor::{Decoder, Encoder, decode};

pub use self::part::{PARTS_MAX, PartKind, StatementPart};
pub use self::reason::ZeroReason;
use crate::cbor::{Sink, Write};
use crate::envelope::Purpose;
use crate::identity::{Digest, Identity};
use crate::instruction::{EVENT_SECONDS_MAX, EventId, ProgramId};
use crate::message::Message;
use crate::quantity::{Asset, MilliwattHours, Overflow, TokenAmount};
use crate::time::{IntervalLength, Timestamp};

/// At most this many intervals on one statement: a day of five minutes.
pub const LINES_MAX: usize = 288;
/// The longest name of a site, in characters.
pub const SITE_LEN_MAX: usize = 128;

/// One interval. Energies are import − export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementLine {
    /// What the home would have used, where that is known.
    pub baseline: Option<MilliwattHours>,
    /// What its meter counted, where that is known.
    pub metered: Option<MilliwattHours>,
    /// What is paid for.
    pub credited: MilliwattHours,
    /// What it earned.
    pub amount: TokenAmount,
    /// Why it earned nothing: there is a reason exactly where the amount is zero.
    pub reason: Option<ZeroReason>,
}

/// Sums over the intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatementTotals {
    /// What the home would have used, in the intervals that have both this and the next; none where none has.
    pub baseline: Option<MilliwattHours>,
    /// What its meter counted in the same intervals.
    pub metered: Option<MilliwattHours>,
    /// What is paid for, in all intervals.
    pub credited: MilliwattHours,
    /// What was earned, in all intervals.
    pub amount: TokenAmount,
}

impl StatementTotals {
    /// The sums of these lines.
    ///
    /// # Errors
    /// [`Overflow`] where a sum does not fit its integer.
    pub fn of(lines: &[StatementLine]) -> Result<Self, Overflow> {
        lines.iter().try_fold(Self::default(), |sum, line| {
            let (baseline, metered) = match (line.baseline, line.metered) {
                (Some(baseline), Some(metered)) => (
                    Some(sum.baseline.unwrap_or_default().checked_add(baseline)?),
                    Some(sum.metered.unwrap_or_default().checked_add(metered)?),
                ),
                _ => (sum.baseline, sum.metered),
            };
            Ok(Self {
                baseline,
                metered,
                credited: sum.credited.checked_add(line.credited)?,
                amount: sum.amount.checked_add(line.amount)?,
            })
        })
    }
}

/// One home's part of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteStatement {
    /// For whom it is.
    pub gateway: Identity,
    /// The site, by the name that it is enrolled under: 1 to 128 visible ASCII characters.
    pub site: String,
    /// Whose rules and prices.
    pub program: ProgramId,
    /// Which version of them, from 1 on.
    pub program_version: u32,
    /// SHA-256 of the program's document.
    pub program_hash: Digest,
    /// What was settled.
    pub event: EventId,
    /// Which statement of the event: 1 is the first, a later one takes its place.
    pub version: u32,
    /// SHA-256 of the whole statement, of which this is a part.
    pub statement: Digest,
    /// Up to when evidence was taken in.
    pub settled_at: Timestamp,
    /// What is paid in.
    pub asset: Asset,
    /// The event's first instant, a multiple of the interval.
    pub start: Timestamp,
    /// The first instant after it, a multiple of the interval.
    pub end: Timestamp,
    /// The length of the intervals.
    pub interval: IntervalLength,
    /// The sums.
    pub totals: StatementTotals,
    /// Why nothing at all was earned: there is a reason exactly where the whole amount is zero.
    pub reason: Option<ZeroReason>,
    /// The intervals from `start` to `end`, in order; none where there are more than [`LINES_MAX`].
    pub lines: Vec<StatementLine>,
    /// What the whole amount is made of, where the program pays for more than energy by the interval: then it is
    /// their sum, and a line's amount is what the interval earned by itself. Else there are none.
    pub parts: Vec<StatementPart>,
}

impl SiteStatement {
    /// Each line with the first instant of its interval.
    pub fn timed_lines(&self) -> impl Iterator<Item = (Timestamp, &StatementLine)> {
        let starts = core::iter::successors(Some(self.start), |at| {
            at.checked_add(i64::from(self.interval.seconds()))
        });
        starts.zip(&self.lines)
    }

    /// Whether the totals are what lines and parts add up to.
    fn has_its_totals(&self) -> bool {
        let sum = |parts: &[StatementPart]| TokenAmount::checked_sum(parts.iter().filter_map(|p| p.amount));
        let amount = (!self.parts.is_empty()).then(|| sum(&self.parts));
        let is_amount = amount.as_ref().is_none_or(|sum| *sum == Ok(self.totals.amount));
        if self.lines.is_empty() {
            return is_amount;
        }
        let of_lines = StatementTotals::of(&self.lines);
        let of_lines = of_lines.map(|totals| match amount {
            Some(_) => StatementTotals {
                amount: self.totals.amount,
                ..totals
            },
            None => totals,
        });
        is_amount && of_lines == Ok(self.totals)
    }

    /// Whether the lines are those of all intervals, or of none where these are too many for a message.
    fn has_its_lines(&self) -> bool {
        let seconds = self.end.seconds_since(self.start);
        let count = seconds.checked_div(i64::from(self.interval.seconds()));
        match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count <= LINES_MAX => self.lines.len() == count,
            _ => self.lines.is_empty(),
        }
    }
}

impl StatementPart {
    fn has_its_reason(&self) -> bool {
        self.amount.is_none_or(|amount| amount == TokenAmount::ZERO) == self.reason.is_some()
    }
}

const fn has_its_reason(amount: TokenAmount, reason: Option<ZeroReason>) -> bool {
    (amount.base_units() == 0) == reason.is_some()
}

fn is_site(name: &str) -> bool {
    (1..=SITE_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Message for SiteStatement {
    const PURPOSE: Purpose = Purpose::Statement;

    fn check(&self) -> Result<(), &'static str> {
        if !is_site(&self.site) {
            return Err("a site's name is 1 to 128 visible ASCII characters");
        }
        if self.version == 0 || self.program_version == 0 {
            return Err("versions of programs and statements begin at 1");
        }
        if self.start >= self.end || self.end.seconds_since(self.start) > EVENT_SECONDS_MAX {
            return Err("an event ends after its start, within a day");
        }
        let is_aligned = |at: Timestamp| at.floor_to(self.interval) == at;
        if !is_aligned(self.start) || !is_aligned(self.end) {
            return Err("an event begins and ends with an interval");
        }
        if self.settled_at < self.end {
            return Err("an event is settled after its end");
        }
        if !self.has_its_lines() {
            return Err("there is a line for each interval, or none where there are more than 288");
        }
        if self.totals.baseline.is_some() != self.totals.metered.is_some() {
            return Err("the sums of baseline and meter are over the same intervals");
        }
        if self.parts.len() > PARTS_MAX {
            return Err("there are at most 17 parts");
        }
        if !self.has_its_totals() {
            return Err(
                "the totals are the sums of the lines, and with parts their amount that of the parts",
            );
        }
        if !self.parts.iter().all(StatementPart::has_its_reason) {
            return Err("there is a reason exactly where a part is zero or not known");
        }
        let lines = self.lines.iter().map(|line| (line.amount, line.reason));
        if !lines
            .chain([(self.totals.amount, self.reason)])
            .all(|(amount, reason)| has_its_reason(amount, reason))
        {
            return Err("there is a reason exactly where an amount is zero");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        codec::write(self, e)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        codec::read(d)
    }
}

#[cfg(test)]
mod tests;

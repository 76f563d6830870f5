//! Statements of an engine.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::quantity::{Asset, MilliwattHours, TokenAmount};
use gridtally_protocol::statement::{SiteStatement, StatementLine, StatementTotals, ZeroReason};
use gridtally_protocol::time::{IntervalLength, Timestamp};

/// Baseline and meter in milliwatt-hours; paid with one base unit for each that is credited.
pub fn line(baseline: i64, metered: i64) -> StatementLine {
    let credited = (baseline - metered).max(0);
    StatementLine {
        baseline: Some(MilliwattHours::new(baseline)),
        metered: Some(MilliwattHours::new(metered)),
        credited: MilliwattHours::new(credited),
        amount: TokenAmount::new(credited.into()).unwrap(),
        reason: (credited == 0).then_some(ZeroReason::NotReduced),
    }
}

/// An interval that earned nothing.
pub fn nothing(reason: ZeroReason) -> StatementLine {
    StatementLine {
        metered: None,
        reason: Some(reason),
        ..line(0, 0)
    }
}

/// A statement for `gateway` of an event with intervals of five minutes.
pub fn statement(
    gateway: Identity,
    event: &str,
    version: u32,
    start: Timestamp,
    lines: Vec<StatementLine>,
) -> SiteStatement {
    let totals = StatementTotals::of(&lines).unwrap();
    let seconds = 300 * i64::try_from(lines.len()).unwrap();
    let end = start.checked_add(seconds).unwrap();
    let reason = lines.iter().find_map(|line| line.reason);
    SiteStatement {
        gateway,
        site: "home-1".to_owned(),
        program: "evening-flex".parse().unwrap(),
        program_version: 3,
        program_hash: Digest::of(b"program"),
        event: event.parse().unwrap(),
        version,
        statement: Digest::of(event.as_bytes()),
        settled_at: end.checked_add(3_600).unwrap(),
        asset: Asset::new("FLEX", 6).unwrap(),
        start,
        end,
        interval: IntervalLength::FIVE_MINUTES,
        totals,
        reason: reason.filter(|_| totals.amount == TokenAmount::ZERO),
        lines,
        parts: Vec::new(),
    }
}

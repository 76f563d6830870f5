//! One home's part of a statement, as it is signed for it. Pure.

use std::collections::BTreeMap;

use gridtally_protocol::identity::{Digest, DigestError, Identity, SigningIdentity};
use gridtally_protocol::message::{Message as _, MessageError};
use gridtally_protocol::quantity::{Overflow, TokenAmount};
use gridtally_protocol::statement::{
    LINES_MAX, PartKind, SiteStatement as Part, StatementLine, StatementPart, StatementTotals, ZeroReason,
};
use gridtally_protocol::time::Timestamp;

use crate::rules::payment::{Component, Explanation, FeePayer, SitePayment, Zero};
use crate::rules::statement::{Line, Reason, SiteId, SiteStatement, Statement};
use crate::store::statements::StoredStatement;

/// What is known of a settlement beside its statement.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// Which statement of the event.
    pub version: u32,
    /// SHA-256 of the statement.
    pub hash: Digest,
    /// Up to when evidence was taken in.
    pub at: Timestamp,
}

/// Why a home's part cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// A sum does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The program's hash is none.
    #[error(transparent)]
    Hash(#[from] DigestError),
    /// A rule of the message.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// The parts of all sites that have a gateway, signed. One that cannot be written is logged and left out: the
/// settlement itself must not fail for it.
#[must_use]
pub fn signed_parts(
    statement: &Statement,
    settled: Settled,
    gateways: &BTreeMap<SiteId, Identity>,
    engine: &SigningIdentity,
) -> Vec<StoredStatement> {
    let signed = |site: &SiteStatement| {
        let gateway = *gateways.get(&site.site)?;
        match seal(statement, site, settled, gateway, engine) {
            Ok(stored) => Some(stored),
            Err(error) => {
                tracing::error!(site = %site.site, event = %statement.event.id, %error,
                    "a home is not told its part of a statement, because it cannot be written");
                None
            }
        }
    };
    statement.sites.iter().filter_map(signed).collect()
}

fn seal(
    statement: &Statement,
    site: &SiteStatement,
    settled: Settled,
    gateway: Identity,
    engine: &SigningIdentity,
) -> Result<StoredStatement, PartError> {
    let envelope = part(statement, site, settled, gateway)?.seal(engine)?;
    Ok(StoredStatement {
        gateway,
        event: statement.event.id.clone(),
        version: settled.version,
        digest: Digest::of(&envelope),
        envelope,
    })
}

/// A site's part of a statement.
///
/// # Errors
/// [`PartError`].
pub fn part(
    statement: &Statement,
    site: &SiteStatement,
    settled: Settled,
    gateway: Identity,
) -> Result<Part, PartError> {
    let mut lines: Vec<StatementLine> = site.lines.iter().map(line).collect();
    let mut totals = StatementTotals::of(&lines)?;
    let parts = site.payment.as_ref().map(parts).unwrap_or_default();
    if !parts.is_empty() {
        totals.amount = TokenAmount::checked_sum(parts.iter().filter_map(|part| part.amount))?;
    }
    let why = || {
        parts
            .iter()
            .find_map(|part| part.reason)
            .or_else(|| commonest(&lines))
    };
    let reason = (totals.amount == TokenAmount::ZERO).then(why).flatten();
    if lines.len() > LINES_MAX {
        lines.clear();
    }
    Ok(Part {
        gateway,
        site: site.site.as_str().to_owned(),
        program: statement.program.id.clone(),
        program_version: statement.program.version,
        program_hash: statement.program.hash.parse()?,
        event: statement.event.id.clone(),
        version: settled.version,
        statement: settled.hash,
        settled_at: settled.at,
        asset: statement.asset.clone(),
        start: statement.event.start,
        end: statement.event.end,
        interval: statement.program.interval_seconds,
        totals,
        reason,
        lines,
        parts,
    })
}

fn line(line: &Line) -> StatementLine {
    StatementLine {
        baseline: line.baseline,
        metered: line.metered,
        credited: line.credited,
        amount: line.amount,
        reason: line.reason.map(reason),
    }
}

const fn reason(reason: Reason) -> ZeroReason {
    match reason {
        Reason::OptedOut => ZeroReason::OptedOut,
        Reason::NoAnswer => ZeroReason::NoAnswer,
        Reason::NoBaseline => ZeroReason::NoBaseline,
        Reason::Equivocation => ZeroReason::Equivocation,
        Reason::MissingReading => ZeroReason::MissingReading,
        Reason::NotReduced => ZeroReason::NotReduced,
        Reason::ZeroPrice => ZeroReason::ZeroPrice,
        Reason::RoundedToZero => ZeroReason::RoundedToZero,
        Reason::PaidAsAWhole => ZeroReason::PaidAsAWhole,
        Reason::NoPrice => ZeroReason::NoPrice,
        Reason::NoBid => ZeroReason::NoBid,
        Reason::ControlGroup => ZeroReason::ControlGroup,
    }
}

/// What a site's amount is made of, less the fee where the site pays it.
fn parts(payment: &SitePayment) -> Vec<StatementPart> {
    let component = |component: &Component| StatementPart {
        kind: kind(&component.explanation),
        amount: component.amount,
        reason: component.reason.map(zero),
    };
    let fee = payment.fee.filter(|fee| fee.paid_by == FeePayer::Site);
    let fee = fee.map(|fee| StatementPart {
        kind: PartKind::Fee,
        amount: Some(fee.amount.negated()),
        reason: (fee.amount == TokenAmount::ZERO).then_some(ZeroReason::RoundedToZero),
    });
    payment.components.iter().map(component).chain(fee).collect()
}

const fn kind(explanation: &Explanation) -> PartKind {
    match explanation {
        Explanation::Energy { .. } => PartKind::Energy,
        Explanation::Capacity { .. } => PartKind::Capacity,
        Explanation::SeasonAverage { .. } => PartKind::SeasonAverage,
        Explanation::Points { .. } => PartKind::Points,
        Explanation::Pool { .. } => PartKind::Pool,
        Explanation::DataBonus { .. } => PartKind::DataBonus,
    }
}

const fn zero(zero: Zero) -> ZeroReason {
    match zero {
        Zero::OptedOut => ZeroReason::OptedOut,
        Zero::NoAnswer => ZeroReason::NoAnswer,
        Zero::NoBaseline => ZeroReason::NoBaseline,
        Zero::NotMeasured => ZeroReason::MissingReading,
        Zero::NotReduced => ZeroReason::NotReduced,
        Zero::BelowZero => ZeroReason::BelowZero,
        Zero::NoPrice => ZeroReason::NoPrice,
        Zero::NoBid => ZeroReason::NoBid,
        Zero::ZeroPrice => ZeroReason::ZeroPrice,
        Zero::RoundedToZero => ZeroReason::RoundedToZero,
        Zero::NothingNominated => ZeroReason::NothingNominated,
        Zero::Shortfall => ZeroReason::Shortfall,
        Zero::Excused => ZeroReason::Excused,
        Zero::AlreadyPaid => ZeroReason::AlreadyPaid,
        Zero::NoEventCounts => ZeroReason::NoEventCounts,
        Zero::CeilingReached => ZeroReason::CeilingReached,
        Zero::NoQuality => ZeroReason::NoQuality,
        Zero::NothingElsePaid => ZeroReason::NothingElsePaid,
    }
}

/// The reason of most of the lines; of several the one with the lowest number.
fn commonest(lines: &[StatementLine]) -> Option<ZeroReason> {
    let mut counts: BTreeMap<ZeroReason, usize> = BTreeMap::new();
    for reason in lines.iter().filter_map(|line| line.reason) {
        let count = counts.entry(reason).or_default();
        *count = count.saturating_add(1);
    }
    // Of equals the last would be taken: so from the back.
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(reason, _)| reason)
}

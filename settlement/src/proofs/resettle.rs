//! What of the evidence corrects an earlier statement: the statement itself, why it is corrected, and what stands in
//! the place of meters' readings.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;

use super::derive::{DeriveError, DeriveProblem, at};
use super::evidence::{Case, Correction, Dispute, Evidence, Outage, Resettles};
use crate::rules::program::Program;
use crate::rules::statement::{
    AmountError, Corrected, Earlier, Metered, MissingReason, Occasion, SettleError, SiteId, Statement,
};

const SUPERSEDED: &str = "superseded";

fn wrong<T>(record: impl Into<String>, what: impl Into<String>) -> Result<T, DeriveError> {
    Err(at(record)(DeriveProblem::Mismatch(what.into())))
}

/// A sum over a whole statement does not fit.
pub(super) fn total(error: AmountError) -> DeriveError {
    at("case")(SettleError::Arithmetic { site: None, error })
}

/// The corrections of each site, checked.
///
/// # Errors
/// [`DeriveError`] where one cannot be of this program, or was made later than the settlement.
pub(super) fn corrections(
    known: &[Correction],
    program: &Program,
    settled_at: Timestamp,
) -> Result<BTreeMap<SiteId, Vec<Corrected>>, DeriveError> {
    let mut by_site: BTreeMap<SiteId, Vec<Corrected>> = BTreeMap::new();
    for correction in known {
        if correction.interval.length() != program.interval {
            return wrong(correction.name(), "its interval is not of the program's length");
        }
        if correction.made_at > settled_at {
            return wrong(correction.name(), "it was made after the settlement");
        }
        match correction.net {
            Metered::Energy(_) | Metered::Missing(MissingReason::Withdrawn) => {}
            Metered::Missing(_) => {
                return wrong(correction.name(), "it gives neither an energy nor withdraws one");
            }
        }
        let corrected = Corrected {
            number: correction.number,
            interval: correction.interval,
            net: correction.net,
        };
        by_site
            .entry(correction.site.clone())
            .or_default()
            .push(corrected);
    }
    Ok(by_site)
}

/// The days of outages of each site.
///
/// # Errors
/// [`DeriveError`] where one was declared later than the settlement.
pub(super) fn outages(
    known: &[Outage],
    settled_at: Timestamp,
) -> Result<BTreeMap<SiteId, Vec<NaiveDate>>, DeriveError> {
    let mut by_site: BTreeMap<SiteId, Vec<NaiveDate>> = BTreeMap::new();
    for outage in known {
        if outage.declared_at > settled_at {
            return wrong(outage.name(), "it was declared after the settlement");
        }
        by_site.entry(outage.site.clone()).or_default().push(outage.day);
    }
    Ok(by_site)
}

/// Makes of the statement the one that corrects the statement before, where there is one.
///
/// # Errors
/// [`DeriveError`] where case and evidence do not agree on that.
pub(super) fn correct(
    evidence: &Evidence,
    program: &Program,
    statement: Statement,
) -> Result<Statement, DeriveError> {
    let case = &evidence.case;
    let (resettles, superseded) = match (&case.resettles, &evidence.superseded) {
        (None, None) if case.version == 1 => return Ok(statement),
        (Some(resettles), Some(superseded)) => (resettles, superseded),
        (None, None) => {
            return wrong(
                "case",
                "a later version corrects an earlier one, and none is named",
            );
        }
        (None, Some(_)) => return wrong(SUPERSEDED, "the case corrects no statement"),
        (Some(_), None) => return wrong("case", "the statement that it corrects is not in the evidence"),
    };
    if resettles.version.checked_add(1) != Some(case.version) {
        return wrong("case", "its version does not follow the one that it corrects");
    }
    let hash = Digest::of(&superseded.to_bytes());
    if hash != resettles.statement {
        return wrong(SUPERSEDED, "it is another statement than the case names");
    }
    if superseded.event.id != case.event.id {
        return wrong(SUPERSEDED, "it is of another event");
    }
    check_occasion(evidence, program, resettles)?;
    let earlier = Earlier {
        statement: superseded,
        version: resettles.version,
        hash,
        occasion: &resettles.occasion,
        pool_carry: pool_carry(case),
    };
    statement
        .correcting(&earlier, program.resettlement.materiality)
        .map_err(at("case"))
}

/// What the program's pools left.
pub(super) fn pool_carry(case: &Case) -> TokenAmount {
    let carried = case.carried_from.as_ref();
    carried.map_or(TokenAmount::ZERO, |carry| carry.pool_carry)
}

/// What the event's pool has beside what it draws: when it is shared out anew, what it had the first time.
pub(super) fn pool_of(evidence: &Evidence) -> TokenAmount {
    let before = evidence.superseded.as_ref();
    match before.and_then(|statement| statement.pool) {
        Some(pool) => pool.carry_in,
        None => pool_carry(&evidence.case),
    }
}

fn check_occasion(evidence: &Evidence, program: &Program, resettles: &Resettles) -> Result<(), DeriveError> {
    let (event, settled_at) = (&evidence.case.event, evidence.case.settled_at);
    match &resettles.occasion {
        Occasion::Calendar { after_days } => {
            let mut dates = program.resettlement.calendar(event.end);
            if dates.any(|(days, at)| days == *after_days && at <= settled_at) {
                Ok(())
            } else {
                wrong("case", "the program's calendar does not ask for it")
            }
        }
        Occasion::Dispute { upheld } => {
            let is_upheld = |number: &u32| {
                let mut disputes = evidence.disputes.iter();
                disputes.any(|dispute| dispute.number == *number && was_upheld(dispute))
            };
            if !upheld.is_empty() && upheld.iter().all(is_upheld) {
                Ok(())
            } else {
                wrong("case", "no dispute that was upheld asks for it")
            }
        }
    }
}

fn was_upheld(dispute: &Dispute) -> bool {
    dispute.decision.as_ref().is_some_and(|decision| decision.upheld)
}

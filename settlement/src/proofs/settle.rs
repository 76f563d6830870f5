//! Settling an event: collect, derive, keep and pay in one database transaction, write the bundle. A later statement
//! corrects an earlier one in the same way.

mod due;
mod error;
mod estimate;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::bundle::Bundle;
use super::derive::Derived;
use super::patience::{self, Patience};
use super::verify::verify;
use crate::dispatch;
use crate::dispatch::statements::{Settled, signed_parts};
use crate::events::revision::Actor;
use crate::rules::program::Program;
use crate::rules::statement::Occasion;
use crate::store::disputes::Proposal;
use crate::store::events::StoredEvent;
use crate::store::evidence::{self, Request};
use crate::store::settlements::{self, StoredSettlement};
use crate::store::types::corrupt;
use crate::store::{Store, StoreError, disputes, event_life, events, ledger, programs, reports, statements};

pub use self::due::{Due, decide_dispute, due, finalise, raise_dispute};
pub use self::error::SettlementError;
pub use self::estimate::estimate;

/// The first statement of an event.
const FIRST: u32 = 1;

/// Which statement is wanted, and how.
#[derive(Debug, Clone, Copy)]
pub struct Order<'o> {
    /// Of which event.
    pub event: &'o EventId,
    /// The first one, or the next.
    pub which: Which,
    /// How long sites that have not reported are waited for.
    pub patience: Patience,
    /// Who wants it.
    pub by: &'o Actor,
    /// Whether it is only shown, and nothing is kept or paid.
    pub preview: bool,
    /// Where the bundle goes. That of a statement that is not posted goes beside it, to `….proposed`.
    pub bundle: &'o Path,
}

/// Which statement of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first.
    First,
    /// The one that corrects the last.
    Next,
}

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is kept and paid.
    Posted,
    /// It waits for others to approve of it.
    Proposed {
        /// Who approved, in the order of names.
        approved: BTreeSet<String>,
        /// How many have to.
        needed: u32,
    },
    /// It was only to be seen.
    Preview,
}

/// A settled event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementOutcome {
    /// Whether it was settled now, and not before.
    pub new: bool,
    /// Whether it counts.
    pub standing: Standing,
    /// Which statement of the event.
    pub version: u32,
    /// Up to when evidence was taken in.
    pub settled_at: Timestamp,
    /// The statement, the transactions, what was refused, and how much was looked at.
    pub derived: Derived,
    /// The name of the run.
    pub run: Digest,
    /// SHA-256 of the statement.
    pub statement_hash: Digest,
    /// The Merkle root of the bundle.
    pub bundle_root: Digest,
    /// Where the bundle was written to.
    pub bundle: PathBuf,
}

/// Settles an event with everything that came in until `now`, and writes its bundle to a file. Sites that have not
/// reported yet are waited for as `patience` says.
///
/// Once settled, an event stays settled as it was: the same again changes nothing, and writes the same bundle.
///
/// # Errors
/// [`SettlementError`].
pub fn settle(
    store: &mut Store,
    key: &SigningIdentity,
    event: &EventId,
    now: Timestamp,
    patience: Patience,
    bundle: &Path,
) -> Result<SettlementOutcome, SettlementError> {
    let order = Order {
        event,
        which: Which::First,
        patience,
        by: &Actor::operator(),
        preview: false,
        bundle,
    };
    carry_out(store, key, &order, now)
}

/// Makes a statement as it is ordered, and posts it: once as many persons as the program wants have ordered the same.
/// Who comes after the first approves of what that one saw: of the evidence up to the same instant.
///
/// # Errors
/// [`SettlementError`]; then nothing is kept.
pub fn carry_out(
    store: &mut Store,
    key: &SigningIdentity,
    order: &Order<'_>,
    now: Timestamp,
) -> Result<SettlementOutcome, SettlementError> {
    let (text, mut outcome) = store.transact(|client| {
        let event = events::event(client, order.event)?;
        settlements::lock_program(client, &event.program)?;
        let last = settlements::last(client, &event.id)?;
        let document = programs::program(client, &event.program, event.program_version)?;
        let program = Program::from_toml("program", &document).map_err(corrupt)?;
        let mut desk = Desk {
            client,
            key,
            event: &event,
            program: &program,
            order,
            now,
        };
        match (order.which, last) {
            (Which::First, Some(_)) => desk.settled_before(),
            (Which::First, None) => desk.settle(FIRST, None),
            (Which::Next, None) => Err(SettlementError::NotSettled(event.id.clone())),
            (Which::Next, Some(last)) => {
                let version = last.version.checked_add(1).ok_or_else(|| corrupt("a version"))?;
                desk.settle(version, Some(&last))
            }
        }
    })?;
    if outcome.standing != Standing::Posted {
        let mut name = order.bundle.as_os_str().to_owned();
        name.push(".proposed");
        outcome.bundle = name.into();
    }
    file::write_whole(&outcome.bundle, text.as_bytes()).map_err(|source| SettlementError::File {
        path: outcome.bundle.clone(),
        source,
    })?;
    Ok(outcome)
}

/// One order, in its database transaction.
struct Desk<'d, C> {
    client: &'d mut C,
    key: &'d SigningIdentity,
    event: &'d StoredEvent,
    program: &'d Program,
    order: &'d Order<'d>,
    now: Timestamp,
}

impl<C: GenericClient> Desk<'_, C> {
    fn settle(
        &mut self,
        version: u32,
        last: Option<&StoredSettlement>,
    ) -> Result<(String, SettlementOutcome), SettlementError> {
        if self.now < self.event.end {
            return Err(SettlementError::NotOver {
                event: self.event.id.clone(),
                end: self.event.end,
            });
        }
        let seen = self.seen_by_another(version)?;
        let settled_at = seen.map_or(self.now, |seen| seen.settled_at);
        let occasion =
            last.map(|last| due::occasion(self.client, self.event, self.program, last, settled_at));
        let occasion = occasion.transpose()?;
        // What is only shown is posted all the same, to see that it can be, and taken back.
        let mut tx = self.client.transaction()?;
        let posting = Posting {
            key: self.key,
            event: self.event,
            order: self.order,
            now: self.now,
            settled_at,
        };
        let (text, mut outcome) = posting.post(&mut tx, version, occasion)?;
        let proposal = Proposal {
            run: outcome.run,
            settled_at,
        };
        if self.order.preview {
            tx.rollback()?;
            outcome.standing = Standing::Preview;
            return Ok((text, outcome));
        }
        let approved = disputes::approve(
            &mut tx,
            &self.event.id,
            version,
            proposal,
            self.order.by,
            self.now,
        )?;
        let needed = self.program.approvals;
        if u32::try_from(approved.len()).unwrap_or(u32::MAX) >= needed {
            tx.commit()?;
            return Ok((text, outcome));
        }
        tx.rollback()?;
        disputes::approve(
            self.client,
            &self.event.id,
            version,
            proposal,
            self.order.by,
            self.now,
        )?;
        outcome.standing = Standing::Proposed { approved, needed };
        Ok((text, outcome))
    }

    /// The run of which somebody else has approved already.
    fn seen_by_another(&mut self, version: u32) -> Result<Option<Proposal>, StoreError> {
        if self.order.preview || self.program.approvals < 2 {
            return Ok(None);
        }
        disputes::proposal_of_another(self.client, &self.event.id, version, self.order.by)
    }

    fn settled_before(&mut self) -> Result<(String, SettlementOutcome), SettlementError> {
        let kept = |source| SettlementError::Kept {
            event: self.event.id.clone(),
            source: Box::new(source),
        };
        let none = || StoreError::NotFound(format!("event {} has no first statement", self.event.id));
        let settlement = settlements::find(self.client, &self.event.id, FIRST)?.ok_or_else(none)?;
        let verified = verify(settlement.bundle.as_bytes(), None).map_err(kept)?;
        // An engine of before may have settled it that told the homes nothing.
        tell_homes(self.client, self.key, &settlement, &verified.derived)?;
        let outcome = SettlementOutcome {
            new: false,
            standing: Standing::Posted,
            version: settlement.version,
            settled_at: settlement.settled_at,
            derived: verified.derived,
            run: verified.bundle.run(),
            statement_hash: settlement.statement_hash,
            bundle_root: settlement.bundle_root,
            bundle: self.order.bundle.to_owned(),
        };
        Ok((settlement.bundle, outcome))
    }
}

/// Everything that makes a statement count, in one database transaction.
struct Posting<'p> {
    key: &'p SigningIdentity,
    event: &'p StoredEvent,
    order: &'p Order<'p>,
    now: Timestamp,
    settled_at: Timestamp,
}

impl Posting<'_> {
    fn post(
        &self,
        client: &mut impl GenericClient,
        version: u32,
        occasion: Option<Occasion>,
    ) -> Result<(String, SettlementOutcome), SettlementError> {
        let event = self.event;
        event_life::settled(client, &event.id, version, self.now)?;
        let patience = if occasion.is_some() {
            Patience::None
        } else {
            self.order.patience
        };
        refuse_haste(client, event, self.now, patience)?;
        // What was set aside pays: it is back in the escrow when the settlement takes from there.
        dispatch::release(client, &event.id, &event.program, self.now)?;
        // What somebody holds or owes does not change until it is booked.
        ledger::lock_journal(client)?;
        let after = settlements::chain_end(client, &event.program)?;
        let request = Request {
            event,
            version,
            settled_at: self.settled_at,
            engine: self.key.identity(),
            carried_from: after.as_ref().map(|end| end.carry.clone()),
            occasion,
        };
        let (bundle, derived) = Bundle::seal(evidence::collect(client, &request)?, self.key)?;
        let statement = derived.statement.to_bytes();
        let settlement = StoredSettlement {
            event: event.id.clone(),
            version,
            program: event.program.clone(),
            settled_at: self.settled_at,
            transaction: derived.bookings.settlement.as_ref().map(|t| t.key().clone()),
            statement_hash: Digest::of(&statement),
            statement: String::from_utf8_lossy(&statement).into_owned(),
            carry_out: derived.statement.rounding.carry_out,
            pool_carry: derived.statement.rounding.pool_carry,
            bundle_root: bundle.root(),
            bundle: bundle.to_text(),
            run: Some(bundle.run()),
        };
        for transaction in derived.bookings.all() {
            ledger::post(client, std::slice::from_ref(transaction))?;
        }
        settlements::insert(client, &settlement, after.as_ref())?;
        tell_homes(client, self.key, &settlement, &derived)?;
        let outcome = SettlementOutcome {
            new: true,
            standing: Standing::Posted,
            version,
            settled_at: self.settled_at,
            run: bundle.run(),
            statement_hash: settlement.statement_hash,
            bundle_root: settlement.bundle_root,
            bundle: self.order.bundle.to_owned(),
            derived,
        };
        Ok((settlement.bundle, outcome))
    }
}

/// A statement is final until a later version corrects it: it waits for those who may still report, and leaves
/// out nothing that is known.
fn refuse_haste(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    now: Timestamp,
    patience: Patience,
) -> Result<(), SettlementError> {
    let mut enrolments = programs::enrolments_at(client, event.start)?;
    enrolments.retain(|enrolment| enrolment.program == event.program);
    let gateways: Vec<Identity> = enrolments.iter().map(|enrolment| enrolment.gateway).collect();
    let heard = reports::heard(client, &gateways, event.start)?;
    if let Some(newest) = heard.newest.filter(|newest| *newest > now) {
        return Err(SettlementError::ClockBehind {
            event: event.id.clone(),
            now,
            newest,
        });
    }
    let sites = patience::awaited(patience, &enrolments, &heard.until, event.end, now);
    if sites.is_empty() {
        return Ok(());
    }
    Err(SettlementError::Awaited {
        event: event.id.clone(),
        sites,
        until: patience::deadline(event.end),
    })
}

/// Keeps each home's part, signed, for the running engine to send.
fn tell_homes(
    client: &mut impl GenericClient,
    key: &SigningIdentity,
    settlement: &StoredSettlement,
    derived: &Derived,
) -> Result<(), StoreError> {
    let gateways: BTreeMap<_, _> = programs::enrolments(client)?
        .into_iter()
        .map(|enrolment| (enrolment.site, enrolment.gateway))
        .collect();
    let settled = Settled {
        version: settlement.version,
        hash: settlement.statement_hash,
        at: settlement.settled_at,
    };
    let parts = signed_parts(&derived.statement, settled, &gateways, key);
    statements::insert_statements(client, &parts)
}

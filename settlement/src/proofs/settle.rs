//! Settling an event: collect, derive, keep and pay in one database transaction, write the bundle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::bundle::Bundle;
use super::derive::{DeriveError, Derived};
use super::patience::{self, Patience};
use super::stream::StreamError;
use super::verify::{VerifyError, verify};
use crate::dispatch;
use crate::dispatch::statements::{Settled, signed_parts};
use crate::rules::statement::SiteId;
use crate::store::events::StoredEvent;
use crate::store::evidence::{self, Request};
use crate::store::ledger::{self, LedgerError};
use crate::store::settlements::{self, StoredSettlement};
use crate::store::{LostConnection, Store, StoreError, event_life, events, programs, reports, statements};

/// The first statement of an event. A later version would correct it.
const FIRST: u32 = 1;

/// Why an event was not settled; then nothing was posted.
#[derive(Debug, thiserror::Error)]
pub enum SettlementError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The evidence.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// Settling from days.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It is not over.
    #[error("event {event} ends at {end}; settle it after that, when the readings are in")]
    NotOver {
        /// Which event.
        event: EventId,
        /// When it ends.
        end: Timestamp,
    },
    /// Sites have not reported yet.
    #[error(
        "{} of the sites of event {event} have not reported beyond its end yet: {}; settle it when they have, after \
         {until} in any case, or with --early, and then they earn nothing by this statement",
        sites.len(), few(sites)
    )]
    Awaited {
        /// Which event.
        event: EventId,
        /// Which sites, in order of their names.
        sites: Vec<SiteId>,
        /// When nobody is waited for any more.
        until: Timestamp,
    },
    /// The clock is behind what was received.
    #[error(
        "it is {now}, and reports of event {event} came as late as {newest}: what is known would be left out; set \
         the clock, or settle as of {newest} or later"
    )]
    ClockBehind {
        /// Which event.
        event: EventId,
        /// The present, as it was given.
        now: Timestamp,
        /// When the newest report came.
        newest: Timestamp,
    },
    /// The bundle of a settlement of before does not verify.
    #[error(
        "the bundle that is kept for event {event} does not verify ({source}); compare it with a copy outside"
    )]
    Kept {
        /// Which event.
        event: EventId,
        /// What is wrong with it.
        #[source]
        source: Box<VerifyError>,
    },
    /// The bundle could not be written; everything else is done, so settle again to write it.
    #[error("the settlement is booked, but its bundle cannot be written to {}: {source}; settle again", path.display())]
    File {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LostConnection for SettlementError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Store(error) => error.is_lost_connection(),
            Self::Ledger(error) => error.is_lost_connection(),
            Self::Stream(error) => error.is_lost_connection(),
            Self::Derive(_)
            | Self::NotOver { .. }
            | Self::Awaited { .. }
            | Self::ClockBehind { .. }
            | Self::Kept { .. }
            | Self::File { .. } => false,
        }
    }
}

/// The first of many names.
fn few(sites: &[SiteId]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = sites.iter().take(SHOWN).map(SiteId::as_str).collect();
    let more = if sites.len() > SHOWN { ", ..." } else { "" };
    names.join(", ") + more
}

/// A settled event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementOutcome {
    /// Whether it was settled now, and not before.
    pub new: bool,
    /// Up to when evidence was taken in.
    pub settled_at: Timestamp,
    /// The statement, the transaction, what was refused, and how much was looked at.
    pub derived: Derived,
    /// SHA-256 of the statement.
    pub statement_hash: Digest,
    /// The Merkle root of the bundle.
    pub bundle_root: Digest,
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
    let (text, outcome) = store.transact(|client| {
        let event = events::event(client, event)?;
        settlements::lock_program(client, &event.program)?;
        match settlements::find(client, &event.id, FIRST)? {
            Some(before) => settled_before(client, key, before),
            None => settle_now(client, key, &event, now, patience),
        }
    })?;
    write_whole(bundle, text.as_bytes()).map_err(|source| SettlementError::File {
        path: bundle.to_owned(),
        source,
    })?;
    Ok(outcome)
}

fn settle_now(
    client: &mut impl GenericClient,
    key: &SigningIdentity,
    event: &StoredEvent,
    now: Timestamp,
    patience: Patience,
) -> Result<(String, SettlementOutcome), SettlementError> {
    if now < event.end {
        return Err(SettlementError::NotOver {
            event: event.id.clone(),
            end: event.end,
        });
    }
    event_life::settled(client, &event.id, FIRST, now)?;
    refuse_haste(client, event, now, patience)?;
    // What was set aside pays: it is back in the escrow when the settlement takes from there.
    dispatch::release(client, &event.id, &event.program, now)?;
    let after = settlements::chain_end(client, &event.program)?;
    let request = Request {
        event,
        version: FIRST,
        settled_at: now,
        engine: key.identity(),
        carried_from: after.as_ref().map(|end| end.carry.clone()),
    };
    let (bundle, derived) = Bundle::seal(evidence::collect(client, &request)?, key)?;
    let statement = derived.statement.to_bytes();
    let settlement = StoredSettlement {
        event: event.id.clone(),
        version: FIRST,
        program: event.program.clone(),
        settled_at: now,
        transaction: derived
            .transaction
            .as_ref()
            .map(|transaction| transaction.key().clone()),
        statement_hash: Digest::of(&statement),
        statement: String::from_utf8_lossy(&statement).into_owned(),
        carry_out: derived.statement.rounding.carry_out,
        bundle_root: bundle.root(),
        bundle: bundle.to_text(),
    };
    if let Some(transaction) = &derived.transaction {
        ledger::post(client, std::slice::from_ref(transaction))?;
    }
    settlements::insert(client, &settlement, after.as_ref())?;
    tell_homes(client, key, &settlement, &derived)?;
    Ok((settlement.bundle.clone(), outcome(&settlement, derived, true)))
}

/// A statement is final until a later version corrects it: it waits for those who may still report, and leaves
/// out nothing that is known.
fn refuse_haste(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    now: Timestamp,
    patience: Patience,
) -> Result<(), SettlementError> {
    let mut enrolments = programs::enrolments(client)?;
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

fn settled_before(
    client: &mut impl GenericClient,
    key: &SigningIdentity,
    settlement: StoredSettlement,
) -> Result<(String, SettlementOutcome), SettlementError> {
    let verified = verify(settlement.bundle.as_bytes(), None).map_err(|source| SettlementError::Kept {
        event: settlement.event.clone(),
        source: Box::new(source),
    })?;
    // An engine of before may have settled it that told the homes nothing.
    tell_homes(client, key, &settlement, &verified.derived)?;
    let outcome = outcome(&settlement, verified.derived, false);
    Ok((settlement.bundle, outcome))
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

const fn outcome(settlement: &StoredSettlement, derived: Derived, new: bool) -> SettlementOutcome {
    SettlementOutcome {
        new,
        settled_at: settlement.settled_at,
        derived,
        statement_hash: settlement.statement_hash,
        bundle_root: settlement.bundle_root,
    }
}

/// Writes a file so that at every moment it is either as it was or whole, also when the power fails.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut beside = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = folder.join(beside);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing about the error.
        let _ = fs::remove_file(&beside);
    }
    written
}

//! Why an event was not settled.

use std::io;
use std::path::PathBuf;

use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;

use crate::proofs::derive::DeriveError;
use crate::proofs::stream::StreamError;
use crate::proofs::verify::VerifyError;
use crate::rules::statement::SiteId;
use crate::store::ledger::LedgerError;
use crate::store::{LostConnection, StoreError};

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
    /// What it pays is known.
    #[error("event {0} is settled; `gridtally engine statement {0}` prints by what")]
    SettledAlready(EventId),
    /// There is no statement that could be corrected.
    #[error("event {0} was not settled yet; settle it first")]
    NotSettled(EventId),
    /// Nothing asks for another statement.
    #[error(
        "nothing asks for another statement of event {event}: no dispute was upheld since the last one, and {}",
        next_date(*.next)
    )]
    NothingDue {
        /// Which event.
        event: EventId,
        /// When the program's calendar asks for the next.
        next: Option<Timestamp>,
    },
    /// It is too late, or the program knows no disputes.
    #[error("statement {version} of event {event} could be disputed until {until}; it is {now}")]
    TooLateToDispute {
        /// Which event.
        event: EventId,
        /// Which statement.
        version: u32,
        /// Until when.
        until: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// The statement does not have the site.
    #[error("the statement of event {event} has no site {site}")]
    NoSuchSite {
        /// Which event.
        event: EventId,
        /// Which site.
        site: SiteId,
    },
    /// Nobody would know why.
    #[error("a dispute, and what is decided of it, has a reason; say it in a sentence")]
    NoReason,
    /// There is nothing to be decided.
    #[error("{0}")]
    NoSuchDispute(String),
    /// Something may still change the statement.
    #[error("event {event} cannot be made final: {}", open.join("; "))]
    StillOpen {
        /// Which event.
        event: EventId,
        /// What.
        open: Vec<String>,
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

impl From<postgres::Error> for SettlementError {
    fn from(error: postgres::Error) -> Self {
        Self::Store(error.into())
    }
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
            | Self::SettledAlready(_)
            | Self::NotSettled(_)
            | Self::NothingDue { .. }
            | Self::TooLateToDispute { .. }
            | Self::NoSuchSite { .. }
            | Self::NoReason
            | Self::NoSuchDispute(_)
            | Self::StillOpen { .. }
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

fn next_date(next: Option<Timestamp>) -> String {
    match next {
        Some(next) => format!("the program's calendar asks for the next on {next}"),
        None => "the program's calendar asks for no more".to_owned(),
    }
}

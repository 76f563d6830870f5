//! Proofs: from what was signed to what was paid, by anybody, without the engine's database.
//!
//! ```text
//! Evidence ──derive──▶ Statement, Transaction            pure; the one way in which an event is ever settled
//!    │                        │
//!    └────────┬───────────────┘
//!          Bundle ──verify──▶ parse, check every hash and signature, derive again, compare
//! ```
//!
//! - [`evidence`]: what was known when an event was settled, as plain records;
//! - [`beacons`]: when reports can have been signed, and which programs care;
//! - [`judge`]: which reports count, and why the others do not;
//! - [`netting`]: what a site's meter counted, import − export;
//! - [`derive`]: from evidence to the statement and the ledger's transaction;
//! - [`bundle`]: one text file with all of it under one signed root (`docs/bundle.md`);
//! - [`package`]: a bundle with proofs from the log and the payout root, compressed;
//! - [`verify`]: what a stranger runs;
//! - [`settle`]: what the operator runs;
//! - [`stream`]: the same statement for very many sites, from the days that ingest keeps.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing
    )
)]

pub mod agreements;
pub mod beacons;
pub mod bookings;
pub mod bundle;
mod canonical;
pub mod derive;
pub mod evidence;
mod hex_bytes;
pub mod judge;
pub mod netting;
pub mod originals;
pub mod package;
pub mod patience;
pub mod replay;
mod resettle;
pub mod settle;
pub mod stream;
pub mod verify;

//! The immutable record: an append-only Merkle log of what was signed, settled and paid, as plain files.
//!
//! ```text
//! Leaf ──append──▶ LogWriter ──files──▶ tile/…, checkpoint ──▶ any web server
//!                                                               │
//!                        Witness ◀──tiles, never a claim────────┤
//!                           └─ cosignature                      └──▶ LogReader ──▶ proofs
//! ```
//!
//! - [`merkle`]: RFC 9162 hashes, trees, inclusion and consistency proofs; pure;
//! - [`tile`]: C2SP tlog-tiles: where hashes and entries stand in files; pure;
//! - [`note`]: C2SP signed notes, checkpoints and cosignatures; pure;
//! - [`leaf`]: what an entry of this log says; pure;
//! - [`proof`]: an inclusion proof as a text that stands alone (C2SP tlog-proof); pure;
//! - [`files`]: the log's directory, written crash safe, read from a disk or over HTTP;
//! - [`witness`]: a third party that checks that nothing is taken back, and says so with its key;
//! - [`cli`]: what people type.
//!
//! `docs/log.md` specifies the files, so that a second program can be written from it.
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

pub mod cli;
pub mod files;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;
pub mod witness;

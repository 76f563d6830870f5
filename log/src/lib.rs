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
//! Who appends says with which number his leaves begin, and may repeat himself:
//!
//! ```
//! use gridtally_log::files::{Directory, LogReader, LogWriter};
//! use gridtally_log::leaf::{Kind, Leaf};
//! use gridtally_log::note::{Algorithm, Signer};
//! use gridtally_protocol::identity::{Digest, SigningIdentity};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let key = SigningIdentity::from_secret(&[1; 32])?;
//! let signer = Signer::new("operator.example/log".parse()?, Algorithm::Ed25519, key);
//! let log_key = signer.verifier().clone();
//! let mut log = LogWriter::create(directory.path(), signer)?;
//! let leaf = Leaf {
//!     kind: Kind::Statement,
//!     name: "tuesday-evening/1".parse()?,
//!     digest: Digest::of(b"the statement's bytes"),
//! };
//! log.append(0, std::slice::from_ref(&leaf))?;
//! log.append(0, std::slice::from_ref(&leaf))?; // after a crash, say: nothing happens
//!
//! let reader = LogReader::open(Directory::new(directory.path()), &log_key)?;
//! let proof = reader.prove_inclusion(0)?;
//! proof.verify(&leaf, &log_key)?;
//! # Ok(())
//! # }
//! ```
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

//! The settlement engine.
//!
//! A functional core with its I/O at the rim:
//!
//! - [`rules`]: baselines, performance, pricing; pure and versioned;
//! - [`ledger`]: double entry, whose laws the database itself enforces;
//! - [`registry`]: who may report what;
//! - [`days`]: readings as compact days, beside the signed reports;
//! - [`ingest`]: from the broker to the store, through an ordered chain of small pure checks;
//! - [`events`]: their life, who is asked, and whose bid is taken; pure;
//! - [`dispatch`]: events, and the signed instructions that they become;
//! - [`capacity`]: drawn test dispatches, and what they prove of a site; pure;
//! - [`proofs`]: from signed evidence to a statement, the bundle, and its verification by anybody;
//! - [`quality`]: how good a day's data is, and how to mend it; flags, and never refuses;
//! - [`store`]: PostgreSQL; nothing above it writes SQL;
//! - [`supervise`]: a private database and broker that need no administration;
//! - [`engine`], [`clock`], [`cli`]: the process, its time, and what people type;
//! - `cores`: the same work for many things, on all cores;
//! - [`bench`]: how fast it is here.

pub mod admission;
pub mod bench;
pub mod capacity;
pub mod cli;
pub mod clock;
mod cores;
pub mod days;
pub mod dispatch;
pub mod engine;
pub mod events;
pub mod ingest;
pub mod ledger;
pub mod payouts;
pub mod proofs;
pub mod quality;
pub mod registry;
pub mod rules;
pub mod store;
pub mod supervise;

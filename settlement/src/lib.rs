//! The settlement engine.
pub mod cli;
pub mod clock;
pub mod ingest;
pub mod ledger;
pub mod registry;
pub mod rules;
pub mod store;

//! The settlement engine.
pub mod ledger;
pub mod rules;
pub mod store;

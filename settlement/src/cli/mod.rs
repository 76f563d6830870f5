//! What a person types: the commands of the settlement engine, ready to be mounted in `gridtally`.

pub mod bench;
pub mod engine;
pub mod ledger;
pub mod rules;
pub mod settlement;
pub mod verify;

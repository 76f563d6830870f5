//! What a person types: the commands of the settlement engine, ready to be mounted in `gridtally`.

pub mod rules;
pub mod engine;

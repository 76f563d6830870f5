//! The settlement engine.

pub mod rules;

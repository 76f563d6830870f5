//! The rules: what a site would have used, what it delivered, and what that is worth.
//!
//! Pure and versioned: no I/O, no clock, no floats, nothing that depends on the order of the inputs. Given the
//! same readings and the same program, everybody gets the same statement, byte for byte.
//!
//! - [`baseline`]: the counterfactual, with its explanation;
//! - [`program`]: the document in which an operator writes the rules of a program;
//! - [`payment`]: what work is worth: price formulas, shares of pools, fees;
//! - [`statement`]: one event, every site, every interval: energy and tokens, or the reason why not;
//! - [`trial`]: a program on past data, before its first season;
//! - [`exact`], [`calendar`]: fractions and local time, on which these rest;
//! - [`holidays`]: calendars that name their source;
//! - [`document`]: how a document's mistakes are told.
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

pub mod baseline;
pub mod calendar;
pub mod document;
pub mod exact;
pub mod holidays;
pub mod payment;
pub mod program;
pub mod statement;
pub mod trial;

//! The contract between a box in a home and the engine: exact quantities, intervals, identities and
//! signed messages. Pure: no I/O, no clock, no async; every decoder refuses what it would not write.
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

pub mod acknowledgement;
pub mod agreement;
pub mod beacon;
mod cbor;
pub mod channel;
pub mod commission;
pub mod envelope;
pub mod identity;
pub mod instruction;
pub mod location;
pub mod message;
pub mod original;
pub mod price;
pub mod quantity;
pub mod receipt;
pub mod refusal;
pub mod report;
pub mod resend;
pub mod statement;
pub mod time;
pub mod topic;

//! Price formulas: what deliveries are paid.

#![allow(clippy::indexing_slicing)]

mod examples;
mod laws;
mod shares_and_terms;
mod work;

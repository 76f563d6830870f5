//! Test dispatches: the pure rules, and the whole way on a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../room/mod.rs"]
mod room;
mod rules;
mod whole_way;

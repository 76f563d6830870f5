//! PostgreSQL: migrations and queries. Nothing above it writes SQL.

pub mod ledger;

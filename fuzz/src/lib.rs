//! The bodies of the fuzz targets, which are those of the protocol's property tests.

#[path = "../../protocol/tests/wire/decoders.rs"]
pub mod decoders;

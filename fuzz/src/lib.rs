//! The bodies of the fuzz targets. Those of the wire are shared with the protocol's property tests.

#[path = "../../protocol/tests/wire/decoders.rs"]
pub mod decoders;
pub mod devices;
pub mod replies;

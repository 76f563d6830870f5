//! The bodies of the fuzz targets. Those of the wire and of the log are shared with the property tests there.

#[path = "../../protocol/tests/wire/decoders.rs"]
pub mod decoders;
pub mod devices;
#[path = "../../log/tests/parsers/bodies.rs"]
pub mod log;
pub mod replies;

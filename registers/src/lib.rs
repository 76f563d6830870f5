//! What the registers of Modbus devices mean. Pure: nothing here opens a socket or a file, or reads a clock.

pub mod profile;

//! Finding devices.

//! Home Assistant.

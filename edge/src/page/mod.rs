//! The homeowner's page.
pub mod command;
pub mod html;
pub mod state;

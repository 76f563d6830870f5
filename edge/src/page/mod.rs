//! The homeowner's page.
pub mod attempts;
pub mod command;
pub mod guard;
pub mod html;
pub mod password;
pub mod secret;
pub mod session;
pub mod state;

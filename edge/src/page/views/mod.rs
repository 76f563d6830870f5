//! The pages, each a function from what is known to HTML.

pub mod account;
pub mod bars;
pub mod earnings;
pub mod energy;
pub mod events;
pub mod flow;
pub mod layout;
pub mod now;
pub mod system;

use super::state::HomeState;
use crate::config::Zone;

/// What every page of a session knows.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The home.
    pub home: &'a HomeState,
    /// Its time zone.
    pub zone: &'a Zone,
    /// What each form carries.
    pub form_token: &'a str,
}

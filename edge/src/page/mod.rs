//! The homeowner's page, on the local network: no cloud, no build step, no request to anywhere else.
//!
//! The agent tells the page what it knows through a `watch` of [`HomeState`], and hears the owner through
//! [`OwnerRequest`]s; neither waits for the other, and a page that hangs costs the agent nothing.
//!
//! * [`state`], [`earned`], [`command`]: that contract.
//! * [`server`]: sockets, bounded in number, time and size; [`routes`]: what is answered.
//! * [`guard`], [`password`], [`session`], [`attempts`], [`secret`]: who is let in.
//! * [`views`]: the pages, pure functions to [`html`]; [`words`]: quantities as a person reads them.
//! * [`metrics`]: the same for Prometheus.
//!
//! Reading works without JavaScript; the one script only fetches the page again while it is looked at.

pub mod attempts;
pub mod command;
pub mod earned;
pub mod guard;
pub mod html;
pub mod metrics;
pub mod password;
pub mod routes;
pub mod secret;
pub mod server;
pub mod session;
pub mod state;
pub mod views;
pub mod words;

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

pub use self::command::{OwnerCommand, OwnerRequest};
pub use self::password::PasswordStore;
pub use self::server::serve;
pub use self::state::HomeState;
use crate::config::PageConfig;
use crate::history::History;

/// The history, shared between the agent who writes it and the page that reads it.
pub type SharedHistory = Arc<Mutex<History>>;

/// Everything that the page is made of.
#[derive(Debug)]
pub struct Page {
    /// What the owner wrote about it.
    pub config: PageConfig,
    /// What the agent knows.
    pub state: watch::Receiver<HomeState>,
    /// Where the owner's commands go.
    pub commands: mpsc::Sender<OwnerRequest>,
    /// What the charts show.
    pub history: SharedHistory,
    /// The password.
    pub passwords: PasswordStore,
    /// What others count, for `/metrics`.
    pub metrics: Arc<metrics::Registry>,
}

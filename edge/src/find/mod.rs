//! Finding the devices of a home: on the network and on serial lines, by asking politely.
//!
//! One connection at a time to a host, a bounded number of hosts at once, a short wait for those that are not
//! there. Nothing is written to any device. A unit that answers is asked for the SunSpec marker at the usual
//! bases; one without is asked for what the register-map profiles that come along would show of it.
//!
//! [`places`] is where to look, [`probe`] asks, [`guess`] and [`family`] judge what was read, [`report`] tells
//! it: as a table, as `[[device]]` sections, as JSON.

pub mod family;
pub mod guess;
pub mod places;
mod probe;
pub mod report;

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use self::family::Family;
use self::guess::Guess;
use self::places::Place;
use crate::device::endpoint::Endpoint;
use crate::show::Identity;

/// The units that devices are commonly set to: most 1 to 3, SMA 126, Fronius meters 100, 200 and 240, and the
/// last of all.
pub const UNITS: [u8; 9] = [1, 2, 3, 100, 126, 200, 240, 246, 247];
/// The ports of Modbus TCP that are found in the field.
pub const PORTS: [u16; 2] = [502, 1_502];

/// Where to look, for what, and how patiently.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Hosts and lines.
    pub places: Vec<Place>,
    /// The units to ask for.
    pub units: Vec<u8>,
    /// Where maps may start.
    pub bases: Vec<u16>,
    /// How long a host may take to accept a connection.
    pub connect_within: Duration,
    /// How long a unit may take to answer.
    pub answer_within: Duration,
    /// The rest between two requests.
    pub pause: Duration,
    /// How many hosts are asked at once.
    pub parallel: usize,
}

/// A unit that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// What the connection is made to.
    pub endpoint: Endpoint,
    /// The first unit that it answered to.
    pub unit: u8,
    /// The register of its SunSpec marker.
    pub base: Option<u16>,
    /// Who it says that it is.
    pub identity: Identity,
    /// Its SunSpec models.
    pub models: Vec<u16>,
    /// What it may be by its models.
    pub guess: Guess,
    /// The profiles that perhaps fit it.
    pub families: Vec<Family>,
}

/// What happens while devices are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A device.
    Found(Box<Find>),
    /// The device that was found at this endpoint with unit `known` answers to `unit` just the same.
    Also {
        /// Where.
        endpoint: Endpoint,
        /// The unit that it was found with.
        known: u8,
        /// Another unit that it answers to.
        unit: u8,
    },
    /// Something that its owner should know, which is no device.
    Told(String),
    /// A place is done.
    Done,
}

/// Looks everywhere, and tells what is found as soon as it is. Ends when all places are done, or nobody
/// listens; dropped, it ends at once.
pub async fn scan(plan: Plan, events: Sender<Event>) {
    let plan = std::sync::Arc::new(plan);
    let mut at_work = JoinSet::new();
    for place in plan.places.clone() {
        if at_work.len() >= plan.parallel.max(1) {
            drop(at_work.join_next().await);
        }
        if events.is_closed() {
            return;
        }
        let (plan, events) = (std::sync::Arc::clone(&plan), events.clone());
        at_work.spawn(async move {
            probe::place(&plan, &place, &events).await;
            drop(events.send(Event::Done).await);
        });
    }
    while at_work.join_next().await.is_some() {}
}

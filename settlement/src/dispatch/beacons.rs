//! Publishing a beacon in every epoch.

use gridtally_link::Link;
use gridtally_protocol::beacon::{Beacon, EPOCH_SECONDS};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::BEACON_TOPIC;

use super::DispatchError;
use crate::store::beacons::{self, Newest};
use crate::store::{Store, StoreError};

/// What of the newest beacon was published on this connection.
#[derive(Debug, Default)]
pub struct Lighthouse {
    /// The number of the beacon that the broker was given, and how long it is the newest.
    shown: Option<(u64, Timestamp)>,
}

impl Lighthouse {
    /// After a new connection: the broker may have lost what it retained.
    pub const fn forget(&mut self) {
        self.shown = None;
    }

    /// Signs a beacon where none was signed in this epoch, and publishes the newest where that was not done.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn shine(
        &mut self,
        store: &mut Store,
        link: &Link,
        engine: &SigningIdentity,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.shown.is_some_and(|(_, until)| now < until) {
            return Ok(());
        }
        let newest = store.transact(|client| {
            let newest = beacons::newest(client)?;
            if newest.as_ref().is_some_and(|newest| now < until(newest)) {
                return Ok(newest);
            }
            let number = newest.as_ref().map_or(0, |newest| newest.number).saturating_add(1);
            match sealed(number, engine, now) {
                Ok(envelope) => {
                    let signed = Beacon::open(&envelope).map_err(|error| StoreError::Corrupt {
                        what: format!("a beacon: {error}"),
                    })?;
                    beacons::keep(client, &signed, &envelope)?;
                    // Another engine of the same database may have been first.
                    beacons::newest(client)
                }
                Err(error) => {
                    tracing::error!(%error, "no beacon can be made; what is reported is not fresh until one can");
                    Ok(newest)
                }
            }
        })?;
        let Some(newest) = newest else { return Ok(()) };
        if self.shown.is_some_and(|(number, _)| number == newest.number) {
            return Ok(());
        }
        match link.publish(BEACON_TOPIC, newest.envelope.clone(), true) {
            Ok(()) => {
                tracing::info!(number = newest.number, "a beacon is published");
                self.shown = Some((newest.number, until(&newest)));
            }
            Err(error) => tracing::debug!(%error, "a beacon waits"),
        }
        Ok(())
    }
}

/// How long a beacon is the newest.
fn until(newest: &Newest) -> Timestamp {
    newest
        .issued_at
        .checked_add(EPOCH_SECONDS)
        .unwrap_or(Timestamp::LATEST)
}

fn sealed(number: u64, engine: &SigningIdentity, now: Timestamp) -> Result<Vec<u8>, DispatchError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| DispatchError::Random(error.to_string()))?;
    let beacon = Beacon {
        number,
        nonce,
        issued_at: now,
    };
    Ok(beacon.seal(engine)?)
}

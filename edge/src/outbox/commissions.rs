//! What devices showed when they were commissioned, and when the engine last signed for something: for
//! people who ask.

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Outbox, OutboxError, instant};
use crate::device::Hand;

impl Outbox {
    /// The signed record of a device's last commissioning.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn commission(&self, device: DeviceNumber, hand: Hand) -> Result<Option<Vec<u8>>, OutboxError> {
        Ok(self
            .connection
            .prepare_cached("SELECT envelope FROM commission WHERE device = ?1 AND hand = ?2")?
            .query_row(params![device.0, hand.name()], |row| row.get(0))
            .optional()?)
    }

    /// When a receipt of the engine was last taken for a message that is still kept.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn last_receipt(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.connection
            .prepare_cached("SELECT max(delivered_at) FROM message")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .map(instant)
            .transpose()
    }
}

//! What the owner said on his page, and what his devices have shown.

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Outbox, OutboxError, instant};
use crate::control::policy::Proof;
use crate::device::Hand;

impl Outbox {
    /// Until when the owner takes no part, where he has said so.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn opted_out_until(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.connection
            .prepare_cached("SELECT until FROM opt_out")?
            .query_row([], |row| row.get(0))
            .optional()?
            .map(instant)
            .transpose()
    }

    /// Takes the owner's word: out until then, or in again.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn opt_out(&mut self, until: Option<Timestamp>) -> Result<(), OutboxError> {
        self.durably(|transaction, _| {
            match until {
                Some(until) => transaction.execute(
                    "INSERT OR REPLACE INTO opt_out (one, until) VALUES (1, ?1)",
                    [until.unix()],
                )?,
                None => transaction.execute("DELETE FROM opt_out", [])?,
            };
            Ok(())
        })
    }

    /// What a device has shown of a control when it was commissioned.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn proof(&self, device: DeviceNumber, hand: Hand) -> Result<Proof, OutboxError> {
        let passed: Option<bool> = self
            .connection
            .prepare_cached("SELECT passed FROM commission WHERE device = ?1 AND hand = ?2")?
            .query_row(params![device.0, hand.name()], |row| row.get(0))
            .optional()?;
        Ok(match passed {
            None => Proof::Untried,
            Some(true) => Proof::Passed,
            Some(false) => Proof::Failed,
        })
    }

    /// As [`Outbox::proof`], of the device that says by `fingerprint` who it is: what another one has shown
    /// in its place proves nothing of it.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn proof_of(&self, device: DeviceNumber, hand: Hand, fingerprint: u64) -> Result<Proof, OutboxError> {
        let Some(envelope) = self.commission(device, hand)? else {
            return Ok(Proof::Untried);
        };
        let record = CommissionRecord::open(&envelope)
            .map_err(|e| OutboxError::corrupt("commissioning record", e))?
            .message;
        match record.fingerprint {
            Some(tried) if tried != fingerprint => Ok(Proof::Untried),
            _ => self.proof(device, hand),
        }
    }

    /// Keeps the signed result of a commissioning; a later one takes the place of an earlier one.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn keep_commission(
        &mut self,
        device: DeviceNumber,
        hand: Hand,
        passed: bool,
        envelope: &[u8],
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.durably(|transaction, _| {
            transaction.execute(
                "INSERT OR REPLACE INTO commission (device, hand, passed, at, envelope) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![device.0, hand.name(), passed, now.unix(), envelope],
            )?;
            Ok(())
        })
    }
}

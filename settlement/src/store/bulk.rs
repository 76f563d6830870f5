//! Loading very many rows at once, for measurements: what ingest and dispatch would have written, one by one.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::Client;

use super::copy::{Rows, instant};
use super::types::corrupt;
use super::{RECONNECT_SECONDS_MAX, StoreError, connect};
use crate::days::{Day, DeviceDay};
use crate::registry::Enrolment;

/// A connection that loads.
pub struct Loader {
    client: Client,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loader")
    }
}

impl Loader {
    /// Connects as the owner of the database. References are not looked up while loading: give whole data.
    ///
    /// # Errors
    /// [`StoreError`] of the database, also where the user is no superuser.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let mut client = connect(url, RECONNECT_SECONDS_MAX)?;
        client.batch_execute("SET session_replication_role = replica")?;
        Ok(Self { client })
    }

    /// Enrols sites.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn enrol(
        &mut self,
        enrolments: impl Iterator<Item = Enrolment>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let table = "enrolment (gateway, site, program, document, enrolled_at)";
        let mut rows = Rows::into(&mut self.client, table)?;
        for enrolment in enrolments {
            rows.row(&[
                enrolment.gateway.as_bytes(),
                enrolment.site.as_str().as_bytes(),
                enrolment.program.as_str().as_bytes(),
                &serde_json::to_vec(&enrolment).map_err(corrupt)?,
                &instant(now),
            ])?;
        }
        rows.finish()
    }

    /// Keeps days of devices, each by the number of its enrolment, as if it had come when it was over.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn days(&mut self, days: impl Iterator<Item = (i32, u8, Day, DeviceDay)>) -> Result<(), StoreError> {
        let table = "device_day (enrolment, day, received_at, readings, device, channels)";
        let mut rows = Rows::into(&mut self.client, table)?;
        for (number, device, day, known) in days {
            let readings = i32::try_from(known.known().count()).map_err(corrupt)?;
            let over = i64::from(day.number()).saturating_add(1).saturating_mul(86_400);
            let received_at = Timestamp::from_unix(over).map_err(corrupt)?;
            rows.row(&[
                &number.to_be_bytes(),
                &day.number().saturating_sub(10_957).to_be_bytes(),
                &instant(received_at),
                &readings.to_be_bytes(),
                &i16::from(device).to_be_bytes(),
                &known.to_bytes(),
            ])?;
        }
        rows.finish()
    }

    /// Asks gateways to take part in an event, and lets all of them say yes.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn opt_in(
        &mut self,
        event: &EventId,
        gateways: impl Iterator<Item = Identity> + Clone,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = |gateway: &Identity| Digest::of(gateway.as_bytes());
        let table = "instruction (gateway, sequence, event, digest, expires_at, envelope)";
        let mut rows = Rows::into(&mut self.client, table)?;
        for gateway in gateways.clone() {
            rows.row(&[
                gateway.as_bytes(),
                &1_i64.to_be_bytes(),
                event.as_str().as_bytes(),
                asked(&gateway).as_bytes(),
                &instant(at),
                &[0; 200],
            ])?;
        }
        rows.finish()?;
        let table =
            "acknowledgement (digest, gateway, instruction, stage, reached_at, received_at, envelope)";
        let mut rows = Rows::into(&mut self.client, table)?;
        for gateway in gateways {
            let asked = asked(&gateway);
            rows.row(&[
                Digest::of(asked.as_bytes()).as_bytes(),
                gateway.as_bytes(),
                asked.as_bytes(),
                &1_i16.to_be_bytes(),
                &instant(at),
                &instant(at),
                &[0; 160],
            ])?;
        }
        rows.finish()
    }

    /// Lets the database look at what was loaded.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn finish(mut self) -> Result<(), StoreError> {
        // One by one: VACUUM bears no company.
        for table in ["enrolment", "device_day", "instruction", "acknowledgement"] {
            self.client.batch_execute(&format!("VACUUM (ANALYZE) {table}"))?;
        }
        Ok(self.client.batch_execute("CHECKPOINT")?)
    }
}

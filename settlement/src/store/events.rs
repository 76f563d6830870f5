//! Events, instructions and acknowledgements.

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::programs::version_column;
use super::types::{corrupt, digest, identity, sequence, sequence_column, timestamp, to_column};
use crate::rules::program::ProgramId;

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its name.
    pub id: EventId,
    /// Whose rules and prices.
    pub program: ProgramId,
    /// Which version of them.
    pub program_version: u32,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// When it was announced.
    pub announced_at: Timestamp,
    /// What each battery was asked to give.
    pub discharge: Milliwatts,
}

/// An instruction as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstruction {
    /// For whom.
    pub gateway: Identity,
    /// Its number among the gateway's instructions.
    pub sequence: u64,
    /// Of which event.
    pub event: EventId,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// After this it must not be begun.
    pub expires_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// An acknowledgement as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAcknowledgement {
    /// Who signed.
    pub gateway: Identity,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// The digest of the instruction.
    pub instruction: Digest,
    /// Which stage.
    pub stage: Stage,
    /// When the gateway reached it, by its own clock.
    pub reached_at: Timestamp,
    /// When the engine got it.
    pub received_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// Keeps an event. The same again is a no-op.
///
/// # Errors
/// [`StoreError::Conflict`] where its name is taken by another.
pub fn insert_event(client: &mut impl GenericClient, event: &StoredEvent) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO event (id, program, program_version, starts_at, ends_at, announced_at, discharge_milliwatts)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            &event.id.as_str(),
            &event.program.as_str(),
            &version_column(event.program_version)?,
            &to_column(event.start),
            &to_column(event.end),
            &to_column(event.announced_at),
            &event.discharge.get(),
        ],
    )?;
    let kept = self::event(client, &event.id)?;
    let same = StoredEvent {
        announced_at: event.announced_at,
        ..kept
    } == *event;
    if same {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!(
            "there is another event {}; give this one a name of its own",
            event.id
        )))
    }
}

const EVENT_COLUMNS: &str =
    "id, program, program_version, starts_at, ends_at, announced_at, discharge_milliwatts";

/// An announced event by its name, as it was last modified.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn event(client: &mut impl GenericClient, id: &EventId) -> Result<StoredEvent, StoreError> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM event_in_force WHERE id = $1");
    match client.query_opt(&sql, &[&id.as_str()])? {
        Some(row) => read_event(&row),
        None => Err(StoreError::NotFound(format!(
            "no event {id}; `engine event list` shows them"
        ))),
    }
}

/// The events that homes were asked to follow, as they were last modified, by their start. Those that were cancelled
/// before they began are none of them: such a day is as any other.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn events(client: &mut impl GenericClient) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = client.query(
        &format!(
            "SELECT {EVENT_COLUMNS} FROM event_in_force
             WHERE cancelled_at IS NULL OR cancelled_at > starts_at ORDER BY starts_at, id"
        ),
        &[],
    )?;
    rows.iter().map(read_event).collect()
}

fn read_event(row: &Row) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: row.get::<_, String>(0).parse().map_err(corrupt)?,
        program: row.get::<_, String>(1).parse().map_err(corrupt)?,
        program_version: u32::try_from(row.get::<_, i32>(2)).map_err(corrupt)?,
        start: timestamp(row.get(3))?,
        end: timestamp(row.get(4))?,
        announced_at: timestamp(row.get(5))?,
        discharge: Milliwatts::new(row.get(6)),
    })
}

/// Keeps other announcements and changes of events out until the database transaction ends: so that no two take the same
/// number, or the same home.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn lock(client: &mut impl GenericClient) -> Result<(), StoreError> {
    client.query(
        "SELECT pg_advisory_xact_lock(hashtextextended('instruction', 0))",
        &[],
    )?;
    Ok(())
}

/// The number that a gateway's next instruction takes.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn next_instruction(client: &mut impl GenericClient, gateway: &Identity) -> Result<u64, StoreError> {
    lock(client)?;
    let gateway = gateway.as_bytes().as_slice();
    let row = client.query_one(
        "SELECT coalesce(max(sequence), 0) + 1 FROM instruction WHERE gateway = $1",
        &[&gateway],
    )?;
    sequence(row.get(0))
}

/// Keeps an instruction.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_instruction(
    client: &mut impl GenericClient,
    instruction: &StoredInstruction,
) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO instruction (gateway, sequence, event, digest, expires_at, envelope)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &instruction.gateway.as_bytes().as_slice(),
            &sequence_column(instruction.sequence)?,
            &instruction.event.as_str(),
            &instruction.digest.as_bytes().as_slice(),
            &to_column(instruction.expires_at),
            &instruction.envelope,
        ],
    )?;
    Ok(())
}

const INSTRUCTION_COLUMNS: &str = "gateway, sequence, event, digest, expires_at, envelope";

fn read_instruction(row: &Row) -> Result<StoredInstruction, StoreError> {
    Ok(StoredInstruction {
        gateway: identity(row.get(0))?,
        sequence: sequence(row.get(1))?,
        event: row.get::<_, String>(2).parse().map_err(corrupt)?,
        digest: digest(row.get(3))?,
        expires_at: timestamp(row.get(4))?,
        envelope: row.get(5),
    })
}

/// The instructions of an event, by gateway and number.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn instructions_of(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<Vec<StoredInstruction>, StoreError> {
    let sql =
        format!("SELECT {INSTRUCTION_COLUMNS} FROM instruction WHERE event = $1 ORDER BY gateway, sequence");
    client
        .query(&sql, &[&event.as_str()])?
        .iter()
        .map(read_instruction)
        .collect()
}

/// The instructions of an event by which homes are asked, without farewells, by gateway and number.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn asks_of(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<Vec<StoredInstruction>, StoreError> {
    let sql = format!(
        "SELECT {INSTRUCTION_COLUMNS} FROM instruction i WHERE event = $1
             AND NOT EXISTS (SELECT FROM event_farewell f WHERE f.instruction = i.digest)
         ORDER BY gateway, sequence"
    );
    client
        .query(&sql, &[&event.as_str()])?
        .iter()
        .map(read_instruction)
        .collect()
}

/// The instructions that are neither answered (opted in or out) nor expired, and in whose place no later one of the
/// same event stands. Farewells are sent all the same: they end what a home may have heard of, though its answer is
/// not here.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn unanswered(
    client: &mut impl GenericClient,
    now: Timestamp,
) -> Result<Vec<StoredInstruction>, StoreError> {
    let sql = format!(
        "SELECT {INSTRUCTION_COLUMNS} FROM instruction i
         WHERE expires_at > $1
             AND NOT EXISTS (SELECT FROM acknowledgement a WHERE a.instruction = i.digest AND a.stage IN (1, 2))
             AND (EXISTS (SELECT FROM event_farewell f WHERE f.instruction = i.digest)
                  OR NOT EXISTS (SELECT FROM instruction later WHERE later.gateway = i.gateway
                                 AND later.sequence > i.sequence AND later.event = i.event))
         ORDER BY gateway, sequence"
    );
    client
        .query(&sql, &[&to_column(now)])?
        .iter()
        .map(read_instruction)
        .collect()
}

/// Which of these instructions exist for these gateways.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn known_instructions(
    client: &mut impl GenericClient,
    asked: &[(Identity, Digest)],
) -> Result<Vec<(Identity, Digest)>, StoreError> {
    let gateways: Vec<&[u8]> = asked.iter().map(|(g, _)| g.as_bytes().as_slice()).collect();
    let digests: Vec<&[u8]> = asked.iter().map(|(_, d)| d.as_bytes().as_slice()).collect();
    let rows = client.query(
        "SELECT DISTINCT i.gateway, i.digest FROM instruction i
         JOIN unnest($1::bytea[], $2::bytea[]) AS k (gateway, digest) USING (gateway, digest)",
        &[&gateways, &digests],
    )?;
    rows.iter()
        .map(|row| Ok((identity(row.get(0))?, digest(row.get(1))?)))
        .collect()
}

/// Keeps acknowledgements. One that is kept already is left as it is.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_acknowledgements(
    client: &mut impl GenericClient,
    acknowledgements: &[StoredAcknowledgement],
) -> Result<(), StoreError> {
    for a in acknowledgements {
        client.execute(
            "INSERT INTO acknowledgement (digest, gateway, instruction, stage, reached_at, received_at, envelope)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            &[
                &a.digest.as_bytes().as_slice(),
                &a.gateway.as_bytes().as_slice(),
                &a.instruction.as_bytes().as_slice(),
                &i16::from(a.stage.code()),
                &to_column(a.reached_at),
                &to_column(a.received_at),
                &a.envelope,
            ],
        )?;
    }
    Ok(())
}

/// The acknowledgements of an event's instructions, by gateway, time and stage.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn acknowledgements_of(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<Vec<StoredAcknowledgement>, StoreError> {
    use gridtally_protocol::acknowledgement::Acknowledgement;
    use gridtally_protocol::message::Message as _;

    let rows = client.query(
        "SELECT a.gateway, a.received_at, a.envelope FROM acknowledgement a
         JOIN instruction i ON i.digest = a.instruction
         WHERE i.event = $1 ORDER BY a.gateway, a.reached_at, a.stage, a.digest",
        &[&event.as_str()],
    )?;
    rows.iter()
        .map(|row| {
            let envelope: Vec<u8> = row.get(2);
            let signed = Acknowledgement::open(&envelope).map_err(corrupt)?;
            Ok(StoredAcknowledgement {
                gateway: identity(row.get(0))?,
                digest: signed.digest,
                instruction: signed.message.instruction,
                stage: signed.message.stage,
                reached_at: signed.message.at,
                received_at: timestamp(row.get(1))?,
                envelope,
            })
        })
        .collect()
}

//! Instructions and what was done about them, with the owner's setting that they displaced. Each step is
//! kept together with the acknowledgement that tells of it.

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::instruction::{Instruction, ProgramId, Target, TargetKind};
use gridtally_protocol::message::{Message as _, Signed};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Kind, Outbox, OutboxError, delivery, instant, json};
use crate::control::policy::Decision;
use crate::device::Hand;
use crate::device::controls::Saved;

/// How far an accepted instruction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Its time has not come.
    Waiting,
    /// The owner's setting is saved; a set-point may or may not be on the device.
    Begun,
    /// The device took the set-point.
    Written,
    /// The device gave the set-point back.
    Held,
    /// What was asked for was seen.
    Observed,
    /// It ended; the owner's setting may not be back yet.
    Stopped,
    /// Nothing is left to do.
    Done,
}

impl Progress {
    const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Begun,
        Self::Written,
        Self::Held,
        Self::Observed,
        Self::Stopped,
        Self::Done,
    ];

    fn named(name: &str) -> Result<Self, OutboxError> {
        let named = Self::ALL.into_iter().find(|progress| progress.name() == name);
        named.ok_or_else(|| OutboxError::corrupt("progress", name))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Written => "written",
            Self::Held => "held",
            Self::Observed => "observed",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }
}

/// An instruction that was accepted and is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatch {
    /// The digest of the instruction.
    pub instruction: Digest,
    /// The engine's number of it.
    pub sequence: u64,
    /// When to begin.
    pub start: Timestamp,
    /// When the owner's setting shall be back.
    pub end: Timestamp,
    /// After this instant it is not begun.
    pub expires_at: Timestamp,
    /// What of the instruction's target was accepted.
    pub target: Target,
    /// The greatest power of the battery, or the limit at the meter, that was accepted for it.
    pub power: Milliwatts,
    /// How far it is.
    pub progress: Progress,
}

/// An event as the owner is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its name.
    pub event: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// What is asked for.
    pub target: Target,
    /// Whether the home takes part.
    pub is_accepted: bool,
    /// How far it is.
    pub progress: Progress,
    /// Why it was declined, or ended early.
    pub because: Option<Declined>,
}

impl Outbox {
    /// The events that begin last, the latest first.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn events(&self, limit: u16) -> Result<Vec<EventRecord>, OutboxError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT event, starts_at, ends_at, asked, kind, accepted IS NOT NULL, progress, because \
             FROM instruction ORDER BY starts_at DESC, sequence DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], |row| {
            let times = [row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?];
            let names = [row.get::<_, String>(0)?, row.get(4)?, row.get(6)?];
            Ok((times, names, row.get(5)?, row.get::<_, Option<String>>(7)?))
        })?;
        rows.map(|row| {
            let ([start, end, asked], [event, kind, progress], is_accepted, because) = row?;
            Ok(EventRecord {
                event,
                start: instant(start)?,
                end: instant(end)?,
                target: target(&kind, asked)?,
                is_accepted,
                progress: Progress::named(&progress)?,
                because: because.and_then(|name| Declined::ALL.into_iter().find(|why| why.name() == name)),
            })
        })
        .collect()
    }

    /// The highest number of an instruction that was ever taken, and the digest of it.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn last_instruction(&self) -> Result<Option<(u64, Digest)>, OutboxError> {
        self.connection
            .query_row(
                "SELECT sequence, digest FROM instruction ORDER BY sequence DESC LIMIT 1",
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)),
            )
            .optional()?
            .map(|(sequence, digest)| Ok((number(sequence)?, Digest::from_bytes(digest))))
            .transpose()
    }

    /// Whether this very instruction was taken before.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn knows_instruction(&self, digest: Digest) -> Result<bool, OutboxError> {
        let known = self
            .connection
            .query_row(
                "SELECT 1 FROM instruction WHERE digest = ?1",
                [digest.as_bytes()],
                |_| Ok(()),
            )
            .optional()?;
        Ok(known.is_some())
    }

    /// Takes an instruction with the owner's decision about it, and the acknowledgement that tells it.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn admit(
        &mut self,
        signed: &Signed<Instruction>,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let instruction = &signed.message;
        let (accepted, power, progress) = match decision {
            Decision::OptedIn { target, power } => {
                (Some(target.value()), Some(power.get()), Progress::Waiting)
            }
            Decision::OptedOut(_) => (None, None, Progress::Done),
        };
        let because = match decision {
            Decision::OptedOut(why) => Some(why.name()),
            Decision::OptedIn { .. } => None,
        };
        let sequence =
            i64::try_from(instruction.sequence).map_err(|e| OutboxError::corrupt("sequence number", e))?;
        let added = self.durably(|transaction, key| {
            transaction.execute(
                "INSERT INTO instruction (digest, sequence, event, starts_at, ends_at, expires_at, kind, asked, \
                 accepted, power, program, price, progress, because) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                params![
                    signed.digest.as_bytes(),
                    sequence,
                    instruction.event.as_str(),
                    instruction.start.unix(),
                    instruction.end.unix(),
                    instruction.expires_at.unix(),
                    instruction.target.kind().name(),
                    instruction.target.value(),
                    accepted,
                    power,
                    instruction.program.as_ref().map(ProgramId::as_str),
                    instruction.price.map(|price| price.to_string()),
                    progress.name(),
                    because,
                ],
            )?;
            let received = acknowledge(transaction, key, signed.digest, Stage::Received, now)?;
            let decided = acknowledge(transaction, key, signed.digest, decision.stage(), now)?;
            Ok(received.saturating_add(decided))
        })?;
        self.depth = self.depth.saturating_add(added);
        Ok(())
    }

    /// The accepted instructions that are not done, by their numbers.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn dispatches(&self) -> Result<Vec<Dispatch>, OutboxError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT digest, sequence, starts_at, ends_at, expires_at, accepted, power, kind, progress \
             FROM instruction WHERE progress <> 'done' AND accepted IS NOT NULL ORDER BY sequence",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, [u8; 32]>(0)?,
                [
                    row.get::<_, i64>(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                ],
                [row.get::<_, String>(7)?, row.get(8)?],
            ))
        })?;
        rows.map(|row| {
            let (digest, [sequence, start, end, expires_at, accepted, power], [kind, progress]) = row?;
            Ok(Dispatch {
                instruction: Digest::from_bytes(digest),
                sequence: number(sequence)?,
                start: instant(start)?,
                end: instant(end)?,
                expires_at: instant(expires_at)?,
                target: target(&kind, accepted)?,
                power: Milliwatts::new(power),
                progress: Progress::named(&progress)?,
            })
        })
        .collect()
    }

    /// The owner's setting, if an event has displaced it.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn owner_setting(&self, hand: Hand) -> Result<Option<Saved>, OutboxError> {
        self.connection
            .prepare_cached("SELECT setting FROM owner_setting WHERE hand = ?1")?
            .query_row([hand.name()], |row| row.get::<_, String>(0))
            .optional()?
            .map(|text| serde_json::from_str(&text).map_err(|e| OutboxError::corrupt("setting", e)))
            .transpose()
    }

    /// Keeps the owner's setting before it is displaced. One that is kept already stays: what the device
    /// shows then may be ours.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn keep_owner_setting(
        &mut self,
        hand: Hand,
        setting: &Saved,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let text = json("setting", setting)?;
        self.durably(|transaction, _| {
            transaction.execute(
                "INSERT OR IGNORE INTO owner_setting (hand, setting, saved_at) VALUES (?1, ?2, ?3)",
                params![hand.name(), text, now.unix()],
            )?;
            Ok(())
        })
    }

    /// The owner has set the device anew: what is to be put back is by now this.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn replace_owner_setting(&mut self, hand: Hand, setting: &Saved) -> Result<(), OutboxError> {
        let text = json("setting", setting)?;
        self.durably(|transaction, _| {
            transaction.execute(
                "UPDATE owner_setting SET setting = ?2 WHERE hand = ?1",
                params![hand.name(), text],
            )?;
            Ok(())
        })
    }

    /// What was kept of the owner's is on the device again, or he has set it anew: it is not to be put back.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn forget_owner_setting(&mut self, hand: Hand) -> Result<(), OutboxError> {
        self.durably(|transaction, _| {
            transaction.execute("DELETE FROM owner_setting WHERE hand = ?1", [hand.name()])?;
            Ok(())
        })
    }

    /// Notes how far an instruction is, with the acknowledgement of a new stage, if there is one.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn advance(
        &mut self,
        instruction: Digest,
        progress: Progress,
        stage: Option<Stage>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let added = self.durably(|transaction, key| {
            step(transaction, instruction, progress)?;
            if let Some(Stage::Stopped(why)) = stage {
                transaction
                    .prepare_cached("UPDATE instruction SET because = ?2 WHERE digest = ?1")?
                    .execute(params![instruction.as_bytes(), why.name()])?;
            }
            stage.map_or(Ok(0), |stage| {
                acknowledge(transaction, key, instruction, stage, now)
            })
        })?;
        self.depth = self.depth.saturating_add(added);
        Ok(())
    }

    /// The owner's setting is back: forgets it, and where it was the last, closes the instructions that were
    /// stopped and tells so.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn restored(&mut self, hand: Hand, now: Timestamp) -> Result<(), OutboxError> {
        let stopped = self.stopped()?;
        let added = self.durably(|transaction, key| {
            transaction.execute("DELETE FROM owner_setting WHERE hand = ?1", [hand.name()])?;
            let mut added = 0_u64;
            if is_anything_displaced(transaction)? {
                return Ok(added);
            }
            for &instruction in &stopped {
                step(transaction, instruction, Progress::Done)?;
                added =
                    added.saturating_add(acknowledge(transaction, key, instruction, Stage::Restored, now)?);
            }
            Ok(added)
        })?;
        self.depth = self.depth.saturating_add(added);
        Ok(())
    }

    /// Closes the instructions that were stopped, where nothing of the owner's is displaced.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn close_stopped(&mut self) -> Result<(), OutboxError> {
        let stopped = self.stopped()?;
        if stopped.is_empty() {
            return Ok(());
        }
        self.durably(|transaction, _| {
            if is_anything_displaced(transaction)? {
                return Ok(());
            }
            stopped
                .iter()
                .try_for_each(|instruction| step(transaction, *instruction, Progress::Done))
        })
    }

    fn stopped(&self) -> Result<Vec<Digest>, OutboxError> {
        let dispatches = self.dispatches()?.into_iter();
        let stopped = dispatches.filter(|d| d.progress == Progress::Stopped);
        Ok(stopped.map(|d| d.instruction).collect())
    }
}

fn is_anything_displaced(transaction: &Transaction<'_>) -> Result<bool, OutboxError> {
    Ok(
        transaction.query_row("SELECT EXISTS (SELECT 1 FROM owner_setting)", [], |row| {
            row.get(0)
        })?,
    )
}

fn step(transaction: &Transaction<'_>, instruction: Digest, progress: Progress) -> Result<(), OutboxError> {
    transaction
        .prepare_cached("UPDATE instruction SET progress = ?2 WHERE digest = ?1")?
        .execute(params![instruction.as_bytes(), progress.name()])?;
    Ok(())
}

pub(super) fn acknowledge(
    transaction: &Transaction<'_>,
    key: &SigningIdentity,
    instruction: Digest,
    stage: Stage,
    now: Timestamp,
) -> Result<u64, OutboxError> {
    let acknowledgement = Acknowledgement {
        instruction,
        at: now,
        stage,
    };
    delivery::enqueue(
        transaction,
        Kind::Acknowledgement,
        &acknowledgement.seal(key)?,
        None,
        now,
    )
}

fn target(kind: &str, value: i64) -> Result<Target, OutboxError> {
    TargetKind::ALL
        .into_iter()
        .find(|k| k.name() == kind)
        .and_then(|kind| Target::from_parts(kind, value))
        .ok_or_else(|| OutboxError::corrupt("target", format!("{kind} {value}")))
}

fn number(sequence: i64) -> Result<u64, OutboxError> {
    u64::try_from(sequence).map_err(|e| OutboxError::corrupt("sequence number", e))
}

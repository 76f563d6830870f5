//! From an event to the signed instruction of each home.

use std::collections::BTreeMap;

use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::{EventId, Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::price::Price;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::DispatchError;
use crate::events::farewell::farewell;
use crate::events::revision::{Revision, Window};
use crate::events::start::{StartBound, StartSecret, moved};
use crate::rules::program::Program;
use crate::store::event_life;
use crate::store::events::{self, StoredInstruction};

/// What is the same in all instructions of an event.
pub(super) struct Voice<'v> {
    pub engine: &'v SigningIdentity,
    pub event: &'v EventId,
    pub program: &'v Program,
    pub secret: Option<&'v StartSecret>,
    pub now: Timestamp,
}

impl Voice<'_> {
    /// Asks a home for a power when a revision says.
    pub fn ask(
        &self,
        client: &mut impl GenericClient,
        revision: &Revision,
        power: Milliwatts,
        gateway: Identity,
    ) -> Result<(), DispatchError> {
        let window = self.window(revision, &gateway)?;
        self.ask_for(client, window, power, gateway)
    }

    /// Asks a home for a power in a span of time.
    pub fn ask_for(
        &self,
        client: &mut impl GenericClient,
        window: Window,
        power: Milliwatts,
        gateway: Identity,
    ) -> Result<(), DispatchError> {
        self.instruct(client, gateway, window, Target::SetPoint(power))?;
        Ok(())
    }

    /// Ends what a home was asked before, as far as what it is asked `instead` does not.
    pub fn say_farewell(
        &self,
        client: &mut impl GenericClient,
        gateway: Identity,
        before: &[Asked],
        instead: Option<&Revision>,
    ) -> Result<(), DispatchError> {
        let instead = instead
            .map(|revision| self.window(revision, &gateway))
            .transpose()?;
        // Of two that begin together the later is the one that is followed.
        let farewells: BTreeMap<Timestamp, (Window, Target)> = before
            .iter()
            .filter_map(|asked| {
                let window = farewell(asked.window, instead, self.now)?;
                Some((window.start, (window, asked.target)))
            })
            .collect();
        for (window, asked) in farewells.into_values() {
            for target in [asked, Target::SetPoint(Milliwatts::ZERO)] {
                let digest = self.instruct(client, gateway, window, target)?;
                event_life::insert_farewell(client, &digest)?;
            }
        }
        Ok(())
    }

    /// When a home has the event.
    fn window(&self, revision: &Revision, gateway: &Identity) -> Result<Window, DispatchError> {
        let span = match self.secret {
            Some(secret) if revision.start_bound > StartBound::NONE => {
                secret.span(self.event, revision.start_drawn_at, gateway, revision.start_bound)
            }
            _ => 0,
        };
        moved(revision.window, span).ok_or(DispatchError::TooLate {
            start: revision.window.start,
            now: self.now,
        })
    }

    fn instruct(
        &self,
        client: &mut impl GenericClient,
        gateway: Identity,
        window: Window,
        target: Target,
    ) -> Result<Digest, DispatchError> {
        let program = self.program;
        let instruction = Instruction {
            sequence: events::next_instruction(client, &gateway)?,
            gateway,
            event: self.event.clone(),
            issued_at: self.now,
            expires_at: window.end,
            start: window.start,
            end: window.end,
            target,
            program: Some(program.id.clone()),
            // What an instruction cannot say exactly it leaves out; the program's document says it.
            price: program
                .price_per_kwh
                .and_then(|price| Price::new(price.base_units(), program.asset.decimals()).ok()),
        };
        let envelope = instruction.seal(self.engine)?;
        let digest = Digest::of(&envelope);
        let stored = StoredInstruction {
            gateway,
            sequence: instruction.sequence,
            event: instruction.event,
            digest,
            expires_at: instruction.expires_at,
            envelope,
        };
        events::insert_instruction(client, &stored)?;
        Ok(digest)
    }
}

/// What a home was asked.
pub(super) struct Asked {
    window: Window,
    target: Target,
}

/// What each home was asked in an event, the earlier first.
pub(super) fn asked(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<BTreeMap<Identity, Vec<Asked>>, DispatchError> {
    let mut asked: BTreeMap<Identity, Vec<Asked>> = BTreeMap::new();
    for stored in events::asks_of(client, event)? {
        let Instruction {
            start, end, target, ..
        } = Instruction::open(&stored.envelope)?.message;
        let window = Window { start, end };
        asked
            .entry(stored.gateway)
            .or_default()
            .push(Asked { window, target });
    }
    Ok(asked)
}

//! What the program says of its events, checked before anybody is asked.

use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::plan::DispatchError;
use crate::events::revision::Revision;
use crate::rules::program::{Planned, Program};
use crate::rules::statement::{Event, Sheet};
use crate::store::events;

/// An event keeps the program's rules, beside its other events, and can be settled under it.
pub(super) fn check(
    client: &mut impl GenericClient,
    id: &EventId,
    revision: &Revision,
    program: &Program,
    announced_at: Timestamp,
) -> Result<(), DispatchError> {
    let others: Vec<Planned> = events::events(client)?
        .into_iter()
        .filter(|other| other.program == program.id && other.id != *id)
        .map(|other| Planned {
            start: other.start,
            end: other.end,
        })
        .collect();
    let planned = Planned {
        start: revision.window.start,
        end: revision.window.end,
    };
    let broken = (program.dispatch).broken(program.zone, &program.holidays, planned, announced_at, &others);
    if !broken.is_empty() {
        let program = program.id.clone();
        return Err(DispatchError::NotAllowed { program, broken });
    }
    let event = Event {
        id: id.clone(),
        program: program.id.clone(),
        start: planned.start,
        end: planned.end,
        announced_at,
    };
    Sheet::new(program, &event, &[])?;
    Ok(())
}

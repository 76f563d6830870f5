//! What an operator sets aside for an event: reserved when it is announced, given back when it is cancelled, and when it
//! is settled, in the database transaction that pays for it.

use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::ParseQuantityError;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::DispatchError;
use crate::events::revision::Window;
use crate::ledger::ReservationName;
use crate::rules::program::{Program, ProgramId};
use crate::store::ledger::{LedgerError, reservations};

/// So long after an event's end its money stays reserved: two months, in seconds.
const RESERVED_SECONDS: i64 = 61 * 86_400;

/// Sets `amount`, in whole tokens of the program, aside for an event.
pub(super) fn reserve(
    client: &mut impl GenericClient,
    event: &EventId,
    program: &Program,
    window: Window,
    amount: &str,
    now: Timestamp,
) -> Result<(), DispatchError> {
    let amount = program
        .asset
        .parse(amount)
        .map_err(|error: ParseQuantityError| DispatchError::Amount(error))?;
    let expires_at = window.end.checked_add(RESERVED_SECONDS).unwrap_or(window.end);
    let name = name(event, &program.id)?;
    reservations::reserve(client, &name, &program.asset, amount, expires_at, now)?;
    Ok(())
}

/// Gives back what is set aside for an event, where anything is.
///
/// # Errors
/// [`LedgerError`] of the ledger.
pub fn release(
    client: &mut impl GenericClient,
    event: &EventId,
    program: &ProgramId,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let name = name(event, program)?;
    let open = reservations::reservation(client, &name)?.is_some_and(|r| r.resolution.is_none());
    if open {
        reservations::void(client, &name, now)?;
    }
    Ok(())
}

fn name(event: &EventId, program: &ProgramId) -> Result<ReservationName, LedgerError> {
    Ok(ReservationName {
        program: program.clone(),
        reference: event.as_str().parse()?,
    })
}

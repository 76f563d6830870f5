//! What sites did and were paid earlier in a season, from the statements that are kept.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use postgres::GenericClient;

use super::StoreError;
use super::events::StoredEvent;
use super::types::{corrupt, digest, to_column};
use crate::proofs::evidence::{EarlierStatement, SiteSeason};
use crate::rules::calendar::LocalSlot;
use crate::rules::program::Program;
use crate::rules::statement::{Statement, seasons};

/// The statements of the season's earlier events, and what follows from them for each site.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn before(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    program: &Program,
) -> Result<(Vec<EarlierStatement>, Vec<SiteSeason>), StoreError> {
    let day = LocalSlot::of(event.start, program.zone).map(|slot| slot.day);
    let season = day.and_then(|day| program.dispatch.season_around(day));
    let rows = client.query(
        "SELECT e.id, max(s.version) FROM event_in_force e JOIN ledger.settlement s ON s.event_id = e.id
         WHERE e.program = $1 AND (e.starts_at, e.id) < ($2, $3) AND e.cancelled_at IS NULL
         GROUP BY e.id, e.starts_at ORDER BY e.starts_at, e.id",
        &[
            &event.program.as_str(),
            &to_column(event.start),
            &event.id.as_str(),
        ],
    )?;
    let (mut named, mut all) = (Vec::new(), Vec::new());
    for row in &rows {
        let id: EventId = row.get::<_, String>(0).parse().map_err(corrupt)?;
        let last = u32::try_from(row.get::<_, i32>(1)).map_err(corrupt)?;
        let versions = versions(client, &id)?;
        let Some((hash, newest)) = versions.last() else {
            continue;
        };
        let day = LocalSlot::of(newest.event.start, program.zone).map(|slot| slot.day);
        let within = season
            .zip(day)
            .is_some_and(|((first, last), day)| first <= day && day <= last);
        if within {
            named.push(EarlierStatement {
                event: id,
                version: last,
                statement: *hash,
            });
            all.push(versions.into_iter().map(|(_, statement)| statement).collect());
        }
    }
    let seasons = seasons(&all).map_err(corrupt)?;
    let site = |(site, season)| SiteSeason { site, season };
    Ok((named, seasons.into_iter().map(site).collect()))
}

/// Every statement of an event, in the order of versions.
fn versions(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<Vec<(Digest, Statement)>, StoreError> {
    let rows = client.query(
        "SELECT statement_hash, statement FROM ledger.settlement WHERE event_id = $1 ORDER BY version",
        &[&event.as_str()],
    )?;
    let read = |row: &postgres::Row| {
        let statement = Statement::from_bytes(row.get::<_, &str>(1).as_bytes()).map_err(corrupt)?;
        Ok((digest(row.get(0))?, statement))
    };
    rows.iter().map(read).collect()
}

//! What owners were credited by a program, over all time: what payout roots publish.

use std::collections::BTreeMap;

use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use postgres::GenericClient;

use super::LedgerError;
use super::read::{amount, asset};
use crate::ledger::Holder;

/// Every program with each asset that was ever paid in for it, in the order of their names.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn programs(client: &mut impl GenericClient) -> Result<Vec<(ProgramId, Asset)>, LedgerError> {
    let rows = client.query(
        "SELECT substr(a.name, length('escrow:') + 1), s.code, s.decimals
         FROM ledger.account a JOIN ledger.asset s ON s.code = a.asset WHERE starts_with(a.name, 'escrow:')",
        &[],
    )?;
    let mut found = rows
        .iter()
        // An account of a holder that is no program's name is nobody's escrow.
        .filter_map(|row| Some((row.get::<_, String>(0).parse::<ProgramId>().ok()?, row)))
        .map(|(program, row)| Ok((program, asset(row.get(1), row.get(2))?)))
        .collect::<Result<Vec<_>, LedgerError>>()?;
    found.sort();
    Ok(found)
}

/// The place of the journal's end; 0 where nothing was posted.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn end(client: &mut impl GenericClient) -> Result<i64, LedgerError> {
    let row = client.query_one("SELECT coalesce(max(sequence), 0) FROM ledger.link", &[])?;
    Ok(row.get(0))
}

/// The transactions of program `$1` in asset `$2` up to place `$3`: those that move one of its accounts.
const OF_PROGRAM: &str = "WITH of_program AS MATERIALIZED (
    SELECT DISTINCT e.transaction_id
    FROM ledger.account a JOIN ledger.entry e USING (account_id) JOIN ledger.link l USING (transaction_id)
    WHERE a.asset = $2 AND l.sequence <= $3 AND (
        a.name = ANY (ARRAY['escrow:' || $1, 'reserved:' || $1, 'fee:' || $1, 'rounding:' || $1, 'claim:' || $1])
        OR starts_with(a.name, 'receivable:' || $1 || ':'))
)";

/// What each owner was credited by a program, in one asset, up to a place of the journal: everything that the
/// program's transactions moved into the owner's accounts, less what they took out of them, and less what the owner
/// owes to the program. That a credit matures or is paid out changes nothing, since no account of a program moves
/// by it; nor does a recovery, by which an owner gives as much as its debt falls.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a transaction moves accounts of several programs, so that
/// nobody can say which of them credited its owners.
pub fn credited(
    client: &mut impl GenericClient,
    program: &ProgramId,
    asset: &Asset,
    place: i64,
) -> Result<BTreeMap<Holder, TokenAmount>, LedgerError> {
    let (program, code) = (program.as_str(), asset.code());
    let mixed = client.query_opt(
        &format!(
            "{OF_PROGRAM}
             SELECT t.key FROM of_program JOIN ledger.transaction t USING (transaction_id)
             JOIN ledger.entry e USING (transaction_id) JOIN ledger.account a USING (account_id)
             WHERE a.asset = $2 AND a.name ~ '^(escrow|reserved|fee|rounding|claim|receivable):'
                 AND split_part(a.name, ':', 2) <> $1
             ORDER BY e.transaction_id LIMIT 1"
        ),
        &[&program, &code, &place],
    )?;
    if let Some(row) = mixed {
        return Err(LedgerError::Corrupt {
            what: format!(
                "transaction {} moves accounts of {program} and of another program",
                row.get::<_, &str>(0)
            ),
        });
    }
    let rows = client.query(
        &format!(
            "{OF_PROGRAM}, moved AS (
                 SELECT CASE WHEN starts_with(a.name, 'receivable:') THEN substr(a.name, length('receivable:' || $1 || ':') + 1)
                             ELSE substr(a.name, strpos(a.name, ':') + 1) END AS owner, e.amount
                 FROM of_program JOIN ledger.entry e USING (transaction_id) JOIN ledger.account a USING (account_id)
                 WHERE a.asset = $2 AND a.name ~ '^(beneficiary|vesting|payable|receivable):'
             )
             SELECT owner, sum(amount)::text FROM moved GROUP BY owner"
        ),
        &[&program, &code, &place],
    )?;
    let line = |row: &postgres::Row| {
        let owner: String = row.get(0);
        let owner = owner
            .parse()
            .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })?;
        Ok((owner, amount(row.get(1))?))
    };
    rows.iter().map(line).collect()
}

/// How much of an asset was taken out of each owner's payable account by payouts that did not fail.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn paid_out(
    client: &mut impl GenericClient,
    asset: &Asset,
) -> Result<BTreeMap<Holder, TokenAmount>, LedgerError> {
    let rows = client.query(
        "SELECT substr(a.name, length('payable:') + 1), (-sum(e.amount))::text
         FROM ledger.transaction t JOIN ledger.entry e USING (transaction_id) JOIN ledger.account a USING (account_id)
         WHERE t.kind IN ('payout', 'fail') AND a.asset = $1 AND starts_with(a.name, 'payable:')
         GROUP BY a.name HAVING sum(e.amount) <> 0",
        &[&asset.code()],
    )?;
    let line = |row: &postgres::Row| {
        let owner: String = row.get(0);
        let owner = owner
            .parse()
            .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })?;
        Ok((owner, amount(row.get(1))?))
    };
    rows.iter().map(line).collect()
}

/// Whether an owner was ever credited anything, by whichever program.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn is_known(client: &mut impl GenericClient, owner: &Holder) -> Result<bool, LedgerError> {
    let names = ["beneficiary", "vesting"].map(|purpose| format!("{purpose}:{owner}"));
    let row = client.query_one(
        "SELECT EXISTS (SELECT FROM ledger.account WHERE name = ANY ($1))",
        &[&&names[..]],
    )?;
    Ok(row.get(0))
}

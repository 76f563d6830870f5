//! The numbers of the accounts that a batch touches; what is not there yet is opened.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::quantity::Asset;
use postgres::GenericClient;
use postgres::types::Type;

use super::LedgerError;
use super::post::{COPIED_FROM, told};
use crate::ledger::{AccountName, Entry, Transaction};
use crate::store::copy::Rows;

/// The accounts of a batch, by their numbers in the database.
pub(super) struct Accounts<'t> {
    ids: BTreeMap<(&'t AccountName, &'t Asset), i64>,
}

impl<'t> Accounts<'t> {
    /// Looks all of them up at once, and opens those that are missing.
    pub(super) fn open(
        client: &mut impl GenericClient,
        transactions: impl Iterator<Item = &'t Transaction>,
    ) -> Result<Self, LedgerError> {
        let wanted: BTreeSet<(&AccountName, &Asset)> = transactions
            .flat_map(Transaction::entries)
            .map(|entry| (&entry.account, &entry.asset))
            .collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let names: Vec<String> = wanted.iter().map(|(name, _)| name.to_string()).collect();
        let codes: Vec<&str> = wanted.iter().map(|(_, asset)| asset.code()).collect();
        let assets: BTreeSet<&Asset> = wanted.iter().map(|(_, asset)| *asset).collect();
        let mut found = look_up(client, &names, &codes, &assets)?;
        if found.iter().any(Option::is_none) {
            insert_assets(client, &assets)?;
            let missing = |(place, id): (usize, &Option<i64>)| id.is_none().then_some(place);
            let missing: Vec<usize> = found.iter().enumerate().filter_map(missing).collect();
            let names: Vec<&str> = missing
                .iter()
                .filter_map(|n| Some(names.get(*n)?.as_str()))
                .collect();
            let codes: Vec<&str> = missing.iter().filter_map(|n| codes.get(*n).copied()).collect();
            insert_accounts(client, &names, &codes)?;
            let opened = look_up(client, &names, &codes, &assets)?;
            for (place, id) in missing.into_iter().zip(opened) {
                if let Some(slot) = found.get_mut(place) {
                    *slot = id;
                }
            }
        }
        let ids = wanted.into_iter().zip(found);
        Ok(Self {
            ids: ids.filter_map(|(account, id)| Some((account, id?))).collect(),
        })
    }

    /// The number of an entry's account.
    pub(super) fn id(&self, entry: &Entry) -> Result<i64, LedgerError> {
        let id = self.ids.get(&(&entry.account, &entry.asset)).copied();
        id.ok_or_else(|| LedgerError::Corrupt {
            what: format!("account {} of {} vanished", entry.account, entry.asset.code()),
        })
    }
}

/// The numbers of accounts in their order, none of those that are missing; checks the decimals of the assets beside.
fn look_up<N: AsRef<str> + Sync + std::fmt::Debug + postgres::types::ToSql>(
    client: &mut impl GenericClient,
    names: &[N],
    codes: &[&str],
    assets: &BTreeSet<&Asset>,
) -> Result<Vec<Option<i64>>, LedgerError> {
    let offered: Vec<&str> = assets.iter().map(|asset| asset.code()).collect();
    let rows = client.query_typed(
        "SELECT (SELECT array_agg(s.decimals ORDER BY o.place)
                 FROM unnest($3) WITH ORDINALITY AS o (code, place) LEFT JOIN ledger.asset s USING (code)),
                (SELECT array_agg(a.account_id ORDER BY o.place)
                 FROM unnest($1, $2) WITH ORDINALITY AS o (name, asset, place) LEFT JOIN ledger.account a USING (name, asset))",
        &[
            (&names, Type::TEXT_ARRAY),
            (&codes, Type::TEXT_ARRAY),
            (&offered, Type::TEXT_ARRAY),
        ],
    )?;
    let Some(row) = rows.first() else {
        return Ok(vec![]);
    };
    let decimals: Option<Vec<Option<i16>>> = row.get(0);
    for (asset, known) in assets.iter().zip(decimals.unwrap_or_default()) {
        if let Some(known) = known.filter(|known| *known != i16::from(asset.decimals())) {
            return Err(LedgerError::Decimals {
                code: asset.code().to_owned(),
                known,
                offered: asset.decimals(),
            });
        }
    }
    let ids: Option<Vec<Option<i64>>> = row.get(1);
    Ok(ids.unwrap_or_default())
}

fn insert_assets(client: &mut impl GenericClient, assets: &BTreeSet<&Asset>) -> Result<(), LedgerError> {
    let codes: Vec<&str> = assets.iter().map(|a| a.code()).collect();
    let decimals: Vec<i16> = assets.iter().map(|a| i16::from(a.decimals())).collect();
    client.execute_typed(
        "INSERT INTO ledger.asset (code, decimals)
         SELECT code, decimals FROM unnest($1, $2) AS offered (code, decimals) ORDER BY code
         ON CONFLICT (code) DO NOTHING",
        &[(&codes, Type::TEXT_ARRAY), (&decimals, Type::INT2_ARRAY)],
    )?;
    Ok(())
}

/// Whoever writes to the journal is alone with it, so nobody else opens the same accounts meanwhile.
fn insert_accounts(
    client: &mut impl GenericClient,
    names: &[&str],
    codes: &[&str],
) -> Result<(), LedgerError> {
    if names.len() > COPIED_FROM {
        let mut rows = Rows::into(client, "ledger.account (name, asset)").map_err(told)?;
        for (name, code) in names.iter().zip(codes) {
            rows.row(&[name.as_bytes(), code.as_bytes()]).map_err(told)?;
        }
        return rows.finish().map_err(told);
    }
    client.execute_typed(
        "INSERT INTO ledger.account (name, asset)
         SELECT name, asset FROM unnest($1, $2) AS offered (name, asset) ORDER BY name, asset
         ON CONFLICT (name, asset) DO NOTHING",
        &[(&names, Type::TEXT_ARRAY), (&codes, Type::TEXT_ARRAY)],
    )?;
    Ok(())
}

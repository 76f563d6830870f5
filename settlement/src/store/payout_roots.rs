//! Payout roots and the addresses of beneficiaries, as they were published and bound.

use std::collections::BTreeSet;

use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::ledger::{LedgerError, credits};
use super::types::{corrupt, timestamp, to_column};
use super::{LostConnection, StoreError};
use crate::ledger::Holder;
use crate::payouts::roots::{Address, Bindings, Claims, ClaimsError, Node, RootName, TreeError};

/// Any number that nobody else locks: `gridroot` in ASCII.
const LOCK: i64 = 0x6772_6964_726f_6f74;

/// Why a root was not published.
#[derive(Debug, thiserror::Error)]
pub enum PayoutRootError {
    /// The ledger, or the database.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A sum is too large.
    #[error("what program {program} credits in {asset} does not add up within 38 digits ({source})")]
    Overflow {
        /// Which program.
        program: ProgramId,
        /// In what.
        asset: String,
        /// The sum.
        source: Overflow,
    },
    /// The claims make no tree.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The same content has another root than before.
    #[error(
        "root {number} of program {program} in {asset} was published as {published}, but its claims make {computed}; look at what changed the database or this program before anything is paid"
    )]
    Differs {
        /// Which program.
        program: ProgramId,
        /// In what.
        asset: String,
        /// Which of its roots.
        number: u32,
        /// As it is kept.
        published: String,
        /// As its claims make it.
        computed: String,
    },
}

impl From<StoreError> for PayoutRootError {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<postgres::Error> for PayoutRootError {
    fn from(error: postgres::Error) -> Self {
        Self::Ledger(StoreError::from(error).into())
    }
}

impl LostConnection for PayoutRootError {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Ledger(error) if error.is_lost_connection())
    }
}

/// A root as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Which one.
    pub name: RootName,
    /// The tree's root; `None` where nobody could claim anything yet.
    pub root: Option<Node>,
    /// That of the number before.
    pub previous_root: Option<Node>,
    /// Up to which place of the journal credits were counted.
    pub ledger_place: i64,
    /// When it was made.
    pub made_at: Timestamp,
    /// What it says.
    pub claims: Claims,
}

/// Binds a beneficiary to an address from now on. The address of now again is a no-op. Returns the address before.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn bind(
    client: &mut impl GenericClient,
    beneficiary: &Holder,
    address: Address,
    now: Timestamp,
) -> Result<Option<Address>, StoreError> {
    lock(client)?;
    let bound = addresses(client, beneficiary)?;
    let newest = bound.last().map(|(address, _)| *address);
    if newest != Some(address) {
        let bytes: &[u8] = address.as_bytes();
        client.execute(
            "INSERT INTO payout_address (beneficiary, number, address, bound_at)
             SELECT $1, coalesce(max(number), 0) + 1, $2, $3 FROM payout_address WHERE beneficiary = $1",
            &[&beneficiary.as_str(), &bytes, &to_column(now)],
        )?;
    }
    Ok(newest)
}

/// The addresses that a beneficiary was bound to and since when, the one of now last.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn addresses(
    client: &mut impl GenericClient,
    beneficiary: &Holder,
) -> Result<Vec<(Address, Timestamp)>, StoreError> {
    let rows = client.query(
        "SELECT address, bound_at FROM payout_address WHERE beneficiary = $1 ORDER BY number",
        &[&beneficiary.as_str()],
    )?;
    let read = |row: &Row| Ok((address(row.get(0))?, timestamp(row.get(1))?));
    rows.iter().map(read).collect()
}

/// The addresses of now.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn bindings(client: &mut impl GenericClient) -> Result<Bindings, StoreError> {
    let rows = client.query(
        "SELECT DISTINCT ON (beneficiary) beneficiary, address FROM payout_address ORDER BY beneficiary, number DESC",
        &[],
    )?;
    let read = |row: &Row| Ok((holder(row.get(0))?, address(row.get(1))?));
    rows.iter().map(read).collect()
}

/// Publishes what beneficiaries of a program were credited in all. Where that is the same as under the newest root,
/// it returns that one and changes nothing; `None` where nothing was ever credited.
///
/// # Errors
/// [`PayoutRootError`].
pub fn publish(
    client: &mut impl GenericClient,
    program: &ProgramId,
    asset: &Asset,
    now: Timestamp,
) -> Result<Option<(Root, bool)>, PayoutRootError> {
    lock(client)?;
    let before = newest(client, program, asset)?;
    let ledger_place = credits::end(client)?;
    let credited = credits::credited(client, program, asset, ledger_place)?;
    let bindings = bindings(client)?;
    let said = before
        .as_ref()
        .map(|root| root.claims.clone())
        .unwrap_or_default();
    let claims = said
        .next(&credited, &bindings)
        .map_err(|source| PayoutRootError::Overflow {
            program: program.clone(),
            asset: asset.code().to_owned(),
            source,
        })?;
    if claims == said {
        return Ok(before.map(|root| (root, false)));
    }
    let number = before
        .as_ref()
        .map_or(0, |root| root.name.number)
        .saturating_add(1);
    let root = Root {
        name: RootName {
            program: program.clone(),
            asset: asset.clone(),
            number,
        },
        root: root_of(&claims)?,
        previous_root: before.and_then(|root| root.root),
        ledger_place,
        made_at: now,
        claims,
    };
    insert(client, &root)?;
    Ok(Some((root, true)))
}

/// The newest root of a program in an asset, its tree made again and compared.
///
/// # Errors
/// [`PayoutRootError`], as where the root is not that of its claims.
pub fn newest(
    client: &mut impl GenericClient,
    program: &ProgramId,
    asset: &Asset,
) -> Result<Option<Root>, PayoutRootError> {
    let row = client.query_opt(
        "SELECT r.number, r.root, before.root, r.ledger_place, r.made_at
         FROM payout_root r LEFT JOIN payout_root before
             ON (before.program, before.asset, before.number) = (r.program, r.asset, r.previous_number)
         WHERE r.program = $1 AND r.asset = $2 ORDER BY r.number DESC LIMIT 1",
        &[&program.as_str(), &asset.code()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let number: i32 = row.get(0);
    let root = Root {
        name: RootName {
            program: program.clone(),
            asset: asset.clone(),
            number: u32::try_from(number).map_err(corrupt)?,
        },
        root: row.get::<_, Option<Vec<u8>>>(1).map(node).transpose()?,
        previous_root: row.get::<_, Option<Vec<u8>>>(2).map(node).transpose()?,
        ledger_place: row.get(3),
        made_at: timestamp(row.get(4))?,
        claims: claims(client, program, asset, number)?,
    };
    let computed = root_of(&root.claims)?;
    if computed != root.root {
        let shown = |node: Option<Node>| node.map_or_else(|| "nothing".to_owned(), |n| n.to_string());
        return Err(PayoutRootError::Differs {
            program: program.clone(),
            asset: asset.code().to_owned(),
            number: root.name.number,
            published: shown(root.root),
            computed: shown(computed),
        });
    }
    Ok(Some(root))
}

/// Who may claim an asset on chain under any root that was published. Until the end of the database transaction no other
/// root is published.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn claimants(client: &mut impl GenericClient, asset: &Asset) -> Result<BTreeSet<Holder>, StoreError> {
    lock(client)?;
    let rows = client.query(
        "SELECT DISTINCT beneficiary FROM payout_root_claim WHERE asset = $1",
        &[&asset.code()],
    )?;
    rows.iter().map(|row| holder(row.get(0))).collect()
}

fn root_of(claims: &Claims) -> Result<Option<Node>, ClaimsError> {
    match claims.tree() {
        Ok(tree) => Ok(Some(tree.root())),
        Err(ClaimsError::Tree(TreeError::Empty)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock(client: &mut impl GenericClient) -> Result<(), StoreError> {
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    Ok(())
}

fn insert(client: &mut impl GenericClient, root: &Root) -> Result<(), PayoutRootError> {
    let number = i32::try_from(root.name.number).map_err(corrupt)?;
    let (program, asset) = (root.name.program.as_str(), root.name.asset.code());
    let hash = root.root.map(|node| node.as_bytes().to_vec());
    client.execute(
        "INSERT INTO payout_root (program, asset, number, root, ledger_place, made_at) VALUES ($1, $2, $3, $4, $5, $6)",
        &[&program, &asset, &number, &hash, &root.ledger_place, &to_column(root.made_at)],
    )?;
    let lines = &root.claims.lines;
    let beneficiaries: Vec<&str> = lines.keys().map(Holder::as_str).collect();
    let credited: Vec<String> = lines.values().map(|line| units(line.credited)).collect();
    client.execute(
        "INSERT INTO payout_root_line (program, asset, number, beneficiary, credited)
         SELECT $1, $2, $3, beneficiary, credited::numeric FROM unnest($4::text[], $5::text[]) AS line (beneficiary, credited)",
        &[&program, &asset, &number, &beneficiaries, &credited],
    )?;
    let claims = || {
        lines.iter().flat_map(|(beneficiary, line)| {
            let of = move |(address, amount)| (beneficiary, address, amount);
            line.published.iter().map(of)
        })
    };
    let beneficiaries: Vec<&str> = claims().map(|(beneficiary, ..)| beneficiary.as_str()).collect();
    let addresses: Vec<&[u8]> = claims()
        .map(|(_, address, _): (_, &Address, _)| &address.as_bytes()[..])
        .collect();
    let amounts: Vec<String> = claims().map(|(.., amount)| units(*amount)).collect();
    client.execute(
        "INSERT INTO payout_root_claim (program, asset, number, beneficiary, address, amount)
         SELECT $1, $2, $3, beneficiary, address, amount::numeric
         FROM unnest($4::text[], $5::bytea[], $6::text[]) AS claim (beneficiary, address, amount)",
        &[&program, &asset, &number, &beneficiaries, &addresses, &amounts],
    )?;
    Ok(())
}

fn claims(
    client: &mut impl GenericClient,
    program: &ProgramId,
    asset: &Asset,
    number: i32,
) -> Result<Claims, StoreError> {
    let mut claims = Claims::default();
    let rows = client.query(
        "SELECT l.beneficiary, l.credited::text, c.address, c.amount::text
         FROM payout_root_line l LEFT JOIN payout_root_claim c USING (program, asset, number, beneficiary)
         WHERE l.program = $1 AND l.asset = $2 AND l.number = $3",
        &[&program.as_str(), &asset.code(), &number],
    )?;
    for row in &rows {
        let line = claims.lines.entry(holder(row.get(0))?).or_default();
        line.credited = amount(row.get(1))?;
        if let (Some(bytes), Some(text)) = (row.get(2), row.get(3)) {
            line.published.insert(address(bytes)?, amount(text)?);
        }
    }
    Ok(claims)
}

fn units(amount: TokenAmount) -> String {
    amount.base_units().to_string()
}

fn amount(text: String) -> Result<TokenAmount, StoreError> {
    let units: i128 = text.parse().map_err(corrupt)?;
    TokenAmount::new(units).map_err(corrupt)
}

fn holder(text: String) -> Result<Holder, StoreError> {
    text.parse().map_err(corrupt)
}

fn address(bytes: Vec<u8>) -> Result<Address, StoreError> {
    let bytes: [u8; 20] = bytes
        .try_into()
        .map_err(|_| corrupt("an address that has not 20 bytes"))?;
    Address::from_bytes(bytes).map_err(corrupt)
}

fn node(bytes: Vec<u8>) -> Result<Node, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt("a payout root that has not 32 bytes"))?;
    Ok(Node::from_bytes(bytes))
}

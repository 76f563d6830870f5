//! The ledger in PostgreSQL: posting in batches, and reading back. The laws are in `migrations/0002_ledger.sql`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use crate::ledger::{AccountName, Balance, Entry, Transaction, TransactionKey, TrialBalance};

/// The laws that PostgreSQL keeps, by the names of their constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// For each asset of a transaction the amounts add up to nothing.
    Balanced,
    /// What was written is never changed nor removed.
    AppendOnly,
    /// A transaction has all of its entries from the start, and gets none later.
    CompleteAtOnce,
    /// No account gives what it does not have (or may lack).
    NoOverdraft,
    /// A key is posted once.
    KeyOnce,
}

impl Law {
    /// Every law there is.
    pub const ALL: [Self; 5] = [
        Self::Balanced,
        Self::AppendOnly,
        Self::CompleteAtOnce,
        Self::NoOverdraft,
        Self::KeyOnce,
    ];

    /// The name of its constraint.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::AppendOnly => "append_only",
            Self::CompleteAtOnce => "complete_at_once",
            Self::NoOverdraft => "no_overdraft",
            Self::KeyOnce => "key_once",
        }
    }

    /// The law that an error of PostgreSQL names, if any.
    #[must_use]
    pub fn broken_in(error: &postgres::Error) -> Option<Self> {
        let constraint = error.as_db_error()?.constraint()?;
        Self::ALL.into_iter().find(|law| law.name() == constraint)
    }
}

impl core::fmt::Display for Law {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// Why the ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// PostgreSQL refused it by one of the laws.
    #[error("the ledger refuses it by the law `{law}`: {reason}")]
    Refused {
        /// Which law.
        law: Law,
        /// What the database says: which transaction or account, and by how much.
        reason: String,
        /// The database's error.
        #[source]
        source: postgres::Error,
    },
    /// The key was posted before, for something else.
    #[error(
        "transaction {key} was posted before with other content ({posted}, now {offered}); nothing is posted, look at why the two differ"
    )]
    Conflict {
        /// The key.
        key: TransactionKey,
        /// The digest of what was posted.
        posted: Digest,
        /// The digest of what was offered now.
        offered: Digest,
    },
    /// An asset with another number of decimals than before.
    #[error("asset {code} has {known} decimals in the ledger, not {offered}; take another code")]
    Decimals {
        /// The asset's code.
        code: String,
        /// As recorded.
        known: i16,
        /// As offered.
        offered: u8,
    },
    /// What was read back is not what was once written.
    #[error(
        "the ledger holds something that was never posted through here ({what}); compare it with a backup and with the bundles"
    )]
    Corrupt {
        /// What is wrong, and where.
        what: String,
    },
    /// Anything else the database said.
    #[error("the database did not do what the ledger asked: {0}")]
    Database(#[source] postgres::Error),
}

impl From<postgres::Error> for LedgerError {
    fn from(source: postgres::Error) -> Self {
        match Law::broken_in(&source) {
            Some(law) => {
                let reason = source
                    .as_db_error()
                    .map(|e| e.message().to_owned())
                    .unwrap_or_default();
                Self::Refused { law, reason, source }
            }
            None => Self::Database(source),
        }
    }
}

/// What became of a transaction that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is in the journal now.
    New,
    /// It was there already, with the same content.
    Before,
}

/// A transaction of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Its number in the order of posting.
    pub number: i64,
    /// What was booked.
    pub transaction: Transaction,
}

/// A line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Movement {
    /// In which transaction.
    pub key: TransactionKey,
    /// When it counts.
    pub booked_at: Timestamp,
    /// Of what.
    pub asset: Asset,
    /// Received (positive) or given (negative).
    pub amount: TokenAmount,
    /// What the account held after it.
    pub balance: TokenAmount,
}

/// Posts transactions, all or none, in a few statements however many there are.
///
/// What was posted before with the same content is left as it is. In a transaction of the caller, everything
/// else of the caller's commits with it; post one batch in one database transaction, so that two of them
/// take their locks in the same order and never wait for each other in a circle.
///
/// # Errors
/// [`LedgerError::Refused`] where a law would be broken, [`LedgerError::Conflict`] where a key stands for
/// something else already; then nothing is posted.
pub fn post(client: &mut impl GenericClient, offered: &[Transaction]) -> Result<Vec<Posted>, LedgerError> {
    let mut batch: BTreeMap<&TransactionKey, &Transaction> = BTreeMap::new();
    for transaction in offered {
        let first = *batch.entry(transaction.key()).or_insert(transaction);
        require_same(transaction, first.digest())?;
    }
    let mut tx = client.transaction()?;
    insert_assets(&mut tx, &batch)?;
    insert_accounts(&mut tx, &batch)?;
    let fresh = insert_heads(&mut tx, &batch)?;
    check_repetitions(&mut tx, &batch, &fresh)?;
    insert_entries(&mut tx, &batch, &fresh)?;
    // Deferred laws speak here, where their error can be told apart.
    tx.batch_execute(
        "SET CONSTRAINTS ledger.require_entries IMMEDIATE; SET CONSTRAINTS ledger.require_entries DEFERRED",
    )?;
    tx.commit()?;
    let mut unseen: BTreeSet<&str> = fresh.keys().map(String::as_str).collect();
    let outcome = |t: &Transaction| {
        if unseen.remove(t.key().to_string().as_str()) {
            Posted::New
        } else {
            Posted::Before
        }
    };
    Ok(offered.iter().map(outcome).collect())
}

type Batch<'t> = BTreeMap<&'t TransactionKey, &'t Transaction>;

fn require_same(offered: &Transaction, posted: Digest) -> Result<(), LedgerError> {
    if offered.digest() == posted {
        return Ok(());
    }
    Err(LedgerError::Conflict {
        key: offered.key().clone(),
        posted,
        offered: offered.digest(),
    })
}

fn entries_of<'t>(batch: &Batch<'t>) -> impl Iterator<Item = &'t Entry> {
    batch.values().flat_map(|t| t.entries())
}

fn insert_assets(client: &mut impl GenericClient, batch: &Batch<'_>) -> Result<(), LedgerError> {
    let assets: BTreeSet<&Asset> = entries_of(batch).map(|e| &e.asset).collect();
    let codes: Vec<&str> = assets.iter().map(|a| a.code()).collect();
    let decimals: Vec<i16> = assets.iter().map(|a| i16::from(a.decimals())).collect();
    client.execute(
        "INSERT INTO ledger.asset (code, decimals)
         SELECT code, decimals FROM unnest($1::text[], $2::smallint[]) AS offered (code, decimals) ORDER BY code
         ON CONFLICT (code) DO NOTHING",
        &[&codes, &decimals],
    )?;
    let known = client.query(
        "SELECT code, decimals FROM ledger.asset WHERE code = ANY($1)",
        &[&codes],
    )?;
    let known: BTreeMap<String, i16> = known.iter().map(|row| (row.get(0), row.get(1))).collect();
    for asset in assets {
        match known.get(asset.code()) {
            Some(decimals) if *decimals == i16::from(asset.decimals()) => {}
            Some(decimals) => {
                let (code, offered) = (asset.code().to_owned(), asset.decimals());
                return Err(LedgerError::Decimals {
                    code,
                    known: *decimals,
                    offered,
                });
            }
            None => {
                return Err(LedgerError::Corrupt {
                    what: format!("asset {} vanished", asset.code()),
                });
            }
        }
    }
    Ok(())
}

fn insert_accounts(client: &mut impl GenericClient, batch: &Batch<'_>) -> Result<(), LedgerError> {
    let accounts: BTreeSet<(String, &str)> = entries_of(batch)
        .map(|e| (e.account.to_string(), e.asset.code()))
        .collect();
    let names: Vec<&str> = accounts.iter().map(|(name, _)| name.as_str()).collect();
    let assets: Vec<&str> = accounts.iter().map(|(_, asset)| *asset).collect();
    client.execute(
        "INSERT INTO ledger.account (name, asset)
         SELECT name, asset FROM unnest($1::text[], $2::text[]) AS offered (name, asset)
         WHERE NOT EXISTS (SELECT FROM ledger.account a WHERE (a.name, a.asset) = (offered.name, offered.asset))
         ORDER BY name, asset
         ON CONFLICT (name, asset) DO NOTHING",
        &[&names, &assets],
    )?;
    Ok(())
}

/// Inserts the heads that are new; returns their numbers by key.
fn insert_heads(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
) -> Result<BTreeMap<String, i64>, LedgerError> {
    let keys: Vec<String> = batch.keys().map(ToString::to_string).collect();
    let kinds: Vec<&str> = batch.keys().map(|key| key.kind().name()).collect();
    let booked: Vec<DateTime<Utc>> = batch.values().map(|t| instant(t.booked_at())).collect();
    let counts: Vec<i32> = batch
        .values()
        .map(|t| i32::try_from(t.entries().len()).unwrap_or(i32::MAX))
        .collect();
    let digests: Vec<Vec<u8>> = batch.values().map(|t| t.digest().as_bytes().to_vec()).collect();
    let rows = client.query(
        "INSERT INTO ledger.transaction (key, kind, booked_at, entry_count, content_digest)
         SELECT key, kind, booked_at, entry_count, content_digest
         FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::integer[], $5::bytea[])
              AS offered (key, kind, booked_at, entry_count, content_digest)
         ORDER BY key COLLATE \"C\"
         ON CONFLICT (key) DO NOTHING
         RETURNING key, transaction_id",
        &[&keys, &kinds, &booked, &counts, &digests],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What was there before has to be the same.
fn check_repetitions(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
    fresh: &BTreeMap<String, i64>,
) -> Result<(), LedgerError> {
    let repeated = batch
        .iter()
        .map(|(key, t)| (key.to_string(), *t))
        .filter(|(key, _)| !fresh.contains_key(key));
    let repeated: BTreeMap<String, &Transaction> = repeated.collect();
    if repeated.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = repeated.keys().map(String::as_str).collect();
    let rows = client.query(
        "SELECT key, content_digest FROM ledger.transaction WHERE key = ANY($1)",
        &[&keys],
    )?;
    for row in rows {
        let key: String = row.get(0);
        let Some(transaction) = repeated.get(&key) else {
            continue;
        };
        require_same(transaction, digest(row.get(1), &key)?)?;
    }
    Ok(())
}

fn insert_entries(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
    fresh: &BTreeMap<String, i64>,
) -> Result<(), LedgerError> {
    let (mut numbers, mut names, mut assets, mut amounts) = (vec![], vec![], vec![], vec![]);
    for (key, transaction) in batch {
        let Some(number) = fresh.get(&key.to_string()) else {
            continue;
        };
        for entry in transaction.entries() {
            numbers.push(*number);
            names.push(entry.account.to_string());
            assets.push(entry.asset.code());
            amounts.push(entry.amount.base_units().to_string());
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    client.execute(
        "INSERT INTO ledger.entry (transaction_id, account_id, asset, amount)
         SELECT offered.transaction_id, a.account_id, a.asset, offered.amount::numeric
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
              AS offered (transaction_id, name, asset, amount)
         JOIN ledger.account a ON (a.name, a.asset) = (offered.name, offered.asset)",
        &[&numbers, &names, &assets, &amounts],
    )?;
    Ok(())
}

/// Every balance, by account and asset; those of nothing too.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn balances(client: &mut impl GenericClient) -> Result<Vec<Balance>, LedgerError> {
    let rows = client.query(
        "SELECT a.name, s.code, s.decimals, b.amount::text
         FROM ledger.balance b JOIN ledger.account a USING (account_id) JOIN ledger.asset s ON s.code = a.asset",
        &[],
    )?;
    let read = |row: &Row| {
        Ok(Balance {
            account: account(row.get(0))?,
            asset: asset(row.get(1), row.get(2))?,
            amount: amount(row.get(3))?,
        })
    };
    let mut balances = rows.iter().map(read).collect::<Result<Vec<_>, LedgerError>>()?;
    balances.sort();
    Ok(balances)
}

/// The proof by addition, asset by asset. Every one must [`TrialBalance::holds`].
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn trial_balance(client: &mut impl GenericClient) -> Result<Vec<TrialBalance>, LedgerError> {
    let rows = client.query(
        "SELECT asset, decimals, balances, entries, accounts_off FROM ledger.trial_balance ORDER BY asset",
        &[],
    )?;
    let read = |row: &Row| {
        Ok(TrialBalance {
            asset: asset(row.get(0), row.get(1))?,
            balances: amount(row.get(2))?,
            entries: amount(row.get(3))?,
            accounts_off: u64::try_from(row.get::<_, i64>(4)).unwrap_or(u64::MAX),
        })
    };
    rows.iter().map(read).collect()
}

/// At most `count_max` transactions of the journal after number `after`, in the order of posting.
///
/// Each is checked again as if it were new, and against its digest.
///
/// # Errors
/// [`LedgerError::Corrupt`] where a transaction is not what was once posted.
pub fn journal(
    client: &mut impl GenericClient,
    after: i64,
    count_max: u32,
) -> Result<Vec<Recorded>, LedgerError> {
    let rows = client.query(
        "SELECT t.transaction_id, t.key, t.booked_at, t.content_digest, a.name, s.code, s.decimals, e.amount::text
         FROM (SELECT * FROM ledger.transaction WHERE transaction_id > $1 ORDER BY transaction_id LIMIT $2) t
         JOIN ledger.entry e USING (transaction_id)
         JOIN ledger.account a USING (account_id)
         JOIN ledger.asset s ON s.code = e.asset
         ORDER BY t.transaction_id",
        &[&after, &i64::from(count_max)],
    )?;
    rows.chunk_by(|one, other| one.get::<_, i64>(0) == other.get::<_, i64>(0))
        .map(recorded)
        .collect()
}

fn recorded(rows: &[Row]) -> Result<Recorded, LedgerError> {
    let corrupt = |what: String| LedgerError::Corrupt { what };
    let Some(head) = rows.first() else {
        return Err(corrupt("a transaction without entries".to_owned()));
    };
    let text: String = head.get(1);
    let key: TransactionKey = text.parse().map_err(|e| corrupt(format!("{e}")))?;
    let entry = |row: &Row| {
        Ok(Entry {
            account: account(row.get(4))?,
            asset: asset(row.get(5), row.get(6))?,
            amount: amount(row.get(7))?,
        })
    };
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, LedgerError>>()?;
    let transaction =
        Transaction::new(key, timestamp(head.get(2))?, entries).map_err(|e| corrupt(e.to_string()))?;
    if transaction.digest() != digest(head.get(3), &text)? {
        return Err(corrupt(format!(
            "transaction {text} does not have the digest it was posted with"
        )));
    }
    Ok(Recorded {
        number: head.get(0),
        transaction,
    })
}

/// What an account received and gave, in the order of posting, with what it held after each.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn history(client: &mut impl GenericClient, account: &AccountName) -> Result<Vec<Movement>, LedgerError> {
    let rows = client.query(
        "SELECT t.key, t.booked_at, s.code, s.decimals, e.amount::text,
                (sum(e.amount) OVER (PARTITION BY e.account_id ORDER BY e.transaction_id))::text
         FROM ledger.account a JOIN ledger.entry e USING (account_id)
         JOIN ledger.transaction t USING (transaction_id) JOIN ledger.asset s ON s.code = e.asset
         WHERE a.name = $1 ORDER BY e.transaction_id, s.code",
        &[&account.to_string()],
    )?;
    let read = |row: &Row| {
        let key: String = row.get(0);
        Ok(Movement {
            key: key
                .parse()
                .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })?,
            booked_at: timestamp(row.get(1))?,
            asset: asset(row.get(2), row.get(3))?,
            amount: amount(row.get(4))?,
            balance: amount(row.get(5))?,
        })
    };
    rows.iter().map(read).collect()
}

fn account(text: String) -> Result<AccountName, LedgerError> {
    text.parse()
        .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })
}

fn asset(code: String, decimals: i16) -> Result<Asset, LedgerError> {
    let corrupt = |e: String| LedgerError::Corrupt { what: e };
    let decimals = u8::try_from(decimals).map_err(|e| corrupt(e.to_string()))?;
    Asset::new(&code, decimals).map_err(|e| corrupt(e.to_string()))
}

fn amount(text: String) -> Result<TokenAmount, LedgerError> {
    let corrupt = || LedgerError::Corrupt {
        what: format!("an amount of {text}"),
    };
    let base_units = text.parse::<i128>().map_err(|_| corrupt())?;
    TokenAmount::new(base_units).map_err(|_| corrupt())
}

fn digest(bytes: Vec<u8>, key: &str) -> Result<Digest, LedgerError> {
    let what = || LedgerError::Corrupt {
        what: format!("transaction {key} has no digest of 32 bytes"),
    };
    Ok(Digest::from_bytes(bytes.try_into().map_err(|_| what())?))
}

fn timestamp(instant: DateTime<Utc>) -> Result<Timestamp, LedgerError> {
    Timestamp::from_unix(instant.timestamp()).map_err(|e| LedgerError::Corrupt { what: e.to_string() })
}

fn instant(timestamp: Timestamp) -> DateTime<Utc> {
    // Every timestamp is within the years 1970 to 9999, which chrono holds.
    DateTime::from_timestamp(timestamp.unix(), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Lets the session work as the role that may only read and insert in the ledger, from now on.
///
/// # Errors
/// [`LedgerError::Database`] where the role is not there: the migrations have not run.
pub fn work_as_app(client: &mut impl GenericClient) -> Result<(), LedgerError> {
    client.batch_execute("DO $$ BEGIN EXECUTE format('SET ROLE %I', ledger.app_role()); END $$")?;
    Ok(())
}

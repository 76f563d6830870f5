//! What the store holds of lasting things, each by its name and the digest of its bytes: the leaves of the log.

use gridtally_log::leaf::{Kind, Leaf};
use gridtally_protocol::identity::Digest;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, digest, identity};

/// Everything that belongs into the log as it stands now, in the order of kinds, names and digests: each gateway's newest
/// report, each enrolment, event, statement, transaction, version of a program and payout root.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn leaves(client: &mut impl GenericClient) -> Result<Vec<Leaf>, StoreError> {
    let mut leaves = Vec::new();
    let heads =
        "SELECT DISTINCT ON (gateway) gateway, digest FROM report ORDER BY gateway, sequence DESC, digest";
    for row in client.query(heads, &[])? {
        leaves.push(leaf(
            Kind::ReportHead,
            &identity(row.get(0))?.multibase(),
            digest(row.get(1))?,
        )?);
    }
    for row in client.query("SELECT site, document FROM enrolment", &[])? {
        leaves.push(of_text(Kind::Enrolment, row.get(0), row.get(1))?);
    }
    // What an event asks in each of its versions, as PostgreSQL's canonical JSON of the row.
    let events = "SELECT event || '/' || modification, to_jsonb(r)::text FROM event_revision r
                  UNION ALL SELECT id, to_jsonb(e)::text FROM event e";
    for row in client.query(events, &[])? {
        leaves.push(of_text(Kind::Event, row.get(0), row.get(1))?);
    }
    let statements = "SELECT event_id || '/' || version, statement_hash FROM ledger.settlement";
    for row in client.query(statements, &[])? {
        leaves.push(leaf(Kind::Statement, row.get(0), digest(row.get(1))?)?);
    }
    for row in client.query("SELECT key, content_digest FROM ledger.transaction", &[])? {
        leaves.push(leaf(Kind::Transaction, row.get(0), digest(row.get(1))?)?);
    }
    for row in client.query("SELECT id || '/' || version, document FROM program", &[])? {
        leaves.push(of_text(Kind::Rules, row.get(0), row.get(1))?);
    }
    let roots =
        "SELECT program || '/' || asset || '/' || number, '0x' || encode(root, 'hex') FROM payout_root
                 WHERE root IS NOT NULL";
    for row in client.query(roots, &[])? {
        leaves.push(of_text(Kind::PayoutRoot, row.get(0), row.get(1))?);
    }
    // By what the tests of a program will be drawn: told before, and so in the log before.
    let tests = "SELECT 'tests/' || program || '/' || period, commitment FROM test_period";
    for row in client.query(tests, &[])? {
        leaves.push(leaf(Kind::Rules, row.get(0), digest(row.get(1))?)?);
    }
    leaves.sort_by(|a, b| (a.kind, a.name.as_str(), a.digest).cmp(&(b.kind, b.name.as_str(), b.digest)));
    Ok(leaves)
}

fn of_text(kind: Kind, name: &str, text: &str) -> Result<Leaf, StoreError> {
    leaf(kind, name, Digest::of(text.as_bytes()))
}

fn leaf(kind: Kind, name: &str, digest: Digest) -> Result<Leaf, StoreError> {
    let name = name.parse().map_err(corrupt)?;
    Ok(Leaf { kind, name, digest })
}

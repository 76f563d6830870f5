//! Agreements, what changes them, and the enrolments that follow.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::agreement::{Accepted, Agreement, Papers, Revocation, Rotation, Transfer, both};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::types::{corrupt, digest, timestamp, to_column};
use crate::registry::history::{Change, Recorded, Version};
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// An agreement as it is kept: its envelopes, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAgreement {
    /// The envelopes.
    pub papers: Papers,
    /// What they say.
    pub agreement: Agreement,
}

/// A change as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// The agreement that it changes.
    pub agreement: Digest,
    /// What was signed, and from when on it counts.
    pub recorded: Recorded,
    /// When it was handed in.
    pub recorded_at: Timestamp,
    /// The envelope that names it.
    pub envelope: Vec<u8>,
    /// The same by the other of two who sign.
    pub countersigned: Option<Vec<u8>>,
}

/// Everything about one site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SiteHistory {
    /// In the order in which they were admitted.
    pub agreements: Vec<StoredAgreement>,
    /// In the order in which they were handed in.
    pub changes: Vec<StoredChange>,
}

impl SiteHistory {
    /// What the agreements say.
    #[must_use]
    pub fn signed(&self) -> Vec<Agreement> {
        self.agreements
            .iter()
            .map(|kept| kept.agreement.clone())
            .collect()
    }

    /// What changed them.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.changes.iter().map(|kept| kept.recorded.clone()).collect()
    }
}

/// What was not admitted, and what stands against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConflict {
    /// When.
    pub found_at: Timestamp,
    /// The agreement that was there.
    pub agreement: Digest,
    /// What was handed in.
    pub papers: Papers,
    /// What both have, in words.
    pub detail: String,
}

/// Waits until nobody else admits anything: two at once with one device must see each other.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn lock(client: &mut impl GenericClient) -> Result<(), StoreError> {
    // `agreemnt` in ASCII.
    const LOCK: i64 = 0x6167_7265_656d_6e74;
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    Ok(())
}

/// Everything about a site.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn history(client: &mut impl GenericClient, site: &str) -> Result<SiteHistory, StoreError> {
    let rows = client.query(
        "SELECT claim, acceptance, admission FROM agreement WHERE site = $1 ORDER BY number",
        &[&site],
    )?;
    let agreements = rows.iter().map(read_agreement).collect::<Result<_, _>>()?;
    let rows = client.query(
        "SELECT c.agreement, c.kind, c.envelope, c.countersigned, c.recorded_at, c.effective_at
         FROM agreement_change c JOIN agreement a ON a.digest = c.agreement
         WHERE a.site = $1 ORDER BY c.number",
        &[&site],
    )?;
    Ok(SiteHistory {
        agreements,
        changes: rows.iter().map(read_change).collect::<Result<_, _>>()?,
    })
}

/// Whether any site of a program was ever enrolled by an agreement.
///
/// # Errors
/// [`StoreError`].
pub fn are_for(client: &mut impl GenericClient, program: &ProgramId) -> Result<bool, StoreError> {
    let asked = "SELECT EXISTS (SELECT FROM agreement WHERE program = $1)";
    Ok(client.query_one(asked, &[&program.as_str()])?.get(0))
}

/// The sites that have agreements, in order.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn sites(client: &mut impl GenericClient) -> Result<Vec<SiteId>, StoreError> {
    let rows = client.query("SELECT DISTINCT site FROM agreement ORDER BY site", &[])?;
    rows.iter()
        .map(|row| row.get::<_, &str>(0).parse().map_err(corrupt))
        .collect()
}

/// The site of an agreement, or of the agreement of a change.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn site_of(client: &mut impl GenericClient, named: &Digest) -> Result<SiteId, StoreError> {
    let row = client.query_opt(
        "SELECT site FROM agreement WHERE digest = $1
         UNION ALL SELECT a.site FROM agreement_change c JOIN agreement a ON a.digest = c.agreement WHERE c.digest = $1",
        &[&named.as_bytes().as_slice()],
    )?;
    let row = row.ok_or_else(|| StoreError::NotFound(format!("there is no agreement {named}")))?;
    row.get::<_, &str>(0).parse().map_err(corrupt)
}

/// The sites with whose agreements one that was accepted could collide: of the same site, key, or devices.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn near(client: &mut impl GenericClient, accepted: &Accepted) -> Result<Vec<SiteId>, StoreError> {
    let devices: Vec<String> = accepted
        .claim
        .message
        .devices
        .iter()
        .map(|device| device.physical())
        .collect();
    let rows = client.query(
        "SELECT DISTINCT a.site FROM agreement a
         WHERE a.site = $1 OR a.gateway = $2
            OR EXISTS (SELECT FROM agreement_device d WHERE d.agreement = a.digest AND d.physical = ANY ($3))
            OR EXISTS (SELECT FROM enrolment_version v WHERE v.site = a.site AND v.gateway = $2)
         ORDER BY a.site",
        &[
            &accepted.acceptance.message.site,
            &accepted.gateway().as_bytes().as_slice(),
            &devices,
        ],
    )?;
    rows.iter()
        .map(|row| row.get::<_, &str>(0).parse().map_err(corrupt))
        .collect()
}

/// The devices that sites have by agreements which hold at an instant, and were not ended: `MAKE/MODEL/SERIAL` each.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn devices_at(
    client: &mut impl GenericClient,
    at: Timestamp,
) -> Result<BTreeMap<SiteId, Vec<String>>, StoreError> {
    let rows = client.query(
        "SELECT DISTINCT a.site, d.physical FROM agreement a JOIN agreement_device d ON d.agreement = a.digest
         WHERE a.valid_from <= $1 AND a.expires_at > $1 AND NOT EXISTS (
             SELECT FROM agreement_change c
             WHERE c.agreement = a.digest AND c.kind = 'revocation' AND c.effective_at <= $1)
         ORDER BY a.site, d.physical",
        &[&to_column(at)],
    )?;
    let mut devices: BTreeMap<SiteId, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let site = row.get::<_, &str>(0).parse().map_err(corrupt)?;
        devices.entry(site).or_default().push(row.get(1));
    }
    Ok(devices)
}

/// Keeps an agreement.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn keep(client: &mut impl GenericClient, kept: &StoredAgreement) -> Result<(), StoreError> {
    let StoredAgreement { papers, agreement } = kept;
    let acceptance = &agreement.accepted.acceptance.message;
    let named = agreement.admission.digest;
    client.execute(
        "INSERT INTO agreement (digest, site, gateway, program, valid_from, expires_at, admitted_at,
                                claim, acceptance, admission)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &named.as_bytes().as_slice(),
            &acceptance.site,
            &agreement.accepted.gateway().as_bytes().as_slice(),
            &acceptance.program.as_str(),
            &to_column(acceptance.valid_from),
            &to_column(acceptance.expires_at),
            &to_column(agreement.admission.message.admitted_at),
            &papers.claim,
            &papers.acceptance,
            &papers.admission,
        ],
    )?;
    for device in &agreement.accepted.claim.message.devices {
        client.execute(
            "INSERT INTO agreement_device (agreement, device, physical) VALUES ($1, $2, $3)",
            &[
                &named.as_bytes().as_slice(),
                &i16::from(device.number.0),
                &device.physical(),
            ],
        )?;
    }
    Ok(())
}

/// Keeps a change; whether it was not there yet.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn keep_change(client: &mut impl GenericClient, change: &StoredChange) -> Result<bool, StoreError> {
    let kept = client.execute(
        "INSERT INTO agreement_change (digest, agreement, kind, envelope, countersigned, recorded_at, effective_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            &change.recorded.change.digest().as_bytes().as_slice(),
            &change.agreement.as_bytes().as_slice(),
            &change.recorded.change.kind(),
            &change.envelope,
            &change.countersigned,
            &to_column(change.recorded_at),
            &to_column(change.recorded.effective_at),
        ],
    )?;
    Ok(kept == 1)
}

/// Keeps what was not admitted; the same again is a no-op.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn keep_conflict(client: &mut impl GenericClient, conflict: &StoredConflict) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO agreement_conflict (found_at, agreement, claim, acceptance, detail)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        &[
            &to_column(conflict.found_at),
            &conflict.agreement.as_bytes().as_slice(),
            &conflict.papers.claim,
            &conflict.papers.acceptance,
            &conflict.detail,
        ],
    )?;
    Ok(())
}

/// What was not admitted, in the order in which it came.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn conflicts(client: &mut impl GenericClient) -> Result<Vec<StoredConflict>, StoreError> {
    let rows = client.query(
        "SELECT found_at, agreement, claim, acceptance, detail FROM agreement_conflict ORDER BY number",
        &[],
    )?;
    let read = |row: &Row| {
        Ok(StoredConflict {
            found_at: timestamp(row.get(0))?,
            agreement: digest(row.get(1))?,
            papers: Papers {
                claim: row.get(2),
                acceptance: row.get(3),
                admission: None,
            },
            detail: row.get(4),
        })
    };
    rows.iter().map(read).collect()
}

/// Writes the enrolments that follow from a site's agreements, in the place of those that followed before, and gives
/// every key of its gateway a number.
///
/// # Errors
/// [`StoreError::Conflict`] where a key is another site's by the operator's word.
pub fn write_versions(
    client: &mut impl GenericClient,
    site: &SiteId,
    versions: &[Version],
    now: Timestamp,
) -> Result<(), StoreError> {
    let generation: i32 = client
        .query_one(
            "SELECT coalesce(max(generation), 0) + 1 FROM enrolment_version WHERE site = $1",
            &[&site.as_str()],
        )?
        .get(0);
    for (number, version) in (1_i32..).zip(versions) {
        let enrolment = &version.enrolment;
        let document = serde_json::to_string(enrolment).map_err(corrupt)?;
        let ends_at = enrolment
            .agreement
            .as_ref()
            .map_or(version.holds_from, |s| s.ends_at);
        let gateway = enrolment.gateway.as_bytes().as_slice();
        client.execute(
            "INSERT INTO enrolment_version (site, generation, number, gateway, holds_from, ends_at, document)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &site.as_str(),
                &generation,
                &number,
                &gateway,
                &to_column(version.holds_from),
                &to_column(ends_at),
                &document,
            ],
        )?;
        client.execute(
            "INSERT INTO enrolment (gateway, site, program, document, enrolled_at, by_agreement)
             VALUES ($1, $2, $3, $4, $5, true) ON CONFLICT (gateway) DO NOTHING",
            &[
                &gateway,
                &site.as_str(),
                &enrolment.program.as_str(),
                &document,
                &to_column(now),
            ],
        )?;
    }
    let gateways: BTreeSet<Identity> = versions.iter().map(|v| v.enrolment.gateway).collect();
    let gateways: Vec<&[u8]> = gateways.iter().map(|g| g.as_bytes().as_slice()).collect();
    let other = client.query_opt(
        "SELECT site FROM enrolment WHERE gateway = ANY ($1) AND site <> $2 AND NOT by_agreement LIMIT 1",
        &[&gateways, &site.as_str()],
    )?;
    if let Some(row) = other {
        return Err(StoreError::Conflict(format!(
            "the gateway is enrolled for site {} by the operator's word already",
            row.get::<_, &str>(0)
        )));
    }
    Ok(())
}

fn read_agreement(row: &Row) -> Result<StoredAgreement, StoreError> {
    let papers = Papers {
        claim: row.get(0),
        acceptance: row.get(1),
        admission: Some(row.get(2)),
    };
    let agreement = papers.agreement().map_err(corrupt)?;
    Ok(StoredAgreement { papers, agreement })
}

fn read_change(row: &Row) -> Result<StoredChange, StoreError> {
    let (kind, envelope): (&str, Vec<u8>) = (row.get(1), row.get(2));
    let countersigned: Option<Vec<u8>> = row.get(3);
    Ok(StoredChange {
        agreement: digest(row.get(0))?,
        recorded: Recorded {
            change: open_change(kind, &envelope, countersigned.as_deref()).map_err(corrupt)?,
            effective_at: timestamp(row.get(5))?,
        },
        recorded_at: timestamp(row.get(4))?,
        envelope,
        countersigned,
    })
}

/// Opens a change by the name of its kind.
///
/// # Errors
/// A sentence.
pub fn open_change(kind: &str, envelope: &[u8], countersigned: Option<&[u8]>) -> Result<Change, String> {
    let second = || countersigned.ok_or_else(|| format!("a {kind} takes two signatures"));
    match kind {
        "rotation" => both(envelope, second()?, |r: &Rotation| (r.old, r.new))
            .map(Change::Rotated)
            .map_err(|error| error.to_string()),
        "transfer" => both(envelope, second()?, |t: &Transfer| (t.from, t.to))
            .map(Change::Transferred)
            .map_err(|error| error.to_string()),
        "revocation" => Revocation::open(envelope)
            .map(Change::Revoked)
            .map_err(|error| error.to_string()),
        _ => Err(format!("{kind} is no change of an agreement")),
    }
}

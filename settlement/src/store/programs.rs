//! Programs and enrolments.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::types::{corrupt, identity, timestamp, to_column};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::SiteId;

/// Keeps a program's document. The same again is a no-op.
///
/// # Errors
/// [`StoreError::Conflict`] where this version is kept with another document.
pub fn add_program(
    client: &mut impl GenericClient,
    program: &Program,
    document: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let version = version_column(program.version)?;
    let hash = program.hash.to_string();
    client.execute(
        "INSERT INTO program (id, version, hash, document, added_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        &[&program.id.as_str(), &version, &hash, &document, &to_column(now)],
    )?;
    let kept: String = client
        .query_one(
            "SELECT hash FROM program WHERE id = $1 AND version = $2",
            &[&program.id.as_str(), &version],
        )?
        .get(0);
    if kept != hash {
        return Err(StoreError::Conflict(format!(
            "program {} version {version} is kept with another document; a changed program takes a higher version",
            program.id
        )));
    }
    Ok(())
}

/// A version as its column holds it.
pub(super) fn version_column(version: u32) -> Result<i32, StoreError> {
    i32::try_from(version).map_err(|_| StoreError::Conflict("a version beyond 31 bits".into()))
}

/// The document of a program's highest version.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn newest_program(client: &mut impl GenericClient, id: &ProgramId) -> Result<String, StoreError> {
    client
        .query_opt(
            "SELECT document FROM program WHERE id = $1 ORDER BY version DESC LIMIT 1",
            &[&id.as_str()],
        )?
        .map(|row| row.get(0))
        .ok_or_else(|| {
            StoreError::NotFound(format!("no program {id}; add it with `engine program add FILE`"))
        })
}

/// The documents of all versions of a program, the highest first.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn documents(client: &mut impl GenericClient, id: &ProgramId) -> Result<Vec<String>, StoreError> {
    let rows = client.query(
        "SELECT document FROM program WHERE id = $1 ORDER BY version DESC",
        &[&id.as_str()],
    )?;
    if rows.is_empty() {
        newest_program(client, id)?;
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The document of one version of a program.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn program(client: &mut impl GenericClient, id: &ProgramId, version: u32) -> Result<String, StoreError> {
    client
        .query_opt(
            "SELECT document FROM program WHERE id = $1 AND version = $2",
            &[&id.as_str(), &version_column(version)?],
        )?
        .map(|row| row.get(0))
        .ok_or_else(|| StoreError::NotFound(format!("no program {id} version {version}")))
}

/// Keeps an enrolment. The same again is a no-op.
///
/// # Errors
/// [`StoreError::Conflict`] where the site or the gateway is enrolled otherwise.
pub fn enrol(
    client: &mut impl GenericClient,
    enrolment: &Enrolment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let document = serde_json::to_string(enrolment).map_err(corrupt)?;
    let gateway = enrolment.gateway.as_bytes().as_slice();
    let site = enrolment.site.as_str();
    client.execute(
        "INSERT INTO enrolment (gateway, site, program, document, enrolled_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        &[
            &gateway,
            &site,
            &enrolment.program.as_str(),
            &document,
            &to_column(now),
        ],
    )?;
    let kept = client.query(
        "SELECT document FROM enrolment WHERE gateway = $1 OR site = $2",
        &[&gateway, &site],
    )?;
    if kept.iter().any(|row| row.get::<_, &str>(0) != document) {
        return Err(StoreError::Conflict(format!(
            "site {site} or gateway {} is enrolled already, with other devices, another owner or another gateway",
            enrolment.gateway
        )));
    }
    Ok(())
}

/// What the operator alone says of a site, where there is anything.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn by_word(client: &mut impl GenericClient, site: &SiteId) -> Result<Option<Enrolment>, StoreError> {
    let row = client.query_opt(
        "SELECT document FROM enrolment WHERE site = $1 AND NOT by_agreement",
        &[&site.as_str()],
    )?;
    row.as_ref().map(read_enrolment).transpose()
}

/// The newest generation of the enrolments that follow from agreements.
const NEWEST: &str =
    "newest AS (SELECT site, max(generation) AS generation FROM enrolment_version GROUP BY site)";

/// The enrolments of those of the gateways that have one, as they hold at an instant. A key that does not count yet, or
/// no more, has one nevertheless: it says so.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_of(
    client: &mut impl GenericClient,
    gateways: impl IntoIterator<Item = Identity>,
    at: Timestamp,
) -> Result<Vec<Enrolment>, StoreError> {
    let gateways: Vec<Vec<u8>> = gateways.into_iter().map(|g| g.as_bytes().to_vec()).collect();
    let rows = client.query(
        "SELECT coalesce(
             (SELECT v.document FROM enrolment_version v
              WHERE v.gateway = e.gateway AND (v.holds_from <= $2 OR e.by_agreement)
                AND v.generation = (SELECT max(n.generation) FROM enrolment_version n WHERE n.site = v.site)
              ORDER BY v.holds_from <= $2 DESC,
                       CASE WHEN v.holds_from <= $2 THEN v.number ELSE -v.number END DESC, v.site LIMIT 1),
             CASE WHEN NOT e.by_agreement THEN e.document END)
         FROM enrolment e WHERE e.gateway = ANY ($1)",
        &[&gateways, &to_column(at)],
    )?;
    // A key of a rotation that was vetoed is nobody's.
    let known = rows.iter().filter(|row| row.get::<_, Option<&str>>(0).is_some());
    known.map(read_enrolment).collect()
}

/// All enrolments, in the order of their sites: of each site the last one that is known, whether it holds now or not.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments(client: &mut impl GenericClient) -> Result<Vec<Enrolment>, StoreError> {
    let sql = format!(
        "WITH {NEWEST} SELECT document FROM (
             SELECT DISTINCT ON (v.site) v.site, v.document FROM enrolment_version v
             JOIN newest USING (site, generation) ORDER BY v.site, v.number DESC
         ) held
         UNION ALL SELECT document FROM enrolment e
         WHERE NOT e.by_agreement AND NOT EXISTS (SELECT FROM newest WHERE newest.site = e.site)"
    );
    in_order(&client.query(&sql, &[])?)
}

/// The enrolments that hold at an instant, in the order of their sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_at(client: &mut impl GenericClient, at: Timestamp) -> Result<Vec<Enrolment>, StoreError> {
    let sql = format!(
        "WITH {NEWEST}, held AS (
             SELECT DISTINCT ON (v.site) v.site, v.document, v.ends_at FROM enrolment_version v
             JOIN newest USING (site, generation) WHERE v.holds_from <= $1 ORDER BY v.site, v.number DESC
         )
         SELECT document FROM held WHERE ends_at > $1
         UNION ALL SELECT document FROM enrolment e
         WHERE NOT e.by_agreement AND NOT EXISTS (SELECT FROM held WHERE held.site = e.site)"
    );
    in_order(&client.query(&sql, &[&to_column(at)])?)
}

/// Every key that was ever enrolled, with what is known of it last, in the order of their sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_of_all_keys(client: &mut impl GenericClient) -> Result<Vec<Enrolment>, StoreError> {
    let rows = client.query("SELECT gateway FROM enrolment", &[])?;
    let gateways = rows
        .iter()
        .map(|row| identity(row.get(0)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut enrolments = enrolments_of(client, gateways, Timestamp::LATEST)?;
    enrolments.sort_by(|a, b| a.site.cmp(&b.site));
    Ok(enrolments)
}

/// All enrolments with when they were made, in the order of their sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_with_times(
    client: &mut impl GenericClient,
) -> Result<Vec<(Enrolment, Timestamp)>, StoreError> {
    let rows = client.query("SELECT gateway, enrolled_at FROM enrolment", &[])?;
    let mut times = BTreeMap::new();
    for row in &rows {
        times.insert(identity(row.get(0))?, timestamp(row.get(1))?);
    }
    let enrolments = enrolments(client)?.into_iter();
    Ok(enrolments
        .filter_map(|enrolment| {
            let made_at = *times.get(&enrolment.gateway)?;
            Some((enrolment, made_at))
        })
        .collect())
}

fn in_order(rows: &[Row]) -> Result<Vec<Enrolment>, StoreError> {
    let mut enrolments = rows.iter().map(read_enrolment).collect::<Result<Vec<_>, _>>()?;
    enrolments.sort_by(|a, b| a.site.cmp(&b.site));
    Ok(enrolments)
}

fn read_enrolment(row: &Row) -> Result<Enrolment, StoreError> {
    serde_json::from_str(row.get(0)).map_err(corrupt)
}

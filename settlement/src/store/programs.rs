//! Programs and enrolments.

use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::types::{corrupt, timestamp, to_column};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId};

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

/// The enrolments of those of the gateways that have one.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_of(
    client: &mut impl GenericClient,
    gateways: impl IntoIterator<Item = Identity>,
) -> Result<Vec<Enrolment>, StoreError> {
    let gateways: Vec<Vec<u8>> = gateways.into_iter().map(|g| g.as_bytes().to_vec()).collect();
    let rows = client.query(
        "SELECT document FROM enrolment WHERE gateway = ANY ($1)",
        &[&gateways],
    )?;
    rows.iter().map(read_enrolment).collect()
}

/// All enrolments, in the order of their sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments(client: &mut impl GenericClient) -> Result<Vec<Enrolment>, StoreError> {
    let rows = client.query("SELECT document FROM enrolment ORDER BY site", &[])?;
    rows.iter().map(read_enrolment).collect()
}

/// All enrolments with when they were made, in the order of their sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolments_with_times(
    client: &mut impl GenericClient,
) -> Result<Vec<(Enrolment, Timestamp)>, StoreError> {
    let rows = client.query("SELECT document, enrolled_at FROM enrolment ORDER BY site", &[])?;
    rows.iter()
        .map(|row| Ok((read_enrolment(row)?, timestamp(row.get(1))?)))
        .collect()
}

fn read_enrolment(row: &Row) -> Result<Enrolment, StoreError> {
    serde_json::from_str(row.get(0)).map_err(corrupt)
}

//! No home is asked for more than it has proved, where its program asks for proof.

use std::collections::BTreeMap;

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use crate::capacity::standing::{Unproven, standing};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::SiteId;
use crate::store::{StoreError, capacity, programs};

/// What each home has proved; nothing where the program does not ask for proof.
pub(super) struct Proof(Option<BTreeMap<SiteId, Result<Milliwatts, Unproven>>>);

impl Proof {
    pub fn of(
        client: &mut impl GenericClient,
        program: &Program,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        if !program.tests.as_ref().is_some_and(|tests| tests.proof_required) {
            return Ok(Self(None));
        }
        proven(client, &program.id, now).map(|proven| Self(Some(proven)))
    }

    /// Why a home is not asked at all.
    pub fn lacking(&self, site: &SiteId) -> Option<Unproven> {
        match self.0.as_ref()?.get(site) {
            Some(Ok(_)) => None,
            Some(Err(unproven)) => Some(*unproven),
            None => Some(Unproven::NoPass),
        }
    }

    /// What a home is asked for, of what an event asks. One that was asked before keeps to that event, though what it
    /// had proved is gone since.
    pub fn at_most(&self, site: &SiteId, power: Milliwatts) -> Milliwatts {
        match self.0.as_ref().and_then(|proven| proven.get(site)) {
            Some(Ok(proven)) => power.min(*proven),
            _ => power,
        }
    }
}

/// The most that a site can give: its batteries together, or else its connection.
#[must_use]
pub fn nameplate(home: &Enrolment) -> Milliwatts {
    let of = |quantity: Quantity| {
        let devices = home
            .devices
            .iter()
            .filter(move |d| d.quantities.contains(&quantity));
        devices.map(|device| device.nameplate_milliwatts.get())
    };
    let batteries = of(Quantity::BatteryDischarge).fold(0_i64, i64::saturating_add);
    let most = match batteries {
        0 => of(Quantity::GridImport).max().unwrap_or(0),
        some => some,
    };
    Milliwatts::new(most)
}

/// What each site of a program may enrol at `now`, or why nothing.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn proven(
    client: &mut impl GenericClient,
    program: &ProgramId,
    now: Timestamp,
) -> Result<BTreeMap<SiteId, Result<Milliwatts, Unproven>>, StoreError> {
    let judged = capacity::judged(client, program)?;
    let homes = programs::enrolments_at(client, now)?;
    let of_program = homes.into_iter().filter(|home| home.program == *program);
    Ok(of_program
        .map(|home| {
            let tests = judged.get(&home.site).map_or(&[][..], Vec::as_slice);
            let proven = standing(tests, now).map(|power| power.min(nameplate(&home)));
            (home.site, proven)
        })
        .collect())
}

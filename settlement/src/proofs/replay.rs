//! Settled events under other rules: who would have got more, and who less. Nothing is booked.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::derive::{self, DeriveError};
use super::evidence::{Carry, Evidence, SiteSeason};
use crate::rules::program::Program;
use crate::rules::statement::{BeneficiaryId, SeasonSoFar, SettleError, SiteId, Statement};

/// What a site got, and what it would have got. Amounts in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteReplayed {
    /// The site.
    pub site: SiteId,
    /// Who is paid.
    pub beneficiary: BeneficiaryId,
    /// What it was paid, corrections included.
    pub paid: TokenAmount,
    /// What the other rules pay.
    pub replayed: TokenAmount,
    /// The second less the first.
    pub difference: TokenAmount,
}

/// An event under other rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventReplayed {
    /// Its name.
    pub event: EventId,
    /// When it began.
    pub start: Timestamp,
    /// Every site of either statement, in the order of names.
    pub sites: Vec<SiteReplayed>,
}

/// Settles events one after the other under other rules: each carries on from the one before, and formulas that look
/// back on a season see what these rules made of it.
#[derive(Debug)]
pub struct Replay {
    document: String,
    program: Program,
    carry: Option<Carry>,
    season: SeasonSoFar,
}

impl Replay {
    /// Under the rules of this document.
    #[must_use]
    pub fn under(program: Program, document: String) -> Self {
        Self {
            document,
            program,
            carry: None,
            season: SeasonSoFar::default(),
        }
    }

    /// The document of these rules.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.document
    }

    /// Settles the next event in the order of time, with the evidence that these rules look at, and compares it with the
    /// statement that stands.
    ///
    /// # Errors
    /// [`DeriveError`] where the evidence does not fit these rules.
    pub fn event(
        &mut self,
        mut evidence: Evidence,
        stands: &Statement,
    ) -> Result<EventReplayed, DeriveError> {
        evidence.case.carried_from = self.carry.take();
        if self.program.payment.looks_back() {
            let error = |error| derive::at("season")(SettleError::Arithmetic { site: None, error });
            let before = self
                .season
                .enter(&self.program, evidence.case.event.start)
                .map_err(error)?;
            evidence.seasons = before
                .into_iter()
                .map(|(site, season)| SiteSeason { site, season })
                .collect();
        }
        let statement = derive::derive(&evidence)?.statement;
        self.carry = Some(Carry {
            event: evidence.case.event.id.clone(),
            version: evidence.case.version,
            statement: Digest::of(&statement.to_bytes()),
            carry_out: statement.rounding.carry_out,
            pool_carry: statement.rounding.pool_carry,
        });
        let sites = compare(stands, &statement).map_err(derive::at("statement"))?;
        if self.program.payment.looks_back() {
            self.season.settled(statement);
        }
        Ok(EventReplayed {
            event: evidence.case.event.id,
            start: evidence.case.event.start,
            sites,
        })
    }
}

fn compare(stands: &Statement, replayed: &Statement) -> Result<Vec<SiteReplayed>, Overflow> {
    let mut sites: BTreeMap<&SiteId, (&BeneficiaryId, TokenAmount, TokenAmount)> = BTreeMap::new();
    for (site, (who, paid)) in stands.paid() {
        sites.insert(site, (who, paid.amount, TokenAmount::ZERO));
    }
    for (site, (who, paid)) in replayed.paid() {
        let entry = sites
            .entry(site)
            .or_insert((who, TokenAmount::ZERO, TokenAmount::ZERO));
        entry.2 = paid.amount;
    }
    let site = |(site, (who, paid, replayed)): (&SiteId, (&BeneficiaryId, TokenAmount, TokenAmount))| {
        Ok(SiteReplayed {
            site: site.clone(),
            beneficiary: who.clone(),
            paid,
            replayed,
            difference: replayed.checked_sub(paid)?,
        })
    };
    sites.into_iter().map(site).collect()
}

/// What several events come to for each site, in the order of names.
///
/// # Errors
/// [`Overflow`] where a sum does not fit.
pub fn by_site(events: &[EventReplayed]) -> Result<Vec<SiteReplayed>, Overflow> {
    let mut sums: BTreeMap<&SiteId, SiteReplayed> = BTreeMap::new();
    for site in events.iter().flat_map(|event| &event.sites) {
        match sums.get_mut(&site.site) {
            None => drop(sums.insert(&site.site, site.clone())),
            Some(sum) => {
                sum.paid = sum.paid.checked_add(site.paid)?;
                sum.replayed = sum.replayed.checked_add(site.replayed)?;
                sum.difference = sum.difference.checked_add(site.difference)?;
            }
        }
    }
    Ok(sums.into_values().collect())
}

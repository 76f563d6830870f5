//! Settling anew: a later statement of the same event takes the place of the one before it. Nothing is overwritten:
//! the later one takes back what was paid by the earlier, and pays what is due, site by site, with the reasons.
//!
//! ```text
//! difference  = after − before                       of each site; before is what it was paid in all so far
//! settled     where |difference| ≥ materiality       else the site keeps what it has
//! carry_in + Σ (after.remainder − before.remainder) = posted × 1,000,000 + carry_out     over the settled ones
//! escrow debit = Σ difference + Σ fee + posted       over the settled ones; below zero where the escrow gets back
//! ```
//!
//! Fees are not given back. A pool is shared out anew, with what it had; what it left the first time stays where it is.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::TokenAmount;
use serde::{Deserialize, Serialize};

use super::inputs::{BeneficiaryId, SiteId, is_nothing};
use super::lines::{Line, SiteStatement, Statement};
use super::settle::{AmountError, SettleError, carry, overflow};

/// Why an event is settled anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Occasion {
    /// The program's calendar asks for it.
    Calendar {
        /// So many days after the event's end.
        after_days: u32,
    },
    /// Somebody was right.
    Dispute {
        /// The numbers of the disputes that were upheld, ascending.
        upheld: Vec<u32>,
    },
}

/// What a site was paid, and what rounding took from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    /// In base units.
    pub amount: TokenAmount,
    /// Exact less paid, in millionths of a base unit.
    pub remainder: i64,
    /// What the fee account got for it, in base units. It never gives a fee back.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub fee: TokenAmount,
}

/// What has changed, seen from one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not in the statement before, or is in this one no more.
    Enrolment,
    /// What it said to the event.
    Participation,
    /// A reading was put in the place of the meter's, or withdrawn.
    CorrectedReading,
    /// A reading came after the statement before.
    LateReading,
    /// A reading that counted does not count any more.
    LostReading,
    /// A reading has another value.
    ChangedReading,
    /// What it would have used.
    Baseline,
}

impl Change {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Participation => "participation",
            Self::CorrectedReading => "corrected_reading",
            Self::LateReading => "late_reading",
            Self::LostReading => "lost_reading",
            Self::ChangedReading => "changed_reading",
            Self::Baseline => "baseline",
        }
    }
}

/// A change, and in how many intervals of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// What has changed.
    pub change: Change,
    /// In how many intervals; 0 where it is not of single intervals.
    pub intervals: u32,
}

/// A site for which the two statements differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteDifference {
    /// The site.
    pub site: SiteId,
    /// Who was paid, and pays back or gets more.
    pub beneficiary: BeneficiaryId,
    /// What it was paid in all so far: this is reversed.
    pub before: Paid,
    /// What it is due by this statement: this is booked.
    pub after: Paid,
    /// `after − before`.
    pub difference: TokenAmount,
    /// Whether the difference is paid; if not it is below the program's threshold, and the site keeps what it has.
    pub settled: bool,
    /// What has changed, in the order of [`Change`].
    pub causes: Vec<Cause>,
}

/// How a statement corrects the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resettled {
    /// The version of the statement before.
    pub version: u32,
    /// SHA-256 of the statement before.
    pub statement: Digest,
    /// Why.
    pub occasion: Occasion,
    /// A difference of less, in base units, is not paid.
    pub materiality: TokenAmount,
    /// What all sites were paid in all so far.
    pub before: TokenAmount,
    /// What is paid by this statement, less what is taken back.
    pub difference: TokenAmount,
    /// Every site with another amount, line or baseline than before, in the order of names.
    pub sites: Vec<SiteDifference>,
}

/// The statement before, and why it is corrected.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'s> {
    /// The statement.
    pub statement: &'s Statement,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its bytes.
    pub hash: Digest,
    /// Why it is corrected.
    pub occasion: &'s Occasion,
    /// What the program's pools have left meanwhile: a correction leaves it as it is.
    pub pool_carry: TokenAmount,
}

impl Statement {
    /// What each site was paid for the event by this statement and all before it.
    #[must_use]
    pub fn paid(&self) -> BTreeMap<&SiteId, (&BeneficiaryId, Paid)> {
        let mut paid: BTreeMap<_, _> = self
            .sites
            .iter()
            .map(|site| (&site.site, (&site.beneficiary, site.paid())))
            .collect();
        for site in self.resettled.iter().flat_map(|r| &r.sites) {
            let stands = if site.settled { site.after } else { site.before };
            paid.insert(&site.site, (&site.beneficiary, stands));
        }
        paid
    }

    /// What this statement moves, by who is paid: below zero where it is taken back.
    ///
    /// # Errors
    /// [`AmountError`] where a sum does not fit.
    pub fn movements(&self) -> Result<BTreeMap<&BeneficiaryId, TokenAmount>, AmountError> {
        let mut moved: BTreeMap<&BeneficiaryId, TokenAmount> = BTreeMap::new();
        let mut add = |who, amount| -> Result<(), AmountError> {
            let sum = moved.entry(who).or_default();
            *sum = sum.checked_add(amount)?;
            Ok(())
        };
        match &self.resettled {
            None => {
                for site in &self.sites {
                    add(&site.beneficiary, site.totals.amount)?;
                }
            }
            Some(resettled) => {
                for site in resettled.sites.iter().filter(|site| site.settled) {
                    add(&site.beneficiary, site.difference)?;
                }
            }
        }
        moved.retain(|_, amount| *amount != TokenAmount::ZERO);
        Ok(moved)
    }

    /// Makes of a statement the one that corrects an earlier one of the same event.
    ///
    /// # Errors
    /// [`SettleError`] where a sum does not fit.
    pub fn correcting(
        mut self,
        earlier: &Earlier<'_>,
        materiality: TokenAmount,
    ) -> Result<Self, SettleError> {
        let total = |error| SettleError::Arithmetic { site: None, error };
        let paid = earlier.statement.paid();
        let mut old: BTreeMap<_, _> = earlier.statement.sites.iter().map(|s| (&s.site, s)).collect();
        let mut sites = Vec::new();
        for new in &self.sites {
            let pair = Pair {
                before: old.remove(&new.site),
                after: Some(new),
            };
            sites.extend(pair.difference(&paid, materiality).map_err(total)?);
        }
        for gone in old.into_values() {
            let pair = Pair {
                before: Some(gone),
                after: None,
            };
            sites.extend(pair.difference(&paid, materiality).map_err(total)?);
        }
        sites.sort_by(|a, b| a.site.cmp(&b.site));
        let mut sums = Sums::default();
        for site in sites.iter().filter(|site| site.settled) {
            sums.add(site).map_err(total)?;
        }
        let before = TokenAmount::checked_sum(paid.values().map(|(_, paid)| paid.amount));
        let pool_carry = earlier.pool_carry;
        self.rounding = carry(self.rounding.carry_in, sums.remainder).map_err(total)?;
        self.rounding.pool_carry = pool_carry;
        let parts = [sums.difference, sums.fee, self.rounding.posted];
        self.escrow_debit = TokenAmount::checked_sum(parts).map_err(|e| total(e.into()))?;
        self.fee = sums.fee;
        self.resettled = Some(Resettled {
            version: earlier.version,
            statement: earlier.hash,
            occasion: earlier.occasion.clone(),
            materiality,
            before: before.map_err(|e| total(e.into()))?,
            difference: sums.difference,
            sites,
        });
        Ok(self)
    }
}

#[derive(Default)]
struct Sums {
    difference: TokenAmount,
    fee: TokenAmount,
    remainder: i64,
}

impl Sums {
    fn add(&mut self, site: &SiteDifference) -> Result<(), AmountError> {
        self.difference = self.difference.checked_add(site.difference)?;
        let fee = site.after.fee.checked_sub(site.before.fee)?;
        self.fee = self.fee.checked_add(fee)?;
        let moved = site.after.remainder.checked_sub(site.before.remainder);
        let sum = moved.and_then(|moved| self.remainder.checked_add(moved));
        self.remainder = sum.ok_or(overflow("remainder"))?;
        Ok(())
    }
}

impl SiteStatement {
    fn paid(&self) -> Paid {
        Paid {
            amount: self.totals.amount,
            remainder: self.totals.remainder,
            fee: self.fee(),
        }
    }
}

/// A site in the two statements.
struct Pair<'s> {
    before: Option<&'s SiteStatement>,
    after: Option<&'s SiteStatement>,
}

impl Pair<'_> {
    fn difference(
        &self,
        paid: &BTreeMap<&SiteId, (&BeneficiaryId, Paid)>,
        materiality: TokenAmount,
    ) -> Result<Option<SiteDifference>, AmountError> {
        let Some(any) = self.after.or(self.before) else {
            return Ok(None);
        };
        let (beneficiary, before) =
            (paid.get(&any.site).copied()).unwrap_or((&any.beneficiary, Paid::default()));
        let mut after = self.after.map(SiteStatement::paid).unwrap_or_default();
        after.fee = after.fee.max(before.fee);
        let causes = self.causes();
        // What was below the threshold before is not of this statement's causes, and still is to be seen.
        if causes.is_empty() && before == after {
            return Ok(None);
        }
        let difference = after.amount.checked_sub(before.amount)?;
        let size = difference.base_units().unsigned_abs();
        Ok(Some(SiteDifference {
            site: any.site.clone(),
            beneficiary: beneficiary.clone(),
            before,
            after,
            difference,
            settled: size >= materiality.base_units().unsigned_abs(),
            causes,
        }))
    }

    fn causes(&self) -> Vec<Cause> {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return vec![Cause {
                change: Change::Enrolment,
                intervals: 0,
            }];
        };
        let mut changes: BTreeMap<Change, u32> = BTreeMap::new();
        if before.participation != after.participation {
            changes.insert(Change::Participation, 0);
        }
        let lines = before.lines.iter().zip(&after.lines);
        for change in lines.flat_map(|(before, after)| line_changes(before, after)) {
            let count = changes.entry(change).or_default();
            *count = count.saturating_add(1);
        }
        let cause = |(change, intervals)| Cause { change, intervals };
        changes.into_iter().map(cause).collect()
    }
}

fn line_changes(before: &Line, after: &Line) -> impl Iterator<Item = Change> {
    let reading = if before.correction != after.correction {
        Some(Change::CorrectedReading)
    } else {
        match (before.metered, after.metered) {
            (Some(a), Some(b)) if a == b => None,
            (Some(_), Some(_)) => Some(Change::ChangedReading),
            (None, Some(_)) => Some(Change::LateReading),
            (Some(_), None) => Some(Change::LostReading),
            (None, None) => None,
        }
    };
    let baseline = (before.baseline != after.baseline).then_some(Change::Baseline);
    reading.into_iter().chain(baseline)
}

//! Settling site by site.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use gridtally_protocol::time::Timestamp;

use super::inputs::{Event, SiteInputs};
use super::lines::{FORMAT, SiteStatement, Statement, Totals};
use super::settle::{SettleError, carry, reference, settle_site};
use crate::rules::baseline::{EventCalendar, Frame};
use crate::rules::program::Program;

/// A program's rules, laid out for one event: every site is settled on its own, and summed.
#[derive(Debug, Clone)]
pub struct Sheet<'p> {
    program: &'p Program,
    event: &'p Event,
    event_days: BTreeSet<NaiveDate>,
    frame: Frame,
    fallback: Option<Frame>,
}

impl<'p> Sheet<'p> {
    /// Lays an event out; `event_days` are the local days of other dispatches.
    ///
    /// # Errors
    /// [`SettleError`] where event and program do not fit together.
    pub fn new(
        program: &'p Program,
        event: &'p Event,
        event_days: &[NaiveDate],
    ) -> Result<Self, SettleError> {
        if event.program != program.id {
            let (event, program) = (event.program.clone(), program.id.clone());
            return Err(SettleError::OtherProgram { event, program });
        }
        let event_days: BTreeSet<_> = event_days.iter().copied().collect();
        let calendar = EventCalendar {
            zone: program.zone,
            length: program.interval,
            start: event.start,
            end: event.end,
            notified: Some(event.announced_at),
            holidays: program.holidays.clone(),
            event_days: event_days.clone(),
        };
        let frame = Frame::new(&program.baseline, &calendar)?;
        let fallback = program.baseline_fallback.as_ref();
        let fallback = fallback.map(|rule| Frame::new(rule, &calendar)).transpose()?;
        Ok(Self {
            program,
            event,
            event_days,
            frame,
            fallback,
        })
    }

    /// Which readings can matter.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// From when until when readings can matter, the fallback's too.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let (from, until) = self.frame.span();
        let other = self.fallback.as_ref().map(Frame::span);
        other.map_or((from, until), |(first, last)| (from.min(first), until.max(last)))
    }

    /// As [`Frame::usual`]; nothing where a fallback may look at other days.
    #[must_use]
    pub fn usual(&self) -> Option<(usize, Timestamp)> {
        if self.fallback.is_some() {
            return None;
        }
        self.frame.usual()
    }

    /// When the event was announced.
    #[must_use]
    pub const fn announced_at(&self) -> Timestamp {
        self.event.announced_at
    }

    /// Settles a site.
    ///
    /// # Errors
    /// As [`settle`].
    pub fn site(&self, site: &SiteInputs) -> Result<SiteStatement, SettleError> {
        settle_site(site, self.program, &self.frame, self.fallback.as_ref())
    }

    /// The statement of all sites that were summed, without their own statements.
    ///
    /// # Errors
    /// As [`settle`].
    pub fn close(&self, sum: &Sum, carry_in: i64) -> Result<Statement, SettleError> {
        if !(0..1_000_000).contains(&carry_in) {
            return Err(SettleError::CarryIn { carry_in });
        }
        let total = |error| SettleError::Arithmetic { site: None, error };
        let rounding = carry(carry_in, sum.totals.remainder).map_err(total)?;
        let escrow_debit = sum.totals.amount.checked_add(rounding.posted);
        Ok(Statement {
            format: FORMAT,
            program: reference(self.program),
            event: self.event.clone(),
            event_days: self.event_days.iter().copied().collect(),
            asset: self.program.asset.clone(),
            totals: sum.totals,
            rounding,
            escrow_debit: escrow_debit.map_err(|e| total(e.into()))?,
            resettled: None,
            sites: Vec::new(),
        })
    }
}

/// What sites have earned together; sums of parts add up to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    totals: Totals,
}

impl Sum {
    /// Adds a site.
    ///
    /// # Errors
    /// [`SettleError::Arithmetic`] where a sum does not fit.
    pub fn add(&mut self, site: &SiteStatement) -> Result<(), SettleError> {
        self.join(&Self { totals: site.totals })
    }

    /// Adds what others have earned together.
    ///
    /// # Errors
    /// As [`Sum::add`].
    pub fn join(&mut self, other: &Self) -> Result<(), SettleError> {
        let total = |error| SettleError::Arithmetic { site: None, error };
        self.totals = self.totals.with(&other.totals).map_err(total)?;
        Ok(())
    }
}

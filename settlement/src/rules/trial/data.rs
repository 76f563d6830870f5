//! What is known of the sites of a trial, and what settles them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};

use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::payment::Season;
use crate::rules::program::Program;
use crate::rules::statement::{
    BeneficiaryId, DayTemperature, Event, Metered, NameError, Offer, Participation, PublishedPrice, Reading,
    SettlementInputs, SiteId, SiteInputs,
};

const DAY: i64 = 86_400;
/// Local days and windows reach a little further than the look-back and the event.
const MARGIN_DAYS: i64 = 2;

/// Who is paid by a trial.
const NOBODY: &str = "nobody";

/// A site, with what its meter counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialSite {
    id: SiteId,
    beneficiary: BeneficiaryId,
    /// In the order of time, one for each interval.
    readings: Vec<Reading>,
    outage_days: Vec<NaiveDate>,
    offer: Offer,
    is_control: bool,
    /// Of the meter of its connection, where `readings` are of something else.
    site_meter: Vec<Reading>,
}

impl TrialSite {
    /// A site; of two readings of one interval the first counts.
    ///
    /// # Errors
    /// [`NameError`] never in practice.
    pub fn new(
        id: SiteId,
        values: impl IntoIterator<Item = (Interval, MilliwattHours)>,
    ) -> Result<Self, NameError> {
        Ok(Self {
            id,
            beneficiary: NOBODY.parse()?,
            readings: in_order(values),
            outage_days: Vec::new(),
            offer: Offer::default(),
            is_control: false,
            site_meter: Vec::new(),
        })
    }

    /// As one of the control group: others are compared with it where nobody says that it was asked.
    #[must_use]
    pub fn as_control(self, is_control: bool) -> Self {
        Self { is_control, ..self }
    }

    /// With what the meter of its connection counted.
    #[must_use]
    pub fn with_site_meter(self, values: impl IntoIterator<Item = (Interval, MilliwattHours)>) -> Self {
        let site_meter = in_order(values);
        Self { site_meter, ..self }
    }

    /// With the local days on which it had an outage, and what it offered.
    #[must_use]
    pub fn with(self, outage_days: Vec<NaiveDate>, offer: Offer) -> Self {
        Self {
            outage_days,
            offer,
            ..self
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &SiteId {
        &self.id
    }

    /// How many readings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether there is no reading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// From the first reading's start to the last's end.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.readings.first()?, self.readings.last()?);
        Some((first.interval.start(), last.interval.end()))
    }

    /// The readings of intervals that begin within `[from, until)`.
    #[must_use]
    pub fn within(&self, from: Timestamp, until: Timestamp) -> &[Reading] {
        between(&self.readings, from, until)
    }

    fn energies(&self) -> impl Iterator<Item = i64> + '_ {
        self.readings.iter().filter_map(|r| match r.net {
            Metered::Energy(energy) => Some(energy.get()),
            Metered::Missing(_) => None,
        })
    }

    /// Whether it ever fed in: then a ratio of its net readings may have no meaning.
    #[must_use]
    pub fn feeds_in(&self) -> bool {
        self.energies().any(|energy| energy < 0)
    }

    /// The mean size of its readings, whatever their sign, in milliwatt-hours.
    ///
    /// # Errors
    /// [`ArithmeticError`] where the sum does not fit.
    pub fn mean_size(&self) -> Result<Ratio, ArithmeticError> {
        let overflow = ArithmeticError::Overflow { operation: "sum" };
        let (mut sum, mut known) = (0_i128, 0_i128);
        for energy in self.energies() {
            sum = sum.checked_add(energy.unsigned_abs().into()).ok_or(overflow)?;
            known = known.checked_add(1).ok_or(overflow)?;
        }
        if known == 0 {
            Ok(Ratio::ZERO)
        } else {
            Ratio::new(sum, known)
        }
    }
}

fn in_order(values: impl IntoIterator<Item = (Interval, MilliwattHours)>) -> Vec<Reading> {
    let reading = |(interval, energy)| Reading {
        interval,
        net: Metered::Energy(energy),
    };
    let mut readings: Vec<Reading> = values.into_iter().map(reading).collect();
    readings.sort_by_key(|r| r.interval.start());
    readings.dedup_by_key(|r| r.interval.start());
    readings
}

/// The readings of intervals that begin within `[from, until)`.
fn between(readings: &[Reading], from: Timestamp, until: Timestamp) -> &[Reading] {
    let place = |at: Timestamp| readings.partition_point(|r| r.interval.start() < at);
    readings.get(place(from)..place(until)).unwrap_or_default()
}

/// Sums of readings over longer intervals; an interval is known where all its parts are. Readings that are longer than
/// `length`, or do not divide it, are left out.
#[must_use]
pub fn coarsened(
    values: &[(Interval, MilliwattHours)],
    length: IntervalLength,
) -> Vec<(Interval, MilliwattHours)> {
    let mut sums: Vec<(Interval, i64, i64)> = Vec::new();
    for (interval, energy) in values {
        let start = interval.start().floor_to(length);
        let seconds = i64::from(interval.length().seconds());
        let Ok(whole) = Interval::new(start, length) else {
            continue;
        };
        if interval.end() > whole.end() {
            continue;
        }
        match sums.last_mut() {
            Some((last, sum, covered)) if last.start() == start => {
                let Some(more) = sum.checked_add(energy.get()) else {
                    continue;
                };
                (*sum, *covered) = (more, covered.saturating_add(seconds));
            }
            _ => sums.push((whole, energy.get(), seconds)),
        }
    }
    let full = |(_, _, covered): &(Interval, i64, i64)| *covered == i64::from(length.seconds());
    let sums = sums.into_iter().filter(full);
    sums.map(|(interval, sum, _)| (interval, MilliwattHours::new(sum)))
        .collect()
}

/// A time at which a program is tried: an event, or a day on which there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialEvent {
    /// Its name.
    pub id: EventId,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// When homes knew of it.
    pub announced_at: Timestamp,
    /// Whether homes were really asked: otherwise nobody reacted, and whatever is credited is error.
    pub dispatched: bool,
    /// What the sites said, where that is known: then no other site takes part. Otherwise everybody does.
    pub said: Option<BTreeMap<SiteId, Participation>>,
    /// The prices that were published for it.
    pub published: Vec<PublishedPrice>,
}

impl TrialEvent {
    fn said_by(&self, site: &TrialSite) -> Option<Participation> {
        match &self.said {
            _ if site.is_control => Some(Participation::ControlGroup),
            None => Some(Participation::OptedIn),
            Some(said) => said.get(&site.id).cloned(),
        }
    }
}

/// What settles `event` under `program`, with all readings that a rule which reaches back `reach_days` may look at.
#[must_use]
pub fn inputs(
    program: &Program,
    sites: &[TrialSite],
    temperatures: &[DayTemperature],
    event: &TrialEvent,
    event_days: &[NaiveDate],
    reach_days: u32,
) -> SettlementInputs {
    let back = i64::from(reach_days)
        .saturating_add(MARGIN_DAYS)
        .saturating_mul(DAY);
    let from = event.start.checked_add(back.saturating_neg());
    let until = event.end.checked_add(MARGIN_DAYS.saturating_mul(DAY));
    let (from, until) = (from.unwrap_or(Timestamp::EPOCH), until.unwrap_or(event.end));
    let site = |site: &TrialSite| {
        Some(SiteInputs {
            participation: event.said_by(site)?,
            site: site.id.clone(),
            beneficiary: site.beneficiary.clone(),
            outage_days: site.outage_days.clone(),
            readings: site.within(from, until).to_vec(),
            site_meter: between(&site.site_meter, from, until).to_vec(),
            corrections: Vec::new(),
            offer: site.offer,
            season: Season::default(),
        })
    };
    SettlementInputs {
        program: program.clone(),
        event: Event {
            id: event.id.clone(),
            program: program.id.clone(),
            start: event.start,
            end: event.end,
            announced_at: event.announced_at,
        },
        event_days: event_days.to_vec(),
        carry_in: 0,
        pool_carry: TokenAmount::ZERO,
        published: event.published.clone(),
        temperatures: temperatures.to_vec(),
        sites: sites.iter().filter_map(site).collect(),
    }
}

//! A site's work, checked and in the order of the event's intervals.

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};

use super::error::PaymentError;
use super::inputs::{EventWork, SeasonEvent, SiteWork, WorkInterval};
use super::netting::NotCredited;
use super::payments::Zero;
use crate::rules::exact::Ratio;
use crate::rules::statement::Participation;

/// What one interval counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub credited: MilliwattHours,
    /// Why nothing is credited; there is a reason exactly where `credited` is zero.
    pub reason: Option<Zero>,
    /// Whether it was both metered and compared.
    pub measured: bool,
}

/// A site's work that was looked through.
#[derive(Debug)]
pub(super) struct Checked<'w> {
    pub work: &'w SiteWork,
    /// One for each interval of the event.
    pub slots: Vec<Slot>,
    /// Their sum.
    pub credited: MilliwattHours,
}

impl<'w> Checked<'w> {
    pub fn new(event: &EventWork, work: &'w SiteWork) -> Result<Self, PaymentError> {
        let site = || work.site.clone();
        let mut given = vec![None; event.starts.len()];
        for interval in &work.intervals {
            let start = interval.start;
            let place = event.starts.binary_search(&start).ok();
            let Some(place) = place.and_then(|i| given.get_mut(i)) else {
                return Err(PaymentError::ForeignInterval { site: site(), start });
            };
            if place.replace(interval).is_some() {
                return Err(PaymentError::IntervalTwice { site: site(), start });
            }
        }
        check_signs(work)?;
        let slots: Vec<_> = given.into_iter().map(|i| slot(&work.participation, i)).collect();
        let credited = MilliwattHours::checked_sum(slots.iter().map(|s| s.credited));
        let credited = credited.map_err(|e| PaymentError::Arithmetic {
            site: Some(site()),
            error: e.into(),
        })?;
        Ok(Self {
            work,
            slots,
            credited,
        })
    }

    /// Why the site is credited nothing: the reason that says most about what it could have done.
    pub fn why_nothing(&self) -> Zero {
        let worst_last = [
            Zero::OptedOut,
            Zero::NoAnswer,
            Zero::NotReduced,
            Zero::NotMeasured,
        ];
        if self.slots.iter().any(|s| s.reason.is_none()) {
            return Zero::BelowZero;
        }
        let found = worst_last
            .into_iter()
            .find(|zero| self.slots.iter().any(|s| s.reason == Some(*zero)));
        found.unwrap_or(Zero::NoBaseline)
    }

    /// How many intervals were both metered and compared.
    pub fn measured(&self) -> Option<u32> {
        u32::try_from(self.slots.iter().filter(|s| s.measured).count()).ok()
    }

    /// This event, as the season sees it.
    pub fn in_season(&self, seconds: u32) -> SeasonEvent {
        match self.work.participation {
            _ if self.work.excused => SeasonEvent::Excused,
            Participation::ControlGroup => SeasonEvent::Excused,
            Participation::OptedOut { .. } => SeasonEvent::OptedOut,
            Participation::NoAnswer => SeasonEvent::NoAnswer,
            Participation::OptedIn if self.slots.iter().any(|s| s.measured) => SeasonEvent::Delivered {
                energy: self.credited,
                seconds,
            },
            Participation::OptedIn => SeasonEvent::NotMeasured,
        }
    }
}

fn slot(participation: &Participation, interval: Option<&WorkInterval>) -> Slot {
    let measured = interval.is_some_and(|i| i.baseline.is_some() && i.metered.is_some());
    let nothing = |reason| Slot {
        credited: MilliwattHours::ZERO,
        reason: Some(reason),
        measured,
    };
    match (participation, interval) {
        (Participation::OptedOut { .. }, _) => nothing(Zero::OptedOut),
        (Participation::NoAnswer, _) => nothing(Zero::NoAnswer),
        // A statement gives the formulas no such site.
        (Participation::ControlGroup, _) => nothing(Zero::Excused),
        (Participation::OptedIn, None) => nothing(Zero::NotMeasured),
        (Participation::OptedIn, Some(interval)) => match interval.credited {
            _ if interval.baseline.is_none() => nothing(Zero::NoBaseline),
            _ if interval.metered.is_none() => nothing(Zero::NotMeasured),
            Ok(credited) if credited != MilliwattHours::ZERO => Slot {
                credited,
                reason: None,
                measured,
            },
            Err(NotCredited::Unknown) => nothing(Zero::NotMeasured),
            Ok(_) | Err(NotCredited::NotReduced | NotCredited::EventNotReduced) => nothing(Zero::NotReduced),
        },
    }
}

fn check_signs(work: &SiteWork) -> Result<(), PaymentError> {
    let site = || work.site.clone();
    let power = |power: Option<Milliwatts>| power.is_some_and(|p| p < Milliwatts::ZERO);
    let amount = |amount: TokenAmount| amount < TokenAmount::ZERO;
    let below_zero = [
        ("nominated power", power(work.nominated)),
        ("committed power", power(work.committed)),
        ("bid", work.bid.is_some_and(amount)),
        ("amount paid upfront", amount(work.upfront.paid)),
        ("season's average so far", amount(work.season.average.paid)),
        ("season's points so far", amount(work.season.points)),
    ];
    if let Some((what, _)) = below_zero.into_iter().find(|(_, below)| *below) {
        return Err(PaymentError::Negative { site: site(), what });
    }
    if let Some(quality) = work.quality.filter(|q| *q < Ratio::ZERO || *q > Ratio::ONE) {
        return Err(PaymentError::Quality {
            site: site(),
            quality,
        });
    }
    let of_no_length = |e: &SeasonEvent| matches!(e, SeasonEvent::Delivered { seconds: 0, .. });
    if work.season.events.iter().any(of_no_length) {
        return Err(PaymentError::EventOfNoLength { site: site() });
    }
    Ok(())
}

//! What an operator should know before a season: sentences with figures.

mod calendar;
mod credit;
mod windows;

use chrono::NaiveDate;
use gridtally_protocol::instruction::EventId;
use serde::{Serialize, Serializer};

use super::accuracy::{Accuracy, Tally};
use super::adjustments::Adjustments;
use super::data::{TrialEvent, TrialSite};
use super::events::EventTrial;
use super::percent::Percent;
use super::saturation::Saturation;
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::program::Program;

/// A milliwatt-hour count in kWh, with six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kwh(pub i128);

impl core::fmt::Display for Kwh {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        let (whole, part) = (all.checked_div(1_000_000), all.checked_rem(1_000_000));
        f.pad(&format!("{sign}{}.{:06}", whole.unwrap_or(0), part.unwrap_or(0)))
    }
}

impl Serialize for Kwh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a trial has found, from which the warnings follow.
#[derive(Debug, Clone, Copy)]
pub struct Found<'f> {
    /// The program.
    pub program: &'f Program,
    /// The sites.
    pub sites: &'f [TrialSite],
    /// The events.
    pub events: &'f [TrialEvent],
    /// What they came to.
    pub came_to: &'f [EventTrial],
    /// The days without an event.
    pub tried: &'f [TrialEvent],
    /// How accurate the program's own rule was on them.
    pub own: &'f Accuracy,
    /// The most accurate other rule with a baseline for as many site-days, where one is better.
    pub better: Option<(&'f str, Percent)>,
    /// What the adjustment of the program's own rule did, on days with and without an event.
    pub adjustments: &'f Adjustments,
    /// The look-back of the events.
    pub saturation: &'f Saturation,
}

impl Found<'_> {
    fn total(&self) -> &Tally {
        &self.own.total
    }

    /// Every time that was tried: events, and days without.
    fn times(&self) -> impl Iterator<Item = &TrialEvent> {
        self.events.iter().chain(self.tried)
    }
}

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// Homes can raise their own baseline.
    #[error(
        "The rule compares the day from {from_minutes} to {to_minutes} minutes before the start, and homes know of the event {notice_minutes} minutes before it ({times} of {of} times): in {known_minutes} minutes of the window they can use more on purpose, and raise their own baseline. A window that ends at the notification cannot be gamed so (anchor = \"before_notification\")."
    )]
    GamingWindow {
        /// From when, before the start.
        from_minutes: u32,
        /// Until when, before the start.
        to_minutes: u32,
        /// The longest notice.
        notice_minutes: i64,
        /// How much of the window is after the notification then.
        known_minutes: i64,
        /// How often any of it is.
        times: usize,
        /// Of how many times.
        of: usize,
    },
    /// The same after the event.
    #[error(
        "The rule compares the day from {from_minutes} to {to_minutes} minutes after the end, when every home knows of the event: who uses more then, on purpose or to make up for it, raises its own baseline."
    )]
    GamingWindowAfter {
        /// From when, after the end.
        from_minutes: u32,
        /// Until when, after the end.
        to_minutes: u32,
    },
    /// A ratio of net readings.
    #[error(
        "The rule multiplies by a ratio, and {feeding_in} of {sites} sites feed in at times. In {undefined} of {cases} cases the average over the window was zero or below, the ratio had no meaning, and 1 was taken; in {near_zero} it was above zero but less than a tenth of the site's mean reading, so that the ratio says little. An additive adjustment has no such cases."
    )]
    NetMeteredRatio {
        /// Sites that ever fed in.
        feeding_in: usize,
        /// All sites.
        sites: usize,
        /// Cases without a meaning.
        undefined: u64,
        /// Cases near zero.
        near_zero: u64,
        /// All cases.
        cases: u64,
    },
    /// Nothing bounds the factor.
    #[error(
        "The rule's ratio has no cap: the factors went from {least} to {most}. A cap of 0.8 to 1.2, say, bounds what one odd afternoon can do."
    )]
    UncappedRatio {
        /// The least factor.
        least: String,
        /// The greatest.
        most: String,
    },
    /// Nothing bounds the addend.
    #[error(
        "The rule's addend has no cap: it went from {least} to {most} kWh an interval. cap_kw or cap_share bounds what one odd afternoon can do."
    )]
    UncappedAddend {
        /// The least addend, in kWh.
        least: Kwh,
        /// The greatest.
        most: Kwh,
    },
    /// The cap decides.
    #[error(
        "The cap of the adjustment was reached in {capped} of {cases} cases ({share} %): there the cap decides, and not the day."
    )]
    CapReached {
        /// How often.
        capped: u64,
        /// Of how many.
        cases: u64,
        /// Which share.
        share: Percent,
    },
    /// There is too little history.
    #[error(
        "The rule looks back {lookback_days} days, and for {short} of {of} site-days tried the data begin later; bring data from {since} on to try all of them."
    )]
    LookbackBeyondData {
        /// The look-back.
        lookback_days: u32,
        /// Site-days whose look-back begins before the data.
        short: usize,
        /// Site-days.
        of: usize,
        /// From when on there would be enough.
        since: NaiveDate,
    },
    /// Years without holidays.
    #[error("The program names no holiday in {}, and its rule tells holidays from working days: those were taken for working days.", .years.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    HolidaysMissing {
        /// Which years.
        years: Vec<i32>,
    },
    /// Clocks.
    #[error("The clocks change on {}: {times} of {of} times tried have such a day in their look-back. It is compared by what the clock shows; see that the data's stamps follow the same clock.", .days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    ClockChange {
        /// On which days.
        days: Vec<NaiveDate>,
        /// How many times look back on one.
        times: usize,
        /// Of how many.
        of: usize,
    },
    /// Noise is paid.
    #[error(
        "On days without an event the rule credits {each} kWh to a site, though nobody reduced anything. Over the {site_events} site-events with a baseline that would be {expected} kWh, {share} % of the {credited} kWh that these credit."
    )]
    PhantomCredit {
        /// What a site-day is credited.
        each: Kwh,
        /// How many site-events have a baseline.
        site_events: usize,
        /// What that comes to.
        expected: Kwh,
        /// What the events credit.
        credited: Kwh,
        /// Which share of it.
        share: Percent,
    },
    /// Noise is paid, where there is no event to compare it with.
    #[error(
        "On days without an event the rule credits {each} kWh to a site, though nobody reduced anything: {share} % of what the sites use in these hours."
    )]
    PhantomCreditOfUse {
        /// What a site-day is credited.
        each: Kwh,
        /// Which share of the use.
        share: Percent,
    },
    /// Netting by interval.
    #[error(
        "Netting by interval rewards noise: of {credited} kWh of phantom credit, {noise} kWh ({share} %) are ups that downs of the same event would have taken back."
    )]
    ClipRewardsNoise {
        /// Phantom credit.
        credited: Kwh,
        /// What netting by event would not have credited.
        noise: Kwh,
        /// Which share.
        share: Percent,
    },
    /// Systematically off.
    #[error("The rule is {bias} % off on average: {}.", if .bias.hundredths() > 0 { "it takes homes for thirstier than they are, and pays for the difference" } else { "it takes homes for thriftier than they are, and keeps from them what they deliver" })]
    Biased {
        /// How much, with its sign.
        bias: Percent,
    },
    /// Too inaccurate for some markets.
    #[error("The RRMSE is {rrmse} %, and {admitted} of {sites} sites have at most 20 %, to which some markets admit a baseline.{}", .better.as_ref().map_or_else(String::new, |(rule, rrmse)| format!(" On this data {rule} has {rrmse} %.")))]
    Inaccurate {
        /// Of all sites.
        rrmse: Percent,
        /// Sites with at most 20 %.
        admitted: u64,
        /// Sites that have one.
        sites: u64,
        /// A better rule.
        better: Option<(String, Percent)>,
    },
    /// The look-back is full of events.
    #[error(
        "At {event}, {share} % of the like days in the look-back were event days: the rule compares with ever older days."
    )]
    Saturated {
        /// At which event.
        event: EventId,
        /// Which share.
        share: Percent,
    },
    /// Days run out.
    #[error(
        "From {first} on the rule finds too few days: {share} % of the site-events had fewer than it looks for, or no baseline."
    )]
    DaysRunOut {
        /// The first such event.
        first: EventId,
        /// Which share.
        share: Percent,
    },
    /// Not as the program says.
    #[error(
        "{times} of {of} events would not be allowed by the program's own [dispatch]; of {event}: {what}."
    )]
    NotAllowed {
        /// How many.
        times: usize,
        /// Of how many.
        of: usize,
        /// The first.
        event: EventId,
        /// What it does not keep.
        what: String,
    },
    /// Amounts are not known.
    #[error(
        "The program pays by published prices, and {times} of {of} events have none: what they would have paid is not known."
    )]
    NoPrices {
        /// How many.
        times: usize,
        /// Of how many.
        of: usize,
    },
}

/// Everything that an operator should know.
///
/// # Errors
/// [`ArithmeticError`] where a figure does not fit.
pub fn warnings(found: &Found<'_>) -> Result<Vec<Warning>, ArithmeticError> {
    let mut told = Vec::new();
    windows::gaming(found, &mut told);
    windows::adjustments(found, &mut told)?;
    calendar::data(found, &mut told);
    calendar::holidays(found, &mut told);
    calendar::clock_changes(found, &mut told);
    calendar::dispatch(found, &mut told);
    credit::accuracy(found, &mut told);
    credit::phantom(found, &mut told)?;
    credit::saturation(found, &mut told);
    Ok(told)
}

/// A number for people: `decimals` decimals, rounded half-even.
fn shown(value: Ratio, decimals: u32) -> Result<String, ArithmeticError> {
    let overflow = ArithmeticError::Overflow {
        operation: "rounding",
    };
    let unit = 10_i128.checked_pow(decimals).ok_or(overflow)?;
    let rounded = value.checked_mul(Ratio::whole(unit))?.round_half_even()?;
    let sign = if rounded < 0 { "-" } else { "" };
    let all = rounded.unsigned_abs();
    let of = unit.unsigned_abs();
    let (whole, part) = (
        all.checked_div(of).ok_or(overflow)?,
        all.checked_rem(of).ok_or(overflow)?,
    );
    let width = usize::try_from(decimals).unwrap_or(0);
    Ok(format!("{sign}{whole}.{part:0width$}"))
}

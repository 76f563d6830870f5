//! The calendar of one event under one rule: which days may be compared, and where their intervals lie.
//!
//! It is the same for every site of a program, so it is worked out once; no site's readings need a time zone.

use core::ops::Range;
use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::time::{Interval, IntervalLength, TimeError, Timestamp};

use super::rule::{BaselineRule, Completeness, DayCount, Shortfall};
use super::spans::{days_between, slotted, start_of, window_bounds, without_the_event};
use crate::rules::calendar::{LocalSlot, plus_days};

/// No event lasts longer, in seconds.
pub const EVENT_SECONDS_MAX: i64 = 86_400;

/// No event is notified earlier before its start, in seconds.
pub const NOTICE_SECONDS_MAX: i64 = 7 * 86_400;

/// What the engine needs to know of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCalendar {
    /// The zone in which days and hours are reckoned.
    pub zone: Tz,
    /// The length of the metering intervals.
    pub length: IntervalLength,
    /// The event's first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// When those who take part learnt of it; only rules whose windows are anchored there need it.
    pub notified: Option<Timestamp>,
    /// Holidays.
    pub holidays: BTreeSet<NaiveDate>,
    /// Days with a dispatch: they are not compared. The event's own days need not be named.
    pub event_days: BTreeSet<NaiveDate>,
}

/// Why an event cannot be laid out under a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The event does not end after it begins, or lasts too long.
    #[error("the event from {start} to {end} does not last between one interval and 24 hours")]
    EventLength {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
    /// The event or a window does not consist of whole intervals.
    #[error("the event or an adjustment window does not consist of whole intervals: {0}")]
    NotWhole(#[from] TimeError),
    /// On some day the clock shows the event's hours where no interval begins.
    #[error(
        "on {day} in {zone} no interval of {seconds} s begins when the clock shows {clock}; take shorter intervals"
    )]
    Unaligned {
        /// The day.
        day: NaiveDate,
        /// The zone.
        zone: Tz,
        /// The intervals' length.
        seconds: u32,
        /// What the clock shows.
        clock: String,
    },
    /// A window counts from a notification that is not known.
    #[error("a window of the rule counts from the event's notification; say when the event was notified")]
    NotNotified,
    /// The notification does not lie before the start, or too long before it.
    #[error(
        "the event that begins at {start} cannot have been notified at {notified}: give an instant up to 7 days before"
    )]
    Notification {
        /// The event's start.
        start: Timestamp,
        /// As given.
        notified: Timestamp,
    },
    /// The look-back would reach before 1970 or the event after 9999.
    #[error("the event's days and look-back leave the years 1970 to 9999")]
    OutOfRange,
}

/// The places in a site's series that have one time of the clock: none, one, or two.
pub(super) type Matches = [Option<usize>; 2];

/// An interval of the event or of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    pub interval: Interval,
    pub slot: LocalSlot,
    /// Its place in the series.
    pub place: usize,
}

/// A day that may be compared with the event's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CandidateDay {
    pub date: NaiveDate,
    pub standing: Standing,
    /// The local days that it reads: itself, and its neighbours where the event or a window crosses midnight.
    pub touched: Vec<NaiveDate>,
    /// The places that must have a reading.
    pub required: Vec<Range<usize>>,
    /// For each interval of the event, in order.
    pub event: Vec<Matches>,
    /// For each interval of the windows, in order.
    pub windows: Vec<Matches>,
    /// For each interval of the event's day that similar days are known by.
    pub similar: Vec<Matches>,
}

/// What the calendar alone says about a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Like,
    OtherDayType,
    EventDay,
}

/// What an explanation calls the type of a day that a rule has no type for.
pub const NO_DAY_TYPE: &str = "none";

/// An event laid out under a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub(super) rule: BaselineRule,
    pub(super) day: NaiveDate,
    /// The name of the day's type; [`NO_DAY_TYPE`] where the rule has none for it.
    pub(super) day_type: String,
    /// How many days of it are taken; none where the rule has no such type.
    pub(super) count: Option<DayCount>,
    pub(super) length: IntervalLength,
    pub(super) origin: Timestamp,
    pub(super) places: usize,
    pub(super) event: Vec<Compared>,
    pub(super) windows: Vec<Compared>,
    /// The intervals of the event's day that similar days are known by; none where the rule looks for none.
    pub(super) similar: Vec<Compared>,
    /// Newest first.
    pub(super) days: Vec<CandidateDay>,
    /// The intervals of each of the calendar days that have to be there in sufficient number.
    pub(super) recent: Vec<Range<usize>>,
}

impl Frame {
    /// Lays an event out.
    ///
    /// # Errors
    /// [`FrameError`] where the event, the windows and the intervals do not fit together.
    pub fn new(rule: &BaselineRule, calendar: &EventCalendar) -> Result<Self, FrameError> {
        let layout = Layout::new(rule, calendar)?;
        let day_type = rule.day_type(layout.day, &calendar.holidays);
        let days = match day_type {
            Some(day_type) => (1..=i64::from(rule.lookback_days))
                .map(|back| layout.candidate(back, &day_type.name))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let recent = rule.sufficiency.map_or(0, |s| i64::from(s.of));
        let recent = (1..=recent).map(|back| layout.whole_day(plus_days(layout.day, back.saturating_neg())));
        Ok(Self {
            rule: rule.clone(),
            day: layout.day,
            day_type: day_type.map_or(NO_DAY_TYPE, |t| t.name.as_str()).to_owned(),
            count: day_type.map(|t| t.count.clone()),
            recent: recent.collect::<Result<_, _>>()?,
            length: calendar.length,
            origin: layout.origin,
            places: layout.places,
            event: layout.placed(&layout.event)?,
            windows: layout.placed(&layout.windows)?,
            similar: layout.placed(&layout.similar)?,
            days,
        })
    }

    /// The instants from the first to after the last that can matter: readings outside are not looked at.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let seconds = i64::try_from(self.places)
            .ok()
            .and_then(|n| n.checked_mul(self.length.seconds().into()));
        let end = seconds.and_then(|s| self.origin.checked_add(s));
        (self.origin, end.unwrap_or(self.origin)) // `places` was made from an end in range
    }

    /// Where every day that the calendar allows is eligible: how many days are looked at, and from when on readings
    /// can matter. Nothing where the look-back has too few such days.
    #[must_use]
    pub fn usual(&self) -> Option<(usize, Timestamp)> {
        // Who compares days in another way may need all of them.
        if !self.rule.takes_the_most_recent() {
            return None;
        }
        let look_for = usize::try_from(self.count.as_ref()?.look_for).ok()?;
        let like = |(_, day): &(usize, &CandidateDay)| day.standing == Standing::Like;
        let nth = look_for.checked_sub(1)?;
        let (last, _) = self.days.iter().enumerate().filter(like).nth(nth)?;
        let days = self.days.get(..=last)?;
        let of = |day: &CandidateDay| {
            let compared = day.event.iter().chain(&day.windows).flatten().flatten().copied();
            compared.chain(day.required.iter().map(|r| r.start)).min()
        };
        let own = self.event.iter().chain(&self.windows).map(|c| c.place).min();
        let first = days.iter().filter_map(of).chain(own).min()?;
        let seconds = i64::try_from(first)
            .ok()?
            .checked_mul(self.length.seconds().into())?;
        Some((days.len(), self.origin.checked_add(seconds)?))
    }

    /// How many days of the event's type lie in the look-back, and on how many of these the calendar has an event.
    #[must_use]
    pub fn look_back(&self) -> (u32, u32) {
        let of = |standings: &[Standing]| {
            let days = self.days.iter().filter(|day| standings.contains(&day.standing));
            u32::try_from(days.count()).unwrap_or(u32::MAX) // at most a year's
        };
        (
            of(&[Standing::Like, Standing::EventDay]),
            of(&[Standing::EventDay]),
        )
    }

    /// How many eligible days the rule looks for; nothing where it has no such type of day.
    #[must_use]
    pub fn looks_for(&self) -> Option<u32> {
        self.count.as_ref().map(|count| count.look_for)
    }

    /// The event's intervals.
    pub fn event_intervals(&self) -> impl Iterator<Item = Interval> + '_ {
        self.event.iter().map(|c| c.interval)
    }

    /// The length of the metering intervals.
    #[must_use]
    pub const fn length(&self) -> IntervalLength {
        self.length
    }

    /// The local day on which the event begins.
    #[must_use]
    pub const fn day(&self) -> NaiveDate {
        self.day
    }

    /// The rule under which it is laid out.
    #[must_use]
    pub const fn rule(&self) -> &BaselineRule {
        &self.rule
    }
}

struct Layout<'c> {
    rule: &'c BaselineRule,
    calendar: &'c EventCalendar,
    day: NaiveDate,
    event: Vec<(Interval, LocalSlot)>,
    windows: Vec<(Interval, LocalSlot)>,
    similar: Vec<(Interval, LocalSlot)>,
    /// The days that event and windows touch, relative to the event's.
    offsets: BTreeSet<i64>,
    /// The calendar's, and the event's own.
    event_days: BTreeSet<NaiveDate>,
    own_days: BTreeSet<NaiveDate>,
    origin: Timestamp,
    places: usize,
}

impl<'c> Layout<'c> {
    fn new(rule: &'c BaselineRule, calendar: &'c EventCalendar) -> Result<Self, FrameError> {
        let EventCalendar { zone, start, end, .. } = *calendar;
        if !(1..=EVENT_SECONDS_MAX).contains(&end.seconds_since(start)) {
            return Err(FrameError::EventLength { start, end });
        }
        let event = slotted(start, end, calendar)?;
        let mut windows = Vec::new();
        for window in rule.windows() {
            let (from, to) = window_bounds(window, calendar)?;
            windows.extend(slotted(from, to, calendar)?);
        }
        let day = LocalSlot::of(start, zone).ok_or(FrameError::OutOfRange)?.day;
        let similar = without_the_event(rule, calendar, day)?;
        let mut offsets = BTreeSet::from([0]);
        offsets.extend(
            event
                .iter()
                .chain(&windows)
                .map(|(_, slot)| days_between(day, slot.day)),
        );
        let first_offset = offsets.first().copied().unwrap_or_default();
        let last_offset = offsets.last().copied().unwrap_or_default();
        let first_day = first_offset.checked_sub(rule.lookback_days.into());
        let origin = first_day.and_then(|back| start_of(plus_days(day, back)?, calendar));
        let after = last_offset
            .checked_add(1)
            .and_then(|ahead| start_of(plus_days(day, ahead)?, calendar));
        let (origin, after) = origin.zip(after).ok_or(FrameError::OutOfRange)?;
        let own_days: BTreeSet<_> = event.iter().map(|(_, slot)| slot.day).collect();
        let event_days = calendar.event_days.union(&own_days).copied().collect();
        let mut layout = Self {
            rule,
            calendar,
            day,
            event,
            windows,
            similar,
            offsets,
            event_days,
            own_days,
            origin,
            places: 0,
        };
        layout.places = layout.place(after)?;
        Ok(layout)
    }

    /// The index of the interval that begins at `instant`.
    fn place(&self, instant: Timestamp) -> Result<usize, FrameError> {
        let index = instant
            .seconds_since(self.origin)
            .checked_div(self.calendar.length.seconds().into());
        index
            .and_then(|i| usize::try_from(i).ok())
            .ok_or(FrameError::OutOfRange)
    }

    fn placed(&self, intervals: &[(Interval, LocalSlot)]) -> Result<Vec<Compared>, FrameError> {
        let place = |(interval, slot): &(Interval, LocalSlot)| {
            let place = self.place(interval.start())?;
            Ok(Compared {
                interval: *interval,
                slot: *slot,
                place,
            })
        };
        intervals.iter().map(place).collect()
    }

    fn candidate(&self, back: i64, day_type: &str) -> Result<CandidateDay, FrameError> {
        let date = plus_days(self.day, back.saturating_neg()).ok_or(FrameError::OutOfRange)?;
        let touched: Option<Vec<_>> = self.offsets.iter().map(|o| plus_days(date, *o)).collect();
        let touched = touched.ok_or(FrameError::OutOfRange)?;
        let is_event_day = |d: &NaiveDate| self.event_days.contains(d);
        let its_type = self.rule.day_type(date, &self.calendar.holidays);
        let standing = if its_type.is_none_or(|t| t.name != day_type) {
            Standing::OtherDayType
        } else if touched.iter().any(is_event_day) {
            Standing::EventDay
        } else {
            Standing::Like
        };
        let mut day = CandidateDay {
            date,
            standing,
            touched,
            required: Vec::new(),
            event: Vec::new(),
            windows: Vec::new(),
            similar: Vec::new(),
        };
        let fills = self.rule.shortfall == Shortfall::FillFromEventDaysHighest
            && standing == Standing::EventDay
            && !day.touched.iter().any(|d| self.own_days.contains(d));
        if standing == Standing::Like || fills {
            day.event = self.matches(&self.event, back)?;
            day.windows = self.matches(&self.windows, back)?;
            day.similar = self.matches(&self.similar, back)?;
            day.required = self.required(&day)?;
        }
        Ok(day)
    }

    fn matches(&self, intervals: &[(Interval, LocalSlot)], back: i64) -> Result<Vec<Matches>, FrameError> {
        let zone = self.calendar.zone;
        let find = |(_, slot): &(Interval, LocalSlot)| {
            let slot = slot
                .plus_days(back.saturating_neg())
                .ok_or(FrameError::OutOfRange)?;
            let mut matches = [None, None];
            for (place, instant) in matches.iter_mut().zip(slot.instants(zone)) {
                let Some(instant) = instant else { continue };
                if instant.floor_to(self.calendar.length) != instant {
                    let seconds = self.calendar.length.seconds();
                    return Err(FrameError::Unaligned {
                        day: slot.day,
                        zone,
                        seconds,
                        clock: slot.clock(),
                    });
                }
                *place = Some(self.place(instant)?);
            }
            Ok(matches)
        };
        intervals.iter().map(find).collect()
    }

    fn required(&self, day: &CandidateDay) -> Result<Vec<Range<usize>>, FrameError> {
        if self.rule.completeness == Completeness::UsedIntervals {
            let compared = day.event.iter().chain(&day.windows).chain(&day.similar);
            let places = compared.flatten().flatten();
            return Ok(places.map(|p| *p..p.saturating_add(1)).collect());
        }
        day.touched
            .iter()
            .map(|date| self.whole_day(Some(*date)))
            .collect()
    }

    /// The intervals of a local day.
    fn whole_day(&self, date: Option<NaiveDate>) -> Result<Range<usize>, FrameError> {
        let bounds = date.and_then(|date| {
            let next = start_of(plus_days(date, 1)?, self.calendar)?;
            Some((start_of(date, self.calendar)?, next))
        });
        let (from, to) = bounds.ok_or(FrameError::OutOfRange)?;
        Ok(self.place(from)?..self.place(to)?)
    }
}

//! Where windows and local days lie in time.

use chrono::NaiveDate;
use gridtally_protocol::time::{Interval, Timestamp};

use super::frame::{EventCalendar, FrameError, NOTICE_SECONDS_MAX};
use super::rule::{Anchor, BaselineRule, Selection, Window};
use crate::rules::calendar::{LocalSlot, day_start, plus_days};

/// A window's first instant, and the first after it.
pub(super) fn window_bounds(
    window: &Window,
    calendar: &EventCalendar,
) -> Result<(Timestamp, Timestamp), FrameError> {
    let EventCalendar { start, end, .. } = *calendar;
    let minutes = |m: u32| i64::from(m).saturating_mul(60);
    let (from, to) = (minutes(window.from_minutes), minutes(window.to_minutes));
    let back = |anchor: Timestamp| {
        anchor
            .checked_add(from.saturating_neg())
            .zip(anchor.checked_add(to.saturating_neg()))
    };
    let bounds = match window.anchor {
        Anchor::BeforeStart => back(start),
        Anchor::BeforeNotification => {
            let notified = calendar.notified.ok_or(FrameError::NotNotified)?;
            if !(0..=NOTICE_SECONDS_MAX).contains(&start.seconds_since(notified)) {
                return Err(FrameError::Notification { start, notified });
            }
            back(notified.floor_to(calendar.length))
        }
        Anchor::AfterEnd => end.checked_add(from).zip(end.checked_add(to)),
    };
    bounds.ok_or(FrameError::OutOfRange)
}

/// The intervals of the event's day that similar days are known by: those that begin neither within the event nor
/// within the gap around it. None where the rule looks for no similar days.
pub(super) fn without_the_event(
    rule: &BaselineRule,
    calendar: &EventCalendar,
    day: NaiveDate,
) -> Result<Vec<(Interval, LocalSlot)>, FrameError> {
    let Selection::MostSimilar { gap_minutes } = rule.select else {
        return Ok(Vec::new());
    };
    let gap = i64::from(gap_minutes).saturating_mul(60);
    let bounds = || {
        let next = start_of(plus_days(day, 1)?, calendar)?;
        let near = calendar.start.checked_add(gap.saturating_neg())?;
        let far = calendar.end.checked_add(gap)?;
        Some(((start_of(day, calendar)?, next), near..far))
    };
    let ((from, to), left_out) = bounds().ok_or(FrameError::OutOfRange)?;
    let mut intervals = slotted(from, to, calendar)?;
    intervals.retain(|(interval, _)| !left_out.contains(&interval.start()));
    Ok(intervals)
}

/// The first interval's start on `day`, or on the next day that exists.
pub(super) fn start_of(day: NaiveDate, calendar: &EventCalendar) -> Option<Timestamp> {
    let start = |d| day_start(d, calendar.zone, calendar.length);
    let start = start(day).or_else(|| start(day.succ_opt()?))?;
    // A zone whose midnight falls within an interval: the interval belongs to the day in which it begins.
    let floor = start.floor_to(calendar.length);
    if floor == start {
        Some(start)
    } else {
        floor.checked_add(calendar.length.seconds().into())
    }
}

pub(super) fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

pub(super) fn slotted(
    from: Timestamp,
    to: Timestamp,
    calendar: &EventCalendar,
) -> Result<Vec<(Interval, LocalSlot)>, FrameError> {
    let mut intervals = Vec::new();
    let mut start = from;
    while start < to {
        let interval = Interval::new(start, calendar.length)?;
        let slot = LocalSlot::of(start, calendar.zone).ok_or(FrameError::OutOfRange)?;
        intervals.push((interval, slot));
        start = interval.end();
    }
    // The end has to be a boundary as well; an interval that begins there says so.
    Interval::new(to, calendar.length)?;
    Ok(intervals)
}

//! When each site's tests are: drawn from a seed that nobody hears before the period is over.
//!
//! The operator tells the seed's commitment before the period begins, and the seed when it is over. Until then nobody
//! can tell a test beforehand; from then on everybody can draw again, and see that no site was favoured or hunted.
//!
//! ```text
//! commitment     = SHA-256( "gridtally/v1/test-dispatch/commitment" 00 seed )
//! block(what, c) = SHA-256( "gridtally/v1/test-dispatch/" what 00 seed monday c program 00 site )
//!                  seed of 32 bytes; the week's Monday as 2026-12-07; c of 4 bytes, big-endian
//! below(what, n) = x mod n, where x is the first 8 bytes of block(what, c), big-endian, of the lowest
//!                  c = 0, 1, 2 … for which x < n × ⌊2^64 / n⌋
//! ```
//!
//! A week has a test where `below("week", one_week_in)` is 0. Its start is that one of the week's slots, in the order of
//! time and counted from 0, which has the number `below("slot", slots)`. Slots begin every 15 minutes from the week's
//! start on, and lie wholly within the hours and days in which the program tests.

use core::fmt;
use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, Weekday};
use chrono_tz::Tz;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::{EventId, EventIdError};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use sha2::{Digest as _, Sha256};

use super::TEST_SECONDS;
use crate::rules::calendar::{LocalSlot, day_start, plus_days};
use crate::rules::program::{DispatchDays, Program, ProgramId, SeasonDates, Tests};
use crate::rules::statement::SiteId;

const DOMAIN: &[u8] = b"gridtally/v1/test-dispatch/";

/// From which a period's tests follow. It is not shown until the period is over.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// From 32 bytes that nobody can guess.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In hexadecimal, for when it may be told.
    #[must_use]
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What is told of it beforehand.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        let mut text = [DOMAIN, b"commitment\0"].concat();
        text.extend(self.0);
        Digest::of(&text)
    }
}

/// The week of a site for which is drawn.
#[derive(Debug, Clone, Copy)]
struct Lot<'l> {
    seed: &'l Seed,
    program: &'l ProgramId,
    site: &'l SiteId,
    monday: NaiveDate,
}

impl Lot<'_> {
    fn block(&self, what: &str, count: u32) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [DOMAIN, what.as_bytes(), b"\0", &self.seed.0] {
            hash.update(part);
        }
        hash.update(self.monday.to_string());
        hash.update(count.to_be_bytes());
        hash.update(self.program.as_str());
        hash.update(b"\0");
        hash.update(self.site.as_str());
        hash.finalize().into()
    }

    /// A uniform number below `bound`; `None` where that is 0.
    fn below(&self, what: &str, bound: u64) -> Option<u64> {
        let most = u128::from(u64::MAX).checked_add(1)?;
        let whole = most.checked_div(bound.into())?.checked_mul(bound.into())?;
        // Each block is refused with less than one half's chance.
        (0..=u32::MAX).find_map(|count| {
            let block = self.block(what, count);
            let x = u64::from_be_bytes(*block.first_chunk()?);
            (u128::from(x) < whole).then(|| x.checked_rem(bound))?
        })
    }
}

/// In which hours and on which days a program tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours<'p> {
    zone: Tz,
    interval: IntervalLength,
    window: (u32, u32),
    season: Option<SeasonDates>,
    days: DispatchDays,
    holidays: &'p BTreeSet<NaiveDate>,
    one_week_in: u32,
}

const DAY_SECONDS: u32 = 86_400;

impl<'p> Hours<'p> {
    /// Those of a program that tests: the window of `[tests]`, else of `[dispatch]`, else the whole day; season and
    /// days as those of its events.
    #[must_use]
    pub fn of(program: &'p Program, tests: &Tests) -> Self {
        Self {
            zone: program.zone,
            interval: program.interval,
            window: tests
                .window
                .or(program.dispatch.window)
                .unwrap_or((0, DAY_SECONDS)),
            season: program.dispatch.season,
            days: program.dispatch.days,
            holidays: &program.holidays,
            one_week_in: tests.one_week_in,
        }
    }

    /// The starts of a week's slots, the earlier first.
    #[must_use]
    pub fn slots(&self, monday: NaiveDate) -> Vec<Timestamp> {
        let span = || {
            let from = day_start(monday, self.zone, self.interval)?;
            let until = day_start(plus_days(monday, 7)?, self.zone, self.interval)?;
            Some((from, until))
        };
        let Some((from, until)) = span() else {
            return Vec::new();
        };
        std::iter::successors(Some(from), |start| start.checked_add(TEST_SECONDS))
            .take_while(|start| *start < until)
            .filter(|start| self.hold(*start) == Some(true))
            .collect()
    }

    /// Whether a test may begin then.
    fn hold(&self, start: Timestamp) -> Option<bool> {
        let first = LocalSlot::of(start, self.zone)?;
        let last = LocalSlot::of(start.checked_add(TEST_SECONDS)?.checked_add(-1)?, self.zone)?;
        let (from, to) = self.window;
        let day = first.day;
        let is_free = matches!(day.weekday(), Weekday::Sat | Weekday::Sun) || self.holidays.contains(&day);
        Some(
            last.day == day
                && from <= first.second
                && first.second <= last.second
                && last.second < to
                && (self.days == DispatchDays::All || !is_free)
                && self.season.is_none_or(|season| season.around(day).is_some()),
        )
    }
}

/// A test as it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// The Monday of its week.
    pub monday: NaiveDate,
    /// When it begins; it lasts [`TEST_SECONDS`].
    pub start: Timestamp,
}

/// The test of a site in the week of a Monday, where it has one. `slots` are those of [`Hours::slots`].
#[must_use]
pub fn draw(
    seed: &Seed,
    (program, site): (&ProgramId, &SiteId),
    one_week_in: u32,
    (monday, slots): (NaiveDate, &[Timestamp]),
) -> Option<Drawn> {
    let lot = Lot {
        seed,
        program,
        site,
        monday,
    };
    if lot.below("week", one_week_in.into())? != 0 {
        return None;
    }
    let number = lot.below("slot", u64::try_from(slots.len()).ok()?)?;
    let start = *slots.get(usize::try_from(number).ok()?)?;
    Some(Drawn { monday, start })
}

/// As [`draw`], with the slots of a program's hours.
#[must_use]
pub fn draw_within(
    seed: &Seed,
    hours: &Hours<'_>,
    program: &ProgramId,
    site: &SiteId,
    monday: NaiveDate,
) -> Option<Drawn> {
    draw(
        seed,
        (program, site),
        hours.one_week_in,
        (monday, &hours.slots(monday)),
    )
}

/// What the test of a site in a week is called. It says nothing to who does not have the seed.
///
/// # Errors
/// [`EventIdError`] never in practice: 20 hexadecimal digits are a name.
pub fn name(
    seed: &Seed,
    program: &ProgramId,
    site: &SiteId,
    monday: NaiveDate,
) -> Result<EventId, EventIdError> {
    let lot = Lot {
        seed,
        program,
        site,
        monday,
    };
    let digits: String = hex::encode(lot.block("name", 0)).chars().take(20).collect();
    format!("e{digits}").parse()
}

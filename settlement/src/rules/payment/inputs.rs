//! What is paid for.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use super::netting::NotCredited;
use crate::rules::exact::Ratio;
use crate::rules::statement::{Participation, SiteId};

/// What all sites of an event share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWork {
    /// The program's zone, for prices by the clock.
    pub zone: Tz,
    /// The length of its intervals.
    pub length: IntervalLength,
    /// The starts of all its intervals, in order.
    pub starts: Vec<Timestamp>,
    /// Published prices, in base units per kWh; an interval without one has no price.
    pub published: BTreeMap<Timestamp, TokenAmount>,
    /// What the program's last pool left in its rounding account.
    pub pool_carry: TokenAmount,
}

/// One interval of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkInterval {
    /// Its start.
    pub start: Timestamp,
    /// What the site would have used.
    pub baseline: Option<MilliwattHours>,
    /// What it used.
    pub metered: Option<MilliwattHours>,
    /// What is paid for, as [`net`](super::net) said.
    pub credited: Result<MilliwattHours, NotCredited>,
}

/// What was paid before for the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Before {
    /// The sum of amounts, in base units; not below zero.
    pub paid: TokenAmount,
    /// The sum of the remainders that were already put to the rounding account, in millionths of a base unit.
    pub remainder: i64,
}

/// What a site did in an earlier event of the season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SeasonEvent {
    /// It took part.
    Delivered {
        /// What it was credited.
        energy: MilliwattHours,
        /// How long the event was.
        seconds: u32,
    },
    /// It opted out.
    OptedOut,
    /// It never answered: counts as 0 kW.
    NoAnswer,
    /// It could not be measured.
    NotMeasured,
    /// It could not take part through no fault of its own, in an outage say: never counts.
    Excused,
}

/// A site's season up to this event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// Its earlier events; their order has no meaning.
    pub events: Vec<SeasonEvent>,
    /// What `season_average` has paid for them.
    pub average: Before,
    /// What `points` has paid for them.
    pub points: TokenAmount,
}

impl Season {
    /// Whether nothing has happened in it yet.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One site's part of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteWork {
    /// The site.
    pub site: SiteId,
    /// What it said to the event. Only who opted in is paid for the event's energy.
    pub participation: Participation,
    /// Whether it could not take part through no fault of its own, in an outage say. It is paid for what it delivers
    /// all the same, but no shortfall is held against it, and no season's mean has the event.
    pub excused: bool,
    /// Its intervals in any order; one that is not given was not measured.
    pub intervals: Vec<WorkInterval>,
    /// What it nominated.
    pub nominated: Option<Milliwatts>,
    /// What it was called for; by default what it nominated.
    pub committed: Option<Milliwatts>,
    /// What `capacity` paid upfront.
    pub upfront: Before,
    /// What it asks for a kWh, in base units.
    pub bid: Option<TokenAmount>,
    /// How good its data is, 0 to 1.
    pub quality: Option<Ratio>,
    /// The season so far.
    pub season: Season,
}

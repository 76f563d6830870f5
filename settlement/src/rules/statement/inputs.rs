//! What a settlement is made from.

use core::fmt;
use core::str::FromStr;

use chrono::NaiveDate;
use gridtally_protocol::channel::Missing;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::{Interval, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rules::payment::Season;
use crate::rules::program::{Program, ProgramId};

const NAME_LEN_MAX: usize = 128;

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {0} is 1 to {NAME_LEN_MAX} visible ASCII characters")]
pub struct NameError(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let visible = text.bytes().all(|b| b.is_ascii_graphic());
                if visible && (1..=NAME_LEN_MAX).contains(&text.len()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError($what))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// The name of a site: what lies behind one grid meter. 1 to 128 visible ASCII characters.
    SiteId,
    "site's name"
);
name!(
    /// The name of who is paid for a site. 1 to 128 visible ASCII characters.
    BeneficiaryId,
    "beneficiary's name"
);

/// An event, as it was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// The program it belongs to.
    pub program: ProgramId,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// When it was announced.
    pub announced_at: Timestamp,
}

/// What a site said to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Participation {
    /// It takes part.
    OptedIn,
    /// It does not.
    OptedOut {
        /// Why, in the owner's or the box's words.
        reason: String,
    },
    /// It never answered.
    NoAnswer,
    /// It was not asked: it is of the program's control group, and others are compared with it.
    ControlGroup,
}

/// Why there is no energy for an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    /// No report has it.
    NotReceived,
    /// The box could not measure it, and said why.
    Device(Missing),
    /// The report that had it was refused.
    Refused(Refusal),
    /// The gateway signed two different values: neither counts.
    Equivocation,
    /// A correction withdrew it.
    Withdrawn,
    /// The program demands freshness, and when it was signed is not known closely enough.
    NotFresh,
}

/// An interval's net energy, or why it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metered {
    /// Import − export.
    Energy(MilliwattHours),
    /// Not known.
    Missing(MissingReason),
}

/// What the meter of a site counted in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The interval.
    pub interval: Interval,
    /// Its net energy.
    pub net: Metered,
}

/// What stands in the place of a meter's reading, by a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrected {
    /// The correction's number; of two for one interval the higher counts.
    pub number: u32,
    /// The interval.
    pub interval: Interval,
    /// What counts.
    pub net: Metered,
}

/// One site's part of a settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteInputs {
    /// The site.
    pub site: SiteId,
    /// Who is paid.
    pub beneficiary: BeneficiaryId,
    /// What it said to the event.
    pub participation: Participation,
    /// Local days on which it had an outage.
    pub outage_days: Vec<NaiveDate>,
    /// What its meter counted; an interval without a reading was not received.
    pub readings: Vec<Reading>,
    /// What counts instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Corrected>,
    /// What it offered.
    #[serde(default, skip_serializing_if = "Offer::is_none")]
    pub offer: Offer,
    /// What the meter of its connection counted, where `readings` are of its batteries and the rule takes off what
    /// leaves the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub site_meter: Vec<Reading>,
    /// Its season up to this event, where the program's formulas look at that.
    #[serde(default, skip_serializing_if = "Season::is_none")]
    pub season: Season,
}

/// What a site offered when it enrolled, where the program pays by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The power that it nominates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominated_milliwatts: Option<Milliwatts>,
    /// What it asks for a kilowatt-hour, in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_per_kwh: Option<TokenAmount>,
}

impl Offer {
    /// Whether it offered nothing in particular.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Everything from which one event's statement follows. The order within the lists has no meaning.
///
/// Serialised to JSON, it is what an independent check is fed (`tests/oracle/settle.py`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettlementInputs {
    /// The program in force when the event was announced.
    pub program: Program,
    /// The event.
    pub event: Event,
    /// Local days of other dispatches: they are not compared.
    pub event_days: Vec<NaiveDate>,
    /// What the program's last settlement left over, in millionths of a base unit, from 0 to 999,999.
    pub carry_in: i64,
    /// What the program's pools left, in base units.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub pool_carry: TokenAmount,
    /// The prices that were published for intervals of the event, in base units per kWh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedPrice>,
    /// The highest temperatures of local days, where the baseline looks for days of like weather.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<DayTemperature>,
    /// The sites.
    pub sites: Vec<SiteInputs>,
}

/// The highest temperature of a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayTemperature {
    /// The day, in the program's zone.
    pub day: NaiveDate,
    /// In thousandths of a degree; the scale is the same for all days of a program.
    pub max_millidegrees: i32,
}

/// A price that was published for an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedPrice {
    /// The interval's first instant.
    pub start: Timestamp,
    /// Base units per kWh.
    pub per_kwh: TokenAmount,
}

pub(crate) fn is_nothing(amount: &TokenAmount) -> bool {
    *amount == TokenAmount::ZERO
}

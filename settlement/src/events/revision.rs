//! What an event asks, in one of its versions. A change is a new revision beside the old one.

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::priority::Priority;
use super::start::StartBound;
use super::target::Targets;
use crate::rules::program::ProgramId;

/// A span of time: from its start up to, and without, its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Window {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn holds(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// Whether the two have an instant in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// An event as it is asked for; what was asked before stays beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// How many times the event was modified before: 0 for what was first written.
    pub modification: u32,
    /// Whose homes, rules and prices.
    pub program: ProgramId,
    /// When.
    pub window: Window,
    /// What each battery is asked to give.
    #[serde(rename = "discharge_milliwatts")]
    pub discharge: Milliwatts,
    /// Which of two overlapping events counts.
    pub priority: Priority,
    /// Who is asked.
    pub targets: Targets,
    /// How far each home's start is moved at most, either way.
    #[serde(rename = "start_bound_seconds")]
    pub start_bound: StartBound,
    /// The modification by which each home's start was last drawn.
    pub start_drawn_at: u32,
}

/// What may change about an event. What is `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Its first instant.
    pub start: Option<Timestamp>,
    /// The first instant after it.
    pub end: Option<Timestamp>,
    /// What each battery is asked to give.
    pub discharge: Option<Milliwatts>,
}

impl Revision {
    /// The revision after this one. Homes are given another start only where the event's start moves.
    #[must_use]
    pub fn changed(&self, change: Change) -> Self {
        let modification = self.modification.saturating_add(1);
        let start = change.start.unwrap_or(self.window.start);
        let moves = start != self.window.start;
        Self {
            modification,
            window: Window {
                start,
                end: change.end.unwrap_or(self.window.end),
            },
            discharge: change.discharge.unwrap_or(self.discharge),
            start_drawn_at: if moves { modification } else { self.start_drawn_at },
            ..self.clone()
        }
    }
}

/// A text that is not fit to be kept as who did something, or why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {least} to {most} characters on one line")]
pub struct RemarkError {
    what: &'static str,
    least: usize,
    most: usize,
}

macro_rules! remark {
    ($(#[$doc:meta])* $name:ident, $what:literal, $least:literal, $most:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = RemarkError;
            fn from_str(text: &str) -> Result<Self, RemarkError> {
                let is_fit = ($least..=$most).contains(&text.chars().count())
                    && text.trim() == text
                    && !text.chars().any(char::is_control);
                if is_fit {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(RemarkError { what: $what, least: $least, most: $most })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = RemarkError;
            fn try_from(text: String) -> Result<Self, RemarkError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(remark: $name) -> Self {
                remark.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

remark!(
    /// Who did something: a name of 1 to 64 characters on one line.
    Actor,
    "a name of who does it",
    1,
    64
);
impl Default for Why {
    /// None was given.
    fn default() -> Self {
        Self(String::new())
    }
}

impl Actor {
    /// Whoever types the commands, where no other name is given.
    #[must_use]
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }
}

remark!(
    /// Why it was done: at most 400 characters on one line, none where no reason was given.
    Why,
    "a reason",
    0,
    400
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_bounded_and_of_one_line() {
        for text in ["", " ann", "a\nb", "a\u{7}", &"a".repeat(65)] {
            assert!(text.parse::<Actor>().is_err(), "{text:?}");
        }
        assert_eq!("Ann \u{c5}s".parse::<Actor>().unwrap().as_str(), "Ann \u{c5}s");
        assert!("".parse::<Why>().is_ok() && "a\nb".parse::<Why>().is_err());
    }
}

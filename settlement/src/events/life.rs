//! The life of an event.
//!
//! ```text
//!            announce           (start)         (end)           measure           settle 1         finalise
//!   draft ───────────▶ announced ─────▶ active ─────▶ finished ────────▶ measured ───────▶ settled ───────▶ final
//!     │                    │              │                                                  │   ▲
//!     └────── cancel ──────┴──────────────┴──▶ cancelled                                     └───┘ settle n + 1
//! ```
//!
//! Acts are done by somebody, at an instant, for a reason, and are kept. Active and finished are no acts: they follow
//! from the clock and the window of the revision in force. A draft, an announced and an active event can be modified,
//! which leaves their state as it is.

use core::fmt;

use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::revision::{Actor, Revision, Why, Window};

/// What can be done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// It is written down.
    Draft,
    /// Homes are asked.
    Announce,
    /// It is changed.
    Modify,
    /// It is called off.
    Cancel,
    /// What the homes did is known, as far as it will be.
    Measure,
    /// It is paid by a version of its statement.
    Settle {
        /// Which version.
        version: u32,
    },
    /// Nothing is corrected any more.
    Finalise,
}

impl Act {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Announce => "announce",
            Self::Modify => "modify",
            Self::Cancel => "cancel",
            Self::Measure => "measure",
            Self::Settle { .. } => "settle",
            Self::Finalise => "finalise",
        }
    }
}

/// An act, as it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
    /// The modification that is in force after it.
    pub modification: u32,
}

/// Where an event stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Written down; nobody was asked.
    Draft,
    /// Homes are asked; it has not begun.
    Announced,
    /// It has begun.
    Active,
    /// It is over.
    Finished,
    /// What the homes did is known.
    Measured,
    /// It is paid.
    Settled {
        /// By which version of its statement.
        version: u32,
    },
    /// It is paid, and stays so.
    Final,
    /// It was called off.
    Cancelled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.pad("draft"),
            Self::Announced => f.pad("announced"),
            Self::Active => f.pad("active"),
            Self::Finished => f.pad("finished"),
            Self::Measured => f.pad("measured"),
            Self::Settled { version } => f.pad(&format!("settled ({version})")),
            Self::Final => f.pad("final"),
            Self::Cancelled => f.pad("cancelled"),
        }
    }
}

/// Why an act is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not in this state.
    #[error("an event that is {state} cannot be {}; {}", done(*act), hint(*state))]
    NotInState {
        /// What was to be done.
        act: Act,
        /// Where it stands.
        state: State,
    },
    /// Statements are numbered one after the other.
    #[error("statement {offered} does not follow; the next statement of the event is number {next}")]
    Version {
        /// What was offered.
        offered: u32,
        /// What follows.
        next: u32,
    },
    /// Acts come one after the other.
    #[error("the act is of {at}, and the one before it of {before}; is the clock right?")]
    Backwards {
        /// The act.
        at: Timestamp,
        /// The one before.
        before: Timestamp,
    },
    /// The window ends before it begins.
    #[error("the event would end at {end} and start at {start}; it ends after its start")]
    Empty {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
    /// It would begin in the past.
    #[error("the event would begin at {start}, and it is {at}; an event is announced before it begins")]
    TooLate {
        /// Its start.
        start: Timestamp,
        /// The present.
        at: Timestamp,
    },
    /// What has begun cannot begin at another time.
    #[error("the event began at {began}, so its start stays; change its end or its power, or cancel it")]
    Begun {
        /// When it began.
        began: Timestamp,
    },
    /// An active event would end in the past.
    #[error("the event would end at {end}, and it is {at}; give a later end, or cancel it")]
    OverAlready {
        /// Its end.
        end: Timestamp,
        /// The present.
        at: Timestamp,
    },
    /// The numbers of the modifications have a gap.
    #[error("modification {offered} does not follow; the event is at modification {current}")]
    Modification {
        /// What was offered.
        offered: u32,
        /// What is in force.
        current: u32,
    },
    /// Nothing would be different.
    #[error("the modification changes nothing; give another start, end or power")]
    Unchanged,
    /// A life begins with a draft.
    #[error("the first act of an event is its draft")]
    NoDraft,
}

const fn done(act: Act) -> &'static str {
    match act {
        Act::Draft => "drafted again",
        Act::Announce => "announced",
        Act::Modify => "modified",
        Act::Cancel => "cancelled",
        Act::Measure => "measured",
        Act::Settle { .. } => "settled",
        Act::Finalise => "made final",
    }
}

const fn hint(state: State) -> &'static str {
    match state {
        State::Draft => "announce it first",
        State::Announced => "it can be modified or cancelled until it is over",
        State::Active => "it can be modified or cancelled until it is over",
        State::Finished => "its homes did what they were asked to do; settle it",
        State::Measured => "settle it",
        State::Settled { .. } => "a later version of its statement corrects it, until it is final",
        State::Final => "what was paid stays paid",
        State::Cancelled => "draft another one under a name of its own",
    }
}

/// What the acts alone say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Draft,
    Announced,
    Measured,
    Settled(u32),
    Final,
    Cancelled,
}

/// An event with everything that was ever done with it and asked in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    former: Vec<Revision>,
    current: Revision,
    deeds: Vec<Deed>,
    stage: Stage,
}

impl Life {
    /// A life begins with a draft.
    ///
    /// # Errors
    /// [`Refused`] where the deed is no draft of modification 0, or the window is empty.
    pub fn begin(draft: Deed, revision: Revision) -> Result<Self, Refused> {
        if draft.act != Act::Draft {
            return Err(Refused::NoDraft);
        }
        for offered in [revision.modification, draft.modification] {
            if offered != 0 {
                return Err(Refused::Modification { offered, current: 0 });
            }
        }
        not_empty(revision.window)?;
        Ok(Self {
            former: Vec::new(),
            current: revision,
            deeds: vec![draft],
            stage: Stage::Draft,
        })
    }

    /// Does an act; `revision` is what a modification asks from then on, and nothing for any other act.
    ///
    /// # Errors
    /// [`Refused`]; then nothing has changed.
    pub fn take(&mut self, deed: Deed, revision: Option<Revision>) -> Result<(), Refused> {
        let before = self.last_at();
        if deed.at < before {
            return Err(Refused::Backwards { at: deed.at, before });
        }
        let stage = self.stage_after(deed.act, deed.at, revision.as_ref())?;
        let current = self.revision().modification;
        let expected = revision.as_ref().map_or(current, |r| r.modification);
        if deed.modification != expected {
            let offered = deed.modification;
            return Err(Refused::Modification { offered, current });
        }
        if let Some(revision) = revision {
            self.former.push(std::mem::replace(&mut self.current, revision));
        }
        self.deeds.push(deed);
        self.stage = stage;
        Ok(())
    }

    fn stage_after(&self, act: Act, at: Timestamp, revision: Option<&Revision>) -> Result<Stage, Refused> {
        let state = self.state(at);
        let window = self.revision().window;
        match (act, state, revision) {
            (Act::Announce, State::Draft, None) => {
                begins_after(window.start, at)?;
                Ok(Stage::Announced)
            }
            (Act::Modify, State::Draft | State::Announced | State::Active, Some(revision)) => {
                self.may_become(revision, state, at)?;
                Ok(self.stage)
            }
            (Act::Cancel, State::Draft | State::Announced | State::Active, None) => Ok(Stage::Cancelled),
            (Act::Measure, State::Finished, None) => Ok(Stage::Measured),
            (Act::Settle { version }, State::Measured, None) => follows(version, 1),
            (Act::Settle { version: offered }, State::Settled { version }, None) => {
                follows(offered, version.saturating_add(1))
            }
            (Act::Finalise, State::Settled { .. }, None) => Ok(Stage::Final),
            _ => Err(Refused::NotInState { act, state }),
        }
    }

    fn may_become(&self, revision: &Revision, state: State, at: Timestamp) -> Result<(), Refused> {
        let current = self.revision();
        if current.modification.checked_add(1) != Some(revision.modification) {
            return Err(Refused::Modification {
                offered: revision.modification,
                current: current.modification,
            });
        }
        let same = Revision {
            modification: revision.modification,
            start_drawn_at: revision.start_drawn_at,
            ..current.clone()
        };
        if same == *revision {
            return Err(Refused::Unchanged);
        }
        not_empty(revision.window)?;
        let Window { start, end } = revision.window;
        match state {
            State::Announced => begins_after(start, at),
            State::Active if start != current.window.start => Err(Refused::Begun {
                began: current.window.start,
            }),
            State::Active if end <= at => Err(Refused::OverAlready { end, at }),
            _ => Ok(()),
        }
    }

    /// Where the event stands at an instant that is not before its last act.
    #[must_use]
    pub fn state(&self, at: Timestamp) -> State {
        let window = self.revision().window;
        match self.stage {
            Stage::Draft => State::Draft,
            Stage::Announced if at < window.start => State::Announced,
            Stage::Announced if at < window.end => State::Active,
            Stage::Announced => State::Finished,
            Stage::Measured => State::Measured,
            Stage::Settled(version) => State::Settled { version },
            Stage::Final => State::Final,
            Stage::Cancelled => State::Cancelled,
        }
    }

    /// What is asked now.
    #[must_use]
    pub const fn revision(&self) -> &Revision {
        &self.current
    }

    /// Everything that was ever asked, the oldest first.
    pub fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.former.iter().chain([&self.current])
    }

    /// Everything that was done, the oldest first.
    #[must_use]
    pub fn deeds(&self) -> &[Deed] {
        &self.deeds
    }

    /// When it was announced, where it was.
    #[must_use]
    pub fn announced_at(&self) -> Option<Timestamp> {
        self.deeds.iter().find(|d| d.act == Act::Announce).map(|d| d.at)
    }

    fn last_at(&self) -> Timestamp {
        self.deeds.last().map_or(Timestamp::EPOCH, |deed| deed.at)
    }
}

const fn follows(offered: u32, next: u32) -> Result<Stage, Refused> {
    if offered == next {
        Ok(Stage::Settled(offered))
    } else {
        Err(Refused::Version { offered, next })
    }
}

fn begins_after(start: Timestamp, at: Timestamp) -> Result<(), Refused> {
    if start > at {
        Ok(())
    } else {
        Err(Refused::TooLate { start, at })
    }
}

fn not_empty(Window { start, end }: Window) -> Result<(), Refused> {
    if start < end {
        Ok(())
    } else {
        Err(Refused::Empty { start, end })
    }
}

#[cfg(test)]
mod tests;

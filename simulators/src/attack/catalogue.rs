//! The attacks by name.

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::refusal::Refusal;

/// Who attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attacker {
    /// Somebody on the broker, without any enrolled key.
    Stranger,
    /// A home that owns its box, its key, and what it lets its devices say.
    Home,
}

/// What a good engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// It refuses, with this reason.
    Refused(Refusal),
    /// It takes it, and nothing follows.
    Nothing,
    /// It refuses a part of it, or a flag asks people to look.
    FoundOut,
    /// It says of intervals that they are missing.
    Missing,
}

macro_rules! attacks {
    ($($attack:ident $name:literal $who:ident $meets:expr, $says:literal;)+) => {
        /// An attack.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Attack {
            $(#[doc = $says] $attack,)+
        }

        impl Attack {
            /// Every attack there is, strangers' first.
            pub const ALL: &'static [Self] = &[$(Self::$attack,)+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$attack => $name,)+ }
            }

            /// Who does it.
            #[must_use]
            pub const fn attacker(self) -> Attacker {
                match self { $(Self::$attack => Attacker::$who,)+ }
            }

            /// What a good engine does.
            #[must_use]
            pub const fn meets(self) -> Meets {
                match self { $(Self::$attack => $meets,)+ }
            }

            /// What is tried, in a sentence.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$attack => $says,)+ }
            }
        }
    };
}

attacks! {
    ForgedReport "forged_report" Stranger Meets::Refused(Refusal::WrongTopic),
        "A report that the stranger signs himself, on a home's topic.";
    UnknownGateway "unknown_gateway" Stranger Meets::Refused(Refusal::UnknownGateway),
        "Reports of a key that nobody enrolled.";
    TamperedReport "tampered_report" Stranger Meets::Refused(Refusal::BadSignature),
        "A home's own report with one bit turned.";
    ReplayedReport "replayed_report" Stranger Meets::Nothing,
        "A home's own reports, sent again a day later.";
    ReplayedAsAnother "replayed_as_another" Stranger Meets::Refused(Refusal::WrongTopic),
        "A home's report on the topic of its neighbour.";
    Garbage "garbage" Stranger Meets::Refused(Refusal::Malformed),
        "Bytes that are no message.";
    TruncatedReport "truncated_report" Stranger Meets::Refused(Refusal::Malformed),
        "The first half of a report.";
    OtherPurpose "other_purpose" Stranger Meets::Refused(Refusal::Malformed),
        "The engine's own instruction, sent as if it were a report.";
    ForgedAnswer "forged_answer" Stranger Meets::Refused(Refusal::WrongTopic),
        "An answer in the home's place, which would opt it out.";
    Oversized "oversized" Stranger Meets::Refused(Refusal::Malformed),
        "A message of a megabyte.";
    Equivocation "equivocation" Home Meets::Refused(Refusal::Equivocation),
        "Two signed versions of the event's report, the second with less drawn from the grid.";
    BackdatedHistory "backdated_history" Home Meets::Refused(Refusal::TooLate),
        "Days of history are held back, and sent with more drawn once the event is known.";
    FromTheFuture "from_the_future" Home Meets::Refused(Refusal::FromTheFuture),
        "The event's report, signed and sent before the event.";
    ClockAhead "clock_ahead" Home Meets::Refused(Refusal::FromTheFuture),
        "A clock two hours ahead moves quiet hours into the event.";
    ToldTwice "told_twice" Home Meets::Refused(Refusal::AlreadyReported),
        "The event's intervals again, in the next report, with less drawn.";
    RewrittenChain "rewritten_chain" Home Meets::Refused(Refusal::ChainBroken),
        "A report that names another one before it than there was.";
    OtherIntervals "other_intervals" Home Meets::Refused(Refusal::WrongInterval),
        "The event in intervals of another length than enrolled.";
    UnenrolledMeter "unenrolled_meter" Home Meets::Refused(Refusal::UnknownChannel),
        "A second meter that exports, and that nobody enrolled.";
    NegativeEnergy "negative_energy" Home Meets::Refused(Refusal::BeyondNameplate),
        "Less than nothing is drawn from the grid in the event.";
    ScaledEnergy "scaled_energy" Home Meets::Refused(Refusal::BeyondNameplate),
        "What is given to the grid in the event, a thousand times over.";
    NightSun "night_sun" Home Meets::Refused(Refusal::NoSun),
        "Solar energy at midnight.";
    DawnSun "dawn_sun" Home Meets::Refused(Refusal::BeyondClearSky),
        "All that the inverter can, at sunrise.";
    GridAsSun "grid_as_sun" Home Meets::Refused(Refusal::NoSun),
        "What was drawn from the grid at night, sold as solar energy.";
    PhantomDischarge "phantom_discharge" Home Meets::Refused(Refusal::BeyondStorage),
        "A battery that gives all night and stays full.";
    ExportFromNothing "export_from_nothing" Home Meets::Refused(Refusal::NotConserved),
        "Energy given to the grid in the event, and nothing that it came from.";
    BatteryTwice "battery_twice" Home Meets::FoundOut,
        "The neighbour's battery, as if it were behind this meter.";
    CopiedNeighbour "copied_neighbour" Home Meets::FoundOut,
        "The neighbour's sun, to the last digit.";
    WithheldIntervals "withheld_intervals" Home Meets::Missing,
        "The report of the event is never sent.";
    LateYes "late_yes" Home Meets::Nothing,
        "A yes that is sent when the event is over, and nothing was given.";
    YesAndNo "yes_and_no" Home Meets::Nothing,
        "A yes and a no in the same second.";
    UsedMoreBefore "used_more_before" Home Meets::Nothing,
        "More is used in the hours before the event, to lift the baseline.";
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no attack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no attack; they are {}", known())]
pub struct AttackError {
    name: String,
}

fn known() -> String {
    let names: Vec<&str> = Attack::ALL.iter().map(|attack| attack.name()).collect();
    names.join(", ")
}

impl FromStr for Attack {
    type Err = AttackError;
    fn from_str(text: &str) -> Result<Self, AttackError> {
        let named = Self::ALL.iter().copied().find(|attack| attack.name() == text);
        named.ok_or_else(|| AttackError {
            name: text.chars().take(64).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_and_a_sentence() {
        let names: BTreeSet<&str> = Attack::ALL.iter().map(|attack| attack.name()).collect();
        assert_eq!(names.len(), Attack::ALL.len());
        assert!(names.len() >= 24);
        for attack in Attack::ALL {
            assert_eq!(attack.name().parse(), Ok(*attack));
            assert!(attack.says().ends_with('.'));
        }
        assert!(
            "nonsense"
                .parse::<Attack>()
                .unwrap_err()
                .to_string()
                .contains("forged_report")
        );
    }
}

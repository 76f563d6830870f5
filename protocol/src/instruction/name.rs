//! The names of events and programs.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
pub const NAME_LEN_MAX: usize = 64;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal, $byte:pat) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[doc = concat!("A text that is no name of ", $what, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("{}", Self::RULE)]
        pub struct $error;

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                let well_formed =
                    (1..=NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, $byte));
                well_formed.then(|| Self(text.to_owned())).ok_or($error)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
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
    /// The name of an event: 1 to 64 of `a-z`, `0-9` and `-`.
    EventId, EventIdError, "an event", b'a'..=b'z' | b'0'..=b'9' | b'-'
);
name!(
    /// The name of a program: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    ProgramId, ProgramIdError, "a program", b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'
);

impl EventIdError {
    const RULE: &'static str = "an event's name is 1 to 64 characters of a-z, 0-9 and -";
}
impl ProgramIdError {
    const RULE: &'static str = "a program's name is 1 to 64 characters of a-z, 0-9, _ and -";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_bounded() {
        for text in ["", "Evening", "a b", "a_b", "\u{e4}", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<EventId>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<EventId>(text.into()).is_err());
        }
        let longest = "a".repeat(64);
        assert_eq!(longest.parse::<EventId>().unwrap().as_str(), longest);
    }

    #[test]
    fn the_name_of_a_program_may_have_underscores() {
        for text in ["", "Evening", "a b", "\u{e4}", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<ProgramId>().is_err(), "{text:?}");
        }
        assert_eq!(
            "evening_flex-2".parse::<ProgramId>().unwrap().as_str(),
            "evening_flex-2"
        );
    }
}

//! Where a site lies and what it belongs to, as far as events ask for it.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

const NAME_LEN_MAX: usize = 64;

/// A text that is no name of a zone or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {0}'s name is 1 to {NAME_LEN_MAX} characters of A-Z, a-z, 0-9, _ and -")]
pub struct MembershipNameError(&'static str);

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
            type Err = MembershipNameError;
            fn from_str(text: &str) -> Result<Self, MembershipNameError> {
                let is_of = |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
                if (1..=NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(is_of) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MembershipNameError($what))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = MembershipNameError;
            fn try_from(text: String) -> Result<Self, MembershipNameError> {
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
    /// The name of a part of the grid. 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`.
    ZoneName,
    "zone"
);
name!(
    /// The name of a group of homes. 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`.
    GroupName,
    "group"
);

/// What a site belongs to. By default nothing: such a site takes part in events that ask everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Membership {
    /// The part of the grid that it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// The groups that it belongs to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
}

impl Membership {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.zone.is_none() && self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        for text in ["", "a b", "a/b", "\u{e4}", &"a".repeat(65)] {
            assert!(text.parse::<ZoneName>().is_err(), "{text:?}");
        }
        assert!("GSP_North-1".parse::<GroupName>().is_ok());
    }
}

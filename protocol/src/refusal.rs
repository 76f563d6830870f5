//! Why the engine does not take what a gateway sent: reasons that are stable on the wire and in the store.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a canonical message of its topic's purpose.
    Malformed,
    /// Nobody of this key is enrolled.
    UnknownGateway,
    /// The signature does not verify.
    BadSignature,
    /// The signer is not the gateway of the topic: somebody replays another's message, or mixes topics up.
    WrongTopic,
    /// Another, different message of this gateway bears the same sequence number: both are void.
    Equivocation,
    /// The digest of the previous report is not that of the report with the number before.
    ChainBroken,
    /// Issued further in the future than clocks may differ.
    FromTheFuture,
    /// Received longer after it was issued than the program waits.
    TooLate,
    /// A channel that is not enrolled for this gateway.
    UnknownChannel,
    /// The length of the intervals is not the one that was enrolled.
    WrongInterval,
    /// An interval of a channel that an earlier report has given already.
    AlreadyReported,
    /// More energy than the device's nameplate allows, or less than none.
    BeyondNameplate,
    /// An acknowledgement of an instruction that this gateway was never sent.
    UnknownInstruction,
    /// The enrolment did not hold then: not yet, or no more.
    NotValidThen,
    /// The key was revoked, or another had taken its place.
    Revoked,
    /// Solar energy while the sun is far below the horizon.
    NoSun,
    /// More solar energy than a clear sky at this height of the sun gives.
    BeyondClearSky,
    /// More energy left the devices and the site than came in: energy is conserved.
    NotConserved,
    /// More energy out of a battery than its state of charge gave away.
    BeyondStorage,
    /// The beacon that the report names is none of this engine's.
    UnknownBeacon,
    /// What a meter is said to have signed is not verified: not of its form, not of its key, or by an algorithm that is not
    /// supported.
    OriginalUnverified,
}

impl Refusal {
    /// Every reason there is, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::Malformed,
        Self::UnknownGateway,
        Self::BadSignature,
        Self::WrongTopic,
        Self::Equivocation,
        Self::ChainBroken,
        Self::FromTheFuture,
        Self::TooLate,
        Self::UnknownChannel,
        Self::WrongInterval,
        Self::AlreadyReported,
        Self::BeyondNameplate,
        Self::UnknownInstruction,
        Self::NotValidThen,
        Self::Revoked,
        Self::NoSun,
        Self::BeyondClearSky,
        Self::NotConserved,
        Self::BeyondStorage,
        Self::UnknownBeacon,
        Self::OriginalUnverified,
    ];

    /// Its number on the wire, from 1 on; 0 says accepted.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::UnknownGateway => 2,
            Self::BadSignature => 3,
            Self::WrongTopic => 4,
            Self::Equivocation => 5,
            Self::ChainBroken => 6,
            Self::FromTheFuture => 7,
            Self::TooLate => 8,
            Self::UnknownChannel => 9,
            Self::WrongInterval => 10,
            Self::AlreadyReported => 11,
            Self::BeyondNameplate => 12,
            Self::UnknownInstruction => 13,
            Self::NotValidThen => 14,
            Self::Revoked => 15,
            Self::NoSun => 16,
            Self::BeyondClearSky => 17,
            Self::NotConserved => 18,
            Self::BeyondStorage => 19,
            Self::UnknownBeacon => 20,
            Self::OriginalUnverified => 21,
        }
    }

    /// The reason of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownGateway => "unknown_gateway",
            Self::BadSignature => "bad_signature",
            Self::WrongTopic => "wrong_topic",
            Self::Equivocation => "equivocation",
            Self::ChainBroken => "chain_broken",
            Self::FromTheFuture => "from_the_future",
            Self::TooLate => "too_late",
            Self::UnknownChannel => "unknown_channel",
            Self::WrongInterval => "wrong_interval",
            Self::AlreadyReported => "already_reported",
            Self::BeyondNameplate => "beyond_nameplate",
            Self::UnknownInstruction => "unknown_instruction",
            Self::NotValidThen => "not_valid_then",
            Self::Revoked => "revoked",
            Self::NoSun => "no_sun",
            Self::BeyondClearSky => "beyond_clear_sky",
            Self::NotConserved => "not_conserved",
            Self::BeyondStorage => "beyond_storage",
            Self::UnknownBeacon => "unknown_beacon",
            Self::OriginalUnverified => "original_unverified",
        }
    }

    /// The reason of a stable name, where there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_never_change() {
        let expected = [
            (1, "malformed"),
            (2, "unknown_gateway"),
            (3, "bad_signature"),
            (4, "wrong_topic"),
            (5, "equivocation"),
            (6, "chain_broken"),
            (7, "from_the_future"),
            (8, "too_late"),
            (9, "unknown_channel"),
            (10, "wrong_interval"),
            (11, "already_reported"),
            (12, "beyond_nameplate"),
            (13, "unknown_instruction"),
            (14, "not_valid_then"),
            (15, "revoked"),
            (16, "no_sun"),
            (17, "beyond_clear_sky"),
            (18, "not_conserved"),
            (19, "beyond_storage"),
            (20, "unknown_beacon"),
            (21, "original_unverified"),
        ];
        let table: Vec<(u8, &str)> = Refusal::ALL.into_iter().map(|r| (r.code(), r.name())).collect();
        assert!(
            table.starts_with(&expected),
            "a number once given keeps its meaning: {table:?}"
        );
        assert!(
            table
                .iter()
                .map(|(code, _)| usize::from(*code))
                .eq(1..=Refusal::ALL.len())
        );
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(refusal));
            assert_eq!(Refusal::from_name(refusal.name()), Some(refusal));
            assert_eq!(serde_json::to_value(refusal).unwrap(), refusal.name());
        }
        assert_eq!(
            (0..=u8::MAX).filter_map(Refusal::from_code).count(),
            Refusal::ALL.len()
        );
        assert_eq!(Refusal::from_name("no_such_reason"), None);
    }
}

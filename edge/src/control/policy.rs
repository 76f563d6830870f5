//! What the owner allows, as a pure function of what is asked.

use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use crate::config::OwnerConfig;

/// The owner's answer to an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The home takes part.
    OptedIn {
        /// What of the target is left by the owner's limits.
        target: Target,
        /// The greatest power of the battery for it, or the limit at the meter.
        power: Milliwatts,
    },
    /// It does not.
    OptedOut(Declined),
}

impl Decision {
    /// As the engine is told.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::OptedIn { power, .. } => Stage::OptedIn(power),
            Self::OptedOut(why) => Stage::OptedOut(why),
        }
    }
}

/// The owner's answer to an instruction: in, with the power that it is cut to, or out, and why.
///
/// `nameplate` is the battery's, where there is one. The instruction's signer, addressee and number have
/// been checked before.
#[must_use]
pub fn decide(
    instruction: &Instruction,
    owner: &OwnerConfig,
    nameplate: Option<Milliwatts>,
    now: Timestamp,
) -> Decision {
    let Some(nameplate) = nameplate else {
        return Decision::OptedOut(Declined::NoBattery);
    };
    if !owner.participate {
        return Decision::OptedOut(Declined::OwnerOptOut);
    }
    if now > instruction.expires_at || now >= instruction.end {
        return Decision::OptedOut(Declined::Expired);
    }
    let limit = owner.discharge_limit.unwrap_or(nameplate);
    match instruction.target {
        Target::SetPoint(asked) if asked > Milliwatts::ZERO => {
            let power = asked.min(limit).min(nameplate);
            Decision::OptedIn {
                target: Target::SetPoint(power),
                power,
            }
        }
        _ => Decision::OptedOut(Declined::Unsupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Percent;
    use gridtally_protocol::identity::SigningIdentity;
    use proptest::prelude::*;

    fn instruction(discharge: i64) -> Instruction {
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        Instruction {
            sequence: 1,
            gateway: SigningIdentity::from_secret(&[7; 32]).unwrap().identity(),
            event: "evening".parse().unwrap(),
            issued_at: at(1_000),
            expires_at: at(3_000),
            start: at(2_000),
            end: at(4_000),
            target: Target::SetPoint(Milliwatts::new(discharge)),
            program: None,
            price: None,
        }
    }

    fn owner(participate: bool, limit: Option<i64>) -> OwnerConfig {
        OwnerConfig {
            participate,
            discharge_limit: limit.map(Milliwatts::new),
            ..OwnerConfig::with_reserve(Percent::from_thousandths(20_000).unwrap())
        }
    }

    fn opted_in(power: i64) -> Decision {
        let power = Milliwatts::new(power);
        Decision::OptedIn {
            target: Target::SetPoint(power),
            power,
        }
    }

    const NAMEPLATE: Option<Milliwatts> = Some(Milliwatts::new(5_000));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let cases = [
            (owner(true, None), None, 1_500, Declined::NoBattery),
            (owner(false, None), NAMEPLATE, 1_500, Declined::OwnerOptOut),
            (owner(true, None), NAMEPLATE, 3_001, Declined::Expired),
        ];
        for (owner, nameplate, now, why) in cases {
            assert_eq!(
                decide(&instruction(1), &owner, nameplate, at(now)),
                Decision::OptedOut(why)
            );
        }
    }

    #[test]
    fn the_last_instant_before_expiry_counts() {
        assert_eq!(
            decide(&instruction(1), &owner(true, None), NAMEPLATE, at(3_000)),
            opted_in(1)
        );
    }

    proptest! {
        #[test]
        fn the_accepted_power_never_exceeds_what_is_asked_the_owner_s_limit_or_the_nameplate(
            asked in 1_i64..1_000_000, limit in prop::option::of(1_i64..1_000_000), plate in 1_i64..1_000_000,
        ) {
            let stage = decide(&instruction(asked), &owner(true, limit), Some(Milliwatts::new(plate)), at(0));
            let expected = asked.min(plate).min(limit.unwrap_or(i64::MAX));
            prop_assert_eq!(stage, opted_in(expected));
        }
    }
}

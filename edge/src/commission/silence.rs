//! The way back of a device that is left alone.

use gridtally_protocol::time::Timestamp;

/// A device that went back in its registers may take so many seconds until its power does where that cannot
/// be judged.
const SETTLE_SECONDS: i64 = 30;

/// What the registers of the control show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registers {
    /// What they showed before the command.
    Reverted,
    /// The command, or something else.
    Otherwise,
    /// They could not be read.
    Unknown,
}

/// What the power of the device shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// It is no longer where it was told to be.
    Back,
    /// It is.
    Held,
    /// It could not be read, or says nothing: below a limit the sun decides.
    Unknown,
}

/// How the silence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The device went back.
    Reverted {
        /// Its registers, after so many seconds.
        after: u32,
        /// Whether its power was seen to follow.
        power_is_back: bool,
    },
    /// It went back before half of its time.
    TooEarly {
        /// After so many seconds.
        after: u32,
    },
    /// It did not go back in good time.
    Never {
        /// The timer was seen with more seconds than were written.
        counts_longer: bool,
    },
    /// Its registers went back, and its power did not.
    PowerStays,
}

/// A device that is left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    since: Timestamp,
    timer: u32,
    patience: u32,
    reverted_at: Option<Timestamp>,
    counts_longer: bool,
}

impl Silence {
    /// Since the last write, with a timer of so many seconds. Twice that and a minute is waited.
    pub(super) const fn since(since: Timestamp, timer: u32) -> Self {
        Self {
            since,
            timer,
            patience: timer.saturating_mul(2).saturating_add(60),
            reverted_at: None,
            counts_longer: false,
        }
    }

    /// Takes what a look showed; `remaining` are the seconds that the device says are left.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        registers: Registers,
        power: Power,
        remaining: Option<u32>,
    ) -> Option<End> {
        self.counts_longer |= remaining.is_some_and(|left| left > self.timer && left != u32::MAX);
        if registers == Registers::Reverted && self.reverted_at.is_none() {
            self.reverted_at = Some(now);
        }
        let is_over = now.seconds_since(self.since) > i64::from(self.patience);
        let Some(reverted_at) = self.reverted_at else {
            return is_over.then_some(End::Never {
                counts_longer: self.counts_longer,
            });
        };
        let after = u32::try_from(reverted_at.seconds_since(self.since)).unwrap_or(0);
        if after.saturating_mul(2) < self.timer {
            return Some(End::TooEarly { after });
        }
        let reverted = |power_is_back| Some(End::Reverted { after, power_is_back });
        match power {
            Power::Back => reverted(true),
            Power::Held => is_over.then_some(End::PowerStays),
            Power::Unknown if now.seconds_since(reverted_at) >= SETTLE_SECONDS => reverted(false),
            Power::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_000 + seconds).unwrap()
    }

    /// A device with a timer of 60 s whose registers and power go back after so many seconds.
    fn watch(registers: i64, power: Option<i64>) -> Option<End> {
        let mut silence = Silence::since(at(0), 60);
        (1..=60).map(|n| n * 5).find_map(|now| {
            let shown = if now >= registers {
                Registers::Reverted
            } else {
                Registers::Otherwise
            };
            let power = match power {
                None => Power::Unknown,
                Some(at) if now >= at => Power::Back,
                Some(_) => Power::Held,
            };
            silence.look(at(now), shown, power, None)
        })
    }

    #[test]
    fn a_device_goes_back_in_its_time_too_early_or_never() {
        let back = |after, power_is_back| Some(End::Reverted { after, power_is_back });
        assert_eq!(watch(60, Some(60)), back(60, true));
        assert_eq!(watch(62, Some(80)), back(65, true));
        assert_eq!(watch(60, None), back(60, false));
        assert_eq!(watch(1, Some(1)), Some(End::TooEarly { after: 5 }));
        let never = Some(End::Never { counts_longer: false });
        assert_eq!(watch(i64::MAX, Some(i64::MAX)), never);
        assert_eq!(watch(60, Some(i64::MAX)), Some(End::PowerStays));
    }

    #[test]
    fn a_countdown_beyond_what_was_written_is_told() {
        let mut silence = Silence::since(at(0), 60);
        silence.look(at(5), Registers::Otherwise, Power::Held, Some(3_590));
        let end = silence.look(at(181), Registers::Otherwise, Power::Held, None);
        assert_eq!(end, Some(End::Never { counts_longer: true }));
    }

    proptest! {
        #[test]
        fn the_watch_always_ends(timer in 1_u32..1_000, looks in prop::collection::vec((0_u8..3, 0_u8..3), 0..50)) {
            let mut silence = Silence::since(at(0), timer);
            for (n, (registers, power)) in (1_i64..).zip(looks) {
                let registers = [Registers::Reverted, Registers::Otherwise, Registers::Unknown][usize::from(registers)];
                let power = [Power::Back, Power::Held, Power::Unknown][usize::from(power)];
                silence.look(at(n), registers, power, None);
            }
            let patience = i64::from(timer) * 2 + 60;
            let late = silence.look(at(patience + 60), Registers::Otherwise, Power::Held, None);
            prop_assert!(late.is_some());
        }
    }
}

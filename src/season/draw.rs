//! Numbers that follow from a seed and a name: the same on every machine, and one never moves another.

use gridtally_protocol::identity::Digest;

/// Where the dice of a season lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dice(pub u64);

impl Dice {
    /// A number for the `home`-th home in the `event`-th event.
    fn number(self, what: &str, home: usize, event: usize) -> u64 {
        let text = format!("gridtally season, seed {}, {what}, {home}, {event}", self.0);
        let digest = Digest::of(text.as_bytes());
        let (first, _) = digest.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        u64::from_be_bytes(*first)
    }

    /// A seed for what a home is made from.
    pub fn seed(self, what: &str, home: usize) -> u64 {
        self.number(what, home, 0)
    }

    /// A whole number from `least` to `most`, both included.
    pub fn between(self, what: &str, (home, event): (usize, usize), least: i64, most: i64) -> i64 {
        let span = most.abs_diff(least).saturating_add(1);
        let over = self.number(what, home, event).checked_rem(span).unwrap_or(0);
        least.saturating_add_unsigned(over)
    }

    /// Something that happens so often in a thousand times.
    pub fn happens(self, what: &str, place: (usize, usize), permille: i64) -> bool {
        self.between(what, place, 0, 999) < permille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_are_fair_enough_and_fall_the_same_way_again() {
        let dice = Dice(7);
        let often = (0..4_000)
            .filter(|home| dice.happens("opted out", (*home, 0), 250))
            .count();
        assert!((900..1_100).contains(&often), "{often} of 4000");
        for home in 0..500 {
            let drawn = dice.between("start", (home, 3), -2, 2);
            assert!((-2..=2).contains(&drawn));
            assert_eq!(drawn, dice.between("start", (home, 3), -2, 2));
        }
        assert_ne!(dice.seed("home", 1), Dice(8).seed("home", 1));
    }
}

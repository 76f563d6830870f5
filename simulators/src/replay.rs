//! What a real device said, said again.

use crate::registers::{RegisterMap, Table};

/// Blocks of registers that were read at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Seconds since the beginning.
    pub(crate) second: i64,
    pub(crate) blocks: Vec<(Table, u16, Vec<u16>)>,
}

/// Registers over time: what each instant of a recording changed. Played in a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    /// Ascending.
    frames: Vec<Frame>,
    /// How long the recording is, in seconds, at least 1.
    seconds: i64,
    started: Option<i64>,
    /// So many frames of this round have been played.
    played: usize,
    /// In which round, and up to which of its seconds.
    reached: (i128, i128),
}

impl Replay {
    pub(crate) fn new(frames: Vec<Frame>, seconds: i64) -> Self {
        Self {
            frames,
            seconds: seconds.max(1),
            started: None,
            played: 0,
            reached: (0, 0),
        }
    }

    /// Puts the registers to what they were so long after the beginning.
    pub(crate) fn play(&mut self, now: i64, map: &mut RegisterMap) {
        let started = *self.started.get_or_insert(now);
        let (passed, seconds) = (i128::from(now) - i128::from(started), i128::from(self.seconds));
        let reached = (passed.div_euclid(seconds), passed.rem_euclid(seconds));
        if reached.0 != self.reached.0 || reached.1 < self.reached.1 {
            // The first frame has every register.
            self.played = 0;
        }
        self.reached = reached;
        let due = self.frames.iter().skip(self.played);
        for frame in due.take_while(|frame| i128::from(frame.second) <= reached.1) {
            for (table, address, words) in &frame.blocks {
                map.put(*table, *address, words.iter().copied());
            }
            self.played += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_may_leap_either_way_as_far_as_it_can() {
        let frame = |second, word| Frame {
            second,
            blocks: vec![(Table::Holding, 7, vec![word])],
        };
        let mut replay = Replay::new(vec![frame(0, 1), frame(5, 2)], 10);
        let mut map = RegisterMap::plain([(Table::Holding, 7, vec![0])]);
        let mut seen = Vec::new();
        for now in [
            i64::MIN,
            i64::MAX,
            i64::MIN + 1,
            i64::MIN + 6,
            i64::MIN + 25,
            i64::MIN + 26,
        ] {
            replay.play(now, &mut map);
            seen.push(map.words()[0]);
        }
        // 2⁶⁴ − 1 seconds end with a 5.
        assert_eq!(seen, [1, 2, 1, 2, 2, 2]);
    }

    #[test]
    fn a_recording_is_played_in_a_circle() {
        let frame = |second, word| Frame {
            second,
            blocks: vec![(Table::Holding, 7, vec![word])],
        };
        let mut replay = Replay::new(vec![frame(0, 1), frame(5, 2), frame(10, 3)], 15);
        let mut map = RegisterMap::plain([(Table::Holding, 7, vec![0])]);
        let mut seen = Vec::new();
        for now in [100, 104, 105, 109, 110, 114, 115, 120] {
            replay.play(now, &mut map);
            seen.push(map.words()[0]);
        }
        assert_eq!(seen, [1, 1, 2, 2, 3, 3, 1, 2]);
    }
}

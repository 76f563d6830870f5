//! What is still to be sent, and when.

use super::injector::Action;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Steps that wait for their moment. They never overtake each other: a reply due later than the one
/// before it keeps its own moment, a reply due earlier goes right behind.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    steps: VecDeque<(Instant, Step)>,
}

/// A step without its wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Vec<u8>),
    Close,
}

impl Outbox {
    /// Beyond so many steps nothing more is read, so that a client that asks faster than late
    /// replies go out cannot fill the memory.
    const ROOM: usize = 1_024;

    /// Plans the actions that follow from a request heard at that moment.
    pub(super) fn schedule(&mut self, actions: Vec<Action>, heard: Instant) {
        let mut at = heard;
        for action in actions {
            let step = match action {
                Action::Wait(pause) => {
                    at += pause;
                    continue;
                }
                Action::Send(bytes) => Step::Send(bytes),
                Action::Close => Step::Close,
            };
            if let Some((last, _)) = self.steps.back() {
                at = at.max(*last);
            }
            self.steps.push_back((at, step));
        }
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The next step, if its moment has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<Step> {
        if self.due()? > now {
            return None;
        }
        self.steps.pop_front().map(|(_, step)| step)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.steps.len() < Self::ROOM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn send(byte: u8) -> Action {
        Action::Send(vec![byte])
    }

    /// All steps as (milliseconds after `start`, first byte).
    fn timetable(mut outbox: Outbox, start: Instant) -> Vec<(u128, Option<u8>)> {
        let mut rows = Vec::new();
        while let Some(due) = outbox.due() {
            assert_eq!(
                outbox.take(due.checked_sub(ms(1)).unwrap()),
                None,
                "sent before its time"
            );
            let byte = match outbox.take(due) {
                Some(Step::Send(bytes)) => bytes.first().copied(),
                _ => None,
            };
            rows.push(((due - start).as_millis(), byte));
        }
        rows
    }

    #[test]
    fn late_replies_are_late_each_by_its_own_request_and_do_not_pile_up() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.schedule(vec![Action::Wait(ms(3_000)), send(1)], start);
        outbox.schedule(vec![Action::Wait(ms(3_000)), send(2)], start + ms(1_000));
        outbox.schedule(vec![Action::Close], start + ms(1_500));
        let expected = [(3_000, Some(1)), (4_000, Some(2)), (4_000, None)];
        assert_eq!(timetable(outbox, start), expected);
    }

    #[test]
    fn the_pieces_of_two_replies_do_not_mix() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.schedule(vec![send(1), Action::Wait(ms(20)), send(1)], start);
        outbox.schedule(vec![send(2), Action::Wait(ms(20)), send(2)], start + ms(5));
        let expected = [(0, Some(1)), (20, Some(1)), (20, Some(2)), (40, Some(2))];
        assert_eq!(timetable(outbox, start), expected);
    }

    #[test]
    fn there_is_an_end_to_what_can_wait() {
        let mut outbox = Outbox::default();
        assert!(outbox.has_room() && outbox.is_empty());
        let actions = (0..Outbox::ROOM).map(|_| send(1)).collect();
        outbox.schedule(actions, Instant::now());
        assert!(!outbox.has_room());
    }
}

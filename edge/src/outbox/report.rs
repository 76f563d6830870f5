//! From pending intervals to signed reports.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::channel::{Channel, Missing, Quality};
use gridtally_protocol::envelope::EnvelopeError;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::{Message as _, MessageError, Signed};
use gridtally_protocol::report::{ClockState, RESOLUTION_MAX, Report, SAMPLES_MAX, Series};
use gridtally_protocol::time::Timestamp;
use rusqlite::params;

use super::{Kind, Outbox, OutboxError, Pending, chain, delivery, pending, sequence_column};

impl Outbox {
    /// Names `beacon` in the reports that are signed from now on, unless a later one is held; whether it is new.
    ///
    /// Kept in memory only: the broker retains it, and after a long time without the broker it would say nothing.
    pub fn hold_beacon(&mut self, beacon: &Signed<Beacon>) -> bool {
        // Not by its number: an engine whose disk was restored uses numbers again.
        let issued_at = beacon.message.issued_at;
        let is_new = self.beacon.is_none_or(|(held, _)| issued_at > held);
        if is_new {
            self.beacon = Some((issued_at, beacon.digest));
        }
        is_new
    }

    /// Signs the oldest pending intervals as the next report, forced to the disk: the chain, the message
    /// and the removal of the intervals are one transaction. Takes at most `intervals_max` that follow on
    /// one another, and fewer where the report would be too long.
    ///
    /// Returns whether anything was signed. A disk that takes nothing is no error: nothing is signed then,
    /// and the intervals wait.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn seal_report(
        &mut self,
        intervals_max: usize,
        now: Timestamp,
        clock: ClockState,
    ) -> Result<bool, OutboxError> {
        let beacon = self.beacon.map(|(_, digest)| digest);
        let sealed = self.durably(|transaction, key| {
            let waiting = pending(transaction)?;
            let mut run = contiguous(&waiting, intervals_max.min(SAMPLES_MAX));
            let Some(first) = run.first() else { return Ok(0) };
            let (sequence, previous) = chain(transaction)?;
            let sequence = sequence
                .checked_add(1)
                .ok_or_else(|| OutboxError::corrupt("sequence number", "it has no successor"))?;
            let mut report = Report {
                sequence,
                previous,
                issued_at: now,
                clock,
                start: first.interval.start(),
                interval: first.interval.length(),
                series: Vec::new(),
                beacon,
            };
            let envelope = loop {
                report.series = series(run);
                match report.seal(key) {
                    Err(MessageError::Envelope(EnvelopeError::TooLong { .. })) if run.len() > 1 => {
                        run = run.get(..run.len().div_ceil(2)).unwrap_or_default();
                    }
                    sealed => break sealed?,
                }
            };
            let digest = Digest::of(&envelope);
            let number = sequence_column(sequence)?;
            let added = delivery::enqueue(transaction, Kind::Report, &envelope, Some(number), now)?;
            transaction.execute(
                "UPDATE chain SET sequence = ?1, digest = ?2",
                params![number, digest.as_bytes()],
            )?;
            for sealed in run {
                transaction
                    .prepare_cached("DELETE FROM interval WHERE start = ?1")?
                    .execute([sealed.interval.start().unix()])?;
            }
            Ok(added)
        });
        let sealed = match sealed {
            Err(error) if error.is_storage() => {
                self.complain(&error);
                return Ok(false);
            }
            sealed => sealed?,
        };
        self.depth = self.depth.saturating_add(sealed);
        Ok(sealed > 0)
    }
}

/// The longest run from the oldest on of intervals of one length, each beginning where the one before ends.
fn contiguous(waiting: &[Pending], max: usize) -> &[Pending] {
    let follows = waiting
        .windows(2)
        .take_while(|pair| match pair {
            [a, b] => a.interval.end() == b.interval.start() && a.interval.length() == b.interval.length(),
            _ => false,
        })
        .count();
    let len = waiting.len().min(follows.saturating_add(1)).min(max);
    waiting.get(..len).unwrap_or_default()
}

/// The samples channel by channel. A channel that some interval does not have (the config was changed in
/// between) had no start there.
fn series(run: &[Pending]) -> Vec<Series> {
    let channels: BTreeSet<Channel> = run
        .iter()
        .flat_map(|p| p.samples.iter().map(|s| s.channel))
        .collect();
    channels
        .into_iter()
        .map(|channel| {
            let values: Vec<Result<i64, Missing>> = run
                .iter()
                .map(|pending| {
                    let sample = pending.samples.iter().find(|s| s.channel == channel);
                    sample.map_or(Err(Missing::NoStart), |s| s.value.map(|v| v.get()))
                })
                .collect();
            let (resolution, step) = resolution(&values);
            let samples = values
                .into_iter()
                .map(|value| value.map(|v| v.checked_div(step).unwrap_or(v)))
                .collect();
            Series {
                channel,
                resolution,
                samples,
                qualities: qualities(channel, run),
            }
        })
        .collect()
}

/// What is to be known of the values of a channel, by the number of the interval.
fn qualities(channel: Channel, run: &[Pending]) -> BTreeMap<u16, Quality> {
    let quality = |(pending, index): (&Pending, u16)| {
        let sample = pending.samples.iter().find(|s| s.channel == channel)?;
        let quality = sample.quality.filter(|_| sample.value.is_ok())?;
        Some((index, quality))
    };
    run.iter().zip(0_u16..).filter_map(quality).collect()
}

/// The coarsest power of ten that divides all values, so that each is exact in the fewest bytes.
fn resolution(values: &[Result<i64, Missing>]) -> (u8, i64) {
    let all_divide = |step: i64| values.iter().flatten().all(|v| v.checked_rem(step) == Some(0));
    if all_divide(i64::MAX) {
        return (0, 1);
    }
    let mut best = (0, 1_i64);
    for resolution in 1..=RESOLUTION_MAX {
        match best.1.checked_mul(10) {
            Some(step) if all_divide(step) => best = (resolution, step),
            _ => break,
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolution_is_the_coarsest_that_is_exact() {
        assert_eq!(resolution(&[Ok(1_200), Err(Missing::NoStart), Ok(0)]), (2, 100));
        assert_eq!(resolution(&[Ok(-1_000), Ok(25_000)]), (3, 1_000));
        assert_eq!(resolution(&[Ok(1)]), (0, 1));
        assert_eq!(resolution(&[Ok(0), Err(Missing::BadSample)]), (0, 1));
        assert_eq!(resolution(&[]), (0, 1));
        assert_eq!(resolution(&[Ok(10_000_000_000_000)]), (9, 1_000_000_000));
    }
}

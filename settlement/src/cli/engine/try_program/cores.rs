//! Trying all days, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::TryProgramError;
use crate::rules::trial::data::TrialEvent;
use crate::rules::trial::tries::{Scores, TryError, Trying};

/// So many site-days are tried, each under each rule.
const WORK_MAX: usize = 5_000_000;
/// From so many on, progress is told.
const WORK_TOLD: usize = 20_000;

/// Tries all days. Sums do not depend on who adds first.
pub(super) fn try_all(trying: &Trying<'_>, days: &[TrialEvent]) -> Result<Scores, TryProgramError> {
    let (sites, rules) = (trying.sites.len(), trying.contenders.len());
    let work = days.len().saturating_mul(sites).saturating_mul(rules);
    if work > WORK_MAX {
        let (days, most) = (days.len(), WORK_MAX);
        return Err(TryProgramError::TooMuch {
            days,
            sites,
            rules,
            most,
        });
    }
    let done = AtomicUsize::new(0);
    let step = (days.len() / 10).max(1);
    let one = |day: &TrialEvent| {
        let scores = trying.day(day);
        let now = done.fetch_add(1, Ordering::Relaxed) + 1;
        if work >= WORK_TOLD && now.is_multiple_of(step) {
            eprintln!("tried {now} of {} days under {rules} rules", days.len());
        }
        scores
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = days.len().div_ceil(cores).max(1);
    let part = |days: &[TrialEvent]| -> Result<Scores, TryError> {
        let mut sum = Scores::default();
        for day in days {
            sum.join(&one(day)?)?;
        }
        Ok(sum)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = days
            .chunks(share)
            .map(|days| scope.spawn(|| part(days)))
            .collect();
        let mut sum = Scores::default();
        for thread in threads {
            sum.join(&thread.join().map_err(|_| TryProgramError::Thread)??)?;
        }
        Ok(sum)
    })
}

//! The same work for many things, on all cores, with the results in the order of the things.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

/// So many things are taken at a time: enough that nobody waits for work, few enough that all end together.
pub(crate) const STRETCH: usize = 32;

/// What `work` makes of each thing, in their order, whatever the number of cores.
pub(crate) fn map<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_together(things, STRETCH, |stretch| stretch.iter().map(&work).collect())
}

/// As [`map`], where `work` takes up to so many neighbouring things together.
pub(crate) fn map_together<T: Sync, R: Send>(
    things: &[T],
    together: usize,
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    map_on(cores, things, together, work)
}

/// As [`map`], for a few large things: each gets a core of its own.
pub(crate) fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let workers: Vec<_> = things
            .iter()
            .map(|thing| scope.spawn(move || work(thing)))
            .collect();
        let joined = workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        joined.collect()
    })
}

fn map_on<T: Sync, R: Send>(
    cores: usize,
    things: &[T],
    together: usize,
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    let stretches: Vec<&[T]> = things.chunks(together.max(1)).collect();
    if cores < 2 || stretches.len() < 2 {
        return stretches.into_iter().flat_map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done: Vec<(usize, Vec<R>)> = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(stretch) = stretches.get(number) else {
                return done;
            };
            done.push((number, work(stretch)));
        }
    };
    let mut done: Vec<(usize, Vec<R>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(stretches.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let joined = workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        joined.flatten().collect()
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_stand_in_the_order_of_the_things() {
        for len in [0, 1, STRETCH, STRETCH + 1, 10 * STRETCH + 7] {
            let things: Vec<usize> = (0..len).collect();
            for cores in [1, 2, 7] {
                let doubled: Vec<usize> = things.iter().map(|n| n * 2).collect();
                let double = |few: &[usize]| few.iter().map(|n| n * 2).collect();
                assert_eq!(map_on(cores, &things, 5, double), doubled, "{len} on {cores}");
            }
        }
    }

    #[test]
    fn a_panic_of_the_work_is_not_swallowed() {
        let things: Vec<usize> = (0..100).collect();
        let failed = panic::catch_unwind(|| {
            map_on(2, &things, 8, |few| {
                few.iter().map(|n| assert!(*n != 50)).collect()
            })
        });
        assert!(failed.is_err());
    }
}

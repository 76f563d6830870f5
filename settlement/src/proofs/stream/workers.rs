//! Pages go to whoever is free, and come together in the order of names.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use gridtally_protocol::quantity::{Overflow, TokenAmount};

use super::page::Part;
use super::{Options, Plan, StreamError, Total};
use crate::store::stream::{EnrolledSite, Reader, Snapshot};

/// A worker may be this many pages ahead of the slowest.
const AHEAD: usize = 4;

/// Which page is next.
#[derive(Default)]
struct Turn {
    after: Option<String>,
    next: usize,
    /// How many pages have come together.
    done: usize,
    /// No more pages: there are none, or something went wrong.
    over: bool,
}

struct Desk {
    turn: Mutex<Turn>,
    moved: Condvar,
    ahead: usize,
    page: i64,
}

impl Desk {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Who panicked is heard of when the threads are joined.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(
        &self,
        plan: &Plan<'_>,
        reader: &mut Reader,
    ) -> Result<Option<(usize, Vec<EnrolledSite>)>, StreamError> {
        let too_far = |turn: &mut Turn| !turn.over && turn.next >= turn.done.saturating_add(self.ahead);
        let waited = self.moved.wait_while(self.turn(), too_far);
        let mut turn = waited.unwrap_or_else(PoisonError::into_inner);
        if turn.over {
            return Ok(None);
        }
        let sites = reader.sites(&plan.program.id, turn.after.as_deref(), self.page)?;
        let Some(last) = sites.last() else {
            turn.over = true;
            return Ok(None);
        };
        turn.after = Some(last.site.clone());
        let place = turn.next;
        turn.next = place.saturating_add(1);
        Ok(Some((place, sites)))
    }

    fn update(&self, change: impl FnOnce(&mut Turn)) {
        change(&mut self.turn());
        self.moved.notify_all();
    }
}

/// Lets nobody wait for a worker that panicked; the panic itself is heard of when the threads are joined.
struct Leaving<'d>(&'d Desk);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.update(|turn| turn.over = true);
        }
    }
}

/// What is done with a page.
pub(super) type Work<'w> = &'w (dyn Fn(&mut Reader, &[EnrolledSite]) -> Result<Part, StreamError> + Sync);

pub(super) fn run(
    plan: &Plan<'_>,
    (url, snapshot): (&str, &Snapshot),
    options: &Options,
    settle: Work<'_>,
    mut sites: Option<&mut dyn Write>,
    mut progress: impl FnMut(u64),
) -> Result<Total, StreamError> {
    let workers = options.workers.max(1);
    let desk = Desk {
        turn: Mutex::new(Turn::default()),
        moved: Condvar::new(),
        ahead: workers.saturating_mul(AHEAD),
        page: i64::try_from(options.page.max(1)).unwrap_or(i64::MAX),
    };
    let work = |results: mpsc::Sender<Result<(usize, Part), StreamError>>| {
        let _leaving = Leaving(&desk);
        let pages = || {
            let mut reader = Reader::open(url, snapshot)?;
            while let Some((place, sites)) = desk.next(plan, &mut reader)? {
                // Nobody listens any more where something went wrong.
                let _ = results.send(Ok((place, settle(&mut reader, &sites)?)));
            }
            Ok(())
        };
        if let Err(error) = pages() {
            desk.update(|turn| turn.over = true);
            let _ = results.send(Err(error));
        }
    };
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        let mut total = Total::default();
        let mut waiting: BTreeMap<usize, Part> = BTreeMap::new();
        let mut next = 0_usize;
        let gather = || {
            for result in results {
                let (place, part) = result?;
                waiting.insert(place, part);
                while let Some(part) = waiting.remove(&next) {
                    if let Some(out) = sites.as_deref_mut() {
                        if next > 0 {
                            out.write_all(b",")?;
                        }
                        out.write_all(&part.bytes)?;
                    }
                    total.add(part)?;
                    next = next.saturating_add(1);
                    progress(total.looked.sites);
                }
                desk.update(|turn| turn.done = next);
            }
            Ok(())
        };
        let gathered = gather();
        desk.update(|turn| turn.over = true);
        gathered.map(|()| total)
    })
}

impl Total {
    fn add(&mut self, part: Part) -> Result<(), StreamError> {
        self.sum.join(&part.sum)?;
        for (who, amount) in part.earned {
            let sum = self.earned.entry(who).or_insert(TokenAmount::ZERO);
            *sum = sum.checked_add(amount).map_err(overflow)?;
        }
        let (all, more) = (&mut self.looked, part.looked);
        all.sites = all.sites.saturating_add(more.sites);
        all.bytes = all.bytes.saturating_add(more.bytes);
        all.read_again = all.read_again.saturating_add(more.read_again);
        all.judged = all.judged.saturating_add(more.judged);
        Ok(())
    }
}

fn overflow(error: Overflow) -> StreamError {
    super::derive::at("case")(error).into()
}

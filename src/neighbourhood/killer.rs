//! Kills processes outright, at moments drawn from a seed, while a neighbourhood runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::engine::Engine;

/// What may be killed.
#[derive(Debug, Clone)]
pub enum Victim {
    /// The settlement engine; it is started again at once.
    Engine(Engine),
    /// A program that somebody else starts again, found by the file with its process number.
    PidFile(PathBuf),
    /// An agent, whose process number stands in the cell; the neighbourhood starts it again.
    Agent(Arc<AtomicU32>),
}

/// A thread that kills one victim after another until it is told to stop.
#[derive(Debug)]
pub struct Killer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Killer {
    /// Kills `kills` times, with pauses drawn from the seed between `least` and `most`.
    #[must_use]
    pub fn start(victims: Vec<Victim>, seed: u64, kills: u32, least: Duration, most: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut random = Sequence(seed);
            let mut killed = 0;
            while killed < kills {
                let spread = u64::try_from(most.saturating_sub(least).as_millis())
                    .unwrap_or(0)
                    .max(1);
                thread::park_timeout(least + Duration::from_millis(random.next() % spread));
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let count = u64::try_from(victims.len()).unwrap_or(1).max(1);
                let chosen = usize::try_from(random.next() % count).unwrap_or(0);
                if victims.get(chosen).is_some_and(kill) {
                    killed += 1;
                }
            }
            killed
        });
        Self { stop, thread }
    }

    /// Ends the killing and says how often it happened.
    #[must_use]
    pub fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or(0)
    }
}

fn kill(victim: &Victim) -> bool {
    match victim {
        Victim::Engine(engine) => {
            let done = engine.pid().is_some_and(kill_process);
            done && engine.revive().is_ok()
        }
        Victim::PidFile(path) => std::fs::read_to_string(path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .is_some_and(kill_process),
        Victim::Agent(pid) => kill_process(pid.load(Ordering::Relaxed)),
    }
}

fn kill_process(pid: u32) -> bool {
    pid != 0
        && Command::new("kill")
            .args(["-9", &pid.to_string()])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// SplitMix64: enough for choosing moments.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

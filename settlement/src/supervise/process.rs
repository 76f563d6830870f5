//! Processes that are not our children: what an owner that was killed left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::error::SuperviseError;

/// The signals that end a program, from polite to final, and how long each is waited for.
pub(super) type Ladder = &'static [(Signal, Duration)];

/// A process that was found running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub process_id: u32,
}

/// Every process whose working directory is `dir`: of a PostgreSQL cluster, its postmaster and all of
/// the postmaster's children. Ours to see only as root or as the same user, which is what we are.
pub(super) fn working_in(dir: &Path) -> Vec<Found> {
    let Ok(dir) = fs::canonicalize(dir) else {
        return Vec::new();
    };
    all()
        .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == dir))
        .filter_map(found)
        .collect()
}

/// Every process of `program` that has `argument` among its arguments.
pub(super) fn with_argument(program: &str, argument: &Path) -> Vec<Found> {
    let argument = argument.as_os_str().as_encoded_bytes();
    let matches = |process: &PathBuf| {
        let command_line = fs::read(process.join("cmdline")).unwrap_or_default();
        let mut arguments = command_line.split(|byte| *byte == 0);
        let is_program = arguments
            .next()
            .and_then(|path| path.rsplit(|byte| *byte == b'/').next())
            .is_some_and(|name| name == program.as_bytes());
        is_program && arguments.any(|other| other == argument)
    };
    all().filter(matches).filter_map(found).collect()
}

/// Ends every process that `search` finds, by going up the ladder.
pub(super) fn end_all(
    program: &'static str,
    search: impl Fn() -> Vec<Found>,
    ladder: Ladder,
) -> Result<(), SuperviseError> {
    let mut remaining = search();
    for (signal, patience) in ladder {
        for process in &remaining {
            tracing::warn!(
                program,
                process_id = process.process_id,
                ?signal,
                "stopping what an earlier run left behind"
            );
            send(process.process_id, *signal);
        }
        let start = Instant::now();
        while !remaining.is_empty() && start.elapsed() < *patience {
            std::thread::sleep(Duration::from_millis(10));
            remaining = search();
        }
        if remaining.is_empty() {
            return Ok(());
        }
    }
    match remaining.first() {
        None => Ok(()),
        Some(process) => Err(SuperviseError::Undead {
            program,
            process_id: process.process_id,
        }),
    }
}

/// A process that has ended in the meantime is as good as one that was signalled.
fn send(process_id: u32, signal: Signal) {
    let Some(pid) = i32::try_from(process_id).ok().and_then(Pid::from_raw) else {
        return;
    };
    if let Err(error) = kill_process(pid, signal)
        && io::Error::from(error).kind() != io::ErrorKind::NotFound
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(process_id, ?signal, %error, "the signal could not be sent");
    }
}

fn all() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn found(process: PathBuf) -> Option<Found> {
    let process_id = process.file_name()?.to_str()?.parse().ok()?;
    Some(Found { process_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const LADDER: Ladder = &[
        (Signal::TERM, Duration::from_millis(100)),
        (Signal::KILL, Duration::from_secs(10)),
    ];

    #[test]
    fn processes_are_found_by_directory_and_by_argument_and_ended_even_if_they_resist() {
        let dir = tempfile::tempdir().unwrap();
        let mut stubborn = Command::new("sh")
            .args(["-c", "trap '' TERM; while :; do sleep 0.05; done"])
            .arg(dir.path())
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        let expected = [Found {
            process_id: stubborn.id(),
        }];
        // Its arguments show a moment after it was started.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while with_argument("sh", dir.path()) != expected {
            assert!(std::time::Instant::now() < deadline, "the process was not found");
            std::thread::yield_now();
        }
        let reaper = std::thread::spawn({
            let id = stubborn.id();
            move || (id, stubborn.wait().unwrap())
        });
        let found = working_in(dir.path());
        assert!(with_argument("bash", dir.path()).is_empty());
        assert!(!found.is_empty());
        end_all("sh", || working_in(dir.path()), LADDER).unwrap();
        let (id, status) = reaper.join().unwrap();
        assert!(found.contains(&Found { process_id: id }) && !status.success());
        assert!(working_in(dir.path()).is_empty());
    }
}

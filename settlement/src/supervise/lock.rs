//! Who may run a server, and who is using it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::{At, SuperviseError};

/// A held lock. The operating system releases it when its holder ends, in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// How long a lock that was let go may linger: a process that another thread begins in that moment
    /// holds it between its fork and its exec.
    pub(super) const LINGERS: Duration = Duration::from_secs(1);

    /// The only lock of its kind, or `None` if somebody holds it in either way.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Lock>, SuperviseError> {
        Lock::taken(path, File::try_lock)
    }

    /// A lock beside others of this kind, or `None` if somebody holds it exclusively.
    pub(super) fn try_shared(path: &Path) -> Result<Option<Lock>, SuperviseError> {
        Lock::taken(path, File::try_lock_shared)
    }

    /// Tries for the exclusive lock for so long.
    pub(super) fn exclusive_within(path: &Path, limit: Duration) -> Result<Option<Lock>, SuperviseError> {
        let start = Instant::now();
        loop {
            let lock = Lock::try_exclusive(path)?;
            if lock.is_some() || start.elapsed() >= limit {
                return Ok(lock);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn taken(
        path: &Path,
        take: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Lock>, SuperviseError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .at("open the lock file", path)?;
        match take(&file) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at("lock", path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_lingers_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::exclusive_within(&path, Duration::ZERO).unwrap().is_none());
        let lingering = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        assert!(Lock::exclusive_within(&path, Lock::LINGERS).unwrap().is_some());
        lingering.join().unwrap();
    }

    #[test]
    fn an_owner_excludes_everybody_and_users_exclude_only_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let owner = Lock::try_exclusive(&path).unwrap().expect("free");
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::try_shared(&path).unwrap().is_none());
        drop(owner);
        let (one, two) = (Lock::try_shared(&path).unwrap(), Lock::try_shared(&path).unwrap());
        assert!(one.is_some() && two.is_some());
        assert!(
            Lock::exclusive_within(&path, Duration::from_millis(1))
                .unwrap()
                .is_none()
        );
        drop((one, two));
        assert!(Lock::exclusive_within(&path, Duration::ZERO).unwrap().is_some());
    }
}

//! The time in which a device is watched: the clock, or the stepped time of a simulated device.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gridtally_protocol::time::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// Somebody asked for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted;

/// A time that passes.
pub trait Time {
    /// The present.
    fn now(&self) -> Timestamp;

    /// Lets so many seconds pass.
    ///
    /// # Errors
    /// [`Interrupted`] where somebody asked for the end meanwhile, or before.
    fn pass(&mut self, seconds: u32) -> impl Future<Output = Result<(), Interrupted>>;
}

/// The system's clock. Ctrl-C, a terminal that goes away and a service that is stopped interrupt it.
#[derive(Debug)]
pub struct RealTime {
    signals: [Signal; 3],
}

impl RealTime {
    /// Listens to the signals from now on: they do not end the process any more.
    ///
    /// # Errors
    /// What the system says where it has no signals. There has to be a runtime.
    pub fn new() -> std::io::Result<Self> {
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { signals })
    }
}

impl Time for RealTime {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
        Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH)
    }

    async fn pass(&mut self, seconds: u32) -> Result<(), Interrupted> {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            () = sleep(Duration::from_secs(u64::from(seconds))) => Ok(()),
            _ = interrupt.recv() => Err(Interrupted),
            _ = terminate.recv() => Err(Interrupted),
            _ = hangup.recv() => Err(Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_terminal_that_goes_away_interrupts_the_wait_and_the_next_wait_goes_on() {
        let mut time = RealTime::new().unwrap();
        let process = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-HUP", &process])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(time.pass(3_600).await, Err(Interrupted));
        assert_eq!(time.pass(0).await, Ok(()));
        assert!(time.now() > Timestamp::EPOCH);
    }
}

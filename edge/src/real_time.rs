//! Real time: a tick every few seconds and at every boundary, until the system asks for the end.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::agent::{Agent, AgentError, Next};
use crate::config::AgentConfig;

/// Between two ticks, where no boundary lies nearer.
pub const TICK_SECONDS: u32 = 5;
/// systemd-timesyncd keeps this file while the clock is disciplined.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Why the agent ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum RealTimeError {
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The system's signals cannot be listened to.
    #[error("the signals of the system cannot be listened to: {0}")]
    Signals(std::io::Error),
}

/// Runs the agent until SIGINT or SIGTERM. SIGHUP reads the config anew by `load`; a config that is wrong, or
/// with which the agent cannot start, leaves the one that runs in force.
///
/// # Errors
/// [`RealTimeError`].
pub async fn run<E: Display>(
    mut config: AgentConfig,
    start: impl Fn(AgentConfig) -> Result<Agent, AgentError>,
    load: impl Fn() -> Result<AgentConfig, E>,
) -> Result<(), RealTimeError> {
    let mut signals = Signals::listen().map_err(RealTimeError::Signals)?;
    let mut agent = start(config.clone())?;
    tracing::info!(gateway = %agent.identity(), "the agent runs");
    tell_system(&[NotifyState::Ready]);
    loop {
        let new = match live(&mut agent, &mut signals).await? {
            Ended::Asked => break,
            Ended::Reload => match load() {
                Ok(new) => new,
                Err(error) => {
                    tracing::error!("{error}; the config that runs stays in force");
                    continue;
                }
            },
        };
        // As after a crash, but with a goodbye: what is under way goes on with the new config.
        agent.leave().await;
        agent = match start(new.clone()) {
            Ok(agent) => {
                tracing::info!("the new config is in force");
                config = new;
                agent
            }
            Err(error) => {
                tracing::error!(
                    "with the new config the agent cannot start: {error}; the old one stays in force"
                );
                start(config.clone())?
            }
        };
    }
    tell_system(&[NotifyState::Stopping]);
    tracing::info!("the agent ends; the battery goes back to its owner's setting");
    Ok(agent.stop(Some(now().0)).await?)
}

/// What the system can say.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Why an agent's life is over.
enum Ended {
    /// The system asks for the end.
    Asked,
    /// There may be a new config.
    Reload,
}

async fn live(agent: &mut Agent, signals: &mut Signals) -> Result<Ended, AgentError> {
    let mut next_tick = Instant::now();
    loop {
        let resend_at = agent.resend_at().map_or(next_tick, |at| at.min(next_tick));
        tokio::select! {
            () = sleep_until(next_tick) => {
                agent.tick(now().0, clock_state()).await?;
                tell_system(&[NotifyState::Watchdog]);
                let (now, fraction) = now();
                next_tick = Instant::now() + until_next_tick(now, fraction, agent.next_boundary(now));
            }
            event = agent.next_event() => {
                if let Some(event) = event
                    && agent.take(event, now().0)? == Next::Tick
                {
                    next_tick = Instant::now();
                }
            }
            () = sleep_until(resend_at), if resend_at < next_tick => agent.resend()?,
            _ = signals.interrupt.recv() => return Ok(Ended::Asked),
            _ = signals.terminate.recv() => return Ok(Ended::Asked),
            _ = signals.hangup.recv() => return Ok(Ended::Reload),
        }
    }
}

/// Tells systemd, where it is that which started the agent.
fn tell_system(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd is not told");
    }
}

fn until_next_tick(now: Timestamp, fraction: Duration, boundary: Timestamp) -> Duration {
    let to_boundary = u64::try_from(boundary.seconds_since(now)).unwrap_or(0);
    let seconds = to_boundary.clamp(1, u64::from(TICK_SECONDS));
    Duration::from_secs(seconds).saturating_sub(fraction)
}

/// The system's clock: whole seconds, and what is beyond them. A clock before 1970 reads as 1970, at which
/// nothing is due that was not due before.
fn now() -> (Timestamp, Duration) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let instant = Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH);
    (instant, Duration::from_nanos(u64::from(since.subsec_nanos())))
}

fn clock_state() -> ClockState {
    if Path::new(SYNCHRONISED).exists() {
        ClockState::Synchronised
    } else {
        ClockState::FreeRunning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_falls_on_the_boundary_and_otherwise_every_five_seconds() {
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        let half = Duration::from_millis(500);
        assert_eq!(
            until_next_tick(at(0), half, at(300)),
            Duration::from_millis(4_500)
        );
        assert_eq!(
            until_next_tick(at(298), half, at(300)),
            Duration::from_millis(1_500)
        );
        assert_eq!(until_next_tick(at(300), half, at(300)), half);
    }
}

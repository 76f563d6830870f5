//! What the owner says to the agent, from the page or from Home Assistant.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::state::OptOutScope;

/// How many commands may wait: an owner has one thumb.
pub const COMMANDS_MAX: usize = 8;
/// How long the agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the owner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerCommand {
    /// Take no part. The battery goes back to the owner's setting at once.
    OptOut(OptOutScope),
    /// Take part again.
    OptIn,
}

/// A command and the way back.
#[derive(Debug)]
pub struct OwnerRequest {
    /// What the owner wants.
    pub command: OwnerCommand,
    /// `Err` with a sentence for the owner where it cannot be done.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// Why a command had no effect, or none that is known of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The agent said no.
    #[error("{0}")]
    Refused(String),
    /// Too many commands wait.
    #[error("the agent has not done the last commands yet; wait a moment and try again")]
    Busy,
    /// The agent is stopping.
    #[error("the agent is stopping; try again when it runs")]
    Gone,
    /// No answer in time. The command may still be done.
    #[error("the agent did not answer in time; look again in a minute whether it was done")]
    Silent,
}

/// Sends a command and waits for its answer, for ten seconds at most.
///
/// # Errors
/// [`CommandError`], a sentence for the owner.
pub async fn send(agent: &mpsc::Sender<OwnerRequest>, command: OwnerCommand) -> Result<(), CommandError> {
    let (answer, answered) = oneshot::channel();
    agent
        .try_send(OwnerRequest { command, answer })
        .map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Gone,
        })?;
    match timeout(ANSWER_WITHIN, answered).await {
        Ok(Ok(answer)) => answer.map_err(CommandError::Refused),
        Ok(Err(_)) => Err(CommandError::Gone),
        Err(_) => Err(CommandError::Silent),
    }
}

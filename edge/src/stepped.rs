//! Stepped time: one JSON line in for each instant, one JSON line out when everything due then is done.
//!
//! ```text
//! → {"now":"2026-04-09T00:05:00Z","until":"delivered"}
//! ← {"done":"2026-04-09T00:05:00Z","outbox":0}
//! ```
//!
//! `"until":"stored"` is answered when everything is in the durable outbox, `"delivered"` when the engine
//! has signed for all of it. The end of the input is an orderly end of the agent.

use std::io::{BufRead, Write};

use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::agent::{Agent, AgentError, Next};

/// No line of the protocol is longer.
const LINE_LEN_MAX: usize = 4096;

/// Why stepping ended.
#[derive(Debug, thiserror::Error)]
pub enum SteppedError {
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A line is not understood.
    #[error("the line {line:?} is no step: {source}")]
    Line {
        /// The line, cut to 120 characters.
        line: String,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// Nobody reads the answers.
    #[error("the answer cannot be written: {0}")]
    Answer(std::io::Error),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    now: Timestamp,
    #[serde(default)]
    until: Until,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Until {
    #[default]
    Delivered,
    Stored,
}

/// Steps the agent by the lines of `input` until it ends.
///
/// # Errors
/// [`SteppedError`].
pub async fn run(
    mut agent: Agent,
    input: impl BufRead + Send + 'static,
    mut output: impl Write,
) -> Result<(), SteppedError> {
    say(
        &mut output,
        &serde_json::json!({ "ready": { "identity": agent.identity() } }),
    )?;
    let mut lines = read_lines(input);
    let mut now = None;
    // The step that is to be answered when its messages are delivered.
    let mut open: Option<Timestamp> = None;
    loop {
        if let Some(step) = open
            && agent.outbox_depth() == 0
        {
            open = None;
            done(&mut output, step, &agent)?;
        }
        let resend_at = agent.resend_at();
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else { break };
                let step = parse(&line)?;
                now = Some(step.now);
                agent.tick(step.now, ClockState::Synchronised).await?;
                match step.until {
                    Until::Stored => done(&mut output, step.now, &agent)?,
                    Until::Delivered => open = Some(step.now),
                }
            }
            // Without a time nothing that comes can be judged: it waits in the link.
            event = agent.next_event(), if now.is_some() => {
                if let (Some(event), Some(now)) = (event, now)
                    && agent.take(event, now)? == Next::Tick
                {
                    agent.tick(now, ClockState::Synchronised).await?;
                }
            }
            () = until(resend_at) => agent.resend()?,
        }
    }
    Ok(agent.stop(now).await?)
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn parse(line: &str) -> Result<Step, SteppedError> {
    serde_json::from_str(line).map_err(|source| SteppedError::Line {
        line: line.chars().take(120).collect(),
        source,
    })
}

fn done(output: &mut impl Write, step: Timestamp, agent: &Agent) -> Result<(), SteppedError> {
    say(
        output,
        &serde_json::json!({ "done": step, "outbox": agent.outbox_depth() }),
    )
}

fn say(output: &mut impl Write, line: &serde_json::Value) -> Result<(), SteppedError> {
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(SteppedError::Answer)
}

/// Reads lines on a thread of their own: standard input has no other way of being waited for.
fn read_lines(input: impl BufRead + Send + 'static) -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut input = input;
        loop {
            let mut line = String::new();
            let mut limited =
                std::io::Read::take(&mut input, u64::try_from(LINE_LEN_MAX).unwrap_or(u64::MAX));
            match limited.read_line(&mut line) {
                Ok(length) if length > 0 => {}
                _ => return,
            }
            if !line.trim().is_empty() && to.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

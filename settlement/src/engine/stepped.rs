//! The engine in stepped time: a line of standard input is an instant, a line of standard output its end.

use std::io::{BufRead as _, Write as _};

use gridtally_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{EngineError, Parts, Working};
use crate::clock::Clock;
use crate::store::Store;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    now: Timestamp,
}

pub(super) fn run(parts: &Parts) -> Result<(), EngineError> {
    // The schema is there before anybody is told where the database is.
    drop(Store::open(&parts.url)?);
    say(
        &json!({ "ready": { "broker": parts.broker, "database": parts.url, "identity": parts.identity() } }),
    )?;
    let clock = Clock::stepped();
    let mut working: Option<Working> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|source| EngineError::Io {
            what: "cannot read the next step",
            source,
        })?;
        let Step { now } = read(&line)?;
        clock.set(now);
        let at_work = match working.take() {
            Some(at_work) => at_work,
            None => Working {
                lighthouse: None,
                ..Working::start(parts, clock.clone())?
            },
        };
        let at_work = working.insert(at_work);
        let unanswered = at_work.tick(now)?;
        say(&json!({ "done": now, "unanswered": unanswered }))?;
    }
    if let Some(working) = working {
        working.stop();
    }
    Ok(())
}

fn read(line: &str) -> Result<Step, EngineError> {
    serde_json::from_str(line).map_err(|e| EngineError::Step {
        line: line.chars().take(200).collect(),
        reason: e.to_string(),
    })
}

fn say(answer: &serde_json::Value) -> Result<(), EngineError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")
        .and_then(|()| out.flush())
        .map_err(|source| EngineError::Io {
            what: "cannot answer the step",
            source,
        })
}

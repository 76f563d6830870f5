//! The engine, as far as the home can see it: its key in the config, and what of the outbox it has signed for.

use std::path::Path;
use std::time::Duration;

use gridtally_protocol::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::finding::Finding;
use crate::config::{AgentConfig, EXAMPLE};
use crate::outbox;

/// After so long without a receipt the engine, or the way to it, is not well.
const SILENCE_MAX: i64 = 86_400;

/// An agent that has the memory keeps it; only one that is just starting is worth waiting for.
const BUSY_WAIT: Duration = Duration::from_millis(300);

/// What the memory of the agent shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outbox {
    /// There is none yet.
    Absent,
    /// An agent has it open.
    Held,
    /// It cannot be read.
    Unreadable(String),
    /// How many reports were made, how many messages wait for a receipt and since when, how many were refused.
    Seen {
        reports: i64,
        waiting: i64,
        oldest: Option<i64>,
        refused: i64,
    },
}

/// Looks into the memory without changing it.
pub(super) fn look(data: &Path) -> Outbox {
    let file = data.join(outbox::FILE);
    if !file.exists() {
        return Outbox::Absent;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let seen = Connection::open_with_flags(&file, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_WAIT)?;
        connection.query_row(
            "SELECT (SELECT max(sequence) FROM chain), (SELECT count(*) FROM message),
                    (SELECT min(sealed_at) FROM message), (SELECT count(*) FROM refused)",
            [],
            |row| {
                Ok(Outbox::Seen {
                    reports: row.get::<_, Option<i64>>(0)?.unwrap_or(0),
                    waiting: row.get(1)?,
                    oldest: row.get(2)?,
                    refused: row.get(3)?,
                })
            },
        )
    });
    seen.unwrap_or_else(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Outbox::Held,
        _ => Outbox::Unreadable(error.to_string()),
    })
}

/// What the outbox tells of the engine.
pub(super) fn outbox(seen: &Outbox, now: Timestamp) -> Finding {
    match seen {
        Outbox::Absent => Finding::well("outbox", "it is empty: the agent has not run yet"),
        Outbox::Held => Finding::well("outbox", "an agent has it in use; its page shows how deep it is"),
        Outbox::Unreadable(why) => Finding::bad(
            "outbox",
            format!("it cannot be read ({why}); is the disk well, and does the state belong to this user?"),
        ),
        Outbox::Seen {
            reports,
            waiting,
            oldest,
            refused,
        } => {
            let age = oldest.map_or(0, |oldest| now.unix().saturating_sub(oldest));
            if *refused > 0 {
                return Finding::odd(
                    "outbox",
                    format!(
                        "the engine refused {refused} messages for good; the agent's log says why. Is this gateway \
                         enrolled with this key and these devices?"
                    ),
                );
            }
            if age > SILENCE_MAX {
                return Finding::bad(
                    "outbox",
                    format!(
                        "{waiting} messages wait for the engine's receipt, the oldest for {} hours; does the engine \
                         run, is this gateway enrolled, and is the engine's key in the config the right one?",
                        age / 3_600
                    ),
                );
            }
            let text = match waiting {
                0 => format!("{reports} reports were made, and the engine has signed for all of them"),
                waiting => {
                    format!("{reports} reports were made; {waiting} messages wait for the engine's receipt")
                }
            };
            Finding::well("outbox", text)
        }
    }
}

/// Whether the engine's key was put in.
pub(super) fn key(config: &AgentConfig) -> Finding {
    let example = AgentConfig::parse(EXAMPLE, Path::new("agent.toml")).ok();
    let is_example = example.is_some_and(|example| example.gateway.engine == config.gateway.engine);
    if is_example {
        return Finding::bad(
            "engine",
            "the key of the engine is still that of the example, so no receipt will ever count; put in the key that \
             your operator gave you (engine = \"did:key:…\")",
        );
    }
    Finding::well("engine", format!("its key is {}", config.gateway.engine))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Health;
    use gridtally_protocol::identity::SigningIdentity;

    fn judged(waiting: i64, oldest: Option<i64>, refused: i64) -> Finding {
        let seen = Outbox::Seen {
            reports: 7,
            waiting,
            oldest,
            refused,
        };
        outbox(&seen, Timestamp::from_unix(1_800_000_000).unwrap())
    }

    #[test]
    fn what_waits_for_a_day_is_bad_and_what_was_refused_is_told() {
        assert_eq!(judged(0, None, 0).health, Health::Well);
        assert_eq!(judged(2, Some(1_799_999_000), 0).health, Health::Well);
        let late = judged(2, Some(1_799_800_000), 0);
        assert!(
            late.health == Health::Bad && late.text.contains("55 hours"),
            "{late:?}"
        );
        assert_eq!(judged(0, None, 1).health, Health::Odd);
    }

    #[test]
    fn the_key_of_the_example_is_no_key() {
        let mut config = AgentConfig::parse(EXAMPLE, Path::new("agent.toml")).unwrap();
        assert_eq!(key(&config).health, Health::Bad);
        config.gateway.engine = SigningIdentity::from_secret(&[9; 32]).unwrap().identity();
        assert_eq!(key(&config).health, Health::Well);
    }

    #[test]
    fn an_outbox_is_seen_when_it_is_closed_and_told_when_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(look(directory.path()), Outbox::Absent);
        let key = SigningIdentity::from_secret(&[9; 32]).unwrap();
        let open = crate::outbox::Outbox::open(directory.path(), key, true).unwrap();
        assert_eq!(look(directory.path()), Outbox::Held);
        drop(open);
        assert!(matches!(
            look(directory.path()),
            Outbox::Seen {
                reports: 0,
                waiting: 0,
                ..
            }
        ));
    }
}

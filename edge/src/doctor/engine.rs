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

/// The fields of [`Seen`], in order.
const SEEN: &str = "
    SELECT (SELECT coalesce(max(sequence), 0) FROM chain),
           (SELECT count(*) FROM message WHERE waiting = 1),
           (SELECT min(sealed_at) FROM message WHERE waiting = 1),
           (SELECT max(delivered_at) FROM message),
           (SELECT count(*) FROM refused),
           (SELECT coalesce(sum(count), 0) FROM dropped)";

/// What the memory of the agent shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outbox {
    /// There is none yet.
    Absent,
    /// An agent has it open.
    Held,
    /// It cannot be read.
    Unreadable(String),
    /// It has the layout of an earlier agent.
    Earlier,
    /// What is in it.
    Seen(Seen),
}

/// What is in the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// How many reports were made.
    reports: i64,
    /// How many messages wait for a receipt.
    waiting: i64,
    /// When the oldest of them was signed.
    oldest: Option<i64>,
    /// When the last receipt came.
    receipt: Option<i64>,
    /// How many messages were refused for good.
    refused: i64,
    /// How many were dropped because there was no room or no time for them.
    dropped: i64,
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
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < outbox::VERSION {
            return Ok(Outbox::Earlier);
        }
        connection.query_row(SEEN, [], |row| {
            Ok(Outbox::Seen(Seen {
                reports: row.get(0)?,
                waiting: row.get(1)?,
                oldest: row.get(2)?,
                receipt: row.get(3)?,
                refused: row.get(4)?,
                dropped: row.get(5)?,
            }))
        })
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
        Outbox::Earlier => Finding::well(
            "outbox",
            "an earlier agent made it; this one brings it up to date at its start",
        ),
        Outbox::Seen(seen) => judge(seen, now),
    }
}

fn judge(seen: &Seen, now: Timestamp) -> Finding {
    let hours = |since: i64| now.unix().saturating_sub(since) / 3_600;
    let Seen { reports, waiting, .. } = seen;
    let last = seen.receipt.map_or_else(
        || "no receipt has come yet".to_owned(),
        |at| {
            Timestamp::from_unix(at)
                .map_or_else(|_| String::new(), |at| format!("the last receipt came at {at}"))
        },
    );
    if let Some(oldest) = seen
        .oldest
        .filter(|oldest| now.unix().saturating_sub(*oldest) > SILENCE_MAX)
    {
        return Finding::bad(
            "outbox",
            format!(
                "{waiting} messages wait for the engine's receipt, the oldest for {} hours; {last}. Does the engine run, \
                 is this gateway enrolled, and is the engine's key in the config the right one?",
                hours(oldest)
            ),
        );
    }
    if seen.refused > 0 {
        return Finding::odd(
            "outbox",
            format!(
                "the engine refused {} messages for good; the agent's log says why. Is this gateway enrolled with this \
                 key and these devices?",
                seen.refused
            ),
        );
    }
    if seen.dropped > 0 {
        return Finding::odd(
            "outbox",
            format!(
                "{} messages were dropped before they could be delivered, because an outage was longer than keep_days \
                 or fuller than keep_mib; {last}",
                seen.dropped
            ),
        );
    }
    Finding::well(
        "outbox",
        match waiting {
            0 => format!("{reports} reports were made, none waits for the engine's receipt; {last}"),
            waiting => format!(
                "{reports} reports were made, {waiting} messages wait for the engine's receipt; {last}"
            ),
        },
    )
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

    fn judged(seen: Seen) -> Finding {
        outbox(&Outbox::Seen(seen), Timestamp::from_unix(1_800_000_000).unwrap())
    }

    #[test]
    fn what_waits_for_a_day_is_bad_and_what_was_refused_or_dropped_is_told() {
        let seen = Seen {
            reports: 7,
            receipt: Some(1_799_999_000),
            ..Seen::default()
        };
        let well = judged(seen);
        assert!(
            well.health == Health::Well && well.text.contains("2027-01-15"),
            "{well:?}"
        );
        let waiting = |oldest| Seen {
            waiting: 2,
            oldest: Some(oldest),
            ..seen
        };
        assert_eq!(judged(waiting(1_799_999_000)).health, Health::Well);
        let late = judged(waiting(1_799_800_000));
        assert!(
            late.health == Health::Bad && late.text.contains("55 hours"),
            "{late:?}"
        );
        assert_eq!(judged(Seen { refused: 1, ..seen }).health, Health::Odd);
        assert_eq!(judged(Seen { dropped: 1, ..seen }).health, Health::Odd);
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
        assert_eq!(look(directory.path()), Outbox::Seen(Seen::default()));
    }
}

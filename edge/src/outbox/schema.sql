-- What must survive a restart of the agent. One row a table where the table says so.

-- The chain of reports: the last sequence number and the digest of that report.
CREATE TABLE chain (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    gateway  TEXT    NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    digest   BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;

-- The counters at the last boundary (JSON), and that boundary in Unix seconds.
CREATE TABLE meters (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    boundary INTEGER NOT NULL,
    state    TEXT    NOT NULL
) STRICT;

-- Intervals that no report holds yet: start and length in seconds, samples as JSON.
CREATE TABLE interval (
    start   INTEGER PRIMARY KEY,
    length  INTEGER NOT NULL,
    samples TEXT    NOT NULL
) STRICT;

-- Signed messages in the order in which they were made. Those that wait for the engine's receipt have
-- `waiting = 1`. Reports stay for a while after their receipt and are sent again when the engine asks.
CREATE TABLE message (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT    NOT NULL CHECK (kind IN ('report', 'ack')),
    digest    BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    envelope  BLOB    NOT NULL,
    sealed_at INTEGER NOT NULL,
    -- The number of a report.
    sequence  INTEGER,
    waiting   INTEGER NOT NULL DEFAULT 1 CHECK (waiting IN (0, 1)),
    -- When the first receipt came.
    delivered_at INTEGER
) STRICT;

-- What was dropped without having been delivered, one row for each kind and reason.
CREATE TABLE dropped (
    kind           TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    count          INTEGER NOT NULL,
    first_sequence INTEGER,
    last_sequence  INTEGER,
    first_at       INTEGER NOT NULL,
    last_at        INTEGER NOT NULL,
    PRIMARY KEY (kind, reason)
) STRICT;

-- When the last request to send again that was answered was issued: an older one is a replay.
CREATE TABLE asked (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    issued_at INTEGER NOT NULL
) STRICT;

-- Signed messages that the engine refused for good, with its reason.
CREATE TABLE refused (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE,
    envelope   BLOB    NOT NULL,
    reason     TEXT    NOT NULL,
    refused_at INTEGER NOT NULL
) STRICT;

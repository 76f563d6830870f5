-- What the engine's statements say of this home, one row for each event: the statement of the highest version.
CREATE TABLE statement (
    event     TEXT    PRIMARY KEY,
    version   INTEGER NOT NULL CHECK (version > 0),
    starts_at INTEGER NOT NULL,
    digest    BLOB    NOT NULL CHECK (length(digest) = 32),
    envelope  BLOB    NOT NULL,
    held_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX statement_by_start ON statement (starts_at, event);

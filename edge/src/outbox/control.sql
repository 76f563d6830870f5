-- Instructions of the engine: what they ask for (its kind, with a level, milliwatts, or thousandths of a percent),
-- what of it was accepted (NULL: declined), what is offered for it, and how far they are.
CREATE TABLE instruction (
    digest      BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    sequence    INTEGER NOT NULL UNIQUE,
    event       TEXT    NOT NULL,
    starts_at   INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('simple', 'set_point', 'import_limit', 'export_limit', 'charge_state')),
    asked       INTEGER NOT NULL,
    accepted    INTEGER,
    power       INTEGER CHECK ((power IS NULL) = (accepted IS NULL)),
    program     TEXT,
    price       TEXT,
    -- Why it was declined, or ended early.
    because     TEXT,
    progress    TEXT    NOT NULL CHECK (progress IN ('waiting', 'begun', 'written', 'held', 'observed', 'stopped', 'done'))
) STRICT;

-- The owner's own settings of what an event has overwritten; absent when nothing is overwritten.
CREATE TABLE owner_setting (
    hand     TEXT    PRIMARY KEY CHECK (hand IN ('battery', 'production')),
    setting  TEXT    NOT NULL,
    saved_at INTEGER NOT NULL
) STRICT;

-- The owner's one tap: until then he takes no part. One row, or none.
CREATE TABLE opt_out (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    until INTEGER NOT NULL
) STRICT;

-- What a device showed when it was commissioned: whether it obeys, and goes back when the agent falls silent.
CREATE TABLE commission (
    device   INTEGER NOT NULL,
    hand     TEXT    NOT NULL CHECK (hand IN ('battery', 'production')),
    passed   INTEGER NOT NULL CHECK (passed IN (0, 1)),
    at       INTEGER NOT NULL,
    envelope BLOB    NOT NULL,
    PRIMARY KEY (device, hand)
) STRICT;

-- What was counted in one interval, in milliwatt-hours; NULL where it was not measured.
CREATE TABLE IF NOT EXISTS interval (
    start             INTEGER PRIMARY KEY, -- seconds since 1970, UTC
    seconds           INTEGER NOT NULL,
    grid_import       INTEGER,
    grid_export       INTEGER,
    solar             INTEGER,
    battery_charge    INTEGER,
    battery_discharge INTEGER,
    state_of_charge   INTEGER -- thousandths of a percent, at the end
) STRICT;

-- The sum of one local day that is over.
CREATE TABLE IF NOT EXISTS day (
    date              TEXT PRIMARY KEY, -- 2026-04-09
    covered_seconds   INTEGER NOT NULL,
    grid_import       INTEGER,
    grid_export       INTEGER,
    solar             INTEGER,
    battery_charge    INTEGER,
    battery_discharge INTEGER
) STRICT, WITHOUT ROWID;

-- One row: everything ever recorded, which pruning leaves alone.
CREATE TABLE IF NOT EXISTS total (
    one               INTEGER PRIMARY KEY CHECK (one = 1),
    grid_import       INTEGER,
    grid_export       INTEGER,
    solar             INTEGER,
    battery_charge    INTEGER,
    battery_discharge INTEGER
) STRICT;

-- Settling anew: what stands in the place of readings, what statements were disputed for, and who approved of them.

CREATE TABLE reading_correction (
    program text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    site text NOT NULL,
    starts_at timestamptz NOT NULL,
    seconds integer NOT NULL CHECK (seconds > 0),
    net_milliwatt_hours bigint,
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    made_at timestamptz NOT NULL,
    PRIMARY KEY (program, number)
);
CREATE INDEX reading_correction_by_start ON reading_correction (program, starts_at);
COMMENT ON TABLE reading_correction IS 'What counts in the place of a site''s meter in an interval; of two the one with the higher number.';
COMMENT ON COLUMN reading_correction.net_milliwatt_hours IS 'Import less export; nothing where the reading is withdrawn.';

CREATE TABLE site_outage (
    program text NOT NULL,
    site text NOT NULL,
    day date NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    declared_at timestamptz NOT NULL,
    PRIMARY KEY (program, site, day)
);
COMMENT ON TABLE site_outage IS 'Local days on which a site had an outage: they are not compared, and no shortfall of theirs is held against it.';

CREATE TABLE statement_dispute (
    event text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    site text NOT NULL,
    statement_version integer NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (event, number),
    FOREIGN KEY (event, statement_version) REFERENCES ledger.settlement (event_id, version)
);
COMMENT ON TABLE statement_dispute IS 'That somebody holds a site''s part of a statement to be wrong.';

CREATE TABLE statement_decision (
    event text NOT NULL,
    number integer NOT NULL,
    upheld boolean NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (event, number),
    FOREIGN KEY (event, number) REFERENCES statement_dispute
);
COMMENT ON TABLE statement_decision IS 'What came of a dispute; there is one decision of each.';

CREATE TABLE statement_approval (
    event text NOT NULL,
    statement_version integer NOT NULL CHECK (statement_version > 0),
    run bytea NOT NULL CHECK (octet_length(run) = 32),
    settled_at timestamptz NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (event, statement_version, run, actor)
);
COMMENT ON TABLE statement_approval IS 'Who approved of a statement before it was posted, by the name of the run that made it.';
COMMENT ON COLUMN statement_approval.settled_at IS 'Up to when that run took evidence in.';

ALTER TABLE ledger.settlement ADD COLUMN run bytea CHECK (octet_length(run) = 32);
COMMENT ON COLUMN ledger.settlement.run IS 'The name of the run: the Merkle root over everything that the statement was made from. Not known of settlements of before.';

ALTER TABLE ledger.settlement ADD COLUMN pool_carry numeric NOT NULL DEFAULT 0 CHECK (pool_carry >= 0 AND pool_carry = trunc(pool_carry));
COMMENT ON COLUMN ledger.settlement.pool_carry IS 'What the program''s pools have left in its rounding account, for the next, in base units.';

CREATE TABLE published_price (
    program text NOT NULL,
    starts_at timestamptz NOT NULL,
    base_units_per_kwh numeric NOT NULL CHECK (base_units_per_kwh >= 0 AND base_units_per_kwh = trunc(base_units_per_kwh)),
    published_at timestamptz NOT NULL,
    PRIMARY KEY (program, starts_at)
);
COMMENT ON TABLE published_price IS 'The price of an interval, where a program pays by published prices. An interval without a row has no price yet.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['reading_correction', 'site_outage', 'statement_dispute', 'statement_decision', 'statement_approval', 'published_price'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
    EXECUTE format('GRANT INSERT (run, pool_carry) ON ledger.settlement TO %I', ledger.app_role());
END $$;

-- Test dispatches: what was committed to, which tests were held or left out, and what each proved.

CREATE TABLE test_period (
    program text NOT NULL,
    period text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    program_version integer NOT NULL,
    seed bytea NOT NULL CHECK (octet_length(seed) = 32),
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    committed_at timestamptz NOT NULL,
    PRIMARY KEY (program, period),
    FOREIGN KEY (program, program_version) REFERENCES program
);
COMMENT ON TABLE test_period IS 'From which a month''s tests are drawn: the commitment is told before, the seed afterwards.';

CREATE TABLE test_reveal (
    program text NOT NULL,
    period text NOT NULL,
    revealed_at timestamptz NOT NULL,
    PRIMARY KEY (program, period),
    FOREIGN KEY (program, period) REFERENCES test_period
);
COMMENT ON TABLE test_reveal IS 'Seeds that were told.';

CREATE TABLE test_unavailability (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    program text NOT NULL,
    site text NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    reason text NOT NULL CHECK (reason <> ''),
    declared_at timestamptz NOT NULL CHECK (declared_at <= from_at)
);
CREATE INDEX test_unavailability_by_site ON test_unavailability (program, site);
COMMENT ON TABLE test_unavailability IS 'When a site cannot be tested, said before.';

CREATE TABLE test_dispatch (
    name text PRIMARY KEY,
    program text NOT NULL,
    period text NOT NULL,
    site text NOT NULL,
    gateway bytea NOT NULL REFERENCES enrolment,
    monday date NOT NULL,
    starts_at timestamptz NOT NULL,
    asked_milliwatts bigint NOT NULL CHECK (asked_milliwatts > 0),
    nameplate_milliwatts bigint NOT NULL CHECK (nameplate_milliwatts >= asked_milliwatts),
    outcome text NOT NULL CHECK (outcome IN ('sent', 'unavailable', 'event')),
    event text CHECK ((event IS NOT NULL) = (outcome = 'event')),
    recorded_at timestamptz NOT NULL CHECK (recorded_at < starts_at),
    UNIQUE (program, site, starts_at),
    FOREIGN KEY (program, period) REFERENCES test_period
);
COMMENT ON TABLE test_dispatch IS 'Tests that were sent, and those that were drawn and left out, with the reason. They are no events: nothing is paid for them.';

CREATE TABLE test_verdict (
    name text PRIMARY KEY REFERENCES test_dispatch,
    verdict text NOT NULL,
    judged_at timestamptz NOT NULL
);
COMMENT ON TABLE test_verdict IS 'What each test proved, as JSON.';

-- An instruction is one of an event or of a test, and no name is both.
ALTER TABLE instruction DROP CONSTRAINT instruction_event_fkey;

CREATE FUNCTION instruction_has_its_dispatch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM event WHERE id = NEW.event)
        AND NOT EXISTS (SELECT FROM test_dispatch WHERE name = NEW.event AND outcome = 'sent' AND gateway = NEW.gateway) THEN
        RAISE EXCEPTION 'there is neither an event nor a test % that asks this gateway', NEW.event
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER has_its_dispatch BEFORE INSERT ON instruction FOR EACH ROW EXECUTE FUNCTION instruction_has_its_dispatch();

CREATE FUNCTION name_is_free() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wanted text;
BEGIN
    wanted := CASE TG_TABLE_NAME WHEN 'event' THEN to_jsonb(NEW)->>'id' ELSE to_jsonb(NEW)->>'name' END;
    -- Two sessions that take one name wait for each other here.
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatch named ' || wanted, 0));
    IF (TG_TABLE_NAME = 'event' AND EXISTS (SELECT FROM test_dispatch WHERE name = wanted))
        OR (TG_TABLE_NAME <> 'event' AND EXISTS (SELECT FROM event WHERE id = wanted)) THEN
        RAISE EXCEPTION 'the name % is taken', wanted USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER name_is_free BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION name_is_free();
CREATE TRIGGER name_is_free BEFORE INSERT ON test_dispatch FOR EACH ROW EXECUTE FUNCTION name_is_free();

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['test_period', 'test_reveal', 'test_unavailability', 'test_dispatch', 'test_verdict'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION instruction_has_its_dispatch(), name_is_free() TO %I', ledger.app_role());
END $$;

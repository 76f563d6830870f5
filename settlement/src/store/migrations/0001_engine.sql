-- What the engine knows: programs, enrolments, what came in, and events.

CREATE TABLE program (
    id text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    document text NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);
COMMENT ON TABLE program IS 'Rules and prices as their operators wrote them; a change is a new version.';
COMMENT ON COLUMN program.hash IS 'SHA-256 of the document.';

CREATE TABLE enrolment (
    gateway bytea PRIMARY KEY CHECK (octet_length(gateway) = 32),
    site text NOT NULL UNIQUE,
    program text NOT NULL,
    document text NOT NULL,
    enrolled_at timestamptz NOT NULL
);
COMMENT ON TABLE enrolment IS 'Who may report what: a site, its gateway''s key, its devices and their nameplates.';
COMMENT ON COLUMN enrolment.document IS 'The enrolment as canonical JSON.';

CREATE TABLE report (
    gateway bytea NOT NULL REFERENCES enrolment,
    sequence bigint NOT NULL CHECK (sequence > 0),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    envelope bytea NOT NULL,
    PRIMARY KEY (gateway, sequence, digest)
);
CREATE INDEX report_by_end ON report (gateway, ends_at);
COMMENT ON INDEX report_by_end IS 'What overlaps a new report ends after it begins: of the usual newest report nothing does, so the search is short.';
COMMENT ON TABLE report IS 'Signed reports, byte for byte. Two rows for one sequence number are equivocation: the slot is void. Also those are kept that do not fit their neighbours: which of them stand follows from all of them, not from who came first.';

CREATE TABLE reading (
    gateway bytea NOT NULL,
    device smallint NOT NULL,
    quantity smallint NOT NULL,
    starts_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    value bigint,
    missing smallint,
    refused smallint,
    PRIMARY KEY (gateway, device, quantity, starts_at),
    CHECK (num_nonnulls(value, missing, refused) = 1)
);
COMMENT ON TABLE reading IS 'What the reports say, for looking things up; settlement reads the reports themselves. Where two reports give one interval, the first that came is shown.';
COMMENT ON COLUMN reading.value IS 'Milliwatt-hours; thousandths of a percent for the state of charge.';
COMMENT ON COLUMN reading.missing IS 'The gateway''s reason why there is no value.';
COMMENT ON COLUMN reading.refused IS 'The engine''s reason why the value does not count.';

CREATE TABLE refused (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL,
    gateway bytea,
    reason text NOT NULL,
    detail text NOT NULL,
    digest bytea NOT NULL,
    bytes bytea NOT NULL,
    UNIQUE (digest, topic, reason, detail)
);
COMMENT ON TABLE refused IS 'What was not taken, with the reason; the same bytes again are kept once.';
COMMENT ON COLUMN refused.bytes IS 'As they came, cut to a bound.';

CREATE TABLE event (
    id text PRIMARY KEY,
    program text NOT NULL,
    program_version integer NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    announced_at timestamptz NOT NULL,
    discharge_milliwatts bigint NOT NULL CHECK (discharge_milliwatts > 0),
    FOREIGN KEY (program, program_version) REFERENCES program
);
COMMENT ON TABLE event IS 'What operators asked for. Settled under the version of the program that was in force when it was announced.';

CREATE TABLE instruction (
    gateway bytea NOT NULL REFERENCES enrolment,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event text NOT NULL REFERENCES event,
    digest bytea NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    envelope bytea NOT NULL,
    PRIMARY KEY (gateway, sequence)
);
COMMENT ON TABLE instruction IS 'What the engine asked of each gateway, signed.';

CREATE TABLE acknowledgement (
    digest bytea PRIMARY KEY,
    gateway bytea NOT NULL REFERENCES enrolment,
    instruction bytea NOT NULL REFERENCES instruction (digest),
    stage smallint NOT NULL,
    reached_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    envelope bytea NOT NULL
);
CREATE INDEX acknowledgement_by_instruction ON acknowledgement (instruction);
COMMENT ON TABLE acknowledgement IS 'What each gateway says that it did, signed, stage by stage.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION refuse_change IS 'Guards what is append-only.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['program', 'enrolment', 'report', 'reading', 'refused', 'event', 'instruction', 'acknowledgement'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
    END LOOP;
END $$;

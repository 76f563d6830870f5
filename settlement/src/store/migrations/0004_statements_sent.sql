-- What the homes are told of settlements, and that they hold it.

CREATE TABLE statement_sent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway bytea NOT NULL REFERENCES enrolment,
    event text NOT NULL REFERENCES event,
    version integer NOT NULL CHECK (version >= 1),
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    envelope bytea NOT NULL,
    UNIQUE (gateway, event, version)
);
COMMENT ON TABLE statement_sent IS 'Each home''s part of each statement, signed. Written in the database transaction that settles the event, and sent until the home holds it.';
COMMENT ON COLUMN statement_sent.version IS 'Of the statement: where there is a later one, an earlier one is not sent any more.';

CREATE TABLE statement_held (
    digest bytea PRIMARY KEY REFERENCES statement_sent (digest),
    reached_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    envelope bytea NOT NULL
);
COMMENT ON TABLE statement_held IS 'The homes'' signed word that they hold their part of a statement.';
COMMENT ON COLUMN statement_held.reached_at IS 'When the home kept it, by its own clock.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['statement_sent', 'statement_held'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
END $$;

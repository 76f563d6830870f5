-- What nobody could know before the engine signed it, once in every epoch.

CREATE TABLE beacon (
    number bigint PRIMARY KEY CHECK (number > 0),
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    issued_at timestamptz NOT NULL,
    envelope bytea NOT NULL
);
COMMENT ON TABLE beacon IS 'Beacons as they were published, byte for byte. A report that names one was signed after it.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['beacon'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
END $$;

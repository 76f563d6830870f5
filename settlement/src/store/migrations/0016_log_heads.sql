-- How long the public log was, and under which root, whenever it grew.

CREATE TABLE log_head (
    origin text NOT NULL CHECK (origin <> ''),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    published_at timestamptz NOT NULL,
    PRIMARY KEY (origin, size)
);
COMMENT ON TABLE log_head IS 'What the log''s files must continue: a folder that was brought back from an old copy, or changed, is not signed.';

DO $$
BEGIN
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON log_head FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER append_only_all BEFORE TRUNCATE ON log_head FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    EXECUTE format('GRANT SELECT, INSERT ON log_head TO %I', ledger.app_role());
END $$;

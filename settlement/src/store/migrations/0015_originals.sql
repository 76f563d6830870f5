-- What meters have signed themselves, as their gateways gave it.

CREATE TABLE original (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    gateway bytea NOT NULL CHECK (octet_length(gateway) = 32),
    device smallint NOT NULL CHECK (device BETWEEN 0 AND 255),
    format text NOT NULL CHECK (format IN ('ocmf', 'sunspec_220', 'sunspec_4')),
    taken_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    unverified text CHECK (unverified <> ''),
    envelope bytea NOT NULL
);
CREATE INDEX original_by_gateway ON original (gateway, taken_at);
COMMENT ON TABLE original IS 'Envelopes byte for byte, with what the meter gave inside; what is not of its form or has a false signature is in refused.';
COMMENT ON COLUMN original.unverified IS 'Why there was nothing to verify the meter''s signature with when it came; null where it was verified.';

DO $$
BEGIN
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON original FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER append_only_all BEFORE TRUNCATE ON original FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    EXECUTE format('GRANT SELECT, INSERT ON original TO %I', ledger.app_role());
END $$;

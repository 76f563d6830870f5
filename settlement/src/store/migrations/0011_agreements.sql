-- Enrolments that gateway, owner and operator have signed, what changed them, and what collided with them.

CREATE TABLE agreement (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    site text NOT NULL,
    gateway bytea NOT NULL CHECK (octet_length(gateway) = 32),
    program text NOT NULL,
    valid_from timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > valid_from),
    admitted_at timestamptz NOT NULL,
    claim bytea NOT NULL,
    acceptance bytea NOT NULL UNIQUE,
    admission bytea NOT NULL
);
CREATE INDEX agreement_by_site ON agreement (site);
CREATE INDEX agreement_by_gateway ON agreement (gateway);
COMMENT ON TABLE agreement IS 'Three envelopes each, byte for byte; the digest is that of the admission.';

CREATE TABLE agreement_device (
    agreement bytea NOT NULL REFERENCES agreement,
    device smallint NOT NULL,
    physical text NOT NULL CHECK (physical <> ''),
    PRIMARY KEY (agreement, device)
);
CREATE INDEX agreement_device_by_physical ON agreement_device (physical);
COMMENT ON COLUMN agreement_device.physical IS 'MAKE/MODEL/SERIAL in letters and digits: two of one text are one device.';

CREATE TABLE agreement_change (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    agreement bytea NOT NULL REFERENCES agreement,
    kind text NOT NULL CHECK (kind IN ('rotation', 'transfer', 'revocation')),
    envelope bytea NOT NULL,
    countersigned bytea,
    recorded_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL CHECK (effective_at >= recorded_at),
    CHECK ((countersigned IS NULL) = (kind = 'revocation'))
);
CREATE INDEX agreement_change_by_agreement ON agreement_change (agreement);
COMMENT ON TABLE agreement_change IS 'Keys exchanged, owners changed, ends and vetoes, signed. What two sign is kept twice, once by each.';
COMMENT ON COLUMN agreement_change.effective_at IS 'Nothing takes effect before it was handed in.';

CREATE TABLE agreement_conflict (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL,
    agreement bytea NOT NULL REFERENCES agreement,
    claim bytea NOT NULL,
    acceptance bytea NOT NULL,
    detail text NOT NULL,
    UNIQUE (agreement, acceptance)
);
COMMENT ON TABLE agreement_conflict IS 'What was not admitted because an agreement has the device, gateway or site already; both are kept.';

CREATE TABLE enrolment_version (
    site text NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    number integer NOT NULL CHECK (number > 0),
    gateway bytea NOT NULL CHECK (octet_length(gateway) = 32),
    holds_from timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (site, generation, number)
);
CREATE INDEX enrolment_version_by_gateway ON enrolment_version (gateway);
COMMENT ON TABLE enrolment_version IS 'The enrolments that follow from a site''s agreements, one after the other. After each change all of them are written anew, as another generation; the newest counts.';

-- A site has as many keys as its gateway had; by the operator's word alone it still has one.
ALTER TABLE enrolment DROP CONSTRAINT enrolment_site_key;
ALTER TABLE enrolment ADD COLUMN by_agreement boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX enrolment_by_word ON enrolment (site) WHERE NOT by_agreement;
COMMENT ON COLUMN enrolment.by_agreement IS 'Whether it is there for its number and its key only: what it says is in enrolment_version.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['agreement', 'agreement_device', 'agreement_change', 'agreement_conflict', 'enrolment_version'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
END $$;

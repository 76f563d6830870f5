-- Payout roots: what addresses may claim on chain, as it was published; and the addresses of beneficiaries.

CREATE TABLE payout_address (
    beneficiary text NOT NULL CHECK (beneficiary ~ '^[A-Za-z0-9._:-]{1,100}$'),
    number integer NOT NULL CHECK (number > 0),
    address bytea NOT NULL CHECK (octet_length(address) = 20 AND address <> decode(repeat('00', 20), 'hex')),
    bound_at timestamptz NOT NULL,
    PRIMARY KEY (beneficiary, number)
);
COMMENT ON TABLE payout_address IS 'Which address on chain a beneficiary claims with; of several the one with the highest number.';

CREATE TABLE payout_root (
    program text NOT NULL CHECK (program ~ '^[a-z0-9_-]{1,64}$'),
    asset text NOT NULL REFERENCES ledger.asset,
    number integer NOT NULL CHECK (number > 0),
    root bytea CHECK (octet_length(root) = 32),
    previous_number integer GENERATED ALWAYS AS (NULLIF(number - 1, 0)) STORED,
    ledger_place bigint NOT NULL CHECK (ledger_place >= 0),
    made_at timestamptz NOT NULL,
    PRIMARY KEY (program, asset, number),
    FOREIGN KEY (program, asset, previous_number) REFERENCES payout_root
);
COMMENT ON TABLE payout_root IS 'The payout roots of each program and token, numbered without gaps.';
COMMENT ON COLUMN payout_root.root IS 'The root of the Merkle tree; nothing where nobody had an address yet.';
COMMENT ON COLUMN payout_root.ledger_place IS 'Up to which place of the ledger''s journal credits were counted.';

CREATE TABLE payout_root_line (
    program text NOT NULL,
    asset text NOT NULL,
    number integer NOT NULL,
    beneficiary text NOT NULL,
    credited ledger.base_units NOT NULL,
    PRIMARY KEY (program, asset, number, beneficiary),
    FOREIGN KEY (program, asset, number) REFERENCES payout_root
);
COMMENT ON TABLE payout_root_line IS 'What each beneficiary was credited in all when the root was made.';

CREATE TABLE payout_root_claim (
    program text NOT NULL,
    asset text NOT NULL,
    number integer NOT NULL,
    beneficiary text NOT NULL,
    address bytea NOT NULL CHECK (octet_length(address) = 20),
    amount ledger.base_units NOT NULL CHECK (amount > 0),
    PRIMARY KEY (program, asset, number, beneficiary, address),
    FOREIGN KEY (program, asset, number, beneficiary) REFERENCES payout_root_line
);
COMMENT ON TABLE payout_root_claim IS 'How much each address may claim for a beneficiary in all. Never less than under the root before.';

CREATE FUNCTION keep_claims() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE before record;
BEGIN
    SELECT claim.* INTO before FROM public.payout_root_claim claim
        WHERE (claim.program, claim.asset, claim.number) = (NEW.program, NEW.asset, NEW.number - 1)
            AND NOT EXISTS (
                SELECT FROM public.payout_root_claim kept
                WHERE (kept.program, kept.asset, kept.number) = (NEW.program, NEW.asset, NEW.number)
                    AND (kept.beneficiary, kept.address) = (claim.beneficiary, claim.address) AND kept.amount >= claim.amount)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'root % of program % lets % claim less than the % of the root before', NEW.number, NEW.program, before.beneficiary, before.amount
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION keep_claims IS 'No address may ever claim less than before.';
CREATE CONSTRAINT TRIGGER keep_claims AFTER INSERT ON payout_root DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION keep_claims();

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['payout_address', 'payout_root', 'payout_root_line', 'payout_root_claim'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
END $$;

-- The same laws in fewer passes. What a law costs is paid once for a statement wherever it can be, and the queries that
-- say exactly what is wrong run only when something is.

DO $$ BEGIN
    EXECUTE format('SET LOCAL ROLE %I', (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'ledger'));
END $$;

-- The forms of names and keys -----------------------------------------------------------------------------
-- As before, but without counted repetitions: those made the matching of one name take as long as writing thirty.

DO $$
DECLARE
    name_form text := 'CASE split_part(name, '':'', 1)
        WHEN ''issuance'' THEN name = ''issuance''
        WHEN ''clearing'' THEN name = ''clearing''
        WHEN ''receivable'' THEN split_part(name, '':'', 2) !~ ''[^a-z0-9_-]'' AND length(split_part(name, '':'', 2)) BETWEEN 1 AND 64
            AND length(name) - length(split_part(name, '':'', 2)) BETWEEN 13 AND 112
        ELSE split_part(name, '':'', 1) IN (''escrow'', ''reserved'', ''beneficiary'', ''vesting'', ''payable'', ''fee'', ''rounding'', ''claim'')
            AND length(name) - length(split_part(name, '':'', 1)) BETWEEN 2 AND 101 END
        AND name !~ ''[^A-Za-z0-9._:-]''';
    -- Parts of a key by their number, and what each has to be, with letters so that it can be read.
    key_form text := 'CASE
        WHEN kind IN (''settlement'', ''overpayment'', ''recovery'') THEN E2 AND N3 AND key = kind || ''/'' || @2 || ''/'' || @3
        WHEN kind = ''deposit'' THEN H2 AND H3 AND key = kind || ''/'' || @2 || ''/'' || @3
        WHEN kind IN (''reserve'', ''post'', ''void'', ''expire'') THEN P2 AND H3 AND key = kind || ''/'' || @2 || ''/'' || @3
        WHEN kind IN (''payout'', ''confirm'', ''fail'') THEN H2 AND H3 AND N4 AND key = kind || ''/'' || @2 || ''/'' || @3 || ''/'' || @4
        WHEN kind = ''mature'' THEN H2 AND key = kind || ''/'' || @2
        ELSE key ~ ''^reversal/(deposit/h/h|(settlement|overpayment|recovery)/e/n|mature/h)$'' END';
BEGIN
    key_form := replace(replace(replace(key_form, '/h', '/[A-Za-z0-9._:-]{1,100}'), '/e/', '/[a-z0-9-]{1,64}/'), '/n', '/[1-9][0-9]{0,9}');
    key_form := regexp_replace(key_form, 'H(\d)', '(@\1 !~ ''[^A-Za-z0-9._:-]'' AND length(@\1) BETWEEN 1 AND 100)', 'g');
    key_form := regexp_replace(key_form, 'P(\d)', '(@\1 !~ ''[^a-z0-9_-]'' AND length(@\1) BETWEEN 1 AND 64)', 'g');
    key_form := regexp_replace(key_form, 'E(\d)', '(@\1 !~ ''[^a-z0-9-]'' AND length(@\1) BETWEEN 1 AND 64)', 'g');
    key_form := regexp_replace(key_form, 'N(\d)', '(@\1 !~ ''[^0-9]'' AND left(@\1, 1) <> ''0'' AND length(@\1) BETWEEN 1 AND 10)', 'g');
    key_form := regexp_replace(key_form, '@(\d)', 'split_part(key, ''/'', \1)', 'g');
    EXECUTE 'ALTER TABLE ledger.account DROP CONSTRAINT account_name_check, ADD CONSTRAINT account_name_check CHECK (' || name_form || ')';
    -- Not of what was booked before the forms were laws.
    EXECUTE 'ALTER TABLE ledger.transaction DROP CONSTRAINT form_of_key, ADD CONSTRAINT form_of_key CHECK (' || key_form || ') NOT VALID';
END $$;

-- Accounts ------------------------------------------------------------------------------------------------
-- What an account refers to is looked up for all accounts of a statement at once; what is there is never removed.

ALTER TABLE ledger.account DROP CONSTRAINT account_asset_fkey, DROP CONSTRAINT account_account_id_asset_key;
ALTER TABLE ledger.balance DROP CONSTRAINT balance_account_id_fkey;
-- Room beside each balance, so that moving it touches no index.
ALTER TABLE ledger.balance SET (fillfactor = 50);

CREATE OR REPLACE FUNCTION ledger.open_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    EXECUTE 'SELECT o.name, o.asset FROM opened o WHERE NOT EXISTS (SELECT FROM ledger.asset s WHERE s.code = o.asset) LIMIT 1' INTO broken;
    IF broken.name IS NOT NULL THEN
        RAISE EXCEPTION 'account % would hold %, which is no asset', broken.name, broken.asset
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'known_asset', SCHEMA = 'ledger', TABLE = 'account';
    END IF;
    EXECUTE 'INSERT INTO ledger.balance (account_id, lowest, highest) SELECT account_id, lowest, highest FROM opened';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.open_balances() IS 'Every account is of an asset, and has a balance, which begins at nothing.';

-- No transaction without entries --------------------------------------------------------------------------

CREATE UNLOGGED TABLE ledger.begun (
    begun_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_id bigint NOT NULL,
    last_id bigint NOT NULL
);
COMMENT ON TABLE ledger.begun IS 'For each statement that began transactions, which; until the end of the database transaction, at which all of them have their entries. Empty to everybody else, so it outlives no crash.';
COMMENT ON COLUMN ledger.begun.begun_id IS 'Its number in here.';
COMMENT ON COLUMN ledger.begun.first_id IS 'The first transaction of the statement.';
COMMENT ON COLUMN ledger.begun.last_id IS 'The last one.';

CREATE FUNCTION ledger.refuse_outside_triggers() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'ledger.% follows from the transactions: % is refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', SCHEMA = 'ledger', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.refuse_outside_triggers() IS 'Law: what is begun is kept by the triggers only.';
CREATE TRIGGER kept_by_triggers BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.begun
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_outside_triggers();
ALTER TABLE ledger.begun ENABLE ALWAYS TRIGGER kept_by_triggers;
COMMENT ON TRIGGER kept_by_triggers ON ledger.begun IS 'Law: it follows from the transactions.';

CREATE FUNCTION ledger.begin_transactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.begun (first_id, last_id)
        SELECT min(transaction_id), max(transaction_id) FROM heads HAVING count(*) > 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.begin_transactions() IS 'Notes down what has to have its entries in the end.';

DROP TRIGGER require_entries ON ledger.transaction;
CREATE TRIGGER begin_transactions AFTER INSERT ON ledger.transaction REFERENCING NEW TABLE AS heads
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.begin_transactions();
ALTER TABLE ledger.transaction ENABLE ALWAYS TRIGGER begin_transactions;
COMMENT ON TRIGGER begin_transactions ON ledger.transaction IS 'Law: complete at once.';

CREATE OR REPLACE FUNCTION ledger.require_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    -- What others began among these numbers is not seen before it is committed, and then it has its place.
    EXECUTE 'SELECT t.key FROM ledger.transaction t WHERE t.transaction_id BETWEEN $1 AND $2
                 AND NOT EXISTS (SELECT FROM ledger.link l WHERE l.transaction_id = t.transaction_id) LIMIT 1'
        INTO broken USING NEW.first_id, NEW.last_id;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % has no entries', broken.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'complete_at_once', SCHEMA = 'ledger', TABLE = 'transaction';
    END IF;
    DELETE FROM ledger.begun b WHERE b.begun_id = NEW.begun_id;
    RETURN NULL;
END $$;
ALTER FUNCTION ledger.require_entries() RESET enable_seqscan;
CREATE CONSTRAINT TRIGGER require_entries AFTER INSERT ON ledger.begun
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_entries();
ALTER TABLE ledger.begun ENABLE ALWAYS TRIGGER require_entries;
COMMENT ON TRIGGER require_entries ON ledger.begun IS 'Law: complete at once.';

RESET ROLE;

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

-- Two steps -----------------------------------------------------------------------------------------------

-- What follow_pending() did at every statement, for the transactions that need it.
CREATE FUNCTION ledger.follow_steps(batch bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
    -- The heads of the batch and their entries, each looked up by its number.
    heads text := 'WITH head AS MATERIALIZED (
                 SELECT t.* FROM unnest($1) AS b (transaction_id),
                     LATERAL (SELECT h.* FROM ledger.transaction h WHERE h.transaction_id = b.transaction_id OFFSET 0) t),
             line AS MATERIALIZED (
                 SELECT e.transaction_id, e.account_id, e.asset, e.amount, a.name, a.purpose FROM unnest($1) AS b (transaction_id),
                     LATERAL (SELECT l.* FROM ledger.entry l WHERE l.transaction_id = b.transaction_id OFFSET 0) e
                     JOIN ledger.account a USING (account_id)) ';
    -- What the batch resolves, beside what it finds of it.
    step text := 'SELECT t.transaction_id, t.key, t.kind, t.booked_at, -p.amount AS taken, p.asset,
                    h.transaction_id AS pending_id, h.amount, h.asset AS pending_asset, h.expires_at, h.resolution, h.booked_at AS since,
                    EXISTS (SELECT FROM ledger.submission s WHERE s.transaction_id = h.transaction_id) AS submitted
             FROM line p JOIN head t USING (transaction_id)
             LEFT JOIN LATERAL (SELECT l.* FROM ledger.pending l WHERE l.name = substr(t.key, length(t.kind) + 2) COLLATE "C"
                  AND l.kind = CASE WHEN t.kind IN (''confirm'', ''fail'') THEN ''payout'' ELSE ''reserve'' END OFFSET 0) h ON true
             WHERE t.kind IN (''post'', ''void'', ''expire'', ''confirm'', ''fail'')
               AND p.purpose IN (''reserved'', ''clearing'')';
BEGIN
    -- A single step sets aside or resolves one amount of one asset, between the accounts that its key names.
    EXECUTE heads || 'SELECT t.key
             FROM head t JOIN line p USING (transaction_id)
             GROUP BY t.transaction_id, t.key, t.kind, t.entry_count
             HAVING count(*) FILTER (WHERE p.purpose IN (''reserved'', ''clearing'')) <> 1
                 OR count(DISTINCT p.asset) <> 1
                 OR t.kind <> ''post'' AND t.entry_count <> 2
                 OR NOT bool_and(CASE WHEN p.purpose IN (''reserved'', ''escrow'') THEN p.name = p.purpose || '':'' || split_part(t.key, ''/'', 2)
                                      WHEN p.purpose = ''payable'' THEN p.name = ''payable:'' || split_part(t.key, ''/'', 3)
                                      ELSE true END)
             LIMIT 1' INTO broken USING batch;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % is not one amount between the accounts that its key names', broken.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'within_pending', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE heads || 'INSERT INTO ledger.pending (transaction_id, kind, name, account_id, asset, amount, booked_at, expires_at)
             SELECT t.transaction_id, t.kind, substr(t.key, length(t.kind) + 2), p.account_id, p.asset, -p.amount, t.booked_at, t.expires_at
             FROM line p JOIN head t USING (transaction_id)
             WHERE t.kind IN (''reserve'', ''payout'') AND p.amount < 0' USING batch;

    EXECUTE heads || 'SELECT s.*, CASE
                 WHEN pending_id IS NULL THEN ''pending_first''
                 WHEN resolution IS NOT NULL THEN ''resolved_once''
                 WHEN asset <> pending_asset OR taken <> amount THEN ''within_pending''
                 WHEN booked_at < since THEN ''in_time''
                 WHEN kind = ''post'' AND booked_at >= expires_at THEN ''in_time''
                 WHEN kind = ''expire'' AND booked_at < expires_at THEN ''in_time''
                 WHEN kind = ''confirm'' AND NOT submitted THEN ''submitted_first'' END AS law
             FROM (' || step || ') s ORDER BY law NULLS LAST LIMIT 1' INTO broken USING batch;
    IF broken.law IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = broken.law, SCHEMA = 'ledger', TABLE = 'pending', MESSAGE =
            CASE broken.law
                WHEN 'pending_first' THEN format('%s resolves what was never set aside', broken.key)
                WHEN 'resolved_once' THEN format('%s comes too late: it was resolved before (%s)', broken.key, broken.resolution)
                WHEN 'within_pending' THEN format('%s takes %s base units of %s, but %s of %s are pending; all of it is resolved at once',
                                                  broken.key, broken.taken, broken.asset, broken.amount, broken.pending_asset)
                WHEN 'in_time' THEN format('%s is booked at %s, which does not go with the pending time from %s to %s',
                                           broken.key, broken.booked_at, broken.since, broken.expires_at)
                ELSE format('%s confirms what was never submitted', broken.key) END;
    END IF;
    EXECUTE heads || 'UPDATE ledger.pending h SET resolved_by = s.transaction_id, resolution = s.kind
             FROM (' || step || ') s WHERE h.transaction_id = s.pending_id AND h.resolved_by IS NULL' USING batch;
    -- Two resolutions of one in a single statement: the second found nothing open.
    EXECUTE heads || 'SELECT s.key FROM (' || step || ') s JOIN ledger.pending h ON h.transaction_id = s.pending_id
             WHERE h.resolved_by <> s.transaction_id LIMIT 1' INTO broken USING batch;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION '% comes too late: it was resolved in the same statement', broken.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resolved_once', SCHEMA = 'ledger', TABLE = 'pending';
    END IF;
    PERFORM ledger.guard_payouts(batch);
END $$;
COMMENT ON FUNCTION ledger.follow_steps(bigint[]) IS 'Laws: what is pending is resolved once, whole and in time; payouts keep to their limit.';

-- One pass over the entries -------------------------------------------------------------------------------

-- Each way in which money may go is a bit: the account's rank, and whether it gives.
ALTER TABLE ledger.route ADD COLUMN road integer NOT NULL GENERATED ALWAYS AS (1 << (2 * array_position(
    ARRAY['escrow', 'beneficiary', 'rounding', 'issuance', 'reserved', 'vesting', 'payable', 'fee', 'receivable', 'claim', 'clearing'],
    purpose) + gives::integer)) STORED;
COMMENT ON COLUMN ledger.route.road IS 'The bit 2 × the rank of the purpose, plus one where it gives.';

DROP TRIGGER post_pending ON ledger.entry;
DROP TRIGGER post_to_balances ON ledger.entry;
DROP TRIGGER post_to_chain ON ledger.entry;
DROP FUNCTION ledger.follow_pending();
DROP FUNCTION ledger.move_balances();
DROP FUNCTION ledger.link_entries();
DROP AGGREGATE ledger.chain(bytea, bigint, bytea);
DROP FUNCTION ledger.add_link(bytea, bytea, bigint, bytea);

CREATE OR REPLACE FUNCTION ledger.post_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB' AS $$
DECLARE
    -- The batch at a glance: its transactions, and whether each law holds for all of them.
    batch record;
    broken record;
    last record;
    place bigint;
    digest bytea;
    hash bytea;
    hashes bytea[];
BEGIN
    -- EXECUTE where a batch is looked up: a plan that was made for the first small batch must not be kept for a large one. Heads are
    -- looked up one by one (OFFSET 0 sees to that): what the planner knows of a table in which a batch was just
    -- inserted is old, and a wrong guess would look through all of them for each.
    EXECUTE 'SELECT array_agg(h.transaction_id ORDER BY h.transaction_id) AS numbers,
                    array_agg(h.content_digest ORDER BY h.transaction_id) AS digests,
                    array_agg(h.transaction_id) FILTER (WHERE h.kind IN (''reserve'', ''post'', ''void'', ''expire'', ''payout'', ''confirm'', ''fail'')) AS steps,
                    bool_and(h.complete) AS complete, bool_and(h.known) AS known, bool_and(h.balanced) AS balanced,
                    bool_and(h.routed) AS routed, min(h.key) FILTER (WHERE NOT h.digest_true) AS forged
             FROM (SELECT p.transaction_id, t.key, t.kind, t.content_digest, p.known,
                          coalesce(p.found = t.entry_count AND p.last = t.entry_count, false) AS complete,
                          p.difference = 0 AND p.first_asset = p.last_asset AS balanced,
                          coalesce(p.roads & ~r.roads = 0, false) AS routed,
                          coalesce(t.content_digest = sha256(convert_to(
                              E''gridtally transaction 1\n'' || t.key || to_char(t.booked_at AT TIME ZONE ''UTC'', E''\nYYYY-MM-DD"T"HH24:MI:SS"Z\n"'')
                              || coalesce(to_char(t.expires_at AT TIME ZONE ''UTC'', ''"expires "YYYY-MM-DD"T"HH24:MI:SS"Z"'') || E''\n'', '''')
                              || p.lines, ''UTF8'')), false) AS digest_true
                   FROM (SELECT transaction_id, count(*) AS found, max(position) AS last, bool_and(known) AS known,
                                sum(amount) AS difference, min(asset) AS first_asset, max(asset) AS last_asset,
                                bit_or(road) AS roads, string_agg(line, '''') AS lines
                         FROM (SELECT p.transaction_id, p.position, p.amount, p.asset COLLATE "C" AS asset,
                                      a.asset IS NOT DISTINCT FROM p.asset AS known,
                                      1 << (2 * a.rank + (p.amount < 0)::integer) AS road,
                                      a.name || '' '' || a.asset || '' '' || s.decimals || '' '' || p.amount || E''\n'' AS line
                               FROM posted p LEFT JOIN ledger.account a USING (account_id) LEFT JOIN ledger.asset s ON s.code = a.asset
                               ORDER BY p.transaction_id, a.rank, a.name COLLATE "C", a.asset COLLATE "C") o
                         GROUP BY transaction_id) p
                   LEFT JOIN LATERAL (SELECT h.* FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t ON true
                   LEFT JOIN (SELECT kind, bit_or(road) AS roads FROM ledger.route GROUP BY kind) r ON r.kind = t.kind) h' INTO batch;
    IF batch.numbers IS NULL THEN
        RETURN NULL;
    END IF;

    IF NOT batch.complete THEN
        EXECUTE 'SELECT t.key, p.found, t.entry_count AS declared
                 FROM (SELECT transaction_id, count(*) AS found, max(position) AS last FROM posted GROUP BY transaction_id) p
                 LEFT JOIN ledger.transaction t USING (transaction_id)
                 WHERE t.key IS NULL OR p.found <> t.entry_count OR p.last <> t.entry_count LIMIT 1' INTO broken;
        RAISE EXCEPTION 'transaction % declares % entries, but this statement gives it %: all come in one statement, and none later',
            broken.key, broken.declared, broken.found
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'complete_at_once', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;
    IF NOT batch.known THEN
        EXECUTE 'SELECT p.account_id, p.asset FROM posted p LEFT JOIN ledger.account a USING (account_id)
                 WHERE a.asset IS DISTINCT FROM p.asset LIMIT 1' INTO broken;
        RAISE EXCEPTION 'there is no account % of %', broken.account_id, broken.asset
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'known_account', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;
    -- At a glance only transactions of one asset can be told to balance.
    IF NOT batch.balanced THEN
        EXECUTE 'SELECT t.key, p.asset, p.difference
                 FROM (SELECT transaction_id, asset, sum(amount) AS difference FROM posted GROUP BY transaction_id, asset
                       HAVING sum(amount) <> 0 LIMIT 1) p
                 JOIN ledger.transaction t USING (transaction_id)' INTO broken;
        IF broken.key IS NOT NULL THEN
            RAISE EXCEPTION 'transaction % is off by % base units of %', broken.key, broken.difference, broken.asset
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'balanced', SCHEMA = 'ledger', TABLE = 'entry';
        END IF;
    END IF;
    IF NOT batch.routed THEN
        EXECUTE 'SELECT t.key, a.name, p.amount
                 FROM posted p JOIN ledger.account a USING (account_id) JOIN ledger.transaction t USING (transaction_id)
                 WHERE (t.kind, a.purpose, p.amount < 0) NOT IN (SELECT r.kind, r.purpose, r.gives FROM ledger.route r)
                 LIMIT 1' INTO broken;
        RAISE EXCEPTION 'transaction % may not book % base units to %: that is no business of its kind', broken.key, broken.amount, broken.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'routed', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;
    IF batch.steps IS NOT NULL THEN
        PERFORM ledger.follow_steps(batch.steps);
    END IF;

    BEGIN
        EXECUTE 'UPDATE ledger.balance b SET amount = b.amount + p.amount
                 FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
                 WHERE b.account_id = p.account_id AND p.amount <> 0';
    EXCEPTION WHEN check_violation THEN
        -- The bounds are constraints of the balance; who broke which, and by how much, is worth a sentence.
        EXECUTE 'SELECT a.name, a.asset, b.amount AS held, p.amount AS moved, b.amount + p.amount < b.lowest AS too_low
                 FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
                 JOIN ledger.balance b USING (account_id) JOIN ledger.account a USING (account_id)
                 WHERE b.amount + p.amount < b.lowest OR b.amount + p.amount > b.highest
                 ORDER BY a.name LIMIT 1' INTO broken;
        IF broken.too_low THEN
            RAISE EXCEPTION '% holds % base units of %, but % would be taken', broken.name, broken.held, broken.asset, -broken.moved
                USING ERRCODE = 'check_violation', CONSTRAINT = 'no_overdraft', SCHEMA = 'ledger', TABLE = 'balance';
        ELSIF broken.name IS NOT NULL THEN
            RAISE EXCEPTION '% stands at % base units of %, but % would be paid back', broken.name, broken.held, broken.asset, broken.moved
                USING ERRCODE = 'check_violation', CONSTRAINT = 'no_excess', SCHEMA = 'ledger', TABLE = 'balance';
        END IF;
        RAISE;
    END;

    IF batch.forged IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % does not have the digest of its content', batch.forged
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'digest_true', SCHEMA = 'ledger', TABLE = 'transaction';
    END IF;
    SELECT l.sequence, l.hash INTO last FROM ledger.link l ORDER BY l.sequence DESC LIMIT 1;
    place := coalesce(last.sequence, 0);
    hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    FOREACH digest IN ARRAY batch.digests LOOP
        place := place + 1;
        -- Begins with "gridtally journal 1\n". Not as a literal with a backslash: what that says is for the session to set.
        hash := sha256(decode('6772696474616c6c79206a6f75726e616c20310a', 'hex') || int8send(place) || hash || digest);
        hashes := hashes || hash;
    END LOOP;
    INSERT INTO ledger.link (sequence, transaction_id, hash)
        SELECT coalesce(last.sequence, 0) + b.place, b.transaction_id, b.hash
        FROM unnest(batch.numbers, hashes) WITH ORDINALITY AS b (transaction_id, hash, place);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.post_entries() IS 'Laws: complete_at_once, balanced, routed, those of two steps, no_overdraft, no_excess, digest_true; each transaction gets its place in the chain. Moves the balances, each once for a statement.';
COMMENT ON TRIGGER post_entries ON ledger.entry IS 'Every law of the entries of a statement, in one pass.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
RESET ROLE;

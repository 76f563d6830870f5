-- Double entry, append only; every law is kept by PostgreSQL itself, whoever asks.
-- Each refusal carries the name of the broken law as its constraint (SQLSTATE class 23).

CREATE SCHEMA ledger;
COMMENT ON SCHEMA ledger IS 'Double-entry ledger. Append only, balanced for each asset, no overdraft. The engine works in it as the role ledger.app_role(), which can read and insert, nothing else.';

CREATE DOMAIN ledger.base_units AS numeric
    CONSTRAINT whole_base_units CHECK (
        scale(VALUE) = 0 AND VALUE BETWEEN -99999999999999999999999999999999999999 AND 99999999999999999999999999999999999999
    );
COMMENT ON DOMAIN ledger.base_units IS 'Whole base units of an asset, at most 38 digits. Not numeric(38,0), which would round 1.5 silently; NaN and infinity are refused too.';

-- Accounts ------------------------------------------------------------------------------------------------

CREATE TABLE ledger.asset (
    code text PRIMARY KEY CHECK (code ~ '^[A-Z0-9]{2,12}$'),
    decimals smallint NOT NULL CHECK (decimals BETWEEN 0 AND 18)
);
COMMENT ON TABLE ledger.asset IS 'Tokens.';
COMMENT ON COLUMN ledger.asset.code IS 'The code, FLEX say.';
COMMENT ON COLUMN ledger.asset.decimals IS 'One whole token is 10^decimals base units.';

CREATE TABLE ledger.account (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name ~ '^(issuance|(escrow|beneficiary|rounding):[A-Za-z0-9._:-]{1,100})$'),
    asset text NOT NULL REFERENCES ledger.asset,
    lowest numeric GENERATED ALWAYS AS (
        CASE WHEN name = 'issuance' THEN NULL WHEN name LIKE 'rounding:%' THEN -1000000 ELSE 0 END
    ) STORED,
    UNIQUE (name, asset),
    UNIQUE (account_id, asset)
);
COMMENT ON TABLE ledger.account IS 'An account holds one asset for one purpose.';
COMMENT ON COLUMN ledger.account.account_id IS 'Its number in here; the name is what others know.';
COMMENT ON COLUMN ledger.account.name IS 'escrow:PROGRAM, beneficiary:OWNER, rounding:PROGRAM or issuance.';
COMMENT ON COLUMN ledger.account.asset IS 'What it holds.';
COMMENT ON COLUMN ledger.account.lowest IS 'No balance below this; follows from the name. Nothing: no bound (the issuance, whose balance is minus all that was issued). Roundings to the nearest may add up to less than nothing, but never to a million base units.';

CREATE TABLE ledger.balance (
    account_id bigint PRIMARY KEY REFERENCES ledger.account,
    lowest numeric,
    amount ledger.base_units NOT NULL DEFAULT 0,
    CONSTRAINT no_overdraft CHECK (amount >= lowest)
);
COMMENT ON TABLE ledger.balance IS 'The sum of the entries of each account, kept by the triggers of ledger.account and ledger.entry and by nobody else. Its row lock is what serialises two payments out of one account.';
COMMENT ON COLUMN ledger.balance.account_id IS 'Whose.';
COMMENT ON COLUMN ledger.balance.lowest IS 'As in ledger.account; here so that a CHECK can see it.';
COMMENT ON COLUMN ledger.balance.amount IS 'In base units of the account''s asset.';

-- Journal -------------------------------------------------------------------------------------------------

CREATE TABLE ledger.transaction (
    transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL CONSTRAINT key_once UNIQUE CHECK (length(key) BETWEEN 1 AND 400),
    kind text NOT NULL CHECK (kind IN ('deposit', 'settlement', 'reversal')),
    booked_at timestamptz NOT NULL,
    entry_count integer NOT NULL CHECK (entry_count BETWEEN 2 AND 1000000),
    content_digest bytea NOT NULL CHECK (octet_length(content_digest) = 32),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kind_of_key CHECK (split_part(key, '/', 1) = kind)
);
COMMENT ON TABLE ledger.transaction IS 'What was booked: the head; its entries come with it in one statement, and none later.';
COMMENT ON COLUMN ledger.transaction.transaction_id IS 'Its number in here.';
COMMENT ON COLUMN ledger.transaction.key IS 'What it is for, exactly once: deposit/OPERATOR/REFERENCE, settlement/EVENT/VERSION, reversal/KEY.';
COMMENT ON COLUMN ledger.transaction.kind IS 'What it does; the first part of the key.';
COMMENT ON COLUMN ledger.transaction.booked_at IS 'When it counts.';
COMMENT ON COLUMN ledger.transaction.entry_count IS 'How many entries it has; at no time visible to others does it have fewer or more.';
COMMENT ON COLUMN ledger.transaction.content_digest IS 'SHA-256 of its content: the same key again with the same digest is a repetition, with another one an error.';
COMMENT ON COLUMN ledger.transaction.recorded_at IS 'When it was written, by the clock of the database.';

CREATE TABLE ledger.entry (
    transaction_id bigint NOT NULL REFERENCES ledger.transaction,
    position integer NOT NULL CHECK (position >= 1),
    account_id bigint NOT NULL,
    asset text NOT NULL,
    amount ledger.base_units NOT NULL CONSTRAINT not_nothing CHECK (amount <> 0),
    CONSTRAINT complete_at_once PRIMARY KEY (transaction_id, position),
    CONSTRAINT account_once UNIQUE (account_id, transaction_id),
    FOREIGN KEY (account_id, asset) REFERENCES ledger.account (account_id, asset)
);
COMMENT ON TABLE ledger.entry IS 'What an account received (positive) or gave (negative) in a transaction.';
COMMENT ON COLUMN ledger.entry.transaction_id IS 'In which transaction.';
COMMENT ON COLUMN ledger.entry.position IS 'From 1 to the transaction''s entry_count, each once: where all places are taken, no entry can be added later.';
COMMENT ON COLUMN ledger.entry.account_id IS 'Which account.';
COMMENT ON COLUMN ledger.entry.asset IS 'Of what: the account''s asset.';
COMMENT ON COLUMN ledger.entry.amount IS 'How much, in base units; never nothing.';

CREATE TABLE ledger.settlement (
    settlement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL CHECK (event_id ~ '^[a-z0-9-]{1,64}$'),
    version integer NOT NULL CHECK (version >= 1),
    program_id text NOT NULL CHECK (program_id ~ '^[a-z0-9_-]{1,64}$'),
    carried_from bigint CONSTRAINT carried_once UNIQUE,
    carry_out integer NOT NULL CHECK (carry_out BETWEEN 0 AND 999999),
    settled_at timestamptz NOT NULL,
    transaction_id bigint UNIQUE REFERENCES ledger.transaction,
    statement_hash bytea NOT NULL CHECK (octet_length(statement_hash) = 32),
    statement text NOT NULL,
    bundle_root bytea NOT NULL CHECK (octet_length(bundle_root) = 32),
    bundle text NOT NULL,
    CONSTRAINT settled_once UNIQUE (event_id, version),
    UNIQUE (settlement_id, program_id),
    FOREIGN KEY (carried_from, program_id) REFERENCES ledger.settlement (settlement_id, program_id)
);
CREATE UNIQUE INDEX first_of_program ON ledger.settlement (program_id) WHERE carried_from IS NULL;
COMMENT ON TABLE ledger.settlement IS 'What an event was settled with, beside the evidence for it. Written in the database transaction that books the payment.';
COMMENT ON COLUMN ledger.settlement.settlement_id IS 'Its number in here.';
COMMENT ON COLUMN ledger.settlement.event_id IS 'Which event.';
COMMENT ON COLUMN ledger.settlement.version IS 'Which statement of it: 1 is the first, a later one corrects.';
COMMENT ON COLUMN ledger.settlement.program_id IS 'Of which program: its settlements form one chain, along which the roundings are carried.';
COMMENT ON COLUMN ledger.settlement.carried_from IS 'The settlement before it in the chain of its program; each is carried on from once.';
COMMENT ON COLUMN ledger.settlement.carry_out IS 'What it left over, in millionths of a base unit.';
COMMENT ON COLUMN ledger.settlement.settled_at IS 'The instant up to which evidence was taken in.';
COMMENT ON COLUMN ledger.settlement.transaction_id IS 'The payment; none where nothing was earned.';
COMMENT ON COLUMN ledger.settlement.statement_hash IS 'SHA-256 of the statement.';
COMMENT ON COLUMN ledger.settlement.statement IS 'The statement, canonical JSON.';
COMMENT ON COLUMN ledger.settlement.bundle_root IS 'The Merkle root of the bundle.';
COMMENT ON COLUMN ledger.settlement.bundle IS 'The bundle, as the file that gridtally verify reads.';
COMMENT ON INDEX ledger.first_of_program IS 'A program''s chain of settlements has one beginning.';

-- Append only ---------------------------------------------------------------------------------------------

CREATE FUNCTION ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is append-only: % is refused; book a reversing transaction instead', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', SCHEMA = 'ledger', TABLE = TG_TABLE_NAME;
END $$;
COMMENT ON FUNCTION ledger.refuse_change() IS 'Law: what was written is never changed nor removed.';

CREATE FUNCTION ledger.refuse_direct_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'ledger.balance follows from the entries: % is refused; book a transaction instead', TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', SCHEMA = 'ledger', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.refuse_direct_change() IS 'Law: balances are kept by the triggers of accounts and entries only.';

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['asset', 'account', 'transaction', 'entry', 'settlement'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', relation);
        -- ALWAYS: session_replication_role does not switch the law off.
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', relation);
        EXECUTE format('COMMENT ON TRIGGER append_only ON ledger.%I IS %L', relation, 'Law: append only.');
    END LOOP;
END $$;

CREATE TRIGGER kept_by_triggers BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.balance
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_direct_change();
ALTER TABLE ledger.balance ENABLE ALWAYS TRIGGER kept_by_triggers;
COMMENT ON TRIGGER kept_by_triggers ON ledger.balance IS 'Law: balances follow from the entries.';

-- Balances and the laws of transactions -------------------------------------------------------------------

CREATE FUNCTION ledger.open_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.balance (account_id, lowest) SELECT account_id, lowest FROM opened;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.open_balances() IS 'Every account has a balance, which begins at nothing.';

CREATE TRIGGER open_balances AFTER INSERT ON ledger.account REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.open_balances();
ALTER TABLE ledger.account ENABLE ALWAYS TRIGGER open_balances;
COMMENT ON TRIGGER open_balances ON ledger.account IS 'Every account has a balance.';

CREATE FUNCTION ledger.post_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    -- EXECUTE throughout: a plan that was made for the first small batch must not be kept for a large one.
    EXECUTE 'SELECT t.key, p.found, t.entry_count AS declared
             FROM (SELECT transaction_id, count(*) AS found, max(position) AS last FROM posted GROUP BY transaction_id) p
             JOIN ledger.transaction t USING (transaction_id)
             WHERE p.found <> t.entry_count OR p.last <> t.entry_count LIMIT 1' INTO broken;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % declares % entries, but this statement gives it %: all come in one statement, and none later',
            broken.key, broken.declared, broken.found
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'complete_at_once', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE 'SELECT t.key, p.asset, p.difference
             FROM (SELECT transaction_id, asset, sum(amount) AS difference FROM posted GROUP BY transaction_id, asset
                   HAVING sum(amount) <> 0 LIMIT 1) p
             JOIN ledger.transaction t USING (transaction_id)' INTO broken;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % is off by % base units of %', broken.key, broken.difference, broken.asset
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'balanced', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    -- In the order of accounts, so that two batches never wait for each other.
    EXECUTE 'SELECT FROM ledger.balance b WHERE b.account_id IN (SELECT account_id FROM posted)
             ORDER BY b.account_id FOR UPDATE';

    EXECUTE 'SELECT a.name, a.asset, b.amount AS held, p.amount AS moved
             FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
             JOIN ledger.balance b USING (account_id) JOIN ledger.account a USING (account_id)
             WHERE b.amount + p.amount < b.lowest ORDER BY a.name LIMIT 1' INTO broken;
    IF broken.name IS NOT NULL THEN
        RAISE EXCEPTION '% holds % base units of %, but % would be taken', broken.name, broken.held, broken.asset, -broken.moved
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_overdraft', SCHEMA = 'ledger', TABLE = 'balance';
    END IF;

    EXECUTE 'UPDATE ledger.balance b SET amount = b.amount + p.amount
             FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
             WHERE b.account_id = p.account_id AND p.amount <> 0';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.post_entries() IS 'Laws: the entries of a transaction come in one statement, balance for each asset, and overdraw no account. Moves the balances, each once for a statement.';

CREATE TRIGGER post_entries AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.post_entries();
ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER post_entries;
COMMENT ON TRIGGER post_entries ON ledger.entry IS 'Laws: complete at once, balanced, no overdraft.';

CREATE FUNCTION ledger.require_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.entry e WHERE e.transaction_id = NEW.transaction_id) THEN
        RAISE EXCEPTION 'transaction % has no entries', NEW.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'complete_at_once', SCHEMA = 'ledger', TABLE = 'transaction';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.require_entries() IS 'Law: no transaction is committed without its entries.';

CREATE CONSTRAINT TRIGGER require_entries AFTER INSERT ON ledger.transaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_entries();
ALTER TABLE ledger.transaction ENABLE ALWAYS TRIGGER require_entries;
COMMENT ON TRIGGER require_entries ON ledger.transaction IS 'Law: complete at once.';

-- Views ---------------------------------------------------------------------------------------------------

CREATE VIEW ledger.trial_balance AS
    SELECT s.code AS asset, s.decimals,
           coalesce(sum(b.amount), 0)::text AS balances,
           coalesce(sum(e.amount), 0)::text AS entries,
           count(*) FILTER (WHERE b.amount <> coalesce(e.amount, 0)) AS accounts_off
    FROM ledger.asset s
    LEFT JOIN ledger.account a ON a.asset = s.code
    LEFT JOIN ledger.balance b USING (account_id)
    LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM ledger.entry GROUP BY account_id) e USING (account_id)
    GROUP BY s.code, s.decimals;
COMMENT ON VIEW ledger.trial_balance IS 'For each asset: the sum of all balances, the sum of all entries (both are zero), and how many balances are not the sum of their entries (none).';

-- Roles ---------------------------------------------------------------------------------------------------
-- Roles belong to the whole cluster, so they bear the database's name. A role that may not create roles
-- (some hosted services) keeps everything itself: then the triggers alone keep the laws, which bind it too.

DO $$
DECLARE
    base text := CASE WHEN octet_length(current_database()) <= 40 THEN current_database() ELSE md5(current_database()) END;
    owner_role text := 'gridtally_ledger_' || base;
    app_role text := 'gridtally_app_' || base;
    item record;
BEGIN
    IF NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('CREATE FUNCTION ledger.app_role() RETURNS text LANGUAGE sql IMMUTABLE AS %L', format('SELECT %L::text', current_user));
        COMMENT ON FUNCTION ledger.app_role() IS 'The role in which the engine works; here the owner itself, because it could create no other.';
        RETURN;
    END IF;

    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = owner_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN ROLE %I', owner_role, current_user);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = app_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN ROLE %I', app_role, current_user);
    END IF;
    EXECUTE format('COMMENT ON ROLE %I IS %L', owner_role, 'Owns the ledger of database ' || current_database() || '.');
    EXECUTE format('COMMENT ON ROLE %I IS %L', app_role, 'What the engine of database ' || current_database() || ' works as.');
    EXECUTE format('CREATE FUNCTION ledger.app_role() RETURNS text LANGUAGE sql IMMUTABLE AS %L', format('SELECT %L::text', app_role));
    COMMENT ON FUNCTION ledger.app_role() IS 'The role in which the engine works.';

    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', app_role);
    EXECUTE format('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO %I', app_role);
    EXECUTE format('REVOKE INSERT ON migration FROM %I', app_role);
    EXECUTE format('GRANT USAGE ON SCHEMA ledger TO %I', app_role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO %I', app_role);
    EXECUTE format('GRANT INSERT ON ledger.asset TO %I', app_role);
    EXECUTE format('GRANT INSERT (event_id, version, program_id, carried_from, carry_out, settled_at, transaction_id, statement_hash, statement, bundle_root, bundle) ON ledger.settlement TO %I', app_role);
    EXECUTE format('GRANT INSERT (name, asset) ON ledger.account TO %I', app_role);
    EXECUTE format('GRANT INSERT (key, kind, booked_at, entry_count, content_digest) ON ledger.transaction TO %I', app_role);
    EXECUTE format('GRANT INSERT (transaction_id, position, account_id, asset, amount) ON ledger.entry TO %I', app_role);
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
    EXECUTE format('GRANT EXECUTE ON FUNCTION ledger.app_role() TO %I', app_role);

    EXECUTE format('GRANT CREATE ON SCHEMA ledger TO %I', owner_role);
    FOR item IN SELECT oid::regclass AS name, relkind FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'v') LOOP
        EXECUTE format('ALTER %s %s OWNER TO %I', CASE item.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, item.name, owner_role);
    END LOOP;
    FOR item IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', item.name, owner_role);
    END LOOP;
    EXECUTE format('ALTER DOMAIN ledger.base_units OWNER TO %I', owner_role);
    EXECUTE format('ALTER SCHEMA ledger OWNER TO %I', owner_role);
END $$;

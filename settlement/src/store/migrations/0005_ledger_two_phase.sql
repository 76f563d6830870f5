-- The ledger grows: more accounts, pending transfers, a hash-chained journal, payouts behind a breaker.
-- As before, each refusal carries the name of the broken law as its constraint.

-- All of it belongs to the owner of the ledger; the runner of the migrations is a member of that role.
DO $$ BEGIN
    EXECUTE format('SET LOCAL ROLE %I', (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'ledger'));
END $$;

-- Accounts ------------------------------------------------------------------------------------------------

ALTER TABLE ledger.account
    DROP CONSTRAINT account_name_check,
    DROP COLUMN lowest;
ALTER TABLE ledger.account
    ADD CONSTRAINT account_name_check CHECK (name ~ '^(issuance|clearing|(escrow|reserved|beneficiary|vesting|payable|fee|rounding|claim):[A-Za-z0-9._:-]{1,100}|receivable:[a-z0-9_-]{1,64}:[A-Za-z0-9._:-]{1,100})$'),
    ADD COLUMN purpose text GENERATED ALWAYS AS (split_part(name, ':', 1)) STORED,
    ADD COLUMN rank smallint GENERATED ALWAYS AS (array_position(
        ARRAY['escrow', 'beneficiary', 'rounding', 'issuance', 'reserved', 'vesting', 'payable', 'fee', 'receivable', 'claim', 'clearing'],
        split_part(name, ':', 1))) STORED,
    ADD COLUMN lowest numeric GENERATED ALWAYS AS (
        CASE WHEN name = 'issuance' OR name LIKE 'receivable:%' THEN NULL WHEN name LIKE 'rounding:%' THEN -1000000 ELSE 0 END) STORED,
    ADD COLUMN highest numeric GENERATED ALWAYS AS (CASE WHEN name LIKE 'receivable:%' THEN 0 END) STORED;
COMMENT ON COLUMN ledger.account.name IS 'issuance, clearing, escrow:PROGRAM, reserved:PROGRAM, fee:PROGRAM, rounding:PROGRAM, claim:PROGRAM, beneficiary:OWNER, vesting:OWNER, payable:OWNER, or receivable:PROGRAM:OWNER.';
COMMENT ON COLUMN ledger.account.purpose IS 'The first part of the name.';
COMMENT ON COLUMN ledger.account.rank IS 'The place of its purpose in the order in which the entries of a transaction are digested.';
COMMENT ON COLUMN ledger.account.lowest IS 'No balance below this; follows from the name. Nothing: no bound (the issuance, whose balance is minus all that is out; a receivable, which is minus what is owed). Roundings to the nearest may add up to less than nothing, but never to a million base units.';
COMMENT ON COLUMN ledger.account.highest IS 'No balance above this: nobody pays back more than is owed.';

ALTER TABLE ledger.balance ADD COLUMN highest numeric, ADD CONSTRAINT no_excess CHECK (amount <= highest);
COMMENT ON COLUMN ledger.balance.highest IS 'As in ledger.account.';

CREATE OR REPLACE FUNCTION ledger.open_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.balance (account_id, lowest, highest) SELECT account_id, lowest, highest FROM opened;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger.refuse_direct_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'ledger.% follows from the entries: % is refused; book a transaction instead', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', SCHEMA = 'ledger', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.refuse_direct_change() IS 'Law: balances, links and pending transfers are kept by the triggers of accounts and entries only.';

-- Transactions --------------------------------------------------------------------------------------------

ALTER TABLE ledger.transaction
    DROP CONSTRAINT transaction_kind_check,
    ADD COLUMN expires_at timestamptz;
ALTER TABLE ledger.transaction
    ADD CONSTRAINT transaction_kind_check CHECK (kind IN ('deposit', 'settlement', 'reversal', 'reserve', 'post', 'void', 'expire',
        'mature', 'payout', 'confirm', 'fail', 'overpayment', 'recovery')),
    ADD CONSTRAINT reserve_expires CHECK ((kind = 'reserve') = (expires_at IS NOT NULL) AND (expires_at > booked_at) IS NOT FALSE),
    -- Not of what was booked before: those stay as they are, and say so when they are read.
    ADD CONSTRAINT whole_seconds CHECK (
        date_trunc('second', booked_at) = booked_at AND booked_at >= 'epoch' AND booked_at < '10000-01-01T00:00:00Z'
        AND (date_trunc('second', expires_at) = expires_at AND expires_at < '10000-01-01T00:00:00Z') IS NOT FALSE) NOT VALID;
-- The form of keys, with letters so that it can be read.
DO $$
DECLARE form text := '^(deposit/H/H|(settlement|overpayment|recovery)/E/N|(reserve|post|void|expire)/P/H|mature/H|(payout|confirm|fail)/H/H/N|reversal/(deposit/H/H|(settlement|overpayment|recovery)/E/N|mature/H))$';
BEGIN
    form := replace(replace(replace(replace(form, 'H', '[A-Za-z0-9._:-]{1,100}'), 'P', '[a-z0-9_-]{1,64}'), 'E', '[a-z0-9-]{1,64}'), 'N', '[1-9][0-9]{0,9}');
    EXECUTE format('ALTER TABLE ledger.transaction ADD CONSTRAINT form_of_key CHECK (key ~ %L) NOT VALID', form);
END $$;

CREATE INDEX transaction_by_booking ON ledger.transaction (booked_at, transaction_id);
COMMENT ON INDEX ledger.transaction_by_booking IS 'What was booked since an instant, for the balances of that instant.';
COMMENT ON COLUMN ledger.transaction.expires_at IS 'Of a reservation: from when on it can no longer be posted.';
COMMENT ON COLUMN ledger.transaction.key IS 'What it is for, exactly once: deposit/OPERATOR/REFERENCE, settlement|overpayment|recovery/EVENT/VERSION, reserve|post|void|expire/PROGRAM/REFERENCE, mature/REFERENCE, payout|confirm|fail/BATCH/OWNER/ATTEMPT, reversal/KEY.';

CREATE TABLE ledger.route (
    kind text NOT NULL,
    purpose text NOT NULL,
    gives boolean NOT NULL,
    PRIMARY KEY (kind, purpose, gives)
);
COMMENT ON TABLE ledger.route IS 'Which accounts a transaction of a kind may take from, and which it may give to. A part of the schema: nobody adds to it.';
COMMENT ON COLUMN ledger.route.kind IS 'The kind of transaction.';
COMMENT ON COLUMN ledger.route.purpose IS 'The purpose of the account.';
COMMENT ON COLUMN ledger.route.gives IS 'Whether the account gives (a negative entry) or receives.';
INSERT INTO ledger.route (kind, purpose, gives)
    SELECT r.kind, unnest(string_to_array(r.givers, ' ')), true FROM (VALUES
        ('deposit', 'issuance'),
        ('settlement', 'escrow beneficiary vesting fee rounding'),
        ('reversal', 'issuance escrow beneficiary vesting payable fee rounding receivable claim'),
        ('reserve', 'escrow'),
        ('post', 'reserved rounding'),
        ('void', 'reserved'),
        ('expire', 'reserved'),
        ('mature', 'beneficiary vesting'),
        ('payout', 'payable'),
        ('confirm', 'clearing'),
        ('fail', 'clearing'),
        ('overpayment', 'beneficiary vesting payable receivable'),
        ('recovery', 'beneficiary claim')) AS r (kind, givers)
    UNION ALL
    SELECT r.kind, unnest(string_to_array(r.takers, ' ')), false FROM (VALUES
        ('deposit', 'escrow'),
        ('settlement', 'escrow beneficiary vesting fee rounding'),
        ('reversal', 'issuance escrow beneficiary vesting payable fee rounding receivable claim'),
        ('reserve', 'reserved'),
        ('post', 'escrow beneficiary vesting fee rounding'),
        ('void', 'escrow'),
        ('expire', 'escrow'),
        ('mature', 'vesting payable'),
        ('payout', 'clearing'),
        ('confirm', 'issuance'),
        ('fail', 'payable'),
        ('overpayment', 'escrow claim'),
        ('recovery', 'receivable escrow')) AS r (kind, takers);

-- One writer at a time, so that the journal is one chain without gaps and no two batches wait in a circle.
CREATE FUNCTION ledger.lock_journal() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(7811887374390620018)
$$;
COMMENT ON FUNCTION ledger.lock_journal() IS 'Keeps other writers of the journal out until the database transaction ends. Whoever does not call it first is held at its first entries.';

CREATE FUNCTION ledger.hold_others() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ledger.lock_journal();
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.hold_others() IS 'Law: one writer of the journal at a time.';

CREATE TRIGGER hold_others BEFORE INSERT ON ledger.entry FOR EACH STATEMENT EXECUTE FUNCTION ledger.hold_others();
ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER hold_others;
COMMENT ON TRIGGER hold_others ON ledger.entry IS 'Law: one writer of the journal at a time.';

-- What an entry refers to is looked up for all entries of a statement at once, in post_entries(); what is there is
-- never removed. Row by row, that took as long as writing the entries.
ALTER TABLE ledger.entry DROP CONSTRAINT entry_transaction_id_fkey, DROP CONSTRAINT entry_account_id_asset_fkey;

CREATE OR REPLACE FUNCTION ledger.post_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    -- EXECUTE throughout: a plan that was made for the first small batch must not be kept for a large one. Heads are
    -- looked up one by one (OFFSET 0 sees to that): what the planner knows of a table in which a batch was just
    -- inserted is old, and a wrong guess would look through all of them for each.
    EXECUTE 'SELECT t.key, p.found, t.entry_count AS declared
             FROM (SELECT transaction_id, count(*) AS found, max(position) AS last FROM posted GROUP BY transaction_id) p
             LEFT JOIN LATERAL (SELECT h.key, h.entry_count FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t ON true
             WHERE t.key IS NULL OR p.found <> t.entry_count OR p.last <> t.entry_count LIMIT 1' INTO broken;
    IF broken.found IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % declares % entries, but this statement gives it %: all come in one statement, and none later',
            broken.key, broken.declared, broken.found
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'complete_at_once', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE 'SELECT p.account_id, p.asset FROM posted p LEFT JOIN ledger.account a USING (account_id)
             WHERE a.asset IS DISTINCT FROM p.asset LIMIT 1' INTO broken;
    IF broken.asset IS NOT NULL THEN
        RAISE EXCEPTION 'there is no account % of %', broken.account_id, broken.asset
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'known_account', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE 'SELECT t.key, p.asset, p.difference
             FROM (SELECT transaction_id, asset, sum(amount) AS difference FROM posted GROUP BY transaction_id, asset
                   HAVING sum(amount) <> 0 LIMIT 1) p
             JOIN ledger.transaction t USING (transaction_id)' INTO broken;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % is off by % base units of %', broken.key, broken.difference, broken.asset
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'balanced', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.post_entries() IS 'Laws: the entries of a transaction come in one statement and balance for each asset.';

CREATE FUNCTION ledger.move_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    EXECUTE 'SELECT p.name, p.asset, b.amount AS held, p.amount AS moved, b.amount + p.amount < b.lowest AS too_low
             FROM (SELECT account_id, a.name, a.asset, sum(amount) AS amount
                   FROM posted JOIN ledger.account a USING (account_id) GROUP BY account_id, a.name, a.asset) p
             JOIN ledger.balance b USING (account_id)
             WHERE b.amount + p.amount < b.lowest OR b.amount + p.amount > b.highest
             ORDER BY p.name LIMIT 1' INTO broken;
    IF broken.too_low THEN
        RAISE EXCEPTION '% holds % base units of %, but % would be taken', broken.name, broken.held, broken.asset, -broken.moved
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_overdraft', SCHEMA = 'ledger', TABLE = 'balance';
    ELSIF broken.name IS NOT NULL THEN
        RAISE EXCEPTION '% stands at % base units of %, but % would be paid back', broken.name, broken.held, broken.asset, broken.moved
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_excess', SCHEMA = 'ledger', TABLE = 'balance';
    END IF;

    EXECUTE 'UPDATE ledger.balance b SET amount = b.amount + p.amount
             FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
             WHERE b.account_id = p.account_id AND p.amount <> 0';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.move_balances() IS 'Law: no account gives what it does not have. Moves the balances, each once for a statement.';

-- Its plan is kept for the session; one that was made while the journal was short would read all of it for each head.
ALTER FUNCTION ledger.require_entries() SET enable_seqscan = off;

-- Pending transfers ---------------------------------------------------------------------------------------

CREATE TABLE ledger.pending (
    transaction_id bigint PRIMARY KEY REFERENCES ledger.transaction,
    kind text NOT NULL CHECK (kind IN ('reserve', 'payout')),
    name text COLLATE "C" NOT NULL,
    account_id bigint NOT NULL REFERENCES ledger.account,
    asset text NOT NULL REFERENCES ledger.asset,
    amount ledger.base_units NOT NULL CHECK (amount > 0),
    booked_at timestamptz NOT NULL,
    expires_at timestamptz,
    resolved_by bigint CONSTRAINT resolved_once UNIQUE REFERENCES ledger.transaction,
    resolution text CHECK (resolution IN ('post', 'void', 'expire', 'confirm', 'fail')),
    CHECK ((resolved_by IS NULL) = (resolution IS NULL)),
    UNIQUE (name, kind)
);
CREATE INDEX pending_open ON ledger.pending (kind, expires_at) WHERE resolved_by IS NULL;
CREATE INDEX pending_by_booking ON ledger.pending (asset, booked_at) WHERE kind = 'payout';
COMMENT ON TABLE ledger.pending IS 'Transfers of two steps: what a reservation or a payout set aside, until it is resolved, once and whole. Follows from the journal; kept by the trigger of ledger.entry and by nobody else.';
COMMENT ON COLUMN ledger.pending.transaction_id IS 'The transaction that set it aside.';
COMMENT ON COLUMN ledger.pending.kind IS 'reserve: out of an escrow, until posted, voided or expired. payout: out of payable, until confirmed or failed.';
COMMENT ON COLUMN ledger.pending.name IS 'The key without its first part; the keys of what resolves it end in the same.';
COMMENT ON COLUMN ledger.pending.account_id IS 'Where it came from: escrow or payable.';
COMMENT ON COLUMN ledger.pending.asset IS 'Of what.';
COMMENT ON COLUMN ledger.pending.amount IS 'How much, in base units.';
COMMENT ON COLUMN ledger.pending.booked_at IS 'When it was set aside.';
COMMENT ON COLUMN ledger.pending.expires_at IS 'From when on a reservation can only be given back; payouts do not expire.';
COMMENT ON COLUMN ledger.pending.resolved_by IS 'The transaction that resolved it; none while it is open.';
COMMENT ON COLUMN ledger.pending.resolution IS 'Its kind.';
COMMENT ON INDEX ledger.pending_open IS 'What is open, by when it expires.';
COMMENT ON INDEX ledger.pending_by_booking IS 'The payouts of a window of time.';

CREATE TABLE ledger.submission (
    transaction_id bigint PRIMARY KEY REFERENCES ledger.pending,
    handover text NOT NULL CHECK (handover ~ '^[A-Za-z0-9._:-]{1,120}$'),
    adapter text NOT NULL CHECK (adapter ~ '^[a-z0-9_-]{1,40}$'),
    submitted_at timestamptz NOT NULL
);
COMMENT ON TABLE ledger.submission IS 'Payouts that are, or are about to be, in other hands. Written before they are handed over, so that what is not in here certainly was not.';
COMMENT ON COLUMN ledger.submission.transaction_id IS 'Which payout.';
COMMENT ON COLUMN ledger.submission.handover IS 'Together with which others: BATCH.NUMBER. The same handover again is always of the same payouts.';
COMMENT ON COLUMN ledger.submission.adapter IS 'Through what.';
COMMENT ON COLUMN ledger.submission.submitted_at IS 'When.';

CREATE FUNCTION ledger.require_open_payout() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found record;
BEGIN
    PERFORM ledger.lock_journal();
    SELECT p.kind, p.name, p.resolution INTO found FROM ledger.pending p WHERE p.transaction_id = NEW.transaction_id;
    IF found.kind IS DISTINCT FROM 'payout' THEN
        RAISE EXCEPTION 'only payouts are submitted' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'pending_first', SCHEMA = 'ledger', TABLE = 'submission';
    ELSIF found.resolution IS NOT NULL THEN
        RAISE EXCEPTION 'payout/% was resolved before (%)', found.name, found.resolution
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resolved_once', SCHEMA = 'ledger', TABLE = 'submission';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION ledger.require_open_payout() IS 'Law: only what is open is handed over.';
CREATE TRIGGER require_open_payout BEFORE INSERT ON ledger.submission FOR EACH ROW EXECUTE FUNCTION ledger.require_open_payout();
ALTER TABLE ledger.submission ENABLE ALWAYS TRIGGER require_open_payout;
COMMENT ON TRIGGER require_open_payout ON ledger.submission IS 'Law: only what is open is handed over.';

-- The breaker of payouts ----------------------------------------------------------------------------------

CREATE TABLE ledger.payout_limit (
    limit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset text NOT NULL REFERENCES ledger.asset,
    window_seconds integer NOT NULL CHECK (window_seconds BETWEEN 1 AND 31622400),
    amount_max ledger.base_units NOT NULL CHECK (amount_max >= 0),
    count_max integer NOT NULL CHECK (count_max >= 0),
    set_at timestamptz NOT NULL,
    set_by text NOT NULL CHECK (set_by ~ '^[A-Za-z0-9._:-]{1,100}$')
);
COMMENT ON TABLE ledger.payout_limit IS 'How much may be paid out of an asset within any window of time. The newest of an asset counts; none: no limit.';
COMMENT ON COLUMN ledger.payout_limit.limit_id IS 'Its number in here.';
COMMENT ON COLUMN ledger.payout_limit.asset IS 'Of what.';
COMMENT ON COLUMN ledger.payout_limit.window_seconds IS 'The length of the window that ends now.';
COMMENT ON COLUMN ledger.payout_limit.amount_max IS 'At most this much within it, in base units.';
COMMENT ON COLUMN ledger.payout_limit.count_max IS 'At most so many payouts within it.';
COMMENT ON COLUMN ledger.payout_limit.set_at IS 'Since when.';
COMMENT ON COLUMN ledger.payout_limit.set_by IS 'Who set it.';

CREATE TABLE ledger.breaker_act (
    act_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset text NOT NULL REFERENCES ledger.asset,
    act text NOT NULL CHECK (act IN ('trip', 'reset')),
    acted_at timestamptz NOT NULL,
    acted_by text NOT NULL CHECK (acted_by ~ '^[A-Za-z0-9._:-]{1,100}$'),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    after_transaction bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE ledger.breaker_act IS 'When the payouts of an asset were stopped, and by whom they were let go on. After a trip, nothing is paid out until a reset.';
COMMENT ON COLUMN ledger.breaker_act.act_id IS 'Its number in here.';
COMMENT ON COLUMN ledger.breaker_act.asset IS 'Of what.';
COMMENT ON COLUMN ledger.breaker_act.act IS 'trip or reset.';
COMMENT ON COLUMN ledger.breaker_act.acted_at IS 'When.';
COMMENT ON COLUMN ledger.breaker_act.acted_by IS 'Who.';
COMMENT ON COLUMN ledger.breaker_act.reason IS 'Why.';
COMMENT ON COLUMN ledger.breaker_act.after_transaction IS 'The newest payout at that time: what was paid before a reset is not counted after it.';

CREATE FUNCTION ledger.place_breaker_act() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ledger.lock_journal();
    NEW.after_transaction := coalesce((SELECT max(transaction_id) FROM ledger.pending), 0);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION ledger.place_breaker_act() IS 'Puts an act of the breaker behind the payouts that there are.';
CREATE TRIGGER place_breaker_act BEFORE INSERT ON ledger.breaker_act FOR EACH ROW EXECUTE FUNCTION ledger.place_breaker_act();
ALTER TABLE ledger.breaker_act ENABLE ALWAYS TRIGGER place_breaker_act;
COMMENT ON TRIGGER place_breaker_act ON ledger.breaker_act IS 'The place of an act is not for its writer to say.';

CREATE FUNCTION ledger.guard_payouts(batch bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    offered record;
    bound record;
    act record;
    paid record;
BEGIN
    FOR offered IN SELECT asset, min(booked_at) AS since FROM ledger.pending
                   WHERE transaction_id = ANY (batch) AND kind = 'payout' GROUP BY asset LOOP
        SELECT * INTO act FROM ledger.breaker_act b WHERE b.asset = offered.asset ORDER BY act_id DESC LIMIT 1;
        IF act.act = 'trip' THEN
            RAISE EXCEPTION 'payouts of % are stopped since % by %: %', offered.asset, act.acted_at, act.acted_by, act.reason
                USING ERRCODE = 'check_violation', CONSTRAINT = 'breaker', SCHEMA = 'ledger', TABLE = 'breaker_act';
        END IF;
        SELECT * INTO bound FROM ledger.payout_limit l WHERE l.asset = offered.asset ORDER BY limit_id DESC LIMIT 1;
        CONTINUE WHEN bound.limit_id IS NULL;
        -- No upper end: whoever dates a payout back finds the later ones counted with it.
        SELECT count(*) AS count, sum(amount) AS amount INTO paid FROM ledger.pending p
            WHERE p.kind = 'payout' AND p.asset = offered.asset
              AND p.booked_at > offered.since - make_interval(secs => bound.window_seconds)
              AND p.resolution IS DISTINCT FROM 'fail'
              AND (act.act_id IS NULL OR p.transaction_id > act.after_transaction);
        IF paid.count > bound.count_max OR paid.amount > bound.amount_max THEN
            RAISE EXCEPTION '% payouts of % base units of % within % s would be more than the limit of % payouts and % base units',
                paid.count, paid.amount, offered.asset, bound.window_seconds, bound.count_max, bound.amount_max
                USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_limit', SCHEMA = 'ledger', TABLE = 'payout_limit', DETAIL = offered.asset;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION ledger.guard_payouts(bigint[]) IS 'Law: no more is paid out within a window of time than the limit allows, and nothing after a trip.';

CREATE FUNCTION ledger.follow_pending() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
    batch bigint[];
    step text;
    -- The heads of the batch, each looked up by its number.
    heads text := 'WITH head AS MATERIALIZED (
                 SELECT t.* FROM unnest($1) AS b (transaction_id),
                     LATERAL (SELECT h.* FROM ledger.transaction h WHERE h.transaction_id = b.transaction_id OFFSET 0) t) ';
BEGIN
    EXECUTE 'WITH head AS MATERIALIZED (
                 SELECT p.transaction_id, t.key, t.kind FROM (SELECT DISTINCT transaction_id FROM posted) p,
                     LATERAL (SELECT h.key, h.kind FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t)
             SELECT h.key, a.name, p.amount
             FROM posted p JOIN ledger.account a USING (account_id) JOIN head h USING (transaction_id)
             WHERE (h.kind, a.purpose, p.amount < 0) NOT IN (SELECT r.kind, r.purpose, r.gives FROM ledger.route r)
             LIMIT 1' INTO broken;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % may not book % base units to %: that is no business of its kind', broken.key, broken.amount, broken.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'routed', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE 'SELECT array_agg(p.transaction_id)
             FROM (SELECT DISTINCT transaction_id FROM posted) p,
                  LATERAL (SELECT h.kind FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t
             WHERE t.kind IN (''reserve'', ''post'', ''void'', ''expire'', ''payout'', ''confirm'', ''fail'')' INTO batch;
    IF batch IS NULL THEN
        RETURN NULL;
    END IF;

    -- A single step sets aside or resolves one amount of one asset, between the accounts that its key names.
    EXECUTE heads || 'SELECT t.key
             FROM head t JOIN posted p USING (transaction_id) JOIN ledger.account a USING (account_id)
             GROUP BY t.transaction_id, t.key, t.kind, t.entry_count
             HAVING count(*) FILTER (WHERE a.purpose IN (''reserved'', ''clearing'')) <> 1
                 OR count(DISTINCT a.asset) <> 1
                 OR t.kind <> ''post'' AND t.entry_count <> 2
                 OR NOT bool_and(CASE WHEN a.purpose IN (''reserved'', ''escrow'') THEN a.name = a.purpose || '':'' || split_part(t.key, ''/'', 2)
                                      WHEN a.purpose = ''payable'' THEN a.name = ''payable:'' || split_part(t.key, ''/'', 3)
                                      ELSE true END)
             LIMIT 1' INTO broken USING batch;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % is not one amount between the accounts that its key names', broken.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'within_pending', SCHEMA = 'ledger', TABLE = 'entry';
    END IF;

    EXECUTE heads || 'INSERT INTO ledger.pending (transaction_id, kind, name, account_id, asset, amount, booked_at, expires_at)
             SELECT t.transaction_id, t.kind, substr(t.key, length(t.kind) + 2), p.account_id, p.asset, -p.amount, t.booked_at, t.expires_at
             FROM posted p JOIN head t USING (transaction_id)
             WHERE t.kind IN (''reserve'', ''payout'') AND p.amount < 0' USING batch;

    -- What the batch resolves, beside what it finds of it.
    step := 'SELECT t.transaction_id, t.key, t.kind, t.booked_at, -p.amount AS taken, p.asset,
                    h.transaction_id AS pending_id, h.amount, h.asset AS pending_asset, h.expires_at, h.resolution, h.booked_at AS since,
                    EXISTS (SELECT FROM ledger.submission s WHERE s.transaction_id = h.transaction_id) AS submitted
             FROM posted p JOIN ledger.account a USING (account_id) JOIN head t USING (transaction_id)
             LEFT JOIN LATERAL (SELECT l.* FROM ledger.pending l WHERE l.name = substr(t.key, length(t.kind) + 2) COLLATE "C"
                  AND l.kind = CASE WHEN t.kind IN (''confirm'', ''fail'') THEN ''payout'' ELSE ''reserve'' END OFFSET 0) h ON true
             WHERE t.kind IN (''post'', ''void'', ''expire'', ''confirm'', ''fail'')
               AND a.purpose IN (''reserved'', ''clearing'')';
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
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.follow_pending() IS 'Laws: each kind of transaction keeps to its accounts; what is pending is resolved once, whole and in time.';

-- The chain -----------------------------------------------------------------------------------------------

CREATE TABLE ledger.link (
    sequence bigint PRIMARY KEY CHECK (sequence >= 1),
    transaction_id bigint NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
COMMENT ON TABLE ledger.link IS 'The journal as a chain without gaps, in the order of posting; kept by the trigger of ledger.entry and by nobody else, so it needs no foreign key.';
COMMENT ON COLUMN ledger.link.sequence IS '1, 2, 3 and so on.';
COMMENT ON COLUMN ledger.link.transaction_id IS 'Which transaction has this place.';
COMMENT ON COLUMN ledger.link.hash IS 'SHA-256 of the place, the hash before it (32 zeros for the first) and the digest of the transaction.';

CREATE FUNCTION ledger.add_link(state bytea, previous bytea, place bigint, digest bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    -- Called for every transaction, and by nobody but the functions in here, which have set their search path.
    RETURN sha256('\x6772696474616c6c79206a6f75726e616c20310a'::bytea || int8send(place) || coalesce(state, previous) || digest);
END $$;
COMMENT ON FUNCTION ledger.add_link(bytea, bytea, bigint, bytea) IS 'SHA-256 over "gridtally journal 1\n", the place in eight bytes, the hash before it, and the digest.';
CREATE AGGREGATE ledger.chain(previous bytea, place bigint, digest bytea) (SFUNC = ledger.add_link, STYPE = bytea);
COMMENT ON AGGREGATE ledger.chain(bytea, bigint, bytea) IS 'The hash after a run of transactions, in order.';

INSERT INTO ledger.link (sequence, transaction_id, hash)
    SELECT place, transaction_id, ledger.chain(decode(repeat('00', 32), 'hex'), place, content_digest) OVER (ORDER BY place)
    FROM (SELECT row_number() OVER (ORDER BY transaction_id) AS place, transaction_id, content_digest FROM ledger.transaction) t;

CREATE FUNCTION ledger.link_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record;
    last record;
BEGIN
    EXECUTE 'SELECT t.key FROM (
                 SELECT p.transaction_id,
                        string_agg(concat(a.name, '' '', a.asset, '' '', s.decimals, '' '', p.amount, E''\n''), '''' ORDER BY a.rank, a.name COLLATE "C", a.asset COLLATE "C") AS lines
                 FROM posted p JOIN ledger.account a USING (account_id) JOIN ledger.asset s ON s.code = a.asset GROUP BY p.transaction_id) p,
                  LATERAL (SELECT h.* FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t
             WHERE t.content_digest <> sha256(convert_to(concat(
                 E''gridtally transaction 1\n'', t.key, E''\n'', to_char(t.booked_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS"Z"''), E''\n'',
                 ''expires '' || to_char(t.expires_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS"Z"'') || E''\n'', p.lines), ''UTF8''))
             LIMIT 1' INTO broken;
    IF broken.key IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % does not have the digest of its content', broken.key
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'digest_true', SCHEMA = 'ledger', TABLE = 'transaction';
    END IF;
    SELECT l.sequence, l.hash INTO last FROM ledger.link l ORDER BY l.sequence DESC LIMIT 1;
    EXECUTE 'INSERT INTO ledger.link (sequence, transaction_id, hash)
             SELECT place, transaction_id, ledger.chain($2, place, content_digest) OVER (ORDER BY place)
             FROM (SELECT $1 + row_number() OVER (ORDER BY t.transaction_id) AS place, t.transaction_id, t.content_digest
                   FROM (SELECT DISTINCT transaction_id FROM posted) p,
                        LATERAL (SELECT h.* FROM ledger.transaction h WHERE h.transaction_id = p.transaction_id OFFSET 0) t) t'
        USING coalesce(last.sequence, 0), coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.link_entries() IS 'Laws: the digest of a transaction is that of its content; each transaction has a place in the chain.';

-- In the order of their names: post_entries, post_pending, post_to_balances, post_to_chain.
COMMENT ON TRIGGER post_entries ON ledger.entry IS 'Laws: complete_at_once, balanced.';
CREATE TRIGGER post_to_balances AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.move_balances();
ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER post_to_balances;
COMMENT ON TRIGGER post_to_balances ON ledger.entry IS 'Laws: no_overdraft, no_excess.';
CREATE TRIGGER post_pending AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.follow_pending();
ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER post_pending;
COMMENT ON TRIGGER post_pending ON ledger.entry IS 'Laws: routed, pending_first, resolved_once, within_pending, in_time, submitted_first, payout_limit, breaker.';
CREATE TRIGGER post_to_chain AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.link_entries();
ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER post_to_chain;
COMMENT ON TRIGGER post_to_chain ON ledger.entry IS 'Laws: digest_true, chained.';

-- Append only, and whose ----------------------------------------------------------------------------------

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['link', 'pending'] LOOP
        EXECUTE format('CREATE TRIGGER kept_by_triggers BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_direct_change()', relation);
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER kept_by_triggers', relation);
        EXECUTE format('COMMENT ON TRIGGER kept_by_triggers ON ledger.%I IS %L', relation, 'Law: it follows from the entries.');
    END LOOP;
    FOREACH relation IN ARRAY ARRAY['submission', 'payout_limit', 'breaker_act'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', relation);
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', relation);
        EXECUTE format('COMMENT ON TRIGGER append_only ON ledger.%I IS %L', relation, 'Law: append only.');
    END LOOP;
END $$;
CREATE TRIGGER append_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.route
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.route ENABLE ALWAYS TRIGGER append_only;
COMMENT ON TRIGGER append_only ON ledger.route IS 'Law: a part of the schema.';

DO $$
DECLARE
    app_role text := ledger.app_role();
BEGIN
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
    EXECUTE format('GRANT EXECUTE ON FUNCTION ledger.app_role(), ledger.lock_journal() TO %I', app_role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO %I', app_role);
    EXECUTE format('GRANT INSERT (expires_at) ON ledger.transaction TO %I', app_role);
    EXECUTE format('GRANT INSERT (transaction_id, handover, adapter, submitted_at) ON ledger.submission TO %I', app_role);
    EXECUTE format('GRANT INSERT (asset, window_seconds, amount_max, count_max, set_at, set_by) ON ledger.payout_limit TO %I', app_role);
    EXECUTE format('GRANT INSERT (asset, act, acted_at, acted_by, reason) ON ledger.breaker_act TO %I', app_role);
END $$;
RESET ROLE;

-- The life of events: what was asked, in every version; what was done, by whom and why; and when each home begins.

CREATE TABLE event_revision (
    event text NOT NULL,
    modification integer NOT NULL CHECK (modification >= 0),
    program text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    discharge_milliwatts bigint NOT NULL CHECK (discharge_milliwatts > 0),
    priority integer NOT NULL CHECK (priority BETWEEN 0 AND 65535),
    targets text NOT NULL,
    start_bound_seconds integer NOT NULL CHECK (start_bound_seconds BETWEEN 0 AND 3600),
    start_drawn_at integer NOT NULL CHECK (start_drawn_at BETWEEN 0 AND modification),
    PRIMARY KEY (event, modification)
);
COMMENT ON TABLE event_revision IS 'What an event asks. A change is a new row; the highest modification is in force.';
COMMENT ON COLUMN event_revision.targets IS 'Zones, groups and sites as JSON; {} is everybody.';
COMMENT ON COLUMN event_revision.start_drawn_at IS 'The modification by which each home''s start was last drawn.';

CREATE TABLE event_act (
    event text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    act text NOT NULL CHECK (act IN ('draft', 'announce', 'modify', 'cancel', 'measure', 'settle', 'finalise')),
    modification integer NOT NULL,
    statement_version integer CHECK (statement_version > 0),
    actor text NOT NULL CHECK (actor <> ''),
    acted_at timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (event, number),
    FOREIGN KEY (event, modification) REFERENCES event_revision,
    CHECK ((act = 'settle') = (statement_version IS NOT NULL)),
    CHECK ((act = 'draft') = (number = 1))
);
CREATE UNIQUE INDEX event_act_once ON event_act (event, act) WHERE act IN ('announce', 'cancel', 'measure', 'finalise');
COMMENT ON TABLE event_act IS 'What was done with an event, by whom, when and why, one row after the other.';
COMMENT ON COLUMN event_act.modification IS 'What is in force after it.';

CREATE TABLE event_start_secret (
    event text PRIMARY KEY REFERENCES event,
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32)
);
COMMENT ON TABLE event_start_secret IS 'From which each home''s start follows; told when the event is over, the commitment from the announcement on.';

CREATE TABLE event_farewell (
    instruction bytea PRIMARY KEY REFERENCES instruction (digest)
);
COMMENT ON TABLE event_farewell IS 'Instructions by which a home is asked no more: they end an earlier one, and pay nothing.';

CREATE FUNCTION event_act_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE previous event_act;
BEGIN
    -- Two sessions that would both come next wait for each other here.
    PERFORM pg_advisory_xact_lock(hashtextextended('event act of ' || NEW.event, 0));
    SELECT * INTO previous FROM event_act WHERE event = NEW.event ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(previous.number, 0) + 1 THEN
        RAISE EXCEPTION 'act % of event % does not follow act %', NEW.number, NEW.event, coalesce(previous.number, 0)
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF previous.number IS NULL THEN
        RETURN NEW;
    END IF;
    IF previous.act IN ('cancel', 'finalise') THEN
        RAISE EXCEPTION 'nothing follows the % of event %', previous.act, NEW.event
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.acted_at < previous.acted_at THEN
        RAISE EXCEPTION 'act % of event % is earlier than the one before it', NEW.number, NEW.event
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.modification <> previous.modification + (NEW.act = 'modify')::integer THEN
        RAISE EXCEPTION 'act % of event % leads to modification %, after %',
            NEW.number, NEW.event, NEW.modification, previous.modification
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION event_act_follows IS 'Acts come one after the other, and none after the last.';
CREATE TRIGGER follows BEFORE INSERT ON event_act FOR EACH ROW EXECUTE FUNCTION event_act_follows();

CREATE VIEW event_in_force AS
    SELECT e.id, e.program, e.program_version,
        coalesce(r.starts_at, e.starts_at) AS starts_at,
        coalesce(r.ends_at, e.ends_at) AS ends_at,
        e.announced_at,
        coalesce(r.discharge_milliwatts, e.discharge_milliwatts) AS discharge_milliwatts,
        c.acted_at AS cancelled_at
    FROM event e
    LEFT JOIN LATERAL (
        SELECT starts_at, ends_at, discharge_milliwatts FROM event_revision
        WHERE event = e.id ORDER BY modification DESC LIMIT 1
    ) r ON true
    LEFT JOIN event_act c ON c.event = e.id AND c.act = 'cancel';
COMMENT ON VIEW event_in_force IS 'Announced events as they were last modified. Those from before there were revisions are as they were announced.';

DO $$
DECLARE guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['event_revision', 'event_act', 'event_start_secret', 'event_farewell'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', guarded);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', guarded, ledger.app_role());
    END LOOP;
    EXECUTE format('GRANT SELECT ON event_in_force TO %I', ledger.app_role());
    EXECUTE format('GRANT EXECUTE ON FUNCTION event_act_follows() TO %I', ledger.app_role());
END $$;

-- Readings as compact days beside the signed reports, instead of a row for each. Derived from the reports alone:
-- gridtally engine check compares them, and makes them again. The rows of before are dropped for the same reason.

DROP TABLE reading;

ALTER TABLE enrolment ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY UNIQUE;
COMMENT ON COLUMN enrolment.number IS 'A short name within this database; the gateway''s key is the one that others know.';
CREATE INDEX enrolment_by_site ON enrolment (program, site COLLATE "C");
COMMENT ON INDEX enrolment_by_site IS 'The order of a statement.';

CREATE TABLE device_day (
    enrolment integer NOT NULL,
    day date NOT NULL,
    received_at timestamptz NOT NULL,
    readings integer NOT NULL CHECK (readings BETWEEN 0 AND 8640),
    device smallint NOT NULL CHECK (device BETWEEN 0 AND 255),
    channels bytea NOT NULL CHECK (octet_length(channels) BETWEEN 2 AND 131072),
    PRIMARY KEY (enrolment, device, day)
) WITH (toast_tuple_target = 8160);
-- Deltas in varints do not get smaller by compression.
ALTER TABLE device_day ALTER COLUMN channels SET STORAGE EXTERNAL;
COMMENT ON TABLE device_day IS 'What all kept reports of a gateway say of one device on one UTC day. Where two reports say different things of an interval, it is marked as contested.';
COMMENT ON COLUMN device_day.enrolment IS 'Its number. No foreign key: the rows are made from the enrolment, and checked against it.';
COMMENT ON COLUMN device_day.received_at IS 'When the last report in it came.';
COMMENT ON COLUMN device_day.readings IS 'Of how many intervals something is known, over all channels.';
COMMENT ON COLUMN device_day.channels IS 'Every channel of the device, packed; docs/storage.md has the form.';

CREATE TABLE dispute (
    enrolment integer NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (enrolment, until)
);
COMMENT ON TABLE dispute IS 'Two reports of the gateway contradict each other, and the later one of them ends then. What ends later is not touched by it; what ends before is read from the signed reports.';

CREATE FUNCTION keep_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are not removed; they are made again from the reports', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION keep_rows IS 'Guards what is derived and grows.';
CREATE TRIGGER keep_rows BEFORE DELETE OR TRUNCATE ON device_day FOR EACH STATEMENT EXECUTE FUNCTION keep_rows();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispute FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON dispute FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
DECLARE app_role text := ledger.app_role();
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE (received_at, readings, channels) ON device_day TO %I', app_role);
    EXECUTE format('GRANT SELECT, INSERT ON dispute TO %I', app_role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION keep_rows() TO %I', app_role);
END $$;

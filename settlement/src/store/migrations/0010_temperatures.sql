-- How warm it was, for programs that look for days of like weather.

CREATE TABLE program_temperature (
    program text NOT NULL,
    day date NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    max_millidegrees integer NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (program, day, number)
);
COMMENT ON TABLE program_temperature IS 'The highest temperature of each local day; of several for one day the one with the highest number.';
COMMENT ON COLUMN program_temperature.max_millidegrees IS 'Thousandths of a degree; the scale is the same for all days of a program.';

DO $$
BEGIN
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON program_temperature FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER append_only_all BEFORE TRUNCATE ON program_temperature FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    EXECUTE format('GRANT SELECT, INSERT ON program_temperature TO %I', ledger.app_role());
END $$;

-- The engine works as ledger.app_role(): it may read and add, nothing else; not even its own tables can it change.
DO $$
DECLARE app_role text := ledger.app_role();
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', app_role);
    EXECUTE format('GRANT SELECT, INSERT ON program, enrolment, report, reading, refused, event, instruction, acknowledgement TO %I', app_role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION refuse_change() TO %I', app_role);
END $$;

-- The engine works as the role ledger.app_role(): it reads and inserts evidence, nothing else.
DO $$
DECLARE app_role text := ledger.app_role();
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA gridtally TO %I', app_role);
    EXECUTE format('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA gridtally TO %I', app_role);
END $$;

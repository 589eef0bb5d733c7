-- Three roles of a store, each with no more than it needs:
--   owner   makes the schema and brings it up to date: any command of a new postroom does, once
--   runner  what programs and people work as: it changes rows, never tables
--   viewer  looks only: status, show, inbox, dead list, search, runs, events, verify, metrics, doctor
-- Make them first, as CREATE ROLE postroom_owner LOGIN (with a password, or what pg_hba.conf asks for). Then, as a
-- superuser or as the owner of the database, before the store is made or after, and as often as you like:
--   psql -v owner=postroom_owner -v runner=postroom_runner -v viewer=postroom_viewer -v schema=postroom \
--        -v ON_ERROR_STOP=1 -f roles.sql DATABASE
-- What PUBLIC may do in the database is needed by none of them, nor the schema public.

GRANT CONNECT ON DATABASE :"DBNAME" TO :"owner", :"runner", :"viewer";
CREATE SCHEMA IF NOT EXISTS :"schema" AUTHORIZATION :"owner";
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
GRANT USAGE ON SCHEMA :"schema" TO :"runner", :"viewer";

-- What is there.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO :"runner";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA :"schema" TO :"runner";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"viewer";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA :"schema" TO :"viewer";

-- What the owner makes later, with the store itself and with each migration.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema"
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"runner";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT USAGE, SELECT ON SEQUENCES TO :"runner";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"viewer";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON SEQUENCES TO :"viewer";

-- To have `postroom doctor` see the transactions of other roles too, which may reveal what they ask:
--   GRANT pg_read_all_stats TO postroom_viewer;

#!/bin/sh
# Create the services' roles in the database: each service owns its tables and reaches no others. A role that exists gets its
# password again, and tables that an earlier version created as administrator get their owner, so that a start upgrades an
# installation. Runs as the administrator (POSTGRES_USER, POSTGRES_DB), who is found by psql's own variables (PGHOST, PGPORT).
set -eu
export PIXMILL_SECRETS="${PIXMILL_SECRETS:-/run/pixmill-secrets}" PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB"
for role in FILE_STORAGE IMAGE_PROCESSOR WORKER WEBHOOKS ACCESS RENDER; do
  # psql would give a role without this file an empty password, with which nobody can log in.
  if ! test -s "$PIXMILL_SECRETS/PIXMILL_${role}_DB_PASSWORD"; then
    echo "roles.sh: $PIXMILL_SECRETS/PIXMILL_${role}_DB_PASSWORD is missing; run docker-compose run --rm secrets first" >&2
    exit 2
  fi
done
exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --single-transaction --output=/dev/null <<'SQL'
SET client_min_messages = warning;
\set file_storage_password `cat "$PIXMILL_SECRETS/PIXMILL_FILE_STORAGE_DB_PASSWORD"`
\set image_processor_password `cat "$PIXMILL_SECRETS/PIXMILL_IMAGE_PROCESSOR_DB_PASSWORD"`
\set worker_password `cat "$PIXMILL_SECRETS/PIXMILL_WORKER_DB_PASSWORD"`
\set webhooks_password `cat "$PIXMILL_SECRETS/PIXMILL_WEBHOOKS_DB_PASSWORD"`
\set access_password `cat "$PIXMILL_SECRETS/PIXMILL_ACCESS_DB_PASSWORD"`
\set render_password `cat "$PIXMILL_SECRETS/PIXMILL_RENDER_DB_PASSWORD"`
\set administrator_password `cat "$PIXMILL_SECRETS/POSTGRES_PASSWORD"`

-- file_storage, image_processor and access own tables and run their migrations; worker and webhooks change rows of
-- some tables of image_processor, render of access (migrations/grants.py of both).
SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['file_storage', 'image_processor', 'access', 'worker', 'webhooks', 'render']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE file_storage LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'file_storage_password';
ALTER ROLE image_processor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'image_processor_password';
ALTER ROLE access LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'access_password';
ALTER ROLE worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'worker_password';
ALTER ROLE webhooks LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'webhooks_password';
ALTER ROLE render LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'render_password';
-- The best index for a list depends on the values searched: a generic plan would scan a million rows. Not an option of
-- connections, because poolers refuse those.
SELECT format('ALTER ROLE %I SET plan_cache_mode = force_custom_plan', name)
FROM unnest(ARRAY['file_storage', 'image_processor', 'access', 'worker', 'webhooks', 'render']) AS name
\gexec
SELECT format('ALTER ROLE %I PASSWORD %L', current_user, :'administrator_password') \gexec

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database WHERE datallowconn \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO file_storage, image_processor, access, worker, webhooks, render', current_database())
\gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO file_storage, image_processor, access;
GRANT USAGE ON SCHEMA public TO worker, webhooks, render;
-- A service's role may not create extensions; file_storage searches names with this one.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- What versions without these roles created.
CREATE TEMPORARY TABLE owned (name name, owner name);
INSERT INTO owned VALUES
  ('blobs', 'file_storage'), ('files', 'file_storage'), ('idempotency_keys', 'file_storage'),
  ('uploads', 'file_storage'), ('storage_totals', 'file_storage'), ('file_storage_version', 'file_storage'),
  ('pixmill_letters', 'file_storage'), ('count_storage', 'file_storage'),
  ('tasks', 'image_processor'), ('task_events', 'image_processor'), ('callbacks', 'image_processor'),
  ('discarded_results', 'image_processor'), ('cached_results', 'image_processor'),
  ('image_processor_version', 'image_processor'), ('record_task_event', 'image_processor');
SELECT format('ALTER TABLE public.%I OWNER TO %I', relname, owner)
FROM pg_class JOIN owned ON name = relname
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::regrole
\gexec
SELECT format('ALTER FUNCTION %s OWNER TO %I', pg_proc.oid::regprocedure, owner)
FROM pg_proc JOIN owned ON name = proname
WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole
\gexec

-- image_processor itself opens its tables to worker and webhooks, after its migrations. Earlier versions opened each new
-- table as a whole.
ALTER DEFAULT PRIVILEGES FOR ROLE image_processor IN SCHEMA public REVOKE ALL ON TABLES FROM worker, webhooks;
ALTER DEFAULT PRIVILEGES FOR ROLE image_processor IN SCHEMA public REVOKE ALL ON SEQUENCES FROM worker, webhooks;
SQL
